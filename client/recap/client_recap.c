/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute recap`: a server's recaps of a machine, as a list, one of them in full, or the runs of two or
 * more names compared.
 */
#include "client.h"
#include "base/printed.h"
#include "base/cleanup.h"
#include "base/machine_name.h"
#include "fetch.h"
#include "base/text.h"
#include "compare/group.h"
#include "json_fields.h"
#include "recap/recap_table.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECAP_NAMES_MAX  27 /* the word "compare" and 26 runs */
#define RECAP_RUNS_MAX   10000
#define NO_SUCH_RUN      "no recap named %s found; 'wattribute recap' lists them, -m NAME chooses the machine"
#define RECAP_TIMEOUT_MS 60000
#define RECAP_NAMES_MS   10000 /* for shell completion */

struct recap_options {
	char *server;
	char *token;
	char *database;
	char *machine;
	const char *names[RECAP_NAMES_MAX]; /* of runs; none: list */
	size_t n_names;
	char *export; /* FORMAT[:FILE] */
	int phase;    /* enum recap_phase_choice */
	int64_t limit;
	bool json;
	bool names_only;
};

/* The words of --phase. */
enum recap_phase_choice { PHASE_WHOLE, PHASE_WARMUP, PHASE_EXECUTION };

static int take_argument(void *target, const char *argument, struct reason *why)
{
	struct recap_options *options = target;

	if (options->n_names > 0 && strcmp(options->names[0], "compare") != 0)
		return reason_set(
			why, -EINVAL,
			"unexpected argument '%s'; usage: wattribute recap [NAME], or wattribute recap "
			"compare NAME NAME...",
			argument);
	if (options->n_names == RECAP_NAMES_MAX)
		return reason_set(why, -E2BIG, "at most %d names can be compared", RECAP_NAMES_MAX - 1);
	options->names[options->n_names++] = argument;
	return 0;
}

#define OPTION(name, member, ...) CONFIG_OPTION(struct recap_options, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	OPTION("server", server, CLIENT_ROW_SERVER),
	OPTION("token", token, CLIENT_ROW_TOKEN),
	OPTION("machine", machine, CLIENT_ROW_MACHINE,
	       .help = "the sensor's name; default: this host's name without its domain"),
	OPTION("database", database, CLIENT_ROW_DATABASE, .fallback = CLIENT_DATABASE_DEFAULT,
	       .help = "database of the recaps"),
	OPTION("limit", limit, .letter = 'l', .fallback = "20", .min = 1, .max = 10000,
	       .help = "maximum number of runs to show, newest first"),
	OPTION("json", json, .letter = 'j', .help = "print the documents as JSON"),
	OPTION("names", names_only, .flags = CONFIG_NO_ENV,
	       .help = "print only the names of the runs, each once, for shell completion"),

	{.type = CONFIG_TITLE, .help = "For recap compare:"},
	OPTION("phase", phase, .flags = CONFIG_NO_ENV, .fallback = "whole",
	       .choices = CONFIG_NAMES("whole", "warmup", "execution"),
	       .help = "part of the runs to compare"),
	OPTION("export", export, .letter = 'e', .flags = CONFIG_NO_ENV, .placeholder = "FORMAT[:FILE]",
	       .help = "write all runs as csv, json or markdown, instead of the table; default: to standard "
		       "output"),
};

static const struct config_spec spec = {
	.program = "wattribute recap",
	.arguments = "[NAME | compare NAME NAME...]",
	.about = "Lists the finished runs of a machine, shows the newest one named NAME in full, or compares "
		 "the runs of two or more names: mean, spread, interval, and the ratio of the first to each.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct recap_options),
	.argument = take_argument,
	.display_uri = fetch_display,
};

/* URL of the request; `name` NULL: all runs. NULL if out of memory. */
static char *make_url(const struct recap_options *options, const char *run, int64_t limit)
{
	char host[MACHINE_NAME_SIZE];
	cleanup_(cleanup_free) char *machine = NULL;
	cleanup_(cleanup_free) char *database = text_escape_url(options->database);
	cleanup_(cleanup_free) char *name = text_escape_url(run ? run : "");
	cleanup_(cleanup_free) char *path = NULL;

	machine = text_escape_url(options->machine ? options->machine
						   : machine_name_default(host, sizeof(host)));
	if (!machine || !database || !name ||
	    asprintf(&path, "/api/recaps?database=%s&machine=%s%s%s&limit=%" PRId64, database, machine,
		     run ? "&name=" : "", name, limit) < 0)
		return NULL;
	return fetch_make_url(options->server, path);
}

static int print_recap(const struct recap_options *options, const char *name, const json_t *answer)
{
	const json_t *recaps = json_is_array(answer) ? answer : json_object_get(answer, "recaps");
	const json_t *recap;
	unsigned n_estimated = 0, n_partial = 0;
	size_t i;

	if (options->json) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER);
		putchar('\n');
		return CLIENT_EXIT_OK;
	}
	if (json_array_size(recaps) == 0 && !name)
		return client_fail(
			CLIENT_EXIT_FAILURE,
			"no run of this machine is stored yet: tester.sh stores one, -m NAME chooses "
			"another machine");
	if (json_array_size(recaps) == 0)
		return client_fail(CLIENT_EXIT_FAILURE, NO_SUCH_RUN, name);
	if (name) {
		recap_table_print_line(stdout, NULL);
		recap_table_print_line(stdout, json_array_get(recaps, 0));
		putchar('\n');
		recap_table_print(stdout, json_array_get(recaps, 0));
		return CLIENT_EXIT_OK;
	}
	recap_table_print_line(stdout, NULL);
	json_array_foreach((json_t *)recaps, i, recap)
	{
		recap_table_print_line(stdout, recap);
		n_estimated += json_is_true(json_object_get(recap, "estimated"));
		n_partial += json_is_partial_run(recap);
	}
	if (n_partial)
		printf("\nnote: %u of these runs were measured in part only, as reports are missing; "
		       "'wattribute recap "
		       "NAME' shows how much\n",
		       n_partial);
	if (n_estimated)
		printf("\nnote: in %u of these runs the machine's energy is estimated, not measured: see "
		       "'wattribute "
		       "check'\n",
		       n_estimated);
	return CLIENT_EXIT_OK;
}

/* One per line, newest first; names that would break the line or control a terminal are left out. */
static int print_names(const json_t *answer)
{
	json_t *seen = json_object();
	const json_t *recap;
	char plain[1024];
	size_t i;

	json_array_foreach(json_object_get(answer, "recaps"), i, recap)
	{
		const char *name = json_string_value(json_object_get(recap, "name"));

		if (!name || !name[0] || json_object_get(seen, name) ||
		    strcmp(text_copy_plain(name, plain, sizeof(plain)), name) != 0)
			continue;
		(void)json_object_set_new(seen, name, json_true());
		puts(name);
	}
	json_decref(seen);
	return CLIENT_EXIT_OK;
}

/* A list, or one run. */
static int show_recaps(const struct recap_options *options)
{
	const char *name = options->n_names > 0 && !options->names_only ? options->names[0] : NULL;
	cleanup_(cleanup_free) char *url = make_url(options, name, name ? 1 : options->limit);
	struct reason why = {"out of memory"};
	json_t *answer = NULL;
	int status;

	if (!url || fetch_json(url, options->token, false, options->names_only ? RECAP_NAMES_MS : 0, &answer,
			       &why) < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	status = options->names_only ? print_names(answer) : print_recap(options, name, answer);
	json_decref(answer);
	return status;
}

/* The runs of a name, oldest first. CLIENT_EXIT_OK, or the exit status after a message. */
static int fetch_group(const struct recap_options *options, const char *name, struct compare_group *ret_group)
{
	static const char *const phases[] = {NULL, "warmup", "execution"};
	cleanup_(cleanup_free) char *url = make_url(options, name, RECAP_RUNS_MAX);
	struct reason why = {"out of memory"};
	json_t *answer = NULL;
	const json_t *recaps;
	int r = 0;

	*ret_group = (struct compare_group){.name = name};
	if (!url || fetch_json(url, options->token, false, RECAP_TIMEOUT_MS, &answer, &why) < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	recaps = json_object_get(answer, "recaps");
	for (size_t i = json_array_size(recaps); i-- > 0 && r != -ENOMEM;)
		r = compare_group_add(ret_group, json_array_get(recaps, i), phases[options->phase]);
	json_decref(answer);
	if (ret_group->n_runs == 0)
		return client_fail(CLIENT_EXIT_FAILURE, NO_SUCH_RUN, name);
	return CLIENT_EXIT_OK;
}

static int print_groups(const struct recap_options *options, struct compare_group *groups, size_t n_groups)
{
	enum compare_format format = options->json ? COMPARE_JSON : COMPARE_TEXT;
	const char *path = "-";
	struct reason why = {""};
	FILE *out;
	int r, closed;

	if (options->export && compare_parse_export(options->export, &format, &path, &why) < 0)
		return client_fail(CLIENT_EXIT_USAGE, "%s", why.text);
	out = strcmp(path, "-") ? fopen(path, "we") : stdout;
	if (!out)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot write '%s': %s", path, strerror(errno));
	r = compare_print(out, format, groups, n_groups);
	closed = printed_close(out);
	if (r == 0)
		r = closed;
	if (r < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot write '%s': %s", path, strerror(-r));
	return CLIENT_EXIT_OK;
}

static int compare_recaps(const struct recap_options *options)
{
	struct compare_group groups[RECAP_NAMES_MAX - 1] = {0};
	size_t n_groups = options->n_names - 1;
	int status = CLIENT_EXIT_OK;

	for (size_t i = 0; i < n_groups && status == CLIENT_EXIT_OK; i++)
		status = fetch_group(options, options->names[i + 1], &groups[i]);
	if (status == CLIENT_EXIT_OK)
		status = print_groups(options, groups, n_groups);
	for (size_t i = 0; i < n_groups; i++)
		compare_group_done(&groups[i]);
	return status;
}

static int run(void *data, char *argv[])
{
	const struct recap_options *options = data;

	(void)argv;
	return options->n_names > 1 && !options->names_only ? compare_recaps(options) : show_recaps(options);
}

int client_recap_main(int argc, char *argv[])
{
	struct recap_options options;

	return client_main(&spec, &options, argc, argv, run);
}
