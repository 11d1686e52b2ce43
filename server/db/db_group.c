/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gathers appends and puts and stores them in order, in one transaction if the store has transactions: a
 * later write (a position) is never stored without the earlier ones (the reports). Called by db.c.
 */
#include "db/db_group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int group_begin(struct db_group *group, bool put, const char *collection)
{
	struct db_writing *writing = &group->writings[group->n];

	*writing = (struct db_writing){.put = put, .offset = group->data.length};
	writing->collection = strdup(collection);
	if (!writing->collection)
		return -ENOMEM;
	group->n++;
	group->open = true;
	return 0;
}

int db_group_add(struct db_group *group, bool put, const char *collection, const void *piece, size_t length,
		 bool last)
{
	struct db_writing *writing;

	if (!group->open && (group->n == DB_GROUP_MAX || group_begin(group, put, collection) < 0))
		return -ENOMEM;
	writing = &group->writings[group->n - 1];
	if (writing->put != put || strcmp(writing->collection, collection) != 0)
		return -EBADMSG;
	if (batch_add_bytes(&group->data, piece, length) < 0)
		return -ENOMEM;
	writing->length += length;
	group->open = !last;
	return last;
}

bool db_group_is_full(const struct db_group *group)
{
	return group->n == DB_GROUP_MAX || group->data.length >= DB_GROUP_BYTES;
}

bool db_group_touches(const struct db_group *group, const char *collection)
{
	for (unsigned i = 0; i < group->n; i++) {
		if (strcmp(group->writings[i].collection, collection) == 0)
			return true;
	}
	return false;
}

/* Counts the documents of a write; the store rejects a truncated end. */
static struct batch group_documents(const struct db_group *group, const struct db_writing *writing)
{
	/* Writes without a document have no memory. */
	struct batch documents = {.data = writing->length ? group->data.data + writing->offset : NULL,
				  .length = writing->length};
	const uint8_t *document;
	size_t offset = 0, length;

	while (batch_next(&documents, &offset, &document, &length) == 1)
		documents.n_documents++;
	return documents;
}

static enum store_result group_write(struct db_group *group, struct store *store)
{
	for (unsigned i = 0; i < group->n; i++) {
		struct db_writing *writing = &group->writings[i];
		struct batch documents = group_documents(group, writing);

		writing->result = writing->put ? store_put(store, writing->collection, &documents)
					       : store_append(store, writing->collection, &documents);
		if (writing->result == STORE_RETRY || writing->result == STORE_LOST)
			return writing->result;
		if (writing->result != STORE_OK)
			(void)snprintf(group->error, sizeof(group->error), "%s", store_error(store));
	}
	return STORE_OK;
}

enum store_result db_group_write(struct db_group *group, struct store *store)
{
	enum store_result result;

	group->error[0] = '\0';
	if (group->n < 2)
		return group_write(group, store);
	result = store_begin(store);
	if (result != STORE_OK)
		return result;
	result = group_write(group, store);
	if (result == STORE_OK)
		result = store_commit(store);
	if (result != STORE_OK)
		store_roll_back(store);
	return result;
}

void db_group_clear(struct db_group *group)
{
	for (unsigned i = 0; i < group->n; i++)
		free(group->writings[i].collection);
	group->n = 0;
	group->open = false;
	/* The memory of a large write is not kept. */
	if (group->data.capacity > 4 * DB_GROUP_BYTES)
		batch_done(&group->data);
	batch_clear(&group->data);
}

void db_group_done(struct db_group *group)
{
	db_group_clear(group);
	batch_done(&group->data);
}
