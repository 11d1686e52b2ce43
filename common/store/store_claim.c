/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several processes may write to a store: reads and compares claims, and refuses writes that are not
 * covered by one. The backends compare and write atomically. Called by the process that owns the server's
 * store.
 */
#include "store/store_backend.h"

#include "document/bson_cursor.h"

#include <stdio.h>
#include <string.h>

bool store_can_claim(const struct store *store)
{
	return store->backend->claim != NULL;
}

static bool take_number(const struct bson_cursor *cursor, int64_t *ret_value)
{
	double value;

	if (cursor->type == BSON_CURSOR_I64) {
		memcpy(ret_value, cursor->value, sizeof(*ret_value));
		return true;
	}
	/* Another program may have written it as another type of number. */
	if (!bson_cursor_number(cursor, &value) || !(value >= 0 && value < 9e15))
		return false;
	*ret_value = (int64_t)value;
	return true;
}

bool store_claim_read(const uint8_t *document, size_t length, struct store_claim *claim)
{
	bool has_owner = false, has_generation = false, has_beat = false;
	struct bson_cursor cursor;
	int r;

	if (!bson_cursor_init(&cursor, document, length))
		return false;
	while ((r = bson_cursor_next(&cursor)) == 1) {
		if (bson_cursor_is(&cursor, "generation")) {
			has_generation = take_number(&cursor, &claim->generation);
		} else if (bson_cursor_is(&cursor, "beat")) {
			has_beat = take_number(&cursor, &claim->beat);
		} else if (bson_cursor_is(&cursor, "owner") && cursor.type == BSON_CURSOR_STRING) {
			const char *owner = bson_cursor_string(&cursor);

			has_owner = owner && strlen(owner) < sizeof(claim->owner);
			if (has_owner)
				(void)snprintf(claim->owner, sizeof(claim->owner), "%s", owner);
		}
	}
	return r == 0 && has_owner && has_generation && has_beat && claim->generation > 0 && claim->beat >= 0;
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
	return store->backend->claim
		       ? store->backend->claim(store, seen, document, length)
		       : store_fail(store, STORE_DROP, "a %s store has one writer", store->backend->name);
}

void store_fence(struct store *store, const struct store_claim *claim)
{
	store->fence = claim;
}
