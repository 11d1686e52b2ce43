/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Present state of each target: watts of its last tick, joules since the server started. For /metrics and
 * /api/latest. Pure; targets not seen for a while are forgotten.
 */
#pragma once

#include "document/report_identity.h"
#include "formula/conserve.h"

#include <uthash.h>

struct live_row {
	bool present; /* in its last tick */
	double power_w;
	double dynamic_w;
	double static_w;
	double sd_w;     /* how sure power_w is; NAN: unknown */
	double energy_j; /* of the last tick */
	double total_j;  /* since the server's start */
	double total_dynamic_j;
};

/* One container, by name and id: a new one of the same name begins with nothing. */
struct live_target {
	UT_hash_handle hh;
	UT_hash_handle by_name; /* the newest of this name */
	int64_t last_ms;
	uint64_t number; /* from 1 on in the order of appearance; one that is forgotten and returns gets a new
			    one */
	unsigned n_sockets;
	struct live_row *rows;    /* [socket * REPORT_SCOPES + scope] */
	const char *container_id; /* follows the name; "" for none */
	char name[];
};

struct live {
	struct live_target *targets; /* in the order of their first appearance */
	struct live_target *newest;  /* by name */
	uint64_t n_added;            /* that ever appeared */
	int64_t time_ms;             /* of the last tick; 0: nothing is shown */
	double interval_s;
	bool estimated;
	unsigned n_sockets;
	unsigned packages[TICK_SOCKETS_MAX];
	double error_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	char *key; /* of the target that is looked up; memory is kept */
	size_t key_size;
};

/* Takes the rows of a tick in. `counted`: the part of its energy that the totals count. 0 or -ENOMEM. */
int live_update(struct live *live, const struct tick *tick, const struct conserve_output *conserved,
		double counted);
/* Forgets targets whose last tick is older than `age_ms` before the newest tick. */
void live_expire(struct live *live, int64_t age_ms);
/* Forgets all targets: the sensor has ended. */
void live_forget(struct live *live);
void live_done(struct live *live);
/* The newest of this name; NULL: none. */
const struct live_target *live_find(const struct live *live, const char *name);
