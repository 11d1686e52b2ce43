/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The target of an HTTP request ("/a/b?x=1&y") taken apart, and matched with a route's pattern. Pure: it
 * takes foreign bytes and is fuzzed. Used by http.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_TARGET_MAX     8192
#define HTTP_PARTS_MAX      16
#define HTTP_PARAMETERS_MAX 128

struct http_parameter {
	const char *name;
	const char *value;
};

/* All strings point into `text`, decoded and NUL-ended. */
struct http_target {
	char text[HTTP_TARGET_MAX];
	char path[HTTP_TARGET_MAX]; /* as sent */
	const char *parts[HTTP_PARTS_MAX];
	const char *rests[HTTP_PARTS_MAX]; /* where each part begins in `path` */
	unsigned n_parts;
	struct http_parameter parameters[HTTP_PARAMETERS_MAX];
	unsigned n_parameters;
};

/* 0; -EINVAL (no leading slash, broken %-escape, a NUL, not UTF-8); -E2BIG (too long, too many parts or
 * parameters). */
int http_target_parse(const char *raw, struct http_target *ret_target);
/*
 * Does the path fit the pattern? Gives the parts that stand for "{…}" (never empty), and the rest of the
 * path, as sent, for "*" at the end.
 */
bool http_target_match(const struct http_target *target, const char *pattern, const char **ret_parts,
		       unsigned *ret_n_parts);
