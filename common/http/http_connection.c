/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time limits of a connection. libmicrohttpd disconnects silent clients; a client that sends or reads a byte
 * from time to time is disconnected here, otherwise a few clients could hold all connections forever. If many
 * connections have no complete request, the oldest of them make room for others. Called by http.c and
 * http_request.c.
 */
#include "http/http_private.h"

#include "base/clock.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <utlist.h>

#define ANSWER_TIMES 10 /* an answer is larger than a request: the client has this much longer to read it */

#define CROWD_PART 8 /* of an address's connections: this part may be without a complete request for long */
#define CROWD_NS   (UINT64_C(2) * CLOCK_NS_PER_S)

#define UNSENT_SOME  ((size_t)32 << 20) /* of unsent answers; above, large ones are cut after READ_NS */
#define UNSENT_LARGE ((size_t)64 << 10)
#define READ_NS      (UINT64_C(5) * CLOCK_NS_PER_S)

struct http_connection {
	struct MHD_Connection *connection;
	uint64_t deadline_ns; /* 0: none */
	uint64_t asked_ns;    /* start of the wait for a complete request; 0: it is here */
	uint64_t answered_ns; /* time since which the client can read its answer */
	size_t unsent;        /* the answer's length, until it has been sent */
	bool proven;          /* the last login was right */
	struct http_connection *next, *prev;
};

static void expect(struct http_connection *of, uint64_t ms, bool request)
{
	const uint64_t now_ns = clock_monotonic_ns();

	if (!of)
		return;
	of->unsent = 0;
	of->deadline_ns = ms ? now_ns + ms * CLOCK_NS_PER_MS : 0;
	of->asked_ns = request ? now_ns : 0;
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
			return; /* this connection is only closed when silent */
		own->connection = connection;
		expect(own, http->options.request_ms, true);
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
	expect(connection_of(connection), http->options.timeout_ms + http->options.request_ms, true);
}

void http_connection_waits(struct MHD_Connection *connection)
{
	expect(connection_of(connection), 0, false);
}

void http_connection_answers(struct http *http, struct MHD_Connection *connection, size_t length)
{
	struct http_connection *of = connection_of(connection);

	expect(of, http->options.request_ms * ANSWER_TIMES, false);
	if (!of)
		return;
	of->unsent = length;
	of->answered_ns = clock_monotonic_ns();
}

void http_connection_prove(struct MHD_Connection *connection, bool right)
{
	struct http_connection *of = connection_of(connection);

	if (of)
		of->proven = right;
}

bool http_connection_is_proven(struct MHD_Connection *connection)
{
	const struct http_connection *of = connection_of(connection);

	return of && of->proven;
}

/* libmicrohttpd sees the end of the stream and closes the connection. */
static void cut(struct http_connection *of)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(of->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (info)
		(void)shutdown(info->connect_fd, SHUT_RDWR);
	of->deadline_ns = of->asked_ns = 0;
	of->unsent = 0;
}

/* Does it hold memory with an answer that it does not read, while others do so, too? */
static bool is_slow_reader(const struct http_connection *of, size_t unsent, uint64_t now_ns)
{
	return unsent > UNSENT_SOME && of->unsent > UNSENT_LARGE && now_ns >= of->answered_ns + READ_NS;
}

static unsigned count_asked(const struct http *http)
{
	const struct http_connection *each;
	unsigned n = 0;

	DL_FOREACH(http->connections, each)
	n += each->asked_ns != 0;
	return n;
}

void http_connections_cut(struct http *http, uint64_t now_ns)
{
	const unsigned most = http->options.per_address / CROWD_PART;
	unsigned n_asked = count_asked(http);
	size_t unsent = http->unsent;
	struct http_connection *each;

	/* In order of arrival. */
	DL_FOREACH(http->connections, each)
	{
		const bool crowds = n_asked > most && each->asked_ns && now_ns >= each->asked_ns + CROWD_NS;
		const bool slow = is_slow_reader(each, unsent, now_ns);

		n_asked -= crowds;
		unsent -= slow ? each->unsent : 0;
		http->statistics.crowded += crowds || slow;
		if (crowds || slow || (each->deadline_ns && now_ns >= each->deadline_ns))
			cut(each);
	}
}
