/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares measured energy that no formula models. A GPU's idle part is shared by the static policy, the rest
 * by time of work; if no time is known, it belongs to the system. Called by machine.c.
 */
#include "formula/apart.h"

#include <math.h>
#include <string.h>

/* A GPU that worked for a smaller part of a tick than this was idle. */
#define CALM_SHARE 0.005
/* Once known, the idle power follows by this part of the difference in each tick: boards warm up. */
#define IDLE_GAIN 0.05

/* One domain at work. */
struct domain {
	const struct tick *tick;
	const struct conserve_policy *policy;
	struct conserve_output *output;
	unsigned index; /* into tick->aparts */
	double watts, static_w;
};

static struct conserve_row *add_row(const struct domain *domain, int target, double dynamic_w,
				    double static_w)
{
	struct conserve_output *output = domain->output;
	struct conserve_row *row = &output->rows[output->n_rows++];

	*row = (struct conserve_row){.target = target,
				     .scope = domain->tick->aparts[domain->index].scope,
				     .socket = domain->index,
				     .power_w = dynamic_w + static_w,
				     .dynamic_w = dynamic_w,
				     .static_w = static_w,
				     .energy_j = (dynamic_w + static_w) * domain->tick->interval_s,
				     .error_w = NAN,
				     .sd_w = NAN};
	row->ratio = target == CONSERVE_RAPL ? 1 : domain->watts > 0 ? row->power_w / domain->watts : 0;
	return row;
}

/*
 * Shares dynamic power by `dynamic` and static power by `fixed`; the last index is the system. Dynamic power
 * without a user belongs to the system, static power without one is idle.
 */
static void share(const struct domain *domain, const double *dynamic, const double *fixed)
{
	const unsigned n = domain->tick->n_targets;
	const double dynamic_w = domain->watts - domain->static_w;
	double dynamic_sum = 0, fixed_sum = 0;

	for (unsigned i = 0; i <= n; i++) {
		dynamic_sum += dynamic[i];
		fixed_sum += fixed[i];
	}
	add_row(domain, CONSERVE_RAPL, dynamic_w, domain->static_w);
	for (unsigned i = 0; i <= n; i++) {
		const double rest = i == n ? 1 : 0;
		const double part = dynamic_sum > 0 ? dynamic[i] / dynamic_sum : rest;

		if (i < n && !(dynamic[i] > 0) && !(fixed[i] > 0))
			continue;
		add_row(domain, i < n ? (int)i : CONSERVE_SYSTEM, dynamic_w * part,
			fixed_sum > 0 ? domain->static_w * (fixed[i] / fixed_sum) : 0);
	}
	if (!(fixed_sum > 0) && domain->static_w > 0)
		add_row(domain, CONSERVE_IDLE, 0, domain->static_w);
}

/* Learns the GPU's idle power from a tick. Returns how much of the tick's power is idle power. */
static double idle_of(struct apart_idle *idle, const struct tick *tick, const struct tick_apart *gpu,
		      double watts)
{
	const double work_s = gpu->work_ns * 1e-9;
	struct apart_gpu *kept;

	if (gpu->number >= TICK_NUMBERS_MAX)
		return 0;
	kept = &idle->gpus[gpu->number];
	if (kept->n++ == 0 || watts < kept->least_w)
		kept->least_w = watts;
	if (work_s <= CALM_SHARE * tick->interval_s) {
		const double n = (double)++kept->n_calm;

		kept->idle_w += fmax(IDLE_GAIN, 1 / n) * (watts - kept->idle_w);
	}
	/* Until the GPU was seen idle, all that is known is that its idle power is below the least power
	 * seen. */
	return fmin(kept->idle_w > 0 ? kept->idle_w : kept->least_w / 2, watts);
}

static void share_gpu(const struct domain *domain)
{
	const struct tick *tick = domain->tick;
	const struct tick_apart *gpu = &tick->aparts[domain->index];
	const unsigned n = tick->n_targets;
	double *dynamic = domain->output->weights, *fixed = dynamic + n + 1, sum = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct tick_target *target = &tick->targets[i];

		dynamic[i] = target->work_ns[domain->index];
		sum += dynamic[i];
		fixed[i] = domain->policy->fixed == CONSERVE_STATIC_NONE || !(dynamic[i] > 0) ? 0
			   : domain->policy->fixed == CONSERVE_STATIC_PROPORTIONAL            ? dynamic[i]
			   : domain->policy->fixed == CONSERVE_STATIC_EQUAL                   ? 1
			   : target->cpu_quota > 0 ? target->cpu_quota
						   : fmax(domain->policy->n_cpus, 1);
	}
	dynamic[n] = gpu->work_ns > sum ? gpu->work_ns - sum : 0;
	fixed[n] = domain->policy->fixed == CONSERVE_STATIC_PROPORTIONAL ? dynamic[n] : 0;
	share(domain, dynamic, fixed);
}

/* The platform's power is shared like the watts of its parts, those of system and idle included. */
static void share_platform(struct domain *domain)
{
	const struct conserve_output *output = domain->output;
	const unsigned n = domain->tick->n_targets;
	double *dynamic = output->weights, *fixed = dynamic + n + 1, idle_w = 0, dynamic_w = 0, static_w = 0;

	memset(dynamic, 0, 2 * ((size_t)n + 1) * sizeof(*dynamic));
	for (unsigned i = 0; i < output->n_rows; i++) {
		const struct conserve_row *row = &output->rows[i];
		const unsigned at = row->target >= 0 ? (unsigned)row->target : n;

		if (row->scope >= REPORT_SCOPES_ADDED || row->target == CONSERVE_RAPL ||
		    row->target == CONSERVE_GLOBAL)
			continue;
		if (row->target == CONSERVE_IDLE) {
			idle_w += row->static_w;
			continue;
		}
		dynamic[at] += fmax(row->dynamic_w, 0);
		fixed[at] += fmax(row->static_w, 0);
		dynamic_w += fmax(row->dynamic_w, 0);
		static_w += fmax(row->static_w, 0);
	}
	/* If static power is shared among nobody, the platform's is idle as well. */
	if (idle_w > 0)
		memset(fixed, 0, ((size_t)n + 1) * sizeof(*fixed));
	static_w += idle_w;
	domain->static_w = dynamic_w + static_w > 0 ? domain->watts * (static_w / (dynamic_w + static_w)) : 0;
	share(domain, dynamic, fixed);
}

void apart_apply(const struct tick *tick, const struct conserve_policy *policy, struct apart_idle *idle,
		 struct conserve_output *output)
{
	for (unsigned i = 0; i < tick->n_aparts; i++) {
		const struct tick_apart *apart = &tick->aparts[i];
		struct domain domain = {.tick = tick,
					.policy = policy,
					.output = output,
					.index = i,
					.watts = apart->energy_j / tick->interval_s};

		if (tick->reset || !(domain.watts >= 0) || !isfinite(domain.watts))
			continue;
		if (apart->scope == REPORT_SCOPE_GPU) {
			domain.static_w = idle_of(idle, tick, apart, domain.watts);
			share_gpu(&domain);
		} else if (apart->scope == REPORT_SCOPE_PLATFORM) {
			share_platform(&domain);
		} else {
			add_row(&domain, CONSERVE_RAPL, domain.watts, 0);
		}
	}
}
