/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several servers writes to a store: a document in it that the writer renews and a standby watches.
 * Times are the process's own: the clocks of two machines are never compared.
 */
#pragma once

#include "store/store.h"

#define DB_LEASE_RENEWALS 4 /* in one period; a standby looks as often */

struct db_lease {
	struct store_claim own;
	const char *about;  /* how this server computes, for its standby's log */
	uint64_t period_ns; /* 0: no lease, everyone may write */
	bool held;
	uint64_t
		renewed_ns; /* on a clock that runs while the machine sleeps; taken before the last renewal */
	struct store_claim other; /* as last seen */
	uint64_t other_since_ns, other_seen_ns;
	unsigned n_unchanged;
	char who[300]; /* the writer, for people; "" */
};

/* `about` must outlive the lease. */
void db_lease_init(struct db_lease *lease, const char *about, uint64_t period_ms);
/*
 * One attempt to take the lease. OK and lease->held: this process may write; OK and not held: another one
 * writes (lease->who); RETRY: the store does not answer; DROP: it refuses.
 */
enum store_result db_lease_take(struct db_lease *lease, struct store *store);
/* Is it time to renew? */
bool db_lease_is_due(const struct db_lease *lease);
/* Time until it is due; -1: never. */
int db_lease_wait_ms(const struct db_lease *lease);
/* OK, RETRY, or LOST: another process has taken over. */
enum store_result db_lease_renew(struct db_lease *lease, struct store *store);
/* Another one has it: releases ours; lease->who names the other. */
void db_lease_lose(struct db_lease *lease, struct store *store);
/* Called before exit, so that the next writer need not wait. */
void db_lease_release(struct db_lease *lease, struct store *store);
