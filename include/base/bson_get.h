/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of BSON documents by key. Stored documents may have been changed by others: a member of another
 * type than the requested one counts as missing.
 */
#pragma once

#include "base/reason.h"

#include <bson/bson.h>

/* NULL: not there. */
const char *bson_get_text(const bson_t *document, const char *key);
bool bson_has_text(const bson_t *document, const char *key, const char *text);
/* NAN: not there. */
double bson_get_double(const bson_t *document, const char *key);
bool bson_get_date(const bson_t *document, const char *key, int64_t *ret_ms);
bool bson_get_bool(const bson_t *document, const char *key);
/* A number from 0 to `most`; -1: not there. */
int64_t bson_get_int32(const bson_t *document, const char *key, int64_t most);
/* NULL: not there. */
const uint8_t *bson_get_binary(const bson_t *document, const char *key, uint32_t *ret_length);
/* False: it is not an array. */
bool bson_get_array(const bson_t *document, const char *key, bson_iter_t *ret_elements);
/* The document at the iterator; false: it is none. */
bool bson_get_inner(const bson_iter_t *iterator, bson_t *ret_document);
/* The document in a stored one, as a view into it. 0, or -ENODATA or -EINVAL with a reason. */
int bson_get_document(const bson_t *document, const char *key, bson_t *ret_inner, struct reason *why);
