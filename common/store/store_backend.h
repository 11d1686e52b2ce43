/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a store backend implements. The facade (store.c) parses the URI, counts, and keeps the last error. A
 * function that a backend does not support is NULL and answers STORE_DROP with a sentence that says so.
 */
#pragma once

#include "store/store.h"

struct store_backend {
	const char *name;
	const char *form; /* as people type it: "sqlite:PATH" */
	unsigned traits;  /* enum store_traits */
	/* Would open() refuse this location at once? 0, or -EINVAL with the reason. NULL: no. Opens nothing.
	 */
	int (*check)(const char *location, struct reason *why);
	/* The database that the location names; false: none. NULL: it cannot. */
	bool (*database)(const char *location, char *ret, size_t size);
	int (*open)(struct store *store, const char *location, const struct store_options *options);
	void (*close)(struct store *store);
	enum store_result (*ensure)(struct store *store, const char *collection, uint64_t retention_s,
				    int64_t now_ms);
	enum store_result (*append)(struct store *store, const char *collection, const struct batch *batch);
	enum store_result (*read)(struct store *store, const struct store_query *query,
				  struct batch *ret_documents, struct store_read *ret_read);
	enum store_result (*put)(struct store *store, const char *collection, const struct batch *batch);
	enum store_result (*get)(struct store *store, const char *collection, const char *id,
				 struct batch *ret_documents);
	/* One transaction for several writes; NULL: not supported. */
	enum store_result (*begin)(struct store *store);
	enum store_result (*commit)(struct store *store);
	void (*roll_back)(struct store *store);
	enum store_result (*list)(struct store *store, const char *prefix,
				  void (*each)(void *data, const char *collection), void *data);
};

struct store {
	const struct store_backend *backend;
	void *private;
	struct store_statistics statistics;
	char error[512];
};

extern const struct store_backend store_backend_mongo;
extern const struct store_backend store_backend_sqlite;
extern const struct store_backend store_backend_bson;
extern const struct store_backend store_backend_jsonl;
extern const struct store_backend store_backend_csv;
extern const struct store_backend store_backend_socket;
extern const struct store_backend store_backend_null;

/* Sets the store's error text and returns `result`, for `return store_fail(store, STORE_RETRY, "…");`. */
enum store_result store_fail(struct store *store, enum store_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
