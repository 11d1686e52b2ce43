/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a SQLite store, for the files that make it up: store_sqlite_open.c (the file, its schema,
 * errors) and store_sqlite.c (documents).
 */
#pragma once

#include "store/store_backend.h"

#include <sqlite3.h>

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
	SQL_STATEMENTS
};

struct sqlite_store {
	sqlite3 *database;
	char *path;
	sqlite3_stmt *statements[SQL_STATEMENTS];
	bool grouped;                   /* a transaction is open */
	struct store_statistics before; /* their values at its start */
};

static inline struct sqlite_store *store_sqlite_of(const struct store *store)
{
	return store->private;
}

int store_sqlite_open(struct store *store, const char *location, const struct store_options *options);
void store_sqlite_close(struct store *store);
/* The store's sentence for SQLite's last error: DROP for a refused document, else RETRY. */
enum store_result store_sqlite_fail(struct store *store, const char *doing);
/* Does an extended error code tell of the file's place: rights, a read-only file system, one without locks?
 */
bool store_sqlite_is_place(int extended);
/* What is wrong with the place and what to do, as the end of a sentence; "" where nothing is seen. */
void store_sqlite_explain_place(const char *path, int extended, char *ret, size_t size);
/* Opens a file that nobody writes to, without making files or taking locks. SQLite's code. */
int store_sqlite_open_archive(const char *path, sqlite3 **ret_database);
