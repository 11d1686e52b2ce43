/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Indexes and retention in MongoDB. Servers differ: some refuse an index that expires, some take it and never
 * expire anything. So the index is tried, and documents too old are deleted at each call as well; where
 * expiry works that finds nothing to do. Called through store.c.
 */
#include "store/mongo/store_mongo.h"

#include <string.h>

#define BY_TIME               "timestamp_1"
#define CODE_OPTIONS_CONFLICT 85 /* the index is there with another expiry */
#define CODE_KEYS_CONFLICT    86

static bool run_command(struct store *store, bson_t *command, bson_error_t *error)
{
	struct mongo_store *own = store_mongo_of(store);
	bool good;

	good = mongoc_client_command_simple(own->client, own->database, command, NULL, NULL, error);
	store->statistics.round_trips++;
	bson_destroy(command);
	return good;
}

static bool make_time_index(struct store *store, const char *collection, uint64_t expire_s,
			    bson_error_t *error)
{
	bson_t *command;

	if (expire_s)
		command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				   "timestamp", BCON_INT32(1), "}", "name", BCON_UTF8(BY_TIME),
				   "expireAfterSeconds", BCON_INT64((int64_t)expire_s), "}", "]");
	else
		command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				   "timestamp", BCON_INT32(1), "}", "name", BCON_UTF8(BY_TIME), "}", "]");
	return run_command(store, command, error);
}

static bool make_target_index(struct store *store, const char *collection, bson_error_t *error)
{
	return run_command(store,
			   BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				    "target", BCON_INT32(1), "timestamp", BCON_INT32(1), "}", "name",
				    BCON_UTF8("target_1_timestamp_1"), "}", "]"),
			   error);
}

static bool drop_time_index(struct store *store, const char *collection, bson_error_t *error)
{
	return run_command(store, BCON_NEW("dropIndexes", BCON_UTF8(collection), "index", BCON_UTF8(BY_TIME)),
			   error);
}

static bool is_conflict(const bson_error_t *error)
{
	return error->code == CODE_OPTIONS_CONFLICT || error->code == CODE_KEYS_CONFLICT;
}

/* Any refusal of the expiring index leaves the plain one, and deleting to us. */
static bool ensure_time_index(struct store *store, const char *collection, uint64_t retention_s,
			      bson_error_t *error)
{
	if (make_time_index(store, collection, retention_s, error))
		return true;
	if (is_conflict(error) && drop_time_index(store, collection, error) &&
	    make_time_index(store, collection, retention_s, error))
		return true;
	return retention_s && error->domain == MONGOC_ERROR_SERVER &&
	       make_time_index(store, collection, 0, error);
}

static bool delete_old(struct store *store, const char *collection, int64_t before_ms, bson_error_t *error)
{
	bson_t *filter = BCON_NEW("timestamp", "{", "$lt", BCON_DATE_TIME(before_ms), "}");
	bool good = mongoc_collection_delete_many(store_mongo_collection(store, collection), filter, NULL,
						  NULL, error);

	store->statistics.round_trips++;
	bson_destroy(filter);
	return good;
}

enum store_result store_mongo_ensure(struct store *store, const char *collection, uint64_t retention_s,
				     int64_t now_ms)
{
	bson_error_t error = {0};

	if (!ensure_time_index(store, collection, retention_s, &error) ||
	    !make_target_index(store, collection, &error))
		return store_mongo_fail(store, STORE_RETRY, "make indexes in", &error);
	if (retention_s && !delete_old(store, collection, now_ms - (int64_t)retention_s * 1000, &error))
		return store_mongo_fail(store, STORE_RETRY, "delete old documents from", &error);
	return STORE_OK;
}
