/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queue of messages to the store's process. They are sent as the socket accepts them; answers arrive in the
 * order of the requests, so the callbacks are a simple list. Never blocks;
 * db_client_is_full() reports its growth.
 */
#include "db/db_client.h"
#include "db/db_protocol.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <ev.h>
#include <utlist.h>

#define DB_CLIENT_ASK_MS      2000  /* of silence while an answer is pending */
#define DB_CLIENT_SILENT_MS   12000 /* longer than any call takes, whether the store answers or not */
#define DB_CLIENT_QUEUE_MAX   ((size_t)8 * 1024 * 1024)
#define DB_CLIENT_WAITING_MAX 4096
#define DB_CLIENT_SPARE_MAX   8 /* messages kept with their memory */
#define DB_CLIENT_ANSWER_KEPT ((size_t)4 * 1024 * 1024)

struct db_message_out {
	struct db_message_out *next, *prev;
	uint32_t type;
	struct batch payload;
};

/* Answers arrive in the order of the requests. */
struct db_waiting {
	struct db_waiting *next, *prev;
	db_done done;
	void *data;
	unsigned n_documents;
};

enum db_line { DB_LINE_READINGS, DB_LINE_WRITINGS };

struct db_client {
	struct ev_loop *loop;
	int socket;
	ev_io reader;
	ev_io writer;
	struct db_client_events events;
	struct db_message_out *out;
	size_t out_bytes;
	struct db_message_out *spare;
	unsigned n_spare;
	struct db_waiting *waiting[2]; /* for reads, for writes */
	unsigned n_waiting;
	unsigned n_unflushed; /* appends whose answer may be late */
	struct batch documents;
	struct batch payload;
	struct store_statistics statistics;
	uint8_t *buffer;
	ev_timer patience; /* while answers are awaited */
	uint64_t heard_ns; /* when the process last sent something, or waiting for it began */
	bool away;         /* it has reported that the store is unavailable */
	bool silent;       /* for a long time; the owner was notified */
	bool lost;         /* no more requests are possible; the owner was notified */
};

/* The connection is lost: informs the owner, once. */
static void fail(struct db_client *client, int error)
{
	if (client->lost)
		return;
	client->lost = true;
	ev_io_stop(client->loop, &client->reader);
	ev_io_stop(client->loop, &client->writer);
	if (client->events.lost)
		client->events.lost(client->events.data, error);
}

/* Adds documents of an answer; false on failure. */
static bool add_documents(struct db_client *client, const void *documents, size_t length)
{
	if (batch_add_bytes(&client->documents, documents, length) == 0)
		return true;
	fail(client, -ENOMEM);
	return false;
}

/* Passes the answer to its requester; false if nobody waits for one. */
static bool tell_waiting(struct db_client *client, enum db_line line, const struct db_answer *told)
{
	struct db_waiting *waiting = client->waiting[line];
	struct db_answer answer = *told;

	if (!waiting)
		return false;
	answer.n_documents = waiting->n_documents;
	DL_DELETE(client->waiting[line], waiting);
	client->n_waiting--;
	if (waiting->done)
		waiting->done(waiting->data, &answer);
	free(waiting);
	return true;
}

static void take_answer(struct db_client *client, const struct ipc_message *message)
{
	static const struct batch none;
	const struct db_answer well = {.result = STORE_OK, .documents = &none, .error = ""};
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);
	struct db_answer answer = {.documents = &client->documents};
	struct db_told told;
	const void *rest;
	size_t length;
	bool good = true;

	ipc_get_numbers(&cursor, &told, sizeof(told));
	answer.result = (enum store_result)told.result;
	answer.read =
		(struct store_read){told.offset, told.end != 0, (unsigned)told.damaged, told.replaced != 0};
	client->statistics = told.statistics;
	answer.error = ipc_get_string(&cursor);
	rest = ipc_get_bytes(&cursor, &length);
	if (cursor.failed)
		return fail(client, -EBADMSG);
	for (; told.n_done > 0 && good; told.n_done--)
		good = tell_waiting(client, DB_LINE_WRITINGS, &well);
	if (good && told.answered != DB_ANSWERED_NOTHING) {
		if (!add_documents(client, rest, length))
			return;
		good = tell_waiting(
			client, told.answered == DB_ANSWERED_READING ? DB_LINE_READINGS : DB_LINE_WRITINGS,
			&answer);
		/* The memory for a large answer is not kept. */
		if (client->documents.capacity > DB_CLIENT_ANSWER_KEPT)
			batch_done(&client->documents);
		batch_clear(&client->documents);
	}
	if (!good)
		fail(client, -EBADMSG);
}

static void take_message(struct db_client *client, const struct ipc_message *message)
{
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);

	switch (message->type) {
	case DB_PIECE:
		(void)add_documents(client, message->payload, message->length);
		break;
	case DB_DONE:
		take_answer(client, message);
		break;
	case DB_TROUBLE:
		client->away = ipc_get_u64(&cursor) != 0;
		if (client->events.trouble)
			client->events.trouble(client->events.data, client->away, ipc_get_string(&cursor));
		break;
	case DB_ROLE:
		(void)ipc_get_u64(&cursor);
		if (client->events.other)
			client->events.other(client->events.data, ipc_get_string(&cursor));
		break;
	default:
		fail(client, -EBADMSG);
	}
}

static void readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct db_client *client = watcher->data;
	struct ipc_message message;
	int r;

	(void)loop, (void)events;
	/* A few at a time, so that other watchers get their turn. */
	for (unsigned i = 0; i < 16 && !client->lost; i++) {
		r = ipc_receive(client->socket, client->buffer, IPC_MESSAGE_MAX + 16, &message);
		if (r == -EAGAIN)
			return;
		if (r <= 0) {
			fail(client, r < 0 ? r : -EPIPE);
			return;
		}
		ipc_close_fds(&message);
		client->heard_ns = clock_monotonic_ns();
		if (client->silent && client->events.trouble)
			client->events.trouble(client->events.data, false, "");
		client->silent = false;
		take_message(client, &message);
		/* Nobody waits for an answer. */
		if (!client->n_waiting)
			return;
	}
}

static void free_message(struct db_message_out *out)
{
	batch_done(&out->payload);
	free(out);
}

/* Keeps a sent message and its memory for reuse. */
static void recycle(struct db_client *client, struct db_message_out *out)
{
	if (client->n_spare == DB_CLIENT_SPARE_MAX) {
		free_message(out);
		return;
	}
	DL_PREPEND(client->spare, out);
	client->n_spare++;
}

static struct db_message_out *make_message(struct db_client *client)
{
	struct db_message_out *out = client->spare;

	if (!out)
		return calloc(1, sizeof(*out));
	DL_DELETE(client->spare, out);
	client->n_spare--;
	return out;
}

static void writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct db_client *client = watcher->data;
	struct db_message_out *out;
	int r;

	(void)events;
	while ((out = client->out)) {
		r = ipc_send(client->socket, out->type, 0, out->payload.data, out->payload.length, NULL, 0);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			fail(client, r);
			return;
		}
		DL_DELETE(client->out, out);
		client->out_bytes -= out->payload.length;
		recycle(client, out);
	}
	ev_io_stop(loop, watcher);
}

/*
 * A process that hangs in the database's library, or is stopped, reports nothing, not even that the store is
 * unavailable. Successful appends are reported late, so they are requested before silence counts.
 */
static void check_silence(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct db_client *client = timer->data;
	uint64_t now_ns = clock_monotonic_ns(), silent_ms = (now_ns - client->heard_ns) / CLOCK_NS_PER_MS;
	char why[300];

	(void)loop, (void)events;
	if (!client->n_waiting || client->lost || client->away) {
		client->heard_ns = now_ns;
		return;
	}
	if (silent_ms >= DB_CLIENT_ASK_MS && !client->silent)
		(void)db_client_flush(client);
	if (silent_ms < DB_CLIENT_SILENT_MS || client->silent)
		return;
	client->silent = true;
	(void)snprintf(
		why, sizeof(why),
		"the process that accesses it has not answered for %" PRIu64
		" s, not even with an error; is it stopped (SIGSTOP), or does its disk or network hang? With "
		"a replica set: can this machine resolve the names of all members?",
		silent_ms / 1000);
	if (client->events.trouble)
		client->events.trouble(client->events.data, true, why);
}

struct db_client *db_client_new(struct ev_loop *loop, int socket, const struct db_client_events *events)
{
	struct db_client *client = calloc(1, sizeof(*client));

	if (client)
		client->buffer = malloc(IPC_MESSAGE_MAX + 16);
	if (!client || !client->buffer) {
		free(client);
		return NULL;
	}
	(void)fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
	client->loop = loop;
	client->socket = socket;
	client->events = *events;
	ev_io_init(&client->reader, readable, socket, EV_READ);
	ev_io_init(&client->writer, writable, socket, EV_WRITE);
	client->reader.data = client->writer.data = client;
	ev_io_start(loop, &client->reader);
	client->heard_ns = clock_monotonic_ns();
	ev_timer_init(&client->patience, check_silence, DB_CLIENT_ASK_MS / 1e3, DB_CLIENT_ASK_MS / 1e3);
	client->patience.data = client;
	ev_timer_start(loop, &client->patience);
	/* This timer does not keep the loop running. */
	ev_unref(loop);
	return client;
}

void db_client_free(struct db_client *client)
{
	struct db_message_out *out, *out_next;
	struct db_waiting *waiting, *next;

	if (!client)
		return;
	ev_ref(client->loop);
	ev_timer_stop(client->loop, &client->patience);
	ev_io_stop(client->loop, &client->reader);
	ev_io_stop(client->loop, &client->writer);
	DL_CONCAT(client->out, client->spare);
	DL_FOREACH_SAFE(client->out, out, out_next)
	{
		free_message(out);
	}
	DL_CONCAT(client->waiting[DB_LINE_READINGS], client->waiting[DB_LINE_WRITINGS]);
	DL_FOREACH_SAFE(client->waiting[DB_LINE_READINGS], waiting, next)
	{
		free(waiting);
	}
	batch_done(&client->documents);
	batch_done(&client->payload);
	free(client->buffer);
	(void)close(client->socket);
	free(client);
}

/*
 * Sends the message in client->payload: at once if nothing is queued before it and the socket accepts it;
 * otherwise it is queued by swapping buffers. Socket errors are noticed when the loop sends. 0, -EPIPE or
 * -ENOMEM.
 */
static int push(struct db_client *client, enum db_message type)
{
	struct db_message_out *out;
	struct batch memory;

	if (client->lost)
		return -EPIPE;
	if (!client->out &&
	    ipc_send(client->socket, type, 0, client->payload.data, client->payload.length, NULL, 0) == 0)
		return 0;
	out = make_message(client);
	if (!out)
		return -ENOMEM;
	memory = out->payload;
	out->type = type;
	out->payload = client->payload;
	client->payload = memory;
	DL_APPEND(client->out, out);
	client->out_bytes += out->payload.length;
	ev_io_start(client->loop, &client->writer);
	return 0;
}

/*
 * Records the callback. Allocated first, because a request that has been sent cannot be withdrawn. NULL: out
 * of memory.
 */
static struct db_waiting *make_waiting(db_done done, void *data)
{
	struct db_waiting *waiting = calloc(1, sizeof(*waiting));

	if (!waiting)
		return NULL;
	waiting->done = done;
	waiting->data = data;
	return waiting;
}

/* Appends to the list: answers arrive in this order. */
static void await_answer(struct db_client *client, enum db_line line, struct db_waiting *waiting)
{
	if (!client->n_waiting)
		client->heard_ns = clock_monotonic_ns();
	DL_APPEND(client->waiting[line], waiting);
	client->n_waiting++;
}

size_t db_client_queued_bytes(const struct db_client *client)
{
	return client->out_bytes;
}

unsigned db_client_waiting(const struct db_client *client)
{
	return client->n_waiting;
}

bool db_client_is_full(const struct db_client *client)
{
	return client->out_bytes > DB_CLIENT_QUEUE_MAX || client->n_waiting > DB_CLIENT_WAITING_MAX;
}

const struct store_statistics *db_client_statistics(const struct db_client *client)
{
	return &client->statistics;
}

static int ask(struct db_client *client, enum db_message type, const struct store_query *query,
	       uint64_t retention_s, db_done done, void *data)
{
	const struct db_asked asked = {.after_ms = query->after_ms,
				       .until_ms = query->until_ms,
				       .offset = query->offset,
				       .limit = query->limit,
				       .newest_first = query->newest_first,
				       .has_name = query->target != NULL,
				       .retention_s = retention_s};
	struct batch *payload = &client->payload;
	struct db_waiting *waiting;
	int r;

	batch_clear(payload);
	if (batch_add_bytes(payload, &asked, sizeof(asked)) < 0 ||
	    ipc_put_string(payload, query->collection) < 0 ||
	    ipc_put_string(payload, query->target ? query->target : "") < 0)
		return -ENOMEM;
	waiting = make_waiting(done, data);
	r = waiting ? push(client, type) : -ENOMEM;
	if (r < 0) {
		free(waiting);
		return r;
	}
	await_answer(client, type == DB_ENSURE || type == DB_LEAD ? DB_LINE_WRITINGS : DB_LINE_READINGS,
		     waiting);
	return 0;
}

int db_client_lead(struct db_client *client, db_done done, void *data)
{
	return ask(client, DB_LEAD, &(struct store_query){.collection = ""}, 0, done, data);
}

int db_client_list(struct db_client *client, const char *prefix, db_done done, void *data)
{
	return ask(client, DB_LIST, &(struct store_query){.collection = prefix}, 0, done, data);
}

int db_client_read(struct db_client *client, const struct store_query *query, db_done done, void *data)
{
	return ask(client, DB_READ, query, 0, done, data);
}

int db_client_get(struct db_client *client, const char *collection, const char *id, db_done done, void *data)
{
	return ask(client, DB_GET, &(struct store_query){.collection = collection, .target = id}, 0, done,
		   data);
}

int db_client_ensure(struct db_client *client, const char *collection, uint64_t retention_s, db_done done,
		     void *data)
{
	return ask(client, DB_ENSURE, &(struct store_query){.collection = collection}, retention_s, done,
		   data);
}

static int write_documents(struct db_client *client, enum db_message type, const char *collection,
			   const struct batch *batch, struct db_waiting *waiting)
{
	size_t at = 0;
	int r;

	if (!waiting)
		return -ENOMEM;
	waiting->n_documents = batch->n_documents;
	do {
		size_t length = batch->length - at < DB_PIECE_MAX ? batch->length - at : DB_PIECE_MAX;
		bool last = at + length == batch->length;

		batch_clear(&client->payload);
		r = ipc_put_u64(&client->payload, last);
		r |= ipc_put_string(&client->payload, collection);
		r |= ipc_put_bytes(&client->payload, batch->data + at, length);
		r = r < 0 ? -ENOMEM : push(client, type);
		if (r < 0) {
			/* Half a batch may be queued: the other side could not parse anything after it. */
			if (at)
				fail(client, r);
			free(waiting);
			return r;
		}
		at += length;
	} while (at < batch->length);
	await_answer(client, DB_LINE_WRITINGS, waiting);
	client->n_unflushed = type == DB_APPEND ? client->n_unflushed + 1 : 0;
	return 0;
}

int db_client_append(struct db_client *client, const char *collection, const struct batch *batch,
		     db_done done, void *data)
{
	return write_documents(client, DB_APPEND, collection, batch, make_waiting(done, data));
}

int db_client_put(struct db_client *client, const char *collection, const struct batch *batch, db_done done,
		  void *data)
{
	return write_documents(client, DB_PUT, collection, batch, make_waiting(done, data));
}

int db_client_flush(struct db_client *client)
{
	if (!client->n_unflushed)
		return 0;
	client->n_unflushed = 0;
	batch_clear(&client->payload);
	return push(client, DB_FLUSH);
}
