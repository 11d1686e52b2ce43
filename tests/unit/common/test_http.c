/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP server and a client socket on the same loop: routes, refusals, late answers, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "http_client.h"
#include "base/reason.h"

#include <stdbool.h>

static struct http_request *waiting[8];
static unsigned n_waiting, n_gone;

static void gone_cb(struct http_request *request, void *data)
{
	(void)data;
	n_gone++;
	for (unsigned i = 0; i < n_waiting; i++) {
		if (waiting[i] == request)
			waiting[i] = NULL;
	}
}

static void echo(struct http_request *request, void *data)
{
	char text[1024];
	size_t length;
	const char *body = http_request_body(request, &length);
	const char *name = http_request_parameter(request, "name");

	(void)data;
	(void)snprintf(text, sizeof(text), "%s %s %s|%s|%s|%zu:%.40s", http_request_method(request),
		       http_request_path(request), http_request_part(request, 0),
		       http_request_part(request, 1) ? http_request_part(request, 1) : "-", name ? name : "-",
		       length, body);
	http_answer(request, 200, "text/plain", text, strlen(text));
	http_answer_json(request, 500, "{}"); /* a second one is ignored */
}

static void later(struct http_request *request, void *data)
{
	if (http_wait(request, gone_cb, data) == 0)
		waiting[n_waiting++] = request;
}

/* The loop iterations in which requests were answered. */
static unsigned turns[16], n_turns;

static void slow(struct http_request *request, void *data)
{
	(void)data;
	assert_true(n_turns < 16);
	turns[n_turns++] = ev_iteration(loop);
	http_answer_json(request, 200, "{}");
}

static void large(struct http_request *request, void *data)
{
	static char bytes[8 << 20];

	(void)data;
	http_answer(request, 200, "text/plain", bytes, sizeof(bytes));
}

static void forgets(struct http_request *request, void *data)
{
	(void)request;
	(void)data;
}

static void health(struct http_request *request, void *data)
{
	(void)data;
	http_answer_json(request, 200, "{\"ok\":true}");
}

static const struct http_route routes[] = {
	{"GET", "/healthz", health}, {"GET", "/echo/{a}/{b}", echo}, {"POST", "/{database}/{machine}", echo},
	{"POST", "/later", later},   {"GET", "/forgets", forgets},   {"GET", "/static/*", echo},
	{"GET", "/slow", slow},      {"GET", "/large", large},       {"DELETE", "/healthz", health},
};

static int start_with(const struct http_options *options)
{
	struct reason why;

	loop = ev_loop_new(EVFLAG_NOENV);
	n_waiting = n_gone = 0;
	return http_start(loop, options, routes, sizeof(routes) / sizeof(routes[0]), NULL, &server, &why);
}

static int setup(void **state)
{
	const struct http_options options = {.body_max = 1000, .waiting = 2};

	(void)state;
	return start_with(&options);
}

static void parameters_in_the_body(void **state)
{
	(void)state;
	/* Parameters may be in the body, as curl -d and HTML forms send them. */
	assert_int_equal(ask("POST /a/b", "Content-Type: application/x-www-form-urlencoded\r\n"
					  "Content-Length: 18\r\n\r\nend=1&name=a+b%26c"),
			 200);
	assert_string_equal(body(), "POST /a/b a|b|a b&c|18:end=1&name=a+b%26c");
	assert_int_equal(ask("POST /a/b?name=first",
			     "content-type: Application/X-WWW-Form-Urlencoded; charset=UTF-8\r\n"
			     "Transfer-Encoding: chunked\r\n\r\n6\r\nname=2\r\n0\r\n\r\n"),
			 200);
	assert_string_equal(body(), "POST /a/b a|b|first|6:name=2");
	assert_int_equal(ask("POST /a/b", "Content-Type: application/x-www-form-urlencoded\r\n"
					  "Content-Length: 7\r\n\r\nname=%%"),
			 400);
	assert_int_equal(ask("POST /a/b", "Content-Type: application/x-www-form-urlencoded\r\n"
					  "Content-Length: 8\r\n\r\nname=%ff"),
			 400);
	assert_int_equal(ask("POST /a/b", "Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nname=2"),
			 200);
	assert_string_equal(body(), "POST /a/b a|b|-|6:name=2");
}

static void routes_and_parameters(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /healthz", ""), 200);
	assert_string_equal(body(), "{\"ok\":true}");
	assert_non_null(strstr(reply, "Content-Type: application/json"));
	assert_int_equal(ask("GET /echo/a%2Fb/c%20d?x=1&name=first&name=second", ""), 200);
	assert_string_equal(body(), "GET /echo/a%2Fb/c%20d a/b|c d|first|0:");
	assert_int_equal(ask("POST /rapls2/taurus-1?name=a+b%26c&end=1.5", "Content-Length: 5\r\n\r\nhello"),
			 200);
	assert_string_equal(body(), "POST /rapls2/taurus-1 rapls2|taurus-1|a b&c|5:hello");
	assert_int_equal(ask("GET /static/a/b.js", ""), 200);
	assert_string_equal(body(), "GET /static/a/b.js a/b.js|-|-|0:");
	assert_int_equal(ask("HEAD /healthz", ""), 200);
	assert_string_equal(body(), "");
	assert_int_equal(ask("POST /a/b/?name", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
			 200);
	assert_string_equal(body(), "POST /a/b/ a|b||3:abc");
	assert_int_equal(http_get_statistics(server)->requests, 6);
	assert_int_equal(http_get_statistics(server)->answers_2xx, 6);
}

static void refusals(void **state)
{
	char more[3000];

	(void)state;
	assert_int_equal(ask("GET /nothing", ""), 404);
	assert_string_equal(body(), "{\"error\":\"there is nothing at '/nothing'\"}");
	assert_int_equal(ask("PUT /healthz", ""), 405);
	assert_non_null(strstr(reply, "Allow: GET, DELETE\r\n"));
	assert_int_equal(ask("GET /rapls2/m", ""), 405);
	assert_int_equal(ask("POST /rapls2//", ""), 404);
	assert_int_equal(ask("GET /a%zz", ""), 400);
	assert_int_equal(ask("GET /a%00b", ""), 400);
	assert_int_equal(ask("GET /%ff", ""), 400);
	assert_int_equal(ask("GET /forgets", ""), 500);
	memset(more, 'x', sizeof(more) - 1);
	more[sizeof(more) - 1] = '\0';
	memcpy(more, "Content-Length: 1500\r\n\r\n", 24);
	assert_int_equal(ask("POST /a/b", more), 413);
	/* Without a Content-Length. */
	memset(more, 'y', sizeof(more) - 1);
	memcpy(more, "Transfer-Encoding: chunked\r\n\r\n44c\r\n", 35);
	memcpy(more + 35 + 1100, "\r\n0\r\n\r\n\0", 8);
	assert_int_equal(ask("POST /a/b", more), 413);
	char head[9000] = "GET /";
	memset(head + 5, 'a', 8300);
	assert_int_equal(ask(head, ""), 414);
	assert_int_equal(http_get_statistics(server)->answers_5xx, 1);
}

static void answered_later(void **state)
{
	(void)state;
	int fd = client("POST /later?x=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	turn(20);
	assert_int_equal(n_waiting, 1);
	assert_int_equal(http_get_statistics(server)->waiting, 1);
	assert_string_equal(http_request_parameter(waiting[0], "x"), "1");
	assert_int_equal(ask("GET /healthz", ""), 200); /* other clients are served meanwhile */
	http_answer_json(waiting[0], 200, "{\"late\":1}");
	assert_int_equal(finish(fd), 200);
	assert_string_equal(body(), "{\"late\":1}");
	assert_int_equal(n_gone, 0);
	assert_int_equal(http_get_statistics(server)->waiting, 0);
}

static void too_many_wait(void **state)
{
	static const char post[] = "POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	int fds[2] = {client(post), client(post)};

	(void)state;
	turn(20);
	assert_int_equal(n_waiting, 2);
	assert_int_equal(finish(client(post)), 503);
	assert_int_equal(n_gone, 0);
	http_answer_error(waiting[1], 404, "no '%s'", "such \"thing\" \xff");
	http_answer_json(waiting[0], 200, "{}");
	for (int i = 0; i < 2; i++)
		(void)finish(fds[i]);
	assert_string_equal(strstr(reply, "\r\n\r\n") + 4, "{\"error\":\"no 'such \\\"thing\\\" ?'\"}");
}

static void client_disconnects(void **state)
{
	(void)state;
	int fd = client("POST /later HTTP/1.1\r\nHost: x\r\n\r\n");
	turn(20);
	assert_int_equal(n_waiting, 1);
	(void)close(fd);
	for (int i = 0; i < 3000 && n_gone == 0; i++)
		turn(1);
	assert_int_equal(n_gone, 1);
	assert_int_equal(http_get_statistics(server)->waiting, 0);
	turn(20);
}

static void stop_with_waiting_requests(void **state)
{
	int fd;

	(void)setup(state);
	fd = client("POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	int half = client("POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
	int line = client("GET /he");
	turn(20);
	assert_int_equal(n_waiting, 1);
	(void)teardown(state);
	assert_int_equal(n_gone, 1);
	ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);
	assert_true(n > 12);
	assert_memory_equal(reply + 9, "503", 3);
	(void)close(fd);
	(void)close(half);
	(void)close(line);
}

static void time_limits(void **state)
{
	const struct http_options options = {.timeout_ms = 1000, .waiting_ms = 100};

	(void)state;
	assert_int_equal(start_with(&options), 0);
	int silent = client("GET /healthz HTTP/1.1\r\nHost:");
	assert_int_equal(finish(client("POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 503);
	assert_string_equal(body(), "{\"error\":\"the wait timed out\"}");
	assert_int_equal(n_gone, 1);
	(void)finish(silent); /* returns because the server closes */
	(void)teardown(state);
}

/* A client that sends single bytes is never silent, but its request has a time limit all the same. */
static void slow_senders_are_disconnected(void **state)
{
	static const char *const begins[] = {
		"GET /healthz HTTP/1.1\r\nHost: ",
		"POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"};
	const struct http_options options = {.request_ms = 300};
	int fds[2];
	unsigned n_open = 2;

	(void)state;
	assert_int_equal(start_with(&options), 0);
	for (unsigned i = 0; i < 2; i++)
		fds[i] = client(begins[i]);
	int waits = client("POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (unsigned n = 0; n < 3000 && n_open > 0; n++) {
		turn(5);
		for (unsigned i = 0; i < 2; i++) {
			if (fds[i] < 0 || send(fds[i], "x", 1, MSG_NOSIGNAL) == 1)
				continue;
			(void)close(fds[i]);
			fds[i] = -1;
			n_open--;
		}
	}
	assert_int_equal(n_open, 0);
	/* Clients that wait for an answer are not affected. */
	assert_int_equal(n_waiting, 1);
	assert_int_equal(n_gone, 0);
	http_answer_json(waiting[0], 200, "{}");
	assert_int_equal(finish(waits), 200);
	(void)teardown(state);
}

/* On a keep-alive connection, each request has its own time limit. */
static void each_request_has_its_own_time_limit(void **state)
{
	const struct http_options options = {.request_ms = 1500};

	(void)state;
	assert_int_equal(start_with(&options), 0);
	int fd = client("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned i = 0; i < 4; i++) {
		turn(1000);
		assert_true(recv(fd, reply, sizeof(reply), MSG_DONTWAIT) > 0);
		(void)send(fd, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 34, MSG_NOSIGNAL);
	}
	(void)close(fd);
	(void)teardown(state);
}

static void connections_per_address(void **state)
{
	const struct http_options options = {.per_address = 2};
	int fds[2];

	(void)state;
	assert_int_equal(start_with(&options), 0);
	for (int i = 0; i < 2; i++)
		fds[i] = client("GET /he");
	turn(20);
	assert_int_equal(ask("GET /healthz", ""), -1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	turn(20);
	assert_int_equal(ask("GET /healthz", ""), 200);
	(void)teardown(state);
}

/* A clock that only the test advances, so that pauses of a busy machine do not count as the server's. */
static uint64_t still_ns = UINT64_C(1000) * CLOCK_NS_PER_S;

static uint64_t read_still(void *data)
{
	(void)data;
	return still_ns;
}

static int64_t read_still_time(void *data)
{
	(void)data;
	return (int64_t)(still_ns / CLOCK_NS_PER_MS);
}

static const struct clock_source still_clock = {read_still, read_still_time, NULL};

/*
 * Many connections with incomplete requests take all places of their address: the oldest are closed, so that
 * a good client of the same address is served. Clients that wait for an answer keep their place.
 */
static void half_open_connections_make_room(void **state)
{
	const struct http_options options = {.per_address = 32};
	int fds[31], waits;
	unsigned n_open = 0, n_asked = 0;
	char byte;

	(void)state;
	clock_replace(&still_clock);
	assert_int_equal(start_with(&options), 0);
	waits = client("POST /later HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (unsigned i = 0; i < 31; i++)
		fds[i] = client(i % 2 ? "GET /healthz HTTP/1.1\r\nHost:"
				      : "POST /a/b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
	turn(20);
	assert_int_equal(ask("GET /healthz", ""), -1);
	assert_int_equal(http_get_statistics(server)->crowded, 0);
	still_ns += 3 * CLOCK_NS_PER_S;
	while (n_asked++ < 200 && ask("GET /healthz", "") != 200)
		turn(100);
	assert_true(n_asked <= 200);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(ask("GET /healthz", ""), 200);
		turn(20); /* until the server has noticed the close */
	}
	for (unsigned i = 0; i < 31; i++) {
		n_open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
		(void)close(fds[i]);
	}
	assert_in_range(n_open, 1, 4);
	assert_int_equal(http_get_statistics(server)->crowded, 31 - n_open);
	assert_int_equal(n_gone, 0);
	http_answer_json(waiting[0], 200, "{}");
	assert_int_equal(finish(waits), 200);
	(void)teardown(state);
	clock_replace(NULL);
}

/* A page of another origin, in the browser of a user who can reach the server. */
static void requests_of_other_origins(void **state)
{
	(void)state;
	assert_int_equal(finish(client("POST /db/m HTTP/1.1\r\nHost: box:1\r\nOrigin: http://evil.example\r\n"
				       "Content-Length: 0\r\nConnection: close\r\n\r\n")),
			 403);
	assert_int_equal(finish(client("DELETE /healthz HTTP/1.1\r\nHost: box\r\nOrigin: null\r\n"
				       "Connection: close\r\n\r\n")),
			 403);
	assert_int_equal(finish(client("POST /db/m HTTP/1.1\r\nHost: box:1\r\nOrigin: http://box:1\r\n"
				       "Content-Length: 0\r\nConnection: close\r\n\r\n")),
			 200);
	assert_int_equal(finish(client("GET /healthz HTTP/1.1\r\nHost: box\r\nOrigin: http://evil.example\r\n"
				       "Connection: close\r\n\r\n")),
			 200); /* it may ask, but the browser does not let it read the answer */
	assert_int_equal(finish(client("GET /healthz HTTP/1.1\r\nHost: evil.example:4443\r\n"
				       "Connection: close\r\n\r\n")),
			 421);
	assert_non_null(strstr(reply, "--allow-host"));
	assert_int_equal(finish(client("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:4443\r\n"
				       "Connection: close\r\n\r\n")),
			 200);
	assert_int_equal(finish(client("GET /healthz HTTP/1.0\r\n\r\n")), 200);
}

static void addresses(void **state)
{
	struct http_options options = {.address = "no.such.address"};
	struct http *second;
	struct reason why;

	(void)setup(state);
	assert_int_equal(http_start(loop, &options, routes, 1, NULL, &second, &why), -EINVAL);
	assert_non_null(strstr(why.text, "'no.such.address' is not an address"));
	options = (struct http_options){.port = http_port(server)};
	assert_int_equal(http_start(loop, &options, routes, 1, NULL, &second, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, "choose another port"));
	(void)teardown(state);
}

/* One slow answer per loop iteration, in order; other requests and closed connections do not wait. */
static void slow_answers_take_turns(void **state)
{
	static const char *const slow_patterns[] = {"/slow", NULL};
	const struct http_options options = {.slow_patterns = slow_patterns};
	int clients[8], quick;

	(void)state;
	n_turns = 0;
	assert_int_equal(start_with(&options), 0);
	for (unsigned i = 0; i < 8; i++)
		clients[i] = client("GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	quick = client("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (unsigned i = 0; i < 1000000 && n_turns == 0; i++)
		(void)ev_run(loop, EVRUN_NOWAIT);
	assert_int_equal(n_turns, 1);
	(void)close(clients[7]);
	assert_int_equal(finish(quick), 200);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(finish(clients[i]), 200);
	turn(20);
	assert_in_range(n_turns, 7, 8);
	for (unsigned i = 1; i < n_turns; i++)
		assert_true(turns[i] > turns[i - 1]);
	(void)client("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)client("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
	(void)teardown(state);
}

/* The memory for unread answers is bounded; the oldest ones are dropped to make room. */
static void unread_answers_are_bounded(void **state)
{
	const struct http_options options = {.per_address = 64};
	const struct http_statistics *statistics;
	int clients[24];

	(void)state;
	assert_int_equal(start_with(&options), 0);
	statistics = http_get_statistics(server);
	for (unsigned i = 0; i < 24; i++)
		clients[i] = client("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
	for (unsigned i = 0; i < 1000 && statistics->answers_2xx + statistics->answers_5xx < 24; i++)
		turn(1);
	assert_int_equal(statistics->answers_2xx, 16); /* 128 MB */
	assert_int_equal(statistics->answers_5xx, 8);
	for (unsigned i = 0; i < 12000 && statistics->crowded < 12; i++)
		turn(1);
	assert_int_equal(statistics->crowded, 12); /* 32 MB remain */
	turn(20);
	assert_int_equal(finish(client("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), 200);
	for (unsigned i = 0; i < 24; i++)
		(void)close(clients[i]);
	(void)teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(parameters_in_the_body, setup, teardown),
		cmocka_unit_test_setup_teardown(routes_and_parameters, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(answered_later, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(client_disconnects, setup, teardown),
		cmocka_unit_test(stop_with_waiting_requests),
		cmocka_unit_test(time_limits),
		cmocka_unit_test(slow_senders_are_disconnected),
		cmocka_unit_test(each_request_has_its_own_time_limit),
		cmocka_unit_test(connections_per_address),
		cmocka_unit_test(half_open_connections_make_room),
		cmocka_unit_test_setup_teardown(requests_of_other_origins, setup, teardown),
		cmocka_unit_test(slow_answers_take_turns),
		cmocka_unit_test(unread_answers_are_bounded),
		cmocka_unit_test(addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
