/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Present state of each target: watts of its last tick, joules since the server started. For /metrics and
 * /api/latest. Pure; targets not seen for a while are forgotten.
 */
#pragma once

#include "document/report.h"
#include "formula/conserve.h"

#include <uthash.h>

struct live_row {
	bool present; /* in its last tick */
	double power_w;
	double dynamic_w;
	double static_w;
	double sd_w;    /* standard deviation of power_w; NAN: unknown */
	double total_j; /* since the server's start */
	double total_dynamic_j;
};

/* One container, by name and ID: a new one with the same name starts from zero. */
struct live_target {
	UT_hash_handle hh;
	UT_hash_handle by_name; /* the newest of this name */
	int64_t first_ms, last_ms;
	/* Not yet in the totals of its image and namespace: its description may arrive a little later. */
	double unbooked_j[REPORT_SCOPES_ADDED], unbooked_dynamic_j[REPORT_SCOPES_ADDED];
	uint64_t number; /* counts from 1 in the order of appearance; a target that was forgotten and returns
			    gets a new number */
	unsigned n_places;     /* the machine's sockets, then the numbers of domains that no formula models */
	struct live_row *rows; /* [place * REPORT_SCOPES_ALL + scope] */
	const char *container_id; /* follows the name; "" for none */
	char name[];
};

struct live {
	struct live_target *targets; /* in the order of their first appearance */
	struct live_target *newest;  /* by name */
	uint64_t n_added;            /* number of targets that ever appeared */
	int64_t time_ms;             /* of the last tick; 0: nothing is shown */
	double booked_part;          /* part of a tick's energy that goes into unbooked_j */
	double interval_s;
	bool estimated;
	bool has_gpus; /* since the sensor appeared */
	unsigned n_sockets;
	unsigned packages[TICK_SOCKETS_MAX];
	double error_w[REPORT_SCOPES][TICK_SOCKETS_MAX];
	char *key; /* lookup key; its memory is reused */
	size_t key_size;
};

/* Adds the rows of a tick. `counted`: the part of its energy that goes into the totals. 0 or -ENOMEM. */
int live_update(struct live *live, const struct tick *tick, const struct conserve_output *conserved,
		double counted);
/* Forgets targets whose last tick is older than `age_ms` before the newest tick. */
void live_expire(struct live *live, int64_t age_ms);
/* Forgets all targets: the sensor has ended. */
void live_forget(struct live *live);
void live_done(struct live *live);
/*
 * The sum of a member of the target's rows over its sockets, in one scope or in those that add up (-1), of
 * its finite values; NAN: there are none. `present`: only rows of its last tick.
 */
#define LIVE_SUM(target, scope, present, member)                                                             \
	live_sum((target), (scope), (present), offsetof(struct live_row, member))
double live_sum(const struct live_target *target, int scope, bool present, size_t member);
/* Standard deviation of the sum of power_w over the scopes that add up, in its last tick; NAN: unknown. */
double live_sum_sd_w(const struct live_target *target);
/* A member by its offset. */
double live_value(const struct live_row *row, size_t member);
/* The sum of the sockets' errors, like that of their watts; NAN: there is none. */
double live_sum_errors(const struct live *live, unsigned scope);
/* The socket, GPU or package of the row with this index, -1: none. */
int live_number(const struct live *live, unsigned row);
/* Is it a row for the whole machine, measured or predicted, and not a target? */
bool live_is_machine(const struct live_target *target);
/* The newest of this name; NULL: none. */
const struct live_target *live_find(const struct live *live, const char *name);
