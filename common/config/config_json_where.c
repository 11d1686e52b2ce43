/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the text position of a value in a JSON tree: jansson keeps no positions, so text and tree are walked
 * in parallel, only if there is an error to report. Called by config_json.c with text that jansson has
 * accepted. Pure.
 */
#include "config/config_json.h"

#include <ctype.h>
#include <string.h>

struct walk {
	const char *text;
	size_t length;
	size_t at;
	const json_t *parent;
	const char *key;
	size_t index;
	struct config_where where;
};

static char peek(const struct walk *walk)
{
	return walk->at < walk->length ? walk->text[walk->at] : '\0';
}

/* Jansson also skips NUL bytes. */
static void skip_space(struct walk *walk)
{
	while (walk->at < walk->length &&
	       (isspace((unsigned char)walk->text[walk->at]) || !walk->text[walk->at]))
		walk->at++;
}

/* Moves past the first character of a value; never beyond the end. */
static void enter(struct walk *walk)
{
	walk->at += walk->at < walk->length;
}

/* Moves past the value or name that begins here; jansson reports its end. */
static void skip_plain(struct walk *walk)
{
	json_error_t error;
	json_t *value = json_loadb(walk->text + walk->at, walk->length - walk->at,
				   JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);

	if (value)
		walk->at += (size_t)error.position;
	json_decref(value);
}

static void skip_mark(struct walk *walk, char mark)
{
	skip_space(walk);
	if (peek(walk) == mark)
		walk->at++;
	skip_space(walk);
}

static bool step(struct walk *walk, const json_t *value);

static bool step_object(struct walk *walk, const json_t *object)
{
	const char *key;
	json_t *value;

	enter(walk);
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		skip_space(walk);
		size_t name_at = walk->at;
		skip_plain(walk);
		skip_mark(walk, ':');
		if (walk->parent == object && walk->key && strcmp(walk->key, key) == 0) {
			walk->where = (struct config_where){name_at, walk->at};
			return true;
		}
		if (step(walk, value))
			return true;
		skip_mark(walk, ',');
	}
	skip_mark(walk, '}');
	return false;
}

static bool step_array(struct walk *walk, const json_t *array)
{
	enter(walk);
	for (size_t i = 0; i < json_array_size(array); i++) {
		skip_space(walk);
		if (walk->parent == array && !walk->key && walk->index == i) {
			walk->where = (struct config_where){walk->at, walk->at};
			return true;
		}
		if (step(walk, json_array_get(array, i)))
			return true;
		skip_mark(walk, ',');
	}
	skip_mark(walk, ']');
	return false;
}

/* Moves past the value; true: the position was reached. The depth is limited by jansson. */
static bool step(struct walk *walk, const json_t *value)
{
	skip_space(walk);
	if (json_is_object(value))
		return step_object(walk, value);
	if (json_is_array(value))
		return step_array(walk, value);
	skip_plain(walk);
	return false;
}

bool config_json_find(const struct config_json *json, const json_t *parent, const char *key, size_t index,
		      struct config_where *ret_where)
{
	struct walk walk = {
		.text = json->text, .length = json->length, .parent = parent, .key = key, .index = index};

	if (!step(&walk, json->root))
		return false;
	*ret_where = walk.where;
	return true;
}

void config_json_position(const struct config_json *json, size_t offset, unsigned *ret_line,
			  unsigned *ret_column)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < offset && i < json->length; i++) {
		column = json->text[i] == '\n' ? 1 : column + 1;
		line += json->text[i] == '\n';
	}
	*ret_line = line;
	*ret_column = column;
}
