/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a MongoDB store, shared by its files: store_mongo.c (connection, indexes, errors),
 * store_mongo_write.c (append, put) and store_mongo_read.c (read, get, list).
 */
#pragma once

#include "store/store_backend.h"

#include <mongoc/mongoc.h>
#include <uthash.h>

/* A collection whose expiring index this process has created. */
struct mongo_made {
	UT_hash_handle hh;
	char collection[];
};

struct mongo_store {
	mongoc_client_t *client;
	char *database;
	char where[256]; /* hosts of the URI, for messages */
	/* the collection of the last call, kept */
	mongoc_collection_t *collection;
	/* the documents of an insert, in the driver's form; memory is reused */
	bson_t *listed;
	const bson_t **list;
	unsigned n_listed;
	struct mongo_made *made;
	bool left_index, said_retention; /* another process's expiring index was kept; it was logged */
};

static inline struct mongo_store *store_mongo_of(const struct store *store)
{
	return store->private;
}

/* The URI as parsed by the driver; NULL with the error and a correction. Opens nothing. */
mongoc_uri_t *store_mongo_parse(const char *location, struct reason *why);
int store_mongo_check(const char *location, struct reason *why);
bool store_mongo_database(const char *location, char *ret, size_t size);
/* The driver's handle of a collection; does not connect. */
mongoc_collection_t *store_mongo_collection(struct store *store, const char *name);
/* Is a retry useful? False: the server refused for good. */
bool store_mongo_may_retry(const bson_error_t *error);
/* Sets the store's sentence for an error, with a fix. */
enum store_result store_mongo_fail(struct store *store, enum store_result result, const char *doing,
				   const bson_error_t *error);

enum store_result store_mongo_append(struct store *store, const char *collection, const struct batch *batch);
enum store_result store_mongo_put(struct store *store, const char *collection, const struct batch *batch);
enum store_result store_mongo_claim(struct store *store, const struct store_claim *seen,
				    const uint8_t *document, size_t length);
enum store_result store_mongo_read(struct store *store, const struct store_query *query,
				   struct batch *ret_documents, struct store_read *ret_read);
enum store_result store_mongo_get(struct store *store, const char *collection, const char *id,
				  struct batch *ret_documents);
enum store_result store_mongo_list(struct store *store, const char *prefix,
				   void (*each)(void *data, const char *collection), void *data);
