/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of several mounts of the cgroup tree is used, by the text of the mount table; and which containers
 * are in another hierarchy than the watched one.
 */
#include "cgroup/cgroup_find.h"
#include "cgroup/cgroup_mounts.h"

#include "fake/fake_tree.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ID1 "a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1"
#define ID2 "b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2"

static const char *hidden; /* a path that is not visible; NULL: none */

static bool is_visible(const char *path)
{
	return !hidden || strcmp(path, hidden) != 0;
}

static struct cgroup_mounts *mounts_of(struct fake_tree *tree, const char *text)
{
	struct cgroup_mounts *mounts;
	char path[PATH_MAX];

	fake_write(tree, "mountinfo", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/mountinfo", tree->root);
	assert_int_equal(cgroup_mounts_read(path, &mounts), 0);
	return mounts;
}

static void unified(void **state)
{
	static const char whole[] =
		"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
			  part[] = "90 23 0:26 /kubepods /run/calico/cgroup rw - cgroup2 none rw\n";
	static const struct {
		const char *lines[4];
		const char *hidden, *found;
	} cases[] = {
		{{whole}, NULL, "/sys/fs/cgroup"},
		{{whole, part}, NULL, "/sys/fs/cgroup"},
		{{part, whole}, NULL, "/sys/fs/cgroup"},
		{{part},
		 NULL,
		 "/run/calico/cgroup"}, /* better than none; the layout notes that it is partial */
		{{whole, part}, "/sys/fs/cgroup", "/run/calico/cgroup"},
		/* a mount from outside our namespace shows more than our own root */
		{{whole, "91 23 0:26 /../.. /host/cgroup rw - cgroup2 none rw\n"}, NULL, "/host/cgroup"},
		{{whole, "91 23 0:26 / /mnt/all rw - cgroup2 none rw\n"}, NULL, "/sys/fs/cgroup"},
		{{"91 23 0:26 / /mnt/all rw - cgroup2 none rw\n", whole}, NULL, "/sys/fs/cgroup"},
		/* covered by another mount: only visible ones count */
		{{whole, "92 30 0:26 /a/b /sys/fs/cgroup rw - cgroup2 none rw\n",
		  "93 23 0:26 /a /mnt/a rw - cgroup2 none rw\n"},
		 NULL,
		 "/mnt/a"},
		{{"94 23 0:26 / /mnt/with\\040space rw - cgroup2 none rw\n"}, NULL, "/mnt/with space"},
		{{"31 23 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"}, NULL, ""},
		{{"nonsense\n", "1 2 3\n", " - \n", "9 9 9:9 / / rw - tmpfs tmpfs rw\n"}, NULL, ""},
	};
	struct fake_tree tree = fake_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2048] = "", found[256];
		struct cgroup_mounts *mounts;

		for (unsigned k = 0; k < 4 && cases[i].lines[k]; k++)
			strcat(text, cases[i].lines[k]);
		hidden = cases[i].hidden;
		mounts = mounts_of(&tree, text);
		cgroup_mounts_find_unified(mounts, is_visible, found, sizeof(found));
		if (strcmp(found, cases[i].found) != 0)
			fail_msg("case %zu: '%s', not '%s'", i, found, cases[i].found);
		cgroup_mounts_free(mounts);
	}
	fake_free(&tree);
}

static void ranks(void **state)
{
	struct fake_tree tree = fake_new();
	struct cgroup_mounts *mounts =
		mounts_of(&tree, "31 23 0:30 /docker/x /mnt/part rw - cgroup cgroup rw,perf_event\n"
				 "32 23 0:30 / /sys/fs/cgroup/perf_event rw - cgroup cgroup rw,perf_event\n"
				 "33 23 0:31 / /mnt/other rw - cgroup cgroup rw,cpu\n");

	(void)state;
	assert_true(cgroup_mounts_rank(mounts, "/sys/fs/cgroup/perf_event") <
		    cgroup_mounts_rank(mounts, "/mnt/part"));
	assert_true(cgroup_mounts_rank(mounts, "/sys/fs/cgroup/perf_event") <
		    cgroup_mounts_rank(mounts, "/mnt/other"));
	assert_true(cgroup_mounts_rank(mounts, "/mnt/other") < cgroup_mounts_rank(mounts, "/mnt/part"));
	assert_int_equal(cgroup_mounts_rank(mounts, "/nowhere"), INT_MAX);
	cgroup_mounts_free(mounts);
	fake_free(&tree);
}

static void cgroup_of(struct fake_tree *tree, const char *path)
{
	char file[512];

	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fake_write(tree, file, "%s", "");
}

/* Containers of the other hierarchies that are missing in the watched one, whatever their paths. */
static void unseen(void **state)
{
	struct fake_tree tree = fake_new();
	struct cgroup_layout layout = {.n_others = 2};
	char path[CGROUP_PATH_MAX];

	(void)state;
	(void)snprintf(layout.mount, sizeof(layout.mount), "%s/perf", tree.root);
	(void)snprintf(layout.others[0], sizeof(layout.others[0]), "%s/v2", tree.root);
	(void)snprintf(layout.others[1], sizeof(layout.others[1]), "%s/cpuacct", tree.root);
	assert_false(cgroup_find_any(layout.mount)); /* the folder does not even exist */
	cgroup_of(&tree, "perf/system.slice/cron.service");
	cgroup_of(&tree, "v2/user.slice/user-1000.slice/session-1.scope");
	assert_false(cgroup_find_any(layout.mount));
	assert_false(cgroup_find_any(layout.others[0]));
	assert_int_equal(cgroup_find_unseen(&layout, path, sizeof(path)), 0);
	/* a container with two paths is seen */
	cgroup_of(&tree, "perf/docker/" ID1);
	cgroup_of(&tree, "v2/system.slice/docker-" ID1 ".scope/init");
	assert_true(cgroup_find_any(layout.mount));
	assert_int_equal(cgroup_find_unseen(&layout, path, sizeof(path)), 0);
	/* another container, a virtual machine and a job are not */
	cgroup_of(&tree, "v2/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID2 ".scope");
	assert_int_equal(cgroup_find_unseen(&layout, path, sizeof(path)), 1);
	assert_non_null(strstr(path, "/v2/kubepods.slice/"));
	cgroup_of(&tree, "cpuacct/machine.slice/machine-qemu\\x2d1\\x2dweb.scope");
	cgroup_of(&tree, "cpuacct/slurm/uid_1/job_7/step_0");
	assert_int_equal(cgroup_find_unseen(&layout, path, sizeof(path)), 3);
	fake_free(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unified),
		cmocka_unit_test(ranks),
		cmocka_unit_test(unseen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
