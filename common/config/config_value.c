/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Converts the text of one option to its field, and checks limits and choices. Called by config.c for every
 * origin, so that a value means the same on the command line, in the environment and in a file.
 */
#include "config/config_private.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "base/reason.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

const char *config_hint(const char *word, const char *const *known, size_t n_known, char *text, size_t size)
{
	const char *nearest = text_nearest(word, known, n_known);

	text[0] = '\0';
	if (nearest)
		(void)snprintf(text, size, "; did you mean '%s'?", nearest);
	return text;
}

bool config_key_equal(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		const bool dashes = (*a == '-' || *a == '_') && (*b == '-' || *b == '_');

		if (tolower((unsigned char)*a) != tolower((unsigned char)*b) && !dashes)
			return false;
	}
	return *a == *b;
}

/* " (30ms)": what a time or size means, if it was written in another way; for messages. Returns `ret`. */
static const char *meaning(const struct config_row *row, double value, const char *text, char *ret,
			   size_t size)
{
	char plain[40];

	ret[0] = '\0';
	if (row->type == CONFIG_DURATION_MS || row->type == CONFIG_SIZE)
		(void)config_quantity_text(row, value, plain, sizeof(plain));
	else
		return ret;
	if (strcmp(plain, text) != 0)
		(void)snprintf(ret, size, " (%s)", plain);
	return ret;
}

static int check_limits(const struct config_row *row, double value, const char *text, struct reason *why)
{
	char low[64], high[64], meant[64];

	if ((row->min == 0 && row->max == 0) || (value == 0 && (row->flags & CONFIG_OR_ZERO)))
		return 0;
	if (value >= row->min && (row->max == 0 || value <= row->max))
		return 0;
	(void)config_quantity_text(row, row->min, low, sizeof(low));
	(void)meaning(row, value, text, meant, sizeof(meant));
	if (row->max == 0)
		return reason_set(why, -EINVAL, "'%s'%s is too small; the minimum is %s%s", text, meant, low,
				  row->flags & CONFIG_OR_ZERO ? ", or 0" : "");
	(void)config_quantity_text(row, row->max, high, sizeof(high));
	return reason_set(why, -EINVAL, "'%s'%s is out of range; allowed: %s to %s", text, meant, low, high);
}

static int set_whole(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	int64_t value = 0;
	int r = text_parse_i64(text, &value);

	if (r < 0)
		return reason_set(why, -EINVAL, "'%s' is not a whole number", text);
	r = check_limits(row, (double)value, text, why);
	if (r < 0)
		return r;
	if (row->type == CONFIG_INT)
		*(int64_t *)config_field(row, target) = value;
	else if (value >= 0 && value <= INT32_MAX)
		*(unsigned *)config_field(row, target) = (unsigned)value;
	else
		return reason_set(why, -EINVAL, "'%s' is out of range", text);
	return 0;
}

static int set_double(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	double value = 0;

	if (text_parse_double(text, &value) < 0)
		return reason_set(why, -EINVAL, "'%s' is not a number", text);
	int r = check_limits(row, value, text, why);
	if (r == 0)
		*(double *)config_field(row, target) = value;
	return r;
}

static int set_quantity(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	uint64_t value = 0;
	bool duration = row->type == CONFIG_DURATION_MS;
	int r = duration ? text_parse_duration_ms(text, 1, &value) : text_parse_size(text, &value);

	if (r < 0)
		return reason_set(why, -EINVAL, "'%s' is not a %s (like %s)", text,
				  duration ? "time" : "size",
				  duration ? "500ms, 1s, 5m, 2h" : "4096, 64K, 16M, 1G");
	r = check_limits(row, (double)value, text, why);
	if (r == 0)
		*(uint64_t *)config_field(row, target) = value;
	return r;
}

static int set_choice(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	char hint[CONFIG_TEXT_MAX], known[CONFIG_TEXT_MAX];
	size_t n = 0;

	for (; row->choices[n]; n++) {
		if (config_key_equal(row->choices[n], text)) {
			*(int *)config_field(row, target) = (int)n;
			return 0;
		}
	}
	return reason_set(why, -EINVAL, "unknown value '%s'%s (known: %s)", text,
			  config_hint(text, row->choices, n, hint, sizeof(hint)),
			  text_join(row->choices, n, known, sizeof(known)));
}

static int add_item(struct config_list *list, const char *item, size_t length)
{
	/*
	 * The capacity doubles whenever the number is a power of two, so a long list does not take quadratic
	 * time.
	 */
	if ((list->n_items & (list->n_items - 1)) == 0 &&
	    !ARRAY_RESIZE(list->items, list->n_items ? (size_t)list->n_items * 2 : 1))
		return -ENOMEM;
	list->items[list->n_items] = strndup(item, length);
	if (!list->items[list->n_items])
		return -ENOMEM;
	list->n_items++;
	return 0;
}

/* Adds the items between commas; empty ones are skipped. */
static int add_items(struct config_list *list, const char *text)
{
	int r = 0;

	while (r == 0 && *text) {
		size_t length = strcspn(text, ",");
		if (length)
			r = add_item(list, text, length);
		text += length;
		text += *text == ',';
	}
	return r;
}

#define SECRET_MAX 65536

/* The content of a file, without the newline at its end. NULL with a reason. */
static char *read_secret(const char *path, struct reason *why)
{
	char *text = malloc(SECRET_MAX);
	ssize_t length = text ? text_read_file(text, SECRET_MAX, "%s", path) : -ENOMEM;

	if (length > 0 && strlen(text) == (size_t)length && !strchr(text, '\n'))
		return text;
	free(text);
	if (length < 0)
		reason_set(why, 0, "cannot read the file '%s': %s", path, strerror((int)-length));
	else
		reason_set(why, 0, "the file '%s' must contain one line of text", path);
	return NULL;
}

int config_take_secret(const char *text, char **ret_secret, struct reason *why)
{
	const bool in_file = text[0] == '@' && text[1];

	*ret_secret = in_file ? read_secret(text + 1, why) : strdup(text);
	return *ret_secret ? 0 : in_file ? -EINVAL : -ENOMEM;
}

static int set_string(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	char *copy = NULL;
	int r = 0;

	if (row->flags & (CONFIG_SECRET | CONFIG_URI))
		r = config_take_secret(text, &copy, why);
	else if (!(copy = strdup(text)))
		r = -ENOMEM;
	if (r < 0)
		return r;
	config_value_clear(row, target);
	*(char **)config_field(row, target) = copy;
	return 0;
}

static int set_bool(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	bool value;

	if (text_parse_bool(text, &value) < 0)
		return reason_set(why, -EINVAL, "'%s' is neither true nor false", text);
	*(bool *)config_field(row, target) = value;
	return 0;
}

int config_value_set(const struct config_row *row, void *target, const char *text, struct reason *why)
{
	switch (row->type) {
	case CONFIG_BOOL:
		return set_bool(row, target, text, why);
	case CONFIG_COUNT:
	case CONFIG_INT:
		return set_whole(row, target, text, why);
	case CONFIG_DOUBLE:
		return set_double(row, target, text, why);
	case CONFIG_DURATION_MS:
	case CONFIG_SIZE:
		return set_quantity(row, target, text, why);
	case CONFIG_CHOICE:
		return set_choice(row, target, text, why);
	case CONFIG_STRING:
		return set_string(row, target, text, why);
	case CONFIG_LIST:
		return add_items(config_field(row, target), text);
	case CONFIG_CALL:
		return row->apply(target, row, text, why);
	case CONFIG_TITLE:
	case CONFIG_SECTION:
		break;
	}
	return reason_set(why, -EINVAL, "does not take a plain value");
}

void config_value_clear(const struct config_row *row, void *target)
{
	if (row->type == CONFIG_STRING) {
		char **text = config_field(row, target);
		free(*text);
		*text = NULL;
	} else if (row->type == CONFIG_LIST) {
		struct config_list *list = config_field(row, target);
		for (unsigned i = 0; i < list->n_items; i++)
			free(list->items[i]);
		free(list->items);
		*list = (struct config_list){0};
	} else if (row->type == CONFIG_COUNT) {
		*(unsigned *)config_field(row, target) = 0;
	}
}
