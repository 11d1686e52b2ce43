/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservation: turns a formula's modelled watts into rows that add up to the measured power of each tick,
 * socket and scope. Pure; the only place that knows the static policies. Called by the server's loop once per
 * tick.
 */
#pragma once

#include "formula/formula.h"

/* Who carries the static power. Dynamic and static are reported apart, so any policy can be recomputed. */
enum share_static {
	SHARE_STATIC_PROPORTIONAL, /* by dynamic power (default) */
	SHARE_STATIC_NONE,         /* nobody: its own row `idle` */
	SHARE_STATIC_EQUAL,        /* the same for each container with a row on that socket */
	SHARE_STATIC_QUOTA,        /* by CPU quota; the machine's CPU count where a container has none */
	SHARE_STATICS
};
extern const char *const share_static_names[SHARE_STATICS]; /* "proportional", "none", "equal", "quota" */
/* 0 or -EINVAL. */
int share_static_parse(const char *text, enum share_static *ret_policy);

struct share_policy {
	enum share_static fixed;
	double n_cpus; /* for `quota`; 0: physical cores as far as the tick knows them, else the largest quota
			*/
};

/* Reserved targets beside the indices of tick->targets. */
enum { SHARE_SYSTEM = -1, SHARE_IDLE = -2, SHARE_RAPL = -3, SHARE_GLOBAL = -4 };

/* One power report without its names. Watts; error_w: NAN when unknown. */
struct share_row {
	int target; /* index into tick->targets, or SHARE_... */
	enum report_scope scope;
	unsigned socket; /* index into tick->sockets */
	double power_w;
	double dynamic_w;
	double static_w;
	double ratio; /* power over the measured power; 1 for rapl and global */
	double energy_j;
	double error_w;
};

/* Reused from tick to tick; start with zeroes. Rows: by scope, then socket: rapl, global, targets, system,
 * idle. */
struct share_output {
	struct share_row *rows;
	unsigned n_rows;
	unsigned capacity;
	unsigned n_degraded; /* sockets whose modelled watts were absurd and went by CPU time, in this tick */
	double *weights;
	unsigned weights_capacity;
};

/* Name of a reserved target, or the tick's own. */
const char *share_row_name(const struct tick *tick, const struct share_row *row);

/*
 * For each valid socket: power_i = dynamic_i + static_i, sum over targets, system and idle = measured. Where
 * the result is final its watts are passed on as they are. 0 or -ENOMEM; does not allocate once warm.
 */
int share_apply(const struct tick *tick, const struct formula_result *result,
		const struct share_policy *policy, struct share_output *output);
void share_output_done(struct share_output *output);
