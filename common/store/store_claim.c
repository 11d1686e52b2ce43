/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several processes may write to a store: reads and compares claims, and refuses writes that are not
 * covered by one. The backends compare and write atomically. Called by the process that owns the server's
 * store.
 */
#include "store/store_backend.h"

#include "base/bson_get.h"

#include <stdio.h>
#include <string.h>

bool store_can_claim(const struct store *store)
{
	return store->backend->claim != NULL;
}

/* Another program may have written it as another type of number. */
static bool take_number(const bson_t *document, const char *key, int64_t *ret_value)
{
	bson_iter_t at;

	if (!bson_iter_init_find(&at, document, key) || !BSON_ITER_HOLDS_NUMBER(&at) ||
	    (BSON_ITER_HOLDS_DOUBLE(&at) && !(bson_iter_double(&at) >= 0 && bson_iter_double(&at) < 9e15)))
		return false;
	*ret_value = bson_iter_as_int64(&at);
	return *ret_value >= 0;
}

bool store_claim_read(const uint8_t *document, size_t length, struct store_claim *claim)
{
	const char *owner;
	bson_t view;

	if (!bson_init_static(&view, document, length) || !bson_validate(&view, BSON_VALIDATE_UTF8, NULL) ||
	    !take_number(&view, "generation", &claim->generation) ||
	    !take_number(&view, "beat", &claim->beat))
		return false;
	owner = bson_get_text(&view, "owner");
	return owner &&
	       snprintf(claim->owner, sizeof(claim->owner), "%s", owner) < (int)sizeof(claim->owner) &&
	       claim->generation > 0;
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
