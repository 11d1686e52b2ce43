/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synthetic /sys and /proc trees for unit tests: topologies, PMUs, powercap zones, made in a temporary
 * folder. A header with static functions, so that a test needs no further object. Paths are relative to the
 * tree's root.
 */
#pragma once

#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAKE_FUNCTION __attribute__((unused)) static

struct fake_tree {
	char root[64];
};

FAKE_FUNCTION void fake_fail(const char *what, const char *path)
{
	fprintf(stderr, "fake tree: %s %s: %s\n", what, path, strerror(errno));
	abort();
}

FAKE_FUNCTION struct fake_tree fake_new(void)
{
	struct fake_tree tree = {.root = "/tmp/wattribute-fake-XXXXXX"};

	if (!mkdtemp(tree.root))
		fake_fail("cannot make", tree.root);
	return tree;
}

FAKE_FUNCTION int fake_remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

FAKE_FUNCTION void fake_free(struct fake_tree *tree)
{
	(void)nftw(tree->root, fake_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Writes one file and the folders above it; a newline is added, as sysfs does. */
__attribute__((format(printf, 3, 4))) FAKE_FUNCTION void fake_write(const struct fake_tree *tree,
								    const char *path, const char *format, ...)
{
	char full[PATH_MAX];
	va_list arguments;
	FILE *file;

	(void)snprintf(full, sizeof(full), "%s/%s", tree->root, path);
	for (char *at = full + strlen(tree->root) + 1; (at = strchr(at, '/')); *at++ = '/') {
		*at = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			fake_fail("cannot make", full);
	}
	file = fopen(full, "w");
	if (!file)
		fake_fail("cannot write", full);
	va_start(arguments, format);
	(void)vfprintf(file, format, arguments);
	va_end(arguments);
	(void)fputc('\n', file);
	(void)fclose(file);
}

/*
 * CPUs numbered as by Linux: first threads of all cores, package by package, then the second threads.
 * Each package has one die.
 */
FAKE_FUNCTION void fake_topology(const struct fake_tree *tree, unsigned packages, unsigned cores,
				 unsigned threads)
{
	char path[128];
	unsigned n = packages * cores * threads;

	fake_write(tree, "devices/system/cpu/online", n > 1 ? "0-%u" : "%u", n - 1);
	for (unsigned cpu = 0; cpu < n; cpu++) {
		unsigned at = cpu % (packages * cores);

		(void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/physical_package_id",
			       cpu);
		fake_write(tree, path, "%u", at / cores);
		(void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/core_id", cpu);
		fake_write(tree, path, "%u", at % cores);
		(void)snprintf(path, sizeof(path), "devices/system/cpu/cpu%u/topology/die_id", cpu);
		fake_write(tree, path, "0");
	}
}

/* A PMU with its type and, unless NULL, its cpumask. */
FAKE_FUNCTION void fake_pmu(const struct fake_tree *tree, const char *pmu, unsigned type, const char *cpumask)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/type", pmu);
	fake_write(tree, path, "%u", type);
	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/cpumask", pmu);
	if (cpumask)
		fake_write(tree, path, "%s", cpumask);
}

/* A named event of a PMU; scale (with its unit) unless NULL. */
FAKE_FUNCTION void fake_event(const struct fake_tree *tree, const char *pmu, const char *event,
			      const char *terms, const char *scale)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/events/%s", pmu, event);
	fake_write(tree, path, "%s", terms);
	if (!scale)
		return;
	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/events/%s.scale", pmu, event);
	fake_write(tree, path, "%s", scale);
	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/events/%s.unit", pmu, event);
	fake_write(tree, path, "Joules");
}

FAKE_FUNCTION void fake_format(const struct fake_tree *tree, const char *pmu, const char *term,
			       const char *bits)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "bus/event_source/devices/%s/format/%s", pmu, term);
	fake_write(tree, path, "%s", bits);
}

FAKE_FUNCTION void fake_zone(const struct fake_tree *tree, const char *id, const char *name,
			     uint64_t range_uj)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "class/powercap/%s/name", id);
	fake_write(tree, path, "%s", name);
	(void)snprintf(path, sizeof(path), "class/powercap/%s/max_energy_range_uj", id);
	fake_write(tree, path, "%" PRIu64, range_uj);
}

FAKE_FUNCTION void fake_energy(const struct fake_tree *tree, const char *id, uint64_t energy_uj)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "class/powercap/%s/energy_uj", id);
	fake_write(tree, path, "%" PRIu64, energy_uj);
}
