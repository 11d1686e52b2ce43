/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_online: which CPUs came and went, from a list that is rewritten under an open descriptor, as in sysfs;
 * malformed text changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "machine/cpu_online.h"

#define LIST "devices/system/cpu/online"

static void test_changes(void **state)
{
	static struct cpu_online online;
	struct fake_tree tree = fake_new();

	(void)state;
	fake_write(&tree, LIST, "0-3,70");
	assert_int_equal(cpu_online_open(&online, tree.root), 0);
	assert_false(cpu_online_look(&online));
	fake_write(&tree, LIST, "0,2-3");
	assert_true(cpu_online_look(&online));
	assert_true(cpu_online_has_gone(&online, 1));
	assert_true(cpu_online_has_gone(&online, 70));
	assert_false(cpu_online_has_gone(&online, 2));
	assert_false(cpu_online_has_come(&online, 2));
	assert_false(cpu_online_look(&online));
	fake_write(&tree, LIST, "0-3,5");
	assert_true(cpu_online_look(&online));
	assert_true(cpu_online_has_come(&online, 1));
	assert_true(cpu_online_has_come(&online, 5));
	assert_false(cpu_online_has_come(&online, 70));
	assert_false(cpu_online_has_come(&online, CPU_ONLINE_MAX));
	cpu_online_close(&online);
	fake_free(&tree);
}

static void test_nonsense(void **state)
{
	static struct cpu_online online;
	struct fake_tree tree = fake_new();

	(void)state;
	assert_int_equal(cpu_online_open(&online, tree.root), -ENOENT);
	assert_false(cpu_online_look(&online));
	fake_write(&tree, LIST, "0-1");
	assert_int_equal(cpu_online_open(&online, tree.root), 0);
	fake_write(&tree, LIST, "0-x");
	assert_false(cpu_online_look(&online));
	assert_false(cpu_online_has_gone(&online, 1));
	fake_write(&tree, LIST, "0");
	assert_true(cpu_online_look(&online));
	assert_true(cpu_online_has_gone(&online, 1));
	cpu_online_close(&online);
	assert_false(cpu_online_look(&online));
	fake_free(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
