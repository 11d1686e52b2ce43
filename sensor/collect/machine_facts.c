/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads design power, power limits, idle states and frequency drivers from sysfs, as untrusted text. Called
 * once at start by collect_open.c and check_machine.c.
 */
#include "collect/machine_facts.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "machine/powercap.h"
#include "base/unit.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSTRAINTS_MAX 4       /* of a zone: long term, short term, peak */
#define STATES_MAX      32      /* idle states of a CPU */
#define LATENCY_MOST_US 1000000 /* larger values are invalid */

/* A file's first word of printable characters; "": none. The path is given as a printf format. */
static void read_word(char ret_word[MACHINE_WORD_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void read_word(char ret_word[MACHINE_WORD_SIZE], const char *format, ...)
{
	char path[PATH_MAX], text[128];
	va_list arguments;
	size_t length;

	va_start(arguments, format);
	(void)vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	ret_word[0] = '\0';
	if (text_read_file(text, sizeof(text), "%s", path) <= 0)
		return;
	length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+");
	if (length < MACHINE_WORD_SIZE && (text[length] == '\0' || strchr(" \t\n", text[length])))
		(void)snprintf(ret_word, MACHINE_WORD_SIZE, "%.*s", (int)length, text);
}

static double read_zone_w(const char *sysfs_root, const struct powercap_zone *zone, unsigned constraint,
			  const char *what)
{
	uint64_t limit_uw = 0;
	double watts;

	(void)text_read_u64(&limit_uw, "%s/class/powercap/%s/constraint_%u_%s_uw", sysfs_root, zone->id,
			    constraint, what);
	watts = UNIT_OF_MICRO(limit_uw);
	return watts >= REPORT_MACHINE_W_LEAST && watts <= REPORT_MACHINE_W_MOST ? watts : 0;
}

/* A zone's design power (else its long-term limit) and its highest limit. */
static void read_zone(const char *sysfs_root, const struct powercap_zone *zone, double *ret_design_w,
		      double *ret_limit_w)
{
	double limit_w = 0;

	*ret_design_w = read_zone_w(sysfs_root, zone, 0, "max_power");
	if (!(*ret_design_w > 0))
		*ret_design_w = read_zone_w(sysfs_root, zone, 0, "power_limit");
	for (unsigned i = 0; i < CONSTRAINTS_MAX; i++)
		limit_w = fmax(limit_w, read_zone_w(sysfs_root, zone, i, "power_limit"));
	*ret_limit_w = limit_w;
}

/* Power of the package with the largest value; its dies are added up. */
static void read_power(const char *sysfs_root, const struct topology *topology,
		       struct report_machine *machine)
{
	cleanup_(cleanup_free) struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	int n = zones ? powercap_list(sysfs_root, zones, POWERCAP_ZONES_MAX) : 0;

	for (unsigned k = 0; k < topology->n_packages; k++) {
		double design_w = 0, limit_w = 0;
		for (int i = 0; i < n; i++) {
			double zone_design_w, zone_limit_w;
			if (strncmp(zones[i].name, "package-", 8) != 0 ||
			    zones[i].package != topology->packages[k].id)
				continue;
			read_zone(sysfs_root, &zones[i], &zone_design_w, &zone_limit_w);
			design_w += zone_design_w;
			limit_w += zone_limit_w;
		}
		machine->design_w = fmax(machine->design_w, design_w);
		machine->limit_w = fmax(machine->limit_w, limit_w);
	}
}

/* The idle state in use that takes longest to leave. */
static void read_idle(const char *sysfs_root, unsigned cpu, struct machine_facts *facts)
{
	read_word(facts->idle_driver, "%s/devices/system/cpu/cpuidle/current_driver", sysfs_root);
	for (unsigned i = 0; i < STATES_MAX; i++) {
		char state[PATH_MAX], name[MACHINE_WORD_SIZE];
		uint64_t latency_us, disabled = 0;

		(void)snprintf(state, sizeof(state), "%s/devices/system/cpu/cpu%u/cpuidle/state%u",
			       sysfs_root, cpu, i);
		read_word(name, "%s/name", state);
		(void)text_read_u64(&disabled, "%s/disable", state);
		if (!name[0] || disabled > 0 || text_read_u64(&latency_us, "%s/latency", state) < 0 ||
		    latency_us > LATENCY_MOST_US ||
		    (facts->idle_state[0] && (double)latency_us < facts->report.idle_latency_us))
			continue;
		facts->report.idle_latency_us = (double)latency_us;
		memcpy(facts->idle_state, name, sizeof(name));
	}
}

static void read_frequency(const char *sysfs_root, unsigned cpu, struct machine_facts *facts)
{
	read_word(facts->frequency_driver, "%s/devices/system/cpu/cpu%u/cpufreq/scaling_driver", sysfs_root,
		  cpu);
	read_word(facts->frequency_governor, "%s/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
		  sysfs_root, cpu);
}

void machine_facts_read(const char *sysfs_root, const struct topology *topology,
			struct machine_facts *ret_facts)
{
	unsigned cpu = topology->n_cpus ? topology->cpus[0].id : 0;

	*ret_facts = (struct machine_facts){0};
	read_power(sysfs_root, topology, &ret_facts->report);
	read_idle(sysfs_root, cpu, ret_facts);
	read_frequency(sysfs_root, cpu, ret_facts);
	ret_facts->report.idle_driver = ret_facts->idle_driver;
	ret_facts->report.idle_state = ret_facts->idle_state;
	ret_facts->report.frequency_driver = ret_facts->frequency_driver;
	ret_facts->report.frequency_governor = ret_facts->frequency_governor;
}
