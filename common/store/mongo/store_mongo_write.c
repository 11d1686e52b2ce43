/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appends to MongoDB and replaces: a batch is one unordered write; documents that the server already has
 * count as stored; if it refuses some, the others are stored. A claim is compared and replaced by the server
 * in one step, and states only if no later owner has written them. Not all servers have transactions, so
 * appending is not fenced: late appends of a former owner have the same _id as its successor's. Called
 * through store.c.
 */
#include "store/mongo/store_mongo.h"
#include "base/bson_get.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE_DUPLICATE 11000

/* Failures of a bulk write. */
struct bulk_errors {
	unsigned duplicates;
	unsigned refused;
	unsigned later; /* can be retried */
	bson_error_t first_refused;
	bson_error_t first_later;
};

/*
 * Does the error mean that the _id exists? A foreign unique index rejects documents that do not exist.
 * Servers name the index in different ways, or not at all.
 */
static bool is_duplicate(const bson_error_t *error)
{
	static const char mark[] = " index: ", own[] = "_id_";
	const char *index = strstr(error->message, mark);
	size_t length;

	if (error->code != CODE_DUPLICATE && error->code != 11001 && error->code != 12582)
		return false;
	if (!index)
		return true;
	index += strlen(mark);
	length = strcspn(index, " ");
	for (const char *at; (at = memchr(index, '$', length)); index = at + 1)
		length -= (size_t)(at + 1 - index);
	return length == strlen(own) && memcmp(index, own, length) == 0;
}

static void note_error(struct bulk_errors *errors, const bson_t *write_error)
{
	bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .message = "unknown write error"};
	const char *message = bson_get_text(write_error, "errmsg");
	bson_iter_t code;

	if (bson_iter_init_find(&code, write_error, "code") && bson_iter_as_int64(&code) > 0)
		error.code = (uint32_t)bson_iter_as_int64(&code);
	if (message)
		(void)snprintf(error.message, sizeof(error.message), "%s", message);
	if (is_duplicate(&error)) {
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
	bson_iter_t list;
	bson_t one;

	if (bson_get_array(reply, "writeErrors", &list))
		while (bson_iter_next(&list))
			if (bson_get_inner(&list, &one))
				note_error(errors, &one);
}

/*
 * Replacing is slow: a thousand at once may exceed the time limit of a call, and would be retried forever.
 */
#define REPLACE_MAX 100

/* One part of a batch: `n` documents from `offset` on. */
struct part {
	const struct batch *batch;
	size_t offset;
	unsigned n;
	bool replace;
};

/*
 * For a document that a fenced store replaces: makes the condition (not written by a later owner), and the
 * document with its owner's generation. False: nothing to add, use the document unchanged.
 */
static bool fence_document(const struct store *store, const bson_t *document, bson_t *selector,
			   bson_t *ret_document)
{
	const char *collection = mongoc_collection_get_name(store_mongo_of(store)->collection);
	const struct store_claim *fence = store->fence;
	bson_t not_later, later;

	if (!fence || strcmp(collection, fence->collection) != 0 || bson_has_field(document, "generation"))
		return false;
	bson_append_document_begin(selector, "generation", -1, &not_later);
	bson_append_document_begin(&not_later, "$not", -1, &later);
	bson_append_int64(&later, "$gt", -1, fence->generation);
	bson_append_document_end(&not_later, &later);
	bson_append_document_end(selector, &not_later);
	bson_copy_to(document, ret_document);
	bson_append_int64(ret_document, "generation", -1, fence->generation);
	return true;
}

static bool add_replacement(struct store *store, mongoc_bulk_operation_t *bulk, const bson_t *bson,
			    const bson_t *options)
{
	bson_t selector = BSON_INITIALIZER, fenced;
	bson_iter_t iter;
	bool is_fenced, good;

	if (!bson_iter_init_find(&iter, bson, "_id") || !bson_append_iter(&selector, "_id", 3, &iter)) {
		bson_destroy(&selector);
		return false;
	}
	is_fenced = fence_document(store, bson, &selector, &fenced);
	good = mongoc_bulk_operation_replace_one_with_opts(bulk, &selector, is_fenced ? &fenced : bson,
							   options, NULL);
	bson_destroy(&selector);
	if (is_fenced)
		bson_destroy(&fenced);
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

/* Inserts all with one call: the bulk interface parses the options again for every document. */
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

/* The server refused the whole command: bisecting finds the document that caused it. */
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
	/* The caller repeats the whole batch: keeping its counts would count it twice. */
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
		return store_fail(store, STORE_DROP, "the claim is not a document");
	store->statistics.round_trips++;
	good = seen->generation == 0 ? insert_claim(collection, &document, &matched, &error)
				     : replace_claim(collection, seen, &document, &matched, &error);
	if (!good)
		return store_mongo_fail(store, store_mongo_may_retry(&error) ? STORE_RETRY : STORE_DROP,
					"write the claim in", &error);
	return matched ? STORE_OK : store_fail_lost(store);
}
