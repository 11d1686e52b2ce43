/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents from MongoDB: by time, by _id, and the names of the collections. Called through store.c.
 */
#include "store/mongo/store_mongo.h"
#include "store/store_document.h"

#include <stdio.h>
#include <string.h>

/* Removes the documents that a failed read has added. */
static enum store_result give_up(struct store *store, struct batch *documents, const struct batch *before,
				 const bson_error_t *error)
{
	documents->length = before->length;
	documents->n_documents = before->n_documents;
	return store_mongo_fail(store, STORE_RETRY, "read from", error);
}

/*
 * Documents in one answer. It covers the limit of every query, so that no cursor stays open: it may hold one
 * of the server's own connections, and FerretDB on SQLite blocks when a few readers hold them all.
 */
#define FIND_BATCH_MAX 10000

/* Appends all documents of a find. */
static enum store_result find(struct store *store, const char *collection, const bson_t *filter,
			      const bson_t *options, struct batch *ret_documents)
{
	mongoc_collection_t *handle = store_mongo_collection(store, collection);
	mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(handle, filter, options, NULL);
	struct batch before = *ret_documents;
	enum store_result result = STORE_OK;
	const bson_t *document;
	bson_error_t error = {0};

	store->statistics.round_trips++;
	while (result == STORE_OK && mongoc_cursor_next(cursor, &document))
		if (batch_append(ret_documents, bson_get_data(document), document->len) < 0) {
			(void)snprintf(error.message, sizeof(error.message), "out of memory");
			result = give_up(store, ret_documents, &before, &error);
		}
	if (result == STORE_OK && mongoc_cursor_error(cursor, &error))
		result = give_up(store, ret_documents, &before, &error);
	mongoc_cursor_destroy(cursor);
	return result;
}

static void make_filter(const struct store_query *query, bson_t *ret_filter)
{
	bson_t range;

	bson_init(ret_filter);
	if (query->target)
		BSON_APPEND_UTF8(ret_filter, "target", query->target);
	if (query->after_ms == INT64_MIN && query->until_ms == INT64_MAX)
		return;
	BSON_APPEND_DOCUMENT_BEGIN(ret_filter, "timestamp", &range);
	if (query->after_ms != INT64_MIN)
		BSON_APPEND_DATE_TIME(&range, "$gt", query->after_ms);
	if (query->until_ms != INT64_MAX)
		BSON_APPEND_DATE_TIME(&range, "$lte", query->until_ms);
	bson_append_document_end(ret_filter, &range);
}

static enum store_result find_range(struct store *store, const struct store_query *query,
				    struct batch *ret_documents)
{
	bson_t *options = BCON_NEW("sort", "{", "timestamp", BCON_INT32(query->newest_first ? -1 : 1), "}");
	enum store_result result;
	bson_t filter;

	if (query->limit)
		BSON_APPEND_INT64(options, "limit", query->limit);
	BSON_APPEND_INT32(options, "batchSize",
			  query->limit && query->limit < FIND_BATCH_MAX ? (int32_t)query->limit
									: FIND_BATCH_MAX);
	make_filter(query, &filter);
	result = find(store, query->collection, &filter, options, ret_documents);
	bson_destroy(&filter);
	bson_destroy(options);
	return result;
}

/*
 * The first document of the last time, among those from `start` on; that time, and their number. The end if a
 * document has no time.
 */
static size_t find_last_time(const struct batch *documents, size_t start, int64_t *ret_time_ms,
			     unsigned *ret_n)
{
	struct store_document document;
	const uint8_t *data;
	size_t offset = start;
	size_t at = start;
	size_t cut = start;
	size_t length;

	*ret_time_ms = INT64_MIN;
	*ret_n = 0;
	while (batch_next(documents, &offset, &data, &length) > 0) {
		if (!store_document_read(data, length, &document) || !document.has_time) {
			*ret_time_ms = INT64_MIN;
			*ret_n = 0;
			return documents->length;
		}
		if (document.time_ms != *ret_time_ms) {
			*ret_time_ms = document.time_ms;
			*ret_n = 0;
			cut = at;
		}
		(*ret_n)++;
		at = offset;
	}
	return cut;
}

/*
 * The limit may have separated documents of the same time, and the next query would start after that time. So
 * documents of the last time are left for the next query or, if there is no other time, all of them are read.
 */
static enum store_result mend_limit(struct store *store, const struct store_query *query,
				    const struct batch *before, struct batch *documents)
{
	struct store_query whole = *query;
	int64_t time_ms;
	unsigned n;
	size_t cut = find_last_time(documents, before->length, &time_ms, &n);

	documents->length = cut;
	documents->n_documents -= n;
	if (cut > before->length || time_ms == INT64_MIN)
		return STORE_OK;
	whole.after_ms = time_ms - 1;
	whole.until_ms = time_ms;
	whole.limit = 0;
	return find_range(store, &whole, documents);
}

enum store_result store_mongo_read(struct store *store, const struct store_query *query,
				   struct batch *ret_documents, struct store_read *ret_read)
{
	struct batch before = *ret_documents;
	enum store_result result = find_range(store, query, ret_documents);
	unsigned n = ret_documents->n_documents - before.n_documents;

	ret_read->end = result == STORE_OK && (query->limit == 0 || n < query->limit);
	if (result != STORE_OK || query->newest_first || ret_read->end)
		return result;
	return mend_limit(store, query, &before, ret_documents);
}

enum store_result store_mongo_get(struct store *store, const char *collection, const char *id,
				  struct batch *ret_documents)
{
	bson_t filter = BSON_INITIALIZER;
	enum store_result result;

	if (id)
		BSON_APPEND_UTF8(&filter, "_id", id);
	result = find(store, collection, &filter, NULL, ret_documents);
	bson_destroy(&filter);
	return result;
}

enum store_result store_mongo_list(struct store *store, const char *prefix,
				   void (*each)(void *data, const char *collection), void *data)
{
	struct mongo_store *own = store_mongo_of(store);
	mongoc_database_t *database = mongoc_client_get_database(own->client, own->database);
	bson_error_t error = {0};
	char **names = mongoc_database_get_collection_names_with_opts(database, NULL, &error);

	mongoc_database_destroy(database);
	store->statistics.round_trips++;
	if (!names)
		return store_mongo_fail(store, STORE_RETRY, "list the collections of", &error);
	for (unsigned i = 0; names[i]; i++)
		if (strncmp(names[i], prefix, strlen(prefix)) == 0)
			each(data, names[i]);
	bson_strfreev(names);
	return STORE_OK;
}
