/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches from `collect` to `write`: split to message size, sent without blocking, kept in a bounded backlog
 * while the writer is busy. Batches that do not fit are counted; nothing ever waits for room.
 */
#include "write/link.h"

#include <errno.h>
#include <string.h>

struct link_frame {
	uint32_t type;
	uint32_t length;
};

void link_sender_init(struct link_sender *sender, int socket, size_t backlog_limit)
{
	*sender = (struct link_sender){.socket = socket, .backlog_limit = backlog_limit};
}

void link_sender_done(struct link_sender *sender)
{
	batch_done(&sender->backlog);
	batch_done(&sender->scratch);
}

static int backlog_add(struct link_sender *sender, uint32_t type, const struct batch *payload)
{
	struct link_frame frame = {.type = type, .length = (uint32_t)payload->length};
	struct batch *backlog = &sender->backlog;
	int r;

	if (backlog->length - sender->backlog_sent + payload->length + sizeof(frame) > sender->backlog_limit)
		return -ENOBUFS;
	if (sender->backlog_sent > 0 && sender->backlog_sent >= backlog->length / 2) {
		memmove(backlog->data, backlog->data + sender->backlog_sent,
			backlog->length - sender->backlog_sent);
		backlog->length -= sender->backlog_sent;
		sender->backlog_sent = 0;
	}
	r = batch_reserve(backlog, sizeof(frame) + payload->length);
	if (r < 0)
		return r;
	(void)batch_add_bytes(backlog, &frame, sizeof(frame)); /* there is room for both */
	return batch_add_bytes(backlog, payload->data, payload->length);
}

int link_flush(struct link_sender *sender)
{
	struct batch *backlog = &sender->backlog;

	while (sender->backlog_sent < backlog->length) {
		struct link_frame frame;
		const uint8_t *at = backlog->data + sender->backlog_sent;
		int r;

		memcpy(&frame, at, sizeof(frame));
		r = ipc_send(sender->socket, frame.type, 0, at + sizeof(frame), frame.length, NULL, 0);
		if (r < 0)
			return r;
		sender->backlog_sent += sizeof(frame) + frame.length;
	}
	sender->backlog_sent = 0;
	backlog->length = 0;
	return 0;
}

uint64_t link_abandon(struct link_sender *sender)
{
	const struct batch *backlog = &sender->backlog;
	struct link_frame frame;
	struct link_batch batch;
	uint64_t n = 0;

	for (size_t at = sender->backlog_sent; at < backlog->length; at += sizeof(frame) + frame.length) {
		memcpy(&frame, backlog->data + at, sizeof(frame));
		if (link_parse(&(struct ipc_message){.type = frame.type,
						     .payload = backlog->data + at + sizeof(frame),
						     .length = frame.length},
			       &batch) == 0)
			n += batch.documents.n_documents;
	}
	batch_clear(&sender->backlog);
	sender->backlog_sent = 0;
	return n;
}

enum link_place { LINK_LAST = 1 << 0, LINK_FIRST = 1 << 1 };

static int send_part(struct link_sender *sender, enum link_type type, const char *collection,
		     const uint8_t *data, size_t length, bool last)
{
	const bool first = type == LINK_APPEND && !sender->in_tick;
	struct batch *scratch = &sender->scratch;
	int r;

	if (type == LINK_APPEND)
		sender->in_tick = !last;
	batch_clear(scratch);
	r = ipc_put_string(scratch, collection);
	if (r == 0)
		r = ipc_put_u64(scratch, (last ? LINK_LAST : 0) | (first ? LINK_FIRST : 0));
	if (r == 0)
		r = ipc_put_bytes(scratch, data, length);
	if (r < 0)
		return r;
	if (sender->backlog.length == 0) {
		r = ipc_send(sender->socket, type, 0, scratch->data, scratch->length, NULL, 0);
		if (r != -EAGAIN)
			return r;
	}
	return backlog_add(sender, type, scratch);
}

/* Documents of a batch that are sent as one message. */
struct link_run {
	size_t start, end;
	unsigned n;
};

/* Sends a run and begins the next at `next`; a run that is not accepted is lost. */
static int send_run(struct link_sender *sender, enum link_type type, const char *collection,
		    const struct batch *batch, struct link_run *run, size_t next, bool last)
{
	int r = send_part(sender, type, collection, batch->data + run->start, run->end - run->start, last);

	if (r < 0)
		sender->lost += run->n;
	*run = (struct link_run){.start = next, .end = next};
	return r;
}

int link_send(struct link_sender *sender, enum link_type type, const char *collection,
	      const struct batch *batch, bool last)
{
	struct link_run run = {0};
	size_t offset = 0, length;
	const uint8_t *document;
	int r = 0, result = 0;

	while (batch_next(batch, &offset, &document, &length) > 0) {
		bool too_large = length > LINK_BYTES_MAX;

		/* Earlier messages are sent first, in order. */
		if (run.n && (too_large || offset - run.start > LINK_BYTES_MAX))
			r = send_run(sender, type, collection, batch, &run, run.end, false);
		if (r < 0)
			result = r;
		if (too_large) {
			sender->lost++;
			run.start = run.end = offset;
			continue;
		}
		run.end = offset;
		run.n++;
	}
	r = send_run(sender, type, collection, batch, &run, run.end, last);
	if (last)
		sender->ticks_sent++;
	return r < 0 ? r : result;
}

int link_parse(const struct ipc_message *message, struct link_batch *ret_batch)
{
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);
	size_t length = 0, offset = 0, document_length;
	const uint8_t *document;
	const char *collection = ipc_get_string(&cursor);
	const uint64_t place = ipc_get_u64(&cursor);
	const void *data = ipc_get_bytes(&cursor, &length);
	int r;

	if (cursor.failed || collection[0] == '\0')
		return -EBADMSG;
	*ret_batch = (struct link_batch){
		.collection = collection,
		.first = place & LINK_FIRST,
		.last = place & LINK_LAST,
		/* The cast is safe: the batch is only read. */
		.documents = {.data = (uint8_t *)(uintptr_t)data, .length = length, .capacity = length},
	};
	while ((r = batch_next(&ret_batch->documents, &offset, &document, &document_length)) > 0)
		ret_batch->documents.n_documents++;
	return r;
}
