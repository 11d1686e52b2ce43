/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requested recaps that wait until the tick that covers their end has been processed. They survive a restart
 * in the collection `state`.
 */
#pragma once

#include "machine/machine.h"
#include "db/db_client.h"
#include "recap/recap_bson.h"

struct recaps;
struct recaps_entry;

/*
 * The store has the recap (`error` NULL), or there will be none. `document`: the stored one. Called once, not
 * within recaps_add().
 */
typedef void (*recaps_done)(void *data, const struct recap_request *request, const struct recap *recap,
			    const bson_t *document, const char *error);

/* The store has the request (`error` NULL), so that a crash does not lose it; or the reason why not. */
typedef void (*recaps_noted)(void *data, const char *error);

struct recaps_statistics {
	uint64_t made;
	uint64_t failed;
	uint64_t waiting; /* at present */
};

/* What recaps need from the server. */
struct recaps_setup {
	struct ev_loop *loop;
	struct db_client *client; /* the store of power reports and recaps */
	uint64_t timeout_ms;
	double interval_s;               /* for a machine that is not known yet */
	struct machine *const *machines; /* by name */
	const bool *away;                /* the store does not answer */
};

/* NULL if out of memory. */
struct recaps *recaps_new(const struct recaps_setup *setup);
void recaps_free(struct recaps *recaps);
/* Loads the requests that were pending when the server ended. */
void recaps_load(struct recaps *recaps, const struct batch *states);
/* A machine's ticks were processed: writes the recaps that are now complete. */
void recaps_tick(struct recaps *recaps, const struct machine *machine);
/*
 * Takes ownership of the request. `done` may be NULL. -ENOMEM; -EBUSY: too many are waiting, or too long ones
 * (the limits are lower without a waiting client). On error the caller keeps the request. *ret_entry is valid
 * until `done` is called.
 */
int recaps_add(struct recaps *recaps, const struct recap_request *request, recaps_done done, void *data,
	       struct recaps_entry **ret_entry);
/* Right after recaps_add(): `noted` is called once, not within this call; the entry is valid until then. */
void recaps_when_noted(struct recaps_entry *entry, recaps_noted noted, void *data);
/* The request as it was added; valid as long as the entry. */
const struct recap_request *recaps_request(const struct recaps_entry *entry);
/* The client no longer waits; the recap is written nevertheless. */
void recaps_forget(struct recaps_entry *entry);
const struct recaps_statistics *recaps_get_statistics(const struct recaps *recaps);
