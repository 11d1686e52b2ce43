/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by db_client.c (messages out and in) and db_client_request.c (their content) only.
 */
#pragma once

#include "db/db_client.h"
#include "db/db_protocol.h"

#include <ev.h>

struct db_message_out {
	struct db_message_out *next;
	uint32_t type;
	struct batch payload;
};

struct db_waiting {
	struct db_waiting *next;
	db_done done;
	void *data;
};

/* Answers arrive in the order of the requests. */
struct db_waiting_line {
	struct db_waiting *first, **last;
};

enum db_line { DB_LINE_READINGS, DB_LINE_WRITINGS };

struct db_client {
	struct ev_loop *loop;
	int socket;
	ev_io reader;
	ev_io writer;
	struct db_client_events events;
	struct db_message_out *out_first, **out_last;
	size_t out_bytes;
	struct db_message_out *spare;
	unsigned n_spare;
	struct db_waiting_line waiting[2]; /* for readings, for writings */
	unsigned n_waiting;
	unsigned n_unflushed; /* appends whose answer may be late */
	struct batch documents;
	struct batch payload;
	struct store_statistics statistics;
	uint8_t *buffer;
	ev_timer patience; /* while answers are awaited */
	uint64_t heard_ns; /* when the process was last heard of, or began to be waited for */
	bool away;         /* it has said that the store is away */
	bool silent;       /* Nothing more can be asked: reports this to the owner, once. */
	bool lost;
};

/* Nothing more can be asked: tells the owner, once. */
void db_client_fail(struct db_client *client, int error);
/*
 * Sends the message that client->payload holds, at once where nothing waits before it and the socket takes
 * it; else it is queued, by an exchange of memory. 0, -EPIPE or -ENOMEM.
 */
int db_client_push(struct db_client *client, enum db_message type);
/*
 * Notes whom to call. Made first, as a request that nobody waits for cannot be taken back. NULL: out of
 * memory.
 */
struct db_waiting *db_client_waiter(db_done done, void *data);
/* The next answer is for this one. */
void db_client_await(struct db_client *client, enum db_line line, struct db_waiting *waiting);
