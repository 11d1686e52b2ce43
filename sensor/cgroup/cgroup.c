/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects the cgroup hierarchies: v1 controllers through libcgroup, v2 from the mount table; each mount is
 * checked by its file system's magic. Called once at start, before privileges are dropped.
 */
#include "cgroup/cgroup.h"
#include "base/cleanup.h"
#include "cgroup/cgroup_find.h"
#include "cgroup/cgroup_mounts.h"

#include <errno.h>
#include <libcgroup.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

/* The mounts of this machine; "" for a missing one. */
struct mounts {
	char v2[CGROUP_PATH_MAX];
	char perf[CGROUP_PATH_MAX];
	char cpuacct[CGROUP_PATH_MAX];
	char cpu[CGROUP_PATH_MAX];
	char cpuset[CGROUP_PATH_MAX];
	bool read_only; /* a mount is read-only, on a machine of which only the files are available */
};

static enum cgroup_version version_of(const char *path)
{
	struct statfs fs;
	if (path[0] == '\0' || statfs(path, &fs) < 0)
		return CGROUP_VERSION_NONE;
	if (fs.f_type == CGROUP2_SUPER_MAGIC)
		return CGROUP_VERSION_2;
	return fs.f_type == CGROUP_SUPER_MAGIC ? CGROUP_VERSION_1 : CGROUP_VERSION_NONE;
}

static void copy_path(char *ret, const char *path)
{
	(void)snprintf(ret, CGROUP_PATH_MAX, "%s", path);
}

/* libcgroup lists all mounts of a controller; the one that shows most of the hierarchy is used. */
static void find_v1(const struct cgroup_mounts *table, const char *controller, char *ret)
{
	char path[FILENAME_MAX], name[FILENAME_MAX];
	int best = INT_MAX, r;
	void *handle = NULL;

	ret[0] = '\0';
	(void)snprintf(name, sizeof(name), "%s", controller);
	for (r = cgroup_get_subsys_mount_point_begin(name, &handle, path); r == 0;
	     r = cgroup_get_subsys_mount_point_next(&handle, path)) {
		const int rank = table ? cgroup_mounts_rank(table, path) : 0;

		if ((ret[0] && rank >= best) || version_of(path) != CGROUP_VERSION_1)
			continue;
		best = rank;
		copy_path(ret, path);
	}
	if (handle)
		(void)cgroup_get_subsys_mount_point_end(&handle);
}

static bool is_unified(const char *path)
{
	return version_of(path) == CGROUP_VERSION_2;
}

static void find_mounts(struct mounts *ret)
{
	struct cgroup_mounts *table = NULL;

	memset(ret, 0, sizeof(*ret));
	if (cgroup_mounts_read("/proc/self/mountinfo", &table) == 0)
		cgroup_mounts_find_unified(table, is_unified, ret->v2, sizeof(ret->v2));
	if (cgroup_init() == 0) { /* otherwise there are no v1 controllers: only v2, or nothing */
		find_v1(table, "perf_event", ret->perf);
		find_v1(table, "cpuacct", ret->cpuacct);
		find_v1(table, "cpu", ret->cpu);
		find_v1(table, "cpuset", ret->cpuset);
	}
	cgroup_mounts_free(table);
}

static bool has_file(const char *directory, const char *name)
{
	char path[CGROUP_PATH_MAX + 64];
	struct stat st;
	int n = snprintf(path, sizeof(path), "%s/%s", directory, name);
	return n > 0 && (size_t)n < sizeof(path) && stat(path, &st) == 0;
}

/* The root of a hierarchy lacks cgroup.type (v2); only the root has cgroup.sane_behavior (v1). */
static bool is_partial(const char *mount, enum cgroup_version version)
{
	if (version == CGROUP_VERSION_2)
		return has_file(mount, "cgroup.type");
	return version == CGROUP_VERSION_1 && !has_file(mount, "cgroup.sane_behavior");
}

static void place(char *ret_path, enum cgroup_version *ret_version, const char *v1, const char *v2,
		  bool prefer_v1)
{
	bool use_v1 = v1[0] && (prefer_v1 || !v2[0]);
	copy_path(ret_path, use_v1 ? v1 : v2);
	*ret_version = ret_path[0] == '\0' ? CGROUP_VERSION_NONE
		       : use_v1            ? CGROUP_VERSION_1
					   : CGROUP_VERSION_2;
}

/*
 * CPU time: every v2 cgroup has cpu.stat; with v1 perf_event, cpuacct has the same directories. Limits are
 * where the controller is: a controller that is mounted in v1 is not in v2.
 */
static void place_files(const struct mounts *mounts, struct cgroup_layout *layout)
{
	bool v1 = layout->version == CGROUP_VERSION_1;
	place(layout->cpu_time, &layout->cpu_time_version, mounts->cpuacct, mounts->v2, v1);
	place(layout->cpu_quota, &layout->cpu_quota_version, mounts->cpu, mounts->v2, true);
	place(layout->cpuset, &layout->cpuset_version, mounts->cpuset, mounts->v2, true);
}

/* Lists the hierarchies that can be watched, best first; only the first one counts perf events. */
static unsigned list_hierarchies(const struct mounts *mounts, const char *ret_list[CGROUP_HIERARCHIES_MAX])
{
	const char *const all[CGROUP_HIERARCHIES_MAX] = {mounts->perf, mounts->v2, mounts->cpuacct};
	unsigned n = 0;

	for (unsigned i = 0; i < CGROUP_HIERARCHIES_MAX; i++)
		if (all[i][0])
			ret_list[n++] = all[i];
	return n;
}

/*
 * Chooses the first hierarchy, unless all containers are in another one. If several have containers, the
 * first is used and cgroup_find_unseen() reports the containers that it lacks.
 */
static void choose(const struct mounts *mounts, struct cgroup_layout *layout)
{
	const char *list[CGROUP_HIERARCHIES_MAX] = {"", "", ""};
	const unsigned n = list_hierarchies(mounts, list);
	unsigned chosen = 0;

	layout->hybrid = mounts->v2[0] && (mounts->perf[0] || mounts->cpuacct[0] || mounts->cpu[0]);
	for (unsigned i = 0; n > 1 && i < n; i++)
		if (cgroup_find_any(list[i])) {
			chosen = i;
			break;
		}
	copy_path(layout->mount, list[chosen]);
	layout->version = !list[chosen][0]             ? CGROUP_VERSION_NONE
			  : list[chosen] == mounts->v2 ? CGROUP_VERSION_2
						       : CGROUP_VERSION_1;
	layout->perf = chosen == 0 && list[chosen] != mounts->cpuacct;
	for (unsigned i = 0; i < n; i++)
		if (i != chosen)
			copy_path(layout->others[layout->n_others++], list[i]);
}

static int use_machine(const struct mounts *mounts, struct cgroup_layout *layout, const char *note);

struct described {
	const char *sysfs_root;
	struct mounts *mounts;
};

/* One mount of the table, with the controllers of v1. */
static void take_described(void *data, const struct cgroup_mount *mount)
{
	const struct described *described = data;
	struct mounts *mounts = described->mounts;
	const struct {
		const char *controller;
		char *path;
	} v1[] = {{"perf_event", mounts->perf},
		  {"cpuacct", mounts->cpuacct},
		  {"cpu", mounts->cpu},
		  {"cpuset", mounts->cpuset}};
	char here[CGROUP_PATH_MAX];

	if (strncmp(mount->path, "/sys/", 5) != 0 ||
	    snprintf(here, sizeof(here), "%s%s", described->sysfs_root, mount->path + 4) >= (int)sizeof(here))
		return;
	mounts->read_only |= mount->read_only;
	if (mount->unified && !mounts->v2[0])
		copy_path(mounts->v2, here);
	for (size_t i = 0; i < ARRAY_SIZE(v1) && !mount->unified; i++)
		if (!v1[i].path[0] && cgroup_mounts_has(mount->options, v1[i].controller))
			copy_path(v1[i].path, here);
}

int cgroup_layout_describe(const char *sysfs_root, const char *procfs_root, struct cgroup_layout *ret_layout)
{
	struct cgroup_mounts *table = NULL;
	struct mounts mounts = {0};
	char path[CGROUP_PATH_MAX];

	memset(ret_layout, 0, sizeof(*ret_layout));
	(void)snprintf(path, sizeof(path), "%s/self/mountinfo", procfs_root);
	if (cgroup_mounts_read(path, &table) == 0)
		cgroup_mounts_each(table, take_described,
				   &(struct described){.sysfs_root = sysfs_root, .mounts = &mounts});
	cgroup_mounts_free(table);
	return use_machine(&mounts, ret_layout, "");
}

/* Splits a directory of a cgroup file system into its mount point and the rest. */
static void split_base(const char *base, struct cgroup_layout *layout)
{
	char above[CGROUP_PATH_MAX];
	struct stat here, parent;
	copy_path(layout->mount, base);
	while (strcmp(layout->mount, "/") != 0 && stat(layout->mount, &here) == 0) {
		copy_path(above, layout->mount);
		char *slash = strrchr(above, '/');
		if (!slash || slash == above)
			break;
		*slash = '\0';
		if (stat(above, &parent) < 0 || parent.st_dev != here.st_dev)
			break;
		copy_path(layout->mount, above);
	}
	copy_path(layout->start, base + strlen(layout->mount));
}

static bool same_device(const char *a, const char *b)
{
	struct stat one, two;
	return a[0] && b[0] && stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev;
}

static const char *kind_text(const struct cgroup_layout *layout)
{
	if (layout->version == CGROUP_VERSION_NONE)
		return "a plain directory (no cgroup file system)";
	if (layout->hybrid)
		return "cgroup v1 and v2 (hybrid)";
	return layout->version == CGROUP_VERSION_2 ? "cgroup v2" : "cgroup v1";
}

/* The sensor only reads; creating a cgroup for a command needs write access. */
static bool is_read_only(const struct mounts *mounts, const struct cgroup_layout *layout)
{
	struct statvfs fs;

	return mounts->read_only || (statvfs(layout->mount, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0);
}

static void say(struct cgroup_layout *layout, const char *note)
{
	const char *perf = layout->perf      ? ", perf events can count its cgroups"
			   : layout->version ? ", but perf events cannot count in this hierarchy"
					     : "";
	const char *part = !layout->partial
				   ? ""
				   : "; only a part of the host is visible: start the container with "
				     "-v /sys:/sys or --cgroupns host";
	(void)snprintf(
		layout->text, sizeof(layout->text), "%s%s: targets from %.200s%.120s%s%s%s", note,
		kind_text(layout), layout->mount, layout->start, perf,
		layout->read_only
			? "; mounted read-only, which suffices for measuring, but not for `wattribute run`"
			: "",
		part);
}

static int use_machine(const struct mounts *mounts, struct cgroup_layout *layout, const char *note)
{
	choose(mounts, layout);
	if (layout->version == CGROUP_VERSION_NONE) {
		(void)snprintf(
			layout->text, sizeof(layout->text),
			"no cgroup file system is mounted: mount one (mount -t cgroup2 none /sys/fs/cgroup), "
			"or start the container with -v /sys:/sys");
		return -ENOENT;
	}
	layout->partial = is_partial(layout->mount, layout->version);
	layout->read_only = is_read_only(mounts, layout);
	place_files(mounts, layout);
	say(layout, note);
	return 0;
}

static int use_base(const struct mounts *mounts, const char *base, struct cgroup_layout *layout)
{
	layout->version = version_of(base);
	layout->hybrid = mounts->v2[0] && mounts->cpuacct[0] && layout->version != CGROUP_VERSION_NONE;
	if (layout->version == CGROUP_VERSION_NONE) {
		copy_path(layout->mount, base);
		copy_path(layout->cpu_time, base);
		copy_path(layout->cpu_quota, base);
		copy_path(layout->cpuset, base);
		layout->cpu_time_version = layout->cpu_quota_version = layout->cpuset_version =
			CGROUP_VERSION_2;
		say(layout, "");
		return 0;
	}
	split_base(base, layout);
	layout->perf = layout->version == CGROUP_VERSION_2 ? !mounts->perf[0]
							   : same_device(layout->mount, mounts->perf);
	layout->partial = is_partial(layout->mount, layout->version) && layout->start[0] == '\0';
	place_files(mounts, layout);
	say(layout, "");
	return 0;
}

/* True for a directory that contains the machine's hierarchies but is not one itself. */
static bool holds_mounts(const char *base, const struct mounts *mounts)
{
	size_t n = strlen(base);
	const char *const all[] = {mounts->v2, mounts->perf, mounts->cpuacct};
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (strncmp(all[i], base, n) == 0 && all[i][n] == '/')
			return true;
	return false;
}

int cgroup_layout_detect(const char *base, struct cgroup_layout *ret_layout)
{
	struct cgroup_layout *layout = ret_layout;
	char note[CGROUP_PATH_MAX];
	struct mounts mounts;
	struct stat st;
	memset(layout, 0, sizeof(*layout));
	find_mounts(&mounts);
	if (!base || base[0] == '\0')
		return use_machine(&mounts, layout, "");
	cleanup_(cleanup_free) char *real = realpath(base, NULL);
	int r = real ? 0 : -errno;
	if (r == 0 && (stat(real, &st) < 0 || !S_ISDIR(st.st_mode)))
		r = -ENOTDIR;
	if (r == 0 && (version_of(real) != CGROUP_VERSION_NONE || !holds_mounts(real, &mounts)) &&
	    strlen(real) < CGROUP_PATH_MAX)
		return use_base(&mounts, real, layout);
	if (r == 0 || strncmp(base, "/sys/fs/cgroup", 14) == 0) {
		(void)snprintf(note, sizeof(note),
			       "'%.200s' is not a cgroup hierarchy here; using instead: ", base);
		return use_machine(&mounts, layout, note);
	}
	(void)snprintf(layout->text, sizeof(layout->text),
		       "base path '%.200s' cannot be used: %s; omit it to use the machine's own hierarchy",
		       base, strerror(-r));
	return r;
}
