/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets: slots, folding, lifecycle, limits; then cgroups created and removed at random, compared with a
 * plain model.
 */
#include "target_core.h"
#include "unit/random_seed.h"

static void test_life(void **state)
{
	(void)state;
	struct core core = {.files = {{A, "{\"Name\":\"/web\",\"Config\":{\"Image\":\"nginx:1\"}}"}}};
	struct report_target document;
	begin(&core, NULL);
	const struct target_view *view = target_table_view(core.table);
	assert_int_equal(view->n_slots, 1);
	assert_string_equal(view->names[0], "all");
	up(&core, "/docker", 1);
	up(&core, "/docker/" A, 2);
	up(&core, "/docker/" A "/init", 3);
	up(&core, "/docker/" A "/docker/" B, 4);
	assert_log(&core, "+web ");
	unsigned slot = target_table_find(core.table, "web");
	assert_int_equal(slot, 1);
	assert_int_equal(core.slots[slot], 3);
	assert_string_equal(view->short_ids[slot], "aab2c3d4e5f6");
	assert_int_equal(target_table_find_cgroup(core.table, "/docker/" A "/docker/" B), slot);
	assert_int_equal(target_table_next_dirty(core.table), slot);
	assert_int_equal(target_table_next_dirty(core.table), 0);
	target_table_fill(core.table, slot, &document);
	assert_string_equal(document.id, A);
	assert_string_equal(document.image, "nginx:1");
	assert_string_equal(document.runtime, "docker");
	assert_string_equal(document.cgroup, "/docker/" A);
	assert_int_equal(document.first_seen_ms, 1000);
	down(&core, "/docker/" A "/docker/" B, 4);
	sweep(&core);
	assert_int_equal(core.slots[slot], 2);
	down(&core, "/docker/" A "/init", 3);
	down(&core, "/docker/" A, 2);
	assert_int_equal(view->n_ended, 1);
	assert_int_equal(view->n_live, 0);
	assert_int_equal(target_table_next_dirty(core.table), slot);
	target_table_fill(core.table, slot, &document);
	assert_string_equal(document.cgroup, "/docker/" A);
	assert_int_equal(document.last_seen_ms, 2000);
	sweep(&core);
	assert_log(&core, "-web ");
	assert_int_equal(view->states[slot], TARGET_FREE);
	assert_string_equal(view->names[slot], "");
	up(&core, "/docker/" A, 9);
	assert_int_equal(target_table_find(core.table, "web"), slot);
	target_table_free(core.table);
}

static void test_leaves(void **state)
{
	(void)state;
	struct core core = {0};
	begin(&core, NULL);
	/* Folders found in one scan never become targets. */
	up(&core, "/custom", 1);
	up(&core, "/custom/par", 2);
	up(&core, "/custom/par/leaf", 3);
	assert_log(&core, "");
	target_table_settle(core.table, 1000);
	assert_log(&core, "+/custom/par/leaf ");
	/* A leaf that gets a child is replaced by it, and does not return. */
	up(&core, "/custom/par/leaf/child", 4);
	target_table_settle(core.table, 1000);
	assert_log(&core, "+/custom/par/leaf/child ");
	sweep(&core);
	assert_log(&core, "-/custom/par/leaf ");
	down(&core, "/custom/par/leaf/child", 4);
	sweep(&core);
	assert_log(&core, "-/custom/par/leaf/child ");
	target_table_settle(core.table, 1000);
	assert_log(&core, "");
	/* Removed before it has settled. */
	up(&core, "/brief", 5);
	down(&core, "/brief", 5);
	target_table_settle(core.table, 1000);
	assert_log(&core, "");
	target_table_free(core.table);
}

/* A container below a service (a daemon that keeps containers in its own cgroup): no double counting. */
static void test_container_in_service(void **state)
{
	(void)state;
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"}}};
	begin(&core, NULL);
	up(&core, "/system.slice/d.service", 1);
	up(&core, "/system.slice/d.service/helper", 2);
	up(&core, "/system.slice/d.service/docker", 3);
	up(&core, "/system.slice/d.service/docker/" A, 4);
	assert_log(&core, "+d.service +web ");
	sweep(&core);
	assert_log(&core, "-d.service ");
	up(&core, "/system.slice/d.service/other", 5);
	assert_int_equal(target_table_find_cgroup(core.table, "/system.slice/d.service/other"), 0);
	down(&core, "/system.slice/d.service/docker/" A, 4);
	down(&core, "/system.slice/d.service", 1);
	sweep(&core);
	assert_log(&core, "-web ");
	target_table_free(core.table);
}

static void test_limits(void **state)
{
	(void)state;
	struct target_options options = {.max_targets = 2};
	struct core core = {0};
	begin(&core, &options);
	up(&core, "/system.slice/a.service", 1);
	up(&core, "/system.slice/b.service", 2);
	up(&core, "/system.slice/c.service", 3);
	assert_log(&core, "+a.service +b.service ");
	assert_int_equal(target_table_view(core.table)->refused, 1);
	down(&core, "/system.slice/c.service", 3);
	down(&core, "/system.slice/a.service", 1);
	sweep(&core);
	up(&core, "/system.slice/d.service", 4);
	assert_log(&core, "-a.service +d.service ");
	assert_int_equal(target_table_view(core.table)->n_slots, 3);
	assert_int_equal(target_table_cgroup_created(core.table, "no/path", 5, 0), -EINVAL);
	/* The same path with a new inode: the removal was missed. */
	up(&core, "/system.slice/d.service", 6);
	down(&core, "/system.slice/d.service", 4); /* late event of the old one */
	assert_log(&core, "");
	target_table_free(core.table);
}

/*
 * A cgroup removed before it has settled is a target only for a source that has counted it since its
 * creation.
 */
static void test_brief(void **state)
{
	(void)state;
	struct target_options options = {.brief = true};
	struct core core = {0};
	begin(&core, NULL);
	up(&core, "/job/one", 1);
	down(&core, "/job/one", 1);
	target_table_settle(core.table, 2000);
	sweep(&core);
	assert_log(&core, "");
	target_table_free(core.table);

	begin(&core, &options);
	up(&core, "/job/one", 1);
	down(&core, "/job/one", 1);
	up(&core, "/job/two", 2); /* a folder */
	up(&core, "/job/two/three", 3);
	down(&core, "/job/two/three", 3);
	down(&core, "/job/two", 2);
	up(&core, "/docker/" A, 4);
	up(&core, "/docker/" A "/nested", 5);
	down(&core, "/docker/" A "/nested", 5);
	down(&core, "/docker/" A, 4);
	target_table_settle(core.table, 2000);
	assert_log(&core, "+/job/one +/job/two/three +aab2c3d4e5f6 ");
	assert_int_equal(target_table_view(core.table)->n_live, 0);
	sweep(&core);
	assert_log(&core, "-/job/one -/job/two/three -aab2c3d4e5f6 ");
	target_table_free(core.table);
}

/* A cgroup without a slot gets the next free one; it is counted as refused once. */
static void test_refused_wait(void **state)
{
	(void)state;
	struct target_options options = {.max_targets = 1};
	struct core core = {0};
	begin(&core, &options);
	up(&core, "/system.slice/a.service", 1);
	up(&core, "/system.slice/b.service", 2);
	up(&core, "/system.slice/c.service", 3);
	up(&core, "/system.slice/b.service/nested", 4);
	assert_log(&core, "+a.service ");
	down(&core, "/system.slice/a.service", 1);
	target_table_settle(core.table, 2000); /* its last counts have not been read yet */
	assert_log(&core, "");
	sweep(&core);
	target_table_settle(core.table, 2000);
	assert_log(&core, "-a.service +b.service ");
	assert_int_equal(core.slots[1], 2);
	down(&core, "/system.slice/c.service", 3); /* removed while it waited */
	down(&core, "/system.slice/b.service/nested", 4);
	down(&core, "/system.slice/b.service", 2);
	sweep(&core);
	target_table_settle(core.table, 3000);
	assert_log(&core, "-b.service ");
	assert_int_equal(target_table_view(core.table)->refused, 2);
	up(&core, "/system.slice/d.service", 5);
	up(&core, "/system.slice/e.service", 6); /* still waits at the end */
	target_table_free(core.table);
}

/* cgroups created and removed at random: per-slot counts never leak, names stay unique, slots are reused. */
static void test_random(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"/docker/" A,
		"/docker/" A "/x",
		"/docker/" A "/x/y",
		"/docker/" B,
		"/system.slice/a.service",
		"/system.slice/a.service/w",
		"/system.slice/a.service/docker-" C ".scope",
		"/odd",
		"/odd/one",
		"/odd/one/out",
		"/user.slice/user-1.slice/user@1.service/x.scope",
		"/user.slice/x.scope",
		"/system.slice",
	};
	bool there[ARRAY_SIZE(paths)] = {false};
	uint64_t ids[ARRAY_SIZE(paths)] = {0}, next_id = 1;
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"}, {B, "{\"Name\":\"/web\"}"}, {C, NULL}}};
	srand(random_begin());
	begin(&core, NULL);
	for (int round = 0; round < 20000; round++) {
		size_t i = (size_t)rand() % ARRAY_SIZE(paths);
		if (there[i])
			down(&core, paths[i], ids[i]);
		else
			up(&core, paths[i], ids[i] = next_id++);
		there[i] = !there[i];
		if (rand() % 3 == 0)
			target_table_settle(core.table, 1000);
		if (rand() % 4 == 0)
			sweep(&core);
		(void)target_table_refresh_names(core.table, 1000 + round);
		if (rand() % 5 == 0)
			(void)target_table_next_dirty(core.table);
		core.log[0] = '\0';
		const struct target_view *view = target_table_view(core.table);
		unsigned live = 0;
		for (unsigned slot = 1; slot < view->n_slots; slot++) {
			if (view->states[slot] != TARGET_LIVE)
				continue;
			live++;
			assert_int_equal(target_table_find(core.table, view->names[slot]), slot);
			assert_true(core.has_root[slot]);
		}
		assert_int_equal(live, view->n_live);
		assert_true(view->n_slots < 64);
	}
	target_table_free(core.table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_container_in_service),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_brief),
		cmocka_unit_test(test_refused_wait),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
