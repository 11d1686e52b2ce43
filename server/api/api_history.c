/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/history: power over time from the store, down-sampled here. A range with few ticks is read
 * completely, page by page; in a longer one each step is represented by one of its ticks, so that the cost of
 * an answer depends on the number of points and not on the range. One read at a time, so that ticks have
 * priority.
 */
#include "api/api_private.h"
#include "base/clock.h"
#include "base/text.h"
#include "document/report_bson.h"
#include "history/history.h"
#include "base/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define POINTS_DEFAULT  300
#define TOP_DEFAULT     20
#define TOP_MAX         200
#define RANGE_DEFAULT_S 300.0
#define PAGE            4000 /* documents */
#define WHOLE_TICKS     4    /* up to this many ticks per step, everything is read */
#define JOBS_MAX        4
#define TARGET_ROWS     64 /* rows of one target in one tick, at most */

struct history_job {
	struct api *api;
	struct http_request *http; /* NULL: the client is gone */
	struct history history;
	const struct machine *machine;
	const char *target; /* of the request; NULL: all */
	unsigned top;
	bool sampled;
	unsigned point;           /* sampled: the step that is read */
	struct store_query query; /* of the next page or sample */
	double interval_s;
};

static void job_free(struct history_job *job)
{
	job->api->n_history_jobs--;
	history_done(&job->history);
	free(job);
}

static json_t *watts_json(const struct history *history, const float *energy_j, const float *covered_s)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < history->n_points; i++)
		(void)json_array_append_new(list, api_number(history_watts(energy_j, covered_s, i)));
	return list;
}

static json_t *series_json(const struct history_job *job, const struct history_series *series)
{
	const struct history *history = &job->history;
	/* On its own page a target is shown only while it existed; in a stack it adds nothing before and
	 * after. */
	const float *covered_s = job->target ? series->covered_s : history->covered_s;

	/* The energy of the samples is not the energy of the range. */
	return json_pack("{ss ss? so so so so so}", "target", series->name, "container_id",
			 series->container_id[0] ? series->container_id : NULL, "energy_j",
			 api_number(job->sampled ? NAN : series->total_j), "sd_j",
			 api_number(job->sampled ? NAN : error_bar_energy_sd_j(&series->bar)), "watts",
			 watts_json(history, series->energy_j, covered_s), "dynamic",
			 watts_json(history, series->dynamic_j, covered_s), "sd",
			 watts_json(history, series->bar.sd_j, covered_s));
}

static json_t *job_json(struct history_job *job)
{
	struct history *history = &job->history;
	json_t *times = json_array(), *targets = json_array();
	unsigned n = 0;

	history_finish(history, job->top, !job->target);
	for (unsigned i = 0; i < history->n_points; i++)
		(void)json_array_append_new(
			times, json_real(((double)history->from_ms + history->step_ms * (i + 1)) / 1000));
	for (const struct history_series *series = history->series; series && n < job->top;
	     series = series->hh.next, n++)
		(void)json_array_append_new(targets, series_json(job, series));
	return json_pack("{ss sf sb so so si so so so so}", "sensor", job->machine->name, "step",
			 history->step_ms / 1000, "sampled", job->sampled, "times", times, "targets", targets,
			 "n_targets", (int)history->n_series, "others",
			 watts_json(history, history->others_j, history->covered_s), "others_sd",
			 watts_json(history, history->others_sd_j, history->covered_s), "measured",
			 watts_json(history, history->measured_j, history->covered_s), "error",
			 watts_json(history, history->error_j, history->covered_s));
}

static void finish(struct history_job *job, const char *error)
{
	if (job->http && error)
		http_answer_error(job->http, 503, "cannot read the history from the store: %s", error);
	else if (job->http)
		api_answer_json(job->http, 200, job_json(job));
	job_free(job);
}

static void read_next(struct history_job *job);

/* Adds the rows; for a sample, only those of its first tick. */
static void add_rows(struct history_job *job, const struct batch *documents)
{
	struct report_power row;
	int64_t first_ms = INT64_MIN;
	size_t offset = 0;

	while (report_bson_next_power(documents, &offset, &row)) {
		if (first_ms == INT64_MIN)
			first_ms = row.time_ms;
		if (!job->sampled || row.time_ms == first_ms)
			(void)history_add(&job->history, &row, job->interval_s);
	}
}

/* False: everything has been read. */
static bool set_next_query(struct history_job *job, const struct db_answer *answer)
{
	const struct history *history = &job->history;

	if (!job->sampled)
		return store_query_continue(&job->query, &answer->read, answer->documents);
	job->query.after_ms = job->query.until_ms;
	job->query.until_ms = history->from_ms + (int64_t)(history->step_ms * (++job->point + 1));
	return job->point < history->n_points;
}

static void answered(void *data, const struct db_answer *answer)
{
	struct history_job *job = data;

	if (!job->http || answer->result != STORE_OK) {
		finish(job, answer->error);
		return;
	}
	add_rows(job, answer->documents);
	if (set_next_query(job, answer))
		read_next(job);
	else
		finish(job, NULL);
}

static void read_next(struct history_job *job)
{
	if (db_client_read(job->api->server->output, &job->query, answered, job) < 0)
		finish(job, "its process has exited");
}

/* A numeric parameter within limits; false: a 400 has been sent. */
static bool take_number(struct http_request *request, const char *name, double least, double most,
			double *value)
{
	const char *text = http_request_parameter(request, name);
	double number;

	if (!text || !text[0])
		return true;
	if (text_parse_double(text, &number) < 0 || !(number >= least && number <= most)) {
		http_answer_error(request, 400, "%s='%.32s': give a number from %.15g to %.15g", name, text,
				  least, most);
		return false;
	}
	*value = number;
	return true;
}

static bool take_scope(struct http_request *request, int *scope)
{
	const char *text = http_request_parameter(request, "scope");

	if (!text || !text[0] || strcmp(text, "all") == 0)
		return true;
	for (int i = 0; i < REPORT_SCOPES_ALL; i++) {
		if (strcmp(text, report_scope_names[i]) == 0) {
			*scope = i;
			return true;
		}
	}
	http_answer_error(request, 400, "scope='%.32s': there is no such scope; leave it out for all", text);
	return false;
}

struct history_query {
	double from_s, until_s, points, top;
	int scope;
};

static bool take_query(struct http_request *request, struct history_query *query)
{
	const double latest_s = 253402300799.0; /* the end of the year 9999 */

	*query = (struct history_query){.until_s = UNIT_S_OF_MS(clock_realtime_ms()),
					.points = POINTS_DEFAULT,
					.top = TOP_DEFAULT,
					.scope = -1};
	if (!take_number(request, "until", 0, latest_s, &query->until_s))
		return false;
	query->from_s = fmax(0, query->until_s - RANGE_DEFAULT_S);
	if (!take_number(request, "from", 0, latest_s, &query->from_s) ||
	    !take_number(request, "points", 1, HISTORY_POINTS_MAX, &query->points) ||
	    !take_number(request, "top", 0, TOP_MAX, &query->top) || !take_scope(request, &query->scope))
		return false;
	if (query->until_s - query->from_s >= 0.001)
		return true;
	http_answer_error(request, 400, "'from' must be earlier than 'until'; both are seconds since 1970");
	return false;
}

static struct history_job *job_new(struct api *api, const struct machine *machine,
				   const struct history_query *query, const char *target)
{
	struct history_job *job = calloc(1, sizeof(*job));
	double span_ms = (query->until_s - query->from_s) * 1000;

	if (!job)
		return NULL;
	api->n_history_jobs++;
	job->api = api;
	job->interval_s = machine_interval_s(machine);
	job->top = (unsigned)query->top;
	job->sampled = span_ms / (1000 * job->interval_s) > WHOLE_TICKS * query->points;
	job->machine = machine;
	job->target = target && target[0] ? target : NULL;
	job->query = (struct store_query){.collection = machine->power,
					  .after_ms = (int64_t)(query->from_s * 1000),
					  .until_ms = (int64_t)(query->until_s * 1000),
					  .target = job->target,
					  .limit = PAGE};
	if (history_init(&job->history, job->query.after_ms, job->query.until_ms, query->scope,
			 (unsigned)query->points, 2000 * job->interval_s) == 0) {
		if (job->sampled) {
			job->query.until_ms = job->query.after_ms + (int64_t)job->history.step_ms;
			job->query.limit =
				job->target ? TARGET_ROWS : 1; /* a limit of 1 returns the whole tick */
		}
		return job;
	}
	job_free(job);
	return NULL;
}

void api_get_history(struct http_request *request, void *data)
{
	struct api *api = data;
	struct history_query query;
	struct history_job *job;
	const struct machine *machine = api_find_parameter(api, request, "sensor", NULL);

	if (!machine || !take_query(request, &query))
		return;
	if (api->n_history_jobs >= JOBS_MAX) {
		http_answer_error(request, 503, "%d histories are already being read; try again in a moment",
				  JOBS_MAX);
		return;
	}
	job = job_new(api, machine, &query, http_request_parameter(request, "target"));
	if (!job) {
		http_answer_error(request, 500, "out of memory for the history");
		return;
	}
	job->http = request;
	if (http_wait(request, api_gone, &job->http) < 0)
		job_free(job);
	else
		read_next(job);
}
