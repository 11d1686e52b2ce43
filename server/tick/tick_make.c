/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Turns a gathered tick into flat arrays. Energy: the first CPU of each package that carries a RAPL event,
 * whatever the group's name (sensors that read several dies add them up; one that reads every CPU repeats the
 * same counter). Counts: summed over a package's CPUs. Called by machine.c; formulas see only the result.
 */
#include "tick/tick_make.h"
#include "base/array.h"
#include "tick/tick_apart.h"
#include "tick/tick_bridge.h"
#include "tick/tick_clock.h"
#include "tick/tick_names.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define TICK_COUNT_MAX     0x1p62 /* a larger value in one tick means that a counter went backwards */
#define TICK_KEYS_KEEP     4096
#define TICK_KEYS_AGE      300 /* ticks */
#define TICK_SOCKETS_AGE   300 /* ticks */
#define TICK_KEYS_INTERVAL 100 /* ticks between two expiries */

struct tick_maker {
	struct tick_names names;
	struct tick tick;
	uint64_t n_ticks;
	struct tick_clock clock;
	double cycles_per_ns; /* of CPU time, in this tick */
	/* in this tick, of each feature: the targets' group (-1: none), from which the machine's counts are
	 * taken, and how good it is */
	int target_groups[TICK_FEATURES];
	unsigned target_ranks[TICK_FEATURES];
	struct tick_bridge bridge;
	/* grows as needed, never shrinks */
	unsigned targets_capacity;
	double *counts; /* [targets][sockets][features] */
	unsigned *ranks;
	size_t counts_capacity, ranks_capacity;
	double *events;
	size_t events_capacity;
	double *works; /* [targets][aparts] */
	size_t works_capacity;
	double *cores; /* [targets][sockets] */
	size_t cores_capacity;
	uint64_t sockets_seen[TICK_SOCKETS_MAX];   /* number of the last tick with it */
	uint8_t socket_of_package[UINT16_MAX + 1]; /* its socket + 1; 0: unknown */
};

struct tick_maker *tick_maker_new(const struct report_names *names, double interval_s)
{
	struct tick_maker *maker = calloc(1, sizeof(*maker));

	if (!maker)
		return NULL;
	tick_names_init(&maker->names, names);
	tick_clock_init(&maker->clock, interval_s);
	return maker;
}

void tick_maker_free(struct tick_maker *maker)
{
	if (!maker)
		return;
	tick_names_done(&maker->names);
	free(maker->tick.targets);
	free(maker->counts);
	free(maker->ranks);
	free(maker->events);
	free(maker->works);
	free(maker->cores);
	free(maker);
}

void tick_maker_set_describer(struct tick_maker *maker, tick_describer describe, void *data)
{
	maker->names.describe = describe;
	maker->names.describe_data = data;
}

int tick_maker_set_target(struct tick_maker *maker, const char *target, double cpu_quota, const char *image)
{
	return tick_names_know(&maker->names, target, cpu_quota, image, maker->n_ticks);
}

void tick_maker_set_position(struct tick_maker *maker, int64_t time_ms, double interval_s)
{
	tick_clock_resume(&maker->clock, time_ms, interval_s);
}

bool tick_maker_knows_length(const struct tick_maker *maker)
{
	return tick_clock_knows(&maker->clock);
}

void tick_maker_show_times(struct tick_maker *maker, const int64_t *times_ms, unsigned n)
{
	tick_clock_prime(&maker->clock, times_ms, n);
}

static double clean(double value)
{
	return value >= 0 && value <= TICK_COUNT_MAX ? value : NAN;
}

/* The packages of earlier ticks, without those that have been missing for long. */
static unsigned keep_sockets(struct tick_maker *maker)
{
	struct tick *tick = &maker->tick;
	unsigned n = 0;

	for (unsigned i = 0; i < tick->n_sockets; i++) {
		unsigned package = tick->sockets[i].package;

		maker->socket_of_package[package] = 0;
		if (maker->n_ticks - maker->sockets_seen[i] > TICK_SOCKETS_AGE)
			continue;
		tick->sockets[n].package = package;
		maker->sockets_seen[n++] = maker->sockets_seen[i];
		maker->socket_of_package[package] = 1;
	}
	return n;
}

/*
 * Present and earlier packages, ascending, and the mapping from package to socket. Formulas keep models by
 * socket number: a package that is missing in a tick must keep its number.
 */
static void find_sockets(struct tick_maker *maker, const struct join_slot *slot)
{
	struct tick *tick = &maker->tick;
	unsigned n = keep_sockets(maker);

	for (uint32_t i = 0; i < slot->n_values; i++) {
		unsigned package = slot->values[i].package;
		unsigned at = n;

		if (maker->socket_of_package[package] || n == TICK_SOCKETS_MAX ||
		    tick_apart_is_gpu(&maker->names, &slot->values[i]))
			continue;
		maker->socket_of_package[package] = 1;
		while (at > 0 && tick->sockets[at - 1].package > package) {
			tick->sockets[at].package = tick->sockets[at - 1].package;
			maker->sockets_seen[at] = maker->sockets_seen[at - 1];
			at--;
		}
		tick->sockets[at].package = package;
		maker->sockets_seen[at] = maker->n_ticks;
		n++;
	}
	tick->n_sockets = n;
	for (unsigned i = 0; i < n; i++) {
		struct tick_socket *socket = &tick->sockets[i];

		maker->socket_of_package[socket->package] = (uint8_t)(i + 1);
		socket->aperf = socket->mperf = socket->tsc = NAN;
		for (unsigned j = 0; j < REPORT_SCOPES; j++)
			socket->energy_j[j] = NAN;
		for (unsigned j = 0; j < TICK_FEATURES; j++)
			socket->counts[j] = NAN;
	}
	for (uint32_t i = 0; i < slot->n_values; i++) {
		unsigned number = maker->socket_of_package[slot->values[i].package];

		if (number && !tick_apart_is_gpu(&maker->names, &slot->values[i]))
			maker->sockets_seen[number - 1] = maker->n_ticks;
	}
}

/* Arrays for `n` targets. */
static int reserve(struct tick_maker *maker, unsigned n)
{
	size_t counts = (size_t)n * maker->tick.n_sockets * TICK_FEATURES;
	size_t events = (size_t)n * maker->tick.n_sockets * maker->tick.n_events;
	size_t works = (size_t)n * maker->tick.n_aparts, cores = (size_t)n * maker->tick.n_sockets;

	if (!ARRAY_RESERVE(maker->tick.targets, maker->targets_capacity, n) ||
	    !ARRAY_RESERVE(maker->counts, maker->counts_capacity, counts) ||
	    !ARRAY_RESERVE(maker->ranks, maker->ranks_capacity, counts) ||
	    !ARRAY_RESERVE(maker->events, maker->events_capacity, events) ||
	    !ARRAY_RESERVE(maker->works, maker->works_capacity, works) ||
	    !ARRAY_RESERVE(maker->cores, maker->cores_capacity, cores))
		return -ENOMEM;
	for (size_t i = 0; i < counts; i++) {
		maker->counts[i] = NAN;
		maker->ranks[i] = UINT32_MAX;
	}
	for (size_t i = 0; i < events; i++)
		maker->events[i] = NAN;
	for (size_t i = 0; i < works; i++)
		maker->works[i] = 0;
	for (size_t i = 0; i < cores; i++)
		maker->cores[i] = NAN;
	return 0;
}

/* Adds to a sum that starts as NAN; an absurd part leaves the sum as it is. */
static void add(double *sum, double value)
{
	if (!isnan(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

/*
 * Preference of a value for its feature: by the rank of its event, then by its group, as two groups may count
 * the same event. The smallest one is taken, equal ones are parts of one count. group_wanted: values of other
 * groups come last; -1: none is preferred.
 */
static unsigned rank_of(struct feature feature, unsigned group, int group_wanted)
{
	const unsigned other = group_wanted >= 0 && (int)group != group_wanted;

	return other << 31 | feature.rank << 16 | group;
}

static bool is_count(struct feature feature)
{
	return feature.kind == FEATURE_COUNT || feature.kind == FEATURE_TIME;
}

/* The same event as a separate count, in addition to the cycles of all cores. */
static struct feature as_efficient(struct feature feature)
{
	feature.which = TICK_EFFICIENT;
	feature.efficient = false;
	return feature;
}

/* Records in which group the targets count the feature. */
static void note_group(struct tick_maker *maker, struct feature feature, unsigned group)
{
	const unsigned rank = rank_of(feature, group, -1);

	if (feature.efficient)
		note_group(maker, as_efficient(feature), group);
	if (!is_count(feature) || rank >= maker->target_ranks[feature.which])
		return;
	maker->target_ranks[feature.which] = rank;
	maker->target_groups[feature.which] = (int)group;
}

/* Adds a count to its feature, unless a better one of the same meaning is there; a better one replaces it. */
static void add_feature(struct tick_maker *maker, const struct report_value *value, double *counts,
			struct feature feature, unsigned *ranks, const int *groups_wanted)
{
	double count = clean(value->value);
	unsigned rank;

	if (!is_count(feature) || isnan(count))
		return;
	if (feature.efficient)
		add_feature(maker, value, counts, as_efficient(feature), ranks, groups_wanted);
	if (feature.kind == FEATURE_TIME)
		count *= maker->cycles_per_ns;
	rank = rank_of(feature, value->group, groups_wanted ? groups_wanted[feature.which] : -1);
	if (rank > ranks[feature.which])
		return;
	if (rank < ranks[feature.which]) {
		ranks[feature.which] = rank;
		counts[feature.which] = NAN;
	}
	add(&counts[feature.which], count);
}

static int make_target(struct tick_maker *maker, const struct join_slot *slot, unsigned i)
{
	const struct join_report *report = &slot->reports[i];
	struct tick_target *target = &maker->tick.targets[i];
	const struct tick_key *key = tick_names_key(&maker->names, join_name(slot, report), maker->n_ticks);
	size_t n_sockets = maker->tick.n_sockets;

	if (!key)
		return -ENOMEM;
	target->name = join_name(slot, report);
	target->container_id = join_container_id(slot, report);
	target->key = key->key;
	target->cpu_quota = key->cpu_quota;
	target->image = key->image;
	target->partial = report->partial;
	target->present = 0;
	target->counts = maker->counts + i * n_sockets * TICK_FEATURES;
	/* There is no memory for kinds of data that the tick lacks. */
	target->work_ns = maker->works ? maker->works + (size_t)i * maker->tick.n_aparts : NULL;
	target->core_j = maker->cores + i * n_sockets;
	target->events = maker->events ? maker->events + i * n_sockets * maker->tick.n_events : NULL;
	for (uint32_t j = 0; j < report->n_values; j++) {
		const struct report_value *value = &slot->values[report->first_value + j];
		int socket = maker->socket_of_package[value->package] - 1;
		int column = maker->names.columns[value->event];
		struct feature feature = tick_names_feature(&maker->names, value->event);
		unsigned *ranks;

		note_group(maker, feature, value->group);
		tick_apart_add(&maker->names, &maker->tick, value, target->work_ns);
		if (socket >= 0 && maker->names.features[value->event].kind == FEATURE_TARGET_CORES)
			add(&target->core_j[socket], ldexp(clean(value->value), REPORT_RAPL_EXPONENT));
		if (socket < 0 || maker->names.features[value->event].kind >= FEATURE_BOOKKEEPING)
			continue;
		target->present |= UINT32_C(1) << socket;
		ranks = maker->ranks + (i * n_sockets + (size_t)socket) * TICK_FEATURES;
		add_feature(maker, value, target->counts + (size_t)socket * TICK_FEATURES, feature, ranks,
			    NULL);
		if (column >= 0 && value->group == maker->names.core_group)
			add(&target->events[(size_t)socket * maker->tick.n_events + (size_t)column],
			    clean(value->value));
	}
	return 0;
}

/*
 * Reference cycles per nanosecond of CPU time. Without a base frequency, the ratio of the machine's two sums
 * if both are counted (a sensor out of descriptors); else 1, because then every count is a time.
 */
static double find_cycles(struct tick_maker *maker, const struct join_slot *slot)
{
	double cycles = 0, time_ns = 0;
	int cycles_group, time_group = -1;

	if (maker->tick.said.base_frequency_mhz > 0)
		return maker->tick.said.base_frequency_mhz / 1000;
	/* The targets' groups must be known before the targets are built. */
	for (uint32_t i = 0; i < slot->n_values; i++)
		if (!slot->has_all || i - slot->all.first_value >= slot->all.n_values)
			note_group(maker, tick_names_feature(&maker->names, slot->values[i].event),
				   slot->values[i].group);
	cycles_group = maker->target_groups[TICK_REF];
	for (uint32_t i = 0; slot->has_all && i < slot->all.n_values; i++) {
		const struct report_value *value = &slot->values[slot->all.first_value + i];
		const struct feature *feature = &maker->names.features[value->event];
		double count = clean(value->value);

		if (isnan(count) || feature->which != TICK_REF)
			continue;
		if (feature->kind == FEATURE_COUNT && (cycles_group < 0 || value->group == cycles_group)) {
			cycles_group = value->group;
			cycles += count;
		} else if (feature->kind == FEATURE_TIME && (time_group < 0 || value->group == time_group)) {
			time_group = value->group;
			time_ns += count;
		}
	}
	return cycles > 0 && time_ns > 0 ? cycles / time_ns : 1;
}

struct tick_mean {
	double sum;
	unsigned n;
};

static double mean_of(struct tick_mean mean)
{
	return mean.n ? mean.sum / mean.n : NAN;
}

/* Energy, clocks and machine-wide counts of one socket out of `all`. */
static void make_socket(struct tick_maker *maker, const struct join_slot *slot, struct tick_socket *socket,
			unsigned *ret_first_cpu)
{
	struct tick_mean means[FEATURE_BOOKKEEPING] = {0};
	unsigned energy_cpu[REPORT_SCOPES] = {UINT32_MAX, UINT32_MAX};
	unsigned ranks[TICK_FEATURES];

	for (unsigned i = 0; i < TICK_FEATURES; i++)
		ranks[i] = UINT32_MAX;
	*ret_first_cpu = UINT32_MAX;
	for (uint32_t i = 0; i < slot->all.n_values; i++) {
		const struct report_value *value = &slot->values[slot->all.first_value + i];
		struct feature feature = tick_names_feature(&maker->names, value->event);
		enum feature_kind kind = maker->names.features[value->event].kind;
		double count = clean(value->value);

		if (value->package != socket->package || tick_apart_is_gpu(&maker->names, value))
			continue;
		if (value->cpu < *ret_first_cpu)
			*ret_first_cpu = value->cpu;
		if (kind == FEATURE_PKG || kind == FEATURE_DRAM) {
			enum report_scope scope = kind == FEATURE_PKG ? REPORT_SCOPE_CPU : REPORT_SCOPE_DRAM;

			maker->tick.reset |= isnan(count);
			if (value->cpu >= energy_cpu[scope])
				continue;
			energy_cpu[scope] = value->cpu;
			socket->energy_j[scope] = ldexp(count, REPORT_RAPL_EXPONENT);
		} else if (kind >= FEATURE_APERF && kind <= FEATURE_TSC) {
			if (!isnan(count))
				means[kind].sum += count, means[kind].n++;
		} else if (kind < FEATURE_BOOKKEEPING) {
			add_feature(maker, value, socket->counts, feature, ranks, maker->target_groups);
		}
	}
	socket->aperf = mean_of(means[FEATURE_APERF]);
	socket->mperf = mean_of(means[FEATURE_MPERF]);
	socket->tsc = mean_of(means[FEATURE_TSC]);
}

/* Time for which the machine's energy was counted, from the counters themselves; NAN: unknown. */
static double counted_s(const struct tick_maker *maker, const struct join_slot *slot)
{
	const struct report_value *values = slot->values + slot->all.first_value;
	int group = -1;
	double ns = NAN;

	if (!slot->has_all)
		return NAN;
	for (uint32_t i = 0; i < slot->all.n_values && group < 0; i++) {
		if (maker->names.features[values[i].event].kind == FEATURE_PKG)
			group = values[i].group;
	}
	for (uint32_t i = 0; i < slot->all.n_values; i++) {
		if (values[i].group == group &&
		    maker->names.features[values[i].event].kind == FEATURE_ENABLED)
			ns = fmax(ns, clean(values[i].value));
	}
	return ns / 1e9;
}

static void make_head(struct tick_maker *maker, const struct join_slot *slot)
{
	struct tick *tick = &maker->tick;
	struct report_tick said;

	tick->time_ms = slot->time_ms;
	tick->interval_s = tick_clock_take(&maker->clock, slot->time_ms, slot->said.interval_s,
					   counted_s(maker, slot), slot->has_all);
	tick->complete = join_is_complete(slot);
	tick->reset = slot->said.energy_reset;
	said = slot->said;
	if (!slot->has_all) {
		said.base_frequency_mhz = tick->said.base_frequency_mhz;
		said.n_cores = tick->said.n_cores;
		said.design_w = tick->said.design_w;
		said.limit_w = tick->said.limit_w;
		said.idle_latency_us = tick->said.idle_latency_us;
	}
	tick->said = said;
	maker->n_ticks++;
}

int tick_make(struct tick_maker *maker, const struct join_slot *slot, const struct tick **ret_tick)
{
	struct tick *tick = &maker->tick;
	unsigned first_cpus[TICK_SOCKETS_MAX];
	int r;

	r = tick_names_update(&maker->names);
	if (r < 0)
		return r;
	make_head(maker, slot);
	find_sockets(maker, slot);
	tick_apart_make(&maker->names, slot, tick);
	r = tick_names_find_columns(&maker->names, slot);
	if (r < 0)
		return r;
	tick->n_events = maker->names.n_columns;
	r = reserve(maker, slot->n_reports);
	if (r < 0)
		return r;
	tick->n_targets = slot->n_reports;
	tick->event_names = maker->names.column_names;
	for (unsigned i = 0; i < TICK_FEATURES; i++) {
		maker->target_ranks[i] = UINT32_MAX;
		maker->target_groups[i] = -1;
	}
	maker->cycles_per_ns = find_cycles(maker, slot);
	for (unsigned i = 0; i < slot->n_reports; i++) {
		r = make_target(maker, slot, i);
		if (r < 0)
			return r;
	}
	tick->cpu_stride = 0;
	if (slot->has_all) {
		for (unsigned i = 0; i < tick->n_sockets; i++)
			make_socket(maker, slot, &tick->sockets[i], &first_cpus[i]);
		if (tick->n_sockets > 1 && first_cpus[1] != UINT32_MAX && first_cpus[1] > first_cpus[0])
			tick->cpu_stride = first_cpus[1] - first_cpus[0];
	}
	tick_bridge_take(&maker->bridge, tick, slot->has_all);
	if (maker->n_ticks % TICK_KEYS_INTERVAL == 0)
		tick_names_expire(&maker->names, maker->n_ticks, TICK_KEYS_AGE, TICK_KEYS_KEEP);
	*ret_tick = tick;
	return 0;
}
