/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a SQLite file within its bounds: deletes ticks that are too old, or the oldest ones of a file that is
 * too large (by their own time; those dated in the future first), and returns free pages. All in short
 * transactions, so that writers hardly wait. Recaps, states and descriptions of targets are kept. Called
 * through store.c.
 */
#include "store/sqlite/store_sqlite.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_AT_ONCE  200 /* per transaction */
#define PAGES_AT_ONCE 500
#define BUDGET_NS     (50 * CLOCK_NS_PER_MS) /* of one call */
#define FREE_KEPT     1000                   /* pages that the next ticks reuse */
#define SPARE_PART    50    /* 1 / 50 of the size: room is made until the file is this far below it */
#define AHEAD_MS      60000 /* a tick dated further in the future has a wrong date */
#define GRAIN_MS      60000 /* ticks of one collection may be deleted this long before older ones of another */

struct pages {
	int64_t all, free, size;
	bool shrinks; /* free pages can be returned: the file was created that way */
};

void store_sqlite_note_retention(struct sqlite_store *own, const char *collection, uint64_t retention_s)
{
	struct sqlite_retention *entry;

	HASH_FIND_STR(own->retentions, collection, entry);
	if (!entry) {
		entry = calloc(1, sizeof(*entry) + strlen(collection) + 1);
		if (!entry)
			return; /* the caller repeats it */
		memcpy(entry->collection, collection, strlen(collection) + 1);
		HASH_ADD_STR(own->retentions, collection, entry);
	}
	entry->retention_s = retention_s;
}

void store_sqlite_forget_retentions(struct sqlite_store *own)
{
	struct sqlite_retention *entry, *next;

	HASH_ITER(hh, own->retentions, entry, next)
	{
		HASH_DEL(own->retentions, entry);
		free(entry);
	}
}

/* One row of numbers; false: none, or an error. A statement without ?1 ignores it. */
static bool first_row(struct store *store, enum sqlite_statement which, int64_t bound, int64_t *ret,
		      unsigned n)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, which);
	bool found;

	if (!statement)
		return false;
	(void)sqlite3_bind_int64(statement, 1, bound);
	found = sqlite3_step(statement) == SQLITE_ROW;
	for (unsigned i = 0; found && i < n; i++)
		ret[i] = sqlite3_column_int64(statement, (int)i);
	(void)sqlite3_reset(statement);
	return found;
}

static bool count_pages(struct store *store, struct pages *ret)
{
	int64_t numbers[4];

	if (!first_row(store, SQL_PAGES, 0, numbers, 4))
		return false;
	*ret = (struct pages){numbers[0], numbers[1], numbers[2], numbers[3] == 2};
	return true;
}

/* Deletes a slice. The number of rows, or -1. */
static int delete_slice(struct store *store, sqlite3_stmt *statement)
{
	int code = sqlite3_step(statement);
	int deleted = sqlite3_changes(store_sqlite_of(store)->database);

	(void)sqlite3_reset(statement);
	return code == SQLITE_DONE ? deleted : -1;
}

static int64_t later(int64_t time_ms, int64_t by_ms)
{
	return time_ms > INT64_MAX - by_ms ? INT64_MAX : time_ms + by_ms;
}

/*
 * Age counts from the newest tick in the file: an archive without writers keeps its content.
 */
static int64_t newest_ms(struct store *store, int64_t now_ms)
{
	int64_t newest = now_ms;

	return first_row(store, SQL_NEWEST, later(now_ms, AHEAD_MS), &newest, 1) && newest < now_ms ? newest
												    : now_ms;
}

int store_sqlite_expire(struct store *store, const char *collection, uint64_t retention_s, int64_t now_ms)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, SQL_EXPIRE);

	if (!statement)
		return -1;
	(void)sqlite3_bind_text(statement, 1, collection, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, newest_ms(store, now_ms) - (int64_t)retention_s * 1000);
	(void)sqlite3_bind_int(statement, 3, ROWS_AT_ONCE);
	return delete_slice(store, statement);
}

/* Deletes expired rows: a slice of the first collection that has any. Their number; -1: an error. */
static int expire_some(struct store *store, int64_t now_ms)
{
	struct sqlite_retention *entry, *next;
	int deleted = 0;

	HASH_ITER(hh, store_sqlite_of(store)->retentions, entry, next)
	{
		if (entry->retention_s)
			deleted = store_sqlite_expire(store, entry->collection, entry->retention_s, now_ms);
		if (deleted != 0)
			break;
	}
	return deleted;
}

/*
 * Deletes, of the ticks after a time, a slice of the collection with the oldest one. The slice ends where
 * another collection's ticks begin, so that all are deleted by age, in whatever order they were written. The
 * number of rows; -1: an error.
 */
static int shed_slice(struct store *store, int64_t after_ms)
{
	sqlite3_stmt *oldest = store_sqlite_statement(store, SQL_OLDEST);
	sqlite3_stmt *shed = store_sqlite_statement(store, SQL_SHED);
	int code, deleted = 0;

	if (!oldest || !shed)
		return -1;
	(void)sqlite3_bind_int64(oldest, 1, after_ms);
	code = sqlite3_step(oldest);
	if (code == SQLITE_ROW) {
		(void)sqlite3_bind_int64(shed, 2, sqlite3_column_int64(oldest, 0));
		(void)sqlite3_bind_text(shed, 1, (const char *)sqlite3_column_text(oldest, 1), -1,
					SQLITE_TRANSIENT);
		code = sqlite3_step(oldest);
		(void)sqlite3_bind_int64(shed, 3,
					 code == SQLITE_ROW ? later(sqlite3_column_int64(oldest, 0), GRAIN_MS)
							    : INT64_MAX);
		(void)sqlite3_bind_int(shed, 4, ROWS_AT_ONCE);
		deleted = 1;
	}
	(void)sqlite3_reset(oldest);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return -1;
	return deleted ? delete_slice(store, shed) : 0;
}

/*
 * Deletes rows because the file is too large. First those dated in the future: as the newest they would stay
 * and displace everything written after them. Their number; -1: an error.
 */
static int shed_some(struct store *store, uint64_t max_bytes, int64_t now_ms)
{
	struct sqlite_store *own = store_sqlite_of(store);
	struct pages pages;
	uint64_t used;
	int deleted;

	if (!max_bytes)
		return 0;
	if (!count_pages(store, &pages))
		return -1;
	used = (uint64_t)(pages.all - pages.free) * (uint64_t)pages.size;
	if (used <= (own->shedding ? max_bytes - max_bytes / SPARE_PART : max_bytes)) {
		own->shedding = false;
		return 0;
	}
	own->shedding = true;
	deleted = shed_slice(store, later(now_ms, AHEAD_MS));
	return deleted == 0 ? shed_slice(store, 0) : deleted;
}

/* Returns pages, but not those that the next ticks will reuse. True if there are more. */
static bool vacuum_some(struct store *store)
{
	struct sqlite_store *own = store_sqlite_of(store);
	struct pages pages;
	char pragma[60];
	int64_t spare, kept;

	if (!count_pages(store, &pages) || !pages.shrinks)
		return false;
	kept = pages.all / 20 > FREE_KEPT ? pages.all / 20 : FREE_KEPT;
	own->vacuuming = pages.free > (own->vacuuming ? kept : 2 * kept);
	if (!own->vacuuming)
		return false;
	spare = pages.free - kept < PAGES_AT_ONCE ? pages.free - kept : PAGES_AT_ONCE;
	(void)snprintf(pragma, sizeof(pragma), "PRAGMA incremental_vacuum(%d)", (int)spare);
	return sqlite3_exec(own->database, pragma, NULL, NULL, NULL) == SQLITE_OK;
}

enum store_result store_sqlite_trim(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more)
{
	const uint64_t end_ns = clock_monotonic_ns() + BUDGET_NS;
	int deleted;

	*ret_more = false;
	if (store_sqlite_of(store)->grouped)
		return STORE_OK;
	do {
		deleted = expire_some(store, now_ms);
		if (deleted == 0)
			deleted = shed_some(store, max_bytes, now_ms);
		if (deleted < 0)
			return store_sqlite_fail(store, "delete from");
		*ret_more = deleted > 0 || vacuum_some(store);
	} while (*ret_more && clock_monotonic_ns() < end_ns);
	return STORE_OK;
}

enum store_result store_sqlite_measure(struct store *store, struct store_usage *ret)
{
	struct pages pages;

	*ret = (struct store_usage){0};
	if (!count_pages(store, &pages))
		return store_sqlite_fail(store, "read");
	ret->used_bytes = (uint64_t)(pages.all - pages.free) * (uint64_t)pages.size;
	ret->file_bytes = (uint64_t)pages.all * (uint64_t)pages.size;
	ret->shrinks = pages.shrinks;
	(void)first_row(store, SQL_OLDEST, 0, &ret->oldest_ms, 1);
	(void)first_row(store, SQL_NEWEST, later(clock_realtime_ms(), AHEAD_MS), &ret->newest_ms, 1);
	return STORE_OK;
}
