/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request and its answer, through libcurl. The subcommands call it to talk to the server.
 */
#pragma once

#include "base/reason.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct fetch_request {
	const char *url;
	bool post;           /* else GET; no body in either case */
	const char *accept;  /* media type, or NULL */
	const char *token;   /* for a server with --token; NULL or "": none */
	unsigned timeout_ms; /* of the whole request; 0: 10,000 */
};

struct fetch_answer {
	long status; /* HTTP status */
	char *body;  /* NUL-terminated; owned */
	size_t length;
};

/* 0 with an answer (of any status), or a negative errno with a sentence in `why`. */
int fetch(const struct fetch_request *request, struct fetch_answer *ret_answer, struct reason *why);
void fetch_answer_done(struct fetch_answer *answer);
/*
 * The same for JSON: 0 and a new reference; -EPROTO with the server's own sentence in `why` when the status
 * is not 200 or the body is not JSON.
 */
int fetch_json(const char *url, const char *token, bool post, unsigned timeout_ms, json_t **ret_json,
	       struct reason *why);
/* "SERVER/PATH" with "http://" in front if SERVER has no scheme. Owned by the caller; NULL if out of memory.
 */
char *fetch_make_url(const char *server, const char *path);
