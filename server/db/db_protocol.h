/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the server's loop (db_client.c) and the process that owns the database connection (db.c).
 * A request or answer can take several messages; the last one carries the result. Writes are done in order,
 * and reads are too; a read is answered without waiting for writes to other collections.
 */
#pragma once

#include "process/ipc.h"
#include "store/store.h"

enum db_message {
	/* reads; payload: struct db_asked, collection (for DB_LIST: a prefix), name */
	DB_LIST = 1,
	DB_READ, /* name: a target */
	DB_GET,  /* name: an id */
	/* writes; payload of the first two: the same */
	DB_ENSURE,
	DB_LEAD,   /* asks for the right to write; answered, like a write, when no other server writes */
	DB_APPEND, /* last (0, 1), collection, a piece of the batch */
	DB_PUT,    /* the same */
	DB_FLUSH,  /* asks for the results not reported yet, once everything before it is stored */
	/* answers */
	DB_PIECE, /* a piece of the documents; for DB_LIST: names, each NUL-terminated */
	DB_DONE,  /* struct db_told, error text, the rest of the documents */
	/* at any time; payload: away (0, 1), text */
	DB_ROLE,    /* who writes; while DB_LEAD waits, and before the end of one that was superseded */
	DB_TROUBLE, /* why the store is being retried, or that it is back */
};

/* The numbers of a request: those of its struct store_query, and what DB_ENSURE needs. */
struct db_asked {
	int64_t after_ms, until_ms;
	uint64_t offset, limit, newest_first;
	uint64_t has_name;
	uint64_t retention_s;
};

/* The numbers of a DB_DONE. */
struct db_told {
	uint64_t n_done; /* successful writes so far */
	uint64_t answered, result;
	uint64_t offset, end, damaged, replaced; /* of its struct store_read */
	struct store_statistics statistics;
};

/* What a DB_DONE answers. Successful appends are only counted, so as not to wake the loop for each. */
enum db_answered {
	DB_ANSWERED_NOTHING,
	DB_ANSWERED_WRITING,
	DB_ANSWERED_READING,
};

/* Bytes of documents in one message; the rest of the payload needs room, too. */
#define DB_PIECE_MAX ((size_t)IPC_MESSAGE_MAX - 4096)
