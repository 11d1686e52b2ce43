/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appending to MongoDB and replacing: a batch is one unordered write; what the server already has counts as
 * stored; if it refuses some documents, the others are stored. Called through store.c.
 */
#include "store/mongo/store_mongo.h"
#include "document/bson_cursor.h"

#include <stdio.h>
#include <stdlib.h>

#define CODE_DUPLICATE 11000

/* What a bulk write did not do. */
struct bulk_errors {
	unsigned duplicates;
	unsigned refused;
	unsigned later; /* can be retried */
	bson_error_t first_refused;
	bson_error_t first_later;
};

static void note_error(struct bulk_errors *errors, const struct bson_cursor *outer)
{
	struct bson_cursor cursor;
	bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .message = "unknown write error"};
	double code = 0;

	if (!bson_cursor_enter(outer, &cursor))
		return;
	while (bson_cursor_next(&cursor) > 0) {
		if (bson_cursor_is(&cursor, "code") && bson_cursor_number(&cursor, &code) && code > 0 &&
		    code < 1e9)
			error.code = (uint32_t)code;
		if (bson_cursor_is(&cursor, "errmsg") && bson_cursor_string(&cursor))
			(void)snprintf(error.message, sizeof(error.message), "%s",
				       bson_cursor_string(&cursor));
	}
	if (error.code == CODE_DUPLICATE || error.code == 11001 || error.code == 12582) {
		errors->duplicates++;
	} else if (store_mongo_may_retry(&error)) {
		if (!errors->later++)
			errors->first_later = error;
	} else if (!errors->refused++) {
		errors->first_refused = error;
	}
}

static void note_errors(const bson_t *reply, struct bulk_errors *errors)
{
	struct bson_cursor cursor;
	struct bson_cursor list;

	if (!bson_cursor_init(&cursor, bson_get_data(reply), reply->len))
		return;
	while (bson_cursor_next(&cursor) > 0) {
		if (!bson_cursor_is(&cursor, "writeErrors") || !bson_cursor_enter(&cursor, &list))
			continue;
		while (bson_cursor_next(&list) > 0)
			note_error(errors, &list);
	}
}

/*
 * Replacing is slow: a thousand at once may take a server longer than one call may last, and would be retried
 * forever.
 */
#define REPLACE_MAX 100

/* One part of a batch: `n` documents from `offset` on. */
struct part {
	const struct batch *batch;
	size_t offset;
	unsigned n;
	bool replace;
};

static bool add_fenced(struct store *store, mongoc_bulk_operation_t *bulk, const bson_t *bson,
		       const bson_t *options, bool *ret_good)
{
	const char *collection = mongoc_collection_get_name(store_mongo_of(store)->collection);
	bson_t selector, document;

	if (!store_mongo_fence(store, collection, bson, &selector, &document))
		return false;
	*ret_good = mongoc_bulk_operation_replace_one_with_opts(bulk, &selector, &document, options, NULL);
	bson_destroy(&selector);
	bson_destroy(&document);
	return true;
}

static bool add_replacement(struct store *store, mongoc_bulk_operation_t *bulk, const bson_t *bson,
			    const bson_t *options)
{
	bson_t selector;
	bson_iter_t iter;
	bool good;

	if (add_fenced(store, bulk, bson, options, &good))
		return good;
	bson_init(&selector);
	good = bson_iter_init_find(&iter, bson, "_id") && bson_append_iter(&selector, "_id", 3, &iter) &&
	       mongoc_bulk_operation_replace_one_with_opts(bulk, &selector, bson, options, NULL);

	bson_destroy(&selector);
	return good;
}

static void drop_document(struct store *store, size_t length)
{
	store->statistics.dropped++;
	(void)store_fail(store, STORE_DROP, "a document of %zu bytes is malformed or has no _id", length);
}

/*
 * Fills the bulk write; documents rejected by the driver itself are dropped. Returns the number of documents
 * in it.
 */
static unsigned fill_bulk(struct store *store, mongoc_bulk_operation_t *bulk, const struct part *part)
{
	bson_t *options = BCON_NEW("validate", BCON_BOOL(false), "upsert", BCON_BOOL(true));
	size_t offset = part->offset;
	unsigned n = 0;

	for (unsigned i = 0; i < part->n; i++) {
		const uint8_t *document;
		size_t length;
		bson_t bson;

		if (batch_next(part->batch, &offset, &document, &length) <= 0)
			break;
		if (bson_init_static(&bson, document, length) && add_replacement(store, bulk, &bson, options))
			n++;
		else
			drop_document(store, length);
	}
	bson_destroy(options);
	return n;
}

static bool replace_all(struct store *store, mongoc_collection_t *collection, struct part *part,
			bson_t *reply, bson_error_t *error)
{
	bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
	mongoc_bulk_operation_t *bulk =
		mongoc_collection_create_bulk_operation_with_opts(collection, options);
	bool good = true;

	bson_destroy(options);
	part->n = fill_bulk(store, bulk, part);
	if (part->n > 0) {
		bson_destroy(reply);
		good = mongoc_bulk_operation_execute(bulk, reply, error) != 0;
	}
	mongoc_bulk_operation_destroy(bulk);
	return good;
}

/* The documents in the driver's form, in reused memory. False if out of memory. */
static bool list_documents(struct store *store, struct part *part)
{
	struct mongo_store *own = store_mongo_of(store);
	size_t offset = part->offset;
	unsigned n = 0;

	if (part->n > own->n_listed) {
		free(own->listed);
		free(own->list);
		own->listed = aligned_alloc(BSON_ALIGNOF(bson_t), part->n * sizeof(*own->listed));
		own->list = malloc(part->n * sizeof(const bson_t *));
		own->n_listed = own->listed && own->list ? part->n : 0;
		if (!own->n_listed)
			return false;
	}
	for (unsigned i = 0; i < part->n; i++) {
		const uint8_t *document;
		size_t length;

		if (batch_next(part->batch, &offset, &document, &length) <= 0)
			break;
		own->list[n] = &own->listed[n];
		if (bson_init_static(&own->listed[n], document, length))
			n++;
		else
			drop_document(store, length);
	}
	part->n = n;
	return true;
}

/* One call for all of them: the bulk interface parses the options of every document again. */
static bool insert_all(struct store *store, mongoc_collection_t *collection, struct part *part, bson_t *reply,
		       bson_error_t *error)
{
	struct mongo_store *own = store_mongo_of(store);
	bson_t *options;
	bool good;

	if (!list_documents(store, part)) {
		bson_set_error(error, MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_NOT_READY, "out of memory");
		return false;
	}
	if (part->n == 0)
		return true;
	options = BCON_NEW("ordered", BCON_BOOL(false), "validate", BCON_BOOL(false));
	bson_destroy(reply);
	good = mongoc_collection_insert_many(collection, own->list, part->n, options, reply, error);
	bson_destroy(options);
	return good;
}

static enum store_result write_part(struct store *store, mongoc_collection_t *collection,
				    const struct part *part);

static void skip_documents(struct part *part, unsigned n)
{
	const uint8_t *document;
	size_t length;

	for (unsigned i = 0; i < n; i++)
		(void)batch_next(part->batch, &part->offset, &document, &length);
}

/* The server refused the whole command: bisecting shows which document was the reason. */
static enum store_result write_halves(struct store *store, mongoc_collection_t *collection,
				      const struct part *part)
{
	struct part first = *part;
	struct part second = *part;
	enum store_result results[2];

	first.n = part->n / 2;
	second.n = part->n - first.n;
	skip_documents(&second, first.n);
	results[0] = write_part(store, collection, &first);
	if (results[0] == STORE_RETRY || results[0] == STORE_LOST)
		return results[0];
	results[1] = write_part(store, collection, &second);
	return results[1] == STORE_OK ? results[0] : results[1];
}

static enum store_result judge(struct store *store, mongoc_collection_t *collection, const struct part *part,
			       const bson_t *reply, const bson_error_t *error)
{
	struct bulk_errors errors = {0};

	note_errors(reply, &errors);
	if (errors.duplicates + errors.refused + errors.later == 0) {
		if (store_mongo_may_retry(error))
			return store_mongo_fail(store, STORE_RETRY, "write to", error);
		if (part->n > 1)
			return write_halves(store, collection, part);
		errors.refused = 1;
		errors.first_refused = *error;
	}
	/* A duplicate where the filter did not match: the document belongs to a later owner. */
	if (part->replace && errors.duplicates && store->fence)
		return store_fail_lost(store);
	if (errors.later || (part->replace && errors.duplicates))
		return store_mongo_fail(store, STORE_RETRY, "write to",
					errors.later ? &errors.first_later : error);
	store->statistics.duplicates += errors.duplicates;
	store->statistics.dropped += errors.refused;
	store->statistics.appended += part->n - errors.duplicates - errors.refused;
	if (!errors.refused)
		return STORE_OK;
	return store_mongo_fail(store, STORE_DROP, "store a document in", &errors.first_refused);
}

static enum store_result write_part(struct store *store, mongoc_collection_t *collection,
				    const struct part *part)
{
	uint64_t dropped = store->statistics.dropped;
	enum store_result result = STORE_OK;
	bson_error_t error = {0};
	bson_t reply = BSON_INITIALIZER;
	struct part sent = *part;
	bool good = part->replace ? replace_all(store, collection, &sent, &reply, &error)
				  : insert_all(store, collection, &sent, &reply, &error);

	store->statistics.round_trips += sent.n > 0;
	if (good)
		store->statistics.appended += sent.n;
	else
		result = judge(store, collection, &sent, &reply, &error);
	bson_destroy(&reply);
	return result == STORE_OK && store->statistics.dropped > dropped ? STORE_DROP : result;
}

static enum store_result write_batch(struct store *store, const char *collection, const struct batch *batch,
				     bool replace)
{
	struct part part = {.batch = batch, .replace = replace};
	struct store_statistics before = store->statistics;
	unsigned left = batch->n_documents;
	enum store_result result = STORE_OK;

	while (left > 0 && result != STORE_RETRY && result != STORE_LOST) {
		enum store_result one;

		part.n = replace && left > REPLACE_MAX ? REPLACE_MAX : left;
		one = write_part(store, store_mongo_collection(store, collection), &part);
		result = one == STORE_OK ? result : one;
		skip_documents(&part, part.n);
		left -= part.n;
	}
	/* The caller repeats the whole batch: what was counted of it would be counted twice. */
	if (result == STORE_RETRY) {
		before.round_trips = store->statistics.round_trips;
		store->statistics = before;
	}
	return result;
}

enum store_result store_mongo_append(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, collection, batch, false);
}

enum store_result store_mongo_put(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, collection, batch, true);
}
