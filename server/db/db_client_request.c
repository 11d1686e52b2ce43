/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to the store's process as messages, each with the callback for its answer. Called by the server's
 * loop; db_client.c sends them.
 */
#include "db/db_client_private.h"

#include <errno.h>
#include <stdlib.h>

static int request_documents(struct db_client *client, enum db_message type, int encoded, db_done done,
			     void *data)
{
	struct db_waiting *waiting = encoded < 0 ? NULL : db_client_waiter(done, data);
	int r;

	if (!waiting)
		return -ENOMEM;
	r = db_client_push(client, type);
	if (r < 0) {
		free(waiting);
		return r;
	}
	db_client_await(client, type == DB_ENSURE ? DB_LINE_WRITINGS : DB_LINE_READINGS, waiting);
	return 0;
}

int db_client_list(struct db_client *client, const char *prefix, db_done done, void *data)
{
	batch_clear(&client->payload);
	return request_documents(client, DB_LIST, ipc_put_string(&client->payload, prefix), done, data);
}

int db_client_read(struct db_client *client, const struct store_query *query, db_done done, void *data)
{
	struct batch *payload = &client->payload;
	int r = 0;

	batch_clear(payload);
	r |= ipc_put_string(payload, query->collection);
	r |= ipc_put_i64(payload, query->after_ms) | ipc_put_i64(payload, query->until_ms);
	r |= ipc_put_u64(payload, query->offset) | ipc_put_u64(payload, query->limit);
	r |= ipc_put_u64(payload, query->newest_first) | ipc_put_u64(payload, query->target != NULL);
	r |= ipc_put_string(payload, query->target ? query->target : "");
	return request_documents(client, DB_READ, r, done, data);
}

int db_client_get(struct db_client *client, const char *collection, const char *id, db_done done, void *data)
{
	struct batch *payload = &client->payload;
	int r = 0;

	batch_clear(payload);
	r |= ipc_put_string(payload, collection);
	r |= ipc_put_u64(payload, id != NULL) | ipc_put_string(payload, id ? id : "");
	return request_documents(client, DB_GET, r, done, data);
}

int db_client_ensure(struct db_client *client, const char *collection, uint64_t retention_s, db_done done,
		     void *data)
{
	struct batch *payload = &client->payload;

	batch_clear(payload);
	return request_documents(client, DB_ENSURE,
				 ipc_put_string(payload, collection) | ipc_put_u64(payload, retention_s),
				 done, data);
}

static int write_documents(struct db_client *client, enum db_message type, const char *collection,
			   const struct batch *batch, struct db_waiting *waiting)
{
	size_t at = 0;
	int r;

	if (!waiting)
		return -ENOMEM;
	do {
		size_t length = batch->length - at < DB_PIECE_MAX ? batch->length - at : DB_PIECE_MAX;
		bool last = at + length == batch->length;

		batch_clear(&client->payload);
		r = ipc_put_u64(&client->payload, last);
		r |= ipc_put_string(&client->payload, collection);
		r |= ipc_put_bytes(&client->payload, batch->data + at, length);
		r = r < 0 ? -ENOMEM : db_client_push(client, type);
		if (r < 0) {
			/* Half a batch may be queued: nothing that follows would be understood. */
			if (at)
				db_client_fail(client, r);
			free(waiting);
			return r;
		}
		at += length;
	} while (at < batch->length);
	db_client_await(client, DB_LINE_WRITINGS, waiting);
	client->n_unflushed = type == DB_APPEND ? client->n_unflushed + 1 : 0;
	return 0;
}

int db_client_append(struct db_client *client, const char *collection, const struct batch *batch,
		     db_done done, void *data)
{
	return write_documents(client, DB_APPEND, collection, batch, db_client_waiter(done, data));
}

int db_client_put(struct db_client *client, const char *collection, const struct batch *batch, db_done done,
		  void *data)
{
	return write_documents(client, DB_PUT, collection, batch, db_client_waiter(done, data));
}

int db_client_flush(struct db_client *client)
{
	if (!client->n_unflushed)
		return 0;
	client->n_unflushed = 0;
	batch_clear(&client->payload);
	return db_client_push(client, DB_FLUSH);
}
