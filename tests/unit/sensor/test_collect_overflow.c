/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets divided between two sources: an activity source with room for a few, and cpu.stat on a synthetic
 * tree for the rest.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fake/fake_tree.h"
#include "collect/collect.h"

#define SLOTS 16
#define ID    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct collect collect;
	struct activity_source small;
	uint8_t flags[SLOTS];
	uint32_t active[SLOTS];
	unsigned room, nested[SLOTS];
} fixture;

static int small_add(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	if (!cgroup->root) {
		fixture.nested[cgroup->slot]++;
		return 0;
	}
	if (fixture.room == 0)
		return -EMFILE;
	fixture.room--;
	source->frame.flags[cgroup->slot] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	return 0;
}

static void small_remove(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	if (!cgroup->root || !(source->frame.flags[cgroup->slot] & ACTIVITY_OPEN))
		return;
	source->frame.flags[cgroup->slot] = 0;
	fixture.room++;
}

static const struct activity_source_ops small_ops = {
	.name = "small", .add = small_add, .remove = small_remove};

static void write_usage(char which, unsigned usec)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "docker/%c0%s/cpu.stat", which, ID);
	fake_write(&fixture.tree, path, "usage_usec %u\nuser_usec 1\nsystem_usec 2", usec);
}

static void cgroup(char which, const char *below, bool there)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/docker/%c0%s%s", which, ID, below);
	if (there)
		assert_int_equal(target_table_cgroup_created(fixture.collect.table, path, (uint64_t)which, 1),
				 0);
	else
		assert_int_equal(target_table_cgroup_removed(fixture.collect.table, path, (uint64_t)which, 2),
				 0);
}

static int set_up(void **state)
{
	const struct target_options options = {0};
	struct target_events events;

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	fixture.tree = fake_new();
	fake_topology(&fixture.tree, 1, 2, 1);
	fake_write(&fixture.tree, "cgroup.procs", "1");
	fake_write(&fixture.tree, "stat", "cpu0 100 0 0 500\ncpu1 100 0 0 500");
	assert_int_equal(topology_read(fixture.tree.root, fixture.tree.root, &fixture.topology), 0);
	fixture.small = (struct activity_source){
		.ops = &small_ops,
		.frame = {.n_slots = SLOTS, .flags = fixture.flags, .active = fixture.active}};
	fixture.collect.activity = &fixture.small;
	fixture.collect.context = (struct source_context){.sysfs_root = fixture.tree.root,
							  .procfs_root = fixture.tree.root,
							  .cpu_root = fixture.tree.root,
							  .cpu_root_v2 = true,
							  .topology = &fixture.topology,
							  .fd_budget = 1};
	collect_target_events(&fixture.collect, &events);
	for (char which = 'a'; which <= 'd'; which++)
		write_usage(which, 1000000000); /* more than is possible in this tick */
	return target_table_new(&options, &events, &fixture.collect.table);
}

static int tear_down(void **state)
{
	(void)state;
	collect_overflow_close(&fixture.collect.overflow);
	target_table_free(fixture.collect.table);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}

static void four_cgroups(void)
{
	for (char which = 'a'; which <= 'd'; which++) {
		cgroup(which, "", true);
		cgroup(which, "/init", true);
	}
}

static bool in_overflow(unsigned slot)
{
	return collect_overflow_has(&fixture.collect.overflow, slot);
}

static void excess_targets_are_counted_elsewhere(void **state)
{
	struct collect *collect = &fixture.collect;
	const struct activity_frame *frame;

	(void)state;
	fixture.room = 2;
	collect_overflow_open(collect);
	assert_null(collect_overflow_frame(&collect->overflow)); /* not read while not needed */
	four_cgroups();
	assert_int_equal(collect->overflow.n, 2);
	assert_false(in_overflow(1) || in_overflow(2));
	assert_true(in_overflow(3) && in_overflow(4));
	assert_int_equal(fixture.nested[2], 1);
	assert_int_equal(fixture.nested[3], 0); /* cpu.stat counts it as part of its target */
	assert_int_equal(collect->lost[REPORT_LOST_BUDGET], 0);

	write_usage('c', 1000000300);
	write_usage('d', 1000000700);
	frame = collect_overflow_frame(&collect->overflow);
	assert_int_equal(source_cpustat.read(collect->overflow.source), 0);
	assert_int_equal(frame->n_active, 2);
	assert_int_equal(frame->counts[3], 300000);
	assert_int_equal(frame->counts[4], 700000);

	collect_overflow_balance(collect); /* no room yet */
	assert_int_equal(collect->overflow.n, 2);

	/* One ends: the busiest takes its place, with its nested cgroups, and is not marked as new. */
	cgroup('a', "/init", false);
	cgroup('a', "", false);
	collect_release_ended(collect);
	collect_overflow_balance(collect);
	assert_int_equal(collect->overflow.n, 1);
	assert_true(in_overflow(3) && !in_overflow(4));
	assert_int_equal(fixture.flags[4], ACTIVITY_OPEN);
	assert_int_equal(fixture.nested[4], 1);
	assert_int_equal(fixture.room, 0);

	/* A target of the other source ends: nothing remains to be read there. */
	cgroup('c', "/init", false);
	cgroup('c', "", false);
	collect_release_ended(collect);
	assert_null(collect_overflow_frame(&collect->overflow));
	assert_int_equal(collect->context.fd_budget, 1);
	assert_int_equal(fixture.room, 0);
}

static void without_a_cheaper_source_they_are_lost(void **state)
{
	(void)state;
	fixture.room = 1;
	fixture.collect.context.cpu_root = NULL;
	collect_overflow_open(&fixture.collect);
	assert_null(fixture.collect.overflow.source);
	four_cgroups();
	assert_int_equal(fixture.collect.lost[REPORT_LOST_BUDGET], 3);
	collect_overflow_balance(&fixture.collect);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(excess_targets_are_counted_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_a_cheaper_source_they_are_lost, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
