/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creating, entering and removing the measured command's cgroup. Knows the files of cgroup file systems,
 * nothing about energy.
 */
#include "run/run_cgroup.h"
#include "base/cleanup.h"
#include "base/reason.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define RUN_CGROUP_FOLDER   "wattribute"
#define RUN_CGROUP_ATTEMPTS 1000

/* "" for v2, the controller's name for a useful v1 hierarchy, NULL for any other file system. */
static const char *hierarchy_controller(const struct mntent *mount)
{
	static const char *const wanted[] = {"perf_event", "cpuacct"};

	if (!strcmp(mount->mnt_type, "cgroup2"))
		return "";
	for (size_t i = 0; !strcmp(mount->mnt_type, "cgroup") && i < ARRAY_SIZE(wanted); i++)
		if (hasmntopt(mount, wanted[i]))
			return wanted[i];
	return NULL;
}

static bool list_has(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; *list; list += strcspn(list, ","), list += *list == ',')
		if (strcspn(list, ",") == length && !strncmp(list, word, length))
			return true;
	return false;
}

/* This process's path in a hierarchy, from /proc/self/cgroup; "" (the root) if unknown. */
static void find_home(const char *controller, char *ret_path, size_t size)
{
	cleanup_(cleanup_fclose) FILE *file = fopen("/proc/self/cgroup", "re");
	char line[PATH_MAX + 256];

	*ret_path = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		char *list = strchr(line, ':');
		char *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*list++ = '\0';
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (*controller ? list_has(list, controller) : *list == '\0')
			(void)snprintf(ret_path, size, "%s", strcmp(path, "/") ? path : "");
	}
}

static void add_hierarchy(struct run_cgroup *cgroup, const char *mount, const char *controller)
{
	char home[PATH_MAX];
	char *path = cgroup->paths[cgroup->n_paths];
	char *home_path = cgroup->homes[cgroup->n_paths];

	/* A later mount on the same path hides the earlier one. */
	for (unsigned i = 0; i < cgroup->n_paths; i++)
		if (!strcmp(cgroup->paths[i], mount))
			return;
	if (cgroup->n_paths == RUN_CGROUP_HIERARCHIES)
		return;
	find_home(controller, home, sizeof(home));
	if (snprintf(path, PATH_MAX, "%s", mount) < PATH_MAX &&
	    snprintf(home_path, PATH_MAX, "%s%s", mount, home) < PATH_MAX)
		cgroup->n_paths++;
}

static int find_hierarchies(struct run_cgroup *cgroup)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent mount;
	char buffer[2 * PATH_MAX];

	if (!mounts)
		return -errno;
	while (getmntent_r(mounts, &mount, buffer, sizeof(buffer))) {
		const char *controller = hierarchy_controller(&mount);

		if (controller)
			add_hierarchy(cgroup, mount.mnt_dir, controller);
	}
	(void)endmntent(mounts);
	return cgroup->n_paths > 0 ? 0 : -ENOENT;
}

static void choose_name(struct run_cgroup *cgroup, const char *wanted, unsigned attempt)
{
	size_t length = 0;

	for (; *wanted && length < sizeof(cgroup->name) - 8; wanted++)
		cgroup->name[length++] =
			isalnum((unsigned char)*wanted) || strchr("_.-", *wanted) ? *wanted : '-';
	if (length == 0 || cgroup->name[0] == '.')
		cgroup->name[0] = '-';
	cgroup->name[length > 0 ? length : 1] = '\0';
	if (attempt > 0)
		(void)snprintf(cgroup->name + strlen(cgroup->name), 8, "-%u", attempt + 1);
}

/* FOLDER below the mount, shared by all users of the client on this machine; the last one may remove it. */
static int make_in(const char *mount, const char *name, char ret_path[PATH_MAX])
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/" RUN_CGROUP_FOLDER, mount) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (snprintf(ret_path, PATH_MAX, "%.*s/%s", PATH_MAX - RUN_CGROUP_NAME_SIZE - 2, path, name) >=
	    PATH_MAX)
		return -ENAMETOOLONG;
	return mkdir(ret_path, 0755) < 0 ? -errno : 0;
}

static void remove_path(const char *path)
{
	char parent[PATH_MAX];

	/* An exiting process keeps the cgroup busy for a moment. */
	for (unsigned i = 0; rmdir(path) < 0 && errno == EBUSY && i < 100; i++)
		(void)usleep(10000);
	(void)snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	(void)rmdir(parent);
}

static int make_everywhere(struct run_cgroup *cgroup, const struct run_cgroup *mounts)
{
	for (unsigned i = 0; i < cgroup->n_paths; i++) {
		int r = make_in(mounts->paths[i], cgroup->name, cgroup->paths[i]);

		if (r < 0) {
			while (i-- > 0)
				remove_path(cgroup->paths[i]);
			return r;
		}
	}
	return 0;
}

int run_cgroup_make(const char *wanted, struct run_cgroup *ret_cgroup, struct reason *why)
{
	cleanup_(cleanup_free) struct run_cgroup *mounts = calloc(1, sizeof(*mounts));
	int r = mounts ? find_hierarchies(mounts) : -ENOMEM;

	if (r < 0)
		return reason_set(
			why, r,
			"no cgroup hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup");
	*ret_cgroup = *mounts;
	r = -EEXIST;
	for (unsigned i = 0; r == -EEXIST && i < RUN_CGROUP_ATTEMPTS; i++) {
		choose_name(ret_cgroup, wanted, i);
		r = make_everywhere(ret_cgroup, mounts);
	}
	if (r < 0) {
		reason_set(why, 0, "cannot create a cgroup below %s: %s%s", mounts->paths[0], strerror(-r),
			   r == -EACCES || r == -EPERM || r == -EROFS ? "; run as root: sudo wattribute …"
								      : "");
		ret_cgroup->n_paths = 0;
	}
	return r;
}

static int write_pid(const char *path, const char *pid)
{
	char file[PATH_MAX + 16];
	int fd, r = 0;

	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, pid, strlen(pid)) < 0)
		r = -errno;
	(void)close(fd);
	return r;
}

int run_cgroup_enter(const struct run_cgroup *cgroup)
{
	for (unsigned i = 0; i < cgroup->n_paths; i++) {
		int r = write_pid(cgroup->paths[i], "0");

		if (r < 0)
			return r;
	}
	return 0;
}

/* Repeats until the cgroup is empty: a process may fork while the list is read. */
static unsigned move_out(const char *path, const char *home)
{
	char file[PATH_MAX + 16];
	char pid[32];
	unsigned n_moved = 0;
	bool found = true;

	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	for (unsigned round = 0; found && round < 10; round++) {
		cleanup_(cleanup_fclose) FILE *list = fopen(file, "re");

		found = false;
		while (list && fgets(pid, sizeof(pid), list)) {
			pid[strcspn(pid, "\n")] = '\0';
			found = true;
			n_moved += write_pid(home, pid) == 0;
		}
	}
	return n_moved;
}

unsigned run_cgroup_remove(struct run_cgroup *cgroup)
{
	unsigned n_left = 0;

	for (unsigned i = 0; i < cgroup->n_paths; i++) {
		unsigned n_moved = move_out(cgroup->paths[i], cgroup->homes[i]);

		n_left = n_moved > n_left ? n_moved : n_left;
		remove_path(cgroup->paths[i]);
	}
	cgroup->n_paths = 0;
	return n_left;
}
