/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the tree of cgroups in sync with the hierarchy's directories: inotify reports changes; a scan finds
 * directories that existed before or that inotify missed. A directory is watched first and read afterwards,
 * so that nothing in between is missed; duplicates are recognised. Called by the sensor's loop.
 */
#include "cgroup/cgroup_watch.h"
#include "cgroup/cgroup_node.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <utlist.h>

#define WATCH_MASK      (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)
#define WATCH_DEPTH_MAX 48
#define WATCH_THOROUGH  8  /* every 8th rescan */
#define WATCH_GONE_MAX  64 /* further ones are reported at once, without their children */
#define WATCH_READS_MAX 64 /* per call; the descriptor stays readable when there is more */

struct cgroup_watch {
	struct cgroup_watch_events events;
	struct cgroup_watch_statistics statistics;
	struct cgroup_tree tree;
	uint32_t generation;
	bool scanned;    /* the first scan is over */
	bool rescanning; /* directories found now were not reported by inotify (yet) */
	bool thorough;   /* look into every directory, not only those known to have subdirectories */
	unsigned n_rescans;
	bool lost;                     /* inotify's queue has overflowed */
	uint64_t gone[WATCH_GONE_MAX]; /* created and already removed */
	unsigned n_gone;
	int fd;
	size_t mount_length;
	size_t start_length; /* mount and start */
	char path[CGROUP_PATH_MAX * 2];
};

static int scan(struct cgroup_watch *watch, struct cgroup_node *node, unsigned depth);

/* The node's directory in watch->path; the cgroup path begins at mount_length. */
static int set_path(struct cgroup_watch *watch, const struct cgroup_node *node)
{
	return cgroup_node_path(node, watch->path, watch->start_length, sizeof(watch->path));
}

static void note_exhausted(struct cgroup_watch *watch)
{
	if (watch->statistics.watches_exhausted)
		return;
	watch->statistics.watches_exhausted = true;
	log_warning(
		"cgroup", 0,
		"no inotify watches are left after %u: new cgroups in other directories are found only by "
		"the rescan; raise fs.inotify.max_user_watches",
		watch->statistics.n_watches);
}

/* watch->path is the node's. */
static void add_watch(struct cgroup_watch *watch, struct cgroup_node *node)
{
	if (watch->fd < 0 || node->watch >= 0)
		return;
	int wd = inotify_add_watch(watch->fd, watch->path, WATCH_MASK);
	if (wd < 0) {
		if (errno == ENOSPC || errno == ENOMEM)
			note_exhausted(watch);
		return;
	}
	/*
	 * Each directory has one watch: the same number means that it was moved here before its removal was
	 * reported.
	 */
	struct cgroup_node *other = cgroup_node_find_watch(&watch->tree, wd);
	if (other)
		cgroup_node_set_watch(&watch->tree, other, -1);
	else
		watch->statistics.n_watches++;
	cgroup_node_set_watch(&watch->tree, node, wd);
}

static void drop_watch(struct cgroup_watch *watch, struct cgroup_node *node)
{
	if (node->watch < 0)
		return;
	(void)inotify_rm_watch(watch->fd,
			       node->watch); /* EINVAL: the kernel has dropped it with the directory */
	cgroup_node_set_watch(&watch->tree, node, -1);
	watch->statistics.n_watches--;
}

/* Children first. Depth is bounded by WATCH_DEPTH_MAX. Changes watch->path. */
static void remove_tree(struct cgroup_watch *watch, struct cgroup_node *node)
{
	while (node->children)
		remove_tree(watch, node->children);
	drop_watch(watch, node);
	if (set_path(watch, node) > 0) {
		watch->statistics.removed++;
		watch->events.removed(watch->events.data, watch->path + watch->mount_length, node->id);
	}
	cgroup_node_remove(&watch->tree, node);
	watch->statistics.n_cgroups = watch->tree.n_nodes;
}

/* Handles a directory seen below `parent`, known or new. Overwrites watch->path. */
static int learn(struct cgroup_watch *watch, struct cgroup_node *parent, const char *name, uint64_t id,
		 unsigned depth, struct cgroup_node **ret_news)
{
	struct cgroup_node *node = cgroup_node_find(&watch->tree, parent, name);
	*ret_news = NULL;
	if (node && node->id != id) {
		remove_tree(watch, node);
		node = NULL;
	}
	if (node) {
		node->generation = watch->generation;
		return 0;
	}
	node = cgroup_node_add(&watch->tree, parent, name, id);
	if (!node)
		return -ENOMEM;
	node->generation = watch->generation;
	int r = set_path(watch, node);
	if (r < 0 || depth >= WATCH_DEPTH_MAX) {
		cgroup_node_remove(&watch->tree, node);
		return r < 0 ? r : -ELOOP;
	}
	watch->statistics.created++;
	watch->statistics.n_cgroups = watch->tree.n_nodes;
	watch->events.created(watch->events.data, watch->path + watch->mount_length, id);
	*ret_news = node;
	return 0;
}

/* The same, and its content if it is new. */
static int see(struct cgroup_watch *watch, struct cgroup_node *parent, const char *name, uint64_t id,
	       unsigned depth)
{
	struct cgroup_node *news;
	int r = learn(watch, parent, name, id, depth, &news);
	if (r < 0 || !news)
		return r;
	r = scan(watch, news, depth);
	return r == -ENOENT || r == -ENODEV ? 0 : r; /* gone meanwhile: its removal will be reported */
}

/* One entry of a directory that is being read. */
static int see_entry(struct cgroup_watch *watch, struct cgroup_node *parent, DIR *directory,
		     const struct dirent *entry, unsigned depth)
{
	struct stat st;
	if (entry->d_name[0] == '.' && (entry->d_name[1] == '\0' || strcmp(entry->d_name, "..") == 0))
		return 0;
	if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
		return 0;
	struct cgroup_node *node = cgroup_node_find(&watch->tree, parent, entry->d_name);
	if (node && node->id == entry->d_ino && node->watch >= 0 && !node->children && !watch->thorough) {
		node->generation = watch->generation; /* its watch will report new directories in it */
		return 0;
	}
	if (fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
		return 0;
	bool known = node && node->id == st.st_ino;
	if (!known && watch->rescanning)
		watch->statistics.found_by_rescan++;
	int r = see(watch, parent, entry->d_name, st.st_ino, depth + 1);
	/* Two links are "." and the parent's entry: there is no subdirectory to read. */
	if (r < 0 || !known || (st.st_nlink == 2 && !node->children && node->watch >= 0))
		return r;
	r = scan(watch, node, depth + 1);
	return r == -ENOENT || r == -ENODEV ? 0 : r;
}

static void forget_unseen(struct cgroup_watch *watch, struct cgroup_node *node)
{
	struct cgroup_node *child, *next;
	DL_FOREACH_SAFE(node->children, child, next)
	if (child->generation != watch->generation)
		remove_tree(watch, child);
}

/* Watches a directory, and reads it and everything below. */
static int scan(struct cgroup_watch *watch, struct cgroup_node *node, unsigned depth)
{
	int r = set_path(watch, node);
	if (r < 0)
		return r;
	add_watch(watch, node);
	DIR *directory = opendir(watch->path);
	if (!directory)
		return -errno;
	const struct dirent *entry;
	while (errno = 0, (entry = readdir(directory)))
		if (see_entry(watch, node, directory, entry, depth) < 0)
			watch->statistics.failures++;
	r = -errno;
	(void)closedir(directory);
	if (r == 0)
		forget_unseen(watch, node);
	return r;
}

int cgroup_watch_rescan(struct cgroup_watch *watch)
{
	watch->generation++;
	watch->thorough = watch->lost || watch->n_rescans++ % WATCH_THOROUGH == 0;
	watch->lost = false;
	watch->rescanning = watch->scanned;
	int r = scan(watch, watch->tree.root, 0);
	watch->rescanning = false;
	if (r == -ENOENT)
		while (watch->tree.root->children) /* the base itself is gone */
			remove_tree(watch, watch->tree.root->children);
	return r;
}

static unsigned depth_of(const struct cgroup_node *node)
{
	unsigned depth = 0;
	for (; node->parent; node = node->parent)
		depth++;
	return depth;
}

/* The path of a directory below `parent`. False: it is too long. */
static bool set_child_path(struct cgroup_watch *watch, const struct cgroup_node *parent, const char *name)
{
	int length = set_path(watch, parent);
	size_t more = strlen(name) + 2;

	if (length < 0 || (size_t)length + more > sizeof(watch->path))
		return false;
	watch->path[length] = '/';
	memcpy(watch->path + length + 1, name, more - 1);
	return true;
}

/* Handles the present state of the directory that an event names. */
static void handle_change(struct cgroup_watch *watch, struct cgroup_node *parent, const char *name)
{
	struct stat st;
	if (!set_child_path(watch, parent, name))
		return;
	if (lstat(watch->path, &st) == 0 && S_ISDIR(st.st_mode)) {
		(void)see(watch, parent, name, st.st_ino, depth_of(parent) + 1);
		return;
	}
	struct cgroup_node *node = cgroup_node_find(&watch->tree, parent, name);
	if (node)
		remove_tree(watch, node);
}

static void handle_event(struct cgroup_watch *watch, const struct inotify_event *event)
{
	if (event->mask & IN_Q_OVERFLOW) {
		watch->statistics.overflows++;
		watch->lost = true;
		return;
	}
	struct cgroup_node *node = cgroup_node_find_watch(&watch->tree, event->wd);
	if (!node)
		return; /* removed already */
	if (event->mask & IN_IGNORED) {
		/*
		 * Either it is gone, which its parent's watch will report, or it was recreated with the same
		 * inode number.
		 */
		cgroup_node_set_watch(&watch->tree, node, -1);
		watch->statistics.n_watches--;
		(void)scan(watch, node, depth_of(node));
	} else if ((event->mask & IN_ISDIR) && event->len > 0) {
		handle_change(watch, node, event->name);
	}
}

int cgroup_watch_process(struct cgroup_watch *watch)
{
	_Alignas(struct inotify_event) char buffer[16384];
	for (int n_reads = 0; watch->fd >= 0 && n_reads < WATCH_READS_MAX; n_reads++) {
		ssize_t n = read(watch->fd, buffer, sizeof(buffer));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n <= 0)
			break;
		for (char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (const struct inotify_event *)(void *)at;
			at += sizeof(*event) + event->len;
			handle_event(watch, event);
		}
	}
	return watch->lost ? cgroup_watch_rescan(watch) : 0;
}

/* Does the directory in watch->path exist, and is it the same one? */
static bool is_there(const struct cgroup_watch *watch, uint64_t id)
{
	struct stat st;
	return lstat(watch->path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_ino == id;
}

void cgroup_watch_born(struct cgroup_watch *watch, uint64_t parent_id, const char *name, uint64_t id)
{
	struct cgroup_node *parent = cgroup_node_find_id(&watch->tree, parent_id);
	if (!parent || name[0] == '\0' || strchr(name, '/'))
		return; /* not below the base */
	if (!set_child_path(watch, parent, name))
		return;
	bool gone = !is_there(watch, id);
	struct cgroup_node *node = cgroup_node_find(&watch->tree, parent, name);
	if (gone && node && node->id != id && is_there(watch, node->id))
		return; /* older than the known one: it can no longer be identified */
	if (!gone) {
		if (see(watch, parent, name, id, depth_of(parent) + 1) < 0)
			watch->statistics.failures++;
		return;
	}
	if (watch->n_gone == WATCH_GONE_MAX)
		cgroup_watch_born_end(watch);
	watch->gone[watch->n_gone++] = id;
	if (learn(watch, parent, name, id, depth_of(parent) + 1, &node) < 0)
		watch->statistics.failures++;
}

void cgroup_watch_born_end(struct cgroup_watch *watch)
{
	while (watch->n_gone > 0) {
		struct cgroup_node *node = cgroup_node_find_id(&watch->tree, watch->gone[--watch->n_gone]);
		if (node && node->parent)
			remove_tree(watch, node);
	}
}

int cgroup_watch_open(const struct cgroup_layout *layout, const struct cgroup_watch_events *events,
		      struct cgroup_watch **ret_watch)
{
	struct cgroup_watch *watch = calloc(1, sizeof(*watch));
	struct stat st;
	if (!watch)
		return -ENOMEM;
	watch->fd = -1;
	watch->events = *events;
	watch->mount_length = strlen(layout->mount);
	watch->start_length = watch->mount_length + strlen(layout->start);
	memcpy(watch->path, layout->mount, watch->mount_length);
	memcpy(watch->path + watch->mount_length, layout->start, strlen(layout->start) + 1);
	if (stat(watch->path, &st) < 0) {
		int r = -errno;
		cgroup_watch_close(watch);
		return r;
	}
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		log_warning("cgroup", -errno,
			    "inotify is not available: new cgroups are found only by the rescan");
	int r = cgroup_node_add(&watch->tree, NULL, "", st.st_ino) ? cgroup_watch_rescan(watch) : -ENOMEM;
	if (r < 0) {
		cgroup_watch_close(watch);
		return r;
	}
	watch->scanned = true;
	*ret_watch = watch;
	return 0;
}

int cgroup_watch_fd(const struct cgroup_watch *watch)
{
	return watch->fd;
}

const struct cgroup_watch_statistics *cgroup_watch_get_statistics(const struct cgroup_watch *watch)
{
	return &watch->statistics;
}

void cgroup_watch_close(struct cgroup_watch *watch)
{
	if (!watch)
		return;
	cleanup_close(&watch->fd);
	cgroup_tree_done(&watch->tree);
	free(watch);
}
