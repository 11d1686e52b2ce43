/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of the option engine: config.c (order of origins), config_value.c (text to fields),
 * config_argp.c (command line), config_json.c (files), config_print.c. Private to these.
 */
#pragma once

#include "config/config.h"
#include "base/reason.h"

#define CONFIG_TEXT_MAX 512

/* One option of the command line, in order. */
struct config_entry {
	const struct config_row *row; /* NULL: a plain argument */
	const char *value;
	bool negated; /* --no-x */
};

struct config_command_line {
	const struct config_spec *spec;
	struct config_entry *entries;
	size_t n_entries;
	const char **files;
	size_t n_files;
	bool help, usage, version, check, print;
	int rest; /* index of the first argument with stop_at_argument */
	int next; /* getopt's position when it failed */
};

struct config {
	const struct config_spec *spec;
	void *target;
	enum config_action action;
	int rest;
	enum config_origin *origins; /* origin of each row */
	char **given; /* text of each number with a unit that was given, in the row's place; NULL */
	size_t n_given;
	struct secret *secrets;
	unsigned n_secrets;
	struct reason *why;
};

struct config_json {
	struct config *config;
	const char *name; /* of the file, for messages */
	const char *text;
	size_t length;
	json_t *root;
};

static inline void *config_field(const struct config_row *row, const void *target)
{
	return (char *)(uintptr_t)target + row->offset;
}

/* "; did you mean 'x'?", or nothing. Returns `text`. */
const char *config_hint(const char *word, const char *const *known, size_t n_known, char *text, size_t size);
/* Same key: '-' and '_' are equivalent. */
bool config_key_equal(const char *a, const char *b);

/*
 * Sets a row to a value from an origin. `negated`: for a bool. `why` gets the reason without the position.
 */
int config_give(struct config *config, const struct config_row *row, enum config_origin origin,
		const char *value, struct reason *why);
/* Before a row of a set gets its first value from a higher origin, the set is emptied. */
void config_begin(struct config *config, const struct config_row *row, enum config_origin origin);

/* Converts text to the row's field; the reason is written without the row's name. */
int config_value_set(const struct config_row *row, void *target, const char *text, struct reason *why);
/* Empties the field: frees what it owns. */
void config_value_clear(const struct config_row *row, void *target);

/* A number with its unit, for a time or a size the largest: "30d", "10ms", "64M", "100 MHZ". Returns `text`.
 */
const char *config_quantity_text(const struct config_row *row, double value, char *text, size_t size);
/* Keeps the text of a number that has a unit, for config_each_doubtful_value(). 0 or -ENOMEM. */
int config_note_quantity(struct config *config, size_t row, const char *text);

/* Parses the command line; 0 or -EINVAL with a reason. */
int config_parse_arguments(struct config_command_line *line, int argc, char *argv[], struct reason *why);
void config_command_line_done(struct config_command_line *line);
/* Prints help, usage or version to stdout; the program checks at its end that it was written. 0 or -ENOMEM.
 */
int config_print_help(const struct config_command_line *line);

/* Records the secrets of a command line, or of the environment. 0 or -ENOMEM. */
int config_note_argument(struct config *config, const struct config_entry *entry, int argc, char *argv[]);
int config_note_variable(struct config *config, const struct config_row *row, const char *value);
void config_secrets_done(struct config *config);
/* The environment variable of a row. Returns ret. */
const char *config_variable(const char *name, char *ret, size_t size);

/* Reads and applies a file. A missing file is an error unless `optional`. */
int config_apply_file(struct config *config, const char *path, bool optional);
int config_apply_text(struct config *config, const char *name, const char *text, size_t length);
