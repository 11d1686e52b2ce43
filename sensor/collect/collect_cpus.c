/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUs that go offline and come back while the sensor runs. The kernel takes the events of a CPU that goes
 * out of their groups for good, so its readings are no failure, and when it is back its events are opened
 * again. Called in each tick.
 */
#include "collect/collect.h"

#include "base/log.h"

#include <inttypes.h>

void collect_open_cpus(struct collect *collect)
{
	int r = cpu_online_open(&collect->online, collect->config->sysfs_root);

	if (r < 0)
		log_info("topology", r, "cannot watch for CPUs that go offline");
}

static void tell_sources(struct collect *collect, unsigned cpu, bool online)
{
	if (collect->activity && collect->activity->ops->cpu_changed)
		collect->activity->ops->cpu_changed(collect->activity, cpu, online);
	for (unsigned i = 0; i < collect->n_systems; i++)
		if (collect->systems[i]->ops->cpu_changed)
			collect->systems[i]->ops->cpu_changed(collect->systems[i], cpu, online);
}

void collect_look_at_cpus(struct collect *collect)
{
	const struct topology *topology = &collect->topology;

	collect->cpus_changed = !collect->simulated && cpu_online_look(&collect->online);
	for (unsigned i = 0; collect->cpus_changed && i < topology->n_cpus; i++) {
		const unsigned cpu = topology->cpus[i].id;

		if (!cpu_online_has_gone(&collect->online, cpu))
			continue;
		log_notice("topology", 0, "CPU %u went offline; the other CPUs are still counted", cpu);
		collect->lost[REPORT_LOST_READ]++; /* what it did since the last tick may have gone with it */
		tell_sources(collect, cpu, false);
	}
}

/* Behind the reading: what the kernel has moved to other CPUs meanwhile, as it does with energy, has been
 * read. */
void collect_take_back_cpus(struct collect *collect)
{
	const struct topology *topology = &collect->topology;

	for (unsigned cpu = 0; collect->cpus_changed && cpu < CPU_ONLINE_MAX; cpu++) {
		if (!cpu_online_has_come(&collect->online, cpu))
			continue;
		if (!topology_find_cpu(topology, cpu)) {
			log_warning("topology", 0,
				    "CPU %u came online, but did not exist when the sensor started: it is "
				    "not counted. Restart the sensor to count it",
				    cpu);
			continue;
		}
		log_notice("topology", 0, "CPU %u came back online; its events are reopened", cpu);
		collect->lost[REPORT_LOST_READ]++; /* what it did until now */
		tell_sources(collect, cpu, true);
	}
}
