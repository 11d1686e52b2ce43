/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Design power, limits, idle states and frequency drivers from synthetic trees: several packages and dies,
 * disabled states, and files with unexpected contents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "collect/machine_facts.h"

#define ZONE "class/powercap/"

static struct machine_facts facts;

static const struct report_machine *read_tree(const struct fake_tree *tree)
{
	struct topology topology;

	assert_int_equal(topology_read(tree->root, tree->root, &topology), 0);
	machine_facts_read(tree->root, &topology, &facts);
	topology_done(&topology);
	return &facts.report;
}

static void write_zone(const struct fake_tree *tree, const char *zone, const char *name, const char *max_uw,
		       const char *long_uw, const char *short_uw)
{
	char path[128];

	(void)snprintf(path, sizeof(path), ZONE "%s/name", zone);
	fake_write(tree, path, "%s", name);
	(void)snprintf(path, sizeof(path), ZONE "%s/constraint_0_max_power_uw", zone);
	fake_write(tree, path, "%s", max_uw);
	(void)snprintf(path, sizeof(path), ZONE "%s/constraint_0_power_limit_uw", zone);
	fake_write(tree, path, "%s", long_uw);
	(void)snprintf(path, sizeof(path), ZONE "%s/constraint_1_power_limit_uw", zone);
	fake_write(tree, path, "%s", short_uw);
}

static void write_state(const struct fake_tree *tree, unsigned state, const char *name, const char *latency,
			const char *disable)
{
	static const char *const files[] = {"name", "latency", "disable"};
	const char *const texts[] = {name, latency, disable};
	char path[128];

	for (unsigned i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof(path), "devices/system/cpu/cpu0/cpuidle/state%u/%s", state,
			       files[i]);
		fake_write(tree, path, "%s", texts[i]);
	}
}

static void test_two_packages(void **state)
{
	struct fake_tree tree = fake_new();
	const struct report_machine *machine;

	(void)state;
	fake_topology(&tree, 2, 4, 2);
	write_zone(&tree, "intel-rapl:0", "package-0", "125000000", "120000000", "150000000");
	write_zone(&tree, "intel-rapl:1", "package-1", "125000000", "125000000", "155500000");
	write_zone(&tree, "intel-rapl:0:0", "dram", "900000000", "900000000", "900000000");
	write_zone(&tree, "intel-rapl-mmio:0", "package-0", "15000000", "15000000", "15000000");
	write_state(&tree, 0, "POLL", "0", "0");
	write_state(&tree, 1, "C1E", "10", "0");
	write_state(&tree, 2, "C6", "133", "0");
	fake_write(&tree, "devices/system/cpu/cpuidle/current_driver", "intel_idle");
	fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_driver", "intel_pstate");
	fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave");
	machine = read_tree(&tree);
	assert_true(machine->design_w == 125);
	assert_true(machine->limit_w == 155.5);
	assert_true(machine->idle_latency_us == 133);
	assert_string_equal(machine->idle_driver, "intel_idle");
	assert_string_equal(machine->idle_state, "C6");
	assert_string_equal(machine->frequency_driver, "intel_pstate");
	assert_string_equal(machine->frequency_governor, "powersave");
	/* A disabled state is not used. */
	write_state(&tree, 2, "C6", "133", "1");
	machine = read_tree(&tree);
	assert_true(machine->idle_latency_us == 10);
	assert_string_equal(machine->idle_state, "C1E");
	fake_free(&tree);
}

/* The dies of a package are summed; without a design power, the long-term limit replaces it. */
static void test_dies_without_design(void **state)
{
	struct fake_tree tree = fake_new();
	const struct report_machine *machine;

	(void)state;
	fake_topology(&tree, 1, 4, 1);
	write_zone(&tree, "intel-rapl:0", "package-0-die-0", "0", "100000000", "0");
	write_zone(&tree, "intel-rapl:1", "package-0-die-1", "0", "100000000", "140000000");
	machine = read_tree(&tree);
	assert_true(machine->design_w == 200);
	assert_true(machine->limit_w == 240);
	assert_true(machine->idle_latency_us == 0);
	assert_string_equal(machine->idle_state, "");
	fake_free(&tree);
}

static void test_hostile(void **state)
{
	static const char *const texts[] = {"0",
					    "-1",
					    "1000000000000000",
					    "18446744073709551615",
					    "99999999999999999999999",
					    "nan",
					    "inf",
					    "",
					    "125 W",
					    "0x10",
					    "1e9",
					    "\033[31mred",
					    "a word that is far too long for the name of a driver"};
	struct fake_tree tree = fake_new();

	(void)state;
	fake_topology(&tree, 1, 2, 1);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct report_machine *machine;
		write_zone(&tree, "intel-rapl:0", "package-0", texts[i], texts[i], texts[i]);
		write_state(&tree, 0, texts[i], texts[i], texts[i]);
		fake_write(&tree, "devices/system/cpu/cpuidle/current_driver", "%s", texts[i]);
		fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_driver", "%s", texts[i]);
		fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/scaling_governor", "%s", texts[i]);
		machine = read_tree(&tree);
		/* Only the first word of "125 W", a number with a unit, is used. */
		assert_true(machine->design_w == 0 && machine->limit_w == 0);
		assert_true(machine->idle_latency_us >= 0 && machine->idle_latency_us <= 1e6);
		assert_null(strchr(machine->idle_driver, '\033'));
		assert_true(strlen(machine->frequency_driver) < MACHINE_WORD_SIZE);
		assert_null(strchr(machine->frequency_governor, ' '));
	}
	fake_free(&tree);
}

static void test_nothing(void **state)
{
	struct fake_tree tree = fake_new();
	const struct report_machine *machine;

	(void)state;
	fake_topology(&tree, 1, 2, 1);
	machine = read_tree(&tree);
	assert_true(machine->design_w == 0 && machine->limit_w == 0 && machine->idle_latency_us == 0);
	assert_string_equal(machine->idle_driver, "");
	assert_string_equal(machine->frequency_governor, "");
	fake_free(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_packages),
		cmocka_unit_test(test_dies_without_design),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
