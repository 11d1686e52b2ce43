/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where documents live, through one interface: mongodb, sqlite, bson, jsonl, csv, socket, null. A backend is
 * one file with one const table. Calls block: make them in the process that owns the store, never in a
 * daemon's loop.
 */
#pragma once

#include "document/batch.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_result {
	STORE_OK,    /* all documents are stored (or already were: the same _id) */
	STORE_RETRY, /* not now: nothing, or a part, is stored; the whole batch can be given again */
	STORE_DROP,  /* some documents will never be accepted; they are counted in the statistics */
};

struct store_statistics {
	uint64_t appended;   /* documents stored */
	uint64_t duplicates; /* documents that were already stored */
	uint64_t dropped;    /* documents refused for good */
	uint64_t round_trips;
};

enum store_flags {
	STORE_READ = 1 << 0,
	STORE_WRITE = 1 << 1,
	STORE_OVERWRITE = 1 << 2, /* files: overwrite instead of refusing or appending */
};

/* What a store is, by its URI. */
enum store_traits {
	STORE_LOCAL = 1 << 0,     /* on this machine: it is never away */
	STORE_STREAM = 1 << 1,    /* files of one stream: not to be read and written at the same time */
	STORE_BY_OFFSET = 1 << 2, /* read from where the last read stopped, not by time */
};

#define STORE_DATABASE_DEFAULT "rapls2"
#define STORE_DATABASE_SIZE    128

struct store_options {
	const char *database; /* NULL: from the URI, else the default */
	unsigned flags;
	uint64_t timeout_ms; /* longest wait of one call; 0: 5,000 */
	unsigned cache_kb;   /* sqlite: memory for pages of the file; 0: its own default, 2,000 */
};

/* What to read: documents of a collection by time, oldest first. */
struct store_query {
	const char *collection;
	int64_t after_ms;   /* timestamp > after_ms; INT64_MIN: from the start */
	int64_t until_ms;   /* timestamp <= until_ms; INT64_MAX: no end */
	const char *target; /* NULL: all */
	uint64_t offset;    /* files: where the last read stopped; others ignore it */
	/*
	 * Maximum number of documents; 0: no limit. Oldest first in a database. Documents with the same time
	 * stay together: the result can then have fewer or more than `limit`, so that a reader who continues
	 * with after_ms = the last time misses none.
	 */
	unsigned limit;
	bool newest_first; /* the latest first instead (mongodb, sqlite) */
};

struct store_read {
	uint64_t offset;  /* for the next query of a file */
	bool end;         /* nothing more to read at present */
	unsigned damaged; /* malformed lines of a file that were skipped */
};

struct store;

/*
 * Opens by URI; docs/documents.md lists the schemes. 0, or a negative errno with a sentence in `why` that
 * names what, where and the fix. A MongoDB that does not answer is not an error here: append and read return
 * STORE_RETRY until it does.
 */
int store_open(const char *uri, const struct store_options *options, struct store **ret_store,
	       struct reason *why);
void store_close(struct store *store);
const char *store_name(const struct store *store); /* the scheme */
/* The database: what is given by option, else the one in a mongodb:// URI, else "rapls2". Returns ret. */
const char *store_database(const char *uri, const char *given, char *ret, size_t size);
/* True for a URI that store_open would accept; else false and a reason. Opens nothing. */
bool store_uri_valid(const char *uri, struct reason *why);
/* enum store_traits of a valid URI; 0 for any other. */
unsigned store_uri_traits(const char *uri);
/* The path that a valid URI of a local store names, else "". */
const char *store_uri_path(const char *uri, char *ret, size_t size);
/* The URI with any password replaced by "***", for messages. Returns ret. */
const char *store_uri_display(const char *uri, char *ret, size_t size);

/*
 * Creates the collection's indexes on (timestamp) and (target, timestamp). With retention_s > 0, older
 * documents are deleted, by TTL if the server has it, else at each call of this function (`now_ms`).
 */
enum store_result store_ensure(struct store *store, const char *collection, uint64_t retention_s,
			       int64_t now_ms);
/* Appends a batch: one unordered insert per round trip; documents whose _id exists are left unchanged. */
enum store_result store_append(struct store *store, const char *collection, const struct batch *batch);
/* Appends the documents found to `ret_documents`. */
enum store_result store_read(struct store *store, const struct store_query *query,
			     struct batch *ret_documents, struct store_read *ret_read);
/* Replaces (or inserts) each document by its _id, whatever its type. */
enum store_result store_put(struct store *store, const char *collection, const struct batch *batch);
/*
 * What is appended and put between begin and commit becomes one transaction if the store has transactions;
 * otherwise each call stands alone. After a RETRY of any call in it, the transaction must be rolled back and
 * repeated.
 */
bool store_can_group(const struct store *store);
enum store_result store_begin(struct store *store);
enum store_result store_commit(struct store *store);
void store_roll_back(struct store *store);
/* Documents of a collection by a string _id, or all of them (id NULL). For state and targets. */
enum store_result store_get(struct store *store, const char *collection, const char *id,
			    struct batch *ret_documents);
/* Calls `each` for every collection whose name starts with `prefix`. */
enum store_result store_list(struct store *store, const char *prefix,
			     void (*each)(void *data, const char *collection), void *data);
/*
 * Sentence about the last RETRY or DROP; after an OK "", or a remark worth a log line (a torn file was
 * repaired).
 */
const char *store_error(const struct store *store);
const struct store_statistics *store_get_statistics(const struct store *store);
