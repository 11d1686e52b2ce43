/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_watch: always in a plain directory, and as root in real v2 and v1 hierarchies. */
#include "cgroup/cgroup_watch.h"
#include "base/cleanup.h"
#include "unit/random_seed.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define KNOWN_MAX 4096

/* The cgroups that exist according to the callbacks. */
struct model {
	char *paths[KNOWN_MAX];
	uint64_t ids[KNOWN_MAX];
	unsigned n;
	unsigned created, removed;
};

static int find(const struct model *model, const char *path)
{
	for (unsigned i = 0; i < model->n; i++)
		if (strcmp(model->paths[i], path) == 0)
			return (int)i;
	return -1;
}

static void on_created(void *data, const char *path, uint64_t id)
{
	struct model *model = data;
	char parent[512];
	model->created++;
	assert_int_equal(find(model, path), -1);
	(void)snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	assert_true(parent[0] == '\0' || strchr(parent + 1, '/') == NULL || find(model, parent) >= 0);
	assert_true(model->n < KNOWN_MAX);
	model->ids[model->n] = id;
	model->paths[model->n++] = strdup(path);
}

static void on_removed(void *data, const char *path, uint64_t id)
{
	struct model *model = data;
	int at = find(model, path);
	model->removed++;
	assert_true(at >= 0);
	assert_int_equal(model->ids[at], id);
	size_t length = strlen(path);
	free(model->paths[at]);
	model->n--;
	model->paths[at] = model->paths[model->n];
	model->ids[at] = model->ids[model->n];
	for (unsigned i = 0; i < model->n; i++) /* no child remains */
		assert_false(strncmp(model->paths[i], path, length) == 0 && model->paths[i][length] == '/');
}

static void model_done(struct model *model)
{
	for (unsigned i = 0; i < model->n; i++)
		free(model->paths[i]);
	memset(model, 0, sizeof(*model));
}

static struct cgroup_watch *watch_dir(const char *base, struct model *model)
{
	struct cgroup_layout layout;
	struct cgroup_watch *watch = NULL;
	struct cgroup_watch_events events = {on_created, on_removed, model};
	assert_int_equal(cgroup_layout_detect(base, &layout), 0);
	assert_int_equal(cgroup_watch_open(&layout, &events, &watch), 0);
	return watch;
}

static const char *base_dir;
static unsigned n_walked;
static const struct model *walked_model;

static int walk_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	if (type != FTW_D || ftw->level == 0)
		return 0;
	n_walked++;
	int at = find(walked_model, path + strlen(base_dir));
	assert_true(at >= 0);
	assert_int_equal(walked_model->ids[at], st->st_ino);
	return 0;
}

/* The model contains exactly the existing directories. */
static void assert_equal_to_disk(const char *base, const struct model *model)
{
	base_dir = base;
	walked_model = model;
	n_walked = 0;
	assert_int_equal(nftw(base, walk_one, 16, FTW_PHYS), 0);
	assert_int_equal(n_walked, model->n);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	return type == FTW_DP ? rmdir(path) : 0;
}

static void remove_below(const char *path)
{
	(void)nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

static void make(const char *base, const char *path)
{
	char full[512];
	(void)snprintf(full, sizeof(full), "%s%s", base, path);
	assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
}

static void take(const char *base, const char *path)
{
	char full[512];
	(void)snprintf(full, sizeof(full), "%s%s", base, path);
	for (int i = 0; rmdir(full) < 0 && errno == EBUSY && i < 100; i++)
		usleep(10000);
}

static void exercise(const char *base)
{
	struct model model = {0};
	make(base, "/docker");
	make(base, "/docker/a");
	make(base, "/docker/a/init");
	struct cgroup_watch *watch = watch_dir(base, &model);
	assert_true(cgroup_watch_fd(watch) >= 0);
	assert_int_equal(model.n, 3);
	make(base, "/docker/b");
	make(base, "/docker/b/x");
	make(base, "/docker/b/x/y");
	take(base, "/docker/a/init");
	take(base, "/docker/a");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_equal_to_disk(base, &model);
	assert_int_equal(model.removed, 2);
	/* Removed and created again between two reads, or created and removed: the final state counts. */
	take(base, "/docker/b/x/y");
	make(base, "/docker/b/x/y");
	make(base, "/short");
	take(base, "/short");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_equal_to_disk(base, &model);
	assert_int_equal(cgroup_watch_rescan(watch), 0);
	assert_equal_to_disk(base, &model);
	assert_int_equal(cgroup_watch_get_statistics(watch)->found_by_rescan, 0);
	assert_int_equal(cgroup_watch_get_statistics(watch)->n_watches, model.n + 1);
	cgroup_watch_close(watch);
	model_done(&model);
}

static void make_temp(char *path, size_t size)
{
	(void)snprintf(path, size, "/tmp/wattribute-watch-XXXXXX");
	assert_non_null(mkdtemp(path));
}

static void test_plain(void **state)
{
	(void)state;
	char base[64];
	make_temp(base, sizeof(base));
	exercise(base);
	remove_below(base);
}

/*
 * Directories are created and removed at random and read at random times: after each read, the model equals
 * the disk.
 */
static void test_random(void **state)
{
	(void)state;
	char base[64], path[128];
	struct model model = {0};
	srand(random_begin());
	make_temp(base, sizeof(base));
	struct cgroup_watch *watch = watch_dir(base, &model);
	for (int round = 0; round < 400; round++) {
		for (int n = rand() % 30; n > 0; n--) {
			int length = snprintf(path, sizeof(path), "%s", base);
			for (int depth = rand() % 3 + 1; depth > 0; depth--)
				length += snprintf(path + length, sizeof(path) - (size_t)length, "/%d",
						   rand() % 5);
			(void)(rand() % 2 ? mkdir(path, 0755) : rmdir(path));
		}
		assert_int_equal(rand() % 10 ? cgroup_watch_process(watch) : cgroup_watch_rescan(watch), 0);
		assert_int_equal(cgroup_watch_process(watch), 0);
		assert_equal_to_disk(base, &model);
	}
	assert_int_equal(cgroup_watch_get_statistics(watch)->n_watches, model.n + 1);
	cgroup_watch_close(watch);
	model_done(&model);
	remove_below(base);
}

/* More events than the kernel's queue holds: a rescan recovers. */
static void test_overflow(void **state)
{
	(void)state;
	char base[64], path[128];
	struct model model = {0};
	unsigned limit = 16384;
	FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "re");
	if (file) {
		(void)!fscanf(file, "%u", &limit);
		(void)fclose(file);
	}
	if (limit > 100000)
		skip();
	make_temp(base, sizeof(base));
	struct cgroup_watch *watch = watch_dir(base, &model);
	for (unsigned i = 0; i < limit / 2 + 10; i++) {
		(void)snprintf(path, sizeof(path), "%s/%u", base, i % 50);
		(void)mkdir(path, 0755);
		(void)rmdir(path);
	}
	make(base, "/late");
	make(base, "/late/child");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_true(cgroup_watch_get_statistics(watch)->overflows > 0);
	assert_equal_to_disk(base, &model);
	assert_int_equal(model.n, 2);
	make(base, "/after");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_equal_to_disk(base, &model);
	cgroup_watch_close(watch);
	model_done(&model);
	remove_below(base);
}

static unsigned count_fds(void)
{
	unsigned n = 0;
	DIR *fds = opendir("/proc/self/fd");
	while (fds && readdir(fds))
		n++;
	if (fds)
		(void)closedir(fds);
	return n;
}

/* Churn leaves no node, no watch and no descriptor. */
static void test_churn(void **state)
{
	(void)state;
	char base[64], path[128];
	struct model model = {0};
	make_temp(base, sizeof(base));
	make(base, "/docker");
	struct cgroup_watch *watch = watch_dir(base, &model);
	unsigned fds = count_fds();
	for (unsigned i = 0; i < 3000; i++) {
		(void)snprintf(path, sizeof(path), "%s/docker/%u", base, i);
		assert_int_equal(mkdir(path, 0755), 0);
		if (i % 7 == 0)
			assert_int_equal(cgroup_watch_process(watch), 0);
		assert_int_equal(rmdir(path), 0);
	}
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_int_equal(model.n, 1);
	assert_int_equal(cgroup_watch_get_statistics(watch)->n_watches, 2);
	assert_int_equal(count_fds(), fds);
	cgroup_watch_close(watch);
	model_done(&model);
	remove_below(base);
}

static uint64_t inode(const char *base, const char *path)
{
	char full[512];
	struct stat st;
	(void)snprintf(full, sizeof(full), "%s%s", base, path);
	assert_int_equal(stat(full, &st), 0);
	return st.st_ino;
}

/*
 * New cgroups that the kernel reports in addition to inotify: removed ones are reported with their nested
 * ones, each once.
 */
static void test_born(void **state)
{
	(void)state;
	char base[64];
	struct model model = {0};
	make_temp(base, sizeof(base));
	struct cgroup_watch *watch = watch_dir(base, &model);
	const uint64_t root = inode(base, "");
	make(base, "/here");
	make(base, "/here/inner");
	const uint64_t here = inode(base, "/here"), inner = inode(base, "/here/inner");
	cgroup_watch_born(watch, root, "gone", 900001);
	cgroup_watch_born(watch, 900001, "inner", 900002);
	cgroup_watch_born(watch, root, "here", here);
	cgroup_watch_born(watch, here, "inner", inner);
	cgroup_watch_born(watch, 900099, "elsewhere", 900003); /* below another base */
	assert_int_equal(model.created, 4);
	assert_int_equal(model.removed, 0);
	assert_true(find(&model, "/gone/inner") >= 0);
	cgroup_watch_born_end(watch);
	assert_int_equal(model.removed, 2);
	assert_equal_to_disk(base, &model);
	/*
	 * inotify reports of known cgroups are ignored, and an older cgroup of the same name does not replace
	 * the current one.
	 */
	assert_int_equal(cgroup_watch_process(watch), 0);
	cgroup_watch_born(watch, root, "here", 900004);
	cgroup_watch_born_end(watch);
	assert_int_equal(model.created, 4);
	assert_equal_to_disk(base, &model);
	/* More than are remembered at once. */
	for (uint64_t i = 0; i < 200; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "brief%d", (int)i);
		cgroup_watch_born(watch, root, name, 910000 + i);
	}
	cgroup_watch_born_end(watch);
	assert_int_equal(model.created, 204);
	assert_equal_to_disk(base, &model);
	take(base, "/here/inner");
	take(base, "/here");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_int_equal(model.n, 0);
	cgroup_watch_close(watch);
	model_done(&model);
	remove_below(base);
}

/* The base itself is removed (a container's own cgroup). */
static void test_base_gone(void **state)
{
	(void)state;
	char base[64];
	struct model model = {0};
	make_temp(base, sizeof(base));
	make(base, "/a");
	make(base, "/a/b");
	struct cgroup_watch *watch = watch_dir(base, &model);
	remove_below(base);
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_int_equal(cgroup_watch_rescan(watch), -ENOENT);
	assert_int_equal(model.n, 0);
	cgroup_watch_close(watch);
	model_done(&model);
}

static void exercise_real(const char *hierarchy, const char *what)
{
	char base[256];
	(void)snprintf(base, sizeof(base), "%s/wattribute-test-%d", hierarchy, (int)getpid());
	if (geteuid() != 0 || mkdir(base, 0755) < 0) {
		print_message("# %s: needs root and %s\n", what, hierarchy);
		skip();
	}
	/* The layout splits the base into mount and start, so paths are longer than the model expects. */
	struct model model = {0};
	char path[300];
	make(base, "/docker");
	struct cgroup_watch *watch = watch_dir(base, &model);
	(void)snprintf(path, sizeof(path), "%s/docker", base + strlen(hierarchy));
	assert_int_equal(find(&model, path), 0);
	make(base, "/docker/a");
	make(base, "/docker/a/init");
	make(base, "/new");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_int_equal(model.n, 4);
	take(base, "/docker/a/init");
	take(base, "/docker/a");
	assert_int_equal(cgroup_watch_process(watch), 0);
	assert_int_equal(model.n, 2);
	assert_int_equal(cgroup_watch_rescan(watch), 0);
	assert_int_equal(cgroup_watch_get_statistics(watch)->found_by_rescan, 0);
	cgroup_watch_close(watch);
	model_done(&model);
	take(base, "/new");
	take(base, "/docker");
	assert_int_equal(rmdir(base), 0);
}

static void test_real_v2(void **state)
{
	(void)state;
	struct cgroup_layout layout;
	if (cgroup_layout_detect(NULL, &layout) < 0 || layout.version != CGROUP_VERSION_2)
		skip();
	exercise_real(layout.mount, "cgroup v2");
}

static void test_real_v1(void **state)
{
	(void)state;
	struct cgroup_layout layout;
	if (cgroup_layout_detect("/sys/fs/cgroup/pids", &layout) < 0 || layout.version != CGROUP_VERSION_1)
		skip();
	exercise_real("/sys/fs/cgroup/pids", "cgroup v1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),    cmocka_unit_test(test_random),
		cmocka_unit_test(test_overflow), cmocka_unit_test(test_churn),
		cmocka_unit_test(test_born),     cmocka_unit_test(test_base_gone),
		cmocka_unit_test(test_real_v2),  cmocka_unit_test(test_real_v1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
