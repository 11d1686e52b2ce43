/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How targets are named: by runtimes' files, late, repeatedly, or by path if nothing else is known; and how
 * they are selected by name.
 */
#include "target_core.h"

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
	/*
	 * Restarted with the same name within a tick: both have it, and the old one refers to its successor.
	 */
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
	assert_int_equal(target_table_successor(core.table, old), heir); /* gone, too: the last one reports */
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
	assert_int_equal(target_table_refresh_names(core.table, 1200), 0); /* too early */
	assert_int_equal(target_table_refresh_names(core.table, 1250), 1);
	assert_log(&core, "aab2c3d4e5f6>late ");
	assert_int_equal(target_table_next_dirty(core.table), 1);
	assert_int_equal(target_table_find(core.table, "late"), 1);
	assert_int_equal(target_table_find(core.table, "aab2c3d4e5f6"), 0);
	/* Never named: the attempts end. */
	up(&core, "/docker/" B, 2);
	for (int64_t now = 2000; now < 200000; now += 500) {
		assert_int_equal(target_table_refresh_names(core.table, now), 0);
		assert_true(now > 7000 || core.n_nameless == 0); /* it may still appear */
	}
	assert_int_equal(core.n_nameless, 1);
	core.files[1][0] = B;
	core.files[1][1] = "{\"Name\":\"/too-late\"}";
	assert_int_equal(target_table_refresh_names(core.table, 300000), 1); /* late, but not too late */
	assert_int_equal(target_table_find(core.table, "too-late"), 2);
	target_table_free(core.table);
}

/*
 * A target whose name was taken gets it after the other is removed, but not before the other's last report.
 */
static void test_healed(void **state)
{
	(void)state;
	struct core core = {.files = {{A, "{\"Name\":\"/web\"}"},
				      {B, "{\"Name\":\"/web\"}"},
				      {C, "{\"Name\":\"/web\"}"}}};
	begin(&core, NULL);
	up(&core, "/docker/" A, 1);
	up(&core, "/docker/" B, 2);
	up(&core, "/docker/" C, 3);
	assert_log(&core, "+web +web-bbb2c3 +web-ccb2c3 ");
	assert_int_equal(target_table_refresh_names(core.table, 2000), 0); /* both live: nothing to rename */
	down(&core, "/docker/" A, 1);
	assert_int_equal(target_table_refresh_names(core.table, 3000),
			 0); /* its last report still uses the name */
	sweep(&core);
	core.log[0] = '\0';
	assert_int_equal(target_table_refresh_names(core.table, 4000), 1); /* one of them, not both */
	assert_log(&core, "web-bbb2c3>web ");
	assert_int_equal(target_table_find(core.table, "web"), 2);
	down(&core, "/docker/" B, 2);
	sweep(&core);
	assert_int_equal(target_table_refresh_names(core.table, 5000), 1);
	assert_log(&core, "-web web-ccb2c3>web ");
	/* Exchanged names (blue and green): the temporary suffix is removed. */
	core.files[0][1] = "{\"Name\":\"/green\"}";
	up(&core, "/docker/" A, 4);
	core.files[0][1] = "{\"Name\":\"/web\"}";
	core.files[2][1] = "{\"Name\":\"/green\"}";
	for (int64_t now = 6000; now < 200000; now += 1000)
		(void)target_table_refresh_names(core.table, now);
	assert_int_not_equal(target_table_find(core.table, "web"), 0);
	assert_int_not_equal(target_table_find(core.table, "green"), 0);
	assert_int_equal(target_table_find(core.table, "web"),
			 target_table_find_cgroup(core.table, "/docker/" A));
	/* A reserved name is never restored. */
	core.files[1][1] = "{\"Name\":\"/all\"}";
	up(&core, "/docker/" B, 5);
	down(&core, "/docker/" A, 4);
	sweep(&core);
	(void)target_table_refresh_names(core.table, 300000);
	assert_int_equal(target_table_find(core.table, "all-bbb2c3"),
			 target_table_find_cgroup(core.table, "/docker/" B));
	target_table_free(core.table);
}

/* Why there is no name: the error for the existing file. */
static void test_nameless_errors(void **state)
{
	static const struct {
		int open_error;
		const char *text;
		int told;
	} cases[] = {
		{0, NULL, -ENOENT},     {-EACCES, NULL, -EACCES},    {-EPERM, NULL, -EPERM},
		{-ELOOP, NULL, -ELOOP}, {0, "{\"Name\":", -EBADMSG}, {0, "[]", -EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct core core = {.files = {{A, cases[i].text}}, .open_error = cases[i].open_error};

		begin(&core, NULL);
		up(&core, "/docker/" A, 1);
		for (int64_t now = 1000; now < 60000; now += 500)
			(void)target_table_refresh_names(core.table, now);
		assert_int_equal(core.n_nameless, 1);
		assert_int_equal(core.nameless_error, cases[i].told);
		target_table_free(core.table);
	}
}

/* `docker rename` of a running container, and two containers that exchange names. */
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
	assert_int_equal(target_table_refresh_names(core.table, 60000), 0); /* too early */
	assert_int_equal(target_table_refresh_names(core.table, 61000), 1);
	assert_log(&core, "web>shop ");
	assert_int_equal(target_table_next_dirty(core.table), 1);
	assert_int_equal(target_table_next_dirty(core.table), 0);
	core.files[0][1] = NULL; /* temporarily unreadable: it keeps the name */
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
	/* Its name arrives late and matches: it starts then, with all its cgroups. */
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

	/* Its name arrives late and is excluded. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healed),   cmocka_unit_test(test_nameless_errors),
		cmocka_unit_test(test_names),    cmocka_unit_test(test_late_name),
		cmocka_unit_test(test_renamed),  cmocka_unit_test(test_renamed_and_selected),
		cmocka_unit_test(test_patterns), cmocka_unit_test(test_path_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
