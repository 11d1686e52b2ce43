/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resctrl source on a synthetic file system, in direct mode: threads follow their cgroup, values are
 * reported only for complete ticks, foreign groups are not touched, and priv refuses invalid names and paths.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "fake/resctrl.c"
#include "machine/topology.h"
#include "priv/priv_client.h"
#include "source/source.h"

#include <math.h>
#include <signal.h>

#define TICK_NS UINT64_C(1000000000)

static struct {
	struct fake_tree tree, cgroups;
	struct topology topology;
	struct priv_config config;
	struct source_context context;
	struct target_source *source;
} fixture;

static const char *path_of(void *data, unsigned slot)
{
	static const char *const paths[] = {NULL, "/one", "/two", "/three", "/gone"};

	(void)data;
	return paths[slot];
}

static void balance(unsigned n)
{
	const struct target_load loads[] = {{1, 0.5}, {2, 0.3}, {3, 0.2}, {4, 0.1}};

	fixture.source->ops->balance(fixture.source, loads, n, path_of, NULL);
}

/* A file of the group with that number. */
static const char *in_group(unsigned number, const char *file)
{
	static char path[200];

	(void)snprintf(path, sizeof(path), "mon_groups/wattribute-%d-%u/%s", (int)getpid(), number, file);
	return path;
}

static const char *tasks_of(unsigned number)
{
	static char text[200];
	char path[300];
	FILE *file;
	size_t n = 0;

	(void)snprintf(path, sizeof(path), "%s/%s", fixture.tree.root, in_group(number, "tasks"));
	file = fopen(path, "r");
	if (file) {
		n = fread(text, 1, sizeof(text) - 1, file);
		(void)fclose(file);
	}
	text[n] = '\0';
	return text;
}

static void set_energy(unsigned number, unsigned package, const char *text)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "mon_data/mon_PERF_PKG_%02u/core_energy", package);
	fake_write(&fixture.tree, in_group(number, file), "%s", text);
}

/* Joules of a slot in the tick just read; NAN: not reported. */
static double joules(unsigned slot, unsigned package)
{
	const struct target_counts *counts = &fixture.source->counts;

	for (unsigned i = 0; i < counts->n; i++)
		if (counts->slots[i] == slot && counts->values[2 * i + package] != REPORT_COUNT_MISSING)
			return ldexp((double)counts->values[2 * i + package], REPORT_RAPL_EXPONENT);
	return NAN;
}

static void read_tick(void)
{
	fixture.source->ops->read(fixture.source, TICK_NS);
}

static int set_up(void **state)
{
	struct reason why = {""};

	(void)state;
	fixture.tree = fake_new();
	fixture.cgroups = fake_new();
	(void)setenv("FAKE_RESCTRL", fixture.tree.root, 1);
	fake_topology(&fixture.cgroups, 2, 2, 1);
	fake_write(&fixture.tree, "info/PERF_PKG_MON/mon_features", "core_energy\nactivity");
	fake_write(&fixture.tree, "info/PERF_PKG_MON/num_rmids", "5");
	fake_write(&fixture.tree, "mon_data/mon_PERF_PKG_00/core_energy", "0.0");
	fake_write(&fixture.tree, "mon_data/mon_PERF_PKG_01/core_energy", "0.0");
	fake_write(&fixture.tree, "tasks", "1");
	fake_write(&fixture.tree, "mon_groups/theirs/tasks", "500");
	fake_write(&fixture.cgroups, "one/cgroup.threads", "101\n102");
	fake_write(&fixture.cgroups, "one/nested/deep/cgroup.threads", "103");
	fake_write(&fixture.cgroups, "two/cgroup.threads", "201");
	fake_write(&fixture.cgroups, "three/tasks", "301\n500"); /* cgroup v1; one thread is foreign */
	fixture.config =
		(struct priv_config){.resctrl_root = fixture.tree.root, .cgroup_root = fixture.cgroups.root};
	fixture.context = (struct source_context){
		.resctrl_root = fixture.tree.root, .topology = &fixture.topology, .fd_budget = 100};
	assert_int_equal(topology_read(fixture.cgroups.root, fixture.cgroups.root, &fixture.topology), 0);
	assert_int_equal(priv_client_direct(&fixture.config, &fixture.context.priv), 0);
	assert_int_equal(source_resctrl.probe(&fixture.context, &why), 0);
	assert_int_equal(source_resctrl.open(&fixture.context, &fixture.source), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (fixture.source)
		fixture.source->ops->close(fixture.source);
	assert_int_equal(fixture.context.fd_budget, 100);
	priv_client_free(fixture.context.priv);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	fake_free(&fixture.cgroups);
	return 0;
}

static void threads_follow_their_cgroup(void **state)
{
	(void)state;
	balance(2);
	assert_string_equal(tasks_of(0), "101\n102\n103\n");
	assert_string_equal(tasks_of(1), "201\n");
	set_energy(0, 0, "1003.5");
	set_energy(0, 1, "1000.25");
	read_tick();
	assert_true(fabs(joules(1, 0) - 3.5) < 1e-6);
	assert_true(fabs(joules(1, 1) - 0.25) < 1e-6);
	assert_true(fabs(joules(2, 0)) < 1e-9);
	/*
	 * One thread was not forked by a member, another one left: this tick is not reported, the next one
	 * is.
	 */
	fake_write(&fixture.cgroups, "one/cgroup.threads", "101\n104");
	set_energy(0, 0, "1005.0");
	read_tick();
	assert_true(isnan(joules(1, 0)) && !isnan(joules(2, 0)));
	assert_string_equal(tasks_of(0), "101\n103\n104\n");
	set_energy(0, 0, "1006.0");
	read_tick();
	assert_true(fabs(joules(1, 0) - 1) < 1e-6);
	/* A member's child is in the group automatically. */
	fake_write(&fixture.cgroups, "one/cgroup.threads", "101\n104\n105");
	fake_write(&fixture.tree, in_group(0, "tasks"), "101\n103\n104\n105");
	set_energy(0, 0, "1008.0");
	read_tick();
	assert_true(fabs(joules(1, 0) - 2) < 1e-6);
}

static void invalid_readings(void **state)
{
	static const char *const texts[] = {"Unavailable", "Error", "Unassigned", "nonsense", "", "-5"};

	(void)state;
	balance(1);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		set_energy(0, 0, "2000.0");
		read_tick();
		set_energy(0, 0, texts[i]);
		read_tick();
		assert_true(isnan(joules(1, 0)) && fabs(joules(1, 1)) < 1e-9); /* the other one is reported */
		set_energy(0, 0, "2007.0");
		read_tick();
		assert_true(isnan(joules(1, 0))); /* of two ticks */
		set_energy(0, 0, "2008.0");
		read_tick();
		assert_true(fabs(joules(1, 0) - 1) < 1e-6);
	}
	set_energy(0, 0, "3.0"); /* decreased */
	read_tick();
	assert_true(isnan(joules(1, 0)));
	set_energy(0, 0, "90000.0"); /* 90 kW */
	read_tick();
	assert_true(isnan(joules(1, 0)));
	set_energy(0, 0, "90001.0");
	read_tick();
	assert_true(fabs(joules(1, 0) - 1) < 1e-6);
}

static void others_are_not_touched(void **state)
{
	char path[200], text[32] = "";
	FILE *file;

	(void)state;
	balance(4); /* RMIDs: one for the root, one foreign, three ours; target 3 has a foreign thread */
	assert_string_equal(tasks_of(0), "101\n102\n103\n");
	(void)snprintf(path, sizeof(path), "%s/mon_groups/theirs/tasks", fixture.tree.root);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	(void)fclose(file);
	assert_string_equal(text, "500\n");
	read_tick();
	assert_true(isnan(joules(3, 0)) && isnan(joules(4, 0)) && !isnan(joules(1, 0)));
	fixture.source->ops->remove(fixture.source, 1);
	assert_string_equal(tasks_of(0), "");
	fixture.source->ops->close(fixture.source);
	fixture.source = NULL;
	assert_int_equal(access(path, F_OK), 0);
}

static bool has_group(const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/mon_groups/%s", fixture.tree.root, name);
	return access(path, F_OK) == 0;
}

static void leftover_groups_are_removed(void **state)
{
	static const char *const kept[] = {
		"theirs",         "wattribute-",    "wattribute-1",   "wattribute-1-",
		"wattribute-x-1", "wattribute-1-x", "wattribute-0-1", "wattribute-4194301-99999"};
	const struct priv_resctrl_request clean = {.call = PRIV_RESCTRL_CLEAN};
	struct priv_resctrl_answer answer;
	char name[64], path[100];
	pid_t child = fork();

	(void)state;
	if (child == 0)
		for (;;)
			pause();
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		(void)snprintf(path, sizeof(path), "mon_groups/%s/tasks", kept[i]);
		fake_write(&fixture.tree, path, "1");
	}
	fake_write(&fixture.tree, "mon_groups/wattribute-4194301-3/tasks", "9");
	fake_write(&fixture.tree, in_group(900, "tasks"), "9");
	/* A running sensor: a process of the same program. */
	(void)snprintf(name, sizeof(name), "wattribute-%d-1", (int)child);
	(void)snprintf(path, sizeof(path), "mon_groups/%s/tasks", name);
	fake_write(&fixture.tree, path, "9");
	assert_int_equal(priv_client_resctrl(fixture.context.priv, &clean, &answer), 0);
	assert_int_equal(answer.moved, 2);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		assert_true(has_group(kept[i]));
	assert_true(has_group(name));
	assert_false(has_group("wattribute-4194301-3"));
	(void)kill(child, SIGKILL);
}

static void refused_by_priv(void **state)
{
	static const char *const paths[] = {"one", "", "/../one", "/one/..", "/./one", "//one", "/one/"};
	struct priv_resctrl_answer answer;
	struct priv_resctrl_request request = {.call = PRIV_RESCTRL_FILL, .cgroup = "/one"};
	char link[200];

	(void)state;
	balance(1);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		request.cgroup = paths[i];
		assert_int_equal(priv_client_resctrl(fixture.context.priv, &request, &answer), -EPERM);
	}
	/* A link that points outside the hierarchy. */
	(void)snprintf(link, sizeof(link), "%s/link", fixture.cgroups.root);
	assert_int_equal(symlink("/proc", link), 0);
	request.cgroup = "/link/self";
	assert_true(priv_client_resctrl(fixture.context.priv, &request, &answer) < 0);
	request.cgroup = "/link";
	assert_true(priv_client_resctrl(fixture.context.priv, &request, &answer) < 0);
	request = (struct priv_resctrl_request){.call = PRIV_RESCTRL_MAKE, .number = PRIV_RESCTRL_GROUPS_MAX};
	assert_int_equal(priv_client_resctrl(fixture.context.priv, &request, &answer), -EPERM);
	request = (struct priv_resctrl_request){.call = PRIV_RESCTRL_OPEN,
						.package = PRIV_RESCTRL_PACKAGES_MAX};
	assert_int_equal(priv_client_resctrl(fixture.context.priv, &request, &answer), -EPERM);
	request = (struct priv_resctrl_request){.call = PRIV_RESCTRL_OPEN, .package = 7};
	assert_int_equal(priv_client_resctrl(fixture.context.priv, &request, &answer), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(threads_follow_their_cgroup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(invalid_readings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(others_are_not_touched, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leftover_groups_are_removed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refused_by_priv, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
