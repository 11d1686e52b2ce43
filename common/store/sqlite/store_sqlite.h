/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a SQLite store, for the files that make it up: store_sqlite_open.c (the file, its schema,
 * errors), store_sqlite_place.c (where it lies, and its locks), store_sqlite.c (documents) and
 * store_sqlite_trim.c (bounds).
 */
#pragma once

#include "store/store_backend.h"

#include <signal.h>
#include <sqlite3.h>
#include <uthash.h>

enum sqlite_statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_INSERT,
	SQL_REPLACE,
	SQL_READ,
	SQL_READ_NEWEST,
	SQL_GET,
	SQL_GET_ALL,
	SQL_LIST,
	SQL_EXPIRE,
	SQL_SHED,
	SQL_OLDEST,
	SQL_NEWEST,
	SQL_PAGES,
	SQL_STATEMENTS
};

/* How long a collection's documents are kept, as store_ensure() was asked. */
struct sqlite_retention {
	UT_hash_handle hh;
	uint64_t retention_s;
	char collection[];
};

struct sqlite_store {
	sqlite3 *database;
	sqlite3_stmt *statements[SQL_STATEMENTS];
	bool grouped;                   /* a transaction is open */
	struct store_statistics before; /* their values at its start */
	struct sqlite_retention *retentions;
	bool shedding, vacuuming; /* begun, and not yet as far as it should go */
	/* Waiting for a lock: store_sqlite_place.c. */
	uint64_t timeout_ms, wait_until_ns;
	const volatile sig_atomic_t *hurry;
	bool opening; /* all waits have one end */
};

static inline struct sqlite_store *store_sqlite_of(const struct store *store)
{
	return store->private;
}

int store_sqlite_open(struct store *store, const char *location, const struct store_options *options);
void store_sqlite_close(struct store *store);
/* The store's sentence for SQLite's last error: DROP for a refused document, else RETRY. */
enum store_result store_sqlite_fail(struct store *store, const char *doing);
/* From here on this process's locks are watched, for the functions below. */
void store_sqlite_watch_locks(void);
/* Who keeps the lock from us, in words; "": unknown. */
void store_sqlite_lock_holder(char *ret, size_t size);
/* The time for opening begins. */
void store_sqlite_start_waiting(struct sqlite_store *own, const struct store_options *options);
/* The database, once it is open, waits for locks. */
void store_sqlite_take_turns(struct sqlite_store *own);
/* Is there time left to try again? */
bool store_sqlite_may_wait(const struct sqlite_store *own);
/* Is it the file system that lacks locks or shared memory? */
bool store_sqlite_is_file_system(int extended);
/* Is an extended error code about the file's place: rights, a read-only or lockless file system? */
bool store_sqlite_is_place(int extended);
/* What is wrong with the place and what to do, as the end of a sentence; "" where nothing is seen. */
void store_sqlite_explain_place(const char *path, char *ret, size_t size);
/* Can processes share this file's pages? SQLite's log needs it. The file may have no locks of this process.
 */
bool store_sqlite_shares_memory(const char *path);
/* What a file system lacks, and the ways out, as a sentence. */
void store_sqlite_explain_file_system(int extended, char *ret, size_t size);
/* Opens a file that nobody writes to, without making files or taking locks. SQLite's code. */
int store_sqlite_open_archive(const char *path, sqlite3 **ret_database);
/* The prepared statement, created at its first use. NULL on failure. */
sqlite3_stmt *store_sqlite_statement(struct store *store, enum sqlite_statement which);
void store_sqlite_note_retention(struct sqlite_store *own, const char *collection, uint64_t retention_s);
void store_sqlite_forget_retentions(struct sqlite_store *own);
/* Deletes a slice of what is too old. The number of rows, or -1 after an error. */
int store_sqlite_expire(struct store *store, const char *collection, uint64_t retention_s, int64_t now_ms);
enum store_result store_sqlite_trim(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more);
enum store_result store_sqlite_measure(struct store *store, struct store_usage *ret);
