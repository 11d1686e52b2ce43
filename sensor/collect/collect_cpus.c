/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs that go offline, return or first come online while the sensor runs. The sources detect dead events by
 * the events themselves (machine/cpu_gaps.h) and reopen them; here this is logged once and counted. If a CPU
 * was not there at the start, all sources are reopened, because their layout depends on the CPUs. Called in
 * each tick.
 */
#include "collect/collect.h"

#include "base/log.h"

void collect_open_cpus(struct collect *collect)
{
	int r = cpu_online_open(&collect->online, collect->config->sysfs_root);

	if (r < 0)
		log_info("topology", r,
			 "cannot read which CPUs are online; CPUs that come online are not noticed");
}

void collect_look_at_cpus(struct collect *collect)
{
	const struct topology *topology = &collect->topology;

	collect->cpus_changed = !collect->context.simulated && cpu_online_look(&collect->online);
	for (unsigned i = 0; collect->cpus_changed && i < topology->n_cpus; i++)
		if (cpu_online_has_gone(&collect->online, topology->cpus[i].id))
			log_notice("topology", 0, "CPU %u went offline; the other CPUs are still counted",
				   topology->cpus[i].id);
}

/* When a machine resumes, all CPUs but one come online again: one log line. */
static void report_gaps(struct collect *collect)
{
	const struct cpu_gaps *gaps = &collect->gaps;
	uint64_t longest_ns = 0;

	if (gaps->n == 0)
		return;
	for (unsigned i = 0; i < gaps->n; i++)
		longest_ns = gaps->gaps[i].lost_ns > longest_ns ? gaps->gaps[i].lost_ns : longest_ns;
	collect->lost[REPORT_LOST_READ] += gaps->n + gaps->n_beyond;
	if (gaps->n == 1)
		log_notice("topology", 0,
			   "CPU %u was offline: its events were reopened; at most %.0f ms of it were not "
			   "counted",
			   gaps->gaps[0].cpu, (double)longest_ns * 1e-6);
	else
		log_notice("topology", 0,
			   "%u CPUs (%u to %u) were offline: their events were reopened; at most %.0f ms of "
			   "each were not counted",
			   gaps->n + gaps->n_beyond, gaps->gaps[0].cpu, gaps->gaps[gaps->n - 1].cpu,
			   (double)longest_ns * 1e-6);
	collect->gaps.n = collect->gaps.n_beyond = 0;
}

void collect_take_back_cpus(struct collect *collect)
{
	report_gaps(collect);
	for (unsigned cpu = 0; collect->cpus_changed && cpu < CPU_ONLINE_MAX; cpu++)
		if (cpu_online_has_come(&collect->online, cpu) && topology_find_cpu(&collect->topology, cpu))
			log_notice("topology", 0, "CPU %u came back online", cpu);
}

void collect_take_new_cpus(struct collect *collect)
{
	unsigned n = 0, last = 0;

	for (unsigned cpu = 0; collect->cpus_changed && cpu < CPU_ONLINE_MAX; cpu++)
		if (cpu_online_has_come(&collect->online, cpu) &&
		    !topology_find_cpu(&collect->topology, cpu)) {
			n++;
			last = cpu;
		}
	if (n == 0)
		return;
	if (n == 1)
		log_notice("topology", 0, "CPU %u is new: reopening the sources to include it", last);
	else
		log_notice("topology", 0,
			   "%u CPUs up to CPU %u are new: reopening the sources to include them", n, last);
	collect->lost[REPORT_LOST_READ] += n; /* their activity until now */
	collect_reopen_sources(collect);
}
