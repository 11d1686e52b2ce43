/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One scope's bank of filters: its memory, one tick's update, its drift over time and its guard. If a value
 * is no longer a number, the bank restarts, and the restart is counted.
 */
#include "formula/pooled/pooled.h"
#include "base/array.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MEMORY 0.998
#define REMOTE_PRIOR  (-60.) /* log weight of members with remote slopes: they need much evidence */
#define FULL_ACTIVITY 0.02   /* of the machine's power; above this, a container ages fully */
#define DRIFT_COST    5e-4
#define DRIFT_POWER   1e-3
#define DRIFT_KAPPA   3e-4
#define DRIFT_STATIC  3e-4
#define DRIFT_REMOTE  4e-4
#define SLOW_TICKS    40.
#define ERROR_MIX     0.05
#define MEMBER_MIX    0.02
#define STATE_MOST    1e5 /* W, nJ or a factor; above this, a stored state would not recover */
#define SIZE_STEP     8   /* states that memory grows by; a multiple of 4 */

/* Moves a member's state to larger memory with a wider row stride. */
static void move_member(struct pooled_member *member, double *p, double *x, unsigned size, unsigned old_size)
{
	for (unsigned i = 0; i < old_size; i++)
		memcpy(p + (size_t)i * size, member->p + (size_t)i * old_size, old_size * sizeof(*p));
	if (old_size)
		memcpy(x, member->x, old_size * sizeof(*x));
	member->p = p;
	member->x = x;
}

int pooled_filter_fit(struct pooled_filter *filter, unsigned n_states)
{
	unsigned size = (n_states + SIZE_STEP - 1) / SIZE_STEP * SIZE_STEP;
	size_t square = (size_t)size * size;
	double *memory, *at;

	if (size <= filter->size)
		return 0;
	memory = at = calloc(filter->n_members * (square + size) + 3 * (size_t)size, sizeof(*at));
	if (!memory)
		return -ENOMEM;
	for (unsigned m = 0; m < filter->n_members; m++, at += square + size)
		move_member(&filter->members[m], at, at + square, size, filter->size);
	filter->h = at;
	filter->ph = at + size;
	filter->scale = at + 2 * (size_t)size;
	filter->size = size;
	free(filter->memory);
	filter->memory = memory;
	return 0;
}

int pooled_filter_init(struct pooled_filter *filter, enum report_scope scope, unsigned n_sockets)
{
	*filter = (struct pooled_filter){.scope = scope, .n_sockets = n_sockets};
	pooled_start_assume(filter);
	filter->n_fixed = POOLED_COMMON + POOLED_STATIC * n_sockets;
	memset(filter->slot_record, -1, sizeof(filter->slot_record));
	return pooled_filter_fit(filter, filter->n_fixed);
}

void pooled_filter_done(struct pooled_filter *filter)
{
	free(filter->memory);
	free(filter->slot);
	free(filter->cost);
	free(filter->weight);
	free(filter->alarm);
	free(filter->moved);
	free(filter->dynamic);
	free(filter->doubt);
	*filter = (struct pooled_filter){0};
}

/* The largest number of states that this tick can use: a slot is assigned only if no lower one is free. */
static unsigned states_wanted(const struct pooled *pooled, const struct pooled_filter *filter)
{
	unsigned top = 0, slots = 0;

	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++) {
		slots += filter->slot_record[slot] >= 0;
		top = filter->slot_record[slot] >= 0 ? slot + 1 : top;
	}
	for (unsigned i = 0; i < pooled->input.n_rows; i++)
		slots += pooled->book.records[pooled->input.records[i]].slot[filter->scope] < 0;
	slots = slots < top ? top : slots;
	return filter->n_fixed + (slots < POOLED_SLOTS ? slots : POOLED_SLOTS) * filter->slot_width;
}

static int reserve(const struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	bool ok = pooled_filter_fit(filter, states_wanted(pooled, filter)) == 0;

	if (ok && input->n_rows > filter->rows_capacity) {
		size_t rows = input->rows_capacity;
		ok = ARRAY_RESIZE(filter->slot, rows) && ARRAY_RESIZE(filter->cost, rows) &&
		     ARRAY_RESIZE(filter->weight, rows) && ARRAY_RESIZE(filter->alarm, rows);
		filter->rows_capacity = ok ? (unsigned)rows : 0;
	}
	if (ok && (size_t)input->n_rows * input->n_sockets > filter->cells_capacity) {
		ok = ARRAY_RESIZE(filter->moved, input->capacity) &&
		     ARRAY_RESIZE(filter->dynamic, input->capacity) &&
		     ARRAY_RESIZE(filter->doubt, input->capacity);
		filter->cells_capacity = ok ? input->capacity : 0;
	}
	return ok ? 0 : -ENOMEM;
}

double pooled_filter_mean(const struct pooled_filter *filter, unsigned state)
{
	double sum = 0;

	for (unsigned m = 0; m < filter->n_members; m++)
		sum += filter->weights[m] * filter->members[m].x[state];
	return sum;
}

static bool member_speaks(const struct pooled_filter *filter, unsigned m)
{
	return !filter->members[m].assumed.predicts_only;
}

static void weigh(struct pooled_filter *filter)
{
	double most = -INFINITY, sum = 0;

	for (unsigned m = 0; m < filter->n_members; m++) {
		const struct pooled_member *member = &filter->members[m];
		filter->weights[m] = member->log_weight + (member->assumed.remote ? REMOTE_PRIOR : 0);
		if (member_speaks(filter, m))
			most = fmax(most, filter->weights[m]);
	}
	for (unsigned m = 0; m < filter->n_members; m++) {
		filter->weights[m] = member_speaks(filter, m) ? exp(filter->weights[m] - most) : 0;
		sum += filter->weights[m];
	}
	for (unsigned m = 0; m < filter->n_members; m++)
		filter->weights[m] /= sum;
}

static void forget_weights(struct pooled_filter *filter)
{
	double most = -INFINITY;

	for (unsigned m = 0; m < filter->n_members; m++)
		most = fmax(most, filter->members[m].log_weight);
	for (unsigned m = 0; m < filter->n_members; m++)
		filter->members[m].log_weight = WEIGHT_MEMORY * (filter->members[m].log_weight - most);
}

/* Each row's watts by the common costs alone. They decide which rows get a slot, and how much each factor
 * ages. */
static void estimate_costs(const struct pooled_input *input, struct pooled_filter *filter, double power_sum)
{
	double b[POOLED_COMMON];

	for (unsigned j = 0; j < POOLED_COMMON; j++)
		b[j] = pooled_filter_mean(filter, j);
	memset(filter->cost, 0, input->n_rows * sizeof(*filter->cost));
	for (unsigned k = 0; k < input->n_sockets; k++) {
		for (unsigned i = 0; i < input->n_rows; i++) {
			size_t at = (size_t)k * input->n_rows + i;
			double cycles = input->rates[TICK_CYCLES][at], misses = input->rates[TICK_MISSES][at];
			double instructions = input->rates[TICK_INSTRUCTIONS][at];
			if (filter->scope == REPORT_SCOPE_CPU)
				filter->cost[i] += b[0] * cycles + b[2] * misses +
						   b[POOLED_B3] * input->rates[TICK_VECTOR][at] +
						   b[POOLED_B4] * input->rates[TICK_EFFICIENT][at] +
						   b[1] * (instructions - input->usual_ipc * cycles);
			else
				filter->cost[i] += b[0] * misses + b[1] * instructions + b[2] * cycles;
		}
	}
	for (unsigned i = 0; i < input->n_rows; i++)
		filter->weight[i] = fmin(fmax(filter->cost[i] / fmax(FULL_ACTIVITY * power_sum, 1e-9), 0), 1);
}

static void add_variance(const struct pooled_filter *filter, struct pooled_member *member, unsigned state,
			 double sd)
{
	member->p[(size_t)state * filter->size + state] += sd * sd;
}

/* Factors return to their prior as their container works: x and its covariances shrink, the lost variance
 * comes back. */
static void drift_factors(const struct pooled_input *input, struct pooled_filter *filter,
			  struct pooled_member *member)
{
	double scale = pooled_slots_scale(filter, member), sd = pooled_slots_spread(filter) * scale;

	for (unsigned j = 0; j < member->n_used; j++)
		filter->scale[j] = 1;
	for (unsigned i = 0; i < input->n_rows; i++) {
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * member->width;
		if (filter->slot[i] < 0)
			continue;
		filter->scale[j] = sqrt(fmax(1 - 2 * member->assumed.factor_drift * filter->weight[i], 0));
		member->x[j] *= filter->scale[j];
	}
	pooled_matrix_scale(member->p, filter->size, member->n_used, filter->scale);
	for (unsigned i = 0; i < input->n_rows; i++) {
		unsigned j = filter->n_fixed + (unsigned)filter->slot[i] * member->width;
		if (filter->slot[i] < 0)
			continue;
		add_variance(filter, member, j, sd * sqrt(1 - filter->scale[j] * filter->scale[j]));
		if (member->assumed.remote)
			add_variance(filter, member, j + 1, DRIFT_REMOTE * scale * sqrt(filter->weight[i]));
	}
}

static void drift(const struct pooled_input *input, struct pooled_filter *filter, const double *power_w)
{
	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		double cost = member->x[POOLED_B0];
		add_variance(filter, member, POOLED_B0, DRIFT_COST * cost);
		if (filter->scope == REPORT_SCOPE_CPU) {
			add_variance(filter, member, POOLED_B1,
				     0.5 * DRIFT_COST * cost / fmax(input->usual_ipc, 0.1));
			add_variance(filter, member, POOLED_B3, 0.5 * DRIFT_COST * cost);
			add_variance(filter, member, POOLED_B4, 0.5 * DRIFT_COST * cost);
			add_variance(filter, member, POOLED_POWER, DRIFT_POWER);
			add_variance(filter, member, POOLED_KAPPA, DRIFT_KAPPA);
		}
		for (unsigned k = 0; k < filter->n_sockets; k++) {
			unsigned j = POOLED_COMMON + POOLED_STATIC * k;
			add_variance(filter, member, j + POOLED_S0, DRIFT_STATIC * power_w[k]);
			add_variance(filter, member, j + POOLED_S1, 0.3 * DRIFT_STATIC * power_w[k]);
		}
		drift_factors(input, filter, member);
	}
}

/* Where events are rare, each costs far more than a cycle. */
static bool sane(const struct pooled_filter *filter)
{
	const double most = STATE_MOST * fmax(filter->scale_of_cost.cost, 1);

	for (unsigned m = 0; m < filter->n_members; m++) {
		const struct pooled_member *member = &filter->members[m];
		for (unsigned j = 0; j < member->n_used; j++) {
			double variance = member->p[(size_t)j * filter->size + j];
			if (!(fabs(member->x[j]) < most) || !(variance >= -1e-9) || !(variance < most * most))
				return false;
		}
	}
	return true;
}

/* Power of all sockets, gaps filled. False until something was measured. */
static bool fill_power(const struct pooled_input *input, const struct pooled_filter *filter,
		       double *ret_power_w)
{
	double sum = 0, n = 0;

	for (unsigned k = 0; k < filter->n_sockets; k++) {
		double y = input->power_w[filter->scope][k];
		sum += isfinite(y) ? y : 0;
		n += isfinite(y);
	}
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		double y = input->power_w[filter->scope][k];
		if (!isfinite(y))
			y = filter->ready && isfinite(filter->last_w[k]) ? filter->last_w[k]
			    : n > 0                                      ? sum / n
									 : NAN;
		ret_power_w[k] = y;
	}
	return filter->ready || n > 0;
}

static void learn_errors(const struct pooled_input *input, struct pooled_filter *filter,
			 const double *power_w)
{
	for (unsigned k = 0; k < filter->n_sockets; k++) {
		double y = input->power_w[filter->scope][k], miss = fabs(y - filter->predicted_w[k]);
		double *error = &filter->error_w[k];
		for (unsigned m = 0; m < filter->n_members && isfinite(y); m++) {
			double own = fabs(y - filter->members[m].predicted_w[k]);
			filter->members[m].error_w += MEMBER_MIX * (own - filter->members[m].error_w);
		}
		if (isfinite(miss))
			*error = isfinite(*error) ? *error + ERROR_MIX * (miss - *error) : miss;
		if (isfinite(power_w[k])) {
			filter->slow_w[k] += (power_w[k] - filter->slow_w[k]) * (1 - exp(-1 / SLOW_TICKS));
			filter->last_w[k] = power_w[k];
		}
	}
}

static void restart(struct pooled *pooled, struct pooled_filter *filter)
{
	filter->n_restarts++;
	memset(filter->core_sum, 0, sizeof(filter->core_sum));
	memset(filter->model_sum, 0, sizeof(filter->model_sum));
	filter->ready = false;
	pooled_slots_clear(filter, &pooled->book);
}

/* No model: no prediction and no watts, so that conservation falls back to CPU time. */
static void answer_nothing(const struct pooled_input *input, struct pooled_filter *filter)
{
	for (size_t at = 0; at < (size_t)input->n_rows * input->n_sockets; at++)
		filter->dynamic[at] = filter->doubt[at] = NAN;
	for (unsigned k = 0; k < filter->n_sockets; k++)
		filter->predicted_w[k] = filter->static_w[k] = filter->doubt_w[k] = NAN;
}

static void follow_machine(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	bool cores = filter->scope == REPORT_SCOPE_CPU && filter->n_cores > 0 &&
		     !pooled_cores_alike(input->n_cores, filter->n_cores);

	if (filter->ready && (cores || filter->with_misses != input->has_misses ||
			      filter->with_instructions != input->has_instructions))
		restart(pooled, filter);
	filter->n_cores = input->n_cores;
}

/* Updates from the power of each socket, and from that of single targets' cores. */
static void update(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;

	for (unsigned k = 0; k < filter->n_sockets; k++) {
		if (!isfinite(input->power_w[filter->scope][k]) || input->bridged[filter->scope][k])
			continue;
		pooled_measure_update(pooled, filter, k);
		pooled_measure_cores(pooled, filter, k);
		filter->n_samples++;
	}
}

int pooled_filter_run(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	double power_w[TICK_SOCKETS_MAX], power_sum = 0;
	bool first;

	if (reserve(pooled, filter) < 0)
		return -ENOMEM;
	follow_machine(pooled, filter);
	if (!fill_power(input, filter, power_w)) {
		answer_nothing(input, filter);
		return 0;
	}
	first = !filter->ready;
	if (first)
		pooled_start(pooled, filter, power_w);
	filter->tick++;
	for (unsigned k = 0; k < filter->n_sockets; k++)
		power_sum += power_w[k];
	weigh(filter);
	estimate_costs(input, filter, power_sum);
	pooled_slots_assign(pooled, filter);
	/*
	 * Rows differ from tick to tick: alarms of the last tick do not apply, and a stored state has none.
	 */
	memset(filter->alarm, 0, input->n_rows);
	pooled_measure_predict(pooled, filter);
	drift(input, filter, power_w);
	pooled_signature_check(pooled, filter);
	update(pooled, filter);
	for (unsigned k = 0; k < filter->n_sockets && first; k++)
		filter->predicted_w[k] = NAN; /* was based on this tick's own power */
	if (!sane(filter)) {
		restart(pooled, filter);
		answer_nothing(input, filter);
		return 0;
	}
	forget_weights(filter);
	weigh(filter);
	pooled_output_fill(pooled, filter);
	pooled_core_apply(input, filter);
	pooled_doubt_fill(pooled, filter);
	learn_errors(input, filter, power_w);
	pooled_predict_learn(input, filter);
	pooled_slots_learn_spread(filter);
	if (filter->scope == REPORT_SCOPE_CPU && pooled_scale_learn(input, filter))
		restart(pooled, filter);
	return 0;
}
