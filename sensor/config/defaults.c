/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Default groups. For each count that the formulas use there is a list of names, from the most exact to the
 * kernel's generic one; the first that can be encoded on this processor is used.
 */
#include "config/defaults.h"
#include "config/sensor_groups.h"

#include "base/cleanup.h"
#include "event/event.h"
#include "event/pmu.h"
#include "base/log.h"
#include "base/reason.h"
#include "source/choose.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEFAULTS_NAMES_MAX 8
#define DEFAULTS_CYCLES    1 /* the row of core cycles */
#define DEFAULTS_KINDS_MAX 4

static const char *const default_features[][DEFAULTS_NAMES_MAX] = {
	{"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_UNHALTED:REF_TSC_P", "CPU_CLK_UNHALTED:REF_TSC",
	 "UNHALTED_REFERENCE_CYCLES", "PERF_COUNT_HW_REF_CPU_CYCLES"},
	{"CPU_CLK_THREAD_UNHALTED:THREAD_P", "CPU_CLK_UNHALTED:THREAD_P", "CYCLES_NOT_IN_HALT",
	 "UNHALTED_CORE_CYCLES", "PERF_COUNT_HW_CPU_CYCLES"},
	{"INSTRUCTIONS_RETIRED", "INSTRUCTION_RETIRED", "INST_RETIRED:ANY_P", "RETIRED_INSTRUCTIONS",
	 "PERF_COUNT_HW_INSTRUCTIONS"},
	{"LLC_MISSES", "LAST_LEVEL_CACHE_MISSES", "LONGEST_LAT_CACHE:MISS", "PERF_COUNT_HW_CACHE_MISSES"},
	/*
	 * Vector instructions. Intel: the same umask 0xfc under the three names that processors and libpfm
	 * use. AMD since Zen: SSE and AVX instructions; RETIRED_SSE_AVX_FLOPS takes two counters (a large
	 * increment), so a group of five would not fit with the NMI watchdog. Arm: Advanced SIMD.
	 */
	{"FP_ARITH_INST_RETIRED:VECTOR", "FP_ARITH_INST_RETIRED:PACKED", "FP_ARITH_INST_RETIRED:0xfc",
	 "RETIRED_MMX_FP_INSTRUCTIONS:SSE_INSTR", "ASE_SPEC", "ASE_INST_SPEC"},
	/* Arm's scalable vectors, which the above does not include. */
	{"SVE_INST_SPEC"},
};

static struct event_group_request *add_group(struct sensor_config *config, const char *name,
					     bool of_containers)
{
	struct event_group_request *group = &config->groups[config->n_groups];

	*group = (struct event_group_request){
		.name = strdup(name), .of_containers = of_containers, .by_default = true};
	if (!group->name)
		return NULL;
	config->n_groups++;
	return group;
}

/* True if at least this many PMUs can count it. */
static bool can_encode_by(const struct sensor_config *config, const char *event, unsigned n_pmus)
{
	struct event_encoding encoding = {0};
	struct reason why;
	bool enough;

	if (event_encode(config->sysfs_root, event, &encoding, &why) < 0)
		return false;
	enough = encoding.n_boxes >= n_pmus;
	event_encoding_done(&encoding);
	return enough;
}

static bool can_encode(const struct sensor_config *config, const char *event)
{
	return can_encode_by(config, event, 1);
}

static int add_energy(struct sensor_config *config)
{
	struct event_group_request *group = add_group(config, "rapl", false);
	int r;

	if (!group)
		return -ENOMEM;
	group->one_cpu_per_socket = true;
	r = sensor_groups_add(group, "RAPL_ENERGY_PKG");
	if (r == 0 &&
	    (config->sim || !can_encode(config, "RAPL_ENERGY_PKG") || can_encode(config, "RAPL_ENERGY_DRAM")))
		r = sensor_groups_add(group, "RAPL_ENERGY_DRAM");
	return r;
}

/* Energy that overlaps the sockets' is a group of its own: the platform, and parts of a socket. */
static int add_overlapping(struct sensor_config *config)
{
	static const struct {
		const char *group, *event;
	} rows[] = {{"platform", REPORT_EVENT_PSYS},
		    {"parts", REPORT_EVENT_CORES},
		    {"parts", REPORT_EVENT_UNCORE}};
	struct event_group_request *group = NULL;
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows) && r == 0 && !config->sim; i++) {
		if (!choose_has_energy(config->sysfs_root, rows[i].event))
			continue;
		if (!group || strcmp(group->name, rows[i].group) != 0)
			group = add_group(config, rows[i].group, false);
		if (!group)
			return -ENOMEM;
		group->one_cpu_per_socket = true;
		r = sensor_groups_add(group, rows[i].event);
	}
	return r;
}

static int add_clocks(struct sensor_config *config)
{
	static const char *const clocks[] = {"TSC", "APERF", "MPERF"};
	struct event_group_request *group;
	int r = 0;

	if (!config->sim)
		for (size_t i = 0; i < ARRAY_SIZE(clocks); i++)
			if (!can_encode(config, clocks[i]))
				return 0;
	group = add_group(config, "msr", false);
	if (!group)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(clocks); i++)
		r = sensor_groups_add(group, clocks[i]);
	return r;
}

/*
 * On hybrid processors: an event for each kind of core, because the cost of a cycle depends on the kind.
 * False: one of them cannot be encoded, and nothing was added.
 */
static bool add_cycles_by_kind(struct sensor_config *config, struct event_group_request *group,
			       int *ret_error)
{
	char names[DEFAULTS_KINDS_MAX][EVENT_PMU_NAME_SIZE + 16];
	unsigned n = 0;

	for (unsigned i = 0; pmu_hybrid_kinds[i] && n < DEFAULTS_KINDS_MAX; i++) {
		(void)snprintf(names[n], sizeof(names[n]), "%s/cpu-cycles/", pmu_hybrid_kinds[i]);
		n += can_encode(config, names[n]);
	}
	if (n < 2 || n < pmu_count_kinds(config->sysfs_root))
		return false;
	for (unsigned i = 0; i < n && *ret_error == 0; i++)
		*ret_error = sensor_groups_add(group, names[i]);
	return true;
}

static int add_activity(struct sensor_config *config)
{
	struct event_group_request *group = add_group(config, "core", true);
	/* An event that only one kind of core counts would hide the work of the others. */
	const unsigned n_kinds = config->sim ? 0 : pmu_count_kinds(config->sysfs_root);
	int r = 0;

	if (!group)
		return -ENOMEM;
	for (size_t f = 0; r == 0 && f < ARRAY_SIZE(default_features); f++) {
		if (f == DEFAULTS_CYCLES && n_kinds > 0 && add_cycles_by_kind(config, group, &r))
			continue;
		for (size_t i = 0; default_features[f][i]; i++) {
			if (!config->sim && !can_encode_by(config, default_features[f][i], n_kinds))
				continue;
			r = sensor_groups_add(group, default_features[f][i]);
			break;
		}
	}
	return r;
}

static void say_group(const struct event_group_request *group)
{
	char text[512] = "";
	size_t length = 0;

	for (unsigned e = 0; e < group->n_events && length < sizeof(text); e++)
		length += (size_t)snprintf(text + length, sizeof(text) - length, " %s", group->events[e]);
	log_info("events", 0, "events chosen for group '%s':%s", group->name, text);
}

int defaults_apply(struct sensor_config *config)
{
	int r;

	if (config->n_groups > 0)
		return 0;
	r = add_energy(config);
	if (r == 0)
		r = add_overlapping(config);
	if (r == 0)
		r = add_clocks(config);
	if (r == 0)
		r = add_activity(config);
	for (unsigned i = 0; r == 0 && i < config->n_groups; i++)
		say_group(&config->groups[i]);
	return r;
}
