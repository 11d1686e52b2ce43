/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages between the sensor's `collect` and `write` processes: batches of documents one way, progress
 * and losses the other way. The sending side never blocks: messages that the socket does not accept wait in a
 * bounded backlog.
 */
#pragma once

#include "document/batch.h"
#include "process/ipc.h"

#include <stdbool.h>
#include <stdint.h>

enum link_type {
	LINK_APPEND =
		1,   /* documents for a collection; a tick's first and last message of this type are marked */
	LINK_PUT,    /* documents that replace earlier ones of the same _id */
	LINK_STATUS, /* write -> collect: struct link_status */
};

/* Largest run of documents in one message; a single longer document cannot be sent and is counted. */
#define LINK_BYTES_MAX (IPC_MESSAGE_MAX - 512)

struct link_status {
	uint64_t ticks_done;    /* ticks that are in the store or in the spool */
	uint64_t dropped;       /* documents that the store refused for good */
	uint64_t spool_dropped; /* documents that the spool had to drop */
	uint64_t store_failing; /* 1 while the store does not answer */
};

struct link_sender {
	int socket;
	struct batch backlog; /* whole messages: u32 type, u32 length, payload */
	size_t backlog_sent;
	size_t backlog_limit;
	uint64_t lost; /* documents for which there was no room */
	uint64_t ticks_sent;
	bool in_tick; /* a tick's first message was sent, and its last one not yet */
	struct batch scratch;
};

void link_sender_init(struct link_sender *sender, int socket, size_t backlog_limit);
void link_sender_done(struct link_sender *sender);
/*
 * Sends a batch, split at document boundaries. `last` marks the tick's end. 0, or -ENOBUFS when the backlog
 * is full (the batch is lost and counted), or -EPIPE when the writer is gone.
 */
int link_send(struct link_sender *sender, enum link_type type, const char *collection,
	      const struct batch *batch, bool last);
/* Sends the backlog. 0 when it is empty, -EAGAIN when the socket is full again, -EPIPE. */
int link_flush(struct link_sender *sender);
/* Discards the backlog at the end; the number of documents in it. */
uint64_t link_abandon(struct link_sender *sender);

/* A received message of type APPEND or PUT. Strings and documents point into the payload. */
struct link_batch {
	const char *collection;
	bool first, last;
	struct batch documents; /* borrowed: do not grow or free */
};
/* 0 or -EBADMSG. */
int link_parse(const struct ipc_message *message, struct link_batch *ret_batch);
