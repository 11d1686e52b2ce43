/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a SQLite store, shared by its files: store_sqlite_open.c (the file, its schema, errors),
 * store_sqlite_place.c (its location and locks), store_sqlite.c (documents) and store_sqlite_trim.c (bounds).
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

/* Retention of a collection's documents, as requested by store_ensure(). */
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
	bool shedding, vacuuming; /* begun, but not yet finished */
	/* Wait for a lock: store_sqlite_place.c. */
	uint64_t timeout_ms, wait_until_ns;
	const volatile sig_atomic_t *hurry;
	bool opening; /* all waits share one deadline */
	bool writes;
};

static inline struct sqlite_store *store_sqlite_of(const struct store *store)
{
	return store->private;
}

int store_sqlite_open(struct store *store, const char *location, const struct store_options *options);
void store_sqlite_close(struct store *store);
/* The store's sentence for SQLite's last error: DROP for a refused document, else RETRY. */
enum store_result store_sqlite_fail(struct store *store, const char *doing);
/* Starts recording this process's locks, for the functions below. */
void store_sqlite_watch_locks(void);
/* Describes the process that holds the lock; "": unknown. */
void store_sqlite_lock_holder(char *ret, size_t size);
/* Starts the time limit for opening. */
void store_sqlite_start_waiting(struct sqlite_store *own, const struct store_options *options);
/* Lets the open database wait for locks. */
void store_sqlite_take_turns(struct sqlite_store *own);
/* Is there time for another attempt? */
bool store_sqlite_may_wait(const struct sqlite_store *own);
/* Is it the file system that lacks locks or shared memory? */
bool store_sqlite_is_file_system(int extended);
/* Does an extended error code concern the file's location: permissions, read-only or lockless file system? */
bool store_sqlite_is_place(int extended);
/* The problem with the location and the fix, as the end of a sentence; "": none found. */
void store_sqlite_explain_place(const char *path, bool writes, char *ret, size_t size);
/* Can processes share this file's pages, as SQLite's WAL requires? This process must hold no locks on it. */
bool store_sqlite_shares_memory(const char *path);
/* A sentence about what the file system lacks, and the fixes. */
void store_sqlite_explain_file_system(int extended, char *ret, size_t size);
/* Opens a file that nobody writes to, without creating files or taking locks. SQLite's code. */
int store_sqlite_open_archive(const char *path, sqlite3 **ret_database);
/* The prepared statement, created at its first use. NULL on failure. */
sqlite3_stmt *store_sqlite_statement(struct store *store, enum sqlite_statement which);
void store_sqlite_note_retention(struct sqlite_store *own, const char *collection, uint64_t retention_s);
void store_sqlite_forget_retentions(struct sqlite_store *own);
/* Deletes a slice of documents that are too old. The number of rows, or -1 after an error. */
int store_sqlite_expire(struct store *store, const char *collection, uint64_t retention_s, int64_t now_ms);
enum store_result store_sqlite_trim(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more);
enum store_result store_sqlite_measure(struct store *store, struct store_usage *ret);
