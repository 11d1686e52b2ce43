/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Configuration files: JSON by jansson, each key looked up in the option table, every error with file, line
 * and column. Called by config.c. The input is untrusted: size and depth are limited, duplicate keys are
 * rejected.
 */
#include "config/config_json.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/reason.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FILE_MAX      ((size_t)4 * 1024 * 1024)
#define PATH_MAX_TEXT 256 /* of a key with dots */

static int apply_object(struct config_json *json, const json_t *object, const char *prefix);

static void write_place(struct config_json *json, size_t offset, const char *reason)
{
	unsigned line, column;

	config_json_position(json, offset, &line, &column);
	reason_set(json->config->why, 0, "%s:%u:%u: %s", json->name, line, column, reason);
}

int config_json_fail(struct config_json *json, const json_t *parent, const char *key, size_t index,
		     const char *format, ...)
{
	struct config_where where = {0};
	char reason[CONFIG_TEXT_MAX];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	(void)config_json_find(json, parent, key, index, &where);
	write_place(json, where.value, reason);
	return -EINVAL;
}

static int unknown_key(struct config_json *json, const json_t *object, const char *key,
		       const char *const *known, size_t n_known)
{
	struct config_where where = {0};
	char hint[CONFIG_TEXT_MAX], reason[CONFIG_TEXT_MAX];

	(void)config_json_find(json, object, key, 0, &where);
	(void)snprintf(reason, sizeof(reason), "unknown key '%s'%s", key,
		       config_hint(key, known, n_known, hint, sizeof(hint)));
	write_place(json, where.key, reason);
	return -EINVAL;
}

int config_json_known_keys(struct config_json *json, const json_t *object, const char *const *known)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	while (known[n])
		n++;
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		size_t i = 0;
		while (i < n && !config_key_equal(known[i], key))
			i++;
		if (i == n)
			return unknown_key(json, object, key, known, n);
	}
	return 0;
}

const json_t *config_json_member(const json_t *object, const char *name)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (config_key_equal(name, key))
			return value;
	}
	return NULL;
}

static bool from_file(const struct config_row *row)
{
	return row->type != CONFIG_TITLE && !(row->flags & CONFIG_NO_FILE);
}

static const struct config_row *find_row(const struct config_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct config_row *row = &spec->rows[i];
		if (!from_file(row))
			continue;
		if (config_key_equal(row->name, path))
			return row;
		for (size_t k = 0; row->aliases && row->aliases[k]; k++) {
			if (config_key_equal(row->aliases[k], path))
				return row;
		}
	}
	return NULL;
}

/*
 * The keys that are allowed below `prefix` ("" or "output."): whole names, or the part up to the next dot.
 * Returns up to `max` of them; the strings are allocated.
 */
static size_t list_keys(const struct config_spec *spec, const char *prefix, char **keys, size_t max)
{
	size_t n = 0, head = strlen(prefix);

	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct config_row *row = &spec->rows[i];
		const char *path = row->name;
		for (size_t k = 0; from_file(row) && path && n < max;) {
			if (strncasecmp(path, prefix, head) == 0) {
				keys[n] = strndup(path + head, strcspn(path + head, "."));
				n += keys[n] != NULL;
			}
			path = row->aliases ? row->aliases[k++] : NULL;
		}
	}
	return n;
}

static int unknown_path(struct config_json *json, const json_t *object, const char *key, const char *prefix)
{
	char *known[256];
	size_t n = list_keys(json->config->spec, prefix, known, ARRAY_SIZE(known));
	int r = unknown_key(json, object, key, (const char *const *)known, n);

	for (size_t i = 0; i < n; i++)
		free(known[i]);
	return r;
}

static bool is_prefix(const struct config_spec *spec, const char *path)
{
	char *keys[1], prefix[PATH_MAX_TEXT];
	int n = snprintf(prefix, sizeof(prefix), "%s.", path);

	if (n < 0 || (size_t)n >= sizeof(prefix) || list_keys(spec, prefix, keys, 1) == 0)
		return false;
	free(keys[0]);
	return true;
}

/* A plain value as the text that would be given on the command line; NULL: it is not plain. */
static const char *plain_text(const json_t *value, char *text, size_t size)
{
	if (json_is_string(value))
		return json_string_value(value);
	if (json_is_boolean(value))
		return json_is_true(value) ? "true" : "false";
	if (json_is_integer(value))
		(void)snprintf(text, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(text, size, "%.17g", json_real_value(value));
	else
		return NULL;
	return text;
}

static int give_plain(struct config_json *json, const struct config_row *row, const json_t *parent,
		      const char *key, size_t index, const json_t *value)
{
	char number[64];
	struct reason why = {""};
	const char *text = plain_text(value, number, sizeof(number));

	if (!text)
		return config_json_fail(json, parent, key, index, "'%s' takes no %s here", row->name,
					json_is_object(value)  ? "object"
					: json_is_array(value) ? "array"
							       : "null");
	if (row->type == CONFIG_CALL && !row->placeholder) {
		if (json_is_false(value))
			return 0;
		text = NULL;
	} else if (row->type == CONFIG_COUNT && json_is_boolean(value)) {
		text = json_is_true(value) ? "1" : "0";
	} else if (row->type == CONFIG_STRING && json_is_boolean(value)) {
		return config_json_fail(json, parent, key, index, "'%s' takes a string", row->name);
	}
	int r = config_give(json->config, row, CONFIG_FILE, text, &why);
	return r < 0 ? config_json_fail(json, parent, key, index, "'%s': %s", row->name, why.text) : 0;
}

static int give_array(struct config_json *json, const struct config_row *row, const json_t *array)
{
	int r = 0;

	config_begin(json->config, row, CONFIG_FILE); /* even an empty one replaces the default */
	for (size_t i = 0; r == 0 && i < json_array_size(array); i++)
		r = give_plain(json, row, array, NULL, i, json_array_get(array, i));
	return r;
}

static int give_section(struct config_json *json, const struct config_row *row, const json_t *parent,
			const char *key, const json_t *value)
{
	config_begin(json->config, row, CONFIG_FILE);
	reason_clear(json->config->why);
	int r = row->section(json->config->target, row, json, value);
	if (r < 0 && json->config->why->text[0] == '\0')
		return config_json_fail(json, parent, key, 0, "'%s': %s", key, strerror(-r));
	return r;
}

static int apply_member(struct config_json *json, const json_t *object, const char *prefix, const char *key,
			const json_t *value)
{
	char path[PATH_MAX_TEXT];
	const struct config_row *row = NULL;
	int n = snprintf(path, sizeof(path), "%s%s", prefix, key);

	if (n < 0 || (size_t)n >= sizeof(path))
		return unknown_path(json, object, key, prefix);
	row = find_row(json->config->spec, path);
	if (row && row->type == CONFIG_SECTION)
		return give_section(json, row, object, key, value);
	if (json_is_object(value) && is_prefix(json->config->spec, path)) {
		(void)strncat(path, ".", sizeof(path) - strlen(path) - 1);
		return apply_object(json, value, path);
	}
	if (!row)
		return unknown_path(json, object, key, prefix);
	if (json_is_null(value)) /* treated as absent */
		return 0;
	if (json_is_array(value) &&
	    (row->type == CONFIG_LIST || (row->type == CONFIG_CALL && row->placeholder)))
		return give_array(json, row, value);
	return give_plain(json, row, object, key, 0, value);
}

static int apply_object(struct config_json *json, const json_t *object, const char *prefix)
{
	const char *key;
	json_t *value;
	int r;

	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		r = apply_member(json, object, prefix, key, value);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The end of a comment that begins at `at`; `at` itself if there is none. */
static size_t skip_comment(const char *text, size_t length, size_t at)
{
	const char *end;

	if (at + 1 >= length || text[at] != '/' || (text[at + 1] != '/' && text[at + 1] != '*'))
		return at;
	if (text[at + 1] == '*') {
		end = memmem(text + at + 2, length - at - 2, "*/", 2);
		return end ? (size_t)(end - text) + 2 : at;
	}
	end = memchr(text + at, '\n', length - at);
	return end ? (size_t)(end - text) : length;
}

/* The end of a string in quotes of either kind that begins at `first`. 'x' becomes "x" if possible. */
static size_t pass_text(char *text, size_t length, size_t first)
{
	const char quote = text[first];
	bool plain = true;
	size_t at = first + 1;

	for (; at < length && text[at] != quote; at++) {
		plain &= text[at] != '"' && text[at] != '\\';
		at += text[at] == '\\';
	}
	if (quote == '\'' && plain && at < length)
		text[first] = text[at] = '"';
	return at + 1;
}

/*
 * Converts what hwpc-sensor's reader accepts beyond JSON, in place and without moving anything, so that
 * errors keep their line and column: comments, a comma after the last element, strings in single quotes, and
 * a byte order mark.
 */
static void make_strict(char *text, size_t length)
{
	size_t comma = SIZE_MAX, at = 0;

	if (length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		memset(text, ' ', 3);
	while (at < length) {
		const size_t end = skip_comment(text, length, at);

		if (end > at) {
			for (; at < end; at++)
				text[at] = text[at] == '\n' ? '\n' : ' ';
			continue;
		}
		if ((text[at] == '}' || text[at] == ']') && comma != SIZE_MAX)
			text[comma] = ' ';
		if (!isspace((unsigned char)text[at]))
			comma = text[at] == ',' ? at : SIZE_MAX;
		at = text[at] == '"' || text[at] == '\'' ? pass_text(text, length, at) : at + 1;
	}
}

int config_apply_text(struct config *config, const char *name, const char *given, size_t length)
{
	cleanup_(cleanup_free) char *text = malloc(length + 1);
	struct config_json json = {.config = config, .name = name, .text = text, .length = length};
	json_error_t error;
	int r;

	if (!text)
		return -ENOMEM;
	memcpy(text, given, length);
	text[length] = '\0';
	make_strict(text, length);
	json.root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	if (!json.root) {
		char *near = strstr(error.text, " near ");

		if (near)
			*near = '\0'; /* the text there may be a password */
		return reason_set(config->why, -EINVAL, "%s:%d:%d: %s", name, error.line, error.column,
				  error.text);
	}
	if (json_is_object(json.root)) {
		r = apply_object(&json, json.root, "");
	} else {
		write_place(&json, 0, "a configuration must be an object: { \"option\": value, ... }");
		r = -EINVAL;
	}
	json_decref(json.root);
	return r;
}

int config_apply_file(struct config *config, const char *path, bool optional)
{
	cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	cleanup_(cleanup_free) char *text = NULL;
	size_t length = 0;

	if (fd < 0 && optional && errno == ENOENT)
		return 0;
	int r = fd < 0 ? -errno : text_read_whole(fd, FILE_MAX, &text, &length);
	if (r < 0)
		return reason_set(config->why, r, "cannot read the configuration file '%s': %s", path,
				  strerror(-r));
	return config_apply_text(config, path, text, length);
}
