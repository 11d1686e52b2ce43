/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All stores through one interface: finds the backend of a URI, passes calls on, and answers for functions
 * that a backend lacks. Called by the processes that own a store. Knows no database.
 */
#include "store/store_backend.h"
#include "store/store_uri.h"
#include "base/reason.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DEFAULT_TIMEOUT_MS 5000

enum store_result store_fail(struct store *store, enum store_result result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(store->error, sizeof(store->error), format, arguments);
	va_end(arguments);
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
	r = store->backend->open(store, parsed.location, &filled);
	if (r < 0) {
		reason_set(why, 0, "%s", store->error);
		free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	store->backend->close(store);
	free(store);
}

const char *store_name(const struct store *store)
{
	return store->backend->name;
}

static enum store_result cannot(struct store *store, const char *what)
{
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
	store->statistics.dropped += batch->n_documents;
	return cannot(store, "be written to");
}

enum store_result store_read(struct store *store, const struct store_query *query,
			     struct batch *ret_documents, struct store_read *ret_read)
{
	store->error[0] = '\0';
	*ret_read = (struct store_read){.offset = query->offset};
	if (!store->backend->read)
		return cannot(store, "be read");
	return store->backend->read(store, query, ret_documents, ret_read);
}

enum store_result store_put(struct store *store, const char *collection, const struct batch *batch)
{
	store->error[0] = '\0';
	if (batch->length == 0)
		return STORE_OK;
	if (store->backend->put)
		return store->backend->put(store, collection, batch);
	store->statistics.dropped += batch->n_documents;
	return cannot(store, "replace documents");
}

enum store_result store_get(struct store *store, const char *collection, const char *id,
			    struct batch *ret_documents)
{
	store->error[0] = '\0';
	if (!store->backend->get)
		return cannot(store, "look documents up");
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

const struct store_statistics *store_get_statistics(const struct store *store)
{
	return &store->statistics;
}
