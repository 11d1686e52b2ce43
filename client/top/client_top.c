/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute top`: asks the server every second for the latest powers and shows them as lines, or
 * full-screen on a terminal (top_session.c). Exits on q, Ctrl-C or SIGTERM with status 0.
 */
#include "client.h"
#include "fetch.h"
#include "base/cleanup.h"
#include "top/top_session.h"
#include "top/top_view.h"
#include "base/reason.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

struct top_options {
	char *server;
	char *token;
	char *machine;
	uint64_t interval_ms;
	int64_t count; /* number of refreshes; 0: no limit */
	int sort, group;
	char *filter;
	bool plain;
};

#define OPTION(name, member, ...) CONFIG_OPTION(struct top_options, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	OPTION("server", server, CLIENT_ROW_SERVER),
	OPTION("token", token, CLIENT_ROW_TOKEN),
	OPTION("machine", machine, CLIENT_ROW_MACHINE, .help = "show only this sensor"),
	OPTION("interval", interval_ms, .letter = 'i', .fallback = "1s", .min = 100, .max = 3600000,
	       .help = "time between refreshes"),
	OPTION("count", count, .letter = 'n', .fallback = "0", .max = 1e9,
	       .help = "exit after this number of refreshes; 0: never"),
	OPTION("sort", sort, .fallback = "watts", .choices = top_sort_names, .help = "order of the targets"),
	OPTION("group", group, .fallback = "none", .choices = top_group_names,
	       .help = "gather targets below sums"),
	OPTION("filter", filter,
	       .help = "only targets with TEXT in their name, image, pod, namespace, runtime or id"),
	OPTION("plain", plain, .letter = 'p', .help = "print lines even on a terminal"),
};

static const struct config_spec spec = {
	.program = "wattribute top",
	.about = "Shows the watts of each container and service, refreshed every second: what it causes "
		 "(dynamic) and its part of what the machine uses at rest (idle). With several machines, a "
		 "line for each; Enter opens one. The key ? lists all keys.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct top_options),
};

static void set_up(const struct top_options *options, struct top_session *ret)
{
	*ret = (struct top_session){.server = options->server,
				    .token = options->token,
				    .interval_ms = options->interval_ms,
				    .count = options->count,
				    .settings = {.sort = options->sort,
						 .group = options->group,
						 .filter = options->filter,
						 .machine = options->machine}};
}

/* Prints a refresh; false if nobody reads it. */
static bool print_lines(const struct top_view *view)
{
	for (size_t n = 0; n < view->n_lines; n++)
		puts(view->lines[n].text);
	putchar('\n');
	return fflush(stdout) == 0;
}

static int show_lines(struct top_session *session)
{
	bool is_missing = false;
	int r = 0;

	for (int64_t i = 0; !top_session_is_ended() && (session->count == 0 || i < session->count); i++) {
		if (i > 0)
			(void)poll(NULL, 0, (int)session->interval_ms);
		if (top_session_is_ended())
			break;
		r = top_session_refresh(session);
		is_missing = r == 0 && session->settings.machine && session->view.n_sensors == 0;
		if (!print_lines(&session->view))
			break;
	}
	/* Without a limit this is no failure: the server may come and go. */
	return (r < 0 || is_missing) && session->count > 0 ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
}

int client_top_main(int argc, char *argv[])
{
	struct top_options options;
	struct top_session session = {0};
	struct config *config = NULL;
	struct reason why = {""};
	int status = client_load_options(&spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON) {
		set_up(&options, &session);
		if (top_session_open(&session) < 0)
			status = client_fail(CLIENT_EXIT_FAILURE, "out of memory");
		else if (fetch_check_url(session.url, &why) < 0)
			status = client_fail(CLIENT_EXIT_USAGE, "%s", why.text);
		else if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || options.plain ||
			 top_session_show(&session) < 0)
			status = show_lines(&session);
		else
			status = CLIENT_EXIT_OK;
		top_session_close(&session);
	}
	config_free(config);
	config_done(&spec, &options);
	return status;
}
