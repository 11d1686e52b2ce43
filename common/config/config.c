/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from one table, origin by origin: defaults, files, environment, command line; each overrides the
 * previous. Called by the main() of each program; returns errors as text and does not log.
 */
#include "config/config_private.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/reason.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRONMENT_PREFIX "WATTRIBUTE_"

static size_t row_index(const struct config *config, const struct config_row *row)
{
	return (size_t)(row - config->spec->rows);
}

void config_begin(struct config *config, const struct config_row *row, enum config_origin origin)
{
	const struct config_spec *spec = config->spec;
	bool first = config->origins[row_index(config, row)] != origin;

	for (size_t i = 0; row->reset && i < spec->n_rows; i++) {
		if (spec->rows[i].reset == row->reset && config->origins[i] == origin)
			first = false;
	}
	if (first && row->reset)
		row->reset(config->target);
	else if (first && (row->type == CONFIG_LIST || row->type == CONFIG_COUNT))
		config_value_clear(row, config->target);
	config->origins[row_index(config, row)] = origin;
}

int config_give(struct config *config, const struct config_row *row, enum config_origin origin,
		const char *value, struct reason *why)
{
	reason_clear(why);
	config_begin(config, row, origin);
	if (row->type == CONFIG_COUNT && !value) {
		++*(unsigned *)config_field(row, config->target);
		return 0;
	}
	int r = config_value_set(row, config->target, value, why);
	if (r < 0 && why->text[0] == '\0')
		reason_set(why, 0, "%s", strerror(-r));
	return r < 0 ? r : config_note_quantity(config, row_index(config, row), value);
}

static int apply_defaults(struct config *config)
{
	struct reason why = {""};

	for (size_t i = 0; i < config->spec->n_rows; i++) {
		const struct config_row *row = &config->spec->rows[i];
		if (row->type == CONFIG_TITLE || !row->fallback)
			continue;
		int r = config_value_set(row, config->target, row->fallback, &why);
		if (r < 0)
			return reason_set(config->why, r, "default of '%s': %s", row->name, why.text);
	}
	return 0;
}

const char *config_variable(const char *name, char *ret, size_t size)
{
	size_t i = sizeof(ENVIRONMENT_PREFIX) - 1;

	(void)snprintf(ret, size, "%s%s", ENVIRONMENT_PREFIX, name);
	for (; ret[i]; i++)
		ret[i] = ret[i] == '-' ? '_' : (char)toupper((unsigned char)ret[i]);
	return ret;
}

static const char *from_environment(const char *name, char *variable, size_t size)
{
	const char *value = getenv(config_variable(name, variable, size));

	return value && *value ? value : NULL;
}

static int apply_environment(struct config *config)
{
	char variable[128];
	struct reason why;

	for (size_t i = 0; i < config->spec->n_rows; i++) {
		const struct config_row *row = &config->spec->rows[i];
		if (row->type == CONFIG_TITLE || row->type == CONFIG_CALL || row->type == CONFIG_SECTION ||
		    (row->flags & CONFIG_NO_ENV))
			continue;
		const char *value = from_environment(row->name, variable, sizeof(variable));
		if (!value)
			continue;
		int r = config_give(config, row, CONFIG_ENVIRONMENT, value, &why);
		if (r == 0)
			r = config_note_variable(config, row, value);
		if (r < 0)
			return reason_set(config->why, r, "%s: %s", variable, why.text);
	}
	return 0;
}

static bool is_variable(const struct config_spec *spec, const char *name)
{
	char variable[128];

	for (size_t i = 0; i < spec->n_rows; i++)
		if (spec->rows[i].type != CONFIG_TITLE &&
		    strcmp(config_variable(spec->rows[i].name, variable, sizeof(variable)), name) == 0)
			return true;
	return strcmp(config_variable("config-file", variable, sizeof(variable)), name) == 0;
}

/* The option that was probably meant by the variable's name; NULL: none. */
static const char *nearest_option(const struct config_spec *spec, const char *name)
{
	const char *known[256];
	char option[128];
	size_t n = 0, i = 0;

	for (name += sizeof(ENVIRONMENT_PREFIX) - 1; name[i] && i < sizeof(option) - 1; i++)
		option[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
	option[i] = '\0';
	for (i = 0; i < spec->n_rows && n < ARRAY_SIZE(known); i++)
		if (spec->rows[i].type != CONFIG_TITLE)
			known[n++] = spec->rows[i].name;
	return text_nearest(option, known, n);
}

bool config_each_unknown_variable(const struct config *config, bool (*each)(void *data, const char *sentence),
				  void *data)
{
	char name[128], meant[128], sentence[400];

	for (char **at = environ; at && *at; at++) {
		size_t length = strcspn(*at, "=");
		const char *nearest;

		if (strncmp(*at, ENVIRONMENT_PREFIX, sizeof(ENVIRONMENT_PREFIX) - 1) != 0)
			continue;
		(void)snprintf(name, sizeof(name), "%.*s", (int)length, *at);
		if (is_variable(config->spec, name))
			continue;
		nearest = nearest_option(config->spec, name);
		(void)snprintf(sentence, sizeof(sentence), "%s is not a setting of %s and is ignored%s%s%s",
			       name, config->spec->program, nearest ? "; did you mean " : "",
			       nearest ? config_variable(nearest, meant, sizeof(meant)) : "",
			       nearest ? "?" : "");
		if (!each(data, sentence))
			return false;
	}
	return true;
}

static int apply_entry(struct config *config, const struct config_entry *entry)
{
	const struct config_spec *spec = config->spec;
	const struct config_row *row = entry->row;
	struct reason why = {""};
	int r;

	if (!row) {
		if (spec->argument)
			return spec->argument(config->target, entry->value, config->why);
		return reason_set(config->why, -EINVAL,
				  "unexpected argument '%s'; %s takes options only (see --help)",
				  entry->value, spec->program);
	}
	const char *value = row->type == CONFIG_BOOL ? (entry->negated ? "false" : "true") : entry->value;
	r = config_give(config, row, CONFIG_FLAG, value, &why);
	if (r < 0)
		reason_set(config->why, 0, "option '--%s': %s", row->name, why.text);
	return r;
}

static int apply_files(struct config *config, const struct config_command_line *line)
{
	char variable[64];
	int r = 0;

	if (!config->spec->daemon)
		return 0;
	for (size_t i = 0; r == 0 && i < line->n_files; i++)
		r = config_apply_file(config, line->files[i], false);
	if (line->n_files)
		return r;
	const char *path = from_environment("config-file", variable, sizeof(variable));
	if (path)
		return config_apply_file(config, path, false);
	return config->spec->default_file ? config_apply_file(config, config->spec->default_file, true) : 0;
}

static int apply_all(struct config *config, const struct config_command_line *line)
{
	int r = apply_defaults(config);

	if (r == 0)
		r = apply_files(config, line);
	if (r == 0)
		r = apply_environment(config);
	for (size_t i = 0; r == 0 && i < line->n_entries; i++)
		r = apply_entry(config, &line->entries[i]);
	if (r == 0 && config->spec->finish)
		r = config->spec->finish(config->target, config, config->why);
	return r;
}

static struct config *new_config(const struct config_spec *spec, void *target, struct reason *why)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->origins = calloc(spec->n_rows + 1, sizeof(*config->origins));
	config->given = calloc(spec->n_rows + 1, sizeof(*config->given));
	if (!config->origins || !config->given) {
		free(config->origins);
		free(config->given);
		free(config);
		return NULL;
	}
	config->spec = spec;
	config->n_given = spec->n_rows;
	config->target = target;
	config->why = why;
	return config;
}

void config_free(struct config *config)
{
	if (!config)
		return;
	config_secrets_done(config);
	for (size_t i = 0; i < config->n_given; i++)
		free(config->given[i]);
	free(config->given);
	free(config->origins);
	free(config);
}

static int load(struct config *config, struct config_command_line *line, int argc, char *argv[])
{
	int r = config_parse_arguments(line, argc, argv, config->why);

	if (r < 0)
		return r;
	config->rest = line->rest;
	if (line->help || line->usage || line->version) {
		config->action = CONFIG_EXIT;
		return config_print_help(line);
	}
	r = apply_all(config, line);
	for (size_t i = 0; r == 0 && i < line->n_entries; i++)
		r = config_note_argument(config, &line->entries[i], argc, argv);
	if (r < 0)
		return r;
	if (line->print) {
		config->action = CONFIG_EXIT;
		(void)config_print(config->spec, config->target, stdout);
		return 0;
	}
	config->action = line->check ? CONFIG_CHECK : CONFIG_RUN;
	return 0;
}

int config_load(const struct config_spec *spec, void *target, int argc, char *argv[],
		struct config **ret_config, struct reason *why)
{
	struct config_command_line line = {.spec = spec};

	memset(target, 0, spec->target_size);
	reason_clear(why);
	struct config *config = new_config(spec, target, why);
	int r = config ? load(config, &line, argc, argv) : -ENOMEM;
	config_command_line_done(&line);
	if (r < 0 && why->text[0] == '\0')
		reason_set(why, 0, "options: %s", strerror(-r));
	if (r < 0) {
		config_free(config);
		return r;
	}
	config->why = NULL;
	*ret_config = config;
	return 0;
}

int config_apply_json(const struct config_spec *spec, void *target, const char *name, const char *text,
		      size_t length, struct reason *why)
{
	memset(target, 0, spec->target_size);
	reason_clear(why);
	struct config *config = new_config(spec, target, why);
	if (!config)
		return -ENOMEM;
	int r = apply_defaults(config);
	if (r == 0)
		r = config_apply_text(config, name, text, length);
	if (r == 0 && spec->finish)
		r = spec->finish(target, config, why);
	config_free(config);
	return r;
}

enum config_action config_get_action(const struct config *config)
{
	return config->action;
}

int config_rest(const struct config *config)
{
	return config->rest;
}

enum config_origin config_get_origin(const struct config *config, const char *name)
{
	enum config_origin origin = CONFIG_DEFAULT;

	for (size_t i = 0; i < config->spec->n_rows; i++) {
		const struct config_row *row = &config->spec->rows[i];
		if (row->type != CONFIG_TITLE && strcmp(row->name, name) == 0 && config->origins[i] > origin)
			origin = config->origins[i];
	}
	return origin;
}

void config_done(const struct config_spec *spec, void *target)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct config_row *row = &spec->rows[i];
		if (row->type == CONFIG_TITLE)
			continue;
		if (row->reset)
			row->reset(target);
		config_value_clear(row, target);
	}
}
