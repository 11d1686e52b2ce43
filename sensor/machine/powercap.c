/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the powercap tree as untrusted text: zones, their names and ranges. Called by source_powercap.c at
 * start.
 */
#include "machine/powercap.h"

#include "base/cleanup.h"
#include "base/folder.h"
#include "document/report.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* "package-N", "package-N-die-M" and "psys-N" are handled separately: they contain numbers. */
static const struct {
	const char *name;
	const char *event;
} zone_events[] = {
	{"dram", REPORT_EVENT_DRAM},
	{"core", REPORT_EVENT_CORES},
	{"uncore", REPORT_EVENT_UNCORE},
	{"psys", REPORT_EVENT_PSYS},
};

static bool parse_package(const char *name, unsigned *ret_package, unsigned *ret_die)
{
	unsigned package, die = 0;
	int end = 0;

	if (sscanf(name, "package-%5u%n", &package, &end) != 1)
		return false;
	if (name[end] && (sscanf(name + end, "-die-%5u%n", &die, &end) != 1))
		return false;
	*ret_package = package;
	*ret_die = die;
	return true;
}

/* The platform's counter is a package's, but not always the first one's: "psys" is package 0's, "psys-2" is
 * 2's. */
static bool parse_psys(const char *name, unsigned *ret_package)
{
	unsigned package;
	int end = 0;

	if (sscanf(name, "psys-%5u%n", &package, &end) != 1 || name[end])
		return false;
	*ret_package = package;
	return true;
}

const char *powercap_event_of(const char *zone_name)
{
	unsigned package, die;

	if (parse_package(zone_name, &package, &die))
		return REPORT_EVENT_PKG;
	if (parse_psys(zone_name, &package))
		return REPORT_EVENT_PSYS;
	for (size_t i = 0; i < ARRAY_SIZE(zone_events); i++)
		if (strcmp(zone_name, zone_events[i].name) == 0)
			return zone_events[i].event;
	return NULL;
}

static ssize_t read_zone_text(const char *sysfs_root, const char *id, const char *file, char *ret,
			      size_t size)
{
	return text_read_file(ret, size, "%s/class/powercap/%s/%s", sysfs_root, id, file);
}

/* The package of "intel-rapl:0:1" is in the name of its parent "intel-rapl:0". */
static void find_package(const char *sysfs_root, struct powercap_zone *zone)
{
	char parent[POWERCAP_ID_SIZE], name[32];
	char *last;

	if (parse_package(zone->name, &zone->package, &zone->die) || parse_psys(zone->name, &zone->package))
		return;
	memcpy(parent, zone->id, sizeof(parent));
	last = strrchr(parent, ':');
	if (!last || last == strchr(parent, ':'))
		return;
	*last = '\0';
	if (read_zone_text(sysfs_root, parent, "name", name, sizeof(name)) > 0)
		(void)parse_package(name, &zone->package, &zone->die);
}

static bool read_zone(const char *sysfs_root, const char *id, struct powercap_zone *ret_zone)
{
	struct powercap_zone zone = {0};

	if (strlen(id) >= sizeof(zone.id) ||
	    (strncmp(id, "intel-rapl:", 11) != 0 && strncmp(id, "intel-rapl-mmio:", 16) != 0))
		return false;
	memcpy(zone.id, id, strlen(id) + 1);
	zone.mmio = id[10] == '-';
	if (read_zone_text(sysfs_root, id, "name", zone.name, sizeof(zone.name)) <= 0 ||
	    !powercap_event_of(zone.name))
		return false;
	find_package(sysfs_root, &zone);
	(void)text_read_u64(&zone.range_uj, "%s/class/powercap/%s/max_energy_range_uj", sysfs_root, id);
	*ret_zone = zone;
	return true;
}

static bool same_counter(const struct powercap_zone *a, const struct powercap_zone *b)
{
	return a->package == b->package && a->die == b->die && strcmp(a->name, b->name) == 0;
}

/*
 * Drops each zone of the mmio interface that the MSR interface also has: adding both would double the energy.
 */
static unsigned drop_doubles(struct powercap_zone *zones, unsigned n)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n; i++) {
		bool drop = false;

		for (unsigned j = 0; j < n && zones[i].mmio; j++)
			drop |= !zones[j].mmio && same_counter(&zones[i], &zones[j]);
		/* Mark first, move later: the comparison above needs all of them. */
		if (drop)
			zones[i].name[0] = '\0';
	}
	for (unsigned i = 0; i < n; i++)
		if (zones[i].name[0])
			zones[kept++] = zones[i];
	return kept;
}

static int compare_zones(const void *a, const void *b)
{
	const struct powercap_zone *x = a, *y = b;

	return strcmp(x->id, y->id);
}

int powercap_list(const char *sysfs_root, struct powercap_zone *ret_zones, unsigned max)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/class/powercap", sysfs_root);
	unsigned n = 0;

	if (!dir)
		return -errno;
	for (const struct dirent *entry; n < max && (entry = readdir(dir));)
		n += read_zone(sysfs_root, entry->d_name, &ret_zones[n]);
	n = drop_doubles(ret_zones, n);
	qsort(ret_zones, n, sizeof(*ret_zones), compare_zones);
	return (int)n;
}

enum powercap_state powercap_look(const char *sysfs_root)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/class/powercap", sysfs_root);
	enum powercap_state state = POWERCAP_ABSENT;
	char name[32];

	if (!dir)
		return errno == EACCES || errno == EPERM ? POWERCAP_CLOSED : state;
	for (const struct dirent *entry; state != POWERCAP_THERE && (entry = readdir(dir));) {
		struct stat status;
		ssize_t n;

		if (strncmp(entry->d_name, "intel-rapl", 10) != 0)
			continue;
		n = read_zone_text(sysfs_root, entry->d_name, "name", name, sizeof(name));
		if (n > 0)
			state = POWERCAP_THERE;
		else if (n == -EACCES || n == -EPERM)
			state = POWERCAP_CLOSED;
		else if (state == POWERCAP_ABSENT && fstatat(dirfd(dir), entry->d_name, &status, 0) < 0 &&
			 errno == ENOENT)
			state = POWERCAP_HIDDEN;
	}
	return state;
}
