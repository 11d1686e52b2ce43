/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Position and model as a document. Both are written together, after the power reports that they cover: work
 * repeated after a crash creates the same documents with the same _id.
 */
#include "machine/state.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define STATE_VERSION 1

static void make_id(const struct machine *machine, char *ret, size_t size)
{
	(void)snprintf(ret, size, "%s:%s", machine->config->ops->name, machine->name);
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
	/* Of several sensors in one collection: whose reports these are. */
	if (machine->sensor[0])
		bson_append_utf8(&document, "source", -1, machine->sensor, -1);
	bson_append_utf8(&document, "formula", -1, machine->config->ops->name, -1);
	bson_append_int32(&document, "version", -1, STATE_VERSION);
	bson_append_date_time(&document, "position", -1, machine->time_ms);
	bson_append_double(&document, "interval", -1, machine->interval_s);
	bson_append_int64(&document, "ticks", -1, (int64_t)machine->n.ticks);
	bson_append_document_begin(&document, "model", -1, &model);
	r = machine->config->ops->save(machine->formula, &model);
	bson_append_document_end(&document, &model);
	if (r == 0)
		r = batch_append(batch, bson_get_data(&document), document.len);
	bson_destroy(&document);
	return r;
}

static bool has_id(const bson_t *document, const char *id)
{
	bson_iter_t iterator;

	return bson_iter_init_find(&iterator, document, "_id") && BSON_ITER_HOLDS_UTF8(&iterator) &&
	       strcmp(bson_iter_utf8(&iterator, NULL), id) == 0;
}

unsigned state_count(const struct batch *documents, const char *formula)
{
	size_t offset = 0, length, prefix = strlen(formula);
	const uint8_t *data;
	bson_iter_t iterator;
	bson_t document;
	unsigned n = 0;

	while (batch_next(documents, &offset, &data, &length) == 1)
		n += bson_init_static(&document, data, length) &&
		     bson_iter_init_find(&iterator, &document, "_id") && BSON_ITER_HOLDS_UTF8(&iterator) &&
		     strncmp(bson_iter_utf8(&iterator, NULL), formula, prefix) == 0 &&
		     bson_iter_utf8(&iterator, NULL)[prefix] == ':';
	return n;
}

static int take_model(struct machine *machine, const bson_t *document, struct reason *why)
{
	bson_iter_t iterator;
	const uint8_t *data;
	uint32_t length;
	bson_t model;
	int r = -EINVAL;

	if (bson_iter_init_find(&iterator, document, "model") && BSON_ITER_HOLDS_DOCUMENT(&iterator)) {
		bson_iter_document(&iterator, &length, &data);
		if (bson_init_static(&model, data, length))
			r = machine->config->ops->load(machine->formula, &model, why);
	} else {
		reason_set(why, 0, "the stored state has no model");
	}
	if (r < 0)
		(void)machine_forget_model(machine);
	return r;
}

static int take(struct machine *machine, const bson_t *document, struct reason *why)
{
	double interval_s = 0;
	bson_iter_t iterator;

	if (!bson_iter_init_find(&iterator, document, "version") || !BSON_ITER_HOLDS_INT32(&iterator) ||
	    bson_iter_int32(&iterator) != STATE_VERSION)
		return reason_set(why, -EINVAL, "the stored state has another version");
	if (bson_iter_init_find(&iterator, document, "interval") && BSON_ITER_HOLDS_DOUBLE(&iterator))
		interval_s = bson_iter_double(&iterator);
	if (bson_iter_init_find(&iterator, document, "source") && BSON_ITER_HOLDS_UTF8(&iterator))
		(void)snprintf(machine->sensor, sizeof(machine->sensor), "%s",
			       bson_iter_utf8(&iterator, NULL));
	if (!bson_iter_init_find(&iterator, document, "position") || !BSON_ITER_HOLDS_DATE_TIME(&iterator))
		return reason_set(why, -EINVAL, "the stored state has no position");
	machine->resumed_ms = machine->time_ms = bson_iter_date_time(&iterator);
	machine->interval_s = interval_s > 0 && interval_s < 1e6 ? interval_s : 0;
	join_set_position(machine->join, machine->time_ms);
	tick_maker_set_position(machine->maker, machine->time_ms, machine->interval_s);
	return take_model(machine, document, why);
}

int state_load(struct machine *machine, const struct batch *documents, struct reason *why)
{
	const uint8_t *data;
	size_t offset = 0, length;
	char id[512];
	bson_t document;
	int r;

	make_id(machine, id, sizeof(id));
	while (batch_next(documents, &offset, &data, &length) == 1) {
		if (!bson_init_static(&document, data, length) || !has_id(&document, id))
			continue;
		r = take(machine, &document, why);
		return r < 0 ? r : 1;
	}
	return 0;
}
