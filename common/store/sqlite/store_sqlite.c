/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in an SQLite file, the default store and the sensor's spool: one table, BSON in a column beside
 * the search columns. WAL, so that the sensor can write while the server reads; one transaction per batch.
 * Called through store.c; docs/documents.md has the schema.
 */
#include "store/sqlite/store_sqlite.h"
#include "store/store_document.h"
#include "document/bson_cursor.h"

#include <bson/bson.h>
#include <errno.h>

#define COLUMNS "INSERT INTO documents (collection, id, time, target, body) VALUES (?1, ?2, ?3, ?4, ?5) "
#define SELECT_BY_TIME                                                                                       \
	"SELECT body, time, number FROM documents WHERE collection = ?1 AND time > ?2 AND time <= ?3 "       \
	"AND (?4 IS NULL OR target = ?4) ORDER BY time "

#define EXPIRE_OLD                                                                                           \
	"DELETE FROM documents WHERE number IN (SELECT number FROM documents "                               \
	"WHERE collection = ?1 AND time > 0 AND time < ?2 LIMIT ?3)"

/* The collections whose documents expire, unlike recaps, states and targets. One lookup for each. */
#define WITH_TICKS                                                                                           \
	"WITH RECURSIVE names (name) AS (SELECT min(collection) FROM documents UNION ALL "                   \
	"SELECT (SELECT min(collection) FROM documents WHERE collection > name) FROM names "                 \
	"WHERE name IS NOT NULL), ticks (name) AS (SELECT name FROM names WHERE "                            \
	"substr(name, 1, 5) NOT IN ('recap', 'state') AND substr(name, 1, 6) <> 'target') "

static const char *const sql[SQL_STATEMENTS] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_INSERT] = COLUMNS "ON CONFLICT (collection, id) DO NOTHING",
	[SQL_REPLACE] = COLUMNS "ON CONFLICT (collection, id) DO UPDATE SET time = excluded.time, "
				"target = excluded.target, body = excluded.body",
	[SQL_READ] = SELECT_BY_TIME ", number",
	[SQL_READ_NEWEST] = SELECT_BY_TIME "DESC, number DESC",
	[SQL_GET] = "SELECT body FROM documents WHERE collection = ?1 AND id = ?2",
	[SQL_GET_ALL] = "SELECT body FROM documents WHERE collection = ?1 ORDER BY number",
	/* One index lookup per collection, instead of a walk over all documents. */
	[SQL_LIST] = "WITH RECURSIVE names (name) AS ("
		     "SELECT min(collection) FROM documents WHERE collection >= ?1 UNION ALL "
		     "SELECT (SELECT min(collection) FROM documents WHERE collection > name) FROM names "
		     "WHERE substr(name, 1, length(?1)) = ?1) "
		     "SELECT name FROM names WHERE substr(name, 1, length(?1)) = ?1",
	[SQL_EXPIRE] = EXPIRE_OLD,
	/* The collections with the oldest and the second oldest first tick after ?1. */
	[SQL_OLDEST] = WITH_TICKS "SELECT first, name FROM (SELECT name, (SELECT min(time) FROM documents "
				  "WHERE collection = name AND time > ?1) AS first FROM ticks) "
				  "WHERE first IS NOT NULL ORDER BY first LIMIT 2",
	[SQL_NEWEST] = WITH_TICKS "SELECT max(last) FROM (SELECT (SELECT max(time) FROM documents "
				  "WHERE collection = name AND time > 0 AND time <= ?1) AS last FROM ticks)",
	[SQL_SHED] = "DELETE FROM documents WHERE number IN (SELECT number FROM documents "
		     "WHERE collection = ?1 AND time >= ?2 AND time <= ?3 ORDER BY time LIMIT ?4)",
	[SQL_PAGES] = "SELECT page_count, freelist_count, page_size, auto_vacuum FROM pragma_page_count, "
		      "pragma_freelist_count, pragma_page_size, pragma_auto_vacuum",
};

/* The prepared statement, created at its first use. NULL on failure. */
sqlite3_stmt *store_sqlite_statement(struct store *store, enum sqlite_statement which)
{
	struct sqlite_store *own = store_sqlite_of(store);

	if (!own->statements[which])
		(void)sqlite3_prepare_v3(own->database, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
					 &own->statements[which], NULL);
	return own->statements[which];
}

/* Runs a statement that returns no rows. */
static int run(struct store *store, enum sqlite_statement which)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, which);
	int code;

	if (!statement)
		return SQLITE_ERROR;
	code = sqlite3_step(statement);
	(void)sqlite3_reset(statement);
	return code == SQLITE_DONE ? SQLITE_OK : code;
}

/* Within a transaction: the claim's document, valid until the statement is reset. SQLite's code. */
static int find_claim(struct store *store, const struct store_claim *claim, sqlite3_stmt **ret_statement)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, SQL_GET);

	*ret_statement = statement;
	if (!statement)
		return SQLITE_ERROR;
	(void)sqlite3_bind_text(statement, 1, claim->collection, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(statement, 2, claim->id, -1, SQLITE_STATIC);
	return sqlite3_step(statement);
}

/* Within a transaction: is the store's claim still valid? */
static enum store_result check_fence(struct store *store)
{
	sqlite3_stmt *statement;
	enum store_result result = STORE_OK;
	int code;

	if (!store->fence)
		return STORE_OK;
	code = find_claim(store, store->fence, &statement);
	if (code == SQLITE_ROW && !store_fence_holds(store, sqlite3_column_blob(statement, 0),
						     (size_t)sqlite3_column_bytes(statement, 0)))
		result = store_fail_lost(store);
	else if (code != SQLITE_ROW && code != SQLITE_DONE)
		result = store_fail(store, STORE_RETRY, "cannot read '%s': %s", store->location,
				    sqlite3_errmsg(store_sqlite_of(store)->database));
	(void)sqlite3_reset(statement);
	return result;
}

static enum store_result begin(struct store *store)
{
	struct sqlite_store *own = store_sqlite_of(store);
	enum store_result result;

	if (run(store, SQL_BEGIN) != SQLITE_OK) {
		(void)store_sqlite_fail(store, "write to");
		return STORE_RETRY;
	}
	result = check_fence(store);
	if (result != STORE_OK) {
		(void)run(store, SQL_ROLLBACK);
		return result;
	}
	own->grouped = true;
	own->before = store->statistics;
	return STORE_OK;
}

static enum store_result commit(struct store *store)
{
	store->statistics.round_trips++;
	if (run(store, SQL_COMMIT) != SQLITE_OK) {
		(void)store_sqlite_fail(store, "write to");
		return STORE_RETRY;
	}
	store_sqlite_of(store)->grouped = false;
	return STORE_OK;
}

/* Also undoes the counts since the start of the transaction. */
static void roll_back(struct store *store)
{
	struct sqlite_store *own = store_sqlite_of(store);
	uint64_t round_trips = store->statistics.round_trips;

	if (!sqlite3_get_autocommit(own->database))
		(void)run(store, SQL_ROLLBACK);
	own->grouped = false;
	store->statistics = own->before;
	store->statistics.round_trips = round_trips;
}

static void bind_id(sqlite3_stmt *statement, int place, const struct store_document *document)
{
	if (document->id_type == BSON_TYPE_UTF8)
		(void)sqlite3_bind_text(statement, place, (const char *)document->id + 4,
					(int)document->id_length - 5, SQLITE_STATIC);
	else if (document->id_type == BSON_TYPE_OID)
		(void)sqlite3_bind_blob(statement, place, document->id, (int)document->id_length,
					SQLITE_STATIC);
	else /* preceded by its type and key: never equal to an ObjectId or a string */
		(void)sqlite3_bind_blob(statement, place, document->id - 5, (int)document->id_length + 5,
					SQLITE_STATIC);
}

static int write_document(struct store *store, sqlite3_stmt *statement, const struct store_document *document)
{
	int code;

	bind_id(statement, 2, document);
	(void)sqlite3_bind_int64(statement, 3, document->has_time ? document->time_ms : 0);
	if (document->target)
		(void)sqlite3_bind_text(statement, 4, document->target, -1, SQLITE_STATIC);
	else
		(void)sqlite3_bind_null(statement, 4);
	(void)sqlite3_bind_blob64(statement, 5, document->data, document->length, SQLITE_STATIC);
	code = sqlite3_step(statement);
	(void)sqlite3_reset(statement);
	if (code != SQLITE_DONE)
		return code;
	if (sqlite3_changes(store_sqlite_of(store)->database) > 0)
		store->statistics.appended++;
	else
		store->statistics.duplicates++;
	return SQLITE_OK;
}

/*
 * Writes all documents of a batch in the open transaction. A document that is not BSON or has no _id is
 * refused; the others are stored.
 */
static enum store_result write_documents(struct store *store, sqlite3_stmt *statement,
					 const struct batch *batch)
{
	enum store_result result = STORE_OK;
	struct store_document document;
	const uint8_t *data;
	size_t offset = 0;
	size_t length;
	int r;

	while ((r = batch_next(batch, &offset, &data, &length)) > 0) {
		if (!store_document_read(data, length, &document) || !document.id_type) {
			store->statistics.dropped++;
			result = store_fail(store, STORE_DROP,
					    "a document of %zu bytes is malformed or has no _id", length);
			continue;
		}
		if (write_document(store, statement, &document) == SQLITE_OK)
			continue;
		if (store_sqlite_fail(store, "write to") == STORE_RETRY)
			return STORE_RETRY;
		store->statistics.dropped++;
		result = STORE_DROP;
	}
	return r < 0 ? store_fail(store, STORE_DROP, "the batch is malformed at byte %zu", offset) : result;
}

static enum store_result write_batch(struct store *store, enum sqlite_statement which, const char *collection,
				     const struct batch *batch)
{
	bool grouped = store_sqlite_of(store)->grouped;
	sqlite3_stmt *statement = store_sqlite_statement(store, which);
	enum store_result result = STORE_OK;

	if (!statement)
		return store_sqlite_fail(store, "write to");
	if (!grouped)
		result = begin(store);
	if (result != STORE_OK)
		return result;
	(void)sqlite3_bind_text(statement, 1, collection, -1, SQLITE_STATIC);
	result = write_documents(store, statement, batch);
	(void)sqlite3_clear_bindings(statement);
	if (grouped)
		return result;
	if (result != STORE_RETRY && commit(store) != STORE_OK)
		result = STORE_RETRY;
	if (result == STORE_RETRY)
		roll_back(store);
	return result;
}

/* Writes the claim's document in a transaction of its own; it is not counted. */
static enum store_result write_claim(struct store *store, const struct store_claim *seen,
				     const struct store_document *document)
{
	struct store_statistics before = store->statistics;
	sqlite3_stmt *statement, *replace = store_sqlite_statement(store, SQL_REPLACE);
	int code = find_claim(store, seen, &statement);
	bool found = code == SQLITE_ROW, matches;

	if (!replace || (!found && code != SQLITE_DONE))
		return store_sqlite_fail(store, "claim");
	matches = store_claim_matches(seen, found ? sqlite3_column_blob(statement, 0) : NULL,
				      found ? (size_t)sqlite3_column_bytes(statement, 0) : 0);
	(void)sqlite3_reset(statement);
	if (!matches)
		return store_fail_lost(store);
	(void)sqlite3_bind_text(replace, 1, seen->collection, -1, SQLITE_STATIC);
	code = write_document(store, replace, document);
	(void)sqlite3_clear_bindings(replace);
	store->statistics = before;
	if (code != SQLITE_OK || run(store, SQL_COMMIT) != SQLITE_OK)
		return store_sqlite_fail(store, "claim");
	return STORE_OK;
}

static enum store_result claim(struct store *store, const struct store_claim *seen, const uint8_t *data,
			       size_t length)
{
	struct sqlite_store *own = store_sqlite_of(store);
	struct store_document document;
	enum store_result result;

	if (!store_document_read(data, length, &document) || !document.id_type)
		return store_fail(store, STORE_DROP, "the claim has no _id");
	if (own->grouped || run(store, SQL_BEGIN) != SQLITE_OK)
		return store_sqlite_fail(store, "claim");
	result = write_claim(store, seen, &document);
	if (result != STORE_OK && !sqlite3_get_autocommit(own->database))
		(void)run(store, SQL_ROLLBACK);
	return result;
}

static enum store_result append(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, SQL_INSERT, collection, batch);
}

static enum store_result put(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, SQL_REPLACE, collection, batch);
}

/* 0; -EBADMSG if the row contains no document; -ENOMEM. */
static int take_body(sqlite3_stmt *statement, struct batch *ret_documents)
{
	const uint8_t *body = sqlite3_column_blob(statement, 0);
	int length = sqlite3_column_bytes(statement, 0);

	return body ? batch_append(ret_documents, body, (size_t)length) : -EBADMSG;
}

/*
 * One damaged row must not prevent reading the others: instead, the reader gets a document that says so, is
 * not a report, and differs from row to row, so that it is counted.
 */
static int take_row(sqlite3_stmt *statement, struct batch *ret_documents)
{
	int r = take_body(statement, ret_documents);

	if (r == -EBADMSG) {
		bson_t broken = BSON_INITIALIZER;

		BSON_APPEND_INT64(&broken, "broken row", sqlite3_column_int64(statement, 2));
		r = batch_append(ret_documents, bson_get_data(&broken), broken.len);
		bson_destroy(&broken);
	}
	return r;
}

/* Steps through the rows. Oldest first, documents of the same time are never separated by the limit. */
static int take_rows(sqlite3_stmt *statement, const struct store_query *query, struct batch *ret_documents,
		     struct store_read *ret_read)
{
	unsigned n = 0;
	int64_t last = 0;
	int code;

	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		int64_t time_ms = sqlite3_column_int64(statement, 1);

		if (query->limit && n >= query->limit && (query->newest_first || time_ms != last))
			return SQLITE_DONE;
		if (take_row(statement, ret_documents) < 0)
			return SQLITE_NOMEM;
		last = time_ms;
		n++;
	}
	ret_read->end = code == SQLITE_DONE;
	return code;
}

static enum store_result read_documents(struct store *store, const struct store_query *query,
					struct batch *ret_documents, struct store_read *ret_read)
{
	sqlite3_stmt *statement =
		store_sqlite_statement(store, query->newest_first ? SQL_READ_NEWEST : SQL_READ);
	int code;

	store->statistics.round_trips++;
	if (!statement)
		return store_sqlite_fail(store, "read");
	(void)sqlite3_bind_text(statement, 1, query->collection, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(statement, 2, query->after_ms);
	(void)sqlite3_bind_int64(statement, 3, query->until_ms);
	(void)sqlite3_bind_text(statement, 4, query->target, -1, SQLITE_STATIC);
	code = take_rows(statement, query, ret_documents, ret_read);
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	if (code == SQLITE_NOMEM)
		return store_fail(store, STORE_RETRY, "out of memory reading '%s'", store->location);
	return code == SQLITE_DONE ? STORE_OK : store_sqlite_fail(store, "read");
}

static enum store_result get(struct store *store, const char *collection, const char *id,
			     struct batch *ret_documents)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, id ? SQL_GET : SQL_GET_ALL);
	unsigned n_damaged = 0;
	int code;

	store->statistics.round_trips++;
	if (!statement)
		return store_sqlite_fail(store, "read");
	(void)sqlite3_bind_text(statement, 1, collection, -1, SQLITE_STATIC);
	if (id)
		(void)sqlite3_bind_text(statement, 2, id, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
		int r = take_body(statement, ret_documents);

		n_damaged += r == -EBADMSG;
		if (r < 0 && r != -EBADMSG) {
			code = SQLITE_NOMEM;
			break;
		}
	}
	(void)sqlite3_reset(statement);
	if (n_damaged)
		(void)store_fail(store, STORE_OK, "'%s': %u damaged rows of '%s' were skipped",
				 store->location, n_damaged, collection);
	if (code == SQLITE_NOMEM)
		return store_fail(store, STORE_RETRY, "out of memory reading '%s'", store->location);
	return code == SQLITE_DONE ? STORE_OK : store_sqlite_fail(store, "read");
}

static enum store_result list(struct store *store, const char *prefix,
			      void (*each)(void *data, const char *collection), void *data)
{
	sqlite3_stmt *statement = store_sqlite_statement(store, SQL_LIST);
	int code;

	store->statistics.round_trips++;
	if (!statement)
		return store_sqlite_fail(store, "read");
	(void)sqlite3_bind_text(statement, 1, prefix, -1, SQLITE_STATIC);
	while ((code = sqlite3_step(statement)) == SQLITE_ROW)
		each(data, (const char *)sqlite3_column_text(statement, 0));
	(void)sqlite3_reset(statement);
	return code == SQLITE_DONE ? STORE_OK : store_sqlite_fail(store, "read");
}

/* Deletes one slice; store_trim() deletes the rest, so that no tick waits for a large deletion. */
static enum store_result ensure(struct store *store, const char *collection, uint64_t retention_s,
				int64_t now_ms)
{
	store_sqlite_note_retention(store_sqlite_of(store), collection, retention_s);
	if (retention_s == 0 || store_sqlite_expire(store, collection, retention_s, now_ms) >= 0)
		return STORE_OK;
	return store_sqlite_fail(store, "delete from");
}

const struct store_backend store_backend_sqlite = {
	.name = "sqlite",
	.form = "sqlite:PATH",
	.traits = STORE_LOCAL | STORE_BOUNDED,
	.size = sizeof(struct sqlite_store),
	.open = store_sqlite_open,
	.close = store_sqlite_close,
	.ensure = ensure,
	.append = append,
	.read = read_documents,
	.put = put,
	.get = get,
	.list = list,
	.begin = begin,
	.commit = commit,
	.roll_back = roll_back,
	.trim = store_sqlite_trim,
	.measure = store_sqlite_measure,
	.claim = claim,
};
