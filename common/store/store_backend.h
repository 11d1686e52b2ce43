/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a store backend. The facade (store.c) parses the URI, counts, and keeps the last error. A
 * function that a backend does not support is NULL and answers STORE_DROP with a sentence that says so;
 * without `ensure` and `put` there are just no indexes and no descriptions.
 */
#pragma once

#include "store/store.h"

struct store_backend {
	const char *name;
	const char *form;                     /* as users type it: "sqlite:PATH" */
	unsigned traits;                      /* enum store_traits */
	const struct store_file_codec *codec; /* of files of documents (file/store_file.h); else NULL */
	/* Would open() refuse this location at once? 0, or -EINVAL and a reason. NULL: no. Opens nothing. */
	int (*check)(const char *location, struct reason *why);
	/* The database named by the location; false: none. NULL: locations name no database. */
	bool (*database)(const char *location, char *ret, size_t size);
	size_t size; /* size of the backend's state; the facade allocates and frees it */
	/* After an error the facade calls close(), too. */
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
	/* store_claim(); NULL: a store with a single writer. */
	enum store_result (*claim)(struct store *store, const struct store_claim *seen,
				   const uint8_t *document, size_t length);
	enum store_result (*list)(struct store *store, const char *prefix,
				  void (*each)(void *data, const char *collection), void *data);
	/* For a store with STORE_BOUNDED; else NULL. */
	enum store_result (*trim)(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more);
	enum store_result (*measure)(struct store *store, struct store_usage *ret);
};

struct store {
	const struct store_backend *backend;
	void *private;
	char *location;
	struct store_statistics statistics;
	const struct store_claim *fence; /* NULL: none */
	bool denied;                     /* the last failure: store_is_denied() */
	char error[512];
};

extern const struct store_backend store_backend_mongo;
extern const struct store_backend store_backend_sqlite;
extern const struct store_backend store_backend_bson;
extern const struct store_backend store_backend_jsonl;
extern const struct store_backend store_backend_csv;
extern const struct store_backend store_backend_socket;
extern const struct store_backend store_backend_null;

/* Does this document contain the claim `seen`? `document` NULL: there is none. */
bool store_claim_matches(const struct store_claim *seen, const uint8_t *document, size_t length);
/* Does this document contain the store's own claim? Also true if there is no document: nobody has claimed the
 * store. */
bool store_fence_holds(const struct store *store, const uint8_t *document, size_t length);
enum store_result store_fail_lost(struct store *store);

/* Sets the store's error text and returns `result`, for `return store_fail(store, STORE_RETRY, "…");`. */
enum store_result store_fail(struct store *store, enum store_result result, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
