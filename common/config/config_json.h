/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between config_json.c and config_json_where.c: the position of a value in the text. Private to these.
 */
#pragma once

#include "config/config_private.h"

struct config_where {
	size_t key;   /* offset of the member's name; the value's own in an array */
	size_t value; /* offset of the value */
};

/*
 * Finds the member `key` (or element `index`, key NULL) of `parent` by walking text and tree in parallel;
 * both must match. False: it is not there.
 */
bool config_json_find(const struct config_json *json, const json_t *parent, const char *key, size_t index,
		      struct config_where *ret_where);
/* Line and column, from 1. */
void config_json_position(const struct config_json *json, size_t offset, unsigned *ret_line,
			  unsigned *ret_column);
