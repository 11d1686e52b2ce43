/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small HTTP server on the event loop (libmicrohttpd without threads): a table of routes, immediate or
 * deferred answers, limits on everything that clients can cause to grow. Errors are answered as {"error":
 * "…"}.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct http;
struct http_request;
struct web_config;

/*
 * Answers the request, at once or later: a handler that returns without an answer must have called
 * http_wait(), otherwise the answer is 500.
 */
typedef void (*http_handler)(struct http_request *request, void *data);

struct http_route {
	const char *method; /* "GET" (serves HEAD, too), "POST", ... */
	/* "/metrics"; "{x}" is one path part, "*" at the end any rest; http_request_part() returns them. */
	const char *pattern;
	http_handler handler;
};

struct http_options {
	const char *address;  /* "127.0.0.1", "::1", "0.0.0.0", "::"; NULL: 127.0.0.1 */
	uint16_t port;        /* 0: any free port, see http_port() */
	size_t body_max;      /* bytes; 0: 1 MiB; more is answered with 413 */
	uint64_t timeout_ms;  /* a silent client is disconnected after this; 0: 30 s */
	uint64_t request_ms;  /* a request must be complete after this; 0: 60 s */
	uint64_t waiting_ms;  /* a waiting request is answered with 503 after this; 0: 1 h */
	unsigned connections; /* in total; 0: 256 */
	unsigned per_address; /* connections of one address; 0: 64. An eighth of them may wait for a complete
				 request for more than 2 s; then the oldest are closed */
	unsigned waiting;     /* requests waiting at the same time, more are answered with 503; 0: 128 */
	const char *token;    /* required as "Authorization: Bearer …", else 401; NULL: none required */
	struct web_config *web; /* TLS, users, headers; a user is as good as the token; or NULL */
	const char *
		hosts; /* names that a Host header may contain besides addresses and private names; or NULL */
	/* A password, or with `user` NULL a token, was wrong: the n-th since the start; `data` as for the
	 * routes. Or NULL. */
	void (*wrong_login)(void *data, const char *user, uint64_t n);
	const char *const
		*open_patterns; /* NULL-terminated; routes that need no token ("/healthz"); or NULL */
	const char *const
		*slow_patterns; /* routes whose answers take milliseconds: one per iteration of the loop */
};

/* Is it a valid address to listen on? 0, or -EINVAL and the reason. Opens nothing. */
int http_check_address(const char *address, struct reason *why);
/*
 * Routes are tried in order. Routes and the options' strings must outlive the server. 0, or a negative errno
 * and the reason in `why`.
 */
int http_start(struct ev_loop *loop, const struct http_options *options, const struct http_route *routes,
	       size_t n_routes, void *data, struct http **ret_http, struct reason *why);
uint16_t http_port(const struct http *http);
/* Waiting requests are answered with 503. Accepts NULL. */
void http_stop(struct http *http);

struct http_statistics {
	uint64_t requests;
	uint64_t answers_2xx, answers_4xx, answers_5xx;
	uint64_t
		crowded; /* connections closed because too many had no complete request, or read too slowly */
	uint64_t waiting; /* at present */
};
const struct http_statistics *http_get_statistics(const struct http *http);

const char *http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request); /* as sent, without the query */
/* Part `index` of the pattern's "{…}", decoded. NULL: there is no such part. "*" counts as one. */
const char *http_request_part(const struct http_request *request, unsigned index);
/* Value of a query parameter, decoded; the first one wins; "" for one without value; NULL: not given. */
const char *http_request_parameter(const struct http_request *request, const char *name);
/* All parameters in order, repeats included. */
void http_request_each_parameter(const struct http_request *request,
				 void (*each)(void *data, const char *name, const char *value), void *data);
/* Value of a header sent by the client ("Accept"), case-insensitive; NULL: not sent. */
const char *http_request_header(const struct http_request *request, const char *name);
/* Is the body a form, whose fields are among the parameters? */
bool http_request_has_form(const struct http_request *request);
/* Terminated by a NUL that is not included in its length. */
const char *http_request_body(const struct http_request *request, size_t *ret_length);

/* Answers; the bytes are copied. A second answer to the same request is ignored. */
void http_answer(struct http_request *request, unsigned status, const char *content_type, const char *body,
		 size_t length);
/* Adds a header to an answer given within the handler; call it after the answer, before the return. */
void http_answer_header(struct http_request *request, const char *name, const char *value);
void http_answer_json(struct http_request *request, unsigned status, const char *json);
/* {"error": "…"} */
void http_answer_error(struct http_request *request, unsigned status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * The answer will come later, by one of the calls above from anywhere on the loop. `gone` is called once if
 * the request ends without an answer (client disconnected, timeout, server stopped): forget the request then.
 * 0, or -EBUSY if too many are waiting: then 503 has been answered, and `gone` will not be called.
 */
int http_wait(struct http_request *request, void (*gone)(struct http_request *request, void *data),
	      void *data);
