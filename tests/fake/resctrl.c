/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A resctrl file system for tests: mkdir, rmdir and writes to `tasks` below the folder $FAKE_RESCTRL behave
 * as in the kernel. A preloaded library, or part of a test program. The test prepares the folder (info,
 * mon_data, mon_groups, tasks) and writes the energy. Threads listed in the file `refused` belong to another
 * control group.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef int fake_mkdirat(int folder, const char *name, mode_t mode);
typedef int fake_unlinkat(int folder, const char *name, int flags);
typedef ssize_t fake_write_call(int fd, const void *bytes, size_t n);

/* The path of a descriptor below the root, "/mon_groups"; NULL: elsewhere. */
static const char *fake_below(int fd, char path[PATH_MAX])
{
	const char *root = getenv("FAKE_RESCTRL");
	char link[64];
	ssize_t n;

	if (!root)
		return NULL;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, PATH_MAX - 1);
	if (n <= 0 || strncmp(path, root, strlen(root)) != 0)
		return NULL;
	path[n] = '\0';
	return path + strlen(root);
}

static void fake_put(const char *path, const char *text, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (!file)
		return;
	(void)fputs(text, file);
	(void)fclose(file);
}

/* Removes a thread from a list; returns whether it was in it. */
static bool fake_strike(const char *path, long tid)
{
	FILE *file = fopen(path, "r");
	char *kept = NULL;
	size_t length = 0;
	FILE *copy = open_memstream(&kept, &length);
	long one;
	bool found = false;

	while (file && copy && fscanf(file, "%ld", &one) == 1) {
		found |= one == tid;
		if (one != tid)
			(void)fprintf(copy, "%ld\n", one);
	}
	if (copy)
		(void)fclose(copy);
	if (file)
		(void)fclose(file);
	if (found && kept)
		fake_put(path, kept, "w");
	free(kept);
	return found;
}

static void fake_each_group(const char *root, void (*each)(const char *path, void *data), void *data)
{
	char path[PATH_MAX];
	DIR *folder;
	const struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%s/mon_groups", root);
	folder = opendir(path);
	while (folder && (entry = readdir(folder))) {
		char group[PATH_MAX + 300];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(group, sizeof(group), "%s/%s", path, entry->d_name);
		each(group, data);
	}
	if (folder)
		(void)closedir(folder);
}

static void fake_strike_group(const char *path, void *data)
{
	char tasks[PATH_MAX + 400];

	(void)snprintf(tasks, sizeof(tasks), "%s/tasks", path);
	(void)fake_strike(tasks, *(const long *)data);
}

static void fake_count_group(const char *path, void *data)
{
	(void)path;
	++*(long *)data;
}

static bool fake_has(const char *path, long tid)
{
	FILE *file = fopen(path, "r");
	long one;
	bool found = false;

	while (file && fscanf(file, "%ld", &one) == 1)
		found |= one == tid;
	if (file)
		(void)fclose(file);
	return found;
}

/* A thread is in one group. */
static int fake_move(const char *tasks, long tid)
{
	const char *root = getenv("FAKE_RESCTRL");
	char path[PATH_MAX + 300], line[32];

	(void)snprintf(path, sizeof(path), "%s/refused", root);
	if (fake_has(path, tid)) {
		errno = EINVAL;
		return -1;
	}
	fake_each_group(root, fake_strike_group, &tid);
	(void)snprintf(line, sizeof(line), "%ld\n", tid);
	(void)snprintf(path, sizeof(path), "%s/tasks", root);
	if (strcmp(path, tasks) != 0) /* the root's list has all threads, and is not read */
		fake_put(tasks, line, "a");
	return 0;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	fake_write_call *real = (fake_write_call *)dlsym(RTLD_NEXT, "write");
	char path[PATH_MAX], text[32];
	const char *below = n < sizeof(text) ? fake_below(fd, path) : NULL;
	const size_t length = below ? strlen(below) : 0;

	if (length < strlen("/tasks") || strcmp(below + length - strlen("/tasks"), "/tasks") != 0)
		return real(fd, bytes, n);
	memcpy(text, bytes, n);
	text[n] = '\0';
	return fake_move(path, atol(text)) < 0 ? -1 : (ssize_t)n;
}

/* The files of a new group, as made by the kernel. Its counters continue from those of an earlier holder of
 * the RMID. */
static void fake_fill_group(const char *group)
{
	const char *root = getenv("FAKE_RESCTRL");
	char path[PATH_MAX + 700], domains[PATH_MAX];
	DIR *folder;
	const struct dirent *entry;

	(void)snprintf(path, sizeof(path), "%s/tasks", group);
	fake_put(path, "", "w");
	(void)snprintf(path, sizeof(path), "%s/mon_data", group);
	(void)mkdir(path, 0755);
	(void)snprintf(domains, sizeof(domains), "%s/mon_data", root);
	folder = opendir(domains);
	while (folder && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/mon_data/%s", group, entry->d_name);
		(void)mkdir(path, 0755);
		(void)snprintf(path, sizeof(path), "%s/mon_data/%s/core_energy", group, entry->d_name);
		fake_put(path, "001000.000000\n", "w");
	}
	if (folder)
		(void)closedir(folder);
}

int mkdirat(int folder, const char *name, mode_t mode)
{
	fake_mkdirat *real = (fake_mkdirat *)dlsym(RTLD_NEXT, "mkdirat");
	char path[PATH_MAX], group[PATH_MAX + 300], text[32] = "";
	const char *below = fake_below(folder, path), *root = getenv("FAKE_RESCTRL");
	long n = 0;
	FILE *file;
	int r;

	if (!below || strcmp(below, "/mon_groups") != 0)
		return real(folder, name, mode);
	(void)snprintf(group, sizeof(group), "%s/info/PERF_PKG_MON/num_rmids", root);
	file = fopen(group, "r");
	if (file) {
		(void)!fgets(text, sizeof(text), file);
		(void)fclose(file);
	}
	fake_each_group(root, fake_count_group, &n);
	if (n + 1 >= atol(text)) {
		errno = ENOSPC;
		return -1;
	}
	r = real(folder, name, mode);
	(void)snprintf(group, sizeof(group), "%s/%s", path, name);
	if (r == 0)
		fake_fill_group(group);
	return r;
}

static void fake_empty(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		char inner[PATH_MAX + 300];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		(void)snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
		if (unlink(inner) < 0) {
			fake_empty(inner);
			(void)rmdir(inner);
		}
	}
	if (folder)
		(void)closedir(folder);
}

int unlinkat(int folder, const char *name, int flags)
{
	fake_unlinkat *real = (fake_unlinkat *)dlsym(RTLD_NEXT, "unlinkat");
	char path[PATH_MAX], group[PATH_MAX + 300];
	const char *below = fake_below(folder, path);

	if (below && strcmp(below, "/mon_groups") == 0 && (flags & AT_REMOVEDIR)) {
		(void)snprintf(group, sizeof(group), "%s/%s", path, name);
		fake_empty(group);
	}
	return real(folder, name, flags);
}
