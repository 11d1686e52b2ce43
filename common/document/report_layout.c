/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares a document with known layouts. Safe with foreign bytes: every byte of types, keys and lengths is
 * compared, so a document that matches is as well-formed as the one that was fully parsed. Called by the
 * decoder.
 */
#include "document/report_layout.h"
#include "document/bson_cursor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define STEP          16 /* bytes compared at a time */
#define LARGEST_BYTES 65536

typedef uint64_t two_words __attribute__((vector_size(STEP), aligned(1), may_alias));

int report_decoded_reserve(struct report_decoded *decoded, unsigned more)
{
	unsigned capacity = decoded->capacity ? decoded->capacity : 64;
	struct report_value *values;

	if (decoded->capacity - decoded->n_values >= more)
		return 0;
	while (capacity - decoded->n_values < more)
		capacity *= 2;
	values = realloc(decoded->values, capacity * sizeof(*values));
	if (!values)
		return -ENOMEM;
	decoded->values = values;
	decoded->capacity = capacity;
	return 0;
}

static two_words difference(const struct report_layout *layout, const uint8_t *document, size_t at)
{
	const two_words *a = (const two_words *)(const void *)(document + at);
	const two_words *b = (const two_words *)(const void *)(layout->bytes + at);

	return (*a ^ *b) & *(const two_words *)(const void *)(layout->mask + at);
}

static bool fits(const struct report_layout *layout, const uint8_t *document, size_t length)
{
	two_words all = {0, 0};

	if (layout->length != length)
		return false;
	for (size_t at = 0; at + STEP <= length; at += STEP)
		all |= difference(layout, document, at);
	all |= difference(layout, document, length - STEP);
	return (all[0] | all[1]) == 0;
}

static double number(const uint8_t *at, uint8_t type)
{
	const struct bson_cursor cursor = {.type = type, .value = at};
	double value = NAN;

	if (type == BSON_CURSOR_DOUBLE)
		memcpy(&value, at, sizeof(value));
	else
		(void)bson_cursor_number(&cursor, &value);
	return value;
}

/* False for a value that is omitted, because the layout has none without it. */
static bool take_values(const struct report_layout *layout, const uint8_t *document,
			struct report_decoded *decoded)
{
	struct report_value *values = decoded->values + decoded->n_values;
	double sum = 0;

	for (unsigned i = 0; i < layout->n_values; i++) {
		const struct report_layout_value *known = &layout->values[i];
		double value = number(document + known->at, known->type);

		values[i] = known->value;
		values[i].value = value;
		sum += value * 0; /* 0 as long as all are finite */
	}
	if (!(sum == 0))
		return false;
	decoded->n_values += layout->n_values;
	return true;
}

int report_layouts_try(struct report_layouts *layouts, const uint8_t *document, size_t length,
		       struct report_decoded *decoded)
{
	for (unsigned i = 0; i < REPORT_LAYOUTS; i++) {
		unsigned index = (layouts->last + i) % REPORT_LAYOUTS;
		const struct report_layout *layout = &layouts->known[index];

		if (!fits(layout, document, length))
			continue;
		if (report_decoded_reserve(decoded, layout->n_values) < 0)
			return -ENOMEM;
		layouts->last = index;
		return take_values(layout, document, decoded);
	}
	return 0;
}

struct report_layout *report_layouts_begin(struct report_layouts *layouts, size_t length)
{
	struct report_layout *layout = &layouts->known[layouts->next];
	uint8_t *grown;

	if (length < STEP || length > LARGEST_BYTES)
		return NULL;
	layout->length = 0;
	layout->n_values = 0;
	layout->failed = false;
	if (length > layout->capacity) {
		grown = realloc(layout->bytes, 2 * length);
		if (!grown)
			return NULL;
		layout->bytes = grown;
		layout->capacity = length;
	}
	layout->mask = layout->bytes + length;
	memset(layout->mask, 0xff, length);
	layouts->next = (layouts->next + 1) % REPORT_LAYOUTS;
	return layout;
}

void report_layout_add(struct report_layout *layout, size_t at, uint8_t type,
		       const struct report_value *value)
{
	if (layout->n_values == layout->values_capacity) {
		unsigned capacity = layout->values_capacity ? layout->values_capacity * 2 : 32;
		struct report_layout_value *grown = realloc(layout->values, capacity * sizeof(*grown));

		layout->failed |= !grown;
		if (!grown)
			return;
		layout->values = grown;
		layout->values_capacity = capacity;
	}
	memset(layout->mask + at, 0, type == BSON_CURSOR_I32 ? sizeof(int32_t) : sizeof(double));
	layout->values[layout->n_values++] =
		(struct report_layout_value){.at = (uint32_t)at, .type = type, .value = *value};
}

void report_layout_end(struct report_layout *layout, const uint8_t *document, size_t length)
{
	if (layout->failed)
		return;
	memcpy(layout->bytes, document, length);
	layout->length = length;
}

void report_layouts_done(struct report_layouts *layouts)
{
	for (unsigned i = 0; i < REPORT_LAYOUTS; i++) {
		free(layouts->known[i].bytes);
		free(layouts->known[i].values);
	}
	*layouts = (struct report_layouts){0};
}
