/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: churn CONTAINER-TICKS [CONTAINERS [NEW-PER-TICK]]
 * Does the server's work grow with the number of containers seen? Reports of changing containers pass through
 * decode, join, tick, formula, share, encode and the tables of names, without output. Prints memory in use
 * ten times a run; fails if the second half of the run has a higher peak than the first.
 */
#include "machine/machine.h"
#include "document/report_bson.h"
#include "unit/formula_defaults.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SAMPLES    200
#define LINES      10
#define SOCKETS    2
#define EXPIRE_MS  60000
#define MOST_GROWS 0.02 /* of the peak in the first half */

static const char *const core_events[] = {"CPU_CLK_UNHALTED:REF_P", "CPU_CLK_UNHALTED:THREAD_P",
					  "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const char *const rapl_events[] = {"RAPL_ENERGY_PKG", "RAPL_ENERGY_DRAM"};
static const struct report_place places[SOCKETS] = {{0, 0}, {1, 1}};
static const struct report_group core_group = {"core", 4, core_events, SOCKETS, places};
static const struct report_group rapl_group = {"rapl", 2, rapl_events, SOCKETS, places};

struct churn {
	struct machine *machine;
	struct batch reports, targets;
	unsigned n_containers, n_new;
	uint64_t tick, random;
};

static double random_unit(struct churn *churn)
{
	churn->random = churn->random * 6364136223846793005u + 1442695040888963407u;
	return (double)(churn->random >> 11) * 0x1p-53;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "churn: %s\n", what);
	exit(1);
}

/* Container i of this tick: in each tick the n_new oldest are replaced by new ones. */
static void add_container(struct churn *churn, unsigned i, uint64_t total[SOCKETS * 4])
{
	uint64_t values[SOCKETS * 4];
	const struct report_counts counts = {.group = &core_group, .values = values};
	const struct report_target_metadata metadata = {.scaled = 1};
	char name[48];
	const struct report_head head = {(int64_t)churn->tick * 1000, "sensor", name};

	(void)snprintf(name, sizeof(name), "container-%" PRIu64, (churn->tick * churn->n_new + i));
	for (unsigned k = 0; k < SOCKETS; k++) {
		double ref = (0.002 + 0.01 * random_unit(churn)) * 2.2e9;
		double cycles = ref * (1 + 0.2 * random_unit(churn));
		double factors[4] = {ref, cycles, cycles * (1 + random_unit(churn)), cycles * 1e-3};
		for (unsigned j = 0; j < 4; j++) {
			values[k * 4 + j] = (uint64_t)factors[j];
			total[k * 4 + j] += values[k * 4 + j];
		}
	}
	if (report_bson_add_target_counts(&churn->reports, &head, &counts, 1, &metadata) < 0)
		die("no memory");
	if (i + churn->n_new >= churn->n_containers) {
		const struct report_target target = {.sensor = "sensor",
						     .target = name,
						     .runtime = "docker",
						     .last_seen_ms = head.time_ms};
		if (report_bson_add_target(&churn->targets, &target) < 0)
			die("no memory");
	}
}

static void make_reports(struct churn *churn)
{
	uint64_t total[SOCKETS * 4] = {0}, energy[SOCKETS * 2];
	const struct report_counts counts[] = {{.group = &core_group, .values = total},
					       {.group = &rapl_group, .values = energy}};
	const struct report_head head = {(int64_t)churn->tick * 1000, "sensor", REPORT_TARGET_ALL};
	const struct report_tick_metadata metadata = {
		.seq = churn->tick,
		.interval_s = 1,
		.n_targets = churn->n_containers,
		.base_frequency_mhz = 2200,
		.n_cores = 12,
	};

	batch_clear(&churn->reports);
	batch_clear(&churn->targets);
	for (unsigned i = 0; i < churn->n_containers; i++)
		add_container(churn, i, total);
	for (unsigned k = 0; k < SOCKETS; k++) {
		energy[k * 2] = (uint64_t)((30 + 2e-9 * (double)total[k * 4 + 1]) * 0x1p32);
		energy[k * 2 + 1] = (uint64_t)((8 + 50e-9 * (double)total[k * 4 + 3]) * 0x1p32);
	}
	if (report_bson_add_all_counts(&churn->reports, &head, counts, 2, &metadata) < 0)
		die("no memory");
}

static void run_tick(struct churn *churn)
{
	int64_t now_ms = (int64_t)churn->tick * 1000;
	const uint8_t *document;
	size_t offset = 0, length;
	enum join_fed fed;

	make_reports(churn);
	while (batch_next(&churn->reports, &offset, &document, &length) > 0) {
		if (machine_feed(churn->machine, document, length, now_ms, &fed) < 0)
			die(churn->machine->why.text);
	}
	if (machine_drain(churn->machine, now_ms, false) < 0 ||
	    known_update(&churn->machine->known, &churn->targets) < 0)
		die("no memory");
	known_expire(&churn->machine->known, now_ms - EXPIRE_MS);
	batch_clear(&churn->machine->out);
	churn->tick++;
}

static double resident_mib(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (file) {
		if (fscanf(file, "%*d %ld", &pages) != 1)
			pages = 0;
		(void)fclose(file);
	}
	return (double)pages * 4096 / 0x1p20;
}

/* Runs all ticks; the peak in each half. Names are freed in batches, so that single samples say
 * little. */
static void run(struct churn *churn, uint64_t n_ticks, double ret_most_mib[2])
{
	for (unsigned s = 0; s < SAMPLES; s++) {
		struct mallinfo2 info;
		double mib;
		while (churn->tick < (s + 1) * n_ticks / SAMPLES)
			run_tick(churn);
		info = mallinfo2();
		mib = (double)(info.uordblks + info.hblkhd) / 0x1p20;
		if (mib > ret_most_mib[s * 2 / SAMPLES])
			ret_most_mib[s * 2 / SAMPLES] = mib;
		if ((s + 1) % (SAMPLES / LINES) != 0)
			continue;
		(void)printf("# %" PRIu64 " container-ticks: %.2f MiB in use, %.2f MiB resident\n",
			     (churn->tick * churn->n_containers), mib, resident_mib());
		(void)fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	struct server_config config = {.ops = &formula_pooled, .grace_ms = 1000, .expire_ms = EXPIRE_MS};
	struct churn churn = {.n_containers = 1000, .random = 1};
	double most_mib[2] = {0, 0}, grown;
	uint64_t n_ticks;

	if (argc < 2)
		die("usage: churn CONTAINER-TICKS [CONTAINERS [NEW-PER-TICK]]");
	churn.n_containers = argc > 2 ? (unsigned)atoi(argv[2]) : churn.n_containers;
	churn.n_new = argc > 3 ? (unsigned)atoi(argv[3]) : churn.n_containers / 50;
	n_ticks = strtoull(argv[1], NULL, 10) / (churn.n_containers ? churn.n_containers : 1);
	if (churn.n_containers == 0 || n_ticks < SAMPLES)
		die("fewer than 200 ticks");
	formula_config_init(&config.formula);
	churn.machine = machine_new(&config, "m", "reportm");
	if (!churn.machine)
		die("no memory");
	run(&churn, n_ticks, most_mib);
	grown = most_mib[1] / most_mib[0] - 1;
	(void)printf("%" PRIu64 " container-ticks, %" PRIu64 " names, %" PRIu64
		     " rows: at most %.2f MiB in use, %+.2f %% against "
		     "the first half\n",
		     (n_ticks * churn.n_containers), (n_ticks * churn.n_new + churn.n_containers),
		     churn.machine->n.rows, most_mib[1], 100 * grown);
	machine_free(churn.machine);
	batch_done(&churn.reports);
	batch_done(&churn.targets);
	return grown > MOST_GROWS;
}
