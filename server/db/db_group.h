/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes that arrived together and are stored together: one transaction for the ticks of many sensors.
 */
#pragma once

#include "store/store.h"

#define DB_GROUP_MAX   64
#define DB_GROUP_BYTES ((size_t)1024 * 1024)

struct db_writing {
	bool put; /* else append */
	char *collection;
	size_t offset, length; /* in the group's data */
	enum store_result result;
};

struct db_group {
	struct batch data; /* documents of all writes, end to end */
	struct db_writing writings[DB_GROUP_MAX];
	unsigned n;
	bool open;       /* pieces of the last write are still to come */
	char error[512]; /* the store's message about the last write that it refused; "" */
};

/* Adds a piece of a write: 1 when it is complete, 0 when more must follow, -ENOMEM or -EBADMSG. */
int db_group_add(struct db_group *group, bool put, const char *collection, const void *piece, size_t length,
		 bool last);
bool db_group_is_full(const struct db_group *group);
/* Is there a write to this collection? */
bool db_group_touches(const struct db_group *group, const char *collection);
/* Stores all writes and records each result. RETRY: the whole group must be retried later. */
enum store_result db_group_write(struct db_group *group, struct store *store);
void db_group_clear(struct db_group *group);
void db_group_done(struct db_group *group);
