/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a document that a store needs: its identity, time and target. Private to the stores.
 */
#pragma once

#include "store/store.h"

enum store_document_kind {
	STORE_DOCUMENT_OTHER,
	STORE_DOCUMENT_REPORT, /* of counts: it has groups */
	STORE_DOCUMENT_POWER,
};

struct store_document {
	const uint8_t *data;
	size_t length;
	uint8_t id_type;   /* BSON type of _id; 0: it has none */
	const uint8_t *id; /* bytes of its value */
	size_t id_length;
	bool has_time;
	int64_t time_ms;
	const char *target; /* NULL: none */
	enum store_document_kind kind;
};

/* False if the bytes are not a BSON document. */
bool store_document_read(const uint8_t *data, size_t length, struct store_document *ret_document);
/* Does it have the string _id `id`? */
bool store_document_has_id(const struct store_document *document, const char *id);
bool store_document_same_id(const struct store_document *a, const struct store_document *b);
/* Is it within the query's times, and about its target? */
bool store_document_matches(const struct store_document *document, const struct store_query *query);
