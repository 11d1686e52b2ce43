/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the server's loop (db_client.c) and the process that owns the database connection (db.c).
 * A request or answer may come in several messages of the same tag; the last one carries the verdict.
 */
#pragma once

#include "ipc.h"

enum db_message {
	/* requests; payload: see db_client.c. Answered in their order */
	DB_LIST = 1, /* prefix */
	DB_READ,     /* collection, after, until, offset, limit, newest, has_target, target */
	DB_GET,      /* collection, has_id, id */
	DB_ENSURE,   /* collection, retention in seconds */
	DB_APPEND,   /* last (0, 1), collection, a piece of the batch */
	DB_PUT,      /* the same */
	/* answers */
	DB_PIECE,   /* a piece of the documents; of DB_LIST: names, each NUL-ended */
	DB_DONE,    /* result, offset, end, damaged, statistics (4), error text, the rest of the documents */
	DB_TROUBLE, /* tag 0, at any time: 1 and why the store is being tried again, or 0: it is back */
};

/* Bytes of documents in one message; room is left for the rest of the payload. */
#define DB_PIECE_MAX ((size_t)IPC_MESSAGE_MAX - 4096)
