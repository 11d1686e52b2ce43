/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The effective configuration as a JSON file that can be loaded again; secrets are hidden. Called for
 * --print-config.
 */
#include "config/config_private.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN "***"

/* Bytes from the command line need not be UTF-8. */
static json_t *text_value(const char *text)
{
	cleanup_(cleanup_free) char *copy = strdup(text);

	if (!copy)
		return NULL;
	text_make_utf8(copy);
	return json_string(copy);
}

static json_t *string_value(const struct config_spec *spec, const struct config_row *row, const char *text)
{
	if (!text)
		return NULL;
	if (!(row->flags & (CONFIG_SECRET | CONFIG_URI)))
		return text_value(text);
	if ((row->flags & CONFIG_SECRET) || !spec->display_uri)
		return json_string(HIDDEN);
	/* A secret of one byte becomes three stars, and a URI may have many. */
	size_t size = 2 * strlen(text) + 2 * sizeof(HIDDEN);
	cleanup_(cleanup_free) char *shown = malloc(size);
	return shown ? text_value(spec->display_uri(text, shown, size)) : NULL;
}

static json_t *list_value(const struct config_spec *spec, const struct config_row *row,
			  const struct config_list *list)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < list->n_items; i++)
		(void)json_array_append_new(array, string_value(spec, row, list->items[i]));
	return array;
}

/* With its unit, so that it is read as it was meant. */
static json_t *quantity_value(const struct config_row *row, uint64_t value)
{
	char text[40];

	if (value == 0 || value > UINT64_C(1000000000000000) || row->flags & CONFIG_BARE ||
	    (row->type == CONFIG_SIZE && value % 1024))
		return json_integer((json_int_t)value);
	return json_string(config_quantity_text(row, (double)value, text, sizeof(text)));
}

static json_t *row_value(const struct config_spec *spec, const struct config_row *row, const void *target)
{
	const void *at = config_field(row, target);

	switch (row->type) {
	case CONFIG_BOOL:
		return json_boolean(*(const bool *)at);
	case CONFIG_COUNT:
		return json_integer(*(const unsigned *)at);
	case CONFIG_INT:
		return json_integer(*(const int64_t *)at);
	case CONFIG_DOUBLE:
		return json_real(*(const double *)at);
	case CONFIG_DURATION_MS:
	case CONFIG_SIZE:
		return quantity_value(row, *(const uint64_t *)at);
	case CONFIG_STRING:
		return string_value(spec, row, *(char *const *)at);
	case CONFIG_CHOICE:
		return json_string(row->choices[*(const int *)at]);
	case CONFIG_LIST:
		return list_value(spec, row, at);
	case CONFIG_SECTION:
		return row->print ? row->print(target, row) : NULL;
	case CONFIG_TITLE:
	case CONFIG_CALL:
		break;
	}
	return NULL;
}

int config_print(const struct config_spec *spec, const void *target, FILE *out)
{
	json_t *root = json_object();

	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct config_row *row = &spec->rows[i];
		if (row->type == CONFIG_TITLE || (row->flags & CONFIG_NO_FILE))
			continue;
		json_t *value = row_value(spec, row, target);
		if (value)
			(void)json_object_set_new(root, row->name, value);
	}
	int r = json_dumpf(root, out, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_decref(root);
	if (r < 0 || fputc('\n', out) == EOF)
		return -EIO;
	return 0;
}
