/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The known cgroups as a tree of small nodes, found by (parent, name), by inode and by inotify watch. Private
 * to cgroup_watch.c; stores each name once and builds paths on request. No I/O.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

struct cgroup_node {
	struct cgroup_node *parent; /* NULL for the root */
	struct cgroup_node *children;
	struct cgroup_node *prev, *next; /* siblings */
	uint64_t id;                     /* inode */
	int watch;                       /* inotify's, or -1 */
	uint32_t generation;             /* of the last scan that found it */
	UT_hash_handle by_name;
	UT_hash_handle by_watch;
	UT_hash_handle by_id;
	/* Key of by_name: these two, adjacent in memory. */
	uint64_t parent_key;
	char name[];
};

struct cgroup_tree {
	struct cgroup_node *root;
	struct cgroup_node *by_name;
	struct cgroup_node *by_watch;
	struct cgroup_node *by_id;
	unsigned n_nodes;
};

/* NULL if out of memory. With parent NULL, creates the root. */
struct cgroup_node *cgroup_node_add(struct cgroup_tree *tree, struct cgroup_node *parent, const char *name,
				    uint64_t id);
/* Removes and frees a node without children. */
void cgroup_node_remove(struct cgroup_tree *tree, struct cgroup_node *node);
struct cgroup_node *cgroup_node_find(struct cgroup_tree *tree, const struct cgroup_node *parent,
				     const char *name);
struct cgroup_node *cgroup_node_find_watch(struct cgroup_tree *tree, int watch);
struct cgroup_node *cgroup_node_find_id(struct cgroup_tree *tree, uint64_t id);
/* watch -1: no longer any. */
void cgroup_node_set_watch(struct cgroup_tree *tree, struct cgroup_node *node, int watch);
/* Appends the path below the root to the first `used` bytes of `ret`. Total length, or -ENAMETOOLONG. */
int cgroup_node_path(const struct cgroup_node *node, char *ret, size_t used, size_t size);
void cgroup_tree_done(struct cgroup_tree *tree);
