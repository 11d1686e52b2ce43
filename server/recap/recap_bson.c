/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Field names of recaps, known only here. Fields of the older listener keep their names, spaces included, and
 * their meaning (the whole machine's joules); our own figures are added.
 */
#include "recap/recap_bson.h"
#include "base/bson_get.h"
#include "document/report_bson.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const domain_names[REPORT_SCOPES] = {"PKG", "DRAM"};
const char *const recap_time_names[RECAP_TIMES] = {"begin", "beginwarmup", "beginexecution", "end"};

void recap_request_done(struct recap_request *request)
{
	for (unsigned i = 0; i < request->n_extras; i++) {
		free(request->extras[i].name);
		free(request->extras[i].value);
	}
	free(request->machine);
	free(request->name);
	free(request->id);
	memset(request, 0, sizeof(*request));
}

/* `_id` of the recap: a run that is posted twice makes one recap. */
static void make_id(const struct recap_request *request, uint8_t ret_id[REPORT_ID_BYTES])
{
	char end[32];

	(void)snprintf(end, sizeof(end), "%.3f", request->window.end_ms);
	report_make_id((int64_t)request->window.begin_ms, request->machine, request->name, request->id, end,
		       ret_id);
}

static void add_double(bson_t *document, const char *key, double value)
{
	if (isfinite(value))
		(void)bson_append_double(document, key, -1, value);
}

/* "warmup_powers_PKG_0": joules of the whole machine; a phase without a sample has no such fields. */
static void add_old_sums(bson_t *document, const struct recap *recap, enum recap_phase phase,
			 const char *word)
{
	char key[64];

	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		for (unsigned i = 0; i < recap->n_sockets; i++) {
			(void)snprintf(key, sizeof(key), "%s_powers_%s_%s", word, domain_names[scope],
				       recap->sockets[i].name);
			add_double(document, key, recap->sockets[i].energy_j[scope][phase]);
		}
	}
}

/* "energy": {"cpu": {"total", "dynamic", "static", "sd"}}; scopes that the machine does not have are left
 * out. */
static void add_energy(bson_t *document, const struct recap *recap, enum recap_phase phase)
{
	bson_t energy, inner;

	bson_append_document_begin(document, "energy", -1, &energy);
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		const struct recap_sum *sum = &recap->target[scope][phase];

		if (!sum->samples && !recap->machine[scope][phase].samples)
			continue;
		bson_append_document_begin(&energy, report_scope_names[scope], -1, &inner);
		add_double(&inner, "total", sum->total_j);
		add_double(&inner, "dynamic", sum->dynamic_j);
		add_double(&inner, "static", sum->static_j);
		add_double(&inner, "sd", recap_sd_j(sum, (enum report_scope)scope));
		bson_append_document_end(&energy, &inner);
	}
	bson_append_document_end(document, &energy);
}

static void add_power(bson_t *document, const struct recap *recap, enum recap_phase phase)
{
	bson_t power, inner;

	bson_append_document_begin(document, "power", -1, &power);
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		const struct recap_sum *sum = &recap->target[scope][phase];

		if (!sum->samples)
			continue;
		bson_append_document_begin(&power, report_scope_names[scope], -1, &inner);
		add_double(&inner, "mean", recap_mean_w(recap, sum, phase));
		add_double(&inner, "max", recap_max_w(recap, sum, phase));
		bson_append_document_end(&power, &inner);
	}
	bson_append_document_end(document, &power);
}

static void add_machine(bson_t *document, const struct recap *recap, enum recap_phase phase)
{
	bson_t machine;

	bson_append_document_begin(document, "machine", -1, &machine);
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		if (recap->machine[scope][phase].samples)
			add_double(&machine, report_scope_names[scope], recap->machine[scope][phase].total_j);
	}
	bson_append_document_end(document, &machine);
}

static void add_phase(bson_t *document, const struct recap *recap, enum recap_phase phase)
{
	unsigned samples = 0;

	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		if (recap->target[scope][phase].samples > samples)
			samples = recap->target[scope][phase].samples;
	}
	add_energy(document, recap, phase);
	add_power(document, recap, phase);
	add_machine(document, recap, phase);
	bson_append_double(document, "duration", -1, recap_phase_s(&recap->window, phase));
	bson_append_double(document, "tick", -1, recap_tick_s(recap, phase));
	bson_append_int32(document, "samples", -1, (int32_t)samples);
}

static void add_old_head(bson_t *document, const struct recap_request *request)
{
	if (request->name[0])
		bson_append_utf8(document, "name", -1, request->name, -1);
	if (request->id[0])
		bson_append_utf8(document, "id", -1, request->id, -1);
	for (unsigned i = 0; i < request->n_extras; i++)
		bson_append_utf8(document, request->extras[i].name, -1, request->extras[i].value, -1);
	for (unsigned i = 0; i < RECAP_TIMES; i++)
		bson_append_date_time(document, recap_time_names[i], -1,
				      (int64_t)llround(request->window.times_ms[i]));
}

int recap_bson_write(bson_t *document, const struct recap_request *request, const struct recap *recap)
{
	char warning[RECAP_WARNING_SIZE];
	uint8_t id[REPORT_ID_BYTES];
	bson_oid_t oid;
	bson_t phase;

	make_id(request, id);
	bson_oid_init_from_data(&oid, id);
	if (!bson_append_oid(document, "_id", -1, &oid))
		return -ENOMEM;
	add_old_head(document, request);
	bson_append_double(document, "warmup time", -1, recap_phase_s(&recap->window, RECAP_WARMUP));
	bson_append_double(document, "execution time", -1, recap_phase_s(&recap->window, RECAP_EXECUTION));
	add_old_sums(document, recap, RECAP_WARMUP, "warmup");
	add_old_sums(document, recap, RECAP_EXECUTION, "execution");
	bson_append_utf8(document, "sensor", -1, request->machine, -1);
	bson_append_date_time(document, "timestamp", -1, (int64_t)llround(request->window.end_ms));
	add_phase(document, recap, RECAP_WHOLE);
	bson_append_document_begin(document, "warmup", -1, &phase);
	add_phase(&phase, recap, RECAP_WARMUP);
	bson_append_document_end(document, &phase);
	bson_append_document_begin(document, "execution", -1, &phase);
	add_phase(&phase, recap, RECAP_EXECUTION);
	bson_append_document_end(document, &phase);
	bson_append_bool(document, "estimated", -1, recap->estimated);
	if (recap->formula)
		bson_append_utf8(document, "formula", -1, recap->formula, -1);
	if (recap_warning(recap, request->machine, warning, sizeof(warning)))
		bson_append_utf8(document, "warning", -1, warning, -1);
	return bson_append_double(document, "coverage", -1, recap_coverage(recap)) ? 0 : -ENOMEM;
}

int recap_bson_write_request(bson_t *list, unsigned index, const struct recap_request *request)
{
	bson_t one, extras;
	char key[12];

	(void)snprintf(key, sizeof(key), "%u", index);
	if (!bson_append_document_begin(list, key, -1, &one))
		return -ENOMEM;
	bson_append_utf8(&one, "machine", -1, request->machine, -1);
	bson_append_utf8(&one, "name", -1, request->name, -1);
	bson_append_utf8(&one, "id", -1, request->id, -1);
	for (unsigned i = 0; i < RECAP_TIMES; i++)
		bson_append_double(&one, recap_time_names[i], -1, request->window.times_ms[i]);
	bson_append_bool(&one, "wholelife", -1, request->whole_life);
	bson_append_document_begin(&one, "extras", -1, &extras);
	for (unsigned i = 0; i < request->n_extras; i++)
		bson_append_utf8(&extras, request->extras[i].name, -1, request->extras[i].value, -1);
	bson_append_document_end(&one, &extras);
	return bson_append_document_end(list, &one) ? 0 : -ENOMEM;
}

static char *copy_string(const bson_t *document, const char *key)
{
	const char *text = bson_get_text(document, key);

	return strdup(text ? text : "");
}

static int read_extras(const bson_t *document, struct recap_request *request)
{
	bson_iter_t iterator, each;

	if (!bson_iter_init_find(&iterator, document, "extras") || !bson_iter_recurse(&iterator, &each))
		return 0;
	while (bson_iter_next(&each) && request->n_extras < RECAP_EXTRAS_MAX) {
		struct recap_extra *extra = &request->extras[request->n_extras];

		if (!BSON_ITER_HOLDS_UTF8(&each))
			return -EINVAL;
		extra->name = strdup(bson_iter_key(&each));
		extra->value = strdup(bson_iter_utf8(&each, NULL));
		request->n_extras++;
		if (!extra->name || !extra->value)
			return -ENOMEM;
	}
	return 0;
}

int recap_bson_read_request(const bson_iter_t *iterator, struct recap_request *ret_request)
{
	double *times_ms = ret_request->window.times_ms;
	bool ordered = true;
	bson_t one;
	int r = -EINVAL;

	memset(ret_request, 0, sizeof(*ret_request));
	if (!bson_get_inner(iterator, &one))
		return -EINVAL;
	ret_request->machine = copy_string(&one, "machine");
	ret_request->name = copy_string(&one, "name");
	ret_request->id = copy_string(&one, "id");
	for (unsigned i = 0; i < RECAP_TIMES; i++) {
		times_ms[i] = bson_get_double(&one, recap_time_names[i]);
		ordered &= i == 0 || times_ms[i - 1] <= times_ms[i];
	}
	ret_request->whole_life = bson_get_bool(&one, "wholelife");
	if (ret_request->machine && ret_request->name && ret_request->id && ordered)
		r = read_extras(&one, ret_request);
	if (r < 0)
		recap_request_done(ret_request);
	return r;
}
