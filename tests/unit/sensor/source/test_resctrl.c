/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of the resctrl file system: counters with the kernel's rounding and words, domains, features, lists
 * of threads; and which targets hold the groups, as a property of random loads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "source/resctrl/resctrl_info.h"
#include "priv/priv_tids.h"
#include "source/resctrl/resctrl_choice.h"
#include "unit/random_seed.h"

static void counters_as_the_kernel_prints_them(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t nj;
	} rows[] = {
		{"0.0\n", 0, 0},
		{"1234.567891\n", 0, 1234567891000},
		{"0.02203\n", 0, 22030000},
		{"7.000000001", 0, 7000000001},
		{"12\n", 0, 12000000000},
		{"000012.5\n", 0, 12500000000},
		{"18446744072.999999999\n", 0, UINT64_C(18446744072999999999)},
		{"18446744073.0\n", -EINVAL, 0},
		{"99999999999999999999999.0\n", -EINVAL, 0},
		{"Unavailable\n", -ENODATA, 0},
		{"Unassigned\n", -ENODATA, 0},
		{"Error\n", -EIO, 0},
		{"Errors\n", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"\n", -EINVAL, 0},
		{"-1.0\n", -EINVAL, 0},
		{"1.\n", -EINVAL, 0},
		{".5\n", -EINVAL, 0},
		{"1.0000000000\n", -EINVAL, 0},
		{"1,5\n", -EINVAL, 0},
		{"1.5 J\n", -EINVAL, 0},
		{"1.5\n2.5\n", -EINVAL, 0},
		{"nan\n", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t nj = 1;

		assert_int_equal(resctrl_parse_joules(rows[i].text, &nj), rows[i].error);
		if (rows[i].error == 0)
			assert_int_equal(nj, rows[i].nj);
	}
}

static void domains_by_package(void **state)
{
	unsigned package = 77;

	(void)state;
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_00", &package), 0);
	assert_int_equal(package, 0);
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_17", &package), 0);
	assert_int_equal(package, 17);
	assert_int_equal(resctrl_parse_package("mon_L3_00", &package), -EINVAL);
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_", &package), -EINVAL);
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_0", &package), -EINVAL);
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_00x", &package), -EINVAL);
	assert_int_equal(resctrl_parse_package("mon_PERF_PKG_99", &package), -EINVAL);
}

static void properties_of_the_file_system(void **state)
{
	struct fake_tree tree = fake_new();
	struct resctrl_info info;
	struct reason why = {""};

	(void)state;
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), -ENOENT);
	assert_non_null(strstr(why.text, "mount -t resctrl"));
	fake_write(&tree, "info/L3_MON/mon_features", "llc_occupancy\nmbm_total_bytes");
	fake_write(&tree, "info/L3_MON/num_rmids", "64");
	fake_write(&tree, "mon_data/mon_L3_00/llc_occupancy", "0");
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), -ENODEV);
	assert_non_null(strstr(why.text, "Linux 7.0"));
	fake_write(&tree, "info/PERF_PKG_MON/mon_features", "core_energy_of_others\nactivity");
	fake_write(&tree, "info/PERF_PKG_MON/num_rmids", "256");
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), -ENODEV);
	fake_write(&tree, "info/PERF_PKG_MON/mon_features", "activity\ncore_energy\nuops_retired");
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), -ENODEV); /* no domain */
	fake_write(&tree, "mon_data/mon_PERF_PKG_01/core_energy", "0.0");
	fake_write(&tree, "mon_data/mon_PERF_PKG_00/core_energy", "0.0");
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), 0);
	assert_int_equal(info.n_rmids, 64); /* the smaller of the two numbers */
	assert_int_equal(info.n_packages, 2);
	assert_int_equal(info.packages[0], 0);
	assert_int_equal(info.packages[1], 1);
	fake_write(&tree, "info/PERF_PKG_MON/num_rmids", "1");
	assert_int_equal(resctrl_read_info(tree.root, &info, &why), -ENODEV);
	fake_free(&tree);
}

static void lists_of_threads(void **state)
{
	static const char text[] = "30\n7\n\n0\n-4\nx\n99999999999\n12 \n7\n4000000";
	struct priv_tids tids = {0};
	int ends[2];

	(void)state;
	assert_int_equal(priv_tids_parse(text, strlen(text), &tids), 0);
	priv_tids_sort(&tids);
	assert_int_equal(tids.n, 4);
	assert_true(priv_tids_has(&tids, 7) && priv_tids_has(&tids, 30) && priv_tids_has(&tids, 4000000));
	assert_false(priv_tids_has(&tids, 12));
	priv_tids_done(&tids);
	assert_false(priv_tids_has(&tids, 7));
	/* A list longer than one read(), so that a number is split between two. */
	assert_int_equal(pipe(ends), 0);
	for (int i = 100000; i < 105000; i++)
		assert_true(dprintf(ends[1], "%d\n", i) > 0);
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(priv_tids_read(ends[0], &tids), 0);
	assert_int_equal(close(ends[0]), 0);
	assert_int_equal(tids.n, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(tids.items[i], 100000 + i);
	priv_tids_done(&tids);
}

static unsigned random_below(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/*
 * Applies the changes of a tick; returns their number. Never more groups than exist, and none released that
 * is not held.
 */
static unsigned change(struct resctrl_choice *choice)
{
	struct resctrl_change change;
	unsigned n = 0;

	for (; n < 4 && resctrl_choice_next(choice, &change); n++) {
		if (change.give > 0) {
			assert_true(choice->slots[change.give].held);
			resctrl_choice_gave(choice, change.give);
		}
		if (change.take > 0) {
			assert_false(choice->slots[change.take].held);
			resctrl_choice_took(choice, change.take);
		}
		assert_true(choice->n_held <= choice->most);
	}
	return n;
}

static void the_busiest_get_the_groups(void **state)
{
	struct resctrl_choice choice;
	unsigned late = 0;

	(void)state;
	resctrl_choice_init(&choice, 3);
	/* Loads that vary by a fifth change nothing once the groups are assigned. */
	for (unsigned t = 0; t < 300; t++) {
		for (unsigned slot = 1; slot <= 6; slot++)
			assert_true(resctrl_choice_note(&choice, slot,
							0.05 * slot * (0.9 + 0.002 * random_below(100))));
		resctrl_choice_tick(&choice);
		late += t >= 30 ? change(&choice) : (change(&choice), 0u);
	}
	assert_int_equal(late, 0);
	assert_true(choice.slots[6].held && choice.slots[5].held && choice.slots[4].held);
	/* A target that is clearly busier gets the group of the least busy one. */
	for (unsigned t = 0; t < 30; t++) {
		for (unsigned slot = 1; slot <= 6; slot++)
			assert_true(resctrl_choice_note(&choice, slot, slot == 1 ? 0.9 : 0.05 * slot));
		resctrl_choice_tick(&choice);
		(void)change(&choice);
	}
	assert_true(choice.slots[1].held && !choice.slots[4].held);
	/* Idle targets release theirs, even if no other target waits. */
	for (unsigned t = 0; t < 150; t++) {
		resctrl_choice_tick(&choice);
		(void)change(&choice);
	}
	assert_int_equal(choice.n_held, 0);
	resctrl_choice_done(&choice);
}

static void never_more_groups_than_available(void **state)
{
	struct resctrl_choice choice;

	(void)state;
	resctrl_choice_init(&choice, 5);
	for (unsigned t = 0; t < 5000; t++) {
		const unsigned slot = 1 + random_below(40);
		unsigned held = 0;

		for (unsigned i = 0; i < 10; i++)
			assert_true(resctrl_choice_note(&choice, 1 + random_below(40),
							(double)random_below(1000) / 900 - 0.05));
		resctrl_choice_tick(&choice);
		(void)change(&choice);
		if (random_below(20) == 0)
			resctrl_choice_forget(&choice, slot);
		if (random_below(20) == 0)
			resctrl_choice_ban(&choice, slot);
		if (random_below(50) == 0)
			resctrl_choice_limit(&choice);
		for (unsigned i = 0; i < choice.n_slots; i++)
			held += choice.slots[i].held;
		assert_int_equal(held, choice.n_held);
		assert_true(held <= 5);
		if (slot < choice.n_slots && choice.slots[slot].banned_until > choice.tick)
			assert_false(choice.slots[slot].held);
	}
	resctrl_choice_done(&choice);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_as_the_kernel_prints_them),
		cmocka_unit_test(domains_by_package),
		cmocka_unit_test(properties_of_the_file_system),
		cmocka_unit_test(lists_of_threads),
		cmocka_unit_test(the_busiest_get_the_groups),
		cmocka_unit_test(never_more_groups_than_available),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
