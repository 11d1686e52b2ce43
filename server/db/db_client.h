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
	const char *error; /* sentence about RETRY or DROP, or a remark; "" */
};

typedef void (*db_done)(void *data, const struct db_answer *answer);

struct db_client_events {
	/* The process has ended or sent garbage: no more answers will come. Called once. */
	void (*lost)(void *data, int error);
	/* The store is away and being tried again (why), or back ("" and away false). */
	void (*trouble)(void *data, bool away, const char *why);
	/* Another server writes to the store (who): while db_client_lead() waits, or it has just taken over.
	 */
	void (*other)(void *data, const char *who);
	void *data;
};

/* `socket` becomes the client's own. NULL if out of memory. */
struct db_client *db_client_new(struct ev_loop *loop, int socket, const struct db_client_events *events);
/* Requests not yet answered are forgotten, their callbacks not called. Accepts NULL. */
void db_client_free(struct db_client *client);

/* All: 0 or -ENOMEM, -EPIPE. `done` may be NULL. Strings and batches are copied. */
/* Asks to write: answered OK once no other server does. */
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

/* Bytes that wait to be sent, and requests that wait for an answer. */
size_t db_client_queued_bytes(const struct db_client *client);
unsigned db_client_waiting(const struct db_client *client);
/* True if so much is queued that nothing more should be read. */
bool db_client_is_full(const struct db_client *client);
/* As of the last answer. */
const struct store_statistics *db_client_statistics(const struct db_client *client);
