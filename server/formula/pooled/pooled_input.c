/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tick's counts in the filters' form: rates in 1e9/s by socket and row, gaps filled with the container's
 * earlier ratios (or those of all), the rest of the machine as the last row, frequencies and occupancy.
 * Called once per tick.
 */
#include "formula/pooled/pooled.h"
#include "base/array.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define USUAL_IPC      1.3
#define REST_CORES     8
#define REST_PART      0.15 /* busy threads per core below which a machine is at rest */
#define BASE_MHZ       2200 /* if unknown */
#define BASE_LEAST_MHZ 100
#define BASE_MOST_MHZ  20000
#define LEAN_SLOWEST   0.005
#define LEAN_UNSURE    0.2
#define LEAN_LIMIT     1.5
#define LEAN_CALM      1.2
#define VECTOR_MOST    0.67 /* of all instructions: a fused one counts twice */
#define RATE_LIMIT     1e6  /* 1e15 events a second: more than any machine has */
#define POWER_LEAST_W  1e-9
#define POWER_LIMIT_W  2000 /* or five times the largest seen */

void pooled_input_init(struct pooled_input *input)
{
	*input = (struct pooled_input){
		.fleet = {1, 1, NAN, NAN, NAN}, .first_freq = NAN, .usual_ipc = USUAL_IPC};
}

void pooled_input_done(struct pooled_input *input)
{
	for (unsigned j = 0; j < TICK_FEATURES; j++) {
		free(input->rates[j]);
		free(input->calm[j]);
	}
	free(input->lean);
	free(input->present);
	free(input->core_w);
	free(input->records);
	free(input->partial);
}

static int reserve(struct pooled_input *input, const struct tick *tick, unsigned n_sockets)
{
	size_t rows = (size_t)tick->n_targets + 1, cells = rows * n_sockets;
	bool ok = true;

	if (rows > input->rows_capacity) {
		rows += rows / 2;
		ok = ARRAY_RESIZE(input->records, rows) && ARRAY_RESIZE(input->partial, rows);
		input->rows_capacity = ok ? (unsigned)rows : 0;
	}
	if (ok && cells > input->capacity) {
		cells += cells / 2;
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			ok = ok && ARRAY_RESIZE(input->rates[j], cells) &&
			     ARRAY_RESIZE(input->calm[j], cells);
		ok = ok && ARRAY_RESIZE(input->lean, cells) && ARRAY_RESIZE(input->present, cells) &&
		     ARRAY_RESIZE(input->core_w, cells);
		input->capacity = ok ? cells : 0;
	}
	return ok ? 0 : -ENOMEM;
}

/* 1e9 per second; NAN for missing, negative or absurd values. */
static double rate(double count, double interval_s)
{
	double value = count / interval_s * 1e-9;

	return value >= 0 && value < RATE_LIMIT ? value : NAN;
}

/* One target's rates on a socket, gaps filled; learns its ratios where it ran. */
static void fill(struct pooled_record *record, const double *fleet, double v[TICK_FEATURES])
{
	const double *known = isfinite(record->ratio[0]) ? record->ratio : fleet;
	double now[POOLED_RATIOS];

	if (!isfinite(v[TICK_CYCLES]))
		v[TICK_CYCLES] = isfinite(v[TICK_REF]) ? v[TICK_REF] * known[0]
				 : isfinite(v[TICK_INSTRUCTIONS])
					 ? v[TICK_INSTRUCTIONS] / fmax(known[1], 1e-9)
					 : 0;
	if (!isfinite(v[TICK_REF]))
		v[TICK_REF] = v[TICK_CYCLES] / fmax(known[0], 1e-9);
	now[0] = v[TICK_CYCLES] / fmax(v[TICK_REF], 1e-12);
	now[1] = v[TICK_INSTRUCTIONS] / fmax(v[TICK_CYCLES], 1e-12);
	now[2] = v[TICK_MISSES] / fmax(v[TICK_CYCLES], 1e-12);
	now[3] = v[TICK_VECTOR] / fmax(v[TICK_CYCLES], 1e-12);
	now[4] = v[TICK_EFFICIENT] / fmax(v[TICK_CYCLES], 1e-12);
	if (!isfinite(v[TICK_INSTRUCTIONS]))
		v[TICK_INSTRUCTIONS] = v[TICK_CYCLES] * known[1];
	if (!isfinite(v[TICK_MISSES]))
		v[TICK_MISSES] = isfinite(known[2]) ? v[TICK_CYCLES] * known[2] : 0;
	if (!isfinite(v[TICK_VECTOR]))
		v[TICK_VECTOR] = isfinite(known[3]) ? v[TICK_CYCLES] * known[3] : 0;
	if (!isfinite(v[TICK_EFFICIENT]))
		v[TICK_EFFICIENT] = isfinite(known[4]) ? v[TICK_CYCLES] * known[4] : 0;
	v[TICK_EFFICIENT] = fmin(v[TICK_EFFICIENT], v[TICK_CYCLES]);
	if (v[TICK_CYCLES] <= 1e-4)
		return;
	for (unsigned j = 0; j < POOLED_RATIOS; j++) {
		double fresh = isfinite(now[j]) ? fmin(now[j], 1e3) : known[j];
		double old = record->ratio[j];
		record->ratio[j] = isfinite(old) ? 0.8 * old + 0.2 * fresh : fresh;
	}
}

/* Measured power of a target's cores on a socket of the tick. */
static double core_power(const struct tick *tick, const struct tick_target *target, unsigned socket)
{
	const double watts =
		target->core_j && socket < TICK_SOCKETS_MAX ? target->core_j[socket] / tick->interval_s : NAN;

	return watts >= 0 && watts < POWER_LIMIT_W ? watts : NAN;
}

static void take_target(struct pooled *pooled, const struct tick *tick, unsigned i)
{
	struct pooled_input *input = &pooled->input;
	const struct tick_target *target = &tick->targets[i];
	struct pooled_record *record;

	input->records[i] =
		pooled_book_find(pooled, target->key, target->name, target->container_id, input->tick);
	pooled_book_know_image(pooled, input->records[i], target->image);
	input->partial[i] = target->partial;
	record = &pooled->book.records[input->records[i]];
	for (unsigned k = 0; k < input->n_sockets; k++) {
		size_t at = (size_t)k * input->n_rows + i;
		unsigned t = pooled->tick_socket[k];
		double v[TICK_FEATURES] = {0};
		input->present[at] = t < TICK_SOCKETS_MAX && ((target->present >> t) & 1);
		for (unsigned j = 0; j < TICK_FEATURES && input->present[at]; j++)
			v[j] = rate(target->counts[(size_t)t * TICK_FEATURES + j], tick->interval_s);
		input->has_instructions |= input->present[at] && isfinite(v[TICK_INSTRUCTIONS]);
		input->has_misses |= input->present[at] && isfinite(v[TICK_MISSES]);
		input->has_vector |= input->present[at] && isfinite(v[TICK_VECTOR]);
		if (input->present[at])
			fill(record, input->fleet, v);
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			input->rates[j][at] = v[j];
		input->core_w[at] = input->present[at] ? core_power(tick, target, t) : NAN;
		input->has_cores |= isfinite(input->core_w[at]);
	}
}

/* Totals that the machine does not report (cpu.stat has time only) are derived from those that it reports. */
static void fill_rest(struct pooled_input *input, size_t last, const bool *known)
{
	double *const *rates = input->rates;

	if (!known[TICK_CYCLES] && known[TICK_REF])
		rates[TICK_CYCLES][last] = rates[TICK_REF][last] * input->fleet[0];
	else if (!known[TICK_CYCLES] && known[TICK_INSTRUCTIONS])
		rates[TICK_CYCLES][last] = rates[TICK_INSTRUCTIONS][last] / fmax(input->fleet[1], 1e-9);
	if (!known[TICK_REF] && (known[TICK_CYCLES] || known[TICK_INSTRUCTIONS]))
		rates[TICK_REF][last] = rates[TICK_CYCLES][last] / fmax(input->fleet[0], 1e-9);
	if (!known[TICK_INSTRUCTIONS])
		rates[TICK_INSTRUCTIONS][last] = rates[TICK_CYCLES][last] * input->fleet[1];
	if (!known[TICK_MISSES])
		rates[TICK_MISSES][last] =
			isfinite(input->fleet[2]) ? rates[TICK_CYCLES][last] * input->fleet[2] : 0;
	if (!known[TICK_VECTOR])
		rates[TICK_VECTOR][last] =
			isfinite(input->fleet[3]) ? rates[TICK_CYCLES][last] * input->fleet[3] : 0;
	if (!known[TICK_EFFICIENT])
		rates[TICK_EFFICIENT][last] =
			isfinite(input->fleet[4]) ? rates[TICK_CYCLES][last] * input->fleet[4] : 0;
}

/* The machine less its targets, never below 0, as the last row. Returns the sums of all rows. */
static void take_rest(struct pooled_input *input, const struct tick_socket *socket, double interval_s,
		      unsigned k, double *ret_total)
{
	size_t first = (size_t)k * input->n_rows, last = first + input->n_rows - 1;
	bool known[TICK_FEATURES];

	for (unsigned j = 0; j < TICK_FEATURES; j++) {
		double sum = 0, all = rate(socket->counts[j], interval_s);
		for (size_t at = first; at < last; at++)
			sum += input->rates[j][at];
		known[j] = isfinite(all);
		input->rates[j][last] = all > sum ? all - sum : 0;
		ret_total[j] = sum;
		input->has_instructions |= j == TICK_INSTRUCTIONS && isfinite(all);
		input->has_misses |= j == TICK_MISSES && isfinite(all);
	}
	fill_rest(input, last, known);
	for (unsigned j = 0; j < TICK_FEATURES; j++)
		ret_total[j] += input->rates[j][last];
	input->present[last] = true;
	input->core_w[last] = NAN;
}

/* A row in which nearly all instructions are wide costs no more than one in which most of them are. */
static void limit_vectors(struct pooled_input *input)
{
	double *vectors = input->rates[TICK_VECTOR];
	const double *instructions = input->rates[TICK_INSTRUCTIONS];

	for (size_t at = 0; at < (size_t)input->n_rows * input->n_sockets && input->has_vector; at++)
		vectors[at] = fmin(vectors[at], VECTOR_MOST * instructions[at]);
}

static void learn_fleet(struct pooled_input *input, const double *total)
{
	double now[POOLED_RATIOS] = {total[TICK_CYCLES] / fmax(total[TICK_REF], 1e-12),
				     total[TICK_INSTRUCTIONS] / fmax(total[TICK_CYCLES], 1e-12),
				     total[TICK_MISSES] / fmax(total[TICK_CYCLES], 1e-12),
				     total[TICK_VECTOR] / fmax(total[TICK_CYCLES], 1e-12),
				     total[TICK_EFFICIENT] / fmax(total[TICK_CYCLES], 1e-12)};

	if (!(total[TICK_CYCLES] > 1e-3))
		return;
	for (unsigned j = 0; j < POOLED_RATIOS; j++) {
		if (!isfinite(input->fleet[j]))
			input->fleet[j] = now[j];
		input->fleet[j] += 0.1 * (fmin(now[j], 1e3) - input->fleet[j]);
	}
}

static bool is_package_power(double watts)
{
	return watts >= REPORT_MACHINE_W_LEAST && watts <= REPORT_MACHINE_W_MOST;
}

/* What the sensor reported of the machine; impossible values count as unknown. */
static void take_machine(struct pooled_input *input, const struct report_tick *said)
{
	double mhz = said->base_frequency_mhz;

	input->estimated = said->estimated;
	input->base_ghz = mhz >= BASE_LEAST_MHZ && mhz <= BASE_MOST_MHZ ? mhz * 1e-3 : 0;
	input->design_w = is_package_power(said->design_w) ? said->design_w : 0;
	input->limit_w = is_package_power(said->limit_w) ? said->limit_w : 0;
	input->idle_latency_us = said->idle_latency_us > 0 ? said->idle_latency_us : 0;
}

/* Occupancy, frequency and the number of cores. */
static void take_socket_state(struct pooled_input *input, const struct tick *tick,
			      const struct tick_socket *sockets, double total[][TICK_FEATURES])
{
	double base = input->base_ghz > 0 ? input->base_ghz : BASE_MHZ * 1e-3;
	double load[TICK_SOCKETS_MAX];

	for (unsigned k = 0; k < input->n_sockets; k++) {
		const struct tick_socket *socket = &sockets[k];
		double mperf = rate(socket->mperf, tick->interval_s),
		       aperf = rate(socket->aperf, tick->interval_s);
		double tsc = rate(socket->tsc, tick->interval_s);
		double ratio = aperf / mperf;
		input->freq[k] = ratio > 0.01 && ratio < 100 ? ratio : NAN;
		load[k] = mperf / base;
		input->busy[k] = total[k][TICK_REF] / (tsc > 0 ? tsc : base);
	}
	input->n_cores = tick->said.n_cores > 0 && tick->said.n_cores < 1e4
				 ? tick->said.n_cores
				 : pooled_cores_learn(&input->cores, tick->cpu_stride, input->n_sockets,
						      input->busy, load);
	for (unsigned k = 0; k < input->n_sockets; k++) {
		double pair = 2 * (input->busy[k] - input->n_cores) / fmax(input->busy[k], 1e-9);
		input->pair[k] = input->n_cores > 0 ? fmin(fmax(pair, 0), 1) : 0;
		/* The clock of an idle machine does not predict its clock under load: costs are then per
		 * cycle at the base clock. */
		if (!isfinite(input->first_freq) && isfinite(input->freq[k]))
			input->first_freq = pooled_input_rest(input, k) > 0.5 ? 1 : input->freq[k];
	}
}

double pooled_input_rest(const struct pooled_input *input, unsigned socket)
{
	double part = input->busy[socket] / (input->n_cores > 0 ? input->n_cores : REST_CORES);

	return exp(-pow(part / REST_PART, 2));
}

static void learn_usual_ipc(struct pooled_input *input, double total[][TICK_FEATURES])
{
	double cycles = 0, instructions = 0, rest = 1;

	for (unsigned k = 0; k < input->n_sockets; k++) {
		rest = fmin(rest, pooled_input_rest(input, k));
		cycles += total[k][TICK_CYCLES];
		instructions += total[k][TICK_INSTRUCTIONS];
	}
	if (!input->has_instructions || !(cycles > 0.1) || rest > 0.9 || input->usual_n >= 60)
		return;
	input->usual_n++;
	input->usual_ipc += fmax(1 / input->usual_n, 0.005) * (instructions / cycles - input->usual_ipc);
	input->usual_ipc = fmin(fmax(input->usual_ipc, 0.01), 20);
}

/*
 * How a container's own frequency differs from its socket's, without counter noise: the part of its changes
 * that does not look like jitter from tick to tick. A small lasting difference may be a slow core, which is
 * cheap, or the lower clock of wide vectors, which are costly: without variation only a count of the vector
 * instructions tells them apart, so without this count the difference matters little. With it, the difference
 * matters more than the prior of the exponent says, which constant loads do not correct.
 */
static double learn_lean(struct pooled_lean *lean, double value, double calmness, bool has_vector)
{
	double a, deviation, gain = 0, limit = has_vector ? 0 : LEAN_UNSURE * calmness, square, lasting;

	value = fmin(fmax(value, -LEAN_LIMIT), LEAN_LIMIT);
	lean->n++;
	deviation = value - lean->mean;
	lean->mean += fmax(1 / lean->n, LEAN_SLOWEST) * deviation;
	if (lean->n > 1) {
		double step = value - lean->last;
		a = fmax(1 / (lean->n - 1), LEAN_SLOWEST);
		lean->variance += a * (deviation * deviation - lean->variance);
		lean->jitter += a * (0.5 * step * step - lean->jitter);
	}
	lean->last = value;
	if (lean->n > 8 && lean->variance > 0)
		gain = fmin(fmax(1 - lean->jitter / lean->variance, 0), 1);
	square = lean->mean * lean->mean;
	lasting = limit > 0 && square > 0 ? lean->mean * square / (square + limit * limit) : lean->mean;
	if (has_vector)
		lasting *= 1 + LEAN_CALM * calmness;
	return lasting + gain * (value - lean->mean);
}

static void take_leans(struct pooled *pooled, double total[][TICK_FEATURES])
{
	struct pooled_input *input = &pooled->input;

	for (unsigned k = 0; k < input->n_sockets; k++) {
		const double *ref = input->rates[TICK_REF] + (size_t)k * input->n_rows;
		const double *cycles = input->rates[TICK_CYCLES] + (size_t)k * input->n_rows;
		double *lean = input->lean + (size_t)k * input->n_rows;
		double inverse = total[k][TICK_REF] / fmax(total[k][TICK_CYCLES], 1e-12);
		for (unsigned i = 0; i < input->n_rows; i++) {
			struct pooled_lean *state =
				&pooled->book.leans[(size_t)input->records[i] * input->n_sockets + k];
			lean[i] = ref[i] > 1e-4 && cycles[i] > 1e-4
					  ? learn_lean(state, log(cycles[i] / ref[i] * inverse),
						       input->calmness, input->has_vector)
					  : 0;
		}
	}
}

static void take_power(struct pooled_input *input, const struct tick *tick, const struct tick_socket *sockets)
{
	for (unsigned cell = 0; cell < REPORT_SCOPES * input->n_sockets; cell++) {
		unsigned scope = cell / input->n_sockets, k = cell % input->n_sockets;
		double *largest = &input->power_max_w[scope][k];
		double y = sockets[k].energy_j[scope] / (tick->interval_s + sockets[k].bridged_s[scope]);

		if (tick->reset || !(y > POWER_LEAST_W) || !(y < fmax(POWER_LIMIT_W, 5 * *largest)))
			y = NAN;
		else
			*largest = fmax(*largest, y);
		input->power_w[scope][k] = y;
		input->bridged[scope][k] = sockets[k].bridged_s[scope] > 0;
	}
}

/* The tick's sockets in the model's order; values of a socket that the tick lacks are unknown. */
static void order_sockets(const struct pooled *pooled, const struct tick *tick,
			  struct tick_socket *ret_sockets)
{
	static const struct tick_socket missing = {.energy_j = {NAN, NAN},
						   .aperf = NAN,
						   .mperf = NAN,
						   .tsc = NAN,
						   .counts = {NAN, NAN, NAN, NAN, NAN, NAN}};

	for (unsigned k = 0; k < pooled->n_packages; k++) {
		unsigned t = pooled->tick_socket[k];
		ret_sockets[k] = t < TICK_SOCKETS_MAX ? tick->sockets[t] : missing;
	}
}

int pooled_input_take(struct pooled *pooled, const struct tick *tick)
{
	struct pooled_input *input = &pooled->input;
	struct tick_socket sockets[TICK_SOCKETS_MAX];
	double total[TICK_SOCKETS_MAX][TICK_FEATURES], fleet[TICK_FEATURES] = {0};

	if (reserve(input, tick, pooled->n_packages) < 0 ||
	    pooled_book_reserve(&pooled->book, tick->n_targets + 1, pooled->n_packages) < 0)
		return -ENOMEM;
	order_sockets(pooled, tick, sockets);
	input->tick++;
	input->n_sockets = pooled->n_packages;
	input->n_rows = tick->n_targets + 1;
	input->has_cores = false;
	for (unsigned i = 0; i < tick->n_targets; i++)
		take_target(pooled, tick, i);
	input->records[tick->n_targets] = POOLED_SYSTEM;
	input->partial[tick->n_targets] = false;
	pooled->book.records[POOLED_SYSTEM].seen = input->tick;
	for (unsigned k = 0; k < input->n_sockets; k++) {
		take_rest(input, &sockets[k], tick->interval_s, k, total[k]);
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			fleet[j] += total[k][j];
	}
	limit_vectors(input);
	learn_fleet(input, fleet);
	take_machine(input, &tick->said);
	take_socket_state(input, tick, sockets, total);
	learn_usual_ipc(input, total);
	input->calmness = pooled_calm_measure(pooled);
	take_leans(pooled, total);
	pooled_calm_take(pooled, total);
	take_power(input, tick, sockets);
	return 0;
}
