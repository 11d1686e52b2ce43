/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From event names to features: ours, hwpc-sensor's, AMD's and the kernel's.
 */
#include "tick/feature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_count(const char *name, enum tick_feature which)
{
	struct feature feature = feature_of_event(name);

	if (feature.kind != FEATURE_COUNT || feature.which != which)
		fail_msg("%s: kind %d, feature %d", name, feature.kind, feature.which);
}

static void known_names(void **state)
{
	(void)state;
	assert_count("CPU_CLK_THREAD_UNHALTED:REF_P", TICK_REF);
	assert_count("CPU_CLK_THREAD_UNHALTED:REF_XCLK", TICK_REF);
	assert_count("CPU_CLK_UNHALTED:REF_TSC", TICK_REF);
	assert_count("UNHALTED_REFERENCE_CYCLES:u", TICK_REF);
	assert_count("CPU_CLK_THREAD_UNHALTED:THREAD_P", TICK_CYCLES);
	assert_count("hsw_ep::CPU_CLK_UNHALTED:THREAD_P:k=1", TICK_CYCLES);
	assert_count("CPU_CLK_UNHALTED", TICK_CYCLES);
	assert_count("CYCLES_NOT_IN_HALT", TICK_CYCLES);
	assert_count("perf::cycles", TICK_CYCLES);
	assert_count("INSTRUCTIONS_RETIRED", TICK_INSTRUCTIONS);
	assert_count("INST_RETIRED:ANY_P", TICK_INSTRUCTIONS);
	assert_count("RETIRED_INSTRUCTIONS", TICK_INSTRUCTIONS);
	assert_count("LLC_MISSES", TICK_MISSES);
	/* Arm: libpfm4's names, with and without the PMU, and sysfs names */
	assert_count("CPU_CYCLES", TICK_CYCLES);
	assert_count("arm_ac57::CPU_CYCLES", TICK_CYCLES);
	assert_count("armv8_pmuv3/cpu_cycles/", TICK_CYCLES);
	assert_count("armv8_pmuv3_0/inst_retired/", TICK_INSTRUCTIONS);
	assert_count("arm_n1::INST_RETIRED:u", TICK_INSTRUCTIONS);
	assert_count("LL_CACHE_MISS_RD", TICK_MISSES);
	assert_count("L2D_CACHE_REFILL", TICK_MISSES);
	assert_count("ASE_SPEC", TICK_VECTOR);
	assert_count("arm_n2::SVE_INST_SPEC", TICK_VECTOR);
	assert_count("amd64_fam19h_zen4::RETIRED_MMX_FP_INSTRUCTIONS:SSE_INSTR:u", TICK_VECTOR);
	assert_count("RETIRED_SSE_AVX_FLOPS:ANY", TICK_VECTOR);
	assert_count("LONGEST_LAT_CACHE:MISS", TICK_MISSES);
	assert_count("cache-misses", TICK_MISSES);
	assert_count("FP_ARITH_INST_RETIRED:VECTOR", TICK_VECTOR);
	assert_count("skx::FP_ARITH_INST_RETIRED:0xfc", TICK_VECTOR);
	assert_count("FP_ARITH:PACKED", TICK_VECTOR);
	assert_count("FP_ARITH_INST_RETIRED:256B_PACKED_DOUBLE:u", TICK_VECTOR);
}

/* Cycles of a hybrid processor's efficient cores are part of all cycles, and also counted separately. */
static void efficient_cores(void **state)
{
	(void)state;
	assert_count("cpu_atom/cpu-cycles/", TICK_CYCLES);
	assert_true(feature_of_event("cpu_atom/cpu-cycles/").efficient);
	assert_true(feature_of_event("cpu_lowpower/cycles/u").efficient);
	assert_false(feature_of_event("cpu_core/cpu-cycles/").efficient);
	assert_false(feature_of_event("cpu_atom/instructions/").efficient);
	assert_false(feature_of_event("cpu-cycles").efficient);
}

static void other_kinds(void **state)
{
	(void)state;
	assert_int_equal(feature_of_event("CPU_TIME_NS").kind, FEATURE_TIME);
	assert_int_equal(feature_of_event("perf::TASK-CLOCK").kind, FEATURE_TIME);
	assert_int_equal(feature_of_event("PERF_COUNT_SW_CPU_CLOCK").kind, FEATURE_TIME);
	assert_int_equal(feature_of_event("RAPL_ENERGY_PKG").kind, FEATURE_PKG);
	assert_int_equal(feature_of_event("rapl::RAPL_ENERGY_DRAM").kind, FEATURE_DRAM);
	assert_int_equal(feature_of_event("APERF").kind, FEATURE_APERF);
	assert_int_equal(feature_of_event("time_enabled").kind, FEATURE_ENABLED);
	assert_int_equal(feature_of_event("time_running").kind, FEATURE_BOOKKEEPING);
	assert_int_equal(feature_of_event("PAGE-FAULTS").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("cpu_core/ref-cycles/").kind, FEATURE_COUNT);
	assert_int_equal(feature_of_event("cpu/cycles-ct/").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("FP_ARITH_INST_RETIRED:SCALAR").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("CYCLESX").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("CYCLE").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("").kind, FEATURE_NONE);
	assert_int_equal(feature_of_event("::").kind, FEATURE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_names),
		cmocka_unit_test(efficient_cores),
		cmocka_unit_test(other_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
