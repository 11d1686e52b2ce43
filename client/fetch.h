/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request and its answer, through libcurl. The subcommands call it to talk to the server.
 */
#pragma once

#include "base/reason.h"

#include <jansson.h>
#include <stdbool.h>

/*
 * 0 and a new reference to the JSON of the answer, or a negative errno with a sentence in `why`; -EPROTO with
 * the server's own sentence when the status is not 200 or the body is not JSON. `timeout_ms` of the whole
 * request; 0: 10,000.
 */
int fetch_json(const char *url, const char *token, bool post, unsigned timeout_ms, json_t **ret_json,
	       struct reason *why);
/* The URL with any password replaced by "***". Returns ret. */
const char *fetch_display(const char *url, char *ret, size_t size);
/* Is this a valid URL to request? 0, or -EINVAL with a correction. Makes no connection. */
int fetch_check_url(const char *url, struct reason *why);
/* "SERVER/PATH", preceded by "http://" if SERVER has no scheme. Owned by the caller; NULL: no memory. */
char *fetch_make_url(const char *server, const char *path);
