/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many sensors at once, for measuring servers: each appends its reports to its own collection, tick by tick,
 * spread over the interval. With --interval 0 all ticks are written at once, dated a second apart.
 * The reports have the fields that formulas read: energy of package and DRAM, speeds, and a container group
 * of four events. usage: loadgen URI [--sensors N] [--targets N] [--interval MS] [--ticks N] [--behind MS]
 * Prints "ready" once collections are made, and a summary at the end. --behind: exits with status 3 if it was
 * late by more than that, as then the store or this program was measured, not a server.
 */
#include "base/clock.h"
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define T0            INT64_C(1700000000000)
#define EVENTS        4
#define BASE_HZ       2.1e9
#define JOULES(value) ((uint64_t)((value)*4294967296.0))

struct load {
	struct store *store;
	uint64_t sensors, targets, interval_ms, ticks, behind_ms;
	struct batch batch;
	uint64_t random;
	uint64_t written, waits, behind_ns_max;
};

static const char *const rapl_events[] = {REPORT_EVENT_PKG, REPORT_EVENT_DRAM};
static const char *const msr_events[] = {"TSC", "APERF", "MPERF"};
static const char *const core_events[] = {"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P",
					  "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const struct report_place place[] = {{0, 0}};
static const struct report_group rapl = {"rapl", 2, rapl_events, 1, place};
static const struct report_group msr = {"msr", 3, msr_events, 1, place};
static const struct report_group core = {"core", EVENTS, core_events, 1, place};

/* From 0 to 1: xorshift, so that every run is the same. */
static double load_random(struct load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return (double)(load->random >> 11) / 9007199254740992.0;
}

static int load_add_targets(struct load *load, int64_t time_ms, const char *sensor, uint64_t sums[EVENTS])
{
	const uint64_t times[] = {1000000000};
	char name[32], id[16];
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < load->targets; i++) {
		double busy_s = 8 * load_random(load) / (double)load->targets;
		const uint64_t values[EVENTS] = {(uint64_t)(busy_s * BASE_HZ), (uint64_t)(busy_s * BASE_HZ),
						 (uint64_t)(busy_s * BASE_HZ * (0.5 + (double)(i % 5) / 4)),
						 (uint64_t)(busy_s * 1e6 * (double)(1 + i % 3))};
		struct report_counts counts = {&core, values, times, times};
		struct report_target_metadata metadata = {.container_id = id, .scaled = 1};
		struct report_head head = {time_ms, sensor, name};

		(void)snprintf(name, sizeof(name), "container-%05" PRIu64, i);
		(void)snprintf(id, sizeof(id), "%012" PRIx64, i * 2654435761u);
		r = report_bson_add_target_counts(&load->batch, &head, &counts, 1, &metadata);
		for (unsigned event = 0; event < EVENTS; event++)
			sums[event] += values[event];
	}
	return r;
}

static int load_add_tick(struct load *load, uint64_t tick, int64_t time_ms, const char *sensor)
{
	uint64_t sums[EVENTS] = {0};
	const uint64_t times[] = {1000000000};
	const uint64_t speeds[] = {(uint64_t)BASE_HZ, (uint64_t)BASE_HZ, (uint64_t)BASE_HZ};
	uint64_t energy[2];
	struct report_head head = {time_ms, sensor, REPORT_TARGET_ALL};
	struct report_counts counts[] = {{.group = &rapl, .values = energy},
					 {.group = &msr, .values = speeds},
					 {&core, sums, times, times}};
	struct report_tick_metadata metadata = {
		.seq = tick + 1,
		.interval_s = load->interval_ms ? (double)load->interval_ms / 1000 : 1,
		.n_targets = (unsigned)load->targets,
		.energy_source = "perf",
		.activity_source = "bpf",
		.base_frequency_mhz = 2100,
		.skew_s = -1,
	};
	int r;

	batch_clear(&load->batch);
	r = load_add_targets(load, time_ms, sensor, sums);
	energy[0] = JOULES(20 + (double)sums[2] * 3e-9 + load_random(load));
	energy[1] = JOULES(4 + (double)sums[3] * 4e-7 + 0.2 * load_random(load));
	return r < 0 ? r : report_bson_add_all_counts(&load->batch, &head, counts, 3, &metadata);
}

/* Retries until it is stored, as sensors do. */
static int load_append(struct load *load, const char *collection)
{
	enum store_result result;

	while ((result = store_append(load->store, collection, &load->batch)) == STORE_RETRY) {
		if (!load->waits++)
			(void)fprintf(stderr, "loadgen: waiting: %s\n", store_error(load->store));
		(void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	}
	if (result == STORE_DROP) {
		(void)fprintf(stderr, "loadgen: %s\n", store_error(load->store));
		return -EIO;
	}
	load->written += load->batch.n_documents;
	return 0;
}

/* Waits for the moment of this sensor's tick. */
static void load_pace(struct load *load, uint64_t start_ns, uint64_t tick, uint64_t sensor)
{
	uint64_t interval_ns = load->interval_ms * CLOCK_NS_PER_MS, now_ns = clock_monotonic_ns();
	uint64_t due_ns = start_ns + tick * interval_ns + interval_ns * sensor / load->sensors;

	if (now_ns < due_ns) {
		struct timespec rest = {.tv_sec = (time_t)((due_ns - now_ns) / 1000000000),
					.tv_nsec = (long)((due_ns - now_ns) % 1000000000)};

		(void)nanosleep(&rest, NULL);
	} else if (now_ns - due_ns > load->behind_ns_max) {
		load->behind_ns_max = now_ns - due_ns;
	}
}

static int load_run(struct load *load)
{
	uint64_t start_ns = clock_monotonic_ns();
	char sensor[32], collection[48];
	int r = 0;

	for (uint64_t tick = 0; r == 0 && tick < load->ticks; tick++) {
		for (uint64_t i = 0; r == 0 && i < load->sensors; i++) {
			int64_t time_ms = T0 + (int64_t)tick * 1000;

			if (load->interval_ms) {
				load_pace(load, start_ns, tick, i);
				time_ms = clock_realtime_ms();
			}
			(void)snprintf(sensor, sizeof(sensor), "load%04" PRIu64, i);
			(void)snprintf(collection, sizeof(collection), "sensor%s", sensor);
			r = load_add_tick(load, tick, time_ms, sensor);
			if (r == 0)
				r = load_append(load, collection);
		}
	}
	(void)printf("%" PRIu64 " documents in %.1f s, %.2f us CPU each, at most %.0f ms behind, %" PRIu64
		     " times the store was away, %zu bytes for each\n",
		     load->written, (double)(clock_monotonic_ns() - start_ns) / 1e9,
		     (double)clock() / CLOCKS_PER_SEC / (double)(load->written ? load->written : 1) * 1e6,
		     (double)load->behind_ns_max / 1e6, load->waits,
		     load->batch.n_documents ? load->batch.length / load->batch.n_documents : 0);
	if (r == 0 && load->behind_ms && load->behind_ns_max > load->behind_ms * CLOCK_NS_PER_MS)
		return 3;
	return r < 0 ? 1 : 0;
}

static int load_parse(struct load *load, int argc, char *argv[])
{
	const struct {
		const char *name;
		uint64_t *value;
	} options[] = {{"--sensors", &load->sensors},
		       {"--targets", &load->targets},
		       {"--interval", &load->interval_ms},
		       {"--ticks", &load->ticks},
		       {"--behind", &load->behind_ms}};

	for (int i = 2; i < argc; i += 2) {
		size_t row = 0;

		while (row < sizeof(options) / sizeof(options[0]) && strcmp(argv[i], options[row].name) != 0)
			row++;
		if (row == sizeof(options) / sizeof(options[0]) || i + 1 >= argc)
			return -EINVAL;
		*options[row].value = strtoull(argv[i + 1], NULL, 10);
	}
	return argc >= 2 && load->sensors && load->ticks ? 0 : -EINVAL;
}

int main(int argc, char *argv[])
{
	struct load load = {
		.sensors = 1, .targets = 50, .interval_ms = 1000, .ticks = 60, .random = 88172645463325252u};
	struct store_options options = {.flags = STORE_WRITE, .timeout_ms = 20000};
	char collection[48];
	struct reason why;
	int r;

	if (load_parse(&load, argc, argv) < 0) {
		(void)fprintf(stderr,
			      "usage: loadgen URI [--sensors N] [--targets N] [--interval MS] [--ticks N] "
			      "[--behind MS]\n");
		return 2;
	}
	if (store_open(argv[1], &options, &load.store, &why) < 0) {
		(void)fprintf(stderr, "loadgen: %s\n", why.text);
		return 1;
	}
	for (uint64_t i = 0; load.interval_ms && i < load.sensors; i++) {
		(void)snprintf(collection, sizeof(collection), "sensorload%04" PRIu64, i);
		(void)store_ensure(load.store, collection, 0, clock_realtime_ms());
	}
	(void)puts("ready");
	(void)fflush(stdout);
	r = load_run(&load);
	store_close(load.store);
	batch_done(&load.batch);
	return r;
}
