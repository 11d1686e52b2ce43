/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conservation: turns a formula's modelled watts into rows that add up to the measured power of each tick,
 * socket and scope. Pure; the only place that knows the static policies. Called by the server's loop once per
 * tick.
 */
#pragma once

#include "formula/formula.h"

/*
 * How the static power is divided. Dynamic and static are reported separately, so any policy can be
 * recomputed.
 */
enum conserve_static {
	CONSERVE_STATIC_PROPORTIONAL, /* by dynamic power (default) */
	CONSERVE_STATIC_NONE,         /* no one: its own row `idle` */
	CONSERVE_STATIC_EQUAL,        /* the same for each container with a row on that socket */
	CONSERVE_STATIC_QUOTA,        /* by CPU quota; the machine's CPU count if a container has none */
	CONSERVE_STATICS
};
/* "proportional", "none", "equal", "quota", NULL */
extern const char *const conserve_static_names[CONSERVE_STATICS + 1];

struct conserve_policy {
	enum conserve_static fixed;
	double n_cpus; /* for `quota`; 0: the tick's physical cores if known, else the largest quota */
};

/* Reserved targets beside the indices of tick->targets. */
enum { CONSERVE_SYSTEM = -1, CONSERVE_IDLE = -2, CONSERVE_RAPL = -3, CONSERVE_GLOBAL = -4 };

/* One power report without its names. Watts; error_w: NAN when unknown. */
struct conserve_row {
	int target; /* index into tick->targets, or CONSERVE_... */
	enum report_scope scope;
	unsigned
		socket; /* index into tick->sockets; of the scopes from REPORT_SCOPES on: into tick->aparts */
	double power_w;
	double dynamic_w;
	double static_w;
	double ratio; /* power over the measured power; 1 for rapl and global */
	double energy_j;
	double error_w;
	double sd_w; /* standard deviation of power_w; NAN: unknown, or measured */
};

/* Reused from tick to tick; start with zeroes. Rows: by scope, then socket: rapl, global, targets, system,
 * idle. */
struct conserve_output {
	struct conserve_row *rows;
	unsigned n_rows;
	unsigned capacity;
	unsigned n_degraded; /* sockets whose modelled watts were absurd and were replaced by CPU time, in
				this tick */
	double *weights;
	unsigned weights_capacity;
};

/* Name of a reserved target, or the tick's own. */
const char *conserve_row_name(const struct tick *tick, const struct conserve_row *row);

/*
 * For each valid socket: power_i = dynamic_i + static_i, sum over targets, system and idle = measured. If the
 * result is final, its watts are passed on unchanged. 0 or -ENOMEM; does not allocate once warm.
 */
int conserve_apply(const struct tick *tick, const struct formula_result *result,
		   const struct conserve_policy *policy, struct conserve_output *output);
void conserve_output_done(struct conserve_output *output);
