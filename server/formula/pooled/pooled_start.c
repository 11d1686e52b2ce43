/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Initial state of the filters: the bank's assumptions and the priors. General knowledge about processors (a
 * cycle costs 0.2 to 5 nJ, the first busy core adds 0.03 to 0.8 of the idle power) is used if the first tick
 * shows a machine at rest; a machine at work reveals more itself.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define COST_LEAST   0.2  /* nJ per cycle */
#define COST_REST    1.2  /* at most, if a machine at rest does not show it: 0.5 to 3 were measured */
#define COST_WORK    2.5  /* at most, if it is at work */
#define DYNAMIC_PART 0.55 /* of the power of a machine at work */
/* Relative to the cost of a cycle: the cost of an instruction beyond the usual number, times that number; the
 * extra cost of a vector instruction. */
#define INSTRUCTION_PART    0.4
#define INSTRUCTION_PART_SD 0.25
#define VECTOR_PART         0.7
#define VECTOR_PART_SD      0.3
/* Saving of a cycle on an efficient core compared with a fast core at the same clock. */
#define EFFICIENT_SAVES    0.5
#define EFFICIENT_SAVES_SD 0.25
/* A socket at rest, relative to its power: the permanent part, and the part that the first busy core adds. */
#define REST_STATIC    0.75
#define REST_STATIC_SD 0.3
#define REST_STEP      0.4
#define REST_STEP_SD   0.8

/* If even the deepest idle state in use is left within this time, the package cannot sleep. */
#define SHALLOW_US        20
#define SHALLOW_STATIC    0.85
#define SHALLOW_STATIC_SD 0.25
#define SHALLOW_STEP      0.06
#define SHALLOW_STEP_SD   0.3
/* All cores at work at the base clock take this part of the design power, a limit that differs between
 * models. */
#define DESIGN_PART       0.65
#define DESIGN_PART_SD    0.2
#define DESIGN_COST_LEAST 0.3 /* nJ per cycle; outside of these the design power is not this machine's */
#define DESIGN_COST_MOST  4
#define DESIGN_SURE       0.4 /* of the cost, at best */
#define DESIGN_STATIC     1.3 /* of the power at rest, once everything is awake */

/*
 * A member that follows the total closely lets its noise shrink and learns too much from noisy counts to be
 * used for attribution: a small error of the total does not mean that its parts are right.
 */
static const struct pooled_assumption cpu_bank[] = {
	{.factor_drift = 1e-4,
	 .step_threads = 0.65,
	 .counts_noise = 0.08,
	 .least_noise = 1,
	 .static_mean = 0.3,
	 .static_sd = 0.1},
	{.factor_drift = 1e-4,
	 .step_threads = 0.65,
	 .predicts_only = true,
	 .counts_noise = 0.012,
	 .least_noise = 0.2,
	 .static_mean = 0.35,
	 .static_sd = 0.2},
};
static const struct pooled_assumption dram_member = {.factor_drift = 2e-4,
						     .counts_noise = 0.04,
						     .least_noise = 0.4,
						     .static_mean = 0.35,
						     .static_sd = 0.2};

void pooled_start_assume(struct pooled_filter *filter)
{
	static const double steps[] = {0.2, 0.5, 1, 2};
	bool cpu = filter->scope == REPORT_SCOPE_CPU;

	filter->n_members = cpu ? 2 : filter->n_sockets > 1 ? 8 : 4;
	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_assumption *assumed = &filter->members[m].assumed;
		*assumed = cpu ? cpu_bank[m] : dram_member;
		filter->members[m].width = !cpu && m >= 4 ? 2 : 1;
		if (cpu)
			continue;
		assumed->step_threads = steps[m % 4];
		assumed->remote = m >= 4;
	}
	filter->slot_width = !cpu && filter->n_sockets > 1 ? 2 : 1;
}

static void set(struct pooled_filter *filter, unsigned state, double mean, double sd)
{
	for (unsigned m = 0; m < filter->n_members; m++) {
		filter->members[m].x[state] = mean;
		filter->members[m].p[(size_t)state * filter->size + state] = sd * sd;
	}
}

void pooled_start_efficient(struct pooled_filter *filter)
{
	for (unsigned m = 0; m < filter->n_members && filter->scope == REPORT_SCOPE_CPU; m++) {
		struct pooled_member *member = &filter->members[m];
		const double b0 = member->x[POOLED_B0], sd = EFFICIENT_SAVES_SD * b0;

		member->x[POOLED_B4] = -EFFICIENT_SAVES * b0;
		member->p[(size_t)POOLED_B4 * filter->size + POOLED_B4] = sd * sd;
	}
}

static double blend(double rest, double at_rest, double at_work)
{
	return rest * at_rest + (1 - rest) * at_work;
}

static void start_common_cpu(struct pooled_filter *filter, double power, double cycles, double ipc,
			     double rest)
{
	double most = blend(rest, COST_REST, COST_WORK), shown = filter->scale_of_cost.cost;
	double b0 = shown > 0    ? shown
		    : cycles > 0 ? fmin(fmax(DYNAMIC_PART * power / cycles, COST_LEAST), most)
				 : COST_REST;

	set(filter, POOLED_B0, b0, blend(rest, 0.5, 0.8) * b0);
	set(filter, POOLED_B1, INSTRUCTION_PART * b0 / ipc, INSTRUCTION_PART_SD * b0 / ipc);
	set(filter, POOLED_B2, 10, 10);
	set(filter, POOLED_B3, VECTOR_PART * b0, VECTOR_PART_SD * b0);
	pooled_start_efficient(filter);
	set(filter, POOLED_POWER, 0.8, 0.18);
	set(filter, POOLED_KAPPA, 0.38, 0.12);
}

static void start_common_dram(struct pooled_filter *filter)
{
	bool misses = filter->with_misses;

	set(filter, POOLED_B0, misses ? 40 : 0, misses ? 40 : 0);
	set(filter, POOLED_B1, misses ? 0.001 : 0.1, misses ? 0.003 : 0.3);
	set(filter, POOLED_B2, misses ? 0.001 : 0.3, misses ? 0.003 : 1);
}

static void start_static(struct pooled_filter *filter, unsigned socket, double y, double rest, bool shallow)
{
	bool cpu = filter->scope == REPORT_SCOPE_CPU;
	double rest_static = shallow ? SHALLOW_STATIC : REST_STATIC;
	double rest_static_sd = shallow ? SHALLOW_STATIC_SD : REST_STATIC_SD;
	double rest_step = shallow ? SHALLOW_STEP : REST_STEP,
	       rest_step_sd = shallow ? SHALLOW_STEP_SD : REST_STEP_SD;
	unsigned j = POOLED_COMMON + POOLED_STATIC * socket;

	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		double sd = blend(rest, rest_static_sd, member->assumed.static_sd) * y;
		member->x[j + POOLED_S0] = blend(rest, rest_static, member->assumed.static_mean) * y;
		member->p[(size_t)(j + POOLED_S0) * (filter->size + 1)] = sd * sd;
	}
	set(filter, j + POOLED_S1, (cpu ? blend(rest, rest_step, 0.08) : 0.1) * y,
	    (cpu ? blend(rest, rest_step_sd, 0.1) : 0.1) * y);
	set(filter, j + POOLED_SL, cpu ? 0.02 : 0, cpu ? 0.02 : 0);
	set(filter, j + POOLED_SF, cpu ? 0.05 * y : 0, cpu ? 0.03 * y : 0);
	filter->slow_w[socket] = filter->slow_first_w[socket] = y;
	filter->last_w[socket] = NAN;
	filter->error_w[socket] = NAN;
}

/* If the cost of a cycle had to be learnt, the machine's least power is known as well: the static part is no
 * larger. */
static double least_known_w(const struct pooled_filter *filter, unsigned socket, double power_w)
{
	const double least_w = filter->trend.least_w[socket];

	return filter->scale_of_cost.cost > 0 && least_w > 0 ? fmin(least_w, power_w) : power_w;
}

/*
 * The cost of a cycle if all cores took the design power at the base clock: a machine at rest does not show
 * it. Only the prior's mean follows, because the design power may not be this machine's.
 */
static void start_from_design(const struct pooled_input *input, struct pooled_filter *filter, double static_w,
			      double rest)
{
	const double clock = 1 / (isfinite(input->first_freq) ? input->first_freq : 1);
	const double cycles = input->n_cores * input->base_ghz;
	double cost = (DESIGN_PART * input->design_w - static_w) / cycles,
	       sd = DESIGN_PART_SD * input->design_w / cycles;

	/* A cost that was measured on this machine is better than one from its design power. */
	if (!(input->design_w > 0) || !(cycles > 0) || filter->scale_of_cost.cost > 0)
		return;
	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		double *b0 = &member->x[POOLED_B0],
		       *variance = &member->p[(size_t)POOLED_B0 * (filter->size + 1)];
		double g = pow(clock, member->x[POOLED_POWER]), weight;
		if (!(cost / g >= DESIGN_COST_LEAST) || !(cost / g <= DESIGN_COST_MOST))
			continue;
		weight = rest * *variance / (*variance + pow(sd / g, 2));
		*b0 += weight * (cost / g - *b0);
		*variance = fmax((1 - weight) * *variance, pow(DESIGN_SURE * *b0, 2));
	}
}

/*
 * A machine at rest does not show what a cycle costs, and the other costs are guessed as parts of it: they
 * follow as it is learnt.
 */
static void tie_costs(struct pooled_filter *filter, double ipc, double rest)
{
	static const unsigned states[] = {POOLED_B1, POOLED_B3, POOLED_B4};
	const double parts[] = {INSTRUCTION_PART / ipc, VECTOR_PART, -EFFICIENT_SAVES};
	const double sds[] = {INSTRUCTION_PART_SD / ipc, VECTOR_PART_SD, EFFICIENT_SAVES_SD};

	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		double *p = member->p, b0 = member->x[POOLED_B0];
		const double shared = rest * p[(size_t)POOLED_B0 * (filter->size + 1)];

		for (unsigned i = 0; i < 3; i++) {
			double *row = p + (size_t)states[i] * filter->size;

			member->x[states[i]] = parts[i] * b0;
			for (unsigned j = 0; j < 3; j++)
				row[states[j]] = parts[i] * parts[j] * shared;
			row[states[i]] += pow(sds[i] * b0, 2);
			row[POOLED_B0] = parts[i] * shared;
			p[(size_t)POOLED_B0 * filter->size + states[i]] = parts[i] * shared;
		}
	}
}

void pooled_start(struct pooled *pooled, struct pooled_filter *filter, const double *power_w)
{
	const struct pooled_input *input = &pooled->input;
	bool shallow = input->idle_latency_us > 0 && input->idle_latency_us <= SHALLOW_US;
	double cycles = 0, power = 0, rest = 0, ipc = fmax(input->usual_ipc, 0.1);

	filter->with_misses = input->has_misses;
	filter->with_instructions = input->has_instructions;
	filter->n_cores = input->n_cores;
	pooled_slots_clear(filter, &pooled->book);
	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		memset(member->x, 0, filter->size * sizeof(*member->x));
		memset(member->p, 0, (size_t)filter->size * filter->size * sizeof(*member->p));
		member->noise[0] = member->noise[1] = 1;
		member->log_weight = 0;
		member->error_w = 0;
		memset(member->outlier, 0, sizeof(member->outlier));
	}
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		power += power_w[k] / filter->n_sockets;
		rest += pooled_input_rest(input, k) / filter->n_sockets;
		for (unsigned i = 0; i < input->n_rows; i++)
			cycles +=
				input->rates[TICK_CYCLES][(size_t)k * input->n_rows + i] / filter->n_sockets;
	}
	if (filter->scope == REPORT_SCOPE_CPU)
		start_common_cpu(filter, power, cycles, ipc, rest);
	else
		start_common_dram(filter);
	for (unsigned k = 0; k < filter->n_sockets; k++)
		start_static(filter, k, least_known_w(filter, k, power_w[k]), pooled_input_rest(input, k),
			     shallow);
	filter->spread = 0;
	pooled_predict_start(filter);
	filter->tick = 0;
	filter->pair_slope[0] = -0.3 * 20 * 0.02;
	filter->pair_slope[1] = 20 * 0.02;
	if (!pooled_taught_start(pooled, filter) && filter->scope == REPORT_SCOPE_CPU) {
		start_from_design(input, filter, DESIGN_STATIC * power, rest);
		tie_costs(filter, ipc, rest);
	}
	filter->ready = true;
}
