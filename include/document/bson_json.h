/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BSON documents as compact JSON text, for the jsonl and socket stores and the API. Knows one of our fields:
 * the top- level `timestamp`, which readers of such lines expect as plain text.
 */
#pragma once

#include "document/batch.h"

enum bson_json_style {
	/* Relaxed extended JSON; `timestamp` is plain text: "2019-11-18T14:25:12.345+00:00". */
	BSON_JSON_LINES,
	/* The sensors' format: `timestamp` in integer milliseconds, counts as integers, no `_id`. */
	BSON_JSON_SENSOR,
	/* Plain JSON for people: dates as "2019-11-18T14:25:12.345Z", ids in hex, else null. */
	BSON_JSON_PLAIN,
};

/*
 * Appends the document and a newline to `text` (a batch used as a byte buffer). -EBADMSG for malformed BSON,
 * -ENOMEM.
 */
int bson_json_append(struct batch *text, enum bson_json_style style, const uint8_t *document, size_t length);
/* Appends the document in a line of JSON, converting `timestamp` back to a Date. -EBADMSG, -ENOMEM. */
int bson_json_parse(const char *line, size_t length, struct batch *ret_documents);
