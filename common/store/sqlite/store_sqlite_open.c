/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store's file: opening, schema, closing, and explaining its errors. Called through store.c;
 * docs/documents.md has the schema.
 */
#include "store/sqlite/store_sqlite.h"
#include "base/cleanup.h"
#include "base/folder.h"
#include "store/store_unpack.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1
#define WAL_PAGES      4000 /* of the log before a checkpoint, for heavy writers; 16 MB */
#define WAL_AGAIN_MS   5
#define ANSWER_SIZE    32

/* Documents without a time have time 0: they are found if no bounds are set, and never expire. */
static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE IF NOT EXISTS documents ("
	" number INTEGER PRIMARY KEY,"
	" collection TEXT NOT NULL,"
	" id NOT NULL,"
	" time INTEGER NOT NULL,"
	" target TEXT,"
	" body BLOB NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS documents_by_id ON documents (collection, id);"
	"CREATE INDEX IF NOT EXISTS documents_by_time ON documents (collection, time);"
	"PRAGMA user_version = 1;"
	"COMMIT;";

static void explain_lock(char *ret, size_t size)
{
	char holder[100];

	store_sqlite_lock_holder(holder, sizeof(holder));
	(void)snprintf(
		ret, size, "; %s is writing to it and keeps it locked: wait until it ends, or stop it%s",
		holder[0] ? holder : "another process", holder[0] ? "" : " (`fuser -v FILE` shows it)");
}

/*
 * The store's sentence for SQLite's last error. Everything except a refused document may be fixed by waiting
 * or by hand.
 */
enum store_result store_sqlite_fail(struct store *store, const char *doing)
{
	struct sqlite_store *own = store_sqlite_of(store);
	int extended = sqlite3_extended_errcode(own->database), code = extended & 0xff;
	const char *form = code == SQLITE_NOTADB ? store_unpack_other_form(store->location) : NULL;
	char place[500] = "";
	const char *hint = place;

	if (code == SQLITE_FULL)
		hint = "; free some space or set a shorter retention";
	else if (form)
		(void)snprintf(place, sizeof(place), "; it %s", form);
	else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		hint = "; the file is damaged: move it away, or start with --renew-damaged-store; "
		       "`sqlite3 FILE .recover` extracts what is intact";
	else if (store_sqlite_is_file_system(extended))
		store_sqlite_explain_file_system(extended, place, sizeof(place));
	else if (code == SQLITE_BUSY)
		explain_lock(place, sizeof(place));
	else if (store_sqlite_is_place(extended))
		store_sqlite_explain_place(store->location, own->writes, place, sizeof(place));
	else if (code == SQLITE_IOERR && sqlite3_system_errno(own->database))
		(void)snprintf(place, sizeof(place), "; its file system or disk has failed: %s",
			       strerror(sqlite3_system_errno(own->database)));
	/* SQLite's own message would be "locked" or a disk error. */
	if (store_sqlite_is_file_system(extended))
		return store_fail(store, STORE_RETRY, "cannot %s '%s': %s", doing, store->location, place);
	return store_fail(
		store, code == SQLITE_TOOBIG || code == SQLITE_CONSTRAINT ? STORE_DROP : STORE_RETRY,
		"cannot %s '%s': %s%s", doing, store->location, sqlite3_errmsg(own->database), hint);
}

/* For writers to many places: each page is copied from the log to the file once for several changes. */
static void widen(const struct sqlite_store *own, unsigned cache_kb)
{
	char pragmas[100];

	(void)snprintf(pragmas, sizeof(pragmas), "PRAGMA cache_size = -%u; PRAGMA wal_autocheckpoint = %u",
		       cache_kb, WAL_PAGES);
	(void)sqlite3_exec(own->database, pragmas, NULL, NULL, NULL);
}

/* A pragma's first result, as a number or as text (the other one NULL). Returns SQLite's code. */
static int ask(struct sqlite_store *own, const char *pragma, int *ret_number, char ret_text[ANSWER_SIZE])
{
	sqlite3_stmt *statement = NULL;
	int code = sqlite3_prepare_v2(own->database, pragma, -1, &statement, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_step(statement);
	if (code == SQLITE_ROW && ret_number)
		*ret_number = sqlite3_column_int(statement, 0);
	else if (code == SQLITE_ROW)
		(void)snprintf(ret_text, ANSWER_SIZE, "%s", (const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_finalize(statement);
	return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* Without shared memory there is no WAL; a rollback journal works if the file has no WAL yet. */
static bool stay_with_journal(struct store *store)
{
	char mode[ANSWER_SIZE] = "";

	(void)ask(store_sqlite_of(store), "PRAGMA journal_mode", NULL, mode);
	if (strcmp(mode, "delete") != 0 || store_sqlite_shares_memory(store->location))
		return false;
	(void)store_fail(store, STORE_OK,
			 "'%s': its file system offers no shared memory: the file has a rollback journal, "
			 "and readers and writers wait for each other; a folder on a local disk is faster",
			 store->location);
	return true;
}

/*
 * SQLite's own wait does not cover the switch to WAL: if several processes open a new file together, all but
 * one fail at once because it is locked. The switch is the same for all, so they retry for as long as any
 * other call may wait.
 */
static bool set_up(struct store *store, const struct store_options *options)
{
	struct sqlite_store *own = store_sqlite_of(store);
	static const char pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
				      "PRAGMA journal_size_limit = 16777216;";
	int code, pages = 1, version = 0;

	store_sqlite_take_turns(own);
	if (!(options->flags & STORE_WRITE))
		return true;
	/* Even the journal mode is stored in the file, so it is not set in a file that will be refused. */
	if (ask(own, "PRAGMA user_version", &version, NULL) == SQLITE_OK && version != 0 &&
	    version != SCHEMA_VERSION)
		return true;
	/* So that pages can be returned. Only works for an empty file; later it would be a useless write. */
	if (ask(own, "PRAGMA page_count", &pages, NULL) == SQLITE_OK && pages == 0)
		(void)sqlite3_exec(own->database, "PRAGMA auto_vacuum = INCREMENTAL", NULL, NULL, NULL);
	if (stay_with_journal(store))
		return true;
	while ((code = sqlite3_exec(own->database, pragmas, NULL, NULL, NULL)) == SQLITE_BUSY &&
	       store_sqlite_may_wait(own))
		(void)sqlite3_sleep(WAL_AGAIN_MS);
	if (code == SQLITE_OK && (options->flags & STORE_DURABLE))
		code = sqlite3_exec(own->database, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	if (code == SQLITE_OK && options->cache_kb)
		widen(own, options->cache_kb);
	return code == SQLITE_OK;
}

static int check_schema(struct store *store, const struct store_options *options)
{
	struct sqlite_store *own = store_sqlite_of(store);
	int version = 0;

	if (ask(own, "PRAGMA user_version", &version, NULL) != SQLITE_OK) {
		(void)store_sqlite_fail(store, "open");
		return -EBADMSG;
	}
	if (version == SCHEMA_VERSION)
		return 0;
	if (version != 0) {
		(void)sqlite3_db_config(own->database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		(void)store_fail(store, STORE_DROP,
				 "'%s' has schema version %d, this program knows %d; update the program",
				 store->location, version, SCHEMA_VERSION);
		return -EPROTO;
	}
	if (!(options->flags & STORE_WRITE)) {
		(void)store_fail(store, STORE_DROP, "'%s' holds no documents; is it the sensor's store?",
				 store->location);
		return -ENODATA;
	}
	if (sqlite3_exec(own->database, schema, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	(void)store_sqlite_fail(store, "create the tables of");
	return -EIO;
}

static void remove_old(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	char name[1100];

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		(void)snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
		(void)unlink(name);
	}
}

/* Can it be read as usual, alongside writers? If its location prevents this, it is read as an archive. */
static int open_to_read(struct store *store, int code)
{
	struct sqlite_store *own = store_sqlite_of(store);
	sqlite3 *archive = NULL;
	int extended;

	if (code == SQLITE_OK)
		code = sqlite3_exec(own->database, "SELECT 1 FROM sqlite_master LIMIT 1", NULL, NULL, NULL);
	extended = sqlite3_extended_errcode(own->database);
	if (code == SQLITE_OK || !store_sqlite_is_place(extended))
		return code == SQLITE_BUSY ? SQLITE_OK : code;
	if (store_sqlite_open_archive(store->location, &archive) != SQLITE_OK) {
		(void)sqlite3_close(archive);
		return code;
	}
	if (store_sqlite_is_file_system(extended))
		(void)store_fail(store, STORE_OK,
				 "'%s': its file system offers no locks or no shared memory: it is read as "
				 "it is; no process should write to it meanwhile",
				 store->location);
	(void)sqlite3_close(own->database);
	own->database = archive;
	return SQLITE_OK;
}

static int open_database(struct store *store, const struct store_options *options)
{
	struct sqlite_store *own = store_sqlite_of(store);
	int mode = SQLITE_OPEN_READWRITE | (options->flags & STORE_WRITE ? SQLITE_OPEN_CREATE : 0);
	int code, r;

	own->writes = options->flags & STORE_WRITE;
	store_sqlite_watch_locks();
	store_sqlite_start_waiting(own, options);
	code = sqlite3_open_v2(store->location, &own->database, mode | SQLITE_OPEN_NOMUTEX, NULL);
	if (!(options->flags & STORE_WRITE) && access(store->location, R_OK) == 0)
		code = open_to_read(store, code);
	if (code != SQLITE_OK || !set_up(store, options)) {
		int error = sqlite3_errcode(own->database) & 0xff;

		(void)store_sqlite_fail(store, "open");
		return error == SQLITE_NOTADB || error == SQLITE_CORRUPT ? -EBADMSG : -EIO;
	}
	r = check_schema(store, options);
	own->opening = false;
	return r;
}

static bool is_damage(int code)
{
	return (code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB;
}

/* Is the file damaged? Reads all of it. */
static bool is_damaged(struct sqlite_store *own)
{
	char answer[ANSWER_SIZE] = "";
	int code = ask(own, "PRAGMA quick_check(1)", NULL, answer);

	return is_damage(code) || (code == SQLITE_OK && strcmp(answer, "ok") != 0);
}

int store_sqlite_rename(const char *from, const char *to)
{
	static const char *const suffixes[] = {"-wal", "-shm", ""};
	char one[4200], other[4200];
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		(void)snprintf(one, sizeof(one), "%s%s", from, suffixes[i]);
		(void)snprintf(other, sizeof(other), "%s%s", to, suffixes[i]);
		if (rename(one, other) < 0 && errno != ENOENT)
			r = -errno;
	}
	return r;
}

/* Renames the damaged file and its log, and creates a new one. */
static int renew(struct store *store, const struct store_options *options)
{
	struct sqlite_store *own = store_sqlite_of(store);
	char kept[1000];
	int r;

	(void)sqlite3_close(own->database);
	own->database = NULL;
	(void)snprintf(kept, sizeof(kept), "%s.damaged-%" PRId64, store->location,
		       clock_realtime_ms() / 1000);
	r = store_sqlite_rename(store->location, kept);
	if (r < 0) {
		(void)store_fail(store, STORE_RETRY,
				 "'%s' is damaged, and cannot be renamed to '%s': %s; move it away",
				 store->location, kept, strerror(-r));
		return r;
	}
	r = open_database(store, options);
	if (r == 0)
		(void)store_fail(
			store, STORE_OK,
			"'%s' is damaged: it is kept as '%s', and a new one is created; `sqlite3 FILE "
			".recover` extracts what is intact",
			store->location, kept);
	return r;
}

void store_sqlite_close(struct store *store)
{
	struct sqlite_store *own = store_sqlite_of(store);

	for (unsigned i = 0; i < SQL_STATEMENTS; i++)
		(void)sqlite3_finalize(own->statements[i]);
	(void)sqlite3_close(own->database);
	store_sqlite_forget_retentions(own);
}

/*
 * A file that root creates belongs to the folder's owner, as the daemons that use it later may run as this
 * user. No other file can be meant: it is new, and known by its descriptor.
 */
static void create_as_owner(const char *location)
{
	char folder[PATH_MAX];
	struct stat status;
	char *slash;
	int fd;

	(void)snprintf(folder, sizeof(folder), "%s", location);
	slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = '\0';
	if (geteuid() != 0 || stat(slash ? folder : ".", &status) < 0 || status.st_uid == 0)
		return;
	fd = open(location, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return;
	/* Root without its capabilities could not write to it any more. */
	if (fchown(fd, status.st_uid, status.st_gid) == 0 && euidaccess(location, W_OK) < 0)
		(void)!fchown(fd, geteuid(), getegid());
	(void)close(fd);
}

int store_sqlite_open(struct store *store, const char *location, const struct store_options *options)
{
	struct sqlite_store *own = store_sqlite_of(store);
	int r;

	if (options->flags & STORE_OVERWRITE)
		remove_old(location);
	if (options->flags & STORE_WRITE) {
		(void)folder_make_above(location);
		create_as_owner(location);
	}
	r = open_database(store, options);
	if ((options->flags & STORE_RENEW) && (options->flags & STORE_WRITE) &&
	    (r < 0 ? is_damage(sqlite3_errcode(own->database)) : is_damaged(own)))
		r = renew(store, options);
	return r;
}
