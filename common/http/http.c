/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libmicrohttpd on the event loop: its epoll descriptor in an ev_io, its timeout in an ev_timer, no threads.
 * Called by the daemons; independent of the routes' meaning.
 */
#include "http/http_private.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/unit.h"
#include "base/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#define LISTEN_BACKLOG 128
#define WATCH_SECONDS  1.0
#define MEMORY_EACH    ((size_t)32 * 1024) /* header and buffers of a connection */

static void run(struct http *http)
{
	MHD_UNSIGNED_LONG_LONG ms;

	(void)MHD_run(http->daemon);
	ev_timer_stop(http->loop, &http->timeout);
	if (MHD_get_timeout(http->daemon, &ms) == MHD_YES) {
		ev_timer_set(&http->timeout, UNIT_S_OF_MS(ms), 0.);
		ev_timer_start(http->loop, &http->timeout);
	}
}

static void io_cb(struct ev_loop *loop, ev_io *watcher, int events)
{
	(void)loop, (void)events;
	run(watcher->data);
}

static void timeout_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	(void)loop, (void)events;
	run(watcher->data);
}

void http_wake(struct http *http)
{
	ev_feed_event(http->loop, &http->io, EV_READ);
}

bool http_client_gone(const struct http_request *request)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct pollfd client = {.events = POLLRDHUP};

	if (!info)
		return false;
	client.fd = info->connect_fd;
	return poll(&client, 1, 0) > 0 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

static void watch_cb(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct http *http = watcher->data;
	uint64_t now_ns = clock_monotonic_ns();
	struct http_request *request = http->waiting;

	(void)loop, (void)events;
	http_connections_cut(http, now_ns);
	while (request) {
		struct http_request *next = request->next;
		const char *reason = NULL;
		if (request->suspended && now_ns >= request->deadline_ns)
			reason = "the wait timed out";
		else if (request->suspended && http_client_gone(request))
			reason = "the client has disconnected";
		if (!reason) {
			request = next;
			continue;
		}
		http_request_give_up(request, reason);
		request = http->waiting; /* the owner may have answered others in the meantime */
	}
}

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} as;
	socklen_t size;
};

static int parse_address(const char *text, uint16_t port, struct address *ret_address)
{
	*ret_address = (struct address){0};
	if (!text || strcmp(text, "localhost") == 0)
		text = "127.0.0.1";
	else if (strcmp(text, "*") == 0)
		text = "0.0.0.0";
	if (inet_pton(AF_INET, text, &ret_address->as.v4.sin_addr) == 1) {
		ret_address->as.v4.sin_family = AF_INET;
		ret_address->as.v4.sin_port = htons(port);
		ret_address->size = sizeof(ret_address->as.v4);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &ret_address->as.v6.sin6_addr) == 1) {
		ret_address->as.v6.sin6_family = AF_INET6;
		ret_address->as.v6.sin6_port = htons(port);
		ret_address->size = sizeof(ret_address->as.v6);
		return 0;
	}
	return -EINVAL;
}

int http_check_address(const char *address, struct reason *why)
{
	struct address parsed;

	if (parse_address(address, 0, &parsed) == 0)
		return 0;
	return reason_set(why, -EINVAL,
			  "'%s' is not an address to listen on (examples: 127.0.0.1, 0.0.0.0, ::1, ::)",
			  address);
}

/* Our own socket, because libmicrohttpd does not report why it cannot listen. */
static int listen_on(const struct http_options *options, int *ret_fd, struct reason *why)
{
	const char *name = options->address ? options->address : "127.0.0.1";
	struct address address;
	int one = 1;

	if (parse_address(options->address, options->port, &address) < 0)
		return http_check_address(name, why);
	cleanup_(cleanup_close) int fd =
		socket(address.as.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return reason_set(why, -errno, "cannot create a socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &address.as.any, address.size) < 0 || listen(fd, LISTEN_BACKLOG) < 0) {
		int err = errno;
		return reason_set(why, -err, "cannot listen on %s port %u: %s%s", name, options->port,
				  strerror(err),
				  err == EADDRINUSE ? "; choose another port, or stop the program that "
						      "listens there (ss -ltnp shows it)"
						    : "");
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void set_limits(struct http_options *options)
{
	options->body_max = options->body_max ? options->body_max : (size_t)1 << 20;
	options->timeout_ms = options->timeout_ms ? options->timeout_ms : 30000;
	options->request_ms = options->request_ms ? options->request_ms : 60000;
	options->waiting_ms = options->waiting_ms ? options->waiting_ms : UINT64_C(3600000);
	options->connections = options->connections ? options->connections : 256;
	options->per_address = options->per_address ? options->per_address : 64;
	options->waiting = options->waiting ? options->waiting : 128;
}

static void *pem(const char *text)
{
	return (void *)(uintptr_t)text;
}

static struct MHD_Daemon *start_daemon(struct http *http, int fd)
{
	const struct http_options *options = &http->options;
	const struct web_config *web = options->web && options->web->cert ? options->web : NULL;
	const struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
	const struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, web ? pem(web->cert) : NULL},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, web ? pem(web->key) : NULL},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, web ? pem(web->priorities) : NULL},
		{web && web->client_ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
		 web && web->client_ca ? pem(web->client_ca) : NULL},
		{MHD_OPTION_END, 0, NULL}};

	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (web ? MHD_USE_TLS : 0), 0, NULL, NULL,
		http_request_access, http, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK,
		http_request_begin, http, MHD_OPTION_NOTIFY_COMPLETED, http_request_end, http,
		MHD_OPTION_NOTIFY_CONNECTION, http_connection_changed, http, MHD_OPTION_CONNECTION_LIMIT,
		options->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->per_address,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((options->timeout_ms + 999) / 1000),
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, MEMORY_EACH, MHD_OPTION_ARRAY, web ? tls : plain,
		MHD_OPTION_END);
}

static int start_watchers(struct http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (!info || info->epoll_fd < 0)
		return -ENOSYS;
	ev_io_init(&http->io, io_cb, info->epoll_fd, EV_READ);
	ev_timer_init(&http->timeout, timeout_cb, 0., 0.);
	ev_timer_init(&http->watch, watch_cb, WATCH_SECONDS, WATCH_SECONDS);
	http->io.data = http->timeout.data = http->watch.data = http;
	ev_io_start(http->loop, &http->io);
	ev_timer_start(http->loop, &http->watch);
	return 0;
}

int http_start(struct ev_loop *loop, const struct http_options *options, const struct http_route *routes,
	       size_t n_routes, void *data, struct http **ret_http, struct reason *why)
{
	struct http *http = calloc(1, sizeof(*http));
	int fd = -1;

	if (!http)
		return reason_set(why, -ENOMEM, "out of memory");
	http->loop = loop;
	http->options = *options;
	http->routes = routes;
	http->n_routes = n_routes;
	http->data = data;
	set_limits(&http->options);
	http_turn_init(http);
	http_pause_init(http);
	int r = listen_on(options, &fd, why);
	if (r < 0) {
		free(http);
		return r;
	}
	http->daemon = start_daemon(http, fd);
	if (!http->daemon || start_watchers(http) < 0) {
		if (http->daemon)
			MHD_stop_daemon(http->daemon);
		free(http);
		return reason_set(why, -ENOSYS, "libmicrohttpd %s does not start with epoll",
				  MHD_get_version());
	}
	*ret_http = http;
	return 0;
}

uint16_t http_port(const struct http *http)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_LISTEN_FD);
	struct address address = {.size = sizeof(address.as)};

	if (!info || getsockname(info->listen_fd, &address.as.any, &address.size) < 0)
		return http->options.port;
	return ntohs(address.as.any.sa_family == AF_INET6 ? address.as.v6.sin6_port : address.as.v4.sin_port);
}

const struct http_statistics *http_get_statistics(const struct http *http)
{
	return &http->statistics;
}

void http_stop(struct http *http)
{
	if (!http)
		return;
	while (http->waiting)
		http_request_give_up(http->waiting, "the server is stopping");
	http_turn_stop(http);
	http_pause_stop(http);
	(void)MHD_run(http->daemon); /* sends the last answers, as far as the sockets accept them */
	ev_io_stop(http->loop, &http->io);
	ev_timer_stop(http->loop, &http->timeout);
	ev_timer_stop(http->loop, &http->watch);
	MHD_stop_daemon(http->daemon);
	free(http);
}
