/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses and checks the parameters of a recap's request. Pure: untrusted text in, a request or a reason out.
 */
#pragma once

#include "base/reason.h"
#include "recap/recap_bson.h"

struct recap_query {
	struct recap_request request;
	bool async;
	double timeout_s;        /* of this request; NAN: not given */
	bool text;               /* answer as text */
	bool times[RECAP_TIMES]; /* which of the four times were given */
	struct reason error;     /* the first one */
};

/* Starts a query for this machine. -ENOMEM. */
int recap_query_init(struct recap_query *query, const char *machine);
/* Adds one parameter; the first of a name wins. Errors are kept in `error`. */
void recap_query_add(struct recap_query *query, const char *name, const char *value);
/* Checks the whole. 0, or -EINVAL with `error`. `now_ms`: an end far ahead is refused. */
int recap_query_finish(struct recap_query *query, int64_t now_ms);
void recap_query_done(struct recap_query *query);
