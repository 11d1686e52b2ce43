/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's CPUs from sysfs and /proc/cpuinfo below given roots. Called once at start; knows nothing of
 * events. If a virtual machine or an old kernel does not show them: one package, one core per CPU.
 */
#include "machine/topology.h"
#include "base/array.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define TOPOLOGY_CPUS_MAX 65536

#define FREQUENCY_STEP_MHZ 1. /* smaller steps are no change */

struct cpu_list {
	unsigned *ids;
	unsigned n;
	unsigned capacity;
	bool failed;
};

static void cpu_list_add(void *data, unsigned cpu)
{
	struct cpu_list *list = data;

	if (list->failed || cpu >= TOPOLOGY_CPUS_MAX)
		return;
	list->failed = !ARRAY_RESERVE(list->ids, list->capacity, list->n + 1);
	if (list->failed)
		return;
	list->ids[list->n++] = cpu;
}

static unsigned read_cpu_number(const char *root, unsigned cpu, const char *name, unsigned otherwise)
{
	uint64_t value;

	/* Some machines show "-1" for unknown. */
	if (text_read_u64(&value, "%s/devices/system/cpu/cpu%u/topology/%s", root, cpu, name) < 0 ||
	    value > INT_MAX)
		return otherwise;
	return (unsigned)value;
}

/* One line of /proc/cpuinfo split at the colon; false for lines without one. */
static bool cpuinfo_split(char *line, char **ret_key, char **ret_value)
{
	char *colon = strchr(line, ':'), *end;

	if (!colon)
		return false;
	for (end = colon; end > line && isspace((unsigned char)end[-1]); end--)
		;
	*end = '\0';
	for (*ret_value = colon + 1; isspace((unsigned char)**ret_value); (*ret_value)++)
		;
	(*ret_value)[strcspn(*ret_value, "\n")] = '\0';
	*ret_key = line;
	return true;
}

struct cpuinfo {
	struct cpu_list cpus;
	char implementer[16]; /* arm64 has numbers instead of a name */
	double mhz;           /* of the first CPU: a last resort for the base frequency */
};

/* x86, LoongArch, MIPS, POWER and RISC-V in this order. */
static bool is_model_key(const char *key)
{
	static const char *const keys[] = {"model name", "Model Name", "cpu model", "cpu", "uarch"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

static void note_model(struct topology *topology, struct cpuinfo *info, const char *key, const char *value)
{
	char number[16];

	if (topology->model_name[0])
		return;
	if (is_model_key(key))
		(void)text_copy_plain(value, topology->model_name, sizeof(topology->model_name));
	else if (strcmp(key, "CPU implementer") == 0)
		(void)text_copy_plain(value, info->implementer, sizeof(info->implementer));
	else if (strcmp(key, "CPU part") == 0 && info->implementer[0])
		(void)snprintf(topology->model_name, sizeof(topology->model_name),
			       "ARM implementer %s, part %s", info->implementer,
			       text_copy_plain(value, number, sizeof(number)));
}

static void read_cpuinfo(const char *procfs_root, struct topology *topology, struct cpuinfo *info)
{
	cleanup_(cleanup_fclose) FILE *file = NULL;
	cleanup_(cleanup_free) char *line = NULL;
	char path[PATH_MAX], *key, *value;
	size_t size = 0;
	uint64_t number;

	(void)snprintf(path, sizeof(path), "%s/cpuinfo", procfs_root);
	file = fopen(path, "re");
	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		if (!cpuinfo_split(line, &key, &value))
			continue;
		if (strcmp(key, "processor") == 0 && text_parse_u64(value, &number) == 0 &&
		    number < TOPOLOGY_CPUS_MAX)
			cpu_list_add(&info->cpus, (unsigned)number);
		else if (strcmp(key, "cpu MHz") == 0 && info->mhz <= 0)
			(void)text_parse_double(value, &info->mhz);
		else if (strcmp(key, "flags") == 0 && strstr(value, " hypervisor"))
			topology->virtual_machine = true;
		else
			note_model(topology, info, key, value);
	}
}

/* "… CPU @ 2.10GHz" as MHz; 0 if the name does not contain it. */
static double frequency_of_name(const char *name)
{
	const char *at = strrchr(name, '@');
	char number[16];
	size_t length;
	double value;

	if (!at)
		return 0;
	at += 1 + strspn(at + 1, " ");
	length = strspn(at, "0123456789.");
	if (!length || length >= sizeof(number))
		return 0;
	memcpy(number, at, length);
	number[length] = '\0';
	if (text_parse_double(number, &value) < 0)
		return 0;
	if (strncasecmp(at + length, "GHz", 3) == 0)
		return value * 1000;
	return strncasecmp(at + length, "MHz", 3) == 0 ? value : 0;
}

/* Exact; 0: unknown to cpufreq. */
static double cpufreq_base(const char *sysfs_root, unsigned cpu)
{
	uint64_t khz;

	return text_read_u64(&khz, "%s/devices/system/cpu/cpu%u/cpufreq/base_frequency", sysfs_root, cpu) == 0
		       ? (double)khz / 1000
		       : 0;
}

/* A name is precise to 10 MHz; cpuinfo_max_freq may include turbo. */
static double base_frequency(const char *sysfs_root, const struct topology *topology, double cpuinfo_mhz)
{
	const unsigned cpu = topology->cpus[0].id;
	double mhz = cpufreq_base(sysfs_root, cpu);
	uint64_t khz;

	if (mhz > 0)
		return mhz;
	mhz = frequency_of_name(topology->model_name);
	if (mhz > 0)
		return mhz;
	if (text_read_u64(&khz, "%s/devices/system/cpu/cpu%u/cpufreq/cpuinfo_max_freq", sysfs_root, cpu) ==
		    0 &&
	    khz)
		return (double)khz / 1000;
	return cpuinfo_mhz > 0 ? cpuinfo_mhz : 0;
}

static int compare_ids(const void *a, const void *b)
{
	unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

/* By package, die, core, then number. */
static int compare_places(const void *a, const void *b)
{
	const struct topology_cpu *x = a, *y = b;
	const unsigned left[] = {x->package, x->die, x->core, x->id},
		       right[] = {y->package, y->die, y->core, y->id};

	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		if (left[i] != right[i])
			return left[i] > right[i] ? 1 : -1;
	return 0;
}

/* Packages by number, with their contents: one pass over the CPUs in that order. */
static int count_packages(struct topology *topology)
{
	cleanup_(cleanup_free) struct topology_cpu *cpus = calloc(topology->n_cpus, sizeof(*cpus));
	struct topology_package *package = NULL;

	if (!cpus)
		return -ENOMEM;
	memcpy(cpus, topology->cpus, topology->n_cpus * sizeof(*cpus));
	qsort(cpus, topology->n_cpus, sizeof(*cpus), compare_places);
	for (unsigned i = 0; i < topology->n_cpus; i++) {
		const struct topology_cpu *cpu = &cpus[i], *last = i ? &cpus[i - 1] : NULL;
		const bool new_package = !last || cpu->package != last->package;
		const bool new_die = new_package || cpu->die != last->die;

		if (new_package) {
			package = &topology->packages[topology->n_packages++];
			*package = (struct topology_package){.id = cpu->package, .first_cpu = cpu->id};
		}
		if (cpu->id < package->first_cpu)
			package->first_cpu = cpu->id;
		package->n_cpus++;
		package->n_dies += new_die;
		package->n_cores += new_die || cpu->core != last->core;
	}
	return 0;
}

/* The online CPUs; if sysfs does not list them, those of /proc/cpuinfo. */
static int list_cpus(const char *sysfs_root, struct cpuinfo *info)
{
	char text[4096];
	struct cpu_list online = {0};

	if (text_read_file(text, sizeof(text), "%s/devices/system/cpu/online", sysfs_root) > 0 &&
	    text_parse_cpulist(text, cpu_list_add, &online) == 0 && online.n && !online.failed) {
		free(info->cpus.ids);
		info->cpus = online;
		return 0;
	}
	free(online.ids);
	if (info->cpus.failed)
		return -ENOMEM;
	return info->cpus.n ? 0 : -ENODEV;
}

static int build(const char *sysfs_root, const struct cpu_list *list, struct topology *topology)
{
	topology->cpus = calloc(list->n, sizeof(*topology->cpus));
	topology->packages = calloc(list->n, sizeof(*topology->packages));
	if (!topology->cpus || !topology->packages)
		return -ENOMEM;
	qsort(list->ids, list->n, sizeof(*list->ids), compare_ids);
	for (unsigned i = 0; i < list->n; i++) {
		unsigned id = list->ids[i];

		if (i && id == list->ids[i - 1])
			continue;
		topology->cpus[topology->n_cpus++] = (struct topology_cpu){
			.id = id,
			.package = read_cpu_number(sysfs_root, id, "physical_package_id", 0),
			.die = read_cpu_number(sysfs_root, id, "die_id", 0),
			.core = read_cpu_number(sysfs_root, id, "core_id", id),
		};
	}
	return count_packages(topology);
}

int topology_read(const char *sysfs_root, const char *procfs_root, struct topology *ret_topology)
{
	struct topology topology = {0};
	struct cpuinfo info = {0};
	int r;

	read_cpuinfo(procfs_root, &topology, &info);
	r = list_cpus(sysfs_root, &info);
	if (r == 0)
		r = build(sysfs_root, &info.cpus, &topology);
	free(info.cpus.ids);
	if (r < 0) {
		topology_done(&topology);
		return r;
	}
	topology.base_frequency_mhz = base_frequency(sysfs_root, &topology, info.mhz);
	*ret_topology = topology;
	return 0;
}

bool topology_renew_frequency(struct topology *topology, const char *sysfs_root)
{
	const double mhz = cpufreq_base(sysfs_root, topology->cpus[0].id);

	if (!(mhz > 0) || fabs(mhz - topology->base_frequency_mhz) < FREQUENCY_STEP_MHZ)
		return false;
	topology->base_frequency_mhz = mhz;
	return true;
}

void topology_done(struct topology *topology)
{
	free(topology->cpus);
	free(topology->packages);
	*topology = (struct topology){0};
}

const struct topology_cpu *topology_find_cpu(const struct topology *topology, unsigned cpu)
{
	for (unsigned i = 0; i < topology->n_cpus; i++)
		if (topology->cpus[i].id == cpu)
			return &topology->cpus[i];
	return NULL;
}

const struct topology_package *topology_find_package(const struct topology *topology, unsigned package)
{
	for (unsigned i = 0; i < topology->n_packages; i++)
		if (topology->packages[i].id == package)
			return &topology->packages[i];
	return NULL;
}

unsigned topology_cores_per_package(const struct topology *topology)
{
	unsigned most = 0;

	for (unsigned i = 0; i < topology->n_packages; i++)
		if (topology->packages[i].n_cores > most)
			most = topology->packages[i].n_cores;
	return most;
}
