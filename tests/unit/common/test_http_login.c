/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens of the HTTP server: right and wrong ones, and guesses from an address whose own clients log in. What
 * is answered at once and what after a pause is told by the server's counters, not by a clock.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_client.h"
#include "base/reason.h"

#define RIGHT "Authorization: Bearer secret\r\n"
#define WRONG "Authorization: Bearer guess\r\n"
#define GET   "GET /echo HTTP/1.1\r\nHost: x\r\n"
#define CLOSE "Connection: close\r\n\r\n"

static void echo(struct http_request *request, void *data)
{
	char text[100];
	size_t length;
	const char *sent = http_request_body(request, &length);

	(void)data;
	(void)snprintf(text, sizeof(text), "%zu:%.40s", length, sent);
	http_answer(request, 200, "text/plain", text, strlen(text));
}

static const struct http_route routes[] = {
	{"GET", "/healthz", echo}, {"GET", "/echo", echo}, {"POST", "/echo", echo}};

static int setup(void **state)
{
	static const char *const open_patterns[] = {"/healthz", NULL};
	const struct http_options options = {.token = "secret", .open_patterns = open_patterns};
	struct reason why;

	(void)state;
	loop = ev_loop_new(EVFLAG_NOENV);
	return http_start(loop, &options, routes, sizeof(routes) / sizeof(routes[0]), NULL, &server, &why);
}

static uint64_t n_answered(void)
{
	const struct http_statistics *statistics = http_get_statistics(server);

	return statistics->answers_2xx + statistics->answers_4xx + statistics->answers_5xx;
}

/* Runs the loop until the server has begun with one more request. True: it was answered at once. */
static bool begins(uint64_t n_before, uint64_t answered_before)
{
	while (http_get_statistics(server)->requests == n_before)
		turn(1);
	turn(1);
	return n_answered() > answered_before;
}

/* Sends a request on a connection, or on a new one (fd -1); the connection. */
static int begin(int fd, const char *request, bool *ret_at_once)
{
	const uint64_t n_before = http_get_statistics(server)->requests, answered_before = n_answered();

	if (fd < 0)
		fd = client(request);
	else
		client_send(fd, request);
	*ret_at_once = begins(n_before, answered_before);
	return fd;
}

/*
 * Begins a request that pauses: its connection. An address gets a guess back each second: on a stalled
 * machine it is tried again.
 */
static int begin_paused(const char *request)
{
	bool at_once;
	int fd;

	for (unsigned i = 0; i < 100; i++) {
		fd = begin(-1, GET WRONG CLOSE, &at_once);
		if (at_once) {
			assert_int_equal(finish(fd), 401);
			continue;
		}
		(void)close(fd);
		fd = begin(-1, request, &at_once);
		if (!at_once)
			return fd;
		(void)finish(fd);
	}
	fail_msg("no request pauses");
	return -1;
}

/* A connection on which the right token was sent; it stays open. */
static int prove(void)
{
	bool at_once;
	int fd = begin(-1, GET RIGHT "\r\n", &at_once);

	assert_true(at_once);
	while (recv(fd, reply, sizeof(reply), MSG_DONTWAIT) < 0)
		turn(1);
	assert_memory_equal(reply, "HTTP/1.1 200", 12);
	return fd;
}

static void bearer_token(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /healthz", ""), 200);
	assert_int_equal(ask("GET /echo", ""), 401);
	assert_non_null(strstr(reply, "WWW-Authenticate: Bearer"));
	assert_int_equal(ask("GET /nothing", ""), 401);
	assert_int_equal(ask("GET /echo", "Authorization: Bearer secret\r\n\r\n"), 200);
	assert_int_equal(ask("GET /echo", "Authorization: Bearer secre\r\n\r\n"), 401);
	assert_int_equal(ask("GET /echo", "Authorization: Bearer secretsecret\r\n\r\n"), 401);
	assert_int_equal(ask("GET /echo", "Authorization: Bearer \r\n\r\n"), 401);
}

static void guesses_pause(void **state)
{
	int guess, known, right;
	bool at_once;

	(void)state;
	known = prove();
	guess = begin_paused(GET WRONG CLOSE);
	/* On a new connection the right one waits as well, so the pause reveals nothing. */
	right = begin_paused(GET RIGHT CLOSE);
	/* A connection whose last login was right does not wait. */
	(void)begin(known, GET RIGHT "\r\n", &at_once);
	assert_true(at_once);
	assert_int_equal(finish(guess), 429);
	assert_int_equal(finish(right), 200);
	assert_string_equal(body(), "0:");
	(void)close(known);
}

/* Right logins neither give guesses back nor let others of the same address through. */
static void right_ones_do_not_free_guesses(void **state)
{
	int guess, known;
	bool at_once;

	(void)state;
	known = prove();
	(void)close(begin_paused(GET WRONG CLOSE));
	for (unsigned i = 0; i < 20; i++) {
		(void)begin(known, GET RIGHT "\r\n", &at_once);
		assert_true(at_once);
	}
	guess = begin_paused(GET WRONG CLOSE);
	/* A guess on a proven connection ends it. */
	(void)begin(known, GET WRONG "\r\n", &at_once);
	assert_true(at_once);
	assert_int_equal(finish(known), 200); /* the first of the replies that were not read yet */
	assert_non_null(strstr(reply, "HTTP/1.1 429"));
	assert_int_equal(finish(guess), 429);
}

/* The body is read after the pause, and not before. */
static void bodies_wait_too(void **state)
{
	static const char *const posts[] = {
		"POST /echo HTTP/1.1\r\nHost: x\r\n" RIGHT "Content-Length: 5\r\n" CLOSE "hello",
		"POST /echo HTTP/1.1\r\nHost: x\r\n" RIGHT "Transfer-Encoding: chunked\r\n" CLOSE
		"5\r\nhello\r\n0\r\n\r\n",
		"POST /echo HTTP/1.1\r\nHost: x\r\n" WRONG "Content-Length: 5\r\n" CLOSE "hello",
	};
	int clients[3];

	(void)state;
	(void)close(prove());
	for (unsigned i = 0; i < 3; i++)
		clients[i] = begin_paused(posts[i]);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(finish(clients[i]), 200);
		assert_string_equal(body(), "5:hello");
	}
	assert_int_equal(finish(clients[2]), 429);
}

/* A client that leaves during the pause, and a server that ends in it. */
static void interrupted_pauses(void **state)
{
	int guess;

	(void)state;
	(void)close(prove());
	guess = begin_paused(GET WRONG CLOSE);
	(void)close(client(GET RIGHT CLOSE));
	turn(5);
	http_stop(server);
	server = NULL;
	assert_true(recv(guess, reply, sizeof(reply), 0) > 12);
	assert_int_equal(atoi(reply + 9), 503);
	(void)close(guess);
	ev_loop_destroy(loop);
	assert_int_equal(setup(state), 0);
}

/* An address without a right login is not served while it guesses: not even a right token is checked. */
static void strangers_are_refused(void **state)
{
	int status = 0;

	for (unsigned round = 0; round < 10 && status != 429; round++) { /* see begin_paused() */
		bool at_once = true;

		(void)teardown(state);
		assert_int_equal(setup(state), 0);
		for (unsigned i = 0; i < 12 && at_once; i++)
			(void)finish(begin(-1, GET WRONG CLOSE, &at_once));
		assert_true(at_once);
		status = finish(begin(-1, GET RIGHT CLOSE, &at_once));
		assert_true(at_once);
	}
	assert_int_equal(status, 429);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bearer_token, setup, teardown),
		cmocka_unit_test_setup_teardown(guesses_pause, setup, teardown),
		cmocka_unit_test_setup_teardown(right_ones_do_not_free_guesses, setup, teardown),
		cmocka_unit_test_setup_teardown(bodies_wait_too, setup, teardown),
		cmocka_unit_test_setup_teardown(interrupted_pauses, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
