/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of each target at present: watts of its last tick, joules since the server started. For
 * /metrics and /api/latest. Pure; targets that have not been seen for a while are forgotten.
 */
#pragma once

#include "formula/conserve.h"

#include <uthash.h>

struct live_row {
	bool present; /* in its last tick */
	double power_w;
	double dynamic_w;
	double static_w;
	double energy_j; /* of the last tick */
	double total_j;  /* since the start */
	double total_dynamic_j;
};

struct live_target {
	UT_hash_handle hh;
	int64_t last_ms;
	uint64_t number; /* from 1 on in the order of appearance; one that is forgotten and returns gets a new
			    one */
	unsigned n_sockets;
	struct live_row *rows; /* [socket * REPORT_SCOPES + scope] */
	char container_id[16];
	char name[];
};

struct live {
	struct live_target *targets; /* in the order of their first appearance */
	uint64_t n_added;            /* that ever appeared */
	int64_t time_ms;             /* of the last tick */
	double interval_s;
	bool estimated;
	unsigned n_sockets;
	unsigned packages[TICK_SOCKETS_MAX];
	double error_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
};

/* Takes the rows of a tick in. 0 or -ENOMEM. */
int live_update(struct live *live, const struct tick *tick, const struct conserve_output *conserved);
/* Forgets targets whose last tick is older than `age_ms` before the newest tick. */
void live_expire(struct live *live, int64_t age_ms);
void live_done(struct live *live);
/* NULL: none. */
const struct live_target *live_find(const struct live *live, const char *name);
