/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop's side of the store process: requests are queued, answers arrive by callback, in order.
 */
#pragma once

#include "store/store.h"

#include <stdbool.h>

struct ev_loop;
struct db_client;

struct db_answer {
	enum store_result result;
	const struct batch *documents; /* of db_client_list(): names, each NUL-ended */
	struct store_read read;
	unsigned n_documents; /* of db_client_append() and db_client_put(): how many were to be written */
	const char *error;    /* sentence about RETRY or DROP, or a remark; "" */
};

typedef void (*db_done)(void *data, const struct db_answer *answer);

struct db_client_events {
	/* The process has ended or sent garbage: no more answers will come. Called once. */
	void (*lost)(void *data, int error);
	/* The store is unavailable and is retried (why), or back ("" and away false). */
	void (*trouble)(void *data, bool away, const char *why);
	/* Another server (who) writes to the store: while db_client_lead() waits, or after it took over. */
	void (*other)(void *data, const char *who);
	void *data;
};

/* `socket` becomes the client's own. NULL if out of memory. */
struct db_client *db_client_new(struct ev_loop *loop, int socket, const struct db_client_events *events);
/* Unanswered requests are forgotten; their callbacks are not called. Accepts NULL. */
void db_client_free(struct db_client *client);

/* All: 0 or -ENOMEM, -EPIPE. `done` may be NULL. Strings and batches are copied. */
/* Asks for the right to write: answered OK once no other server writes. */
int db_client_lead(struct db_client *client, db_done done, void *data);
int db_client_list(struct db_client *client, const char *prefix, db_done done, void *data);
int db_client_read(struct db_client *client, const struct store_query *query, db_done done, void *data);
int db_client_get(struct db_client *client, const char *collection, const char *id, db_done done, void *data);
int db_client_ensure(struct db_client *client, const char *collection, uint64_t retention_s, db_done done,
		     void *data);
int db_client_append(struct db_client *client, const char *collection, const struct batch *batch,
		     db_done done, void *data);
int db_client_put(struct db_client *client, const char *collection, const struct batch *batch, db_done done,
		  void *data);
/* Successful appends are reported with later answers; this asks for them now. */
int db_client_flush(struct db_client *client);

/* Bytes waiting to be sent, and requests waiting for an answer. */
size_t db_client_queued_bytes(const struct db_client *client);
unsigned db_client_waiting(const struct db_client *client);
/* True if so much is queued that no more input should be read. */
bool db_client_is_full(const struct db_client *client);
/* As of the last answer. */
const struct store_statistics *db_client_statistics(const struct db_client *client);
