/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that a database itself needs for a tick, without our server: each second one batch of reports is
 * written, read back by time, and answered by as many power reports of two scopes as the server would write.
 * Prints the median time of each, of all three together, and the CPU time of reading and answering, which is
 * the lower bound for any server here. usage: bench_wire URI [TARGETS [TICKS]]
 */
#include "base/clock.h"
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EVENTS 4

enum step { WRITE_REPORTS, READ_REPORTS, WRITE_POWER, ALL, CPU, STEPS };

static const char *const step_names[STEPS] = {"reports written", "read back", "power reports written",
					      "all three", "CPU time of reading and answering"};
static const char *const events[EVENTS] = {"CPU_CLK_THREAD_UNHALTED:REF_P",
					   "CPU_CLK_THREAD_UNHALTED:THREAD_P", "INSTRUCTIONS_RETIRED",
					   "LLC_MISSES"};
static const struct report_place places[] = {{0, 0}};
static const struct report_group group = {"core", EVENTS, events, 1, places};

struct wire {
	struct store *store;
	unsigned n_targets, n_ticks;
	struct batch reports, power, found;
	double *took_ms[STEPS]; /* [n_ticks] */
};

static void fill(struct wire *wire, int64_t time_ms)
{
	const uint64_t values[EVENTS] = {1234567890, 2345678901, 3456789012, 45678}, times[] = {1000000000};
	struct report_counts counts = {&group, values, times, times};
	struct report_target_metadata metadata = {.container_id = "0123456789ab", .scaled = 1};
	char name[32];
	struct report_head head = {time_ms, "wire", name};
	struct report_power power = {.time_ms = time_ms,
				     .sensor = "wire",
				     .target = name,
				     .socket = "0",
				     .formula = "pooled",
				     .ratio = 0.01,
				     .power = 1.5,
				     .dynamic = 1,
				     .fixed = 0.5,
				     .energy_j = 1.5,
				     .interval_s = 1,
				     .error = NAN,
				     .container_id = "0123456789ab"};

	batch_clear(&wire->reports);
	batch_clear(&wire->power);
	for (unsigned i = 0; i < wire->n_targets; i++) {
		(void)snprintf(name, sizeof(name), "container-%05u", i);
		(void)report_bson_add_target_counts(&wire->reports, &head, &counts, 1, &metadata);
		for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
			power.scope = (enum report_scope)scope;
			(void)report_bson_add_power(&wire->power, &power);
		}
	}
}

static double since_ms(uint64_t start_ns)
{
	return (double)(clock_monotonic_ns() - start_ns) / 1e6;
}

static double cpu_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* One tick; false if the database fails. */
static bool step(struct wire *wire, unsigned tick, int64_t time_ms)
{
	struct store_query query = {
		.collection = "sensorwire", .after_ms = time_ms - 1, .until_ms = INT64_MAX};
	struct store_read read;
	uint64_t start_ns, all_ns;
	double cpu;

	fill(wire, time_ms);
	all_ns = start_ns = clock_monotonic_ns();
	if (store_append(wire->store, "sensorwire", &wire->reports) != STORE_OK)
		return false;
	wire->took_ms[WRITE_REPORTS][tick] = since_ms(start_ns);
	cpu = cpu_ms();
	start_ns = clock_monotonic_ns();
	batch_clear(&wire->found);
	if (store_read(wire->store, &query, &wire->found, &read) != STORE_OK ||
	    wire->found.n_documents != wire->n_targets)
		return false;
	wire->took_ms[READ_REPORTS][tick] = since_ms(start_ns);
	start_ns = clock_monotonic_ns();
	if (store_append(wire->store, "powerwire", &wire->power) != STORE_OK)
		return false;
	wire->took_ms[WRITE_POWER][tick] = since_ms(start_ns);
	wire->took_ms[ALL][tick] = since_ms(all_ns);
	wire->took_ms[CPU][tick] = cpu_ms() - cpu;
	return true;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int run(struct wire *wire)
{
	for (unsigned tick = 0; tick < wire->n_ticks; tick++) {
		uint64_t start_ns = clock_monotonic_ns(), left_ns;

		if (!step(wire, tick, clock_realtime_ms())) {
			(void)fprintf(stderr, "bench_wire: %s\n", store_error(wire->store));
			return 1;
		}
		left_ns = clock_monotonic_ns() - start_ns;
		left_ns = left_ns < 1000000000 ? 1000000000 - left_ns : 0;
		(void)nanosleep(
			&(struct timespec){.tv_nsec = left_ns < 1000000000 ? (long)left_ns : 999999999},
			NULL);
	}
	(void)printf("%u containers, %u ticks, median (at most), ms:", wire->n_targets, wire->n_ticks);
	for (unsigned i = 0; i < STEPS; i++) {
		qsort(wire->took_ms[i], wire->n_ticks, sizeof(double), compare);
		(void)printf("%s %s %.2f (%.2f)", i ? "," : "", step_names[i],
			     wire->took_ms[i][wire->n_ticks / 2], wire->took_ms[i][wire->n_ticks - 1]);
	}
	(void)printf("\n");
	return 0;
}

int main(int argc, char *argv[])
{
	struct wire wire = {.n_targets = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000,
			    .n_ticks = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 30};
	struct store_options options = {.flags = STORE_READ | STORE_WRITE, .timeout_ms = 20000};
	struct reason why = {"usage: bench_wire URI [TARGETS [TICKS]]"};
	int status = 1;

	if (argc < 2 || !wire.n_ticks || store_open(argv[1], &options, &wire.store, &why) < 0) {
		(void)fprintf(stderr, "bench_wire: %s\n", why.text);
		return 2;
	}
	(void)store_ensure(wire.store, "sensorwire", 0, clock_realtime_ms());
	(void)store_ensure(wire.store, "powerwire", 0, clock_realtime_ms());
	for (unsigned i = 0; i < STEPS; i++)
		wire.took_ms[i] = calloc(wire.n_ticks, sizeof(double));
	if (wire.took_ms[0] && wire.took_ms[1] && wire.took_ms[2] && wire.took_ms[3] && wire.took_ms[4])
		status = run(&wire);
	for (unsigned i = 0; i < STEPS; i++)
		free(wire.took_ms[i]);
	batch_done(&wire.reports);
	batch_done(&wire.power);
	batch_done(&wire.found);
	store_close(wire.store);
	return status;
}
