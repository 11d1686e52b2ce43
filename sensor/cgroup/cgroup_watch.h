/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Detects new and removed cgroups: inotify on every directory of the hierarchy, and a rescan for changes that
 * it missed. The sensor's loop calls cgroup_watch_process() when the descriptor is readable, and
 * cgroup_watch_rescan() every few seconds. Knows nothing about containers or targets.
 */
#pragma once

#include "cgroup/cgroup.h"

struct cgroup_watch;

struct cgroup_watch_events {
	/* Parents before their children. `path` is below the mount, valid during the call; id: inode of the
	 * directory. */
	void (*created)(void *data, const char *path, uint64_t id);
	/* Children before their parents. */
	void (*removed)(void *data, const char *path, uint64_t id);
	void *data;
};

struct cgroup_watch_statistics {
	unsigned n_cgroups; /* known now, without the root */
	unsigned n_watches;
	uint64_t created; /* since open */
	uint64_t removed;
	uint64_t overflows;       /* of the inotify queue; each is followed by a rescan */
	uint64_t found_by_rescan; /* cgroups not reported by inotify */
	uint64_t failures;        /* directories that could not be read or remembered */
	bool watches_exhausted;   /* fs.inotify.max_user_watches: only the rescan sees some directories */
};

/* Opens and scans: `created` is called for every existing cgroup before this returns. */
int cgroup_watch_open(const struct cgroup_layout *layout, const struct cgroup_watch_events *events,
		      struct cgroup_watch **ret_watch);
/* Non-blocking inotify descriptor for the loop; -1 when there is no inotify (the rescan still works). */
int cgroup_watch_fd(const struct cgroup_watch *watch);
/* Reads pending events and calls back. 0 or a negative errno. */
int cgroup_watch_process(struct cgroup_watch *watch);
/*
 * Reports a new cgroup from another source than inotify: this directory was created below the one with inode
 * `parent`. If it is already gone, `removed` follows at cgroup_watch_born_end(), after its children, which
 * may be gone too, have been reported.
 */
void cgroup_watch_born(struct cgroup_watch *watch, uint64_t parent, const char *name, uint64_t id);
void cgroup_watch_born_end(struct cgroup_watch *watch);
/* Compares the whole hierarchy with the known tree. 0 or a negative errno. */
int cgroup_watch_rescan(struct cgroup_watch *watch);
const struct cgroup_watch_statistics *cgroup_watch_get_statistics(const struct cgroup_watch *watch);
void cgroup_watch_close(struct cgroup_watch *watch);
