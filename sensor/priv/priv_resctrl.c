/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes the requests of the resctrl source. Names are made here from numbers; cgroup paths are checked and
 * opened beneath their root. The only text that is read is the kernel's lists of thread numbers.
 */
#include "priv/priv_resctrl.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "priv/open_beneath.h"
#include "priv/priv.h"
#include "priv/priv_tids.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX       "wattribute-"
#define GROUPS       "mon_groups"
#define DEPTH_MAX    16 /* of cgroups below a target's */
#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY)

static void name_group(unsigned number, char *ret_name, size_t size)
{
	(void)snprintf(ret_name, size, PREFIX "%d-%u", (int)getpid(), number);
}

/* "wattribute-PID-NUMBER": the PID, or 0 for a foreign group. */
static int64_t pid_of_group(const char *name)
{
	char text[24];
	const char *dash;
	uint64_t pid, number;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return 0;
	name += strlen(PREFIX);
	dash = strchr(name, '-');
	if (!dash || (size_t)(dash - name) >= sizeof(text))
		return 0;
	(void)snprintf(text, sizeof(text), "%.*s", (int)(dash - name), name);
	if (text_parse_u64(text, &pid) < 0 || text_parse_u64(dash + 1, &number) < 0 || pid == 0 ||
	    pid > INT32_MAX || number >= PRIV_RESCTRL_GROUPS_MAX)
		return 0;
	return (int64_t)pid;
}

static int read_name(int64_t pid, char *ret_name, size_t size)
{
	return (int)text_read_file(ret_name, size, "/proc/%" PRId64 "/comm", pid);
}

/* Is this the PID of another sensor? The number alone may belong to a later process. */
static bool is_sensor(int64_t pid)
{
	char its[32] = "", own[32] = "";

	return pid != getpid() && read_name(pid, its, sizeof(its)) > 0 &&
	       read_name(getpid(), own, sizeof(own)) > 0 && strcmp(its, own) == 0;
}

static int open_groups(const struct priv_config *config)
{
	return open_beneath(config->resctrl_root, GROUPS, FOLDER_FLAGS);
}

/* 0 and the folder of all monitoring groups, to be closed; or a negative errno. */
static int list_groups(const struct priv_config *config, DIR **ret_folder)
{
	const int fd = open_groups(config);

	*ret_folder = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !*ret_folder)
		(void)close(fd);
	return fd < 0 ? fd : *ret_folder ? 0 : -ENOMEM;
}

static int clean(const struct priv_config *config, struct priv_resctrl_answer *answer)
{
	DIR *folder;
	const struct dirent *entry;
	const int r = list_groups(config, &folder);

	if (r < 0)
		return r;
	while ((entry = readdir(folder))) {
		const int64_t pid = pid_of_group(entry->d_name);

		if (pid > 0 && !is_sensor(pid) && unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR) == 0)
			answer->moved++;
	}
	(void)closedir(folder);
	return 0;
}

static int make_or_remove(const struct priv_config *config, const struct priv_resctrl_request *request,
			  struct reason *cause)
{
	cleanup_(cleanup_close) int fd = open_groups(config);
	char name[64];

	if (fd < 0)
		return fd;
	name_group(request->number, name, sizeof(name));
	if (request->call == PRIV_RESCTRL_REMOVE)
		return unlinkat(fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
	if (mkdirat(fd, name, 0755) == 0)
		return 0;
	if (errno == ENOSPC)
		return reason_set(cause, -ENOSPC, "every RMID is in use");
	if (errno == EACCES || errno == EPERM)
		return reason_set(cause, -errno, "only root may create monitoring groups");
	if (errno == EROFS)
		return reason_set(cause, -EROFS, "%s is mounted read-only here", config->resctrl_root);
	return -errno;
}

static int open_energy(const struct priv_config *config, const struct priv_resctrl_request *request)
{
	char name[64], path[160];

	name_group(request->number, name, sizeof(name));
	(void)snprintf(path, sizeof(path), GROUPS "/%s/mon_data/mon_PERF_PKG_%02u/core_energy", name,
		       request->package);
	return open_beneath(config->resctrl_root, path, O_RDONLY | O_NONBLOCK);
}

/* Threads of a folder's file. cgroup v1 and resctrl call it `tasks`, cgroup v2 `cgroup.threads`. */
static int read_tasks(int folder, const char *name, struct priv_tids *tids)
{
	cleanup_(cleanup_close) int fd = open_beneath_at(folder, name, O_RDONLY | O_NONBLOCK);

	return fd < 0 ? fd : priv_tids_read(fd, tids);
}

/* All threads of a cgroup and of those below it. A cgroup that ends meanwhile has none. Takes over `fd`. */
static int walk(int fd, unsigned depth, struct priv_tids *tids)
{
	int r = read_tasks(fd, "cgroup.threads", tids);
	DIR *folder;
	const struct dirent *entry;

	if (r == -ENOENT)
		r = read_tasks(fd, "tasks", tids);
	folder = r == -ENOMEM || depth >= DEPTH_MAX ? NULL : fdopendir(fd);
	if (!folder) {
		(void)close(fd);
		return r == -ENOMEM ? r : 0;
	}
	r = 0;
	while (r == 0 && (entry = readdir(folder))) {
		int below;

		if (entry->d_name[0] == '.' || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN))
			continue;
		below = open_beneath_at(fd, entry->d_name, FOLDER_FLAGS);
		if (below >= 0)
			r = walk(below, depth + 1, tids);
	}
	(void)closedir(folder);
	return r;
}

/* Reads the threads in foreign monitoring groups. */
static int read_foreign(const struct priv_config *config, struct priv_tids *tids)
{
	DIR *folder;
	const struct dirent *entry;
	int r = list_groups(config, &folder);

	if (r < 0)
		return r;
	while (r != -ENOMEM && (entry = readdir(folder))) {
		char path[300];

		if (entry->d_name[0] == '.' || pid_of_group(entry->d_name) == getpid())
			continue;
		(void)snprintf(path, sizeof(path), "%s/tasks", entry->d_name);
		r = read_tasks(dirfd(folder), path, tids);
	}
	(void)closedir(folder);
	priv_tids_sort(tids);
	return r == -ENOMEM ? r : 0;
}

/* One number per write; the kernel refuses a thread of another control group with EINVAL. */
static int put_thread(int fd, pid_t tid)
{
	char text[16];
	const int n = snprintf(text, sizeof(text), "%d\n", (int)tid);

	return write(fd, text, (size_t)n) == n ? 0 : -errno;
}

/* Lists of one FILL request: the group's threads before and after the cgroup's are read. */
struct lists {
	struct priv_tids before, wanted, after, foreign;
};

static void lists_done(struct lists *lists)
{
	priv_tids_done(&lists->before);
	priv_tids_done(&lists->wanted);
	priv_tids_done(&lists->after);
	priv_tids_done(&lists->foreign);
}

/* Adds the threads that are missing in the group. */
static int add_threads(const struct priv_config *config, int tasks, struct lists *lists,
		       struct priv_resctrl_answer *answer)
{
	bool has_foreign = false;

	for (size_t i = 0; i < lists->wanted.n; i++) {
		const pid_t tid = lists->wanted.items[i];
		int r;

		if (priv_tids_has(&lists->before, tid) || priv_tids_has(&lists->after, tid))
			continue;
		r = has_foreign ? 0 : read_foreign(config, &lists->foreign);
		if (r < 0)
			return r;
		has_foreign = true;
		r = priv_tids_has(&lists->foreign, tid) ? -EINVAL : put_thread(tasks, tid);
		if (r == -EINVAL)
			answer->foreign++;
		else if (r < 0 && r != -ESRCH)
			return r;
		answer->moved += r == 0;
	}
	return 0;
}

/* Returns threads that left the cgroup to the default group. */
static int return_threads(const struct priv_config *config, const struct lists *lists,
			  struct priv_resctrl_answer *answer)
{
	cleanup_(cleanup_close) int tasks =
		open_beneath(config->resctrl_root, "tasks", O_WRONLY | O_APPEND | O_NONBLOCK);

	if (tasks < 0)
		return tasks;
	for (size_t i = 0; i < lists->before.n; i++) {
		const pid_t tid = lists->before.items[i];

		if (priv_tids_has(&lists->wanted, tid) || !priv_tids_has(&lists->after, tid))
			continue;
		answer->moved += put_thread(tasks, tid) == 0;
	}
	return 0;
}

static int open_tasks(const struct priv_config *config, unsigned number, int flags)
{
	char name[64], path[96];

	name_group(number, name, sizeof(name));
	(void)snprintf(path, sizeof(path), GROUPS "/%s/tasks", name);
	return open_beneath(config->resctrl_root, path, flags | O_NONBLOCK);
}

/*
 * The group is read before and after the cgroup: a thread that a member started in between is in the later
 * list, and one that ended is in neither, so neither of them looks as if it had moved.
 */
static int fill_lists(const struct priv_config *config, const struct priv_resctrl_request *request,
		      struct lists *lists, struct priv_resctrl_answer *answer)
{
	cleanup_(cleanup_close) int reading = open_tasks(config, request->number, O_RDONLY);
	cleanup_(cleanup_close) int writing = open_tasks(config, request->number, O_WRONLY | O_APPEND);
	const int cgroup = open_beneath(config->cgroup_root, request->cgroup[1] ? request->cgroup + 1 : ".",
					FOLDER_FLAGS);
	int r;

	if (cgroup < 0)
		return cgroup;
	r = reading < 0 ? reading : writing < 0 ? writing : priv_tids_read(reading, &lists->before);
	if (r < 0) {
		(void)close(cgroup);
		return r;
	}
	r = walk(cgroup, 0, &lists->wanted);
	if (r == 0 && lseek(reading, 0, SEEK_SET) == 0)
		r = priv_tids_read(reading, &lists->after);
	priv_tids_sort(&lists->before);
	priv_tids_sort(&lists->wanted);
	priv_tids_sort(&lists->after);
	if (r == 0)
		r = add_threads(config, writing, lists, answer);
	return r < 0 ? r : return_threads(config, lists, answer);
}

static int fill(const struct priv_config *config, const struct priv_resctrl_request *request,
		struct priv_resctrl_answer *answer, struct reason *cause)
{
	struct lists lists = {0};
	int r;

	if (!config->cgroup_root || !priv_path_is_clean(request->cgroup))
		return reason_set(cause, -EPERM, "the cgroup path is refused");
	r = fill_lists(config, request, &lists, answer);
	lists_done(&lists);
	return r;
}

int priv_resctrl_run(const struct priv_config *config, const struct priv_resctrl_request *request,
		     struct priv_resctrl_answer *ret_answer, struct reason *cause)
{
	*ret_answer = (struct priv_resctrl_answer){0};
	if (!config->resctrl_root)
		return -EOPNOTSUPP;
	if (request->number >= PRIV_RESCTRL_GROUPS_MAX || request->package >= PRIV_RESCTRL_PACKAGES_MAX)
		return reason_set(cause, -EPERM, "the monitoring group is refused");
	switch (request->call) {
	case PRIV_RESCTRL_CLEAN:
		return clean(config, ret_answer);
	case PRIV_RESCTRL_MAKE:
	case PRIV_RESCTRL_REMOVE:
		return make_or_remove(config, request, cause);
	case PRIV_RESCTRL_OPEN:
		return open_energy(config, request);
	case PRIV_RESCTRL_FILL:
		return fill(config, request, ret_answer, cause);
	case PRIV_RESCTRL_CALLS:
		break;
	}
	return -EINVAL;
}
