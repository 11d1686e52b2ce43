/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the HTTP server on the same loop, for its unit tests: sends requests, runs the loop, reads
 * replies. Independent of the routes. Include it after cmocka.h.
 */
#pragma once

#include "http/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ev_loop *loop;
static struct http *server;
static char reply[65536];

/* For cmocka, after a test whose setup began the loop and the server. */
static int teardown(void **state)
{
	(void)state;
	http_stop(server);
	server = NULL;
	ev_loop_destroy(loop);
	return 0;
}

static void client_send(int fd, const char *request)
{
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
}

static int client(const char *request)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(http_port(server))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	client_send(fd, request);
	return fd;
}

static void turn(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		(void)ev_run(loop, EVRUN_NOWAIT);
		(void)poll(NULL, 0, 1);
	}
}

/*
 * Runs the loop until the server has closed the connection; stores the reply in `reply`. Returns the status.
 */
static int finish(int fd)
{
	size_t length = 0;

	for (int i = 0; i < 5000; i++) {
		turn(1);
		ssize_t n = recv(fd, reply + length, sizeof(reply) - 1 - length, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		length += n > 0 ? (size_t)n : 0;
	}
	reply[length] = '\0';
	(void)close(fd);
	return length > 12 ? atoi(reply + 9) : -1;
}

static int ask(const char *head, const char *more)
{
	char request[20000];

	(void)snprintf(request, sizeof(request), "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", head,
		       *more ? more : "\r\n");
	return finish(client(request));
}

static const char *body(void)
{
	const char *at = strstr(reply, "\r\n\r\n");

	return at ? at + 4 : "";
}
