/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup: what is found on this machine, valid and invalid base paths, CPU limits in a synthetic tree. */
#include "cgroup/cgroup.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static void put(const char *base, const char *name, const char *text)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

static void make(const char *base, const char *name)
{
	char path[256];
	(void)snprintf(path, sizeof(path), "%s/%s", base, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void test_machine(void **state)
{
	(void)state;
	struct cgroup_layout layout, same;
	int r = cgroup_layout_detect(NULL, &layout);
	print_message("# %s\n", layout.text);
	assert_true(layout.text[0] != '\0');
	if (r < 0) {
		assert_int_equal(r, -ENOENT);
		return;
	}
	assert_true(layout.version != CGROUP_VERSION_NONE);
	assert_string_equal(layout.start, "");
	assert_true(layout.mount[0] == '/');
	/* The old default base path: used if it is a hierarchy, otherwise replaced with a message. */
	assert_int_equal(cgroup_layout_detect("/sys/fs/cgroup/perf_event", &same), 0);
	assert_string_equal(same.mount, layout.mount);
	assert_int_equal(cgroup_layout_detect(layout.mount, &same), 0);
	assert_string_equal(same.mount, layout.mount);
	assert_string_equal(same.start, "");
}

static void test_base(void **state)
{
	(void)state;
	struct cgroup_layout layout;
	char base[] = "/tmp/wattribute-layout-XXXXXX";
	assert_non_null(mkdtemp(base));
	assert_int_equal(cgroup_layout_detect(base, &layout), 0);
	assert_int_equal(layout.version, CGROUP_VERSION_NONE);
	assert_false(layout.perf);
	assert_string_equal(layout.mount, base);
	(void)rmdir(base);
	assert_int_equal(cgroup_layout_detect(base, &layout), -ENOENT);
	assert_non_null(strstr(layout.text, base));
	assert_int_equal(cgroup_layout_detect("/proc/self/status", &layout), -ENOTDIR);
}

static void test_inside(void **state)
{
	(void)state;
	struct cgroup_layout layout, inside;
	char path[CGROUP_PATH_MAX + 64];
	if (geteuid() != 0 || cgroup_layout_detect(NULL, &layout) < 0)
		skip();
	(void)snprintf(path, sizeof(path), "%s/wattribute-layout-%d", layout.mount, (int)getpid());
	if (mkdir(path, 0755) < 0)
		skip();
	int r = cgroup_layout_detect(path, &inside);
	(void)rmdir(path);
	assert_int_equal(r, 0);
	assert_string_equal(inside.mount, layout.mount);
	assert_string_equal(inside.start, path + strlen(layout.mount));
	assert_int_equal(inside.perf, layout.perf);
}

static void test_parse(void **state)
{
	(void)state;
	assert_true(cgroup_parse_cpu_max("max 100000") <= 0);
	assert_float_equal(cgroup_parse_cpu_max("50000 100000"), 0.5, 1e-12);
	assert_float_equal(cgroup_parse_cpu_max("250000 100000"), 2.5, 1e-12);
	assert_true(cgroup_parse_cpu_max("") <= 0);
	assert_true(cgroup_parse_cpu_max("50000") <= 0);
	assert_true(cgroup_parse_cpu_max("1 0") <= 0);
	assert_true(cgroup_parse_cpu_max("99999999999999999999999999 1") <= 0);
	assert_true(cgroup_parse_cfs("-1", "100000") <= 0);
	assert_float_equal(cgroup_parse_cfs("150000", "100000"), 1.5, 1e-12);
}

static void test_limit(void **state)
{
	(void)state;
	struct cgroup_layout layout;
	char base[] = "/tmp/wattribute-limit-XXXXXX";
	assert_non_null(mkdtemp(base));
	make(base, "a");
	make(base, "a/b");
	make(base, "a/b/c");
	put(base, "cpuset.cpus.effective", "0-7\n");
	put(base, "a/cpu.max", "200000 100000\n");
	put(base, "a/b/cpu.max", "max 100000\n");
	put(base, "a/b/c/cpu.max", "300000 100000\n");
	put(base, "a/b/cpuset.cpus.effective", "0-7\n");
	put(base, "a/b/c/cpuset.cpus.effective", "3\n");
	assert_int_equal(cgroup_layout_detect(base, &layout), 0);
	assert_float_equal(cgroup_cpu_limit(&layout, "/a"), 2, 1e-12);
	assert_float_equal(cgroup_cpu_limit(&layout, "/a/b"), 2, 1e-12);   /* the parent's */
	assert_float_equal(cgroup_cpu_limit(&layout, "/a/b/c"), 1, 1e-12); /* limited to its one CPU */
	assert_true(cgroup_cpu_limit(&layout, "/gone") <= 0);
	assert_true(cgroup_cpu_limit(&layout, "/") <= 0);
	char command[128];
	(void)snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine), cmocka_unit_test(test_base),  cmocka_unit_test(test_inside),
		cmocka_unit_test(test_parse),   cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
