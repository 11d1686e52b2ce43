/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the store: takes requests in their order, each tried until the store has answered for good, so that
 * what comes later (the position) never overtakes what comes earlier (the reports). Blocks; knows nothing of
 * what the documents mean. A malformed request ends the process.
 */
#include "db.h"

#include "clock.h"
#include "db_protocol.h"
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define DB_BACKOFF_FIRST_MS 100
#define DB_BACKOFF_MAX_MS   5000

struct db {
	int socket;
	const struct db_options *options;
	struct store *store;
	uint8_t *buffer;
	struct batch incoming; /* pieces of an append or put */
	struct batch documents;
	struct batch answer;
	struct store_read read;
	bool trouble; /* told the loop that the store is away */
	bool gone;    /* the loop has closed its end */
};

/* A request as it was taken apart; strings point into the receive buffer. */
struct db_request {
	enum db_message type;
	const char *collection;
	const char *id;
	struct store_query query;
	uint64_t retention_s;
};

static void db_tell_trouble(struct db *db, bool trouble)
{
	if (db->trouble == trouble)
		return;
	db->trouble = trouble;
	batch_clear(&db->answer);
	if (ipc_put_u64(&db->answer, trouble) == 0 &&
	    ipc_put_string(&db->answer, trouble ? store_error(db->store) : "") == 0)
		(void)ipc_send(db->socket, DB_TROUBLE, 0, db->answer.data, db->answer.length, NULL, 0);
}

/* Waits; false when the loop has gone meanwhile. */
static bool db_wait(struct db *db, int ms)
{
	struct pollfd poll_fd = {.fd = db->socket, .events = 0};

	if (poll(&poll_fd, 1, ms) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)))
		db->gone = true;
	return !db->gone;
}

static void db_add_name(void *data, const char *collection)
{
	struct batch *documents = data;

	(void)ipc_put_string(documents, collection);
}

static enum store_result db_try(struct db *db, const struct db_request *request)
{
	batch_clear(&db->documents);
	db->read = (struct store_read){0};
	switch (request->type) {
	case DB_LIST:
		return store_list(db->store, request->collection, db_add_name, &db->documents);
	case DB_READ:
		return store_read(db->store, &request->query, &db->documents, &db->read);
	case DB_GET:
		return store_get(db->store, request->collection, request->id, &db->documents);
	case DB_ENSURE:
		return store_ensure(db->store, request->collection, request->retention_s,
				    clock_realtime_ms());
	case DB_APPEND:
		return store_append(db->store, request->collection, &db->incoming);
	default:
		return store_put(db->store, request->collection, &db->incoming);
	}
}

static enum store_result db_keep_trying(struct db *db, const struct db_request *request)
{
	uint64_t started_ns = clock_monotonic_ns();
	int backoff_ms = DB_BACKOFF_FIRST_MS;
	enum store_result result;

	while ((result = db_try(db, request)) == STORE_RETRY) {
		uint64_t away_ms = (clock_monotonic_ns() - started_ns) / CLOCK_NS_PER_MS;

		db_tell_trouble(db, true);
		if (db->options->give_up_ms && away_ms > db->options->give_up_ms)
			break;
		if (!db_wait(db, backoff_ms))
			break;
		backoff_ms = backoff_ms * 2 < DB_BACKOFF_MAX_MS ? backoff_ms * 2 : DB_BACKOFF_MAX_MS;
	}
	if (result != STORE_RETRY)
		db_tell_trouble(db, false);
	return result;
}

static int db_answer(struct db *db, uint32_t tag, enum store_result result)
{
	const struct store_statistics *statistics = store_get_statistics(db->store);
	int r = 0;

	size_t at = 0;

	for (; db->documents.length - at > DB_PIECE_MAX && r == 0; at += DB_PIECE_MAX)
		r = ipc_send(db->socket, DB_PIECE, tag, db->documents.data + at, DB_PIECE_MAX, NULL, 0);
	batch_clear(&db->answer);
	if (ipc_put_u64(&db->answer, (uint64_t)result) < 0 || ipc_put_u64(&db->answer, db->read.offset) < 0 ||
	    ipc_put_u64(&db->answer, db->read.end) < 0 || ipc_put_u64(&db->answer, db->read.damaged) < 0 ||
	    ipc_put_u64(&db->answer, statistics->appended) < 0 ||
	    ipc_put_u64(&db->answer, statistics->duplicates) < 0 ||
	    ipc_put_u64(&db->answer, statistics->dropped) < 0 ||
	    ipc_put_u64(&db->answer, statistics->round_trips) < 0 ||
	    ipc_put_string(&db->answer, store_error(db->store)) < 0 ||
	    ipc_put_bytes(&db->answer, db->documents.data + at, db->documents.length - at) < 0)
		return -ENOMEM;
	if (r == 0)
		r = ipc_send(db->socket, DB_DONE, tag, db->answer.data, db->answer.length, NULL, 0);
	return r;
}

/* Adds a piece of a batch; 1 when it was the last one. */
static int db_take_piece(struct db *db, struct ipc_cursor *cursor, struct db_request *request)
{
	uint64_t last = ipc_get_u64(cursor);
	const uint8_t *piece, *document;
	size_t length, offset = 0;
	int r;

	request->collection = ipc_get_string(cursor);
	piece = ipc_get_bytes(cursor, &length);
	if (cursor->failed)
		return -EBADMSG;
	if (batch_reserve(&db->incoming, length) < 0)
		return -ENOMEM;
	if (length)
		memcpy(db->incoming.data + db->incoming.length, piece, length);
	db->incoming.length += length;
	if (!last)
		return 0;
	db->incoming.n_documents = 0;
	while ((r = batch_next(&db->incoming, &offset, &document, &length)) == 1)
		db->incoming.n_documents++;
	return r < 0 ? r : 1;
}

static void db_take_query(struct ipc_cursor *cursor, struct store_query *query)
{
	uint64_t has_target;

	query->collection = ipc_get_string(cursor);
	query->after_ms = ipc_get_i64(cursor);
	query->until_ms = ipc_get_i64(cursor);
	query->offset = ipc_get_u64(cursor);
	query->limit = (unsigned)ipc_get_u64(cursor);
	query->newest_first = ipc_get_u64(cursor) != 0;
	has_target = ipc_get_u64(cursor);
	query->target = ipc_get_string(cursor);
	if (!has_target)
		query->target = NULL;
}

/* Takes a message apart: 1 when the request is whole, 0 when more pieces follow. */
static int db_parse(struct db *db, const struct ipc_message *message, struct db_request *request)
{
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);
	uint64_t has_id;

	memset(request, 0, sizeof(*request));
	request->type = message->type;
	switch (request->type) {
	case DB_APPEND:
	case DB_PUT:
		return db_take_piece(db, &cursor, request);
	case DB_READ:
		db_take_query(&cursor, &request->query);
		break;
	case DB_LIST:
		request->collection = ipc_get_string(&cursor);
		break;
	case DB_GET:
		request->collection = ipc_get_string(&cursor);
		has_id = ipc_get_u64(&cursor);
		request->id = ipc_get_string(&cursor);
		if (!has_id)
			request->id = NULL;
		break;
	case DB_ENSURE:
		request->collection = ipc_get_string(&cursor);
		request->retention_s = ipc_get_u64(&cursor);
		break;
	default:
		return -EBADMSG;
	}
	return cursor.failed ? -EBADMSG : 1;
}

static int db_handle(struct db *db, struct ipc_message *message)
{
	struct db_request request;
	enum store_result result;
	int r;

	ipc_close_fds(message);
	r = db_parse(db, message, &request);
	if (r <= 0)
		return r;
	result = db_keep_trying(db, &request);
	batch_clear(&db->incoming);
	return db->gone ? 0 : db_answer(db, message->tag, result);
}

static int db_open(struct db *db, const struct db_options *options)
{
	char why[512] = "";
	int r;

	db->buffer = malloc(IPC_MESSAGE_MAX + 16);
	if (!db->buffer)
		return log_error("store", -ENOMEM, "no memory");
	r = store_open(options->uri, &options->store, &db->store, why, sizeof(why));
	if (r < 0)
		return log_error("store", 0, "%s", why), r;
	return 0;
}

int db_serve(int socket, const struct db_options *options)
{
	struct db db = {.socket = socket, .options = options};
	struct ipc_message message;
	int r = db_open(&db, options);

	while (r == 0 && !db.gone) {
		r = ipc_receive(socket, db.buffer, IPC_MESSAGE_MAX + 16, &message);
		if (r == 0)
			break;
		r = r < 0 ? r : db_handle(&db, &message);
	}
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0;
	if (r < 0)
		(void)log_error("store", r, "the store's process ends");
	if (db.store)
		store_close(db.store);
	batch_done(&db.incoming);
	batch_done(&db.documents);
	batch_done(&db.answer);
	free(db.buffer);
	return r < 0 ? 1 : 0;
}
