/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: turns the option table into argp's, and collects the given options in order, without
 * applying them. Called by config.c. argp prints nothing by itself here; its errors are explained here.
 */
#include "config/config_private.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/reason.h"
#include "base/text.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_ROW      0x1000 /* + row: options without a letter */
#define KEY_NEGATED  0x2000 /* + row: --no-x */
#define KEY_USAGE    0x3001
#define KEY_VERSION  0x3002
#define KEY_CHECK    0x3003
#define KEY_PRINT    0x3004
#define KEY_HELP     0x3005
#define OPTIONS_EACH 8 /* maximum number of options of one row: itself, its negation, its aliases */

/* argp's table and the help texts made for it. */
struct argp_table {
	struct argp_option *options;
	size_t n_options;
	char **texts;
	size_t n_texts;
};

static void table_done(struct argp_table *table)
{
	for (size_t i = 0; i < table->n_texts; i++)
		free(table->texts[i]);
	free(table->texts);
	free(table->options);
}

static char *keep_text(struct argp_table *table, char *text)
{
	if (text)
		table->texts[table->n_texts++] = text;
	return text;
}

static bool is_option(const struct config_row *row)
{
	return row->type != CONFIG_TITLE && row->type != CONFIG_SECTION;
}

static bool has_argument(const struct config_row *row)
{
	if (row->type == CONFIG_CALL)
		return row->placeholder != NULL;
	return row->type != CONFIG_BOOL && row->type != CONFIG_COUNT;
}

static char *join_choices(struct argp_table *table, const struct config_row *row)
{
	char *joined = NULL;

	for (size_t i = 0; row->choices[i]; i++) {
		char *longer;
		if (asprintf(&longer, "%s%s%s", joined ? joined : "", joined ? "|" : "", row->choices[i]) < 0)
			break;
		free(joined);
		joined = longer;
	}
	return keep_text(table, joined);
}

static const char *placeholder(struct argp_table *table, const struct config_row *row)
{
	static const char *const by_type[] = {
		[CONFIG_INT] = "N",      [CONFIG_DOUBLE] = "X",    [CONFIG_DURATION_MS] = "TIME",
		[CONFIG_SIZE] = "BYTES", [CONFIG_STRING] = "TEXT", [CONFIG_LIST] = "A,B,...",
		[CONFIG_SECTION] = NULL,
	};

	if (!has_argument(row))
		return NULL;
	if (row->placeholder)
		return row->placeholder;
	return row->type == CONFIG_CHOICE ? join_choices(table, row) : by_type[row->type];
}

/* The help text followed by the default. */
static const char *help_text(struct argp_table *table, const struct config_row *row)
{
	char *text;

	if (!row->fallback || row->fallback[0] == '\0' ||
	    (row->type == CONFIG_BOOL && row->fallback[0] != 't'))
		return row->help;
	if (asprintf(&text, "%s (default: %s)", row->help, row->type == CONFIG_BOOL ? "yes" : row->fallback) <
	    0)
		return row->help;
	return keep_text(table, text);
}

static void add_option(struct argp_table *table, const struct argp_option *option)
{
	table->options[table->n_options++] = *option;
}

static void add_negation(struct argp_table *table, const struct config_row *row, int index)
{
	const bool changes = row->fallback && row->fallback[0] == 't';
	char *text;

	/* --no-x is always accepted, and shown if it changes something. */
	if (asprintf(&text, "no-%s", row->name) >= 0)
		add_option(table,
			   &(struct argp_option){.name = keep_text(table, text),
						 .key = KEY_NEGATED + index,
						 .flags = OPTION_ALIAS | (changes ? 0 : OPTION_HIDDEN)});
}

/* Aliases without a dot or underscore are options too, but are not shown. */
static void add_aliases(struct argp_table *table, const struct config_row *row, int key)
{
	for (size_t i = 0; row->aliases && row->aliases[i] && i < OPTIONS_EACH - 2; i++) {
		if (!strpbrk(row->aliases[i], "._"))
			add_option(table, &(struct argp_option){.name = row->aliases[i],
								.key = key,
								.flags = OPTION_ALIAS | OPTION_HIDDEN});
	}
}

static void add_row(struct argp_table *table, const struct config_row *row, int index, int group)
{
	int key = row->letter ? row->letter : KEY_ROW + index;

	add_option(table, &(struct argp_option){.name = row->name,
						.key = key,
						.arg = placeholder(table, row),
						.doc = help_text(table, row),
						.group = group});
	if (row->type == CONFIG_BOOL)
		add_negation(table, row, index);
	add_aliases(table, row, row->letter ? KEY_ROW + index : key);
}

static bool letter_free(const struct config_spec *spec, char letter)
{
	for (size_t i = 0; i < spec->n_rows; i++) {
		if (spec->rows[i].letter == letter)
			return false;
	}
	return true;
}

static void add_built_in(struct argp_table *table, const struct config_spec *spec, int group)
{
	if (spec->daemon) {
		add_option(table, &(struct argp_option){.doc = "Configuration", .group = group});
		add_option(table, &(struct argp_option){"config-file", 'x', "FILE", 0,
							"read options from a JSON file", group});
		add_option(table, &(struct argp_option){"check", KEY_CHECK, NULL, 0,
							"check the configuration and exit", group});
		add_option(table, &(struct argp_option){"print-config", KEY_PRINT, NULL, 0,
							"print the effective configuration as JSON and exit",
							group});
	}
	add_option(table, &(struct argp_option){"help", letter_free(spec, 'h') ? 'h' : KEY_HELP, NULL, 0,
						"print this help and exit", -1});
	add_option(table, &(struct argp_option){"usage", KEY_USAGE, NULL, OPTION_HIDDEN,
						"print a short usage message and exit", -1});
	add_option(table, &(struct argp_option){"version", letter_free(spec, 'V') ? 'V' : KEY_VERSION, NULL,
						0, "print the version and exit", -1});
}

static int table_init(struct argp_table *table, const struct config_spec *spec)
{
	int group = 1;

	*table = (struct argp_table){
		.options = calloc(spec->n_rows * OPTIONS_EACH + 16, sizeof(*table->options)),
		.texts = calloc(spec->n_rows * 3 + 1, sizeof(*table->texts)),
	};
	if (!table->options || !table->texts) {
		table_done(table);
		return -ENOMEM;
	}
	for (size_t i = 0; i < spec->n_rows; i++) {
		const struct config_row *row = &spec->rows[i];
		if (row->type == CONFIG_TITLE)
			add_option(table, &(struct argp_option){.doc = row->help, .group = ++group});
		else if (is_option(row))
			add_row(table, row, (int)i, group);
	}
	add_built_in(table, spec, group + 1);
	return 0;
}

static error_t add_entry(struct config_command_line *line, const struct config_row *row, const char *value,
			 bool negated)
{
	if (!ARRAY_RESIZE(line->entries, line->n_entries + 1))
		return ENOMEM;
	line->entries[line->n_entries++] = (struct config_entry){row, value, negated};
	return 0;
}

static error_t add_file(struct config_command_line *line, const char *path)
{
	if (!ARRAY_RESIZE(line->files, line->n_files + 1))
		return ENOMEM;
	line->files[line->n_files++] = path;
	return 0;
}

static error_t take_row(struct config_command_line *line, int key, const char *value)
{
	const struct config_spec *spec = line->spec;
	int n_rows = (int)spec->n_rows;

	if (key >= KEY_NEGATED && key < KEY_NEGATED + n_rows)
		return add_entry(line, &spec->rows[key - KEY_NEGATED], NULL, true);
	if (key >= KEY_ROW && key < KEY_ROW + n_rows)
		return add_entry(line, &spec->rows[key - KEY_ROW], value, false);
	for (size_t i = 0; i < spec->n_rows; i++) {
		if (spec->rows[i].letter && spec->rows[i].letter == key)
			return add_entry(line, &spec->rows[i], value, false);
	}
	return ARGP_ERR_UNKNOWN;
}

static error_t take_argument(struct config_command_line *line, const char *value, struct argp_state *state)
{
	if (!line->spec->stop_at_argument)
		return add_entry(line, NULL, value, false);
	line->rest = state->next - 1;
	state->next = state->argc;
	return 0;
}

static error_t take_key(int key, char *value, struct argp_state *state)
{
	struct config_command_line *line = state->input;
	error_t r = take_row(line, key, value);

	if (r != ARGP_ERR_UNKNOWN)
		return r;
	switch (key) {
	case ARGP_KEY_ARG:
		return take_argument(line, value, state);
	case ARGP_KEY_ERROR:
		line->next = state->next;
		return 0;
	case 'x':
		return add_file(line, value);
	case 'h':
	case KEY_HELP:
		line->help = true;
		return 0;
	case KEY_USAGE:
		line->usage = true;
		return 0;
	case 'V':
	case KEY_VERSION:
		line->version = true;
		return 0;
	case KEY_CHECK:
		line->check = true;
		return 0;
	case KEY_PRINT:
		line->print = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static bool is_end(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc && !option->group;
}

/* Aliases have the same argument as the option before them. */
static bool takes_argument(const struct argp_option *options, const struct argp_option *option)
{
	while ((option->flags & OPTION_ALIAS) && option > options)
		option--;
	return option->arg != NULL;
}

struct match {
	const struct argp_option *first;
	const struct argp_option *second; /* another one with the same beginning */
	bool exact;
};

static struct match find_long(const struct argp_option *options, const char *name, size_t length)
{
	struct match match = {0};

	for (const struct argp_option *at = options; !is_end(at); at++) {
		if (!at->name || strncmp(at->name, name, length) != 0)
			continue;
		if (at->name[length] == '\0')
			return (struct match){.first = at, .exact = true};
		if (!match.first)
			match.first = at;
		else if (!match.second)
			match.second = at;
	}
	return match;
}

static int unknown_long(const struct argp_option *options, const char *name, struct reason *why)
{
	const char *known[512];
	size_t n = 0;

	for (const struct argp_option *at = options; !is_end(at) && n < 512; at++) {
		if (at->name && !(at->flags & OPTION_HIDDEN))
			known[n++] = at->name;
	}
	const char *nearest = text_nearest(name, known, n);
	if (nearest)
		return reason_set(why, -EINVAL, "unknown option '--%s'; did you mean '--%s'?", name, nearest);
	return reason_set(why, -EINVAL, "unknown option '--%s' (see --help)", name);
}

/* 0: the option is valid. */
static int explain_long(const struct argp_option *options, const char *word, struct reason *why)
{
	char name[128];
	size_t length = strcspn(word, "=");

	(void)snprintf(name, sizeof(name), "%.*s", (int)(length < 120 ? length : 120), word);
	struct match match = find_long(options, word, length);
	if (!match.first)
		return unknown_long(options, name, why);
	if (match.second)
		return reason_set(why, -EINVAL, "option '--%s' is ambiguous: '--%s' or '--%s'?", name,
				  match.first->name, match.second->name);
	if (takes_argument(options, match.first) && word[length] == '\0')
		return reason_set(why, -EINVAL, "option '--%s' needs a value", match.first->name);
	if (!takes_argument(options, match.first) && word[length] == '=')
		return reason_set(why, -EINVAL, "option '--%s' takes no value", match.first->name);
	return 0;
}

static const struct argp_option *find_letter(const struct argp_option *options, char letter)
{
	for (const struct argp_option *at = options; !is_end(at); at++) {
		if (at->key == letter && letter)
			return at;
	}
	return NULL;
}

static int explain_letters(const struct argp_option *options, const char *word, struct reason *why)
{
	for (size_t i = 1; word[i]; i++) {
		const struct argp_option *option = find_letter(options, word[i]);
		if (!option)
			return reason_set(why, -EINVAL, "unknown option '-%c'%s%s%s (see --help)", word[i],
					  word[2] ? " in '" : "", word[2] ? word : "", word[2] ? "'" : "");
		if (!takes_argument(options, option))
			continue;
		if (word[i + 1] == '\0')
			return reason_set(why, -EINVAL, "option '-%c' (--%s) needs a value", word[i],
					  option->name);
		return 0;
	}
	return 0;
}

/* `next`: index in argv of what getopt would have read next. Always returns -EINVAL with a reason. */
static int explain_refusal(const struct argp_option *options, int argc, char *argv[], int next,
			   struct reason *why)
{
	/* getopt is still inside a word of several letters, and already past any other one. */
	if (next > 0 && next < argc && argv[next][0] == '-' && argv[next][1] != '-' && argv[next][1] &&
	    explain_letters(options, argv[next], why) < 0)
		return -EINVAL;
	if (next - 1 <= 0 || next - 1 >= argc)
		return reason_set(why, -EINVAL, "the command line is invalid (see --help)");
	const char *word = argv[next - 1];
	if (strncmp(word, "--", 2) == 0 && explain_long(options, word + 2, why) < 0)
		return -EINVAL;
	if (word[0] == '-' && word[1] != '-' && explain_letters(options, word, why) < 0)
		return -EINVAL;
	return reason_set(why, -EINVAL, "the command line is invalid near '%s' (see --help)", word);
}

int config_parse_arguments(struct config_command_line *line, int argc, char *argv[], struct reason *why)
{
	struct argp_table table;
	int r = table_init(&table, line->spec);

	if (r < 0)
		return r;
	struct argp argp = {.options = table.options, .parser = take_key};
	line->rest = argc;
	error_t failed = argp_parse(&argp, argc, argv,
				    ARGP_IN_ORDER | ARGP_NO_ERRS | ARGP_NO_EXIT | ARGP_NO_HELP, NULL, line);
	if (failed == ENOMEM)
		r = -ENOMEM;
	else if (failed)
		r = explain_refusal(table.options, argc, argv, line->next, why);
	table_done(&table);
	return r;
}

void config_command_line_done(struct config_command_line *line)
{
	free(line->entries);
	free(line->files);
	line->entries = NULL;
	line->files = NULL;
}

int config_print_help(const struct config_command_line *line)
{
	const struct config_spec *spec = line->spec;
	struct argp_table table;
	cleanup_(cleanup_free) char *doc = NULL;
	cleanup_(cleanup_free) char *name = strdup(spec->program);

	if (line->version) {
		(void)printf("%s %s\n", spec->program, WATTRIBUTE_VERSION);
		return 0;
	}
	int r = table_init(&table, spec);
	if (r < 0)
		return r;
	if (!name || asprintf(&doc, "%s%s%s", spec->about ? spec->about : "", spec->tail ? "\v" : "",
			      spec->tail ? spec->tail : "") < 0) {
		table_done(&table);
		return -ENOMEM;
	}
	struct argp argp = {
		.options = table.options, .parser = take_key, .args_doc = spec->arguments, .doc = doc};
	argp_help(&argp, stdout,
		  line->usage ? ARGP_HELP_USAGE : ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC,
		  name);
	table_done(&table);
	return 0;
}
