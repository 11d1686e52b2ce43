/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sensor's path from reports to power reports: decode, join, formula, conserve, encode. Called by
 * input.c; the same documents in the same order give the same output, so that work can be repeated after a
 * crash.
 */
#include "machine/machine.h"

#include "document/collections.h"
#include "base/reason.h"

#include "base/log.h"
#include "base/text.h"
#include "base/unit.h"
#include "document/report.h"
#include "tick/tick_clock.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPLAIN_TICKS     5
#define MACHINE_SETTLED_MS 5000           /* no longer wait for a description */
#define ARCHIVE_S          (30 * 86400.0) /* older data is an archive, not a silent sensor */
#define AHEAD_TICKS        10             /* consecutive ones show that the sensor's clock is ahead */

int machine_forget_model(struct machine *machine)
{
	void *formula = machine->config->ops->make(&machine->config->formula);

	if (!formula)
		return -ENOMEM;
	if (machine->formula)
		machine->config->ops->free(machine->formula);
	machine->formula = formula;
	return 0;
}

static void describe(void *data, const char *target, double *cpu_quota, const char **image)
{
	const struct machine *machine = data;
	const struct known_target *known = known_find(&machine->known, target);

	*cpu_quota = known ? known->cpu_quota : 0;
	*image = known_text(known, KNOWN_IMAGE);
}

struct machine *machine_new(const struct server_config *config, const char *name, const char *reports)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	if (!machine)
		return NULL;
	machine->config = config;
	machine->known_turns = machine->known_left = 1;
	machine->time_ms = machine->resumed_ms = machine->known_ms = INT64_MIN;
	machine->ahead_ms = MACHINE_AHEAD_MS;
	machine->doubted_ms = INT64_MIN;
	machine->counts_from_ms = machine->newest_ms = machine->backlog_ms = INT64_MIN;
	machine->name = strdup(name);
	machine->reports = strdup(reports);
	machine->power = collection_name(COLLECTION_POWER, name);
	machine->names = report_names_new();
	machine->join = join_new((int64_t)config->grace_ms);
	if (machine->names)
		machine->maker = tick_maker_new(machine->names, config->formula.interval_ms / 1000);
	if (machine->maker)
		tick_maker_set_describer(machine->maker, describe, machine);
	if (!machine->name || !machine->reports || !machine->power || !machine->join || !machine->maker ||
	    machine_forget_model(machine) < 0) {
		machine_free(machine);
		return NULL;
	}
	return machine;
}

void machine_free(struct machine *machine)
{
	if (!machine)
		return;
	if (machine->formula)
		machine->config->ops->free(machine->formula);
	tick_maker_free(machine->maker);
	join_free(machine->join);
	report_decoded_done(&machine->decoded);
	if (machine->names)
		report_names_free(machine->names);
	conserve_output_done(&machine->conserved);
	live_done(&machine->live);
	known_done(&machine->known);
	totals_done(&machine->totals);
	batch_done(&machine->out);
	free(machine->name);
	free(machine->reports);
	free(machine->power);
	free(machine);
}

static void keep_text(char *ret, size_t size, const char *text)
{
	if (!text)
		return;
	(void)snprintf(ret, size, "%s", text);
	text_make_utf8(ret); /* it may have been cut within a character, and JSON must be UTF-8 */
}

void machine_allow_ahead(struct machine *machine, int64_t ahead_ms, int64_t time_ms)
{
	machine->ahead_ms = ahead_ms;
	/* A position that seemed to be in the future is confirmed now. */
	if (machine->doubted_ms != INT64_MIN && machine->doubted_ms <= time_ms &&
	    machine->doubted_ms > join_position(machine->join))
		join_set_position(machine->join, machine->doubted_ms);
	machine->doubted_ms = INT64_MIN;
}

void machine_set_back(struct machine *machine, int64_t position_ms)
{
	machine->ahead_ms = MACHINE_AHEAD_MS;
	machine->doubted_ms = INT64_MIN;
	machine->n_ahead = 0;
	machine->time_ms = machine->resumed_ms = machine->newest_ms = position_ms;
	if (machine->backlog_ms > position_ms)
		machine->backlog_ms = position_ms;
	machine->sequence = (struct sequence){0};
	machine->n_gaps = 0;
	join_set_position(machine->join, position_ms);
	tick_maker_set_position(machine->maker, position_ms, machine->interval_s);
}

/*
 * A single report dated in the future would make all following ones late: such reports are not used unless
 * several consecutive ticks show that the sensor's clock is ahead. With --once there is no present time.
 */
static bool is_ahead(struct machine *machine, int64_t now_ms)
{
	const int64_t time_ms = machine->decoded.time_ms;

	if (now_ms <= 0)
		return false;
	if (time_ms <= now_ms + machine->ahead_ms) {
		machine->n_ahead = 0;
		return false;
	}
	if (time_ms > now_ms + MACHINE_AHEAD_MAX_MS)
		return true;
	machine->n_ahead += time_ms > machine->ahead_time_ms || machine->n_ahead == 0;
	machine->ahead_time_ms = time_ms;
	if (machine->n_ahead <= AHEAD_TICKS)
		return true;
	log_notice("machine", 0,
		   "%s: its clock is %" PRId64 " s ahead of this machine's: its reports are used",
		   machine->name, (time_ms - now_ms) / 1000);
	machine_allow_ahead(machine, time_ms - now_ms + MACHINE_AHEAD_MS, time_ms);
	return false;
}

/* Records what a report says about its sensor. */
static void note(struct machine *machine)
{
	const struct report_decoded *report = &machine->decoded;

	if (!machine->sensor[0])
		keep_text(machine->sensor, sizeof(machine->sensor), report->sensor);
	keep_text(machine->energy_source, sizeof(machine->energy_source), report->energy_source);
	keep_text(machine->activity_source, sizeof(machine->activity_source), report->activity_source);
	keep_text(machine->cpu_model, sizeof(machine->cpu_model), report->cpu_model);
	keep_text(machine->version, sizeof(machine->version), report->version);
}

/*
 * Renames targets whose name is reserved, and extracts IDs from names, before anything else uses them. True:
 * renamed.
 */
static bool mend_identity(struct machine *machine)
{
	struct report_decoded *report = &machine->decoded;

	if ((!report->container_id || !report->container_id[0]) &&
	    report_target_find_id(report->target, machine->found_id))
		report->container_id = machine->found_id;
	if (!report_target_is_row(report->target))
		return false;
	report->target = report_target_rename(report->target, report->container_id, machine->renamed,
					      sizeof(machine->renamed));
	return true;
}

bool machine_can_read(struct machine *machine, const uint8_t *document, size_t length)
{
	struct reason why;

	return report_bson_decode(document, length, machine->names, &machine->decoded, &why) == 0;
}

int machine_feed(struct machine *machine, const uint8_t *document, size_t length, int64_t now_ms,
		 enum join_fed *ret_fed)
{
	bool renamed;
	int r;

	r = report_bson_decode(document, length, machine->names, &machine->decoded, &machine->why);
	if (r == -ENOMEM)
		return r;
	if (r == 0 && is_ahead(machine, now_ms)) {
		reason_set(&machine->why, 0, "it is dated %" PRId64 " s ahead of this machine's clock",
			   (machine->decoded.time_ms - now_ms) / 1000);
		r = -EBADMSG;
	}
	if (r < 0) {
		machine->n.bad++;
		return -EBADMSG;
	}
	renamed = mend_identity(machine);
	r = join_feed(machine->join, &machine->decoded, now_ms, ret_fed);
	if (r < 0)
		return r;
	if (*ret_fed == JOIN_NEW) {
		machine->n.documents++;
		machine->n.renamed += renamed;
		machine->fed_ms = now_ms;
		if (machine->decoded.time_ms > machine->newest_ms)
			machine->newest_ms = machine->decoded.time_ms;
		note(machine);
	}
	return 0;
}

void machine_uncount_bad(struct machine *machine)
{
	machine->n.bad--;
}

void machine_count_duplicate(struct machine *machine)
{
	machine->n.duplicates++;
}

void machine_count_late(struct machine *machine)
{
	machine->n.late += machine->decoded.time_ms > machine->resumed_ms;
}

void machine_count_gap(struct machine *machine, const struct machine_gap *gap, const struct batch *documents)
{
	const uint8_t *document;
	size_t offset = 0, length;
	uint64_t n = 0;

	while (batch_next(documents, &offset, &document, &length) == 1)
		n += report_bson_decode(document, length, machine->names, &machine->decoded, &machine->why) ==
		     0;
	if (n > gap->n_reports)
		machine->n.late += n - gap->n_reports;
}

bool machine_take_gap(struct machine *machine, int64_t before_ms, struct machine_gap *ret_gap)
{
	if (!machine->n_gaps || machine->gaps[0].fed_ms > before_ms)
		return false;
	*ret_gap = machine->gaps[0];
	memmove(machine->gaps, machine->gaps + 1, --machine->n_gaps * sizeof(machine->gaps[0]));
	return true;
}

void machine_adopt(struct machine *machine, const char *sensor, int64_t position_ms)
{
	keep_text(machine->sensor, sizeof(machine->sensor), sensor);
	if (join_position(machine->join) == INT64_MIN)
		join_set_position(machine->join, position_ms);
}

/* Only the newest MACHINE_GAPS gaps are checked again. */
static void note_gap(struct machine *machine, const struct join_slot *slot)
{
	if (machine->n_gaps == MACHINE_GAPS)
		memmove(machine->gaps, machine->gaps + 1, --machine->n_gaps * sizeof(machine->gaps[0]));
	machine->gaps[machine->n_gaps++] =
		(struct machine_gap){slot->time_ms, slot->fed_ms, slot->n_reports + slot->has_all};
}

/* Do the targets show that two sensors share a name? */
static bool take_turns(struct machine *machine, const struct tick *tick)
{
	struct sequence_targets targets = {{0}};

	for (unsigned i = 0; i < tick->n_targets; i++)
		sequence_add_target(&targets, tick->targets[i].key);
	return sequence_note_targets(&machine->turns, &targets);
}

static void count_tick(struct machine *machine, const struct join_slot *slot, const struct tick *tick)
{
	bool measured = false, bridged = false, overlaps = false;

	machine->n.ticks++;
	if (slot->said.has_seq)
		machine->n.skipped += sequence_note(&machine->sequence, slot->said.seq, slot->time_ms,
						    tick->interval_s, &overlaps);
	else
		overlaps = take_turns(machine, tick);
	machine->n.overlapping += overlaps || slot->conflicts;
	if (!slot->has_all || (slot->said.n_targets >= 0 && !tick->complete))
		machine->n.incomplete++;
	if (!tick->complete)
		note_gap(machine, slot);
	if (slot->said.n_targets > (int64_t)slot->n_reports)
		machine->n.missing += (uint64_t)slot->said.n_targets - slot->n_reports;
	for (unsigned i = 0; i < tick->n_sockets; i++) {
		for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
			measured |= !isnan(tick->sockets[i].energy_j[scope]);
			bridged |= tick->sockets[i].bridged_s[scope] > 0;
		}
	}
	machine->n.headless += !slot->has_all;
	machine->n.unmeasured += !measured;
	machine->n.bridged += bridged;
	machine->n.sensor_lost = slot->said.lost_total;
	machine->n.lost_cpu_s += slot->said.lost_cpu_s;
}

/* Length of the first tick of a stream that does not report it, from the ticks that wait. */
static void show_times(struct machine *machine, const struct join_slot *slot)
{
	int64_t times_ms[TICK_CLOCK_STEPS + 1];

	if (tick_maker_knows_length(machine->maker) || !isnan(slot->said.interval_s))
		return;
	tick_maker_show_times(machine->maker, times_ms,
			      join_times(machine->join, slot, times_ms, TICK_CLOCK_STEPS + 1));
}

/* The part of a tick's energy that was measured after the server's start. */
static double counted_part(const struct machine *machine, const struct tick *tick)
{
	double after_s = ((double)tick->time_ms - (double)machine->counts_from_ms) / 1000;

	if (machine->counts_from_ms == INT64_MIN)
		return 1;
	if (after_s > 0)
		return after_s < tick->interval_s ? after_s / tick->interval_s : 1;
	return machine->caught_up && tick->time_ms > machine->backlog_ms;
}

/*
 * Extra readings make ticks of any length, and one may be long after a pause. So the second longest of the
 * recent ticks is the longest that the next one is expected to be.
 */
static void note_length(struct machine *machine, double interval_s)
{
	double longest_s = 0, second_s = 0;

	memmove(machine->lengths_s + 1, machine->lengths_s, sizeof(machine->lengths_s) - sizeof(interval_s));
	machine->lengths_s[0] = interval_s;
	for (unsigned i = 0; i < MACHINE_LENGTHS; i++) {
		second_s = fmax(second_s, fmin(longest_s, machine->lengths_s[i]));
		longest_s = fmax(longest_s, machine->lengths_s[i]);
	}
	machine->interval_s = machine->lengths_s[2] > 0 ? second_s : longest_s;
}

bool machine_is_settled(const struct machine *machine, const struct live_target *target)
{
	return machine->undescribed || target->last_ms != machine->live.time_ms ||
	       machine->live.time_ms - target->first_ms >= MACHINE_SETTLED_MS ||
	       known_find_container(&machine->known, target->name, target->container_id);
}

unsigned machine_unbooked(const struct machine *machine, const struct live_target *target,
			  struct total_addition ret[MACHINE_UNBOOKED_MAX])
{
	const struct known_target *known =
		known_find_container(&machine->known, target->name, target->container_id);
	unsigned n = 0;

	for (unsigned i = 0; i < MACHINE_UNBOOKED_MAX; i++) {
		const unsigned scope = i / 2;

		if (target->unbooked_j[scope] > 0)
			ret[n++] = (struct total_addition){
				.kind = i % 2 ? TOTAL_NAMESPACE : TOTAL_IMAGE,
				.scope = (enum report_scope)scope,
				.name = known_text(known, i % 2 ? KNOWN_NAMESPACE : KNOWN_IMAGE),
				.total_j = target->unbooked_j[scope],
				.dynamic_j = target->unbooked_dynamic_j[scope],
				.time_ms = machine->live.time_ms,
			};
	}
	return n;
}

static int book_target(struct machine *machine, struct live_target *target)
{
	struct total_addition unbooked[MACHINE_UNBOOKED_MAX];
	const unsigned n = machine_unbooked(machine, target, unbooked);
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = totals_add(&machine->totals, &unbooked[i]);
	memset(target->unbooked_j, 0, sizeof(target->unbooked_j));
	memset(target->unbooked_dynamic_j, 0, sizeof(target->unbooked_dynamic_j));
	return r;
}

/*
 * Adds unbooked energy to the totals of images and namespaces, for targets that are known, gone, or have been
 * present for a while. 0 or -ENOMEM.
 */
static int book_totals(struct machine *machine)
{
	int r = 0;

	for (struct live_target *target = machine->live.targets; target && r == 0; target = target->hh.next)
		if (!report_target_is_row(target->name) && machine_is_settled(machine, target))
			r = book_target(machine, target);
	return r;
}

/* The machine's own rows of a tick. */
static int book_rows(struct machine *machine, const struct tick *tick)
{
	int r = 0;

	for (unsigned i = 0; i < machine->conserved.n_rows && r == 0; i++) {
		const struct conserve_row *row = &machine->conserved.rows[i];
		double part = machine->live.booked_part;

		if (row->target >= 0 || row->target == CONSERVE_GLOBAL)
			continue;
		r = totals_add(&machine->totals,
			       &(struct total_addition){
				       .kind = TOTAL_MACHINE,
				       .scope = row->scope,
				       .package = row->scope < REPORT_SCOPES
							  ? tick->sockets[row->socket].package
							  : tick->aparts[row->socket].number,
				       .name = conserve_row_name(tick, row),
				       .total_j = row->energy_j * part,
				       .dynamic_j = row->dynamic_w * tick->interval_s * part,
				       .time_ms = tick->time_ms,
			       });
	}
	return r;
}

/* Updates the present state and the totals. A machine that resumes also counts the energy since its stored
 * position. */
static int show_tick(struct machine *machine, const struct tick *tick)
{
	double counted = counted_part(machine, tick);
	int r;

	machine->live.booked_part = machine->resumed_ms != INT64_MIN ? 1 : counted;
	r = live_update(&machine->live, tick, &machine->conserved, counted);
	if (r == 0)
		r = book_rows(machine, tick);
	return r < 0 ? r : book_totals(machine);
}

/* Logs that the calibration, though stored, does not apply; and again if it did in the meantime. */
static bool note_calibration(struct machine *machine, bool calibrated)
{
	machine->n_uncalibrated = calibrated || !machine->calibrated_ms ? 0 : machine->n_uncalibrated + 1;
	if (machine->n_uncalibrated == COMPLAIN_TICKS)
		log_warning("machine", 0,
			    "%s: the calibration is not used: this sensor measures other energy or events "
			    "than it did "
			    "(--sensor-config), or the machine has other sockets or cores now; run "
			    "'wattribute calibrate' again",
			    machine->name);
	return calibrated;
}

static int run_tick(struct machine *machine, const struct join_slot *slot)
{
	const struct conserve_policy policy = {
		.fixed = (enum conserve_static)machine->config->static_policy,
		.n_cpus = machine->config->n_cpus,
	};
	struct output_options options = {
		.sensor = machine->sensor,
		.skip = {machine->config->no_cpu, machine->config->no_dram},
	};
	struct formula_result result = {0};
	const struct tick *tick;
	int r;

	show_times(machine, slot);
	r = tick_make(machine->maker, slot, &tick);
	if (r < 0)
		return r;
	count_tick(machine, slot, tick);
	r = machine->config->ops->run(machine->formula, tick, &result);
	if (r < 0)
		return r;
	r = conserve_apply(tick, &result, &policy, &machine->conserved);
	if (r < 0)
		return r;
	apart_apply(tick, &policy, &machine->idle, &machine->conserved);
	machine->n.degraded += machine->conserved.n_degraded;
	options.label = result.label;
	options.calibrated = note_calibration(machine, result.calibrated);
	if (!machine->out.data && machine->spare) {
		machine->out = *machine->spare;
		*machine->spare = (struct batch){0};
	}
	r = output_add(&machine->out, tick, &machine->conserved, &options);
	if (r < 0)
		return r;
	machine->n.unwritable += (unsigned)r;
	machine->n.rows += machine->conserved.n_rows - (unsigned)r;
	machine->time_ms = tick->time_ms;
	note_length(machine, tick->interval_s);
	return machine->config->once ? 0 : show_tick(machine, tick);
}

int machine_drain(struct machine *machine, int64_t now_ms, bool flush)
{
	struct join_slot *slot;
	int n = 0, r = 0;

	while (r == 0 &&
	       (slot = join_take(machine->join, now_ms, !tick_maker_knows_length(machine->maker), flush))) {
		r = run_tick(machine, slot);
		join_release(machine->join, slot);
		n++;
	}
	if (n && !machine->config->once)
		live_expire(&machine->live, (int64_t)machine->config->expire_ms);
	return r < 0 ? r : n;
}

void machine_complain(struct machine *machine, const char *collection)
{
	const struct machine_counters *n = &machine->n;

	if (machine->complained_energy || n->ticks < COMPLAIN_TICKS || n->unmeasured < n->ticks)
		return;
	machine->complained_energy = true;
	if (n->headless == n->ticks)
		log_warning("machine", 0,
			    "%s: no report of 'all', the whole machine, in %" PRIu64
			    " ticks of '%s': no watts without its energy; is it named differently there?",
			    machine->name, n->ticks, collection);
	else
		log_warning("machine", 0,
			    "%s: no energy in %" PRIu64 " ticks of '%s': no watts without " REPORT_EVENT_PKG
			    " or " REPORT_EVENT_DRAM " in the reports of 'all'; start the sensor with them "
			    "(hwpc-sensor -s rapl -o -e " REPORT_EVENT_PKG ")",
			    machine->name, n->ticks, collection);
}

void machine_catch_up(struct machine *machine)
{
	if (machine->caught_up || machine->newest_ms == INT64_MIN)
		return;
	machine->caught_up = true;
	machine->backlog_ms = machine->newest_ms;
}

double machine_silent_s(const struct machine *machine, int64_t now_ms)
{
	double silent_s = UNIT_S_OF_MS(now_ms - machine->fed_ms), old_s;

	if (!machine->caught_up || machine->newest_ms != machine->backlog_ms)
		return silent_s;
	/* Reports stored before the start were read only now and do not show the present. */
	old_s = UNIT_S_OF_MS(now_ms - machine->newest_ms);
	return old_s > silent_s && old_s < ARCHIVE_S ? old_s : silent_s;
}

bool machine_expire(struct machine *machine, int64_t now_ms)
{
	double silent_s = machine_silent_s(machine, now_ms);

	if (machine->config->once || !machine->fed_ms || !machine->live.time_ms ||
	    silent_s < 3 * machine_interval_s(machine) || silent_s < UNIT_S_OF_MS(machine->config->expire_ms))
		return false;
	machine->live.time_ms++; /* every target counts as gone */
	(void)book_totals(machine);
	live_forget(&machine->live);
	return true;
}

double machine_interval_s(const struct machine *machine)
{
	return machine->interval_s > 0 ? machine->interval_s : machine->config->formula.interval_ms / 1000;
}

struct formula_state machine_describe(const struct machine *machine, enum report_scope scope, unsigned socket)
{
	struct formula_state state = {.error_w = NAN};

	if (machine->config->ops->describe)
		machine->config->ops->describe(machine->formula, scope, socket, &state);
	return state;
}
