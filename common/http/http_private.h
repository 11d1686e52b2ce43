/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by http.c (the server on the loop), http_connection.c (time limits) and http_request.c (one request
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
	HTTP_LOGIN_UNKNOWN, /* not checked yet */
	HTTP_LOGIN_NONE,    /* no credentials, or wrong ones */
	HTTP_LOGIN_BUSY,    /* too many were wrong recently: not checked, or wrong again */
	HTTP_LOGIN_LATER,   /* the same, but it is checked after a pause */
	HTTP_LOGIN_PROVEN,
};

/* An address from which somebody tried to log in. */
struct http_guesser {
	uint8_t address[16]; /* IPv4 as in IPv6; of IPv6 the network, 64 bits */
	double left;         /* wrong tokens and passwords that are still checked without a pause */
	uint64_t at_ns;      /* time of this value; 0: not used yet */
	uint64_t proven_ns;  /* time of the last right one; 0: never */
	uint64_t later_ns;   /* when the last of those that pause is checked; 0: none */
};
#define HTTP_GUESSERS 64 /* the last one is for all other addresses */

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
	struct http_request *queue;   /* requests that wait for their turn, oldest first */
	unsigned n_queued;
	unsigned turn_taken; /* iteration of the loop in which a slow answer was made at once */
	ev_timer turn;       /* for the next turn */
	struct http_request
		*paused; /* requests whose login is checked later, the first one to be checked first */
	ev_timer pause;  /* for the first of them */
	size_t unsent;   /* bytes of answers whose clients have not read them completely */
	struct http_connection *connections;
	struct http_guesser guessers[HTTP_GUESSERS];
	double hashes; /* of unproven passwords that may be computed without a pause */
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
	bool waits;             /* http_wait() was called; there is no answer yet */
	bool suspended;         /* in libmicrohttpd */
	bool queued, has_turn;  /* see http_turn_take() */
	bool paused, had_pause; /* see http_pause_begin() */
	void (*gone)(struct http_request *request, void *data);
	void *gone_data;
	uint64_t deadline_ns;
	struct http_request *next, *prev; /* in http->waiting, http->queue, or http->paused */
	struct MHD_Response *response;    /* the answer, until it is queued */
	size_t length;                    /* of the answer */
	unsigned status;
	bool answered;
};

/* Is the request's route one of these? NULL: none. */
bool http_request_is_listed(const struct http_request *request, const char *const *patterns);
/* Does the request have the token, or a user's password? Checked once for each request. */
enum http_login http_login(struct http_request *request);
/* May it be answered, because it is authenticated or its route requires nothing? */
bool http_login_allows(struct http_request *request);
/* Answers 401, or 429. */
void http_login_refuse(struct http_request *request);
/* False if a client certificate is required and no trusted one was presented. */
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
/* Sets what the client may take time for: the next request, nothing (it waits for us), reading an answer. */
void http_connection_idle(struct http *http, struct MHD_Connection *connection);
void http_connection_waits(struct MHD_Connection *connection);
void http_connection_answers(struct http *http, struct MHD_Connection *connection, size_t length);
/* Notes whether the last login on this connection was right, or returns it. */
void http_connection_prove(struct MHD_Connection *connection, bool right);
bool http_connection_is_proven(struct MHD_Connection *connection);
/*
 * Closes connections whose time is over, and some of those without a complete request or with slow reading if
 * there are many.
 */
void http_connections_cut(struct http *http, uint64_t now_ns);
/* While a request is suspended, libmicrohttpd does not watch its socket. */
bool http_client_gone(const struct http_request *request);

void http_turn_init(struct http *http);
/*
 * May the request be answered now? False: it has been queued and will be called again, or it was answered
 * because too many are queued.
 */
bool http_turn_take(struct http_request *request);
/* Removes it from the queue, if it is queued. */
void http_turn_leave(struct http_request *request);
/* Answers the queued requests. */
void http_turn_stop(struct http *http);
void http_pause_init(struct http *http);
/* Suspends a request whose head is here; its login is checked at its deadline. */
void http_pause_begin(struct http_request *request);
/* Ends the pause, if there is one. */
void http_pause_leave(struct http_request *request);
/* Answers the paused requests. */
void http_pause_stop(struct http *http);
/* Ends a wait without its owner: calls `gone`, then answers 503. */
void http_request_give_up(struct http_request *request, const char *reason);
/* Makes the loop run libmicrohttpd in its next iteration. */
void http_wake(struct http *http);
