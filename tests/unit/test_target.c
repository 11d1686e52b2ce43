/* SPDX-License-Identifier: Apache-2.0 */
/* target: slots, names, folding, life cycle; then random births and deaths against a plain model. */
#include "target.h"
#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>

#define ID(x) x "b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9a"
#define A     ID("aa")
#define B     ID("bb")
#define C     ID("cc")

/* What the core and a source would have: which cgroups are counted for which slot. */
struct core {
	struct target_table *table;
	char log[2048];
	unsigned slots[256]; /* cgroups joined and not departed, by slot */
	bool has_root[256];
	/* files by id, as the opener gives them; NULL: not there */
	const char *files[3][2];
};

static void on_started(void *data, unsigned slot)
{
	struct core *core = data;
	size_t n = strlen(core->log);
	assert_int_equal(core->slots[slot], 0);
	(void)snprintf(core->log + n, sizeof(core->log) - n, "+%s ",
		       target_table_view(core->table)->names[slot]);
}

static void on_joined(void *data, const struct activity_cgroup *cgroup)
{
	struct core *core = data;
	assert_true(cgroup->root == !core->has_root[cgroup->slot]);
	core->has_root[cgroup->slot] = true;
	core->slots[cgroup->slot]++;
}

static void on_renamed(void *data, unsigned slot, const char *old_name)
{
	struct core *core = data;
	size_t n = strlen(core->log);
	(void)snprintf(core->log + n, sizeof(core->log) - n, "%s>%s ", old_name,
		       target_table_view(core->table)->names[slot]);
}

static int open_file(void *data, enum container_file kind, const char *id, const char *extra)
{
	struct core *core = data;
	(void)extra;
	assert_int_equal(kind, CONTAINER_FILE_DOCKER);
	for (size_t i = 0; i < ARRAY_SIZE(core->files); i++) {
		const char *text = core->files[i][1];
		if (!text || strcmp(core->files[i][0], id) != 0)
			continue;
		int fd = memfd_create("config.v2.json", MFD_CLOEXEC);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		(void)lseek(fd, 0, SEEK_SET);
		return fd;
	}
	return -ENOENT;
}

static void begin(struct core *core, struct target_options *options)
{
	struct target_events events = {on_started, on_joined, on_renamed, core};
	struct target_options plain = {.open_file = open_file, .open_data = core};
	struct target_table *table = NULL;
	if (options) {
		options->open_file = open_file;
		options->open_data = core;
	}
	assert_int_equal(target_table_new(options ? options : &plain, &events, &table), 0);
	core->table = table;
}

static void up(struct core *core, const char *path, uint64_t id)
{
	assert_int_equal(target_table_cgroup_created(core->table, path, id, 1000), 0);
}

static void down(struct core *core, const char *path, uint64_t id)
{
	assert_int_equal(target_table_cgroup_removed(core->table, path, id, 2000), 0);
}

/* What the core does after a tick's read. */
static void sweep(struct core *core)
{
	struct activity_cgroup cgroup;
	unsigned slot;
	while (target_table_next_departed(core->table, &cgroup)) {
		assert_true(cgroup.path[0] == '/');
		assert_true(core->slots[cgroup.slot] > 0);
		core->slots[cgroup.slot]--;
		if (cgroup.root) {
			assert_int_equal(core->slots[cgroup.slot], 0); /* nested ones first */
			core->has_root[cgroup.slot] = false;
		}
	}
	while ((slot = target_table_next_ended(core->table))) {
		size_t n = strlen(core->log);
		assert_int_equal(core->slots[slot], 0);
		assert_int_equal(target_table_view(core->table)->states[slot], TARGET_ENDED);
		(void)snprintf(core->log + n, sizeof(core->log) - n, "-%s ",
			       target_table_view(core->table)->names[slot]);
		target_table_release(core->table, slot);
	}
}

static void assert_log(struct core *core, const char *expected)
{
	assert_string_equal(core->log, expected);
	core->log[0] = '\0';
}

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

static void test_names(void **state)
{
	(void)state;
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"},
				      {B, "{\"Name\":\"/web\"}"},
				      {C, "{\"Name\":\"/all\"}"}}};
	begin(&core, NULL);
	up(&core, "/docker/" A, 1);
	up(&core, "/docker/" B, 2);
	up(&core, "/docker/" C, 3);
	up(&core, "/user.slice/user-1.slice/user@1.service/app.slice/x.scope", 4);
	up(&core, "/user.slice/user-2.slice/user@2.service/app.slice/x.scope", 5);
	assert_non_null(strstr(core.log, "+web +web-bbb2c3 +all-ccb2c3 +x.scope +x.scope-"));
	core.log[0] = '\0';
	/* Back under the same name within a tick: both have it, and the old one knows its successor. */
	unsigned old = target_table_find(core.table, "web");
	down(&core, "/docker/" A, 1);
	assert_int_equal(target_table_successor(core.table, old), 0);
	up(&core, "/docker/" A, 6);
	assert_log(&core, "+web ");
	unsigned heir = target_table_find(core.table, "web");
	assert_int_not_equal(heir, old);
	assert_int_equal(target_table_successor(core.table, old), heir);
	assert_int_equal(target_table_successor(core.table, heir), 0);
	down(&core, "/docker/" A, 6);
	assert_int_equal(target_table_successor(core.table, old), heir); /* gone too: the last one reports */
	assert_int_equal(target_table_successor(core.table, heir), 0);
	sweep(&core);
	assert_log(&core, "-web -web ");
	target_table_free(core.table);
}

static void test_late_name(void **state)
{
	(void)state;
	struct core core = {.files = {{A, NULL}}};
	begin(&core, NULL);
	up(&core, "/system.slice/docker-" A ".scope", 1);
	assert_log(&core, "+aab2c3d4e5f6 ");
	assert_int_equal(target_table_next_dirty(core.table), 1);
	assert_int_equal(target_table_refresh_names(core.table, 1100), 0);
	core.files[0][1] = "{\"Name\":\"/late\"}";
	assert_int_equal(target_table_refresh_names(core.table, 1200), 0); /* not yet its time */
	assert_int_equal(target_table_refresh_names(core.table, 1250), 1);
	assert_log(&core, "aab2c3d4e5f6>late ");
	assert_int_equal(target_table_next_dirty(core.table), 1);
	assert_int_equal(target_table_find(core.table, "late"), 1);
	assert_int_equal(target_table_find(core.table, "aab2c3d4e5f6"), 0);
	/* Never named: the tries end. */
	up(&core, "/docker/" B, 2);
	for (int64_t now = 2000; now < 200000; now += 500)
		assert_int_equal(target_table_refresh_names(core.table, now), 0);
	core.files[1][0] = B;
	core.files[1][1] = "{\"Name\":\"/too-late\"}";
	assert_int_equal(target_table_refresh_names(core.table, 300000), 0);
	target_table_free(core.table);
}

/* `docker rename` of a running container, and names exchanged between two. */
static void test_renamed(void **state)
{
	(void)state;
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"}, {B, "{\"Name\":\"/db\"}"}}};
	begin(&core, NULL);
	up(&core, "/docker/" A, 1);
	up(&core, "/docker/" B, 2);
	assert_log(&core, "+web +db ");
	while (target_table_next_dirty(core.table))
		;
	core.files[0][1] = "{\"Name\":\"/shop\"}";
	assert_int_equal(target_table_refresh_names(core.table, 60000), 0); /* not yet its time */
	assert_int_equal(target_table_refresh_names(core.table, 61000), 1);
	assert_log(&core, "web>shop ");
	assert_int_equal(target_table_next_dirty(core.table), 1);
	assert_int_equal(target_table_next_dirty(core.table), 0);
	core.files[0][1] = NULL; /* not readable for once: it keeps the name */
	core.files[1][1] = "{\"Name\":\"/web\"}";
	assert_int_equal(target_table_refresh_names(core.table, 121000), 1);
	assert_log(&core, "db>web ");
	down(&core, "/docker/" B, 2);
	assert_int_equal(target_table_refresh_names(core.table, 300000), 0);
	target_table_free(core.table);
}

static void test_renamed_and_selected(void **state)
{
	(void)state;
	const char *const include[] = {"bench*"};
	struct target_options options = {.include = include, .n_include = 1};
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"}}};
	begin(&core, &options);
	up(&core, "/docker/" A, 1);
	assert_log(&core, "");
	core.files[0][1] = "{\"Name\":\"/bench-web\"}";
	assert_int_equal(target_table_refresh_names(core.table, 61000), 1);
	assert_log(&core, "+bench-web ");
	core.files[0][1] = "{\"Name\":\"/web\"}";
	assert_int_equal(target_table_refresh_names(core.table, 121000), 0);
	sweep(&core);
	assert_log(&core, "-bench-web ");
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
	/* A leaf that gets a child hands over to it, and comes not back. */
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
	/* Gone before it is settled. */
	up(&core, "/brief", 5);
	down(&core, "/brief", 5);
	target_table_settle(core.table, 1000);
	assert_log(&core, "");
	target_table_free(core.table);
}

/* A container below a service (a daemon that keeps its containers in its own cgroup): no double counting. */
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

static void test_patterns(void **state)
{
	(void)state;
	static const char *const include[] = {"web*", "/docker/" C "*"};
	static const char *const exclude[] = {"web-secret"};
	struct target_options options = {
		.include = include, .n_include = 2, .exclude = exclude, .n_exclude = 1};
	struct core core = {
		.files = {{A, NULL}, {B, "{\"Name\":\"/web-secret\"}"}, {C, "{\"Name\":\"/db\"}"}}};
	begin(&core, &options);
	up(&core, "/docker/" A, 1);
	up(&core, "/docker/" A "/init", 11);
	up(&core, "/docker/" B, 2);
	up(&core, "/docker/" C, 3);
	up(&core, "/system.slice/web.service", 4);
	up(&core, "/system.slice/db.service", 5);
	assert_log(&core, "+db +web.service ");
	/* Its name comes late, and is wanted: it starts then, with all its cgroups. */
	core.files[0][1] = "{\"Name\":\"/web-1\"}";
	assert_int_equal(target_table_refresh_names(core.table, 5000), 1);
	assert_log(&core, "+web-1 ");
	assert_int_equal(core.slots[target_table_find(core.table, "web-1")], 2);
	down(&core, "/docker/" B, 2);
	down(&core, "/system.slice/db.service", 5);
	sweep(&core);
	assert_log(&core, "");
	assert_int_equal(target_table_view(core.table)->n_live, 3);
	target_table_free(core.table);

	/* Its name comes late, and is not wanted. */
	struct target_options without = {.exclude = exclude, .n_exclude = 1};
	core = (struct core){.files = {{A, NULL}}};
	begin(&core, &without);
	up(&core, "/docker/" A, 1);
	core.files[0][1] = "{\"Name\":\"/web-secret\"}";
	assert_int_equal(target_table_refresh_names(core.table, 5000), 0);
	sweep(&core);
	assert_log(&core, "+aab2c3d4e5f6 -aab2c3d4e5f6 ");
	up(&core, "/docker/" A "/init", 2);
	down(&core, "/docker/" A, 1);
	sweep(&core);
	assert_log(&core, "");
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
	/* The same path with another inode: the removal was missed. */
	up(&core, "/system.slice/d.service", 6);
	down(&core, "/system.slice/d.service", 4); /* late news of the old one */
	assert_log(&core, "");
	target_table_free(core.table);
}

/* A cgroup that is gone before it is settled: a target only for a source that has counted it since its birth. */
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

/* Who found no slot gets the next one that is free; counted as refused once. */
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
	target_table_settle(core.table, 2000); /* its last counts are still to be read */
	assert_log(&core, "");
	sweep(&core);
	target_table_settle(core.table, 2000);
	assert_log(&core, "-a.service +b.service ");
	assert_int_equal(core.slots[1], 2);
	down(&core, "/system.slice/c.service", 3); /* gone while it waited */
	down(&core, "/system.slice/b.service/nested", 4);
	down(&core, "/system.slice/b.service", 2);
	sweep(&core);
	target_table_settle(core.table, 3000);
	assert_log(&core, "-b.service ");
	assert_int_equal(target_table_view(core.table)->refused, 2);
	up(&core, "/system.slice/d.service", 5);
	up(&core, "/system.slice/e.service", 6); /* waits at the end */
	target_table_free(core.table);
}

static void test_path_names(void **state)
{
	(void)state;
	static struct cgroup_layout layout = {.start = "/docker/" A};
	struct target_options options = {.names_are_paths = true, .layout = &layout};
	struct core core = {.files = {{B, "{\"Name\":\"/web\"}"}}};
	struct report_target document;
	begin(&core, &options);
	up(&core, "/docker/" A "/system.slice/docker-" B ".scope", 1);
	assert_log(&core, "+/system.slice/docker-" B ".scope ");
	target_table_fill(core.table, 1, &document);
	assert_string_equal(document.name, "web");
	assert_string_equal(document.target, "/system.slice/docker-" B ".scope");
	target_table_free(core.table);
}

/* Random births and deaths: counts of cgroups by slot never leak, names stay unique, slots are used again. */
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
	const char *given = getenv("WATTRIBUTE_SEED");
	unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"}, {B, "{\"Name\":\"/web\"}"}, {C, NULL}}};
	print_message("# WATTRIBUTE_SEED=%u\n", seed);
	srand(seed);
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
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_late_name),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_renamed_and_selected),
		cmocka_unit_test(test_leaves),
		cmocka_unit_test(test_container_in_service),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_brief),
		cmocka_unit_test(test_refused_wait),
		cmocka_unit_test(test_path_names),
		cmocka_unit_test(test_random),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
