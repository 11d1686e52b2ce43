/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of perf's real counts: a machine with a fake sysfs, the hierarchy that perf uses, and page faults
 * as the event with a known count.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "source/frame.h"
#include "base/log.h"
#include "source/perf/perf_slots.h"
#include "priv/priv_client.h"
#include "source/source.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <math.h>
#include <fcntl.h>
#include <mntent.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define FAULTS 20000

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct source_context context;
	struct priv_config priv;
	char mount[256]; /* the hierarchy that perf uses */
	char path[300];  /* the test's cgroup below it */
	char last_line[1024];
} fixture;

static inline void keep_line(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)level;
	(void)token;
	(void)snprintf(fixture.last_line, sizeof(fixture.last_line), "%s", line);
}

/* A v1 perf_event mount if there is one (perf cannot use cgroup2 at the same time), else cgroup2. */
static inline void find_mount(void)
{
	FILE *mounts = setmntent("/proc/mounts", "r");

	for (const struct mntent *entry; mounts && (entry = getmntent(mounts));)
		if (strcmp(entry->mnt_type, "cgroup2") == 0 && !fixture.mount[0])
			(void)snprintf(fixture.mount, sizeof(fixture.mount), "%s", entry->mnt_dir);
		else if (strcmp(entry->mnt_type, "cgroup") == 0 && hasmntopt(entry, "perf_event"))
			(void)snprintf(fixture.mount, sizeof(fixture.mount), "%s", entry->mnt_dir);
	if (mounts)
		(void)endmntent(mounts);
}

static inline int set_up(void **state)
{
	(void)state;
	fixture.tree = fake_new();
	find_mount();
	fixture.priv = (struct priv_config){.sysfs_root = fixture.tree.root, .perf_root = fixture.mount};
	fixture.context = (struct source_context){.sysfs_root = fixture.tree.root,
						  .procfs_root = "/proc",
						  .topology = &fixture.topology,
						  .fd_budget = 200};
	log_set_sink(keep_line, NULL);
	return topology_read("/sys", "/proc", &fixture.topology) < 0 ||
	       priv_client_direct(&fixture.priv, &fixture.context.priv) < 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	priv_client_free(fixture.context.priv);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}

/* Touches new pages one by one. */
static inline void cause_faults(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(1);
	(void)madvise(memory, n * page, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < n; i++)
		((volatile char *)memory)[i * page] = 1;
	(void)munmap(memory, n * page);
}

static inline uint64_t faults_of_self(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return (uint64_t)(usage.ru_minflt + usage.ru_majflt);
}

static inline struct event_group_request container_request(char **events, unsigned n)
{
	return (struct event_group_request){
		.name = (char *)(uintptr_t) "core", .of_containers = true, .events = events, .n_events = n};
}

static char event_faults[] = "perf::PAGE-FAULTS";

/* False, and the test is skipped, if this user or machine cannot count cgroups. */
static inline bool can_count(void)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct reason why;

	if (source_perf.probe(&fixture.context, &request, 1, &why) == 0)
		return true;
	print_message("# not tried: %s\n", why.text);
	return false;
}
