/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of the target table: the state that the core and a source keep, cgroups that come and go, and
 * runtimes' files in memory.
 */
#pragma once

#include "target/target.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <cmocka.h>

#define ID(x) x "b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9a"
#define A     ID("aa")
#define B     ID("bb")
#define C     ID("cc")

/* The state of the core and a source: which cgroups are counted for which slot. */
struct core {
	struct target_table *table;
	char log[2048];
	unsigned slots[256]; /* cgroups joined and not departed, by slot */
	bool has_root[256];
	unsigned n_nameless;
	int nameless_error, open_error; /* the opener's error, unless 0 */
	/* files by ID, as returned by the opener; NULL: missing */
	const char *files[3][2];
};

static inline void on_started(void *data, unsigned slot)
{
	struct core *core = data;
	size_t n = strlen(core->log);
	assert_int_equal(core->slots[slot], 0);
	(void)snprintf(core->log + n, sizeof(core->log) - n, "+%s ",
		       target_table_view(core->table)->names[slot]);
}

static inline void on_joined(void *data, const struct activity_cgroup *cgroup)
{
	struct core *core = data;
	assert_true(cgroup->root == !core->has_root[cgroup->slot]);
	core->has_root[cgroup->slot] = true;
	core->slots[cgroup->slot]++;
}

static inline void on_nameless(void *data, unsigned slot, int error)
{
	struct core *core = data;

	(void)slot;
	core->n_nameless++;
	core->nameless_error = error;
}

static inline void on_renamed(void *data, unsigned slot, const char *old_name)
{
	struct core *core = data;
	size_t n = strlen(core->log);
	(void)snprintf(core->log + n, sizeof(core->log) - n, "%s>%s ", old_name,
		       target_table_view(core->table)->names[slot]);
}

static inline int open_file(void *data, enum container_file kind, const char *id, const char *extra)
{
	struct core *core = data;
	(void)extra;
	assert_int_equal(kind, CONTAINER_FILE_DOCKER);
	if (core->open_error)
		return core->open_error;
	for (size_t i = 0; i < ARRAY_SIZE(core->files); i++) {
		const char *text = core->files[i][1];
		if (!text || strcmp(core->files[i][0], id) != 0)
			continue;
		int fd = memfd_create("config.v2.json", MFD_CLOEXEC);
		assert_int_equal(write(fd, text, strlen(text)), strlen(text));
		(void)lseek(fd, 0, SEEK_SET);
		return fd;
	}
	return -ENOENT;
}

static inline void begin(struct core *core, struct target_options *options)
{
	struct target_events events = {on_started, on_joined, on_renamed, on_nameless, core};
	struct target_options plain = {.open_file = open_file, .open_data = core};
	struct target_table *table = NULL;
	if (options) {
		options->open_file = open_file;
		options->open_data = core;
	}
	assert_int_equal(target_table_new(options ? options : &plain, &events, &table), 0);
	core->table = table;
}

static inline void up(struct core *core, const char *path, uint64_t id)
{
	assert_int_equal(target_table_cgroup_created(core->table, path, id, 1000), 0);
}

static inline void down(struct core *core, const char *path, uint64_t id)
{
	assert_int_equal(target_table_cgroup_removed(core->table, path, id, 2000), 0);
}

/* As the core does after a tick's read. */
static inline void sweep(struct core *core)
{
	struct activity_cgroup cgroup;
	unsigned slot;
	while (target_table_next_departed(core->table, &cgroup)) {
		assert_true(cgroup.path[0] == '/');
		assert_true(core->slots[cgroup.slot] > 0);
		core->slots[cgroup.slot]--;
		if (cgroup.root) {
			assert_int_equal(core->slots[cgroup.slot], 0); /* nested ones first */
			core->has_root[cgroup.slot] = false;
		}
	}
	while ((slot = target_table_next_ended(core->table))) {
		size_t n = strlen(core->log);
		assert_int_equal(core->slots[slot], 0);
		assert_int_equal(target_table_view(core->table)->states[slot], TARGET_ENDED);
		(void)snprintf(core->log + n, sizeof(core->log) - n, "-%s ",
			       target_table_view(core->table)->names[slot]);
		target_table_release(core->table, slot);
	}
}

static inline void assert_log(struct core *core, const char *expected)
{
	assert_string_equal(core->log, expected);
	core->log[0] = '\0';
}
