/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Skipped reads of idle groups, simulated with a page of our own: a group that ran is always read, an idle
 * one rarely, and a kernel that does not maintain the page's sequence number costs reads, not counts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/perf/perf_pages.h"
#include "unit/random_seed.h"

#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/* A group, with the kernel's side of it. */
struct group {
	struct perf_event_mmap_page mapped;
	struct perf_page page;
	uint64_t time, read; /* its running time, and the value of the last read */
	bool on_cpu;
	unsigned n_reads;
};

static void put_on_cpu(struct group *group, bool kernel_keeps_number)
{
	if (!group->on_cpu && kernel_keeps_number)
		group->mapped.lock += 2;
	group->on_cpu = true;
}

/* One tick of the source; returns the time that it saw. */
static uint64_t tick(struct group *group, enum perf_pages_trust *trust, uint32_t turn)
{
	uint64_t step;
	uint32_t number;

	if (group->on_cpu)
		group->time += 10;
	if (perf_pages_skip(&group->page, *trust, turn))
		return 0;
	number = perf_pages_number(&group->page);
	step = group->time - group->read;
	group->read = group->time;
	group->n_reads++;
	perf_pages_note(&group->page, number, step, step, trust);
	return step;
}

static struct group new_group(void)
{
	return (struct group){.n_reads = 0};
}

/* Groups that start and stop at random: nothing is late by a tick, and idle ones are hardly ever read. */
static void groups_that_ran_are_read(void **state)
{
	enum perf_pages_trust trust = PERF_PAGES_UNKNOWN;
	struct group group = new_group();
	unsigned n_idle = 0;

	(void)state;
	srand(random_begin());
	group.page.page = &group.mapped;
	for (uint32_t turn = 1; turn < 20000; turn++) {
		/* Long pauses, and sometimes activity within one tick or over several. */
		const int dice = rand() % 100;

		if (dice < 5)
			put_on_cpu(&group, true);
		else if (dice < 30)
			group.on_cpu = false;
		n_idle += !group.on_cpu;
		(void)tick(&group, &trust, turn);
		assert_int_equal(group.read, group.time);
	}
	print_message("# %u reads, of 19999 ticks %u idle\n", group.n_reads, n_idle);
	assert_int_equal(trust, PERF_PAGES_GOOD);
	assert_true(group.n_reads < 19999 - n_idle * 6 / 10);
}

/* A group that runs without a pause keeps its number: it is read in each tick. */
static void groups_that_keep_running_are_read(void **state)
{
	enum perf_pages_trust trust = PERF_PAGES_GOOD;
	struct group group = new_group();

	(void)state;
	group.page.page = &group.mapped;
	(void)tick(&group, &trust, 1);
	(void)tick(&group, &trust, 2);
	put_on_cpu(&group, true);
	for (uint32_t turn = 3; turn < 100; turn++)
		assert_int_equal(tick(&group, &trust, turn), 10);
}

/* A kernel that does not maintain the number is detected, and no count is lost. */
static void an_unchanging_number_is_not_trusted(void **state)
{
	enum perf_pages_trust trust = PERF_PAGES_GOOD;
	struct group group = new_group();
	uint64_t seen = 0;

	(void)state;
	group.page.page = &group.mapped;
	for (uint32_t turn = 1; turn < 100; turn++) {
		if (turn % 5 == 0)
			put_on_cpu(&group, false);
		else
			group.on_cpu = false;
		seen += tick(&group, &trust, turn);
	}
	assert_int_equal(trust, PERF_PAGES_BAD);
	group.on_cpu = false;
	seen += tick(&group, &trust, 100);
	assert_int_equal(seen, group.time);
	assert_false(perf_pages_skip(&group.page, trust, 1));
}

static void without_trust_or_page_all_groups_are_read(void **state)
{
	enum perf_pages_trust trust = PERF_PAGES_UNKNOWN;
	struct group group = new_group();
	unsigned n = PERF_PAGES_MAX;

	(void)state;
	for (uint32_t turn = 1; turn < 50; turn++)
		(void)tick(&group, &trust, turn);
	assert_int_equal(group.n_reads, 49);
	trust = PERF_PAGES_GOOD;
	for (uint32_t turn = 1; turn < 50; turn++)
		(void)tick(&group, &trust, turn);
	assert_int_equal(group.n_reads, 98);
	/* No page: beyond the limit, and for a descriptor without one. */
	perf_pages_map(&group.page, STDIN_FILENO, &n);
	assert_null(group.page.page);
	n = 0;
	perf_pages_map(&group.page, -1, &n);
	assert_null(group.page.page);
	perf_pages_unmap(&group.page, &n);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_that_ran_are_read),
		cmocka_unit_test(groups_that_keep_running_are_read),
		cmocka_unit_test(an_unchanging_number_is_not_trusted),
		cmocka_unit_test(without_trust_or_page_all_groups_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
