/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bpf source's events on each CPU. The program itself runs on every CPU; its events die when their CPU
 * goes offline. They are reopened when the program has run on the CPU in this tick while their enabled time
 * stood still. Called at the start and in each tick.
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

static struct count_pulse pulse_of(const struct source_bpf *bpf, unsigned cpu)
{
	const struct count_pulse *pulse = &bpf->pulses[cpu];
	struct count_pulse now;

	/* In the reverse order of the program's writes. */
	now.seen_ns = __atomic_load_n(&pulse->seen_ns, __ATOMIC_ACQUIRE);
	now.enabled_ns = __atomic_load_n(&pulse->enabled_ns, __ATOMIC_ACQUIRE);
	return now;
}

/* Are the events really dead? Flushes every CPU once more to find out. */
static bool is_dead(struct source_bpf *bpf, unsigned cpu, struct count_pulse now)
{
	struct count_pulse again;

	if (priv_client_bpf_update(bpf->context->priv, NULL, 0, true) < 0)
		return false;
	again = pulse_of(bpf, cpu);
	return cpu_gaps_confirm(now.seen_ns, now.enabled_ns, again.seen_ns, again.enabled_ns) ==
	       CPU_GAPS_DEAD;
}

static void look(struct source_bpf *bpf, unsigned cpu)
{
	struct count_pulse *before = &bpf->pulses_before[cpu];
	const struct count_pulse now = pulse_of(bpf, cpu);
	const uint64_t elapsed_ns = now.seen_ns - before->seen_ns;
	const uint64_t missing_ns = cpu_gaps_missing(elapsed_ns, now.enabled_ns - before->enabled_ns);
	uint64_t used_ns = source_bpf_cell(bpf, bpf->totals, cpu)->ns -
			   source_bpf_seen(bpf, bpf->totals_before, cpu)->ns;
	int r;

	*before = now;
	if (elapsed_ns == 0 || missing_ns == 0)
		return; /* offline, or alive */
	if (!is_dead(bpf, cpu, now))
		return; /* nothing was counted: decided at the next check */
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
