/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between http.c (the server on the loop), http_connection.c (time limits) and http_request.c (one request
 * and its answer). Private to these.
 */
#pragma once

#include "document/batch.h"
#include "http/http.h"
#include "http/http_target.h"
#include "http/web_config.h"

#include <ev.h>
#include <microhttpd.h>

enum http_login {
	HTTP_LOGIN_UNKNOWN, /* not looked at yet */
	HTTP_LOGIN_NONE,    /* no credentials, or wrong ones */
	HTTP_LOGIN_BUSY,    /* not looked at, as too many were wrong lately */
	HTTP_LOGIN_PROVEN,
};

/* An address from which somebody tried to log in. */
struct http_guesser {
	uint8_t address[16]; /* IPv4 as in IPv6; of IPv6 the network, 64 bits */
	double left;         /* wrong tokens and passwords that are looked at without a pause */
	uint64_t at_ns;      /* when that was; 0: not used yet */
	uint64_t proven_ns;  /* when a right one came last; 0: never */
};
#define HTTP_GUESSERS 64 /* the last one is that of all other addresses */

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
	struct http_request *queue;   /* of those that wait for their turn, the oldest first */
	unsigned n_queued;
	unsigned turn_taken; /* the loop's iteration in which a slow answer was made at once */
	ev_timer turn;       /* the next one's */
	size_t unsent;       /* bytes of answers whose clients have not read them completely */
	struct http_connection *connections;
	struct http_guesser guessers[HTTP_GUESSERS];
	double hashes; /* of passwords that are not known yet, which may be made without a pause */
	uint64_t hashes_at_ns, n_wrong;
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
	enum http_login login; /* see http_login() */
	struct batch body;     /* a byte buffer */
	bool started;          /* the first call has been made */
	bool too_large;
	size_t n_ignored; /* bytes of a body that is too large */
	bool dispatched;
	bool waits;            /* http_wait() was called, and there is no answer yet */
	bool suspended;        /* at libmicrohttpd */
	bool queued, has_turn; /* see http_turn_take() */
	void (*gone)(struct http_request *request, void *data);
	void *gone_data;
	uint64_t deadline_ns;
	struct http_request *next, *prev; /* in http->waiting, or in http->queue */
	struct MHD_Response *response;    /* the answer, until it is queued */
	size_t length;                    /* of the answer */
	unsigned status;
	bool answered;
};

/* Is the request's route one of these? NULL: none. */
bool http_request_is_listed(const struct http_request *request, const char *const *patterns);
/* Whether the request has the token, or a user's password. Looked at once for each request. */
enum http_login http_login(struct http_request *request);
/* Whether it may be answered: it is proven, or nothing is required of its route. */
bool http_login_allows(struct http_request *request);
/* Answers 401, or 429. */
void http_login_refuse(struct http_request *request);
/* False where a client certificate is required and none that is trusted was given. */
bool http_login_certified(const struct http_request *request);

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
void http_connection_answers(struct http *http, struct MHD_Connection *connection, size_t length);
/*
 * Closes connections whose time is over; of those without a whole request, and of those that read their
 * answers slowly, some where they are many.
 */
void http_connections_cut(struct http *http, uint64_t now_ns);
/* While a request is suspended, libmicrohttpd does not watch its socket. */
bool http_client_gone(const struct http_request *request);

void http_turn_init(struct http *http);
/*
 * May the request be answered now? False: it has been queued, and will come again; or it is answered, as too
 * many are queued.
 */
bool http_turn_take(struct http_request *request);
/* Takes it out of the queue, if it is there. */
void http_turn_leave(struct http_request *request);
/* Answers what is queued. */
void http_turn_stop(struct http *http);
/* Ends a wait without its owner: calls `gone`, then answers 503. */
void http_request_give_up(struct http_request *request, const char *reason);
/* Makes the loop run libmicrohttpd in its next iteration. */
void http_wake(struct http *http);
