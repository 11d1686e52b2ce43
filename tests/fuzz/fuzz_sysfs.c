/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of /sys, /proc and cgroup files. The input is parts separated by '|': the first names the reader,
 * the others are the contents of its files, which are written into a folder if the reader needs files.
 */
#include "fuzz/driver/fuzz_files.h"
#include "machine/cputime.h"
#include "event/event.h"
#include "machine/powercap.h"
#include "machine/procstat.h"
#include "machine/scale.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <math.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PARTS_MAX 8

/* As in sysfs: with a newline. */
static void write_text(const char *path, char *text)
{
	size_t length = strlen(text);

	text[length] = '\n'; /* temporarily replaces its terminator: each part has its own */
	fuzz_keep(path, text, length + 1);
	text[length] = '\0';
}

static void check_event(const char *name)
{
	struct event_encoding encoding;
	struct reason why;

	if (event_encode(fuzz_folder(), name, &encoding, &why) < 0) {
		if (!why.text[0])
			abort();
		return;
	}
	if (!encoding.n_boxes || !(encoding.joules_per_count >= 0) || !isfinite(encoding.joules_per_count))
		abort();
	(void)scale_energy_step(UINT64_MAX, 1, encoding.joules_per_count);
	event_encoding_done(&encoding);
}

/* type, cpumask, terms of the event, its scale, a format, terms of the user */
static void check_pmu(char **parts)
{
	char name[300];

	write_text("bus/event_source/devices/power/type", parts[0]);
	write_text("bus/event_source/devices/power/cpumask", parts[1]);
	write_text("bus/event_source/devices/power/events/energy-pkg", parts[2]);
	write_text("bus/event_source/devices/power/events/energy-pkg.scale", parts[3]);
	write_text("bus/event_source/devices/power/format/event", parts[4]);
	check_event(strlen(parts[0]) % 2 ? "RAPL_ENERGY_PKG" : "power/energy-pkg/");
	(void)snprintf(name, sizeof(name), strlen(parts[5]) % 2 ? "power/%s/" : "%s/x/", parts[5]);
	check_event(name);
}

/* cpuinfo, online, package, die, core, base frequency */
static void check_topology(char **parts)
{
	struct topology topology;
	unsigned cpus = 0;

	write_text("cpuinfo", parts[0]);
	write_text("devices/system/cpu/online", parts[1]);
	write_text("devices/system/cpu/cpu0/topology/physical_package_id", parts[2]);
	write_text("devices/system/cpu/cpu1/topology/die_id", parts[3]);
	write_text("devices/system/cpu/cpu1/topology/core_id", parts[4]);
	write_text("devices/system/cpu/cpu0/cpufreq/base_frequency", parts[5]);
	if (topology_read(fuzz_folder(), fuzz_folder(), &topology) < 0)
		return;
	for (unsigned i = 0; i < topology.n_packages; i++)
		cpus += topology.packages[i].n_cpus;
	if (cpus != topology.n_cpus || !cpus || !(topology.base_frequency_mhz >= 0))
		abort();
	for (unsigned i = 0; i < topology.n_cpus; i++)
		if (!topology_find_package(&topology, topology.cpus[i].package))
			abort();
	topology_done(&topology);
}

/* name of the zone, its range, name of a sub-zone */
static void check_powercap(char **parts)
{
	struct powercap_zone zones[4];
	int n;

	write_text("class/powercap/intel-rapl:0/name", parts[0]);
	write_text("class/powercap/intel-rapl:0/max_energy_range_uj", parts[1]);
	write_text("class/powercap/intel-rapl:0:0/name", parts[2]);
	n = powercap_list(fuzz_folder(), zones, 4);
	for (int i = 0; i < n; i++)
		if (!powercap_event_of(zones[i].name))
			abort();
}

static void ignore(void *data, unsigned cpu, uint64_t ns)
{
	(void)data;
	(void)cpu;
	(void)ns;
}

/* one text for all readers of times */
static void check_times(char **parts)
{
	uint64_t busy, all;
	unsigned cpu;

	if (procstat_parse_line(parts[0], &cpu, &busy, &all) && busy > all)
		abort();
	(void)cputime_parse_stat(parts[0], &busy);
	(void)cputime_parse_usage(parts[0], &busy);
	(void)cputime_parse_percpu(parts[0], ignore, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char nothing[2] = "", *parts[PARTS_MAX], *copy = malloc(size + 1), *rest = copy;

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	for (unsigned i = 0; i < PARTS_MAX; i++) {
		parts[i] = strsep(&rest, "|");
		if (!parts[i])
			parts[i] = nothing;
	}
	if (strcmp(parts[0], "pmu") == 0)
		check_pmu(parts + 1);
	else if (strcmp(parts[0], "topology") == 0)
		check_topology(parts + 1);
	else if (strcmp(parts[0], "powercap") == 0)
		check_powercap(parts + 1);
	else
		check_times(parts + 1);
	free(copy);
	return 0;
}
