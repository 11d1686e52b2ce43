/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may write to a MongoDB: the claim is compared and replaced by the server in one step, and states are
 * replaced only where no later owner has written them. Not all servers have transactions, so appending is not
 * fenced: what a former owner still appends has the _id of what its successor makes. Called through store.c.
 */
#include "store/mongo/store_mongo.h"

#include <string.h>

#define CODE_DUPLICATE 11000

static bool insert_claim(mongoc_collection_t *collection, const bson_t *document, bool *ret_matched,
			 bson_error_t *error)
{
	bool good = mongoc_collection_insert_one(collection, document, NULL, NULL, error);

	*ret_matched = good;
	return good || error->code == CODE_DUPLICATE;
}

static bool replace_claim(mongoc_collection_t *collection, const struct store_claim *seen,
			  const bson_t *document, bool *ret_matched, bson_error_t *error)
{
	bson_t *options = seen->generation < 0 ? BCON_NEW("upsert", BCON_BOOL(true)) : NULL;
	bson_t selector = BSON_INITIALIZER, reply;
	bson_iter_t iterator;
	bool good;

	bson_append_utf8(&selector, "_id", -1, seen->id, -1);
	if (seen->generation > 0) {
		bson_append_utf8(&selector, "owner", -1, seen->owner, -1);
		bson_append_int64(&selector, "generation", -1, seen->generation);
		bson_append_int64(&selector, "beat", -1, seen->beat);
	}
	good = mongoc_collection_replace_one(collection, &selector, document, options, &reply, error);
	*ret_matched = good && (options || (bson_iter_init_find(&iterator, &reply, "matchedCount") &&
					    bson_iter_as_int64(&iterator) == 1));
	bson_destroy(&reply);
	bson_destroy(&selector);
	bson_destroy(options);
	return good;
}

enum store_result store_mongo_claim(struct store *store, const struct store_claim *seen, const uint8_t *data,
				    size_t length)
{
	mongoc_collection_t *collection = store_mongo_collection(store, seen->collection);
	bson_error_t error = {0};
	bool matched = false, good;
	bson_t document;

	if (!bson_init_static(&document, data, length))
		return store_fail(store, STORE_DROP, "a claim that is no document");
	store->statistics.round_trips++;
	good = seen->generation == 0 ? insert_claim(collection, &document, &matched, &error)
				     : replace_claim(collection, seen, &document, &matched, &error);
	if (!good)
		return store_mongo_fail(store, store_mongo_may_retry(&error) ? STORE_RETRY : STORE_DROP,
					"write the claim in", &error);
	return matched ? STORE_OK : store_fail_lost(store);
}

bool store_mongo_fence(const struct store *store, const char *collection, const bson_t *document,
		       bson_t *ret_selector, bson_t *ret_document)
{
	const struct store_claim *fence = store->fence;
	bson_t not_later, later;
	bson_iter_t iterator;

	if (!fence || strcmp(collection, fence->collection) != 0 ||
	    bson_iter_init_find(&iterator, document, "generation") ||
	    !bson_iter_init_find(&iterator, document, "_id"))
		return false;
	bson_init(ret_selector);
	bson_append_iter(ret_selector, "_id", 3, &iterator);
	bson_append_document_begin(ret_selector, "generation", -1, &not_later);
	bson_append_document_begin(&not_later, "$not", -1, &later);
	bson_append_int64(&later, "$gt", -1, fence->generation);
	bson_append_document_end(&not_later, &later);
	bson_append_document_end(ret_selector, &not_later);
	bson_copy_to(document, ret_document);
	bson_append_int64(ret_document, "generation", -1, fence->generation);
	return true;
}
