/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool in SQLite (WAL): one row per batch, in order of arrival. A batch is removed after the store has
 * confirmed it, or dropped because of size, age or a damaged file, which is counted.
 */
#include "write/spool.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASIDE_SIZE 4200

struct spool {
	char *path;
	sqlite3 *db;
	sqlite3_stmt *insert, *oldest, *remove;
	struct spool_limits limits;
	int64_t done; /* rows up to this one are delivered or dropped; they may still be in the file */
	bool untidy;  /* some still are */
	uint64_t bytes, documents, dropped;
};

static const char schema[] =
	"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA auto_vacuum=INCREMENTAL;"
	"CREATE TABLE IF NOT EXISTS spool(sequence INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" put INTEGER NOT NULL, collection TEXT NOT NULL, n_documents INTEGER NOT NULL, documents BLOB NOT "
	"NULL);";

static int errno_of(sqlite3 *db)
{
	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	default:
		return -EIO;
	}
}

static int prepare(struct spool *spool)
{
	sqlite3_stmt *sums = NULL;
	int r = 0;

	if (sqlite3_exec(spool->db, schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_prepare_v3(spool->db,
			       "INSERT INTO spool(time, put, collection, n_documents, documents)"
			       " VALUES(?, ?, ?, ?, ?)",
			       -1, SQLITE_PREPARE_PERSISTENT, &spool->insert, NULL) ||
	    sqlite3_prepare_v3(spool->db,
			       "SELECT sequence, time, put, collection, n_documents, documents"
			       " FROM spool WHERE sequence > ? ORDER BY sequence LIMIT 1",
			       -1, SQLITE_PREPARE_PERSISTENT, &spool->oldest, NULL) ||
	    sqlite3_prepare_v3(spool->db, "DELETE FROM spool WHERE sequence <= ?", -1,
			       SQLITE_PREPARE_PERSISTENT, &spool->remove, NULL) ||
	    sqlite3_prepare_v2(spool->db,
			       "SELECT COALESCE(SUM(LENGTH(documents)), 0),"
			       " COALESCE(SUM(n_documents), 0) FROM spool",
			       -1, &sums, NULL) ||
	    sqlite3_step(sums) != SQLITE_ROW) {
		r = errno_of(spool->db);
	} else {
		spool->bytes = (uint64_t)sqlite3_column_int64(sums, 0);
		spool->documents = (uint64_t)sqlite3_column_int64(sums, 1);
	}
	sqlite3_finalize(sums);
	return r;
}

static int open_file(struct spool *spool)
{
	if (sqlite3_open_v2(spool->path, &spool->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
	    SQLITE_OK)
		return spool->db ? errno_of(spool->db) : -ENOMEM;
	sqlite3_busy_timeout(spool->db, 2000);
	return prepare(spool);
}

static void close_file(struct spool *spool)
{
	sqlite3_finalize(spool->insert);
	sqlite3_finalize(spool->oldest);
	sqlite3_finalize(spool->remove);
	sqlite3_close(spool->db);
	spool->insert = spool->oldest = spool->remove = NULL;
	spool->db = NULL;
}

/* Renames the damaged file and its log, and creates an empty one. `ret_aside`: the damaged file's new name.
 */
static int renew(struct spool *spool, char ret_aside[ASIDE_SIZE])
{
	int r;

	close_file(spool);
	spool->bytes = spool->documents = 0;
	spool->done = 0;
	spool->untidy = false;
	(void)snprintf(ret_aside, ASIDE_SIZE, "%s.damaged", spool->path);
	r = store_sqlite_rename(spool->path, ret_aside);
	return r < 0 ? r : open_file(spool);
}

int spool_open(const char *path, const struct spool_limits *limits, struct spool **ret_spool,
	       struct reason *why)
{
	struct spool *spool = calloc(1, sizeof(*spool));
	char aside[ASIDE_SIZE];
	int r;

	reason_clear(why);
	if (!spool)
		return -ENOMEM;
	spool->limits = *limits;
	spool->path = strdup(path);
	r = spool->path ? open_file(spool) : -ENOMEM;
	if (r == -EBADMSG) {
		r = renew(spool, aside);
		if (r == 0)
			reason_set(why, 0, "the spool '%s' was damaged; it has been moved to '%s'", path,
				   aside);
	}
	if (r < 0) {
		const int code = spool->db ? sqlite3_errcode(spool->db) & 0xff : 0;

		if (code == SQLITE_BUSY || code == SQLITE_IOERR || code == SQLITE_PROTOCOL)
			reason_set(why, 0,
				   "cannot use the spool '%s': another process has it locked, or its file "
				   "system has no file locks or no shared memory (%s). Choose a folder on a "
				   "local disk with --state-dir",
				   path, sqlite3_errmsg(spool->db));
		else
			reason_set(why, 0,
				   "cannot use the spool '%s': %s. Check the free space, and that the user "
				   "of --user may write there; or choose another folder with --state-dir",
				   path, spool->db ? sqlite3_errmsg(spool->db) : strerror(-r));
		spool_close(spool);
		return r;
	}
	*ret_spool = spool;
	return 0;
}

void spool_close(struct spool *spool)
{
	if (!spool)
		return;
	(void)spool_tidy(spool);
	close_file(spool);
	free(spool->path);
	free(spool);
}

bool spool_is_empty(const struct spool *spool)
{
	return spool->bytes == 0;
}

uint64_t spool_documents(const struct spool *spool)
{
	return spool->documents;
}

uint64_t spool_dropped(const struct spool *spool)
{
	return spool->dropped;
}

int spool_tidy(struct spool *spool)
{
	int done;

	if (!spool->untidy)
		return 0;
	sqlite3_bind_int64(spool->remove, 1, spool->done);
	done = sqlite3_step(spool->remove);
	sqlite3_reset(spool->remove);
	if (done != SQLITE_DONE)
		return errno_of(spool->db);
	spool->untidy = false;
	return 0;
}

/* The oldest row is finished, whether or not it can be deleted now (the disk may be full). */
static int remove_row(struct spool *spool, int64_t sequence, uint64_t bytes, uint64_t documents)
{
	spool->done = sequence;
	spool->untidy = true;
	spool->bytes -= bytes < spool->bytes ? bytes : spool->bytes;
	spool->documents -= documents < spool->documents ? documents : spool->documents;
	return spool_tidy(spool);
}

/* Steps to the oldest row; if 1 is returned, the caller must reset the statement. */
static int step_oldest(struct spool *spool)
{
	int done;

	sqlite3_bind_int64(spool->oldest, 1, spool->done);
	done = sqlite3_step(spool->oldest);
	if (done == SQLITE_ROW)
		return 1;
	sqlite3_reset(spool->oldest);
	return done == SQLITE_DONE ? 0 : errno_of(spool->db);
}

static int drop_oldest(struct spool *spool, int64_t older_than_ms, bool *ret_dropped)
{
	int64_t sequence, time;
	uint64_t bytes, documents;
	int r = step_oldest(spool);

	*ret_dropped = false;
	if (r <= 0)
		return r;
	sequence = sqlite3_column_int64(spool->oldest, 0);
	time = sqlite3_column_int64(spool->oldest, 1);
	documents = (uint64_t)sqlite3_column_int64(spool->oldest, 4);
	bytes = (uint64_t)sqlite3_column_bytes(spool->oldest, 5);
	sqlite3_reset(spool->oldest);
	if (time >= older_than_ms)
		return 0;
	spool->dropped += documents;
	*ret_dropped = true;
	(void)remove_row(spool, sequence, bytes, documents);
	return 0;
}

static int make_room(struct spool *spool, size_t more, int64_t now_ms)
{
	bool dropped = true;
	int r = 0;

	while (r == 0 && dropped && spool->bytes > 0 && spool->bytes + more > spool->limits.bytes)
		r = drop_oldest(spool, INT64_MAX, &dropped);
	dropped = spool->limits.age_ms > 0;
	while (r == 0 && dropped && spool->bytes > 0)
		r = drop_oldest(spool, now_ms - (int64_t)spool->limits.age_ms, &dropped);
	return r;
}

static int insert_row(struct spool *spool, const char *collection, bool put, const struct batch *batch,
		      int64_t now_ms)
{
	int done;

	sqlite3_bind_int64(spool->insert, 1, now_ms);
	sqlite3_bind_int(spool->insert, 2, put);
	sqlite3_bind_text(spool->insert, 3, collection, -1, SQLITE_STATIC);
	sqlite3_bind_int64(spool->insert, 4, batch->n_documents);
	sqlite3_bind_blob64(spool->insert, 5, batch->data, batch->length, SQLITE_STATIC);
	done = sqlite3_step(spool->insert);
	sqlite3_reset(spool->insert);
	sqlite3_clear_bindings(spool->insert);
	return done == SQLITE_DONE ? 0 : errno_of(spool->db);
}

int spool_push(struct spool *spool, const char *collection, bool put, const struct batch *batch,
	       int64_t now_ms)
{
	int r;

	if (batch->n_documents == 0)
		return 0;
	if (batch->length > spool->limits.bytes)
		r = -EFBIG;
	else
		r = make_room(spool, batch->length, now_ms);
	if (r == 0)
		r = insert_row(spool, collection, put, batch, now_ms);
	if (r < 0) {
		spool->dropped += batch->n_documents;
		return r;
	}
	spool->bytes += batch->length;
	spool->documents += batch->n_documents;
	return 0;
}

/* Nothing behind the damage could be delivered until the next start: begins an empty file. */
static int give_up_damaged(struct spool *spool)
{
	const uint64_t lost = spool->documents;
	char aside[ASIDE_SIZE];
	int r = renew(spool, aside);

	spool->dropped += lost;
	if (r == 0)
		log_warning("spool", 0,
			    "'%s' is damaged: %" PRIu64
			    " documents in it are lost; it has been moved to '%s'",
			    spool->path, lost, aside);
	else
		log_error("spool", r, "'%s' is damaged: %" PRIu64 " documents in it are lost; move it away",
			  spool->path, lost);
	return r;
}

int spool_peek(struct spool *spool, struct spool_entry *entry)
{
	size_t length;
	int r = step_oldest(spool);

	if (r == -EBADMSG)
		r = give_up_damaged(spool);
	if (r <= 0)
		return r;
	batch_clear(&entry->documents);
	entry->sequence = sqlite3_column_int64(spool->oldest, 0);
	entry->put = sqlite3_column_int(spool->oldest, 2) != 0;
	(void)snprintf(entry->collection, sizeof(entry->collection), "%s",
		       (const char *)sqlite3_column_text(spool->oldest, 3));
	length = (size_t)sqlite3_column_bytes(spool->oldest, 5);
	r = batch_reserve(&entry->documents, length);
	if (r == 0 && length > 0) {
		memcpy(entry->documents.data, sqlite3_column_blob(spool->oldest, 5), length);
		entry->documents.length = length;
		entry->documents.n_documents = (unsigned)sqlite3_column_int64(spool->oldest, 4);
	}
	sqlite3_reset(spool->oldest);
	return r < 0 ? r : 1;
}

int spool_pop(struct spool *spool, int64_t sequence)
{
	uint64_t bytes, documents;
	int r = step_oldest(spool);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	if (sqlite3_column_int64(spool->oldest, 0) != sequence) {
		sqlite3_reset(spool->oldest);
		return -ENOENT;
	}
	documents = (uint64_t)sqlite3_column_int64(spool->oldest, 4);
	bytes = (uint64_t)sqlite3_column_bytes(spool->oldest, 5);
	sqlite3_reset(spool->oldest);
	return remove_row(spool, sequence, bytes, documents);
}
