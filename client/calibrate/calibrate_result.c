/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the power reports and the model from the private store of a calibration run, and writes the
 * calibration to another store. Called by client_calibrate.c after sensor and server have ended.
 */
#include "calibrate/calibrate_result.h"
#include "document/collections.h"
#include "document/report_bson.h"
#include "base/bson_get.h"
#include "store/store.h"

#include <bson/bson.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define READ_DOCUMENTS 5000
#define FORMULA        "pooled" /* the only one with priors */

static void add_power(struct calibrate_result *result, const struct report_power *power)
{
	int64_t from_ms = power->time_ms - (int64_t)llround(1000 * power->interval_s);
	int phase =
		calibrate_find(result->begin_ms, result->end_ms, result->settle_ms, from_ms, power->time_ms);
	struct calibrate_seen *seen;

	if (strcmp(power->target, REPORT_TARGET_RAPL) == 0)
		result->estimated |= power->estimated;
	if (phase < 0 || !isfinite(power->energy_j) || power->scope >= REPORT_SCOPES)
		return;
	seen = &result->seen[power->scope][phase];
	if (strcmp(power->target, REPORT_TARGET_RAPL) == 0) {
		/* Counted once, not per socket; their rows follow each other. */
		seen->seconds += power->time_ms != result->last_ms[power->scope] ? power->interval_s : 0;
		result->last_ms[power->scope] = power->time_ms;
		seen->machine_j += power->energy_j;
	}
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		if (strcmp(power->target, result->targets[kind]) == 0)
			seen->load_j[kind] += power->energy_j;
}

static int read_reports(struct calibrate_result *result, struct store *store, const char *machine,
			struct reason *why)
{
	char name[COLLECTION_SIZE];
	struct store_query query = {.collection = collection_compose(COLLECTION_POWER, machine, name),
				    .after_ms = INT64_MIN,
				    .until_ms = INT64_MAX,
				    .limit = READ_DOCUMENTS};
	struct store_read progress = {0};
	struct batch documents = {0};
	struct report_power power;
	int r = 0;

	do {
		size_t offset = 0;

		batch_clear(&documents);
		if (store_read(store, &query, &documents, &progress) != STORE_OK) {
			r = reason_set(why, -EIO, "cannot read the power reports: %s", store_error(store));
			break;
		}
		while (report_bson_next_power(&documents, &offset, &power))
			add_power(result, &power);
	} while (store_query_continue(&query, &progress, &documents));
	batch_done(&documents);
	return r;
}

static int count_readings(const struct calibrate_result *result, unsigned phase,
			  const struct batch *documents)
{
	struct report_power power;
	int64_t last_ms = INT64_MIN;
	size_t offset = 0;
	int n = 0;

	while (report_bson_next_power(documents, &offset, &power)) {
		int64_t from_ms;

		if (power.scope != REPORT_SCOPE_CPU || power.time_ms == last_ms || !isfinite(power.energy_j))
			continue;
		last_ms = power.time_ms;
		from_ms = power.time_ms - (int64_t)llround(1000 * power.interval_s);
		n += from_ms >= result->begin_ms[phase] + result->settle_ms;
	}
	return n;
}

int calibrate_result_count(const struct calibrate_result *result, unsigned phase, const char *uri,
			   const char *machine, struct reason *why)
{
	char name[COLLECTION_SIZE];
	struct store_query query = {.collection = collection_compose(COLLECTION_POWER, machine, name),
				    .after_ms = result->begin_ms[phase],
				    .until_ms = INT64_MAX,
				    .target = REPORT_TARGET_RAPL,
				    .limit = READ_DOCUMENTS};
	struct store_options options = {.flags = STORE_READ};
	struct store_read progress = {0};
	struct batch documents = {0};
	struct store *store;
	int r = store_open(uri, &options, &store, why);

	if (r < 0)
		return r;
	/* The server writes at the same time; a failed read can be repeated later. */
	if (store_read(store, &query, &documents, &progress) == STORE_OK)
		r = count_readings(result, phase, &documents);
	batch_done(&documents);
	store_close(store);
	return r;
}

int calibrate_result_read(struct calibrate_result *result, const char *uri, const char *machine,
			  struct reason *why)
{
	struct store_options options = {.flags = STORE_READ};
	struct store *store;
	int r = store_open(uri, &options, &store, why);

	if (r < 0)
		return r;
	r = read_reports(result, store, machine, why);
	store_close(store);
	for (unsigned scope = 0; scope < REPORT_SCOPES && r == 0; scope++)
		result->judged[scope] = calibrate_judge(result->seen[scope], &result->errors[scope]);
	for (unsigned scope = 0; scope < REPORT_SCOPES && result->n_cpus == 1; scope++)
		result->errors[scope].percent = NAN;
	if (r == 0 && !result->judged[REPORT_SCOPE_CPU])
		r = reason_set(
			why, -ENODATA,
			"not every phase has readings of the machine's energy, though each had them while it "
			"ran; was the clock changed? Calibrate again");
	return r;
}

static void add_errors(bson_t *document, const struct calibrate_result *result)
{
	bson_t errors;

	bson_append_document_begin(document, "error", -1, &errors);
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		if (result->judged[scope] && isfinite(result->errors[scope].percent))
			bson_append_double(&errors, report_scope_names[scope], -1,
					   result->errors[scope].percent);
	bson_append_document_end(document, &errors);
}

static int make_document(const struct calibrate_result *result, const struct calibrate_place *place,
			 const bson_t *model, struct batch *batch)
{
	bson_t document = BSON_INITIALIZER;
	char id[512];
	int r;

	(void)snprintf(id, sizeof(id), CALIBRATION_ID "%s", place->name);
	bson_append_utf8(&document, "_id", -1, id, -1);
	bson_append_date_time(&document, "timestamp", -1, place->now_ms);
	bson_append_utf8(&document, "sensor", -1, place->name, -1);
	bson_append_utf8(&document, "formula", -1, FORMULA, -1);
	bson_append_int32(&document, "version", -1, CALIBRATION_VERSION);
	bson_append_utf8(&document, "energy_source", -1, result->energy_source, -1);
	bson_append_bool(&document, "estimated", -1, result->estimated);
	add_errors(&document, result);
	bson_append_document(&document, "model", -1, model);
	r = batch_append(batch, bson_get_data(&document), document.len);
	bson_destroy(&document);
	return r;
}

/* Reads the state of the run's server and makes the document to store. */
int calibrate_result_take(const struct calibrate_result *result, const struct calibrate_place *place,
			  struct batch *ret, struct reason *why)
{
	struct store_options options = {.flags = STORE_READ};
	struct batch states = {0};
	struct store *store;
	bson_t document, model;
	size_t offset = 0;
	char id[300];
	int r = store_open(place->from, &options, &store, why);

	if (r < 0)
		return r;
	(void)snprintf(id, sizeof(id), FORMULA ":%s", place->machine);
	r = reason_set(why, -ENODATA,
		       "the server saved no model of formula " FORMULA "; is another one configured?");
	if (store_get(store, collection_prefix(COLLECTION_STATE), id, &states) != STORE_OK)
		r = reason_set(why, -EIO, "cannot read the model: %s", store_error(store));
	else if (batch_next_bson(&states, &offset, &document) &&
		 bson_get_document(&document, "model", &model, why) == 0)
		r = make_document(result, place, &model, ret);
	batch_done(&states);
	store_close(store);
	return r;
}

int calibrate_result_put(const struct calibrate_place *place, const struct batch *document,
			 struct reason *why)
{
	struct store_options options = {.database = place->database, .flags = STORE_WRITE};
	struct store *store;
	int r = store_open(place->to, &options, &store, why);

	if (r < 0)
		return r;
	if (store_put(store, collection_prefix(COLLECTION_STATE), document) != STORE_OK)
		r = reason_set(why, -EIO, "cannot store the calibration: %s", store_error(store));
	store_close(store);
	return r;
}

int calibrate_result_try(const struct calibrate_place *place, struct reason *why)
{
	struct store_options options = {.database = place->database, .flags = STORE_WRITE};
	struct batch found = {0};
	struct store *store;
	int r = store_open(place->to, &options, &store, why);

	if (r < 0)
		return r;
	if (store_get(store, collection_prefix(COLLECTION_STATE), CALIBRATION_ID, &found) != STORE_OK)
		r = reason_set(why, -EIO, "the calibration could not be stored: %s", store_error(store));
	batch_done(&found);
	store_close(store);
	return r;
}
