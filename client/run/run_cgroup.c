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
#include <math.h>
#include <mntent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
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

/* The lock of a cgroup, which ends with the client that holds it; -EEXIST: another one has it. */
static int lock_path(const char *path)
{
	struct stat locked, present;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -EEXIST;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &locked) == 0 && stat(path, &present) == 0 &&
	    locked.st_ino == present.st_ino)
		return fd;
	(void)close(fd);
	return -EEXIST;
}

/* Removes a cgroup that a killed client has left behind: nobody holds it, and it is empty. */
static bool remove_abandoned(const char *path)
{
	int fd = lock_path(path);
	bool removed = fd >= 0 && rmdir(path) == 0;

	if (fd >= 0)
		(void)close(fd);
	return removed;
}

/*
 * FOLDER below the mount, shared by all users of the client on this machine; the last one removes it, maybe
 * before this one has its cgroup in it.
 */
static int make_path(const char *folder, const char *path)
{
	int r = -ENOENT;

	for (unsigned i = 0; r == -ENOENT && i < RUN_CGROUP_ATTEMPTS; i++) {
		if (mkdir(folder, 0755) < 0 && errno != EEXIST)
			return -errno;
		r = mkdir(path, 0755) < 0 ? -errno : 0;
		if (r == -EEXIST && remove_abandoned(path))
			r = -ENOENT;
	}
	return r;
}

static int make_in(const char *mount, const char *name, char ret_path[PATH_MAX], int *ret_lock)
{
	char folder[PATH_MAX];
	int r;

	if (snprintf(folder, sizeof(folder), "%s/" RUN_CGROUP_FOLDER, mount) >= (int)sizeof(folder) ||
	    snprintf(ret_path, PATH_MAX, "%.*s/%s", PATH_MAX - RUN_CGROUP_NAME_SIZE - 2, folder, name) >=
		    PATH_MAX)
		return -ENAMETOOLONG;
	r = make_path(folder, ret_path);
	if (r < 0)
		return r;
	*ret_lock = lock_path(ret_path);
	return *ret_lock < 0 ? *ret_lock : 0;
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
		int r = make_in(mounts->paths[i], cgroup->name, cgroup->paths[i], &cgroup->locks[i]);

		if (r < 0) {
			while (i-- > 0) {
				remove_path(cgroup->paths[i]);
				(void)close(cgroup->locks[i]);
			}
			return r;
		}
	}
	return 0;
}

static int make(const char *wanted, unsigned attempts, struct run_cgroup *ret_cgroup, struct reason *why)
{
	cleanup_(cleanup_free) struct run_cgroup *mounts = calloc(1, sizeof(*mounts));
	int r = mounts ? find_hierarchies(mounts) : -ENOMEM;

	if (r < 0)
		return reason_set(
			why, r,
			"no cgroup hierarchy is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup");
	*ret_cgroup = *mounts;
	r = -EEXIST;
	for (unsigned i = 0; r == -EEXIST && i < attempts; i++) {
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

int run_cgroup_make(const char *wanted, struct run_cgroup *ret_cgroup, struct reason *why)
{
	return make(wanted, RUN_CGROUP_ATTEMPTS, ret_cgroup, why);
}

int run_cgroup_make_only(const char *wanted, struct run_cgroup *ret_cgroup, struct reason *why)
{
	int r = make(wanted, 1, ret_cgroup, why);

	return r == -EEXIST ? -EBUSY : r;
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

double run_cgroup_cpu_s(const struct run_cgroup *cgroup)
{
	char file[PATH_MAX + 16];
	double used;

	for (unsigned i = 0; i < cgroup->n_paths; i++) {
		cleanup_(cleanup_fclose) FILE *v2 = NULL;
		cleanup_(cleanup_fclose) FILE *v1 = NULL;

		(void)snprintf(file, sizeof(file), "%s/cpu.stat", cgroup->paths[i]);
		v2 = fopen(file, "re");
		if (v2 && fscanf(v2, "usage_usec %lf", &used) == 1)
			return used * 1e-6;
		(void)snprintf(file, sizeof(file), "%s/cpuacct.usage", cgroup->paths[i]);
		v1 = fopen(file, "re");
		if (v1 && fscanf(v1, "%lf", &used) == 1)
			return used * 1e-9;
	}
	return NAN;
}

static bool kill_each(const char *path)
{
	char file[PATH_MAX + 16];
	cleanup_(cleanup_fclose) FILE *list = NULL;
	bool found = false;
	int pid;

	(void)snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	list = fopen(file, "re");
	/* 0: a process that this PID namespace does not show. */
	while (list && fscanf(list, "%d", &pid) == 1)
		if (pid > 1 && pid != getpid() && kill(pid, SIGKILL) == 0)
			found = true;
	return found;
}

void run_cgroup_kill(const struct run_cgroup *cgroup)
{
	for (unsigned i = 0; i < cgroup->n_paths; i++)
		for (unsigned round = 0; round < RUN_CGROUP_ATTEMPTS && kill_each(cgroup->paths[i]); round++)
			(void)usleep(1000);
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
		(void)close(cgroup->locks[i]);
	}
	cgroup->n_paths = 0;
	return n_left;
}
