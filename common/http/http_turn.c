/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns: of the requests with slow answers, one is answered in each iteration of the loop, so that the loop's
 * other work never waits for more than one of them. Called by http_request.c and http.c.
 */
#include "http/http_private.h"

#include <utlist.h>

#define QUEUE_LENGTH_MAX 1024

static void turn_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct http *http = timer->data;
	struct http_request *request = http->queue;

	(void)events;
	if (!request) {
		ev_timer_stop(loop, timer);
		return;
	}
	http_turn_leave(request);
	if (http_client_gone(request)) {
		http_answer_error(request, 503, "the client has disconnected");
		return;
	}
	request->has_turn = true;
	request->suspended = false;
	MHD_resume_connection(request->connection);
	http_wake(http);
}

void http_turn_init(struct http *http)
{
	ev_timer_init(&http->turn, turn_due, 0., 1e-6);
	http->turn.data = http;
}

bool http_turn_take(struct http_request *request)
{
	struct http *http = request->http;

	if (request->has_turn || !http_request_is_listed(request, http->options.slow_patterns))
		return true;
	if (!http->queue && ev_iteration(http->loop) != http->turn_taken) {
		http->turn_taken = ev_iteration(http->loop);
		return true;
	}
	if (http->n_queued >= QUEUE_LENGTH_MAX) {
		http_answer_error(request, 503, "too many requests are waiting; try again later");
		return false;
	}
	DL_APPEND(http->queue, request);
	http->n_queued++;
	request->queued = true;
	ev_timer_again(http->loop, &http->turn);
	return false;
}

void http_turn_leave(struct http_request *request)
{
	if (!request->queued)
		return;
	DL_DELETE(request->http->queue, request);
	request->http->n_queued--;
	request->queued = false;
}

void http_turn_stop(struct http *http)
{
	while (http->queue) {
		struct http_request *request = http->queue;

		http_turn_leave(request);
		http_answer_error(request, 503, "the server is stopping");
	}
	ev_timer_stop(http->loop, &http->turn);
}
