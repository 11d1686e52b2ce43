/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Query of POST /<database>/<machine>: name, id, four times in epoch seconds, and anything else, which is
 * copied into the recap. Each error names the field and the fix.
 */
#include "recap/recap_query.h"
#include "base/cleanup.h"

#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define SECONDS_MAX   1e11 /* a larger number is probably in milliseconds */
#define VALUE_MAX     1024
#define TIMEOUT_MAX_S 3600.0

/* Fields of a recap that are ours: a parameter of that name would hide them. */
static const char *const own_names[] = {
	"_id",    "warmup time", "execution time", "sensor",  "timestamp", "energy",
	"power",  "machine",     "duration",       "samples", "coverage",  "estimated",
	"warmup", "execution",   "warning",        "formula", "tick",
};

int recap_query_init(struct recap_query *query, const char *machine)
{
	memset(query, 0, sizeof(*query));
	query->timeout_s = NAN;
	query->request.machine = strdup(machine);
	return query->request.machine ? 0 : -ENOMEM;
}

void recap_query_done(struct recap_query *query)
{
	recap_request_done(&query->request);
}

/* The first error counts. */
#define FAIL(query, ...) ((void)((query)->error.text[0] || reason_set(&(query)->error, 0, __VA_ARGS__)))

static void take_time(struct recap_query *query, unsigned which, const char *value)
{
	double seconds;

	if (query->times[which])
		return;
	if (text_parse_double(value, &seconds) < 0 || seconds < 0)
		FAIL(query,
		     "%s='%.64s' is not a time: give seconds since 1970, as in 1700000000 or 1700000000.25",
		     recap_time_names[which], value);
	else if (seconds > SECONDS_MAX)
		FAIL(query, "%s=%.64s is too late: give seconds, not milliseconds", recap_time_names[which],
		     value);
	else
		query->request.window.times_ms[which] = seconds * 1000;
	query->times[which] = true;
}

static void take_extra(struct recap_query *query, const char *name, const char *value)
{
	struct recap_request *request = &query->request;
	struct recap_extra *extra = &request->extras[request->n_extras];
	struct reason why;

	for (unsigned i = 0; i < request->n_extras; i++) {
		if (strcmp(request->extras[i].name, name) == 0)
			return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(own_names); i++) {
		if (strcmp(name, own_names[i]) == 0)
			FAIL(query, "the parameter '%s' is a field of the recap itself: use another name",
			     name);
	}
	if (strstr(name, "_powers_"))
		FAIL(query, "the parameter '%.64s' is a field of the recap itself: use another name", name);
	if (report_check_key(name, &why) < 0)
		FAIL(query, "the parameter '%.64s' cannot be a field: %.120s", name, why.text);
	if (strlen(value) > VALUE_MAX)
		FAIL(query, "the parameter '%.64s' is longer than %d bytes", name, VALUE_MAX);
	if (request->n_extras == RECAP_EXTRAS_MAX)
		FAIL(query, "more than %d additional parameters", RECAP_EXTRAS_MAX);
	if (query->error.text[0])
		return;
	extra->name = strdup(name);
	extra->value = strdup(value);
	request->n_extras++;
	if (!extra->name || !extra->value)
		FAIL(query, "out of memory");
}

static void take_string(struct recap_query *query, const char *name, const char *value, char **field)
{
	if (*field)
		return;
	if (strlen(value) > VALUE_MAX)
		FAIL(query, "%s is longer than %d bytes", name, VALUE_MAX);
	else
		*field = strdup(value);
}

void recap_query_add(struct recap_query *query, const char *name, const char *value)
{
	/* A parameter without a value counts as not given. */
	if (!value[0])
		return;
	for (unsigned i = 0; i < RECAP_TIMES; i++) {
		if (strcmp(name, recap_time_names[i]) == 0) {
			take_time(query, i, value);
			return;
		}
	}
	if (strcmp(name, "name") == 0) {
		take_string(query, name, value, &query->request.name);
	} else if (strcmp(name, "id") == 0) {
		take_string(query, name, value, &query->request.id);
	} else if (strcmp(name, "async") == 0 || strcmp(name, "wholelife") == 0) {
		if (text_parse_bool(value, name[0] == 'a' ? &query->async : &query->request.whole_life) < 0)
			FAIL(query, "%s='%.32s': give 1 or 0", name, value);
	} else if (strcmp(name, "timeout") == 0) {
		if (text_parse_double(value, &query->timeout_s) < 0 || query->timeout_s < 0 ||
		    query->timeout_s > TIMEOUT_MAX_S)
			FAIL(query, "timeout='%.32s': give seconds from 0 to %.0f", value, TIMEOUT_MAX_S);
	} else if (strcmp(name, "format") == 0) {
		query->text = strcmp(value, "text") == 0;
		if (!query->text && strcmp(value, "json") != 0)
			FAIL(query, "format='%.32s': give json or text", value);
	} else {
		take_extra(query, name, value);
	}
}

static void check_order(struct recap_query *query)
{
	const double *times_ms = query->request.window.times_ms;

	for (unsigned i = 1; i < RECAP_TIMES; i++) {
		if (times_ms[i - 1] > times_ms[i])
			FAIL(query, "%s is before %s: the order is begin, beginwarmup, beginexecution, end",
			     recap_time_names[i], recap_time_names[i - 1]);
	}
}

int recap_query_finish(struct recap_query *query, int64_t now_ms)
{
	struct recap_request *request = &query->request;
	struct recap_window *window = &request->window;

	for (unsigned i = 0; i < RECAP_TIMES; i++) {
		/* A run without markers: everything is execution. */
		if (!query->times[i] && (i == 0 || i == RECAP_TIMES - 1))
			FAIL(query, "%s is missing: give seconds since 1970", recap_time_names[i]);
		else if (!query->times[i])
			window->times_ms[i] = window->times_ms[i - 1];
	}
	if (!request->name && !request->id)
		FAIL(query, "name is missing: give the container's name, or its ID as id");
	if (!query->error.text[0])
		check_order(query);
	if (!query->error.text[0] && window->end_ms > (double)now_ms + RECAP_AHEAD_MAX_MS)
		FAIL(query, "end is more than an hour ahead of this server's clock: check both clocks");
	if (!request->name)
		request->name = strdup("");
	if (!request->id)
		request->id = strdup("");
	if (!request->name || !request->id)
		FAIL(query, "out of memory");
	return query->error.text[0] ? -EINVAL : 0;
}
