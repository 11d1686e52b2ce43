/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute recap`: a server's recaps of a machine, as a list, or one of them in full.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/machine_name.h"
#include "fetch.h"
#include "base/text.h"
#include "recap/recap_table.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct recap_options {
	char *server;
	char *token;
	char *database;
	char *machine;
	char *name; /* of the run; NULL: list */
	int64_t limit;
	bool json;
};

static int take_argument(void *target, const char *argument, struct reason *why)
{
	struct recap_options *options = target;

	if (options->name)
		return reason_set(why, -EINVAL, "unexpected argument '%s'; usage: wattribute recap [NAME]",
				  argument);
	options->name = strdup(argument);
	return options->name ? 0 : -ENOMEM;
}

static const struct config_row rows[] = {
	{.name = "server",
	 .letter = 's',
	 .type = CONFIG_STRING,
	 .placeholder = "URL",
	 .fallback = CLIENT_SERVER_DEFAULT,
	 .offset = offsetof(struct recap_options, server),
	 .help = "address of the wattribute server"},
	{.name = "token",
	 .type = CONFIG_STRING,
	 .flags = CONFIG_SECRET,
	 .placeholder = "WORD",
	 .offset = offsetof(struct recap_options, token),
	 .help = "the server's --token; better in " CLIENT_TOKEN_VARIABLE ", which others do not see"},
	{.name = "machine",
	 .letter = 'm',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = offsetof(struct recap_options, machine),
	 .help = "the sensor's name; default: this host's name"},
	{.name = "database",
	 .letter = 'd',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .fallback = CLIENT_DATABASE_DEFAULT,
	 .offset = offsetof(struct recap_options, database),
	 .help = "database of the recaps"},
	{.name = "limit",
	 .letter = 'l',
	 .type = CONFIG_INT,
	 .fallback = "20",
	 .min = 1,
	 .max = 10000,
	 .offset = offsetof(struct recap_options, limit),
	 .help = "maximum number of runs to show, newest first"},
	{.name = "json",
	 .letter = 'j',
	 .type = CONFIG_BOOL,
	 .offset = offsetof(struct recap_options, json),
	 .help = "print the documents as JSON"},
};

static const struct config_spec spec = {
	.program = "wattribute recap",
	.arguments = "[NAME]",
	.about = "Lists the finished runs of a machine, or shows the newest one named NAME in full.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct recap_options),
	.argument = take_argument,
};

/* URL of the request; NULL if out of memory. */
static char *make_url(const struct recap_options *options)
{
	char host[MACHINE_NAME_SIZE];
	cleanup_(cleanup_free) char *machine = NULL;
	cleanup_(cleanup_free) char *database = text_escape_url(options->database);
	cleanup_(cleanup_free) char *name = text_escape_url(options->name ? options->name : "");
	cleanup_(cleanup_free) char *path = NULL;

	machine = text_escape_url(options->machine ? options->machine
						   : machine_name_default(host, sizeof(host)));
	if (!machine || !database || !name ||
	    asprintf(&path, "/api/recaps?database=%s&machine=%s%s%s&limit=%" PRId64, database, machine,
		     options->name ? "&name=" : "", name, options->name ? 1 : options->limit) < 0)
		return NULL;
	return fetch_make_url(options->server, path);
}

static int print_recap(const struct recap_options *options, const json_t *answer)
{
	const json_t *recaps = json_is_array(answer) ? answer : json_object_get(answer, "recaps");
	const json_t *recap;
	size_t i;

	if (options->json) {
		(void)json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		putchar('\n');
		return CLIENT_EXIT_OK;
	}
	if (json_array_size(recaps) == 0)
		return client_fail(CLIENT_EXIT_FAILURE,
				   "no recap%s%s found; check the machine's name (-m NAME)",
				   options->name ? " named " : "", options->name ? options->name : "");
	if (options->name) {
		recap_table_print_line(stdout, NULL);
		recap_table_print_line(stdout, json_array_get(recaps, 0));
		putchar('\n');
		recap_table_print(stdout, json_array_get(recaps, 0));
		return CLIENT_EXIT_OK;
	}
	recap_table_print_line(stdout, NULL);
	json_array_foreach((json_t *)recaps, i, recap) recap_table_print_line(stdout, recap);
	return CLIENT_EXIT_OK;
}

int client_recap_main(int argc, char *argv[])
{
	struct recap_options options;
	struct config *config = NULL;
	struct reason why = {"out of memory"};
	cleanup_(cleanup_free) char *url = NULL;
	json_t *answer = NULL;
	int status = client_load_options(&spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON) {
		url = make_url(&options);
		if (url && fetch_json(url, options.token, false, 0, &answer, &why) == 0)
			status = print_recap(&options, answer);
		else
			status = client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	}
	json_decref(answer);
	config_free(config);
	config_done(&spec, &options);
	return status;
}
