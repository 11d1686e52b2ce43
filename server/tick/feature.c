/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of event names that the formulas understand. join and tick_make look up each name once;
 * independent of reports. Names follow libpfm4; attributes after the listed part (":u", ":k=1") do not
 * matter.
 */
#include "tick/feature.h"
#include "base/cleanup.h"

#include <ctype.h>
#include <string.h>

struct feature_row {
	const char *name; /* upper case; matches a whole name, or one followed by ":attributes" */
	struct feature feature;
};

/* The kernel's PMUs of a hybrid processor's cores that are not the fast ones. */
static const char *const efficient_pmus[] = {"cpu_atom/", "cpu_lowpower/"};

#define COUNT(which_, rank_) .feature = {.kind = FEATURE_COUNT, .which = (which_), .rank = (rank_)}
#define TIME(rank_)          .feature = {.kind = FEATURE_TIME, .which = TICK_REF, .rank = (rank_)}
#define KIND(kind_)          .feature = {.kind = (kind_)}
#define APART(kind_, scope_) .feature = {.kind = (kind_), .scope = (scope_)}

/* More specific names come before their prefixes. */
static const struct feature_row known_features[] = {
	{"CPU_CLK_THREAD_UNHALTED:REF_P", COUNT(TICK_REF, 0)},
	{"CPU_CLK_UNHALTED:REF_TSC", COUNT(TICK_REF, 1)},
	{"CPU_CLK_UNHALTED:REF_P", COUNT(TICK_REF, 2)},
	{"UNHALTED_REFERENCE_CYCLES", COUNT(TICK_REF, 3)},
	{"PERF_COUNT_HW_REF_CPU_CYCLES", COUNT(TICK_REF, 4)},
	{"REF-CYCLES", COUNT(TICK_REF, 5)},
	{"CPU_CLK_THREAD_UNHALTED:REF_XCLK", COUNT(TICK_REF, 6)},
	{"CPU_CLK_UNHALTED:REF_XCLK", COUNT(TICK_REF, 7)},
	{"CPU_CLK_UNHALTED:REF", COUNT(TICK_REF, 8)},
	{"CPU_TIME_NS", TIME(10)},
	{"TASK-CLOCK", TIME(11)},
	{"TASK_CLOCK", TIME(12)},
	{"PERF_COUNT_SW_TASK_CLOCK", TIME(13)},
	{"PERF_COUNT_SW_CPU_CLOCK", TIME(14)},
	{"CPU-CLOCK", TIME(15)},
	{"CPU_CLOCK", TIME(16)},
	{"CPU_CLK_THREAD_UNHALTED:THREAD_P", COUNT(TICK_CYCLES, 0)},
	{"CPU_CLK_UNHALTED:THREAD_P", COUNT(TICK_CYCLES, 1)},
	{"CPU_CLK_UNHALTED:THREAD", COUNT(TICK_CYCLES, 2)},
	{"UNHALTED_CORE_CYCLES", COUNT(TICK_CYCLES, 3)},
	{"CYCLES_NOT_IN_HALT", COUNT(TICK_CYCLES, 4)},
	{"PERF_COUNT_HW_CPU_CYCLES", COUNT(TICK_CYCLES, 5)},
	{"CPU_CLK_THREAD_UNHALTED", COUNT(TICK_CYCLES, 6)},
	{"CPU_CLK_UNHALTED", COUNT(TICK_CYCLES, 7)},
	{"CPU-CYCLES", COUNT(TICK_CYCLES, 8)},
	{"CYCLES", COUNT(TICK_CYCLES, 9)},
	{"CPU_CYCLES", COUNT(TICK_CYCLES, 10)}, /* Arm's name, in libpfm4 and in sysfs */
	{"INSTRUCTIONS_RETIRED", COUNT(TICK_INSTRUCTIONS, 0)},
	{"INSTRUCTION_RETIRED", COUNT(TICK_INSTRUCTIONS, 1)},
	{"INST_RETIRED", COUNT(TICK_INSTRUCTIONS, 2)},
	{"RETIRED_INSTRUCTIONS", COUNT(TICK_INSTRUCTIONS, 3)},
	{"PERF_COUNT_HW_INSTRUCTIONS", COUNT(TICK_INSTRUCTIONS, 4)},
	{"INSTRUCTIONS", COUNT(TICK_INSTRUCTIONS, 5)},
	{"LLC_MISSES", COUNT(TICK_MISSES, 0)},
	{"LAST_LEVEL_CACHE_MISSES", COUNT(TICK_MISSES, 1)},
	{"LONGEST_LAT_CACHE:MISS", COUNT(TICK_MISSES, 2)},
	{"PERF_COUNT_HW_CACHE_MISSES", COUNT(TICK_MISSES, 3)},
	{"CACHE-MISSES", COUNT(TICK_MISSES, 4)},
	{"LLC-LOAD-MISSES", COUNT(TICK_MISSES, 5)},
	{"PERF_COUNT_HW_CACHE_LL:MISS", COUNT(TICK_MISSES, 6)},
	{"LLC_MISS", COUNT(TICK_MISSES, 7)},
	/* Arm: the last cache level that the processor has is preferred. */
	{"LL_CACHE_MISS", COUNT(TICK_MISSES, 8)},
	{"LL_CACHE_MISS_RD", COUNT(TICK_MISSES, 9)},
	{"L3D_CACHE_REFILL", COUNT(TICK_MISSES, 10)},
	{"L2D_CACHE_REFILL", COUNT(TICK_MISSES, 11)},
	{"FP_ARITH_INST_RETIRED:VECTOR", COUNT(TICK_VECTOR, 0)},
	{"FP_ARITH_INST_RETIRED:PACKED", COUNT(TICK_VECTOR, 1)},
	{"FP_ARITH_INST_RETIRED:0XFC", COUNT(TICK_VECTOR, 2)},
	{"FP_ARITH:VECTOR", COUNT(TICK_VECTOR, 3)},
	{"FP_ARITH:PACKED", COUNT(TICK_VECTOR, 4)},
	{"FP_ARITH:0XFC", COUNT(TICK_VECTOR, 5)},
	/* Arm: Advanced SIMD and scalable vectors have the same rank: they add up. */
	{"ASE_SPEC", COUNT(TICK_VECTOR, 7)},
	{"ASE_INST_SPEC", COUNT(TICK_VECTOR, 7)},
	{"SVE_INST_SPEC", COUNT(TICK_VECTOR, 7)},
	/* AMD since Zen: instructions, or their operations. */
	{"RETIRED_MMX_FP_INSTRUCTIONS:SSE_INSTR", COUNT(TICK_VECTOR, 8)},
	{"RETIRED_SSE_AVX_FLOPS", COUNT(TICK_VECTOR, 9)},
	{"RETIRED_SSE_AVX_OPERATIONS", COUNT(TICK_VECTOR, 9)},
	/* Parts of the above, with the same rank: they add up. */
	{"FP_ARITH_INST_RETIRED:128B_PACKED_DOUBLE", COUNT(TICK_VECTOR, 6)},
	{"FP_ARITH_INST_RETIRED:128B_PACKED_SINGLE", COUNT(TICK_VECTOR, 6)},
	{"FP_ARITH_INST_RETIRED:256B_PACKED_DOUBLE", COUNT(TICK_VECTOR, 6)},
	{"FP_ARITH_INST_RETIRED:256B_PACKED_SINGLE", COUNT(TICK_VECTOR, 6)},
	{"FP_ARITH_INST_RETIRED:512B_PACKED_DOUBLE", COUNT(TICK_VECTOR, 6)},
	{"FP_ARITH_INST_RETIRED:512B_PACKED_SINGLE", COUNT(TICK_VECTOR, 6)},
	{"RAPL_ENERGY_PKG", KIND(FEATURE_PKG)},
	{"RAPL_ENERGY_DRAM", KIND(FEATURE_DRAM)},
	{"RAPL_ENERGY_PSYS", APART(FEATURE_ENERGY_APART, REPORT_SCOPE_PLATFORM)},
	{"RAPL_ENERGY_CORES", APART(FEATURE_ENERGY_APART, REPORT_SCOPE_CORE)},
	{"RAPL_ENERGY_GPU", APART(FEATURE_ENERGY_APART, REPORT_SCOPE_UNCORE)},
	{"GPU_ENERGY", APART(FEATURE_ENERGY_APART, REPORT_SCOPE_GPU)},
	{"GPU_TIME_NS", APART(FEATURE_GPU_TIME, REPORT_SCOPE_GPU)},
	{"CORE_ENERGY", KIND(FEATURE_TARGET_CORES)},
	{"APERF", KIND(FEATURE_APERF)},
	{"MPERF", KIND(FEATURE_MPERF)},
	{"TSC", KIND(FEATURE_TSC)},
	{"TIME_ENABLED", KIND(FEATURE_ENABLED)},
	{"TIME_RUNNING", KIND(FEATURE_BOOKKEEPING)},
};

/* True where `event` is `name` or `name` with attributes, or the end of "pmu/name/". */
static bool matches(const char *event, const char *name)
{
	while (*name && toupper((unsigned char)*event) == *name) {
		event++;
		name++;
	}
	return !*name && (!*event || *event == ':' || *event == '/');
}

static bool is_efficient(const char *event)
{
	for (size_t i = 0; i < ARRAY_SIZE(efficient_pmus); i++)
		if (strncmp(event, efficient_pmus[i], strlen(efficient_pmus[i])) == 0)
			return true;
	return false;
}

struct feature feature_of_event(const char *event)
{
	const char *slash = strchr(event, '/');
	const bool efficient = is_efficient(event);

	if (slash && slash[1])
		event = slash + 1;
	for (const char *rest; (rest = strstr(event, "::")) != NULL;)
		event = rest + 2;
	for (size_t i = 0; i < ARRAY_SIZE(known_features); i++) {
		struct feature feature = known_features[i].feature;

		if (!matches(event, known_features[i].name))
			continue;
		feature.efficient =
			efficient && feature.kind == FEATURE_COUNT && feature.which == TICK_CYCLES;
		return feature;
	}
	return (struct feature){.kind = FEATURE_NONE};
}
