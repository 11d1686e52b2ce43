/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute top`: asks the server every second for the latest powers and shows them as lines, or
 * full-screen on a terminal, where keys are handled with the last answer, without another request. Exits on
 * q, Ctrl-C or SIGTERM with status 0.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/reason.h"
#include "fetch.h"
#include "top/top_screen.h"
#include "top/top_view.h"

#include <errno.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUEST_TIMEOUT_MS 3000
#define TOP_FILTER_SIZE    64

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
	OPTION("interval", interval_ms, .letter = 'i', .flags = CONFIG_BARE, .fallback = "1s", .min = 100,
	       .max = 3600000, .help = "time between refreshes"),
	OPTION("count", count, .letter = 'n', .fallback = "0", .max = 1e9,
	       .help = "exit after this number of refreshes; 0: never"),
	OPTION("sort", sort, .fallback = "watts", .choices = top_sort_names, .help = "order of the targets"),
	OPTION("group", group, .fallback = "none", .choices = top_group_names,
	       .help = "group the targets, each group with its sum"),
	OPTION("filter", filter,
	       .help = "only targets with TEXT in their name, image, pod, namespace, runtime or id"),
	OPTION("plain", plain, .letter = 'p', .help = "print lines even on a terminal"),
};

static const struct config_spec spec = {
	.program = "wattribute top",
	.about = "Shows the watts of each container and service, refreshed every second: the power that it "
		 "causes (dynamic) and its part of the machine's power at rest (idle). With several "
		 "machines, one line for each; Enter opens one. Press ? for a list of all keys.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct top_options),
	.display_uri = fetch_display,
};

/*
 * State kept between refreshes: the last answer, the last minute, and the settings made by keys.
 */
struct top_session {
	const struct top_options *options;
	struct top_settings settings;
	char *url;
	json_t *answer; /* the last one; NULL after an error */
	struct top_history *history;
	struct top_view view;
	size_t first; /* line below the fixed ones */
	bool is_typing, is_help;
	const char *opened; /* machine chosen in the overview; NULL: none */
	char filter[TOP_FILTER_SIZE];
	char opened_name[256];
};

static const char *const help_lines[] = {
	"wattribute top: watts of each container and service",
	"",
	"  watts = dynamic + idle, of cpu, dram and gpu together",
	"  dynamic   what the target's work causes",
	"  idle      its part of the machine's power at rest",
	"  +- W      standard deviation of the model's error",
	"  joules    since the start of the server or of the target",
	"  The bar [|||:::  ]: the machine's dynamic and idle power, scaled to the last minute's maximum.",
	"",
	"  w d t e n   sort by watts, dynamic watts, total joules, error, name      r   reverse the order",
	"  g           group by runtime, pod, namespace, image, slice, or not at all",
	"  /           filter: type part of a name, image, pod, namespace or id; Enter keeps it, Esc "
	"clears it",
	"  arrows, page up, page down, home, end (j, k, space)   scroll",
	"  Enter       open the machine of the selected line                   m, Esc   back to all machines",
	"  ? h         this page                                               q   quit",
	NULL};

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

static int open_session(struct top_session *session)
{
	session->url = fetch_make_url(session->options->server, "/api/latest");
	session->history = top_history_new();
	session->settings.has_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	watch_signals();
	return session->url && session->history ? 0 : -ENOMEM;
}

static void close_session(struct top_session *session)
{
	free(session->url);
	json_decref(session->answer);
	top_history_free(session->history);
	top_view_done(&session->view);
}

/* Fills the view from the last answer, with the present settings. */
static void fill(struct top_session *session)
{
	struct top_settings *settings = &session->settings;
	struct top_settings shown = *settings;
	bool several = json_array_size(json_object_get(session->answer, "sensors")) > 1;

	shown.is_overview = settings->width > 0 && several && !settings->machine && !session->opened;
	if (session->opened)
		shown.machine = session->opened;
	if (session->is_help)
		(void)top_view_list(&session->view, help_lines);
	else if (session->answer)
		(void)top_view_fill(&session->view, session->answer, &shown, session->history,
				    clock_realtime_ms());
	settings->is_overview = shown.is_overview;
}

/* Asks the server and fills the view; an error becomes its text. Negative if the server gave no answer. */
static int refresh_session(struct top_session *session)
{
	struct reason why = {""};
	json_t *answer = NULL;
	int r = fetch_json(session->url, session->options->token, false, REQUEST_TIMEOUT_MS, &answer, &why);

	json_decref(session->answer);
	session->answer = r < 0 ? NULL : answer;
	if (r < 0) {
		(void)top_view_say(&session->view, why.text);
		return r;
	}
	top_view_remember(session->history, answer, clock_realtime_ms());
	fill(session);
	return 0;
}

static void draw(struct top_session *session)
{
	const struct top_settings *settings = &session->settings;
	char foot[256];

	if (session->is_typing)
		(void)snprintf(foot, sizeof(foot), " filter: %s_   Enter: keep   Esc: clear ",
			       session->filter);
	else if (session->is_help)
		(void)snprintf(foot, sizeof(foot), " any key: back ");
	else
		(void)snprintf(foot, sizeof(foot),
			       " q quit  ? help  / filter%s%s  sort: %s%s  g group: %s%s ",
			       settings->filter && *settings->filter ? ": " : "",
			       settings->filter ? settings->filter : "", top_sort_names[settings->sort],
			       settings->is_reversed ? " reversed" : "", top_group_names[settings->group],
			       session->opened ? "  m all machines" : "");
	session->first = top_view_scroll(&session->view, top_screen_height(), session->first, 0);
	top_screen_draw(&session->view, session->first, foot);
}

static void move(struct top_session *session, int64_t lines)
{
	size_t n = json_array_size(json_object_get(session->answer, "sensors"));
	int64_t wanted = (int64_t)session->settings.selected + lines;
	size_t room;

	if (!session->settings.is_overview || session->is_help || n == 0) {
		session->first = top_view_scroll(&session->view, top_screen_height(), session->first, lines);
		return;
	}
	session->settings.selected = wanted < 0 ? 0 : wanted >= (int64_t)n ? n - 1 : (size_t)wanted;
	/* Keep the selected line visible. */
	room = top_screen_height() > session->view.n_fixed ? top_screen_height() - session->view.n_fixed : 1;
	if (session->settings.selected < session->first)
		session->first = session->settings.selected;
	else if (session->settings.selected >= session->first + room)
		session->first = session->settings.selected - room + 1;
}

static void open_machine(struct top_session *session)
{
	const char *name = top_view_machine(session->answer, session->settings.selected);

	if (!session->settings.is_overview || !name)
		return;
	(void)snprintf(session->opened_name, sizeof(session->opened_name), "%s", name);
	session->opened = session->opened_name;
	session->first = 0;
}

static void type(struct top_session *session, const struct top_input *input)
{
	size_t length = strlen(session->filter);

	if (input->key == TOP_KEY_ENTER) {
		session->is_typing = false;
	} else if (input->key == TOP_KEY_ESCAPE) {
		session->is_typing = false;
		session->filter[0] = '\0';
	} else if (input->key == TOP_KEY_BACKSPACE && length > 0) {
		/* Remove all bytes of the last character. */
		do
			length--;
		while (length > 0 && ((unsigned char)session->filter[length] & 0xc0) == 0x80);
		session->filter[length] = '\0';
	} else if (input->key == TOP_KEY_TEXT && length + 1 < sizeof(session->filter)) {
		session->filter[length] = input->byte;
		session->filter[length + 1] = '\0';
	}
	session->settings.filter = session->filter;
	session->first = 0;
}

/* True: quit. */
static bool obey_letter(struct top_session *session, char letter)
{
	static const char sorts[] = "wdten"; /* in the order of enum top_sort */
	const char *sort = strchr(sorts, letter);
	struct top_settings *settings = &session->settings;

	if (sort && *sort) {
		settings->is_reversed = false;
		settings->sort = (int)(sort - sorts);
	} else if (letter == 'r') {
		settings->is_reversed = !settings->is_reversed;
	} else if (letter == 'g') {
		settings->group = (settings->group + 1) % TOP_GROUPS;
	} else if (letter == 'm') {
		session->opened = NULL;
		session->first = 0;
	} else if (letter == '/') {
		session->is_typing = true;
		(void)snprintf(session->filter, sizeof(session->filter), "%s",
			       settings->filter && settings->filter != session->filter ? settings->filter
										       : session->filter);
		settings->filter = session->filter;
	} else if (letter == '?' || letter == 'h') {
		session->is_help = true;
		session->first = 0;
	}
	return letter == 'q' || letter == 'Q';
}

/* True: quit. */
static bool obey(struct top_session *session, const struct top_input *input)
{
	if (input->key == TOP_KEY_QUIT)
		return true;
	if (input->key == TOP_KEY_NONE)
		return false;
	if (session->is_typing) {
		type(session, input);
	} else if (session->is_help && input->key != TOP_KEY_RESIZE && input->key != TOP_KEY_MOVE) {
		session->is_help = false;
		return input->byte == 'q';
	} else if (input->key == TOP_KEY_MOVE) {
		move(session, input->move);
	} else if (input->key == TOP_KEY_ENTER) {
		open_machine(session);
	} else if (input->key == TOP_KEY_ESCAPE || input->key == TOP_KEY_BACKSPACE) {
		session->opened = NULL;
	} else if (input->key == TOP_KEY_TEXT) {
		return obey_letter(session, input->byte);
	}
	return false;
}

/*
 * Draws and obeys keys until the next refresh is due, and at least those already typed: a request may take
 * longer than the interval. True if the user wants to quit.
 */
static bool take_keys(struct top_session *session, uint64_t until_ns)
{
	while (!is_ended) {
		struct top_input input;
		uint64_t now_ns;
		int wait_ms;

		session->settings.width = top_screen_width();
		fill(session);
		draw(session);
		now_ns = clock_monotonic_ns();
		wait_ms = now_ns < until_ns ? (int)((until_ns - now_ns) / CLOCK_NS_PER_MS + 1) : 0;
		input = top_screen_key(wait_ms, session->is_typing);
		if (obey(session, &input))
			return true;
		if (wait_ms == 0 && input.key == TOP_KEY_NONE)
			return false;
	}
	return true;
}

/* Full-screen until the user ends it. -ENOTTY: not possible on this terminal, which is unchanged. */
static int show_screen(struct top_session *session)
{
	bool ended = false;
	int r = top_screen_open();

	if (r < 0)
		return r;
	watch_signals(); /* the library has set its own */
	for (int64_t i = 0; !ended && (session->options->count == 0 || i < session->options->count); i++) {
		uint64_t until_ns = clock_monotonic_ns() + session->options->interval_ms * CLOCK_NS_PER_MS;

		session->settings.width = top_screen_width();
		(void)refresh_session(session);
		ended = take_keys(session, until_ns);
	}
	top_screen_close();
	return 0;
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

	for (int64_t i = 0; !is_ended && (session->options->count == 0 || i < session->options->count); i++) {
		if (i > 0)
			(void)poll(NULL, 0, (int)session->options->interval_ms);
		if (is_ended)
			break;
		r = refresh_session(session);
		is_missing = r == 0 && session->settings.machine && session->view.n_sensors == 0;
		if (!print_lines(&session->view))
			break;
	}
	/* Without a limit this is not a failure: the server may be restarted. */
	return (r < 0 || is_missing) && session->options->count > 0 ? CLIENT_EXIT_FAILURE : CLIENT_EXIT_OK;
}

static int run(void *data, char *argv[])
{
	const struct top_options *options = data;
	struct top_session session = {.options = options,
				      .settings = {.sort = options->sort,
						   .group = options->group,
						   .filter = options->filter,
						   .machine = options->machine}};
	struct reason why = {""};
	int status = CLIENT_EXIT_OK;

	(void)argv;
	if (open_session(&session) < 0)
		status = client_fail(CLIENT_EXIT_FAILURE, "out of memory");
	else if (fetch_check_url(session.url, &why) < 0)
		status = client_fail(CLIENT_EXIT_USAGE, "%s", why.text);
	else if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO) || options->plain ||
		 show_screen(&session) < 0)
		status = show_lines(&session);
	close_session(&session);
	return status;
}

int client_top_main(int argc, char *argv[])
{
	struct top_options options;

	return client_main(&spec, &options, argc, argv, run);
}
