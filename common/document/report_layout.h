/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known layouts of `groups` documents. A sensor's reports repeat the same keys at the same places. So a
 * document that equals a known one in every byte except its numbers needs no parsing: its numbers are at
 * known offsets. Private to report_bson_read.c.
 */
#pragma once

#include "document/report_bson.h"

#define REPORT_LAYOUTS 8

struct report_layout_value {
	uint32_t at; /* of the number, from the document's start */
	uint8_t type;
	struct report_value value;
};

/* Initialize with zeroes. */
struct report_layout {
	size_t length; /* of the document; 0: none */
	uint8_t *bytes;
	uint8_t *mask; /* 0 for the bytes of numbers, else 0xff */
	size_t capacity;
	struct report_layout_value *values;
	unsigned n_values;
	unsigned values_capacity;
	bool failed; /* it cannot be learnt */
};

struct report_layouts {
	struct report_layout known[REPORT_LAYOUTS];
	unsigned last; /* last one used */
	unsigned next; /* replaced by the next new one */
};

/* The values of a document with a known layout: 1 and appended, 0: it must be parsed, -ENOMEM. */
int report_layouts_try(struct report_layouts *layouts, const uint8_t *document, size_t length,
		       struct report_decoded *decoded);
/* A new layout, filled while the document is parsed; NULL: it is too large or too small. */
struct report_layout *report_layouts_begin(struct report_layouts *layouts, size_t length);
/* Records a value read from the document. */
void report_layout_add(struct report_layout *layout, size_t at, uint8_t type,
		       const struct report_value *value);
/* The document was parsed completely. */
void report_layout_end(struct report_layout *layout, const uint8_t *document, size_t length);
void report_layouts_done(struct report_layouts *layouts);
/* Makes room for `more` values. 0 or -ENOMEM. */
int report_decoded_reserve(struct report_decoded *decoded, unsigned more);
