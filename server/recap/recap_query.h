/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parameters of a recap's request, taken apart and checked. Pure: foreign text in, a request or a reason
 * out.
 */
#pragma once

#include "recap/recap_bson.h"

struct recap_query {
	struct recap_request request;
	bool async;
	double timeout_s; /* of this request; NAN: not given */
	bool text;        /* the answer is for people */
	bool times[4];    /* which of the four times were given */
	char error[256];  /* the first thing that is wrong; "" */
};

/* Starts with a machine's name. -ENOMEM. */
int recap_query_init(struct recap_query *query, const char *machine);
/* Takes one parameter; the first of a name wins. What is wrong is kept in `error`. */
void recap_query_add(struct recap_query *query, const char *name, const char *value);
/* Checks the whole. 0, or -EINVAL with `error`. `now_ms`: an end far ahead is refused. */
int recap_query_finish(struct recap_query *query, int64_t now_ms);
void recap_query_done(struct recap_query *query);
