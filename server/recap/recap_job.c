/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads for a recap: the machine's rows, the container's by its name, by its short id (as its first ticks may
 * be named), and where neither is found all rows with its id. Long runs are read in pages, so that memory
 * stays small.
 */
#include "recap/recap_job.h"

#include "document/report_bson.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_FIRST  4000 /* documents */
#define PAGE_MAX    4000000
#define TAIL_MIN_MS 10000 /* after the end; the tick that covers it ends there */
#define LEAD_MS                                                                                              \
	10000 /* before the start: what an engine does in the cgroup of a container that it is about to      \
		 start */
#define SHORT_ID 12

enum recap_stage { STAGE_MACHINE, STAGE_NAME, STAGE_SHORT_ID, STAGE_ALL, STAGE_DONE };

struct recap_job {
	const struct recap_request *request;
	struct recap_job_options options;
	struct recap recap;
	enum recap_stage stage;
	char short_id[SHORT_ID +
		      1]; /* its last character is NUL where the id is too short to tell containers apart */
	int64_t after_ms;
	unsigned limit;
	unsigned n_bad;
	struct reason why;
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

/* What is read at this stage; NULL with STAGE_ALL means every target. */
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

static bool has_target(const struct recap_job *job)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		if (job->recap.target[scope][RECAP_WHOLE].samples)
			return true;
	}
	return false;
}

/* Is there anything to be read at this stage? */
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
		return !has_target(job) && job->short_id[SHORT_ID - 1];
	}
}

static void next(struct recap_job *job, enum recap_stage stage)
{
	job->stage = stage;
	job->after_ms = (int64_t)floor(job->request->window.begin_ms);
	if (stage != STAGE_MACHINE && job->recap.whole_life && job->recap.has_id)
		job->after_ms -= LEAD_MS;
	job->limit = PAGE_FIRST;
	while (job->stage < STAGE_DONE && !wants(job))
		job->stage++;
	if (job->stage == STAGE_DONE)
		job->options.done(job->options.data, &job->recap, NULL);
	else
		read_next(job);
}

/* A row of another container with the same name, or, where all are read, of another container at all. */
static bool skips(const struct recap_job *job, const struct report_power *row)
{
	bool has_id = row->container_id && row->container_id[0];
	bool same = has_id && strncmp(row->container_id, job->short_id, SHORT_ID) == 0;

	if (job->stage == STAGE_ALL)
		return !same;
	return job->stage != STAGE_MACHINE && job->short_id[SHORT_ID - 1] && has_id && !same;
}

static int64_t last_time(struct recap_job *job, const struct batch *documents)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	int64_t last_ms = INT64_MIN;

	while (batch_next(documents, &offset, &document, &length) == 1) {
		if (report_bson_decode_power(document, length, &row, &job->why) == 0)
			last_ms = row.time_ms;
	}
	return last_ms;
}

/* Adds the rows; those of `until_ms` and later are left for the next page. */
static void add(struct recap_job *job, const struct batch *documents, int64_t until_ms)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;

	while (batch_next(documents, &offset, &document, &length) == 1) {
		if (report_bson_decode_power(document, length, &row, &job->why) < 0) {
			job->n_bad++;
			continue;
		}
		if (row.time_ms >= until_ms)
			continue;
		if (!skips(job, &row))
			recap_add(&job->recap, &row, job->stage == STAGE_MACHINE, job->options.interval_s);
		else if (job->stage == STAGE_NAME)
			recap_note_other(&job->recap, &row);
	}
}

static void answered(void *data, const struct db_answer *answer)
{
	struct recap_job *job = data;
	int64_t last_ms;

	if (answer->result != STORE_OK) {
		job->options.done(job->options.data, NULL, answer->error);
		return;
	}
	if (answer->read.end) {
		add(job, answer->documents, INT64_MAX);
		next(job, job->stage + 1);
		return;
	}
	/* The page may have cut the rows of its last time apart. */
	last_ms = last_time(job, answer->documents);
	if (last_ms - 1 > job->after_ms) {
		add(job, answer->documents, last_ms);
		job->after_ms = last_ms - 1;
	} else if (job->limit < PAGE_MAX) {
		job->limit *= 4;
	} else {
		job->options.done(job->options.data, NULL, "too many power reports of one time");
		return;
	}
	read_next(job);
}

static void read_next(struct recap_job *job)
{
	double tail_ms = fmax(TAIL_MIN_MS, 3000 * job->options.interval_s);
	struct store_query query = {
		.collection = job->options.power,
		.after_ms = job->after_ms,
		.until_ms = (int64_t)ceil(job->request->window.end_ms + tail_ms),
		.target = target_of(job),
		.limit = job->limit,
	};

	if (db_client_read(job->options.client, &query, answered, job) < 0)
		job->options.done(job->options.data, NULL, "the store's process has exited");
}

void recap_job_begin(struct recap_job *job)
{
	recap_init(&job->recap, &job->request->window);
	job->recap.whole_life = job->request->whole_life;
	job->recap.has_id = job->short_id[SHORT_ID - 1] != '\0';
	next(job, STAGE_MACHINE);
}
