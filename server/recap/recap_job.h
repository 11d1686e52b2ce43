/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making one recap: reads the power reports of the run through the store, page by page, and adds them up.
 */
#pragma once

#include "db/db_client.h"
#include "recap/recap_bson.h"

struct recap_job;

/* `error` NULL: the recap is made. Called once; the job is freed by its owner, not within this call. */
typedef void (*recap_job_done)(void *data, const struct recap *recap, const char *error);

struct recap_job_options {
	struct db_client *client;
	const char *power; /* collection */
	double interval_s; /* longest tick to be expected */
	recap_job_done done;
	void *data;
};

/* The request must outlive the job. NULL if out of memory. */
struct recap_job *recap_job_new(const struct recap_request *request, const struct recap_job_options *options);
/* Only before it begins or after it is done: an answer may be on its way otherwise. */
void recap_job_free(struct recap_job *job);
void recap_job_begin(struct recap_job *job);
