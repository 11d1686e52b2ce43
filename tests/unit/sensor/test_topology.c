/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topologies read from synthetic trees: two sockets with threads, a virtual machine without files, unusual
 * contents.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "fake/fake_tree.h"
#include "machine/topology.h"

static struct topology read_tree(const struct fake_tree *tree)
{
	struct topology topology;

	assert_int_equal(topology_read(tree->root, tree->root, &topology), 0);
	return topology;
}

static void test_two_sockets(void **state)
{
	struct fake_tree tree = fake_new();
	struct topology topology;

	(void)state;
	fake_topology(&tree, 2, 4, 2);
	fake_write(&tree, "cpuinfo",
		   "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz\n"
		   "cpu MHz\t\t: 1000.000\nflags\t\t: fpu tsc msr\n");
	topology = read_tree(&tree);
	assert_int_equal(topology.n_cpus, 16);
	assert_int_equal(topology.n_packages, 2);
	assert_int_equal(topology.packages[0].first_cpu, 0);
	assert_int_equal(topology.packages[1].first_cpu, 4);
	assert_int_equal(topology.packages[1].n_cpus, 8);
	assert_int_equal(topology.packages[1].n_cores, 4);
	assert_int_equal(topology.packages[0].n_dies, 1);
	assert_int_equal(topology_cores_per_package(&topology), 4);
	assert_int_equal(topology_find_cpu(&topology, 12)->package, 1);
	assert_null(topology_find_cpu(&topology, 16));
	assert_null(topology_find_package(&topology, 2));
	assert_true(topology.base_frequency_mhz == 2100);
	assert_string_equal(topology.model_name, "Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz");
	assert_false(topology.virtual_machine);
	fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/base_frequency", "2095000");
	topology_done(&topology);
	topology = read_tree(&tree);
	assert_true(topology.base_frequency_mhz == 2095);
	/* It changes while the machine runs; an unreadable value changes nothing. */
	assert_false(topology_renew_frequency(&topology, tree.root));
	fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/base_frequency", "1800000");
	assert_true(topology_renew_frequency(&topology, tree.root));
	assert_true(topology.base_frequency_mhz == 1800);
	fake_write(&tree, "devices/system/cpu/cpu0/cpufreq/base_frequency", "0");
	assert_false(topology_renew_frequency(&topology, tree.root));
	topology_done(&topology);
	fake_free(&tree);
}

static void test_virtual_machine(void **state)
{
	struct fake_tree tree = fake_new();
	struct topology topology;

	(void)state;
	fake_write(&tree, "cpuinfo",
		   "processor : 0\nmodel name : AMD EPYC\ncpu MHz : 2596.150\n"
		   "flags : fpu hypervisor lahf_lm\n\nprocessor : 1\nmodel name : AMD EPYC\n");
	topology = read_tree(&tree);
	assert_int_equal(topology.n_cpus, 2);
	assert_int_equal(topology.n_packages, 1);
	assert_int_equal(topology.packages[0].n_cores, 2);
	assert_true(topology.virtual_machine);
	assert_true(topology.base_frequency_mhz > 2596 && topology.base_frequency_mhz < 2597);
	topology_done(&topology);
	fake_free(&tree);
}

/* What each architecture calls its processor, and names that must not be printed unchanged. */
static void test_model_names(void **state)
{
	static const char *const cases[][2] = {
		{"processor : 0\nvendor_id : X\ncpu family : 6\nmodel : 85\nmodel name : A\nmodel name : B\n",
		 "A"},
		{"processor : 0\nBogoMIPS : 50\nCPU implementer : 0x41\nCPU architecture: 8\n"
		 "CPU variant : 0x3\nCPU part : 0xd0c\n",
		 "ARM implementer 0x41, part 0xd0c"},
		{"processor : 0\nCPU part : 0xd0c\n", ""},
		{"processor : 0\ncpu : POWER9, altivec supported\n", "POWER9, altivec supported"},
		{"processor : 0\nhart : 1\nuarch : sifive,u74-mc\n", "sifive,u74-mc"},
		{"processor : 0\nmodel name : a\033[31m\"b\\\xff\n", "a?[31m\"b\\?"},
		{"processor : 0\nmodel name :\n", ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_tree tree = fake_new();
		struct topology topology;

		fake_write(&tree, "cpuinfo", "%s", cases[i][0]);
		topology = read_tree(&tree);
		assert_string_equal(topology.model_name, cases[i][1]);
		topology_done(&topology);
		fake_free(&tree);
	}
}

/* CPU 0 offline, gaps in the IDs, a package ID of -1 as on some ARM machines. */
static void test_odd_machine(void **state)
{
	struct fake_tree tree = fake_new();
	struct topology topology;

	(void)state;
	fake_write(&tree, "devices/system/cpu/online", "1,3-4");
	fake_write(&tree, "devices/system/cpu/cpu1/topology/physical_package_id", "-1");
	fake_write(&tree, "devices/system/cpu/cpu3/topology/physical_package_id", "36");
	fake_write(&tree, "devices/system/cpu/cpu3/topology/die_id", "1");
	fake_write(&tree, "devices/system/cpu/cpu4/topology/physical_package_id", "36");
	fake_write(&tree, "devices/system/cpu/cpu4/topology/core_id", "garbage");
	fake_write(&tree, "devices/system/cpu/cpu1/cpufreq/cpuinfo_max_freq", "3000000");
	topology = read_tree(&tree);
	assert_int_equal(topology.n_cpus, 3);
	assert_int_equal(topology.n_packages, 2);
	assert_int_equal(topology.packages[0].id, 0);
	assert_int_equal(topology.packages[0].first_cpu, 1);
	assert_int_equal(topology.packages[1].id, 36);
	assert_int_equal(topology.packages[1].first_cpu, 3);
	assert_int_equal(topology.packages[1].n_dies, 2);
	assert_true(topology.base_frequency_mhz == 3000);
	assert_string_equal(topology.model_name, "");
	topology_done(&topology);
	fake_free(&tree);
}

static void test_nothing(void **state)
{
	struct fake_tree tree = fake_new();
	struct topology topology;

	(void)state;
	assert_int_equal(topology_read(tree.root, tree.root, &topology), -ENODEV);
	fake_write(&tree, "devices/system/cpu/online", "0-");
	assert_int_equal(topology_read(tree.root, tree.root, &topology), -ENODEV);
	fake_free(&tree);
}

static void test_this_machine(void **state)
{
	struct topology topology;

	(void)state;
	assert_int_equal(topology_read("/sys", "/proc", &topology), 0);
	assert_true(topology.n_cpus >= 1);
	assert_true(topology.n_packages >= 1);
	assert_true(topology_cores_per_package(&topology) >= 1);
	topology_done(&topology);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_sockets), cmocka_unit_test(test_virtual_machine),
		cmocka_unit_test(test_model_names), cmocka_unit_test(test_odd_machine),
		cmocka_unit_test(test_nothing),     cmocka_unit_test(test_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
