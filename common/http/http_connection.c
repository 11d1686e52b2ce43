/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time limits of a connection. libmicrohttpd disconnects silent clients; a client that sends or reads a byte
 * now and then is disconnected here, otherwise a few clients could hold all connections forever. Called by
 * http.c and http_request.c.
 */
#include "http/http_private.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#define ANSWER_TIMES 10 /* an answer is larger than a request: the client has this much longer to read it */

struct http_connection {
	struct MHD_Connection *connection;
	uint64_t deadline_ns; /* 0: none */
	struct http_connection *next, *prev;
};

static void expect(struct http_connection *of, uint64_t ms)
{
	if (of)
		of->deadline_ns = ms ? clock_monotonic_ns() + ms * CLOCK_NS_PER_MS : 0;
}

static struct http_connection *connection_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

void http_connection_changed(void *cls, struct MHD_Connection *connection, void **socket_context,
			     enum MHD_ConnectionNotificationCode code)
{
	struct http *http = cls;
	struct http_connection *own = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		own = calloc(1, sizeof(*own));
		if (!own)
			return; /* this connection is only cut when silent */
		own->connection = connection;
		expect(own, http->options.request_ms);
		DL_APPEND(http->connections, own);
		*socket_context = own;
	} else if (own) {
		DL_DELETE(http->connections, own);
		free(own);
		*socket_context = NULL;
	}
}

void http_connection_idle(struct http *http, struct MHD_Connection *connection)
{
	expect(connection_of(connection), http->options.timeout_ms + http->options.request_ms);
}

void http_connection_waits(struct MHD_Connection *connection)
{
	expect(connection_of(connection), 0);
}

void http_connection_answers(struct http *http, struct MHD_Connection *connection)
{
	expect(connection_of(connection), http->options.request_ms * ANSWER_TIMES);
}

void http_connections_cut(struct http *http, uint64_t now_ns)
{
	struct http_connection *each;

	DL_FOREACH(http->connections, each)
	{
		const union MHD_ConnectionInfo *info;

		if (!each->deadline_ns || now_ns < each->deadline_ns)
			continue;
		/* libmicrohttpd sees the end of the stream, and closes. */
		info = MHD_get_connection_info(each->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		if (info)
			(void)shutdown(info->connect_fd, SHUT_RDWR);
		each->deadline_ns = 0;
	}
}
