/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Position and model as a document. Both are written together, after the power reports that they cover: work
 * repeated after a crash creates the same documents with the same _id.
 */
#include "machine/state.h"
#include "base/bson_driver.h"
#include "base/bson_get.h"
#include "base/log.h"
#include "base/reason.h"
#include "base/text.h"
#include "document/collections.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATE_VERSION 1

static void make_id(const struct machine *machine, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s:%s", machine->config->ops->name, machine->name);
}

/* Energy that is not booked yet is saved with the totals, under the names known by now: after a restart no
 * more is known. */
static void add_totals(const struct machine *machine, bson_t *document)
{
	struct total_addition unbooked[MACHINE_UNBOOKED_MAX];
	bson_t array;
	unsigned n, n_unbooked;

	bson_append_array_unsafe_begin(document, "totals", -1, &array);
	n = totals_save(&machine->totals, &array, 0);
	for (const struct live_target *target = machine->live.targets; target; target = target->hh.next) {
		n_unbooked = machine_unbooked(machine, target, unbooked);
		for (unsigned i = 0; i < n_unbooked; i++)
			totals_put(&array, n++, &unbooked[i]);
	}
	bson_append_array_end(document, &array);
}

int state_add(struct batch *batch, const struct machine *machine, int64_t now_ms)
{
	bson_t document = BSON_INITIALIZER, model;
	char id[512];
	int r;

	make_id(machine, id, sizeof(id));
	bson_append_utf8(&document, "_id", -1, id, -1);
	bson_append_date_time(&document, "timestamp", -1, now_ms);
	bson_append_utf8(&document, "sensor", -1, machine->name, -1);
	/* Which of several sensors in one collection the reports belong to. */
	if (machine->sensor[0])
		bson_append_utf8(&document, "source", -1, machine->sensor, -1);
	bson_append_utf8(&document, "formula", -1, machine->config->ops->name, -1);
	bson_append_int32(&document, "version", -1, STATE_VERSION);
	bson_append_date_time(&document, "position", -1, machine->time_ms);
	bson_append_double(&document, "interval", -1, machine->interval_s);
	bson_append_int64(&document, "ticks", -1, (int64_t)machine->n.ticks);
	if (machine->sequence.known && machine->sequence.time_ms == machine->time_ms)
		bson_append_int64(&document, "seq", -1, (int64_t)machine->sequence.seq);
	if (machine->calibrated_ms)
		bson_append_date_time(&document, "calibrated", -1, machine->calibrated_ms);
	add_totals(machine, &document);
	bson_append_document_begin(&document, "model", -1, &model);
	r = machine->config->ops->save(machine->formula, &model);
	bson_append_document_end(&document, &model);
	if (r == 0)
		r = batch_append(batch, bson_get_data(&document), document.len);
	bson_destroy(&document);
	return r;
}

/* Is the document's _id of this kind? */
static bool begins(const bson_t *document, const char *kind)
{
	const char *id = bson_get_text(document, "_id");
	size_t length = strlen(kind);

	return id && strncmp(id, kind, length) == 0 && (kind[length - 1] == ':' || id[length] == ':');
}

unsigned state_count(const struct batch *documents, const char *formula)
{
	size_t offset = 0;
	bson_t document;
	unsigned n = 0;

	while (batch_next_bson(documents, &offset, &document))
		n += begins(&document, formula) || begins(&document, CALIBRATION_ID);
	return n;
}

/* 1: the model was not taken, as it began with another calibration, or without one. */
static int take_model(struct machine *machine, const bson_t *document, bool has_refused, struct reason *why)
{
	int64_t calibrated_ms = 0;
	bson_t model;
	int r;

	(void)bson_get_date(document, "calibrated", &calibrated_ms);
	/* Without a usable calibration, nothing is better than what the machine has learnt. */
	if (calibrated_ms != machine->calibrated_ms && !has_refused) {
		log_info("state", 0,
			 machine->calibrated_ms ? "%s: the machine was calibrated after this state was "
						  "stored: the model starts from the calibration"
						: "%s: the calibration that this model began with is no "
						  "longer stored: the model starts without it",
			 machine->name);
		r = machine_forget_model(machine);
		return r < 0 ? r : 1;
	}
	r = bson_get_document(document, "model", &model, why);
	if (r == 0)
		r = machine->config->ops->load(machine->formula, &model, why);
	if (r < 0)
		(void)machine_forget_model(machine);
	return r;
}

/*
 * A position ahead of our clock (a clock that was set back, or a damaged document) would make all reports
 * late until then. It is ignored unless the sensor's own clock proves to be ahead.
 */
static int64_t believe(struct machine *machine, int64_t position_ms, int64_t now_ms)
{
	char time[TEXT_TIME_SIZE];

	if (now_ms <= 0 || position_ms <= now_ms + MACHINE_AHEAD_MS)
		return position_ms;
	log_warning("machine", 0,
		    "%s: the stored position, %s, is ahead of this machine's clock: reading starts from "
		    "the current time",
		    machine->name,
		    text_format_time(position_ms, time, sizeof(time)) ? time : "a distant date");
	machine->doubted_ms = position_ms;
	return now_ms - MACHINE_AHEAD_MS;
}

/* Takes the number of the last tick, so that ticks missing from the store before the next one are counted. */
static void take_number(struct machine *machine, const bson_t *document)
{
	bson_iter_t iterator;

	if (machine->doubted_ms != INT64_MIN || !bson_iter_init_find(&iterator, document, "seq") ||
	    !BSON_ITER_HOLDS_INT64(&iterator) || bson_iter_int64(&iterator) <= 0)
		return;
	machine->sequence = (struct sequence){.known = true,
					      .seq = (uint64_t)bson_iter_int64(&iterator),
					      .time_ms = machine->time_ms,
					      .interval_s = machine->interval_s};
}

static int take(struct machine *machine, const bson_t *document, int64_t now_ms, bool has_refused,
		struct reason *why)
{
	double interval_s = bson_get_double(document, "interval");
	const char *source = bson_get_text(document, "source");
	int64_t position_ms;

	if (bson_get_int32(document, "version", STATE_VERSION) != STATE_VERSION)
		return reason_set(why, -EINVAL, "the stored state has another version");
	if (source)
		(void)snprintf(machine->sensor, sizeof(machine->sensor), "%s", source);
	if (!bson_get_date(document, "position", &position_ms))
		return reason_set(why, -EINVAL, "the stored state has no position");
	/* With a clock, positions in the future are handled by believe(). */
	if (position_ms < 0 || (now_ms <= 0 && position_ms > TEXT_TIME_MS_MAX))
		return reason_set(why, -EINVAL, "the stored position is not a date from 1970 to 9999");
	if (totals_load(&machine->totals, document) < 0)
		return reason_set(why, -ENOMEM, "out of memory");
	machine->resumed_ms = machine->time_ms = believe(machine, position_ms, now_ms);
	machine->interval_s = interval_s > 0 && interval_s < 1e6 ? interval_s : 0;
	take_number(machine, document);
	join_set_position(machine->join, machine->time_ms);
	tick_maker_set_position(machine->maker, machine->time_ms, machine->interval_s);
	return take_model(machine, document, has_refused, why);
}

static int load_state(struct machine *machine, const struct batch *documents, int64_t now_ms,
		      bool has_refused, struct reason *why)
{
	char id[512];
	bson_t document;
	int r;

	make_id(machine, id, sizeof(id));
	if (!batch_find_bson(documents, id, &document))
		return 0;
	r = take(machine, &document, now_ms, has_refused, why);
	return r < 0 ? r : r + 1;
}

/* Finds the document of `wattribute calibrate` and sets its time. False: none that this formula can use. */
static bool find_calibration(struct machine *machine, const struct batch *documents, bson_t *ret_document)
{
	const struct formula_ops *ops = machine->config->ops;
	char id[512];

	(void)snprintf(id, sizeof(id), CALIBRATION_ID "%s", machine->name);
	return ops->calibrate && batch_find_bson(documents, id, ret_document) &&
	       bson_has_text(ret_document, "formula", ops->name) &&
	       bson_get_date(ret_document, "timestamp", &machine->calibrated_ms);
}

static int calibrate(struct machine *machine, const bson_t *document, struct reason *why)
{
	bson_t model;
	int r;

	if (bson_get_int32(document, "version", CALIBRATION_VERSION) != CALIBRATION_VERSION)
		return reason_set(why, -EINVAL, "it has another version");
	r = bson_get_document(document, "model", &model, why);
	return r < 0 ? r
		     : machine->config->ops->calibrate(machine->formula, &model,
						       bson_get_bool(document, "estimated"), why);
}

/*
 * Gives the empty model its priors. A calibration that cannot be used is logged, and the machine counts as
 * not calibrated.
 */
static bool try_calibration(struct machine *machine, const bson_t *document)
{
	struct reason why = {"out of memory"};

	if (calibrate(machine, document, &why) == 0) {
		log_info("state", 0, "%s: this machine is calibrated", machine->name);
		return true;
	}
	machine->calibrated_ms = 0;
	log_warning("state", 0,
		    "%s: the stored calibration is not used: %s; run 'wattribute calibrate' again",
		    machine->name, why.text);
	return false;
}

int state_load(struct machine *machine, const struct batch *documents, int64_t now_ms, struct reason *why)
{
	struct reason ignored;
	bson_t calibration;
	bool found = find_calibration(machine, documents, &calibration);
	bool calibrated = found && try_calibration(machine, &calibration);
	int r = load_state(machine, documents, now_ms, found && !calibrated, why);

	/* The model may have been replaced by a stored or by an empty one. */
	if (calibrated && calibrate(machine, &calibration, &ignored) < 0)
		return -ENOMEM;
	return r;
}
