/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's spool: batches that the store has not confirmed, in an SQLite file limited by size and age.
 * The oldest are dropped first, and counted. Used by the write process only.
 */
#pragma once

#include "document/batch.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>

struct spool;

struct spool_limits {
	uint64_t bytes;  /* limit on documents; 0: no spool, everything is refused */
	uint64_t age_ms; /* 0: no limit */
};

struct spool_entry {
	int64_t sequence;
	bool put; /* replace by _id instead of append */
	char collection[128];
	struct batch documents; /* owned by the caller */
};

/* Opens or creates the file. A damaged one is renamed to FILE.damaged, and `why` says so (still 0). */
int spool_open(const char *path, const struct spool_limits *limits, struct spool **ret_spool,
	       struct reason *why);
void spool_close(struct spool *spool);
bool spool_is_empty(const struct spool *spool);
uint64_t spool_documents(const struct spool *spool);
/* Documents dropped since open because of size, age, a damaged file or a failing disk. */
uint64_t spool_dropped(const struct spool *spool);
/* Adds a batch at the end; makes room by dropping the oldest. 0, or a negative errno (counted as dropped). */
int spool_push(struct spool *spool, const char *collection, bool put, const struct batch *batch,
	       int64_t now_ms);
/*
 * Returns the oldest batch without removing it: 1, 0 if empty, or a negative errno. A file that is found to
 * be damaged is renamed to FILE.damaged, which is logged; its documents count as dropped, and the spool is
 * empty.
 */
int spool_peek(struct spool *spool, struct spool_entry *entry);
/*
 * Removes the batch with this sequence number, which is never returned again. A negative errno other than
 * -ENOENT: it is still in the file, from which spool_tidy() deletes it later; a restart before that would
 * deliver it again.
 */
int spool_pop(struct spool *spool, int64_t sequence);
int spool_tidy(struct spool *spool);
