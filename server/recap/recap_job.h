/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making one recap: reads the power reports of the run through the store, page by page, and adds them up.
 */
#pragma once

#include "db/db_client.h"
#include "recap/recap_bson.h"

struct recap_job;

/* `error` NULL: the recap is complete. Called once; the owner frees the job, but not within this call. */
typedef void (*recap_job_done)(void *data, const struct recap *recap, const char *error);

struct recap_job_options {
	struct db_client *client;
	const char *power;   /* collection */
	double interval_s;   /* longest expected tick */
	const char *formula; /* for the recap; NULL: not known */
	recap_job_done done;
	void *data;
};

/* The request must outlive the job. NULL if out of memory. */
struct recap_job *recap_job_new(const struct recap_request *request, const struct recap_job_options *options);
/* Only before it begins or after it is done; otherwise an answer may still arrive. */
void recap_job_free(struct recap_job *job);
void recap_job_begin(struct recap_job *job);
