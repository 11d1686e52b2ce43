/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store that keeps nothing: accepts every document and finds none. For measuring everything else, and for
 * dry runs.
 */
#include "store/store_backend.h"

static int null_open(struct store *store, const char *location, const struct store_options *options)
{
	(void)store;
	(void)location;
	(void)options;
	return 0;
}

static void null_close(struct store *store)
{
	(void)store;
}

static enum store_result null_ensure(struct store *store, const char *collection, uint64_t retention_s,
				     int64_t now_ms)
{
	(void)store;
	(void)collection;
	(void)retention_s;
	(void)now_ms;
	return STORE_OK;
}

static enum store_result null_append(struct store *store, const char *collection, const struct batch *batch)
{
	(void)collection;
	store->statistics.appended += batch->n_documents;
	return STORE_OK;
}

static enum store_result null_read(struct store *store, const struct store_query *query,
				   struct batch *ret_documents, struct store_read *ret_read)
{
	(void)store;
	(void)query;
	(void)ret_documents;
	ret_read->end = true;
	return STORE_OK;
}

static enum store_result null_get(struct store *store, const char *collection, const char *id,
				  struct batch *ret_documents)
{
	(void)store;
	(void)collection;
	(void)id;
	(void)ret_documents;
	return STORE_OK;
}

static enum store_result null_list(struct store *store, const char *prefix,
				   void (*each)(void *data, const char *collection), void *data)
{
	(void)store;
	(void)prefix;
	(void)each;
	(void)data;
	return STORE_OK;
}

const struct store_backend store_backend_null = {
	.name = "null",
	.form = "null:",
	.traits = STORE_LOCAL,
	.open = null_open,
	.close = null_close,
	.ensure = null_ensure,
	.append = null_append,
	.read = null_read,
	.put = null_append,
	.get = null_get,
	.list = null_list,
};
