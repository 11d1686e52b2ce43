/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between http.c (the server on the loop), http_connection.c (time limits) and http_request.c (one request
 * and its answer). Private to these.
 */
#pragma once

#include "document/batch.h"
#include "http/http.h"
#include "http/http_target.h"

#include <ev.h>
#include <microhttpd.h>

struct http {
	struct ev_loop *loop;
	struct MHD_Daemon *daemon;
	ev_io io;
	ev_timer timeout; /* when libmicrohttpd wants to run without events */
	ev_timer watch;   /* checks waiting requests and slow clients */
	struct http_options options;
	const struct http_route *routes;
	size_t n_routes;
	void *data;
	struct http_statistics statistics;
	struct http_request *waiting; /* a list */
	struct http_connection *connections;
};

struct http_request {
	struct http *http;
	struct MHD_Connection *connection;
	struct http_target target;
	int parse_result;
	const char *method;
	const struct http_route *route;
	const char *parts[HTTP_PARTS_MAX];
	unsigned n_parts;
	struct batch body; /* a byte buffer */
	bool started;      /* the first call has been made */
	bool too_large;
	size_t n_ignored; /* bytes of a body that is too large */
	bool dispatched;
	bool waits;     /* http_wait() was called, and there is no answer yet */
	bool suspended; /* at libmicrohttpd */
	void (*gone)(struct http_request *request, void *data);
	void *gone_data;
	uint64_t deadline_ns;
	struct http_request *next, *previous; /* in http->waiting */
	struct MHD_Response *response;        /* the answer, until it is queued */
	unsigned status;
	bool answered;
};

/* Callbacks of libmicrohttpd; `cls` is the struct http. */
void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result http_request_access(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *upload_data,
				    size_t *upload_data_size, void **con_cls);
void http_request_end(void *cls, struct MHD_Connection *connection, void **con_cls,
		      enum MHD_RequestTerminationCode toe);
/* Callback of libmicrohttpd for the start and end of connections and requests; `cls` is the struct http. */
void http_connection_changed(void *cls, struct MHD_Connection *connection, void **socket_context,
			     enum MHD_ConnectionNotificationCode code);
/* What the client may take its time for: the next request, nothing (it waits for us), reading an answer. */
void http_connection_idle(struct http *http, struct MHD_Connection *connection);
void http_connection_waits(struct MHD_Connection *connection);
void http_connection_answers(struct http *http, struct MHD_Connection *connection);
/* Closes connections whose time is over. */
void http_connections_cut(struct http *http, uint64_t now_ns);
/* Ends a wait without its owner: calls `gone`, then answers 503. */
void http_request_give_up(struct http_request *request, const char *reason);
/* Makes the loop run libmicrohttpd in its next iteration. */
void http_wake(struct http *http);
