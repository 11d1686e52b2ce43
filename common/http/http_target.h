/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of an HTTP request ("/a/b?x=1&y"), split and matched with a route's pattern. Pure; its input is
 * untrusted, and it is fuzzed. Used only by http.c.
 */
#pragma once

#include <stdbool.h>

#define HTTP_TARGET_MAX     8192
#define HTTP_PARTS_MAX      16
#define HTTP_PARAMETERS_MAX 128

struct http_parameter {
	const char *name;
	const char *value;
};

/* All strings point into `text`, decoded and NUL-terminated. */
struct http_target {
	char text[HTTP_TARGET_MAX];
	char path[HTTP_TARGET_MAX]; /* as sent */
	char form[HTTP_TARGET_MAX]; /* of the body's parameters */
	const char *parts[HTTP_PARTS_MAX];
	const char *rests[HTTP_PARTS_MAX]; /* start of each part in `path` */
	unsigned n_parts;
	struct http_parameter parameters[HTTP_PARAMETERS_MAX];
	unsigned n_parameters;
};

/*
 * 0; -EINVAL (no leading slash, invalid %-escape, a NUL, not UTF-8); -E2BIG (too long, too many parts or
 * parameters).
 */
int http_target_parse(const char *raw, struct http_target *ret_target);
/*
 * Adds the parameters of a form in the request's body, as HTML forms and curl -d send them, after those of
 * the query. `form` ends with a NUL. Errors as above.
 */
int http_target_add_form(struct http_target *target, const char *form);
/*
 * Does the path match the pattern? Returns the parts that match "{…}" (never empty), and the rest of the
 * path, as sent, for "*" at the end.
 */
bool http_target_match(const struct http_target *target, const char *pattern, const char **ret_parts,
		       unsigned *ret_n_parts);
