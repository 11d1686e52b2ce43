/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source's events on each CPU. The program itself runs wherever there is a CPU; its events die with a
 * CPU that goes offline, and are opened again when they show it: the program has run there in this tick, and
 * the time that they were enabled stands still. Called at the start, and in each tick.
 */
#include "source/bpf/source_bpf.h"

#include "base/clock.h"
#include "base/log.h"
#include "machine/cpu_gaps.h"
#include "priv/priv_client.h"

int source_bpf_open_events(struct source_bpf *bpf, unsigned cpu)
{
	const struct perf_plan *plan = bpf->plan;

	for (unsigned i = 0; plan && i < plan->n_units; i++) {
		const struct perf_unit *unit = &plan->units[i];
		const struct priv_group group = {.cgroup = "",
						 .cpu = unit->cpu,
						 .n_events = unit->n_events,
						 .events = plan->attrs + unit->first};
		int r = cpu == SOURCE_BPF_ALL_CPUS || cpu == unit->cpu
				? priv_client_bpf_group(bpf->context->priv, &group,
							plan->columns + unit->first)
				: 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static void look(struct source_bpf *bpf, unsigned cpu)
{
	struct count_pulse *before = &bpf->pulses_before[cpu];
	const struct count_pulse now = bpf->pulses[cpu];
	const uint64_t elapsed_ns = now.seen_ns - before->seen_ns;
	const uint64_t missing_ns = cpu_gaps_missing(elapsed_ns, now.enabled_ns - before->enabled_ns);
	uint64_t used_ns = bpf->totals[cpu].ns - bpf->totals_before[cpu].ns;
	int r;

	*before = now;
	if (elapsed_ns == 0 || missing_ns == 0)
		return; /* offline, or alive */
	r = source_bpf_open_events(bpf, cpu);
	if (r < 0) {
		log_debug("source", r, "cannot reopen the events of CPU %u", cpu);
		return;
	}
	before->seen_ns = clock_monotonic_ns(); /* the program's clock */
	used_ns = used_ns < missing_ns ? used_ns : missing_ns;
	bpf->gap_ns += used_ns;
	cpu_gaps_note(bpf->context->gaps, cpu, used_ns);
}

static bool has_events(const struct perf_plan *plan, unsigned cpu)
{
	unsigned i = 0;

	while (i < plan->n_units && plan->units[i].cpu != cpu)
		i++;
	return i < plan->n_units;
}

void source_bpf_look_at_cpus(struct source_bpf *bpf)
{
	bpf->gap_ns = 0;
	for (unsigned cpu = 0; bpf->plan && cpu < bpf->n_cpus; cpu++)
		if (has_events(bpf->plan, cpu))
			look(bpf, cpu);
}
