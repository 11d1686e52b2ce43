/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owns the store: each request is retried until the store has given a final answer, so that a later write
 * (the position) never overtakes an earlier one (the reports). Writes that arrive together are stored
 * together. Blocks; does not know what the documents mean. A malformed request ends the process.
 */
#include "db/db.h"

#include "base/clock.h"
#include "db/db_group.h"
#include "db/db_lease.h"
#include "db/db_protocol.h"
#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define DB_BACKOFF_FIRST_MS 100
#define DB_BACKOFF_MAX_MS   5000
#define DB_TRIM_PAUSE_MS    200
#define DB_TOLD_LATE_MAX    64                        /* successful appends not reported yet */
#define DB_KEPT             ((size_t)4 * 1024 * 1024) /* memory that is kept */

struct db {
	int socket;
	const struct db_options *options;
	struct store *store;
	struct store_bounds bounds;
	uint8_t *buffer;
	struct db_group group; /* pending writes */
	unsigned n_done;       /* successful appends, to be reported */
	struct batch documents;
	struct batch answer;
	struct store_read read;
	bool trouble; /* reported to the loop that the store is unavailable */
	bool gone;    /* the loop has closed its end */
	struct db_lease lease;
};

/* A decoded request; strings point into the receive buffer. The group's: type 0. */
struct db_request {
	enum db_message type;
	struct store_query query; /* for some requests, its target is an id, or its collection a prefix */
	uint64_t retention_s;
};

/* Sends an unsolicited message. */
static void tell(struct db *db, enum db_message type, bool away, const char *text)
{
	batch_clear(&db->answer);
	if (ipc_put_u64(&db->answer, away) == 0 && ipc_put_string(&db->answer, text) == 0)
		(void)ipc_send(db->socket, type, 0, db->answer.data, db->answer.length, NULL, 0);
}

static void tell_trouble(struct db *db, bool trouble)
{
	if (db->trouble != trouble)
		tell(db, DB_TROUBLE, trouble, trouble ? store_error(db->store) : "");
	db->trouble = trouble;
}

/* Waits; false if the loop has exited meanwhile. */
static bool wait_before_retry(struct db *db, int ms)
{
	struct pollfd poll_fd = {.fd = db->socket, .events = 0};

	if (poll(&poll_fd, 1, ms) > 0 && (poll_fd.revents & (POLLHUP | POLLERR)))
		db->gone = true;
	return !db->gone;
}

static void add_name(void *data, const char *collection)
{
	(void)batch_add_bytes(data, collection, strlen(collection) + 1);
}

static enum store_result try_store(struct db *db, const struct db_request *request)
{
	batch_clear(&db->documents);
	db->read = (struct store_read){0};
	switch (request->type) {
	case DB_LIST:
		return store_list(db->store, request->query.collection, add_name, &db->documents);
	case DB_READ:
		return store_read(db->store, &request->query, &db->documents, &db->read);
	case DB_GET:
		return store_get(db->store, request->query.collection, request->query.target, &db->documents);
	case DB_ENSURE:
		return store_ensure(db->store, request->query.collection, request->retention_s,
				    clock_realtime_ms());
	case DB_LEAD:
		return db_lease_take(&db->lease, db->store);
	default:
		break;
	}
	/* After a long pause or a suspend, another server may have taken over: check before writing. */
	if (db_lease_is_due(&db->lease)) {
		enum store_result result = db_lease_renew(&db->lease, db->store);

		if (result != STORE_OK)
			return result;
	}
	return db_group_write(&db->group, db->store);
}

static enum store_result keep_trying(struct db *db, const struct db_request *request)
{
	uint64_t started_ns = clock_monotonic_ns();
	int backoff_ms = DB_BACKOFF_FIRST_MS;
	enum store_result result;

	while ((result = try_store(db, request)) == STORE_RETRY) {
		uint64_t away_ms = (clock_monotonic_ns() - started_ns) / CLOCK_NS_PER_MS;

		tell_trouble(db, true);
		if (db->options->give_up_ms &&
		    (away_ms > db->options->give_up_ms || store_is_denied(db->store)))
			break;
		if (!wait_before_retry(db, backoff_ms))
			break;
		backoff_ms = backoff_ms * 2 < DB_BACKOFF_MAX_MS ? backoff_ms * 2 : DB_BACKOFF_MAX_MS;
	}
	if (result != STORE_RETRY)
		tell_trouble(db, false);
	return result;
}

/* Another server has taken over: informs the loop; this process ends. */
static int superseded(struct db *db)
{
	db_lease_lose(&db->lease, db->store);
	tell(db, DB_ROLE, false, db->lease.who);
	return -ECANCELED;
}

/* The documents, if any, are those of db->documents. */
static int send_answer(struct db *db, enum db_answered what, enum store_result result, const char *error)
{
	const struct db_told told = {
		.n_done = db->n_done,
		.answered = what,
		.result = (uint64_t)result,
		.offset = db->read.offset,
		.end = db->read.end,
		.damaged = db->read.damaged,
		.replaced = db->read.replaced,
		.statistics = *store_get_statistics(db->store),
	};
	const uint8_t *rest = db->documents.data; /* NULL if there have never been any */
	size_t length = db->documents.length;
	int r = 0;

	for (; length > DB_PIECE_MAX && r == 0; length -= DB_PIECE_MAX, rest += DB_PIECE_MAX)
		r = ipc_send(db->socket, DB_PIECE, 0, rest, DB_PIECE_MAX, NULL, 0);
	batch_clear(&db->answer);
	if (batch_add_bytes(&db->answer, &told, sizeof(told)) < 0 || ipc_put_string(&db->answer, error) < 0 ||
	    ipc_put_bytes(&db->answer, rest, length) < 0)
		return -ENOMEM;
	db->n_done = 0;
	if (r == 0)
		r = ipc_send(db->socket, DB_DONE, 0, db->answer.data, db->answer.length, NULL, 0);
	if (db->documents.capacity > DB_KEPT)
		batch_done(&db->documents);
	batch_clear(&db->documents);
	return r;
}

/* Stores the gathered writes and reports the result of each. */
static int write_group(struct db *db)
{
	enum store_result result;
	int r = 0;

	if (!db->group.n)
		return 0;
	result = keep_trying(db, &(struct db_request){0});
	if (result == STORE_LOST)
		return superseded(db);
	for (unsigned i = 0; i < db->group.n && r == 0 && !db->gone; i++) {
		const struct db_writing *writing = &db->group.writings[i];

		if (result == STORE_RETRY)
			r = send_answer(db, DB_ANSWERED_WRITING, result, store_error(db->store));
		else if (writing->result == STORE_OK && !writing->put)
			db->n_done++;
		else
			r = send_answer(db, DB_ANSWERED_WRITING, writing->result, db->group.error);
	}
	db_group_clear(&db->group);
	if (r == 0 && db->n_done >= DB_TOLD_LATE_MAX)
		r = send_answer(db, DB_ANSWERED_NOTHING, STORE_OK, "");
	return r;
}

/* Adds a piece of a batch; 1 when it was the last one. */
static int take_piece(struct db *db, struct ipc_cursor *cursor, bool put)
{
	uint64_t last = ipc_get_u64(cursor);
	const char *collection = ipc_get_string(cursor);
	size_t length;
	const void *piece = ipc_get_bytes(cursor, &length);

	if (cursor->failed)
		return -EBADMSG;
	return db_group_add(&db->group, put, collection, piece, length, last != 0);
}

/* Decodes a message: 1 when the request is complete, 0 when more pieces follow. */
static int parse(struct db *db, const struct ipc_message *message, struct db_request *request)
{
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);
	struct db_asked asked;
	const char *collection, *name;

	*request = (struct db_request){.type = message->type};
	if (request->type == DB_APPEND || request->type == DB_PUT)
		return take_piece(db, &cursor, request->type == DB_PUT);
	if (request->type == DB_FLUSH)
		return 1;
	if (request->type < DB_LIST || request->type > DB_LEAD)
		return -EBADMSG;
	ipc_get_numbers(&cursor, &asked, sizeof(asked));
	collection = ipc_get_string(&cursor);
	name = ipc_get_string(&cursor);
	request->retention_s = asked.retention_s;
	request->query = (struct store_query){
		.collection = collection,
		.after_ms = asked.after_ms,
		.until_ms = asked.until_ms,
		.target = asked.has_name ? name : NULL,
		.offset = asked.offset,
		.limit = (unsigned)asked.limit,
		.newest_first = asked.newest_first != 0,
	};
	return cursor.failed ? -EBADMSG : 1;
}

static bool is_reading(const struct db_request *request)
{
	return request->type == DB_LIST || request->type == DB_READ || request->type == DB_GET;
}

/* Waits for its turn to write; each time another server still writes, the loop is notified. */
static int lead(struct db *db, const struct db_request *request)
{
	const int wait_ms = (int)(db->options->lease_ms / DB_LEASE_RENEWALS);
	unsigned n = 0;
	enum store_result result;

	for (;;) {
		result = keep_trying(db, request);
		if (result != STORE_OK || db->lease.held || db->gone)
			break;
		tell(db, DB_ROLE, false, db->lease.who);
		/* With --once: long enough to see whether the other one is alive. */
		if (db->options->give_up_ms && ++n > 3 * DB_LEASE_RENEWALS)
			return send_answer(db, DB_ANSWERED_WRITING, STORE_LOST, db->lease.who);
		if (!wait_before_retry(db, wait_ms))
			break;
	}
	return db->gone ? 0 : send_answer(db, DB_ANSWERED_WRITING, result, store_error(db->store));
}

static int handle(struct db *db, struct ipc_message *message)
{
	struct db_request request;
	enum store_result result;
	int r;

	ipc_close_fds(message);
	r = parse(db, message, &request);
	if (r <= 0)
		return r;
	if (request.type == DB_APPEND || request.type == DB_PUT)
		return !store_can_group(db->store) || db_group_is_full(&db->group) ? write_group(db) : 0;
	if (db->group.open)
		return -EBADMSG;
	if (!is_reading(&request) || db_group_touches(&db->group, request.query.collection))
		r = write_group(db);
	if (r < 0 || db->gone)
		return r < 0 ? r : 0;
	if (request.type == DB_FLUSH)
		return send_answer(db, DB_ANSWERED_NOTHING, STORE_OK, "");
	if (request.type == DB_LEAD)
		return lead(db, &request);
	result = keep_trying(db, &request);
	return db->gone ? 0
			: send_answer(db, is_reading(&request) ? DB_ANSWERED_READING : DB_ANSWERED_WRITING,
				      result, store_error(db->store));
}

static void keep_bounds(struct db *db)
{
	if (!store_bounds_keep(&db->bounds, db->store))
		log_warning("store", 0, "cannot delete old documents yet: %s", store_error(db->store));
}

static void say_bounds(struct db *db)
{
	char uri[256], text[600];
	struct store_usage usage;

	if (db->options->give_up_ms || !(store_uri_traits(db->options->uri) & STORE_BOUNDED) ||
	    !(db->options->store.flags & STORE_WRITE) || store_measure(db->store, &usage) != STORE_OK)
		return;
	log_info("store", 0, "%s (--retention, --store-size)",
		 store_bounds_text(&db->bounds, store_uri_display(db->options->uri, uri, sizeof(uri)), &usage,
				   0, text, sizeof(text)));
}

/*
 * Renews the lease whenever due, until a message is there (returns 1) or `most_ms` have passed (returns 0;
 * -1: no limit). Not to be called with half a batch.
 */
static int await_message(struct db *db, int most_ms)
{
	struct pollfd poll_fd = {.fd = db->socket, .events = POLLIN};
	int wait_ms, r;

	do {
		if (db_lease_is_due(&db->lease) && db_lease_renew(&db->lease, db->store) == STORE_LOST)
			return superseded(db);
		/* A failed renewal is retried in the next round, or before the next write. */
		wait_ms = db_lease_is_due(&db->lease) ? DB_BACKOFF_FIRST_MS : db_lease_wait_ms(&db->lease);
		if (most_ms >= 0 && (wait_ms < 0 || most_ms < wait_ms))
			wait_ms = most_ms;
		r = poll(&poll_fd, 1, wait_ms);
	} while (r == 0 && most_ms < 0);
	return r != 0;
}

/* Waits for a message; before it has to wait, it stores the gathered writes. */
static int receive(struct db *db, struct ipc_message *message)
{
	struct pollfd poll_fd = {.fd = db->socket, .events = POLLIN};
	int r = 0;

	if (db->group.n && !db->group.open && poll(&poll_fd, 1, 0) <= 0) {
		r = write_group(db);
		if (r < 0 || db->gone)
			return r < 0 ? r : 0;
	}
	/* Remaining deletions do not wait for the next write. */
	do {
		if (db->lease.held || !db->options->lease_ms)
			keep_bounds(db);
		r = await_message(db, db->bounds.more ? DB_TRIM_PAUSE_MS : -1);
	} while (r == 0);
	return r < 0 ? r : ipc_receive(db->socket, db->buffer, IPC_MESSAGE_MAX + 16, message);
}

static int open_db(struct db *db, const struct db_options *options)
{
	struct reason why = {""};
	int r;

	db->buffer = malloc(IPC_MESSAGE_MAX + 16);
	if (!db->buffer)
		return log_error("store", -ENOMEM, "out of memory");
	r = store_open(options->uri, &options->store, &db->store, &why);
	if (r < 0) {
		log_error("store", 0, "%s", why.text);
		return r;
	}
	if (store_error(db->store)[0])
		log_warning("store", 0, "%s", store_error(db->store));
	db->bounds = options->bounds;
	say_bounds(db);
	return 0;
}

int db_serve(int socket, const struct db_options *options)
{
	struct db db = {.socket = socket, .options = options};
	struct ipc_message message;
	int r = open_db(&db, options);

	db_lease_init(&db.lease, options->about ? options->about : "", options->lease_ms);
	while (r == 0 && !db.gone) {
		r = receive(&db, &message);
		if (r == 0)
			break;
		r = r < 0 ? r : handle(&db, &message);
	}
	if (r == -EPIPE || r == -ECONNRESET)
		r = 0;
	if (r == 0 && db.store)
		db_lease_release(&db.lease, db.store);
	if (r < 0 && r != -ECANCELED && db.store) /* open_db() has logged its own errors */
		log_error("store", r, "the store's process is exiting");
	if (db.store)
		store_close(db.store);
	db_group_done(&db.group);
	batch_done(&db.documents);
	batch_done(&db.answer);
	free(db.buffer);
	return r < 0 ? 1 : 0;
}
