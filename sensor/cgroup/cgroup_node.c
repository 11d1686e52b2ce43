/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tree of known cgroups: three hash tables over nodes of one allocation each. Called by cgroup_watch.c only.
 */
#include "cgroup/cgroup_node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct name_key {
	uint64_t parent_key;
	char name[256];
};

static unsigned key_length(const char *name)
{
	return (unsigned)(sizeof(uint64_t) + strlen(name));
}

struct cgroup_node *cgroup_node_add(struct cgroup_tree *tree, struct cgroup_node *parent, const char *name,
				    uint64_t id)
{
	size_t length = strlen(name);
	struct cgroup_node *node = calloc(1, sizeof(*node) + length + 1);
	if (!node)
		return NULL;
	memcpy(node->name, name, length + 1);
	node->parent = parent;
	node->id = id;
	node->watch = -1;
	HASH_ADD(by_id, tree->by_id, id, sizeof(node->id), node);
	if (!parent) {
		tree->root = node;
		return node;
	}
	node->parent_key = (uint64_t)(uintptr_t)parent;
	HASH_ADD_KEYPTR(by_name, tree->by_name, &node->parent_key, key_length(name), node);
	DL_PREPEND(parent->children, node);
	tree->n_nodes++;
	return node;
}

void cgroup_node_set_watch(struct cgroup_tree *tree, struct cgroup_node *node, int watch)
{
	if (node->watch >= 0)
		HASH_DELETE(by_watch, tree->by_watch, node);
	node->watch = watch;
	if (watch >= 0)
		HASH_ADD(by_watch, tree->by_watch, watch, sizeof(node->watch), node);
}

void cgroup_node_remove(struct cgroup_tree *tree, struct cgroup_node *node)
{
	cgroup_node_set_watch(tree, node, -1);
	HASH_DELETE(by_id, tree->by_id, node);
	if (node->parent) {
		HASH_DELETE(by_name, tree->by_name, node);
		DL_DELETE(node->parent->children, node);
		tree->n_nodes--;
	} else {
		tree->root = NULL;
	}
	free(node);
}

struct cgroup_node *cgroup_node_find(struct cgroup_tree *tree, const struct cgroup_node *parent,
				     const char *name)
{
	struct name_key key = {.parent_key = (uint64_t)(uintptr_t)parent};
	struct cgroup_node *node = NULL;
	size_t length = strlen(name);
	if (length >= sizeof(key.name))
		return NULL;
	memcpy(key.name, name, length + 1);
	HASH_FIND(by_name, tree->by_name, &key, key_length(name), node);
	return node;
}

struct cgroup_node *cgroup_node_find_watch(struct cgroup_tree *tree, int watch)
{
	struct cgroup_node *node = NULL;
	HASH_FIND(by_watch, tree->by_watch, &watch, sizeof(watch), node);
	return node;
}

struct cgroup_node *cgroup_node_find_id(struct cgroup_tree *tree, uint64_t id)
{
	struct cgroup_node *node = NULL;
	HASH_FIND(by_id, tree->by_id, &id, sizeof(id), node);
	return node;
}

int cgroup_node_path(const struct cgroup_node *node, char *ret, size_t used, size_t size)
{
	size_t length = used;
	for (const struct cgroup_node *at = node; at->parent; at = at->parent)
		length += strlen(at->name) + 1;
	if (length >= size)
		return -ENAMETOOLONG;
	char *end = ret + length;
	*end = '\0';
	for (const struct cgroup_node *at = node; at->parent; at = at->parent) {
		size_t n = strlen(at->name);
		end -= n;
		memcpy(end, at->name, n);
		*--end = '/';
	}
	return (int)length;
}

void cgroup_tree_done(struct cgroup_tree *tree)
{
	struct cgroup_node *node, *next;
	HASH_CLEAR(by_watch, tree->by_watch);
	HASH_CLEAR(by_id, tree->by_id);
	HASH_ITER(by_name, tree->by_name, node, next)
	{
		HASH_DELETE(by_name, tree->by_name, node);
		free(node);
	}
	free(tree->root);
	memset(tree, 0, sizeof(*tree));
}
