/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TCP client that sends one JSON line per report, as hwpc-sensor does and PowerAPI's socket input expects.
 * While the peer is unreachable, calls return RETRY, with growing pauses between attempts. Called through
 * store.c.
 */
#include "store/store_backend.h"
#include "store/store_document.h"
#include "document/bson_json.h"
#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAUSE_FIRST_MS   100
#define PAUSE_LONGEST_MS 30000

struct socket_store {
	char host[512];
	char port[8];
	uint64_t timeout_ms;
	int fd;
	uint64_t pause_ms;
	uint64_t next_try_ns;
	struct batch text;
};

static struct socket_store *private_of(const struct store *store)
{
	return store->private;
}

static void disconnect(struct socket_store *own)
{
	if (own->fd >= 0)
		(void)close(own->fd);
	own->fd = -1;
}

static void socket_close(struct store *store)
{
	struct socket_store *own = private_of(store);

	disconnect(own);
	batch_done(&own->text);
}

/* "host:port" or "[address]:port", checked by store_uri.c. */
static int socket_open(struct store *store, const char *location, const struct store_options *options)
{
	struct socket_store *own = private_of(store);
	const char *colon = strrchr(location, ':');
	bool bracket = location[0] == '[';

	own->fd = -1;
	if (!colon)
		return -EINVAL;
	own->timeout_ms = options->timeout_ms;
	(void)snprintf(own->host, sizeof(own->host), "%.*s", (int)(colon - location) - (bracket ? 2 : 0),
		       location + (bracket ? 1 : 0));
	(void)snprintf(own->port, sizeof(own->port), "%s", colon + 1);
	return 0;
}

/* Waits until the socket can be written to. 0 or a negative errno. */
static int wait_writable(const struct socket_store *own, int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t length = sizeof(error);
	int r;

	do
		r = poll(&poll_fd, 1, (int)own->timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return -ETIMEDOUT;
	if (r < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
		return -errno;
	return -error;
}

static int connect_one(const struct socket_store *own, const struct addrinfo *address, int *ret_fd)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return -errno;
	r = connect(fd, address->ai_addr, address->ai_addrlen) < 0 ? -errno : 0;
	if (r == -EINPROGRESS)
		r = wait_writable(own, fd);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static enum store_result fail(struct store *store, const char *reason)
{
	struct socket_store *own = private_of(store);

	disconnect(own);
	own->pause_ms = own->pause_ms ? own->pause_ms * 2 : PAUSE_FIRST_MS;
	if (own->pause_ms > PAUSE_LONGEST_MS)
		own->pause_ms = PAUSE_LONGEST_MS;
	own->next_try_ns = clock_monotonic_ns() + own->pause_ms * CLOCK_NS_PER_MS;
	return store_fail(store, STORE_RETRY,
			  "cannot send to %s:%s: %s; is PowerAPI's socket input listening there?", own->host,
			  own->port, reason);
}

static enum store_result connect_any(struct store *store)
{
	struct socket_store *own = private_of(store);
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *addresses = NULL;
	int r;

	if (clock_monotonic_ns() < own->next_try_ns)
		return store_fail(store, STORE_RETRY, "%s:%s is not reachable; retrying soon", own->host,
				  own->port);
	r = getaddrinfo(own->host, own->port, &hints, &addresses);
	if (r != 0)
		return fail(store, gai_strerror(r));
	r = -ENOENT;
	for (const struct addrinfo *at = addresses; at && r < 0; at = at->ai_next)
		r = connect_one(own, at, &own->fd);
	freeaddrinfo(addresses);
	if (r < 0)
		return fail(store, strerror(-r));
	own->pause_ms = 0;
	return STORE_OK;
}

static int send_all(struct socket_store *own)
{
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < own->text.length) {
		ssize_t n = send(own->fd, own->text.data + done, own->text.length - done, MSG_NOSIGNAL);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			r = wait_writable(own, own->fd);
		else if (errno != EINTR)
			r = -errno;
	}
	return r;
}

/* The peer never sends: anything readable is the end of the stream. */
static bool peer_is_gone(const struct socket_store *own)
{
	char byte;

	return recv(own->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Only reports of counts and of power are sent: readers fail on anything else. */
static bool add_line(struct socket_store *own, const uint8_t *data, size_t length)
{
	struct store_document document;

	return store_document_read(data, length, &document) && document.kind != STORE_DOCUMENT_OTHER &&
	       bson_json_append(&own->text, BSON_JSON_SENSOR, data, length) == 0;
}

static enum store_result socket_append(struct store *store, const char *collection, const struct batch *batch)
{
	struct socket_store *own = private_of(store);
	const uint8_t *data;
	size_t offset = 0;
	size_t length;
	unsigned dropped = 0;
	int r;

	(void)collection;
	if (own->fd >= 0 && peer_is_gone(own))
		disconnect(own);
	if (own->fd < 0 && connect_any(store) != STORE_OK)
		return STORE_RETRY;
	batch_clear(&own->text);
	while (batch_next(batch, &offset, &data, &length) > 0)
		dropped += add_line(own, data, length) ? 0 : 1;
	r = send_all(own);
	if (r < 0)
		return fail(store, strerror(-r));
	store->statistics.round_trips++;
	store->statistics.dropped += dropped;
	store->statistics.appended += batch->n_documents - dropped;
	return dropped ? store_fail(store, STORE_DROP, "%u documents are not reports", dropped) : STORE_OK;
}

const struct store_backend store_backend_socket = {
	.name = "socket",
	.form = "socket:HOST:PORT",
	.size = sizeof(struct socket_store),
	.open = socket_open,
	.close = socket_close,
	.append = socket_append,
};
