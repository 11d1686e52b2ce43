/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pauses: a login from an address that has guessed too often is checked later, right or wrong, while its
 * connection is held. http_login.c sets the time, so that only some are checked in a second; its clients with
 * the right token are still served. Called by http_request.c and http.c.
 */
#include "http/http_private.h"

#include "base/clock.h"
#include "base/unit.h"

#include <utlist.h>

static void schedule(struct http *http, uint64_t now_ns)
{
	const uint64_t due_ns = http->paused ? http->paused->deadline_ns : 0;

	ev_timer_stop(http->loop, &http->pause);
	if (!http->paused)
		return;
	ev_timer_set(&http->pause, due_ns > now_ns ? UNIT_S_OF_NS(due_ns - now_ns) : 0., 0.);
	ev_timer_start(http->loop, &http->pause);
}

static void pause_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct http *http = timer->data;
	const uint64_t now_ns = clock_monotonic_ns();

	(void)loop, (void)events;
	while (http->paused && now_ns >= http->paused->deadline_ns) {
		struct http_request *request = http->paused;

		http_pause_leave(request);
		request->suspended = false;
		http_connection_idle(http, request->connection);
		MHD_resume_connection(request->connection);
		http_wake(http);
	}
	schedule(http, now_ns);
}

void http_pause_init(struct http *http)
{
	ev_timer_init(&http->pause, pause_due, 0., 0.);
	http->pause.data = http;
}

static int compare_deadlines(const struct http_request *a, const struct http_request *b)
{
	return (a->deadline_ns > b->deadline_ns) - (a->deadline_ns < b->deadline_ns);
}

void http_pause_begin(struct http_request *request)
{
	struct http *http = request->http;

	request->paused = request->had_pause = true;
	request->suspended = true;
	DL_INSERT_INORDER(http->paused, request, compare_deadlines);
	if (http->paused == request)
		schedule(http, clock_monotonic_ns());
	http_connection_waits(request->connection);
	MHD_suspend_connection(request->connection);
}

void http_pause_leave(struct http_request *request)
{
	if (!request->paused)
		return;
	DL_DELETE(request->http->paused, request);
	request->paused = false;
}

void http_pause_stop(struct http *http)
{
	while (http->paused)
		http_answer_error(http->paused, 503, "the server is stopping");
	ev_timer_stop(http->loop, &http->pause);
}
