/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All stores through one interface: finds the backend of a URI, forwards calls, and handles functions that a
 * backend lacks. Reads and compares the claims that decide which of several processes may write; the backends
 * compare and write atomically. Called by the processes that own a store. Knows no database.
 */
#include "store/store_backend.h"
#include "store/store_document.h"
#include "store/store_uri.h"
#include "base/bson_get.h"
#include "base/reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT_MS 5000

enum store_result store_fail(struct store *store, enum store_result result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(store->error, sizeof(store->error), format, arguments);
	va_end(arguments);
	store->denied = false;
	return result;
}

int store_open(const char *uri, const struct store_options *options, struct store **ret_store,
	       struct reason *why)
{
	struct store_options filled = options ? *options : (struct store_options){0};
	struct store_uri parsed;
	struct store *store;
	int r;

	*ret_store = NULL;
	r = store_uri_parse(uri, &parsed, why);
	if (r < 0)
		return r;
	if (!(filled.flags & (STORE_READ | STORE_WRITE)))
		filled.flags |= STORE_READ | STORE_WRITE;
	if (!filled.timeout_ms)
		filled.timeout_ms = DEFAULT_TIMEOUT_MS;
	store = calloc(1, sizeof(*store));
	if (!store)
		return reason_set(why, -ENOMEM, "out of memory for a store");
	store->backend = parsed.backend;
	store->location = strdup(parsed.location);
	store->private = calloc(1, parsed.backend->size + 1);
	(void)store_fail(store, STORE_RETRY, "out of memory opening '%s'", parsed.location);
	r = store->location && store->private ? 0 : -ENOMEM;
	if (r == 0) {
		store->error[0] = '\0';
		r = store->backend->open ? store->backend->open(store, store->location, &filled) : 0;
	}
	if (r < 0) {
		reason_set(why, 0, "%s", store->error);
		store_close(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->backend->close && store->location && store->private)
		store->backend->close(store);
	free(store->private);
	free(store->location);
	free(store);
}

const char *store_name(const struct store *store)
{
	return store->backend->name;
}

/* The result of a function that a backend lacks; success in the store that keeps nothing. */
static enum store_result cannot(struct store *store, const char *what)
{
	if (store->backend->traits & STORE_NOTHING)
		return STORE_OK;
	return store_fail(store, STORE_DROP,
			  "a %s store cannot %s; use another (sqlite:PATH or mongodb://HOST)",
			  store->backend->name, what);
}

enum store_result store_ensure(struct store *store, const char *collection, uint64_t retention_s,
			       int64_t now_ms)
{
	store->error[0] = '\0';
	return store->backend->ensure ? store->backend->ensure(store, collection, retention_s, now_ms)
				      : STORE_OK;
}

enum store_result store_append(struct store *store, const char *collection, const struct batch *batch)
{
	store->error[0] = '\0';
	if (batch->length == 0)
		return STORE_OK;
	if (store->backend->append)
		return store->backend->append(store, collection, batch);
	if (store->backend->traits & STORE_NOTHING)
		store->statistics.appended += batch->n_documents;
	else
		store->statistics.dropped += batch->n_documents;
	return cannot(store, "be written to");
}

enum store_result store_read(struct store *store, const struct store_query *query,
			     struct batch *ret_documents, struct store_read *ret_read)
{
	store->error[0] = '\0';
	*ret_read = (struct store_read){.offset = query->offset, .end = !store->backend->read};
	if (!store->backend->read)
		return cannot(store, "be read");
	return store->backend->read(store, query, ret_documents, ret_read);
}

bool store_query_continue(struct store_query *query, const struct store_read *read,
			  const struct batch *documents)
{
	struct store_document last = {.has_time = false};
	const uint8_t *document;
	size_t offset = 0, length = 0;

	if (read->end)
		return false;
	if (read->offset) {
		query->offset = read->offset;
		return true;
	}
	while (batch_next(documents, &offset, &document, &length) == 1)
		;
	if (!documents->n_documents || !store_document_read(document, length, &last) || !last.has_time ||
	    last.time_ms <= query->after_ms)
		return false;
	query->after_ms = last.time_ms;
	return true;
}

enum store_result store_put(struct store *store, const char *collection, const struct batch *batch)
{
	store->error[0] = '\0';
	return store->backend->put && batch->length > 0 ? store->backend->put(store, collection, batch)
							: STORE_OK;
}

enum store_result store_get(struct store *store, const char *collection, const char *id,
			    struct batch *ret_documents)
{
	store->error[0] = '\0';
	if (!store->backend->get)
		return cannot(store, "look up documents");
	return store->backend->get(store, collection, id, ret_documents);
}

enum store_result store_list(struct store *store, const char *prefix,
			     void (*each)(void *data, const char *collection), void *data)
{
	store->error[0] = '\0';
	if (!store->backend->list)
		return cannot(store, "list its collections");
	return store->backend->list(store, prefix, each, data);
}

enum store_result store_trim(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more)
{
	store->error[0] = '\0';
	*ret_more = false;
	return store->backend->trim ? store->backend->trim(store, max_bytes, now_ms, ret_more) : STORE_OK;
}

enum store_result store_measure(struct store *store, struct store_usage *ret)
{
	store->error[0] = '\0';
	*ret = (struct store_usage){0};
	return store->backend->measure ? store->backend->measure(store, ret) : STORE_OK;
}

bool store_can_group(const struct store *store)
{
	return store->backend->begin != NULL;
}

enum store_result store_begin(struct store *store)
{
	store->error[0] = '\0';
	return store->backend->begin ? store->backend->begin(store) : STORE_OK;
}

enum store_result store_commit(struct store *store)
{
	store->error[0] = '\0';
	return store->backend->commit ? store->backend->commit(store) : STORE_OK;
}

void store_roll_back(struct store *store)
{
	if (store->backend->roll_back)
		store->backend->roll_back(store);
}

const char *store_error(const struct store *store)
{
	return store->error;
}

bool store_is_denied(const struct store *store)
{
	return store->denied;
}

const struct store_statistics *store_get_statistics(const struct store *store)
{
	return &store->statistics;
}

bool store_can_claim(const struct store *store)
{
	return store->backend->claim != NULL;
}

/* Another program may have written it as another type of number. */
static bool take_number(const bson_t *document, const char *key, int64_t *ret_value)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_NUMBER(&at) ||
	    (BSON_ITER_HOLDS_DOUBLE(&at) && !(bson_iter_double(&at) >= 0 && bson_iter_double(&at) < 9e15)))
		return false;
	*ret_value = bson_iter_as_int64(&at);
	return *ret_value >= 0;
}

bool store_claim_read(const uint8_t *document, size_t length, struct store_claim *claim)
{
	const char *owner;
	bson_t view;

	if (!bson_init_static(&view, document, length) || !bson_validate(&view, BSON_VALIDATE_UTF8, NULL) ||
	    !take_number(&view, "generation", &claim->generation) ||
	    !take_number(&view, "beat", &claim->beat))
		return false;
	owner = bson_get_text(&view, "owner");
	return owner &&
	       snprintf(claim->owner, sizeof(claim->owner), "%s", owner) < (int)sizeof(claim->owner) &&
	       claim->generation > 0;
}

bool store_claim_matches(const struct store_claim *seen, const uint8_t *document, size_t length)
{
	struct store_claim found;

	if (seen->generation < 0)
		return true;
	if (!document)
		return seen->generation == 0;
	return store_claim_read(document, length, &found) && found.generation == seen->generation &&
	       found.beat == seen->beat && strcmp(found.owner, seen->owner) == 0;
}

bool store_fence_holds(const struct store *store, const uint8_t *document, size_t length)
{
	struct store_claim found;

	if (!store->fence || !document || !store_claim_read(document, length, &found))
		return true;
	return found.generation == store->fence->generation && strcmp(found.owner, store->fence->owner) == 0;
}

enum store_result store_fail_lost(struct store *store)
{
	return store_fail(store, STORE_LOST, "another process has taken over writing to this store");
}

enum store_result store_claim(struct store *store, const struct store_claim *seen, const uint8_t *document,
			      size_t length)
{
	store->error[0] = '\0';
	return store->backend->claim ? store->backend->claim(store, seen, document, length)
				     : store_fail(store, STORE_DROP, "a %s store supports only one writer",
						  store->backend->name);
}

void store_fence(struct store *store, const struct store_claim *claim)
{
	store->fence = claim;
}
