/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets for which the activity source has no room are counted by cpu.stat instead, as an additional group
 * `cpustat`, until there is room for them again. Called by the collect process; knows nothing about reports.
 */
#include "collect/collect.h"
#include "base/array.h"

#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>

#define OVERFLOW_BACK_MAX 16      /* targets that move back in one tick: each opens descriptors */
#define OVERFLOW_QUIET    10      /* ticks after which a target counts as idle */
#define OVERFLOW_BUSY_NS  1000000 /* CPU time in a tick that makes a target busy */

void collect_overflow_open(struct collect *collect)
{
	struct source_context *context = &collect->context;
	struct reason why = {""};
	int r;

	if (!collect->activity || collect->simulated || collect->activity->ops == &source_cpustat)
		return;
	r = source_cpustat.probe(context, NULL, 0, &why);
	if (r == 0)
		r = source_cpustat.open(context, NULL, 0, 1, &collect->overflow.source);
	if (r < 0)
		log_info("source", r, "targets beyond the descriptor limit cannot be counted by cpu.stat%s%s",
			 why.text[0] ? ": " : "", why.text);
}

void collect_overflow_close(struct collect_overflow *overflow)
{
	if (overflow->source)
		overflow->source->ops->close(overflow->source);
	free(overflow->cgroups);
	free(overflow->quiet);
	*overflow = (struct collect_overflow){0};
}

static unsigned find(const struct collect_overflow *overflow, unsigned slot)
{
	unsigned i = 0;

	while (i < overflow->n && overflow->cgroups[i].slot != slot)
		i++;
	return i;
}

bool collect_overflow_has(const struct collect_overflow *overflow, unsigned slot)
{
	const struct activity_frame *frame = collect_overflow_frame(overflow);

	return frame && slot < frame->n_slots && (frame->flags[slot] & ACTIVITY_OPEN);
}

struct activity_frame *collect_overflow_frame(const struct collect_overflow *overflow)
{
	return overflow->n > 0 ? &overflow->source->frame : NULL;
}

int collect_overflow_add(struct collect *collect, const struct activity_cgroup *cgroup)
{
	struct collect_overflow *overflow = &collect->overflow;
	int r;

	if (!overflow->source)
		return -EMFILE;
	if (!ARRAY_RESERVE(overflow->cgroups, overflow->capacity, overflow->n + 1))
		return -ENOMEM;
	/* The source was not read while it was not needed: earlier activity is not part of this tick. */
	if (overflow->n == 0)
		(void)overflow->source->ops->read(overflow->source);
	r = overflow->source->ops->add(overflow->source, cgroup);
	if (r < 0)
		return r;
	overflow->cgroups[overflow->n++] = *cgroup;
	return 0;
}

static void drop(struct collect_overflow *overflow, unsigned index)
{
	overflow->source->ops->remove(overflow->source, &overflow->cgroups[index]);
	overflow->cgroups[index] = overflow->cgroups[--overflow->n];
}

bool collect_overflow_remove(struct collect_overflow *overflow, const struct activity_cgroup *cgroup)
{
	if (!collect_overflow_has(overflow, cgroup->slot))
		return false;
	if (cgroup->root)
		drop(overflow, find(overflow, cgroup->slot));
	return true;
}

/* The target that used most CPU time in the last tick: it benefits most from counters. */
static unsigned find_busiest(const struct collect_overflow *overflow, uint64_t *ret_ns)
{
	const struct activity_frame *frame = &overflow->source->frame;
	unsigned busiest = 0;

	*ret_ns = 0;
	for (unsigned i = 0; i < overflow->n; i++) {
		const uint64_t *counts = frame->counts + (size_t)overflow->cgroups[i].slot * frame->n_places;
		uint64_t ns = 0;

		for (unsigned place = 0; place < frame->n_places; place++)
			ns += counts[place];
		if (ns > *ret_ns) {
			*ret_ns = ns;
			busiest = i;
		}
	}
	return busiest;
}

/* Room grows with the slots only. */
static void note_quiet(struct collect_overflow *overflow, const struct activity_frame *frame)
{
	if (!ARRAY_RESERVE(overflow->quiet, overflow->quiet_capacity, frame->n_slots))
		return;
	for (; overflow->n_quiet < frame->n_slots; overflow->n_quiet++)
		overflow->quiet[overflow->n_quiet] = 0;
	for (unsigned slot = 0; slot < overflow->n_quiet; slot++)
		if (overflow->quiet[slot] < UINT8_MAX)
			overflow->quiet[slot]++;
	for (unsigned i = 0; i < frame->n_active; i++)
		overflow->quiet[frame->active[i]] = 0;
}

static bool is_idle(const struct collect *collect, unsigned slot, struct activity_cgroup *ret_cgroup)
{
	const struct activity_frame *frame = &collect->activity->frame;

	return slot != ACTIVITY_SLOT_MACHINE && collect->overflow.quiet[slot] >= OVERFLOW_QUIET &&
	       frame->flags[slot] == ACTIVITY_OPEN &&
	       target_table_own_cgroup(collect->table, slot, ret_cgroup);
}

/* Moves an idle target to cpu.stat, so that a busy one finds descriptors. False: all are busy. */
static bool give_way(struct collect *collect)
{
	struct collect_overflow *overflow = &collect->overflow;
	struct activity_source *activity = collect->activity;
	struct activity_cgroup idle;
	unsigned tried = 0;

	for (; tried < overflow->n_quiet; tried++) {
		overflow->next_quiet = (overflow->next_quiet + 1) % overflow->n_quiet;
		if (is_idle(collect, overflow->next_quiet, &idle))
			break;
	}
	if (tried == overflow->n_quiet || collect_overflow_add(collect, &idle) < 0)
		return false;
	/* It was counted before: this is not the first part of its life. */
	overflow->source->frame.flags[idle.slot] &= (uint8_t)~ACTIVITY_FIRST;
	activity->ops->remove(activity, &idle);
	log_debug("target", 0, "slot %u is idle and is now counted by CPU time", idle.slot);
	return true;
}

static bool move_back(struct collect *collect, unsigned index)
{
	struct collect_overflow *overflow = &collect->overflow;
	struct activity_source *activity = collect->activity;
	const struct activity_cgroup cgroup = overflow->cgroups[index];

	if (activity->ops->add(activity, &cgroup) < 0)
		return false;
	activity->frame.flags[cgroup.slot] &= (uint8_t)~ACTIVITY_FIRST;
	/* While it was opened, neither source counted for a report. */
	overflow->lost_ns += source_cpustat_since_ns(overflow->source, cgroup.slot);
	drop(overflow, index);
	target_table_join_nested(collect->table, cgroup.slot);
	if (cgroup.slot < overflow->n_quiet)
		overflow->quiet[cgroup.slot] = 0;
	log_debug("target", 0, "slot %u moves back to %s", cgroup.slot, activity->ops->name);
	return true;
}

void collect_overflow_balance(struct collect *collect)
{
	struct collect_overflow *overflow = &collect->overflow;
	/* Only perf runs out of descriptors, and frees all of a target with its own cgroup. */
	const bool may_swap = overflow->n > 0 && collect->activity->ops == &source_perf;

	overflow->lost_ns = 0;
	if (may_swap)
		note_quiet(overflow, &collect->activity->frame);
	for (unsigned moved = 0; overflow->n > 0 && moved < OVERFLOW_BACK_MAX; moved++) {
		uint64_t ns;
		const unsigned index = find_busiest(overflow, &ns);

		/* A displaced target is added at the end, so the index stays valid. */
		if (!move_back(collect, index) &&
		    (!may_swap || ns < OVERFLOW_BUSY_NS || !give_way(collect) || !move_back(collect, index)))
			return;
	}
}
