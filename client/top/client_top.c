/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute top`: asks the server every second for the latest powers and shows them, full-screen on a
 * terminal, else as lines. Exits on q, Ctrl-C or SIGTERM with status 0.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "fetch.h"
#include "top/top_screen.h"
#include "top/top_view.h"
#include "base/reason.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct top_options {
	char *server;
	char *token;
	char *machine;
	uint64_t interval_ms;
	int64_t count; /* number of refreshes; 0: no limit */
	bool plain;
};

static const struct config_row rows[] = {
	{.name = "server",
	 .letter = 's',
	 .type = CONFIG_STRING,
	 .placeholder = "URL",
	 .fallback = CLIENT_SERVER_DEFAULT,
	 .offset = offsetof(struct top_options, server),
	 .help = "address of the wattribute server"},
	{.name = "token",
	 .type = CONFIG_STRING,
	 .flags = CONFIG_SECRET,
	 .placeholder = "WORD",
	 .offset = offsetof(struct top_options, token),
	 .help = "the server's --token; better in " CLIENT_TOKEN_VARIABLE ", which others do not see"},
	{.name = "machine",
	 .letter = 'm',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = offsetof(struct top_options, machine),
	 .help = "show only this sensor"},
	{.name = "interval",
	 .letter = 'i',
	 .type = CONFIG_DURATION_MS,
	 .fallback = "1s",
	 .min = 100,
	 .max = 3600000,
	 .offset = offsetof(struct top_options, interval_ms),
	 .help = "time between refreshes"},
	{.name = "count",
	 .letter = 'n',
	 .type = CONFIG_INT,
	 .fallback = "0",
	 .min = 0,
	 .max = 1e9,
	 .offset = offsetof(struct top_options, count),
	 .help = "exit after this number of refreshes; 0: never"},
	{.name = "plain",
	 .letter = 'p',
	 .type = CONFIG_BOOL,
	 .offset = offsetof(struct top_options, plain),
	 .help = "print lines even on a terminal"},
};

static const struct config_spec spec = {
	.program = "wattribute top",
	.about = "Shows the watts of each container and service, refreshed every second.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct top_options),
};

static volatile sig_atomic_t is_ended;

static void end(int signal_number)
{
	(void)signal_number;
	is_ended = 1;
}

static void watch_signals(void)
{
	struct sigaction action = {.sa_handler = end};

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

/*
 * Asks the server and fills the view; an error becomes the view's text. Negative only if the server gave no
 * answer.
 */
static int refresh_view(const struct top_options *options, const char *url, struct top_view *view)
{
	struct reason why = {""};
	json_t *answer = NULL;
	int r = fetch_json(url, options->token, false, 3000, &answer, &why);

	if (r < 0)
		(void)top_view_say(view, why.text);
	else
		(void)top_view_fill(view, answer, options->machine);
	json_decref(answer);
	return r;
}

static int show_lines(const struct top_options *options, const char *url)
{
	struct top_view view = {0};
	int r = 0;

	for (int64_t i = 0; !is_ended && (options->count == 0 || i < options->count); i++) {
		if (i > 0)
			(void)poll(NULL, 0, (int)options->interval_ms);
		if (is_ended)
			break;
		r = refresh_view(options, url, &view);
		for (size_t n = 0; n < view.n_lines; n++)
			puts(view.lines[n].text);
		putchar('\n');
		if (fflush(stdout) != 0)
			break;
	}
	top_view_done(&view);
	/* Without a limit this is no failure: the server may come and go. */
	return r < 0 && options->count > 0 ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
}

/* Draws and reads keys until the next refresh is due; true if the user wants to quit. */
static bool take_keys(const struct top_view *view, uint64_t until_ns, size_t *first_line)
{
	uint64_t now_ns;
	int move;

	while (!is_ended) {
		if (*first_line >= view->n_lines)
			*first_line = 0;
		top_screen_draw(view, *first_line);
		now_ns = clock_monotonic_ns();
		if (now_ns >= until_ns)
			return false;
		if (top_screen_key((int)((until_ns - now_ns) / CLOCK_NS_PER_MS + 1), &move) == 'q')
			return true;
		*first_line = top_view_scroll(view, *first_line, move);
	}
	return true;
}

static int show_screen(const struct top_options *options, const char *url)
{
	struct top_view view = {0};
	size_t first_line = 0;
	bool ended = false;
	uint64_t until_ns;

	if (top_screen_open() < 0)
		return show_lines(options, url);
	watch_signals();
	for (int64_t i = 0; !ended && (options->count == 0 || i < options->count); i++) {
		until_ns = clock_monotonic_ns() + options->interval_ms * CLOCK_NS_PER_MS;
		(void)refresh_view(options, url, &view);
		ended = take_keys(&view, until_ns, &first_line);
	}
	top_screen_close();
	top_view_done(&view);
	return CLIENT_EXIT_OK;
}

int client_top_main(int argc, char *argv[])
{
	struct top_options options;
	struct config *config = NULL;
	cleanup_(cleanup_free) char *url = NULL;
	int status = client_load_options(&spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON) {
		url = fetch_make_url(options.server, "/api/latest");
		watch_signals();
		if (!url)
			status = client_fail(CLIENT_EXIT_FAILURE, "out of memory");
		else if (isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) && !options.plain)
			status = show_screen(&options, url);
		else
			status = show_lines(&options, url);
	}
	config_free(config);
	config_done(&spec, &options);
	return status;
}
