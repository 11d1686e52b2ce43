/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The full-screen side of `wattribute top`: asks, draws, and does what the keys say until the next refresh is
 * due. A key is answered from the last answer, not by another request.
 */
#include "top/top_session.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/reason.h"
#include "fetch.h"
#include "top/top_screen.h"

#include <errno.h>
#include <langinfo.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_TIMEOUT_MS 3000

static const char *const help_lines[] = {
	"wattribute top: watts of each container and service",
	"",
	"  watts = dynamic + idle, of cpu, dram and gpu together",
	"  dynamic   what the target's work causes",
	"  idle      its part of what the machine uses at rest",
	"  +- W      standard deviation of the model's error",
	"  joules    since the server first saw the target",
	"  The bar [|||:::  ] is the machine's dynamic and idle power against the greatest of the last "
	"minute.",
	"",
	"  w d t e n   sort by watts, dynamic watts, total joules, error, name      r   turn the order "
	"around",
	"  g           group by runtime, pod, namespace, image, slice, or not at all",
	"  /           filter: type a part of a name, image, pod, namespace or id; Enter keeps it, Esc "
	"clears it",
	"  arrows, page up, page down, home, end (j, k, blank)   scroll",
	"  Enter       open the machine of the selected line                   m, Esc   back to all machines",
	"  ? h         this page                                               q   quit",
	NULL};

static volatile sig_atomic_t is_ended;

static void end(int signal_number)
{
	(void)signal_number;
	is_ended = 1;
}

bool top_session_is_ended(void)
{
	return is_ended;
}

static void watch_signals(void)
{
	struct sigaction action = {.sa_handler = end};

	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGHUP, &action, NULL);
}

int top_session_open(struct top_session *session)
{
	session->url = fetch_make_url(session->server, "/api/latest");
	session->history = top_history_new();
	session->settings.has_unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
	watch_signals();
	return session->url && session->history ? 0 : -ENOMEM;
}

void top_session_close(struct top_session *session)
{
	free(session->url);
	json_decref(session->answer);
	top_history_free(session->history);
	top_view_done(&session->view);
}

/* The view of the last answer, as it is wanted now. */
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

int top_session_refresh(struct top_session *session)
{
	struct reason why = {""};
	json_t *answer = NULL;
	int r = fetch_json(session->url, session->token, false, REQUEST_TIMEOUT_MS, &answer, &why);

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
	/* The selected line stays visible. */
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
		/* All bytes of the last character. */
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

/* Draws and obeys keys until the next refresh is due; true if the user wants to quit. */
static bool take_keys(struct top_session *session, uint64_t until_ns)
{
	while (!is_ended) {
		struct top_input input;
		uint64_t now_ns;

		session->settings.width = top_screen_width();
		fill(session);
		draw(session);
		now_ns = clock_monotonic_ns();
		if (now_ns >= until_ns)
			return false;
		input = top_screen_key((int)((until_ns - now_ns) / CLOCK_NS_PER_MS + 1), session->is_typing);
		if (obey(session, &input))
			return true;
	}
	return true;
}

int top_session_show(struct top_session *session)
{
	bool ended = false;
	int r = top_screen_open();

	if (r < 0)
		return r;
	watch_signals(); /* the library has set its own */
	for (int64_t i = 0; !ended && (session->count == 0 || i < session->count); i++) {
		uint64_t until_ns = clock_monotonic_ns() + session->interval_ms * CLOCK_NS_PER_MS;

		session->settings.width = top_screen_width();
		(void)top_session_refresh(session);
		ended = take_keys(session, until_ns);
	}
	top_screen_close();
	return 0;
}
