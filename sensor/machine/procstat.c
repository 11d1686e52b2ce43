/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU times of each package from /proc/stat. Called by source_estimate and source_cpustat once a tick;
 * allocates only when opened. The kernel counts in clock ticks of 10 ms, which limits the precision of a
 * short tick.
 */
#include "machine/procstat.h"

#include "machine/scale.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_BYTES 256
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };

bool procstat_parse_line(const char *line, unsigned *ret_cpu, uint64_t *ret_busy, uint64_t *ret_all)
{
	uint64_t fields[FIELDS] = {0};
	unsigned long cpu;
	char *end;
	unsigned n;

	if (strncmp(line, "cpu", 3) != 0 || line[3] < '0' || line[3] > '9')
		return false;
	cpu = strtoul(line + 3, &end, 10);
	if (cpu > INT_MAX || *end != ' ')
		return false;
	for (n = 0; n < FIELDS; n++) {
		const char *at = end;

		while (*at == ' ')
			at++;
		if (*at < '0' || *at > '9')
			break;
		fields[n] = strtoull(at, &end, 10);
		/* Far beyond any uptime: invalid, and could overflow below. */
		if (fields[n] > UINT64_MAX / 16)
			return false;
	}
	if (n <= IDLE)
		return false;
	*ret_cpu = (unsigned)cpu;
	*ret_busy = fields[USER] + fields[NICE] + fields[SYSTEM] + fields[IRQ] + fields[SOFTIRQ];
	*ret_all = *ret_busy + fields[IDLE] + fields[IOWAIT] + fields[STEAL];
	return true;
}

int procstat_open(const char *procfs_root, const struct topology *topology, struct procstat *ret_stat)
{
	struct procstat stat = {.topology = topology, .size = (size_t)LINE_BYTES * (topology->n_cpus + 2)};
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/stat", procfs_root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	stat.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (stat.fd < 0)
		return -errno;
	stat.buffer = malloc(stat.size);
	stat.cpus = calloc(topology->n_cpus, sizeof(*stat.cpus));
	stat.packages = calloc(topology->n_packages, sizeof(*stat.packages));
	if (!stat.buffer || !stat.cpus || !stat.packages) {
		procstat_close(&stat);
		return -ENOMEM;
	}
	*ret_stat = stat;
	return 0;
}

void procstat_close(struct procstat *stat)
{
	if (stat->fd >= 0)
		(void)close(stat->fd);
	free(stat->buffer);
	free(stat->cpus);
	free(stat->packages);
	*stat = (struct procstat){.fd = -1};
}

/* Clock ticks as ns. sysconf is answered by the C library, without a system call. */
static uint64_t ticks_to_ns(uint64_t ticks)
{
	long hz = sysconf(_SC_CLK_TCK);

	return scale_share(ticks, UINT64_C(1000000000), hz > 0 ? (uint64_t)hz : 100);
}

static void add_line(struct procstat *stat, const char *line)
{
	const struct topology_cpu *cpu;
	const struct topology_package *package;
	struct procstat_times *before, *sum;
	uint64_t busy, all;
	unsigned id;

	if (!procstat_parse_line(line, &id, &busy, &all))
		return;
	cpu = topology_find_cpu(stat->topology, id);
	package = cpu ? topology_find_package(stat->topology, cpu->package) : NULL;
	if (!package)
		return;
	before = &stat->cpus[cpu - stat->topology->cpus];
	sum = &stat->packages[package - stat->topology->packages];
	busy = ticks_to_ns(busy);
	all = ticks_to_ns(all);
	if (before->all_ns) {
		sum->busy_ns += scale_delta(busy, before->busy_ns);
		sum->all_ns += scale_delta(all, before->all_ns);
	}
	/* iowait and idle may decrease in some kernels; such a step counts as 0. */
	before->busy_ns = busy > before->busy_ns ? busy : before->busy_ns;
	before->all_ns = all > before->all_ns ? all : before->all_ns;
}

int procstat_read(struct procstat *stat)
{
	ssize_t n = pread(stat->fd, stat->buffer, stat->size - 1, 0);
	char *line = stat->buffer;

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	stat->buffer[n] = '\0';
	memset(stat->packages, 0, stat->topology->n_packages * sizeof(*stat->packages));
	for (char *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		add_line(stat, line);
	}
	return 0;
}

bool procstat_has_watchdog(const char *procfs_root)
{
	char value[16];

	return text_read_file(value, sizeof(value), "%s/sys/kernel/nmi_watchdog", procfs_root) > 0 &&
	       strcmp(value, "1") == 0;
}
