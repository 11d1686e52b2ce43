/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads for a recap: the machine's rows, the container's by its name, by its short ID (its first ticks may
 * have that name), and if neither is found, all rows with its ID. Long runs are read in pages, so that memory
 * stays small.
 */
#include "recap/recap_job.h"

#include "document/report_bson.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE        4000  /* documents */
#define TAIL_MIN_MS 10000 /* after the end; the tick that covers it ends there */
#define LEAD_MS     10000 /* before the start: the engine already works in the container's cgroup */
#define SHORT_ID    12

enum recap_stage { STAGE_MACHINE, STAGE_NAME, STAGE_SHORT_ID, STAGE_ALL, STAGE_DONE };

struct recap_job {
	const struct recap_request *request;
	struct recap_job_options options;
	struct recap recap;
	enum recap_stage stage;
	char short_id[SHORT_ID + 1]; /* its last character is NUL if the ID is too short to be unique */
	struct store_query query;    /* of the stage's next page */
};

struct recap_job *recap_job_new(const struct recap_request *request, const struct recap_job_options *options)
{
	struct recap_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->request = request;
	job->options = *options;
	(void)snprintf(job->short_id, sizeof(job->short_id), "%.12s", request->id);
	return job;
}

void recap_job_free(struct recap_job *job)
{
	free(job);
}

static void read_next(struct recap_job *job);

/* The target that is read at this stage; with STAGE_ALL, NULL means every target. */
static const char *target_of(const struct recap_job *job)
{
	switch (job->stage) {
	case STAGE_MACHINE:
		return REPORT_TARGET_RAPL;
	case STAGE_NAME:
		return job->request->name;
	case STAGE_SHORT_ID:
		return job->short_id;
	default:
		return NULL;
	}
}

/* Is there anything to read at this stage? */
static bool wants(const struct recap_job *job)
{
	switch (job->stage) {
	case STAGE_MACHINE:
		return true;
	case STAGE_NAME:
		return job->request->name[0] != '\0';
	case STAGE_SHORT_ID:
		return job->short_id[SHORT_ID - 1] && strcmp(job->short_id, job->request->name) != 0;
	default:
		return !recap_has_target(&job->recap) && job->short_id[SHORT_ID - 1];
	}
}

static void next(struct recap_job *job, enum recap_stage stage)
{
	const double tail_ms = fmax(TAIL_MIN_MS, 3000 * job->options.interval_s);

	job->stage = stage;
	while (job->stage < STAGE_DONE && !wants(job))
		job->stage++;
	job->query = (struct store_query){
		.collection = job->options.power,
		.after_ms = (int64_t)floor(job->request->window.begin_ms),
		.until_ms = (int64_t)ceil(job->request->window.end_ms + tail_ms),
		.target = target_of(job),
		.limit = PAGE,
	};
	if (stage != STAGE_MACHINE && job->recap.whole_life && job->recap.has_id)
		job->query.after_ms -= LEAD_MS;
	if (job->stage == STAGE_DONE)
		job->options.done(job->options.data, &job->recap, NULL);
	else
		read_next(job);
}

/* A row of another container with the same name, or, if all are read, of any other container. */
static bool skips(const struct recap_job *job, const struct report_power *row)
{
	bool has_id = row->container_id && row->container_id[0];
	bool same = has_id && strncmp(row->container_id, job->short_id, SHORT_ID) == 0;

	if (job->stage == STAGE_ALL)
		return !same;
	return job->stage != STAGE_MACHINE && job->short_id[SHORT_ID - 1] && has_id && !same;
}

static void add(struct recap_job *job, const struct batch *documents)
{
	struct report_power row;
	size_t offset = 0;

	while (report_bson_next_power(documents, &offset, &row)) {
		if (!skips(job, &row))
			recap_add(&job->recap, &row, job->stage == STAGE_MACHINE, job->options.interval_s);
		else if (job->stage == STAGE_NAME)
			recap_note_other(&job->recap, &row);
	}
}

static void answered(void *data, const struct db_answer *answer)
{
	struct recap_job *job = data;

	if (answer->result != STORE_OK) {
		job->options.done(job->options.data, NULL, answer->error);
		return;
	}
	add(job, answer->documents);
	if (store_query_continue(&job->query, &answer->read, answer->documents))
		read_next(job);
	else
		next(job, job->stage + 1);
}

static void read_next(struct recap_job *job)
{
	if (db_client_read(job->options.client, &job->query, answered, job) < 0)
		job->options.done(job->options.data, NULL, "the store's process has exited");
}

void recap_job_begin(struct recap_job *job)
{
	recap_init(&job->recap, &job->request->window);
	job->recap.whole_life = job->request->whole_life;
	job->recap.formula = job->options.formula;
	job->recap.has_id = job->short_id[SHORT_ID - 1] != '\0';
	next(job, STAGE_MACHINE);
}
