/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine as the sensor's two kinds of sources: the same numbers as it shows directly. */
#include "source/frame.h"
#include "base/log.h"
#include "sim/sensor/source_sim.h"
#include "sim/sim.h"
#include "source/source.h"
#include "base/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char machine[] = "{\"containers\": [{\"name\": \"web\", \"count\": 3, \"character\": \"web\"},"
			      "{\"name\": \"job\", \"count\": 2, \"character\": \"scalar\", \"life_s\": [2, "
			      "4], \"gap_s\": [1, 2], \"rename\": true}]}";
static const char virtual_machine[] = "{\"machine\": {\"cpu_time\": true, \"msr\": false, \"dram\": false},"
				      "\"containers\": [{\"name\": \"web\", \"character\": \"web\"}]}";

static struct sim *make(const char *text)
{
	struct sim_options options = {.seed = 7, .ticks = 60};
	char path[] = "/tmp/wattribute-sim-XXXXXX";
	struct reason why = {""};
	struct sim *sim = NULL;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	options.scenario = path;
	if (sim_new(&options, &sim, &why) < 0)
		fail_msg("%s", why.text);
	unlink(path);
	return sim;
}

static char rapl_name[] = "rapl", msr_name[] = "msr", core_name[] = "core", pkg[] = "RAPL_ENERGY_PKG",
	    dram[] = "RAPL_ENERGY_DRAM", aperf[] = "APERF", tsc[] = "TSC", odd[] = "UNCORE_WATTS",
	    ref[] = "CPU_CLK_THREAD_UNHALTED:REF_P", thread[] = "CPU_CLK_THREAD_UNHALTED:THREAD_P",
	    retired[] = "INSTRUCTIONS_RETIRED", misses[] = "LLC_MISSES";
static char *rapl_events[] = {pkg, dram}, *msr_events[] = {tsc, odd, aperf},
	    *core_events[] = {misses, ref, thread, retired};
static struct event_group_request rapl = {
	.name = rapl_name, .one_cpu_per_socket = true, .events = rapl_events, .n_events = 2};
static struct event_group_request msr = {.name = msr_name, .events = msr_events, .n_events = 3};
static struct event_group_request core = {
	.name = core_name, .of_containers = true, .events = core_events, .n_events = 4};

static void system_groups(void **state)
{
	struct sim *sim = make(machine);
	const struct source_machine simulated = {.data = sim};
	struct source_context context = {.simulated = &simulated};
	struct system_source *energy = NULL, *speeds = NULL;
	uint64_t shown[3];
	struct reason why;

	(void)state;
	assert_int_equal(source_sim_system.probe(&context, &rapl, &why), 0);
	assert_int_equal(source_sim_system.open(&context, &rapl, &energy), 0);
	assert_int_equal(source_sim_system.open(&context, &msr, &speeds), 0);
	assert_int_equal(energy->group.n_places, 2);
	assert_int_equal(speeds->group.n_places, 48);
	assert_int_equal(speeds->group.n_events, 2);
	assert_int_equal(energy->ops->read(energy, 0), 0);
	assert_int_equal(energy->values[0], 0);
	while (sim_step(sim) > 0) {
		assert_int_equal(energy->ops->read(energy, 0), 0);
		assert_int_equal(speeds->ops->read(speeds, 0), 0);
		assert_int_equal(energy->values[3], sim_energy(sim, 1, REPORT_SCOPE_DRAM));
		sim_msr(sim, speeds->group.places[30].cpu, shown);
		assert_int_equal(speeds->values[61], shown[1]);
	}
	context.strict = true;
	{
		struct system_source *refused = NULL;

		assert_true(source_sim_system.open(&context, &msr, &refused) < 0);
	}
	energy->ops->close(energy);
	speeds->ops->close(speeds);
	sim_free(sim);
}

/* Follows the machine's containers as the sensor follows cgroups: one slot for each lifetime. */
static unsigned follow(struct sim *sim, struct activity_source *source, uint64_t *ids, unsigned n_ids)
{
	unsigned added = 0;

	for (unsigned slot = 1; slot < sim_slots(sim); slot++) {
		struct activity_cgroup cgroup = {.slot = slot, .root = true, .path = "/x", .id = ids[slot]};

		assert_true(slot < n_ids);
		if (ids[slot] && sim_find(sim, ids[slot]) == SIM_SYSTEM) {
			source->ops->remove(source, &cgroup);
			ids[slot] = 0;
		}
		if (ids[slot] || !sim_alive(sim, slot))
			continue;
		cgroup.id = ids[slot] = sim_cgroup_id(sim, slot);
		assert_int_equal(source->ops->add(source, &cgroup), 0);
		added++;
	}
	return added;
}

static void containers(void **state)
{
	struct sim *sim = make(machine);
	const struct source_machine simulated = {.data = sim};
	struct source_context context = {.simulated = &simulated};
	struct activity_source *source = NULL;
	uint64_t ids[16] = {0}, shown[SIM_COUNTS], gone;
	struct activity_cgroup nobody = {.slot = 3, .root = true, .path = "/x"};
	unsigned lives = 0, partial = 0;

	(void)state;
	assert_int_equal(source_sim_activity.open(&context, &core, 1, 2, &source), 0);
	assert_int_equal(source->frame.n_events, 4);
	assert_int_equal(source->ops->read(source), 0);
	while (sim_step(sim) > 0) {
		lives += follow(sim, source, ids, 16);
		assert_int_equal(source->ops->read(source), 0);
		for (unsigned slot = 1; slot < sim_slots(sim); slot++) {
			const uint64_t *counts = frame_counts(&source->frame, slot);

			if (!ids[slot])
				continue;
			partial += sim_partial(sim, slot) && (source->frame.flags[slot] & ACTIVITY_FIRST);
			sim_counts(sim, slot, 1, shown);
			assert_int_equal(counts[4 + 0], shown[SIM_MISSES]);
			assert_int_equal(counts[4 + 1], shown[SIM_REF]);
			assert_int_equal(counts[4 + 2], shown[SIM_CYCLES]);
			assert_int_equal(counts[4 + 3], shown[SIM_INSTRUCTIONS]);
		}
		sim_machine_counts(sim, 0, shown);
		assert_int_equal(source->frame.counts[1], shown[SIM_REF]);
	}
	assert_true(lives > 8);
	assert_true(partial > 4);
	gone = nobody.id = UINT64_C(99) << 32 | 4;
	assert_int_equal(sim_find(sim, gone), SIM_SYSTEM);
	assert_true(source->ops->add(source, &nobody) < 0);
	source->ops->close(source);
	sim_free(sim);
}

static void only_cpu_time(void **state)
{
	struct sim *sim = make(virtual_machine);
	const struct source_machine simulated = {.data = sim};
	struct source_context context = {.simulated = &simulated};
	struct activity_source *source = NULL;
	struct reason why;

	(void)state;
	assert_true(source_sim_system.probe(&context, &msr, &why) < 0);
	assert_int_equal(source_sim_activity.open(&context, &core, 1, 2, &source), 0);
	assert_string_equal(source->frame.groups[0].name, REPORT_GROUP_CPUSTAT);
	assert_string_equal(source->frame.groups[0].events[0], REPORT_EVENT_CPU_TIME);
	assert_int_equal(sim_step(sim), 1);
	assert_int_equal(source->ops->read(source), 0);
	assert_true(source->frame.counts[0] > 0 && source->frame.counts[0] < UINT64_C(48000000000));
	source->ops->close(source);
	sim_free(sim);
}

static void without_a_machine(void **state)
{
	struct source_context context = {0};
	struct reason why = {""};

	(void)state;
	assert_true(source_sim_system.probe(&context, &rapl, &why) < 0);
	assert_non_null(strstr(why.text, "--sim"));
	assert_true(source_sim_activity.probe(&context, &core, 1, &why) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(system_groups),
		cmocka_unit_test(containers),
		cmocka_unit_test(only_cpu_time),
		cmocka_unit_test(without_a_machine),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
