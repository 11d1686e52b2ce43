/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stores of documents behind one interface: mongodb, sqlite, bson, jsonl, csv, socket, null. A backend is one
 * file with one const table. Calls block: make them in the process that owns the store, never in a daemon's
 * loop.
 */
#pragma once

#include "document/batch.h"
#include "base/reason.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum store_result {
	STORE_OK,    /* all documents are stored (or already were: the same _id) */
	STORE_RETRY, /* not now: nothing, or a part, is stored; the whole batch can be retried */
	STORE_DROP,  /* some documents will never be accepted; they are counted in the statistics */
	STORE_LOST,  /* another process now writes to the store (store_claim): this one no longer may */
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
	STORE_RENEW = 1 << 3,     /* sqlite: a damaged file is renamed, and a new one created */
	STORE_DURABLE = 1 << 4,   /* sqlite: each transaction is on disk before the call returns */
};

/* Properties of a store, by its URI. */
enum store_traits {
	STORE_LOCAL = 1 << 0,     /* on this machine: never unreachable */
	STORE_STREAM = 1 << 1,    /* files of one stream: not to be read and written at the same time */
	STORE_BY_OFFSET = 1 << 2, /* read from where the last read stopped, not by time */
	STORE_NOTHING = 1 << 3,   /* accepts every document and keeps none */
	STORE_BOUNDED = 1 << 4,   /* takes a bound in bytes: store_trim() */
};

#define STORE_DATABASE_DEFAULT "rapls2"
#define STORE_DATABASE_SIZE    128

struct store_options {
	const char *database; /* NULL: from the URI, else the default */
	unsigned flags;
	uint64_t timeout_ms; /* longest wait of one call; 0: 5,000 */
	/* sqlite: NULL, or set by a signal when no call should wait any longer. */
	const volatile sig_atomic_t *hurry;
	unsigned cache_kb; /* sqlite: memory for pages of the file; 0: its own default, 2,000 */
};

/* A read of documents of a collection by time, oldest first. */
struct store_query {
	const char *collection;
	int64_t after_ms;   /* timestamp > after_ms; INT64_MIN: from the start */
	int64_t until_ms;   /* timestamp <= until_ms; INT64_MAX: no end */
	const char *target; /* NULL: all */
	uint64_t offset;    /* files: where the last read stopped; others ignore it */
	/*
	 * Maximum number of documents; 0: no limit. Oldest first in a database. Documents with the same time
	 * stay together: the result can then have fewer or more than `limit`, so that a reader that continues
	 * with after_ms = the last time misses none.
	 */
	unsigned limit;
	bool newest_first; /* the latest first instead (mongodb, sqlite) */
};

struct store_read {
	uint64_t offset;  /* for the next query of a file */
	bool end;         /* nothing more to read at present */
	unsigned damaged; /* malformed lines of a file that were skipped */
	bool replaced;    /* it was another file than the last read's: read from its beginning */
};

struct store;

/*
 * Advances the query past `documents`, its complete answer: by offset for a file, else by time. False:
 * nothing follows at present.
 */
bool store_query_continue(struct store_query *query, const struct store_read *read,
			  const struct batch *documents);

/*
 * Opens by URI; docs/documents.md lists the schemes. 0, or a negative errno with a sentence in `why` about
 * the error, its place and the fix. A MongoDB that does not answer is not an error here: append and read
 * return STORE_RETRY until it does.
 */
int store_open(const char *uri, const struct store_options *options, struct store **ret_store,
	       struct reason *why);
void store_close(struct store *store);
const char *store_name(const struct store *store); /* the scheme */
/* The database: the one given by option, else the one in a mongodb:// URI, else "rapls2". Returns ret. */
const char *store_database(const char *uri, const char *given, char *ret, size_t size);
/* True for a URI that store_open would accept; else false and a reason. Opens nothing. */
bool store_uri_valid(const char *uri, struct reason *why);
/*
 * What opening the store would find in its place: false and a reason if the path leads to something else than
 * this kind of store. Creates nothing.
 */
bool store_place_fits(const char *uri, struct reason *why);
/* Can a store of this kind be read, as the input of a server? */
bool store_can_list(const char *uri, struct reason *why);
/* Checks the name of a database: -EINVAL and a reason. NULL and "" are no name. */
int store_check_database(const char *name, struct reason *why);
/* The scheme with this name, case-insensitive; NULL and a reason that lists all. */
const char *store_scheme(const char *word, struct reason *why);
/* SCHEME:LOCATION, or the location alone if it is a URI of that scheme. A new string; NULL: out of memory. */
char *store_uri_join(const char *scheme, const char *location);
/* enum store_traits of a valid URI; 0 for any other. */
unsigned store_uri_traits(const char *uri);
/* The path in a valid URI of a local store, else "". */
const char *store_uri_path(const char *uri, char *ret, size_t size);
/* The URI with any password replaced by "***", for messages. Returns ret. */
const char *store_uri_display(const char *uri, char *ret, size_t size);

/*
 * Creates the collection's indexes on (timestamp) and (target, timestamp). With retention_s > 0, older
 * documents are deleted, by TTL if the server supports it, else at each call of this function (`now_ms`).
 */
enum store_result store_ensure(struct store *store, const char *collection, uint64_t retention_s,
			       int64_t now_ms);
/* Contents of a store with STORE_BOUNDED. */
struct store_usage {
	uint64_t used_bytes, file_bytes;
	int64_t oldest_ms, newest_ms; /* of its ticks; 0: none */
	bool shrinks;                 /* the file returns unused space */
};

/*
 * Does a slice, about 50 ms at most, of the work that keeps a store within its bounds: deletes ticks older
 * than their collection's retention, then the oldest ones while more than max_bytes are used (0: no limit),
 * and returns free space. Recaps, states and targets are kept. `more` is set if it should soon be called
 * again. Does nothing for a store without STORE_BOUNDED.
 */
enum store_result store_trim(struct store *store, uint64_t max_bytes, int64_t now_ms, bool *ret_more);
/* Zeros for a store without STORE_BOUNDED. */
enum store_result store_measure(struct store *store, struct store_usage *ret);
/* Appends a batch: one unordered insert per round trip; documents whose _id exists are left unchanged. */
enum store_result store_append(struct store *store, const char *collection, const struct batch *batch);
/* Appends the documents found to `ret_documents`. */
enum store_result store_read(struct store *store, const struct store_query *query,
			     struct batch *ret_documents, struct store_read *ret_read);
/* Replaces (or inserts) each document by its _id, whatever its type. */
enum store_result store_put(struct store *store, const char *collection, const struct batch *batch);
/*
 * All appends and puts between begin and commit form one transaction if the store has transactions; otherwise
 * each call is independent. After a RETRY of any call in it, the transaction must be rolled back and
 * repeated.
 */
bool store_can_group(const struct store *store);
enum store_result store_begin(struct store *store);
enum store_result store_commit(struct store *store);
void store_roll_back(struct store *store);
/*
 * Determines which of several processes with an open store may write: a document whose fields "owner",
 * "generation" and "beat" identify the claim. Each new owner has a higher generation.
 */
#define STORE_OWNER_SIZE 200
struct store_claim {
	const char *collection;
	const char *id;
	char owner[STORE_OWNER_SIZE];
	int64_t generation; /* 0: nobody has a claim; negative: replace any document */
	int64_t beat;
};
bool store_can_claim(const struct store *store);
/* Takes owner, generation and beat from a claim's document; false: it is not a claim. */
bool store_claim_read(const uint8_t *document, size_t length, struct store_claim *claim);
/* Stores `document` as the claim if the present one equals `seen`: OK, or STORE_LOST: it does not. RETRY,
 * DROP. */
enum store_result store_claim(struct store *store, const struct store_claim *seen, const uint8_t *document,
			      size_t length);
/*
 * From here on writes succeed only under this claim, of which the store keeps a pointer; else STORE_LOST, and
 * nothing is written. Without transactions only replacing is refused; documents appended nevertheless are
 * duplicates or identical. NULL: no claim.
 */
void store_fence(struct store *store, const struct store_claim *claim);
/* Documents of a collection with a string _id, or all of them (id NULL). For state and targets. */
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
/* The last RETRY was due to missing permissions, which will not change until somebody changes the user's. */
bool store_is_denied(const struct store *store);
const struct store_statistics *store_get_statistics(const struct store *store);
/* Renames a SQLite file together with its log. 0, or a negative errno: one of the files keeps its name. */
int store_sqlite_rename(const char *from, const char *to);
