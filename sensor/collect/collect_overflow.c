/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What does not fit the descriptors goes to a cheaper source rather than away: targets that the activity
 * source refused are counted by cpu.stat, as group `cpustat` beside the others, until there is room for them
 * again. Called by the collect process; knows nothing of reports.
 */
#include "collect/collect.h"

#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>

#define OVERFLOW_BACK_MAX 16 /* targets that move back in one tick: each opens descriptors */

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
	if (overflow->n == overflow->capacity) {
		const unsigned capacity = overflow->capacity ? overflow->capacity * 2 : 64;
		struct activity_cgroup *grown = reallocarray(overflow->cgroups, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		overflow->cgroups = grown;
		overflow->capacity = capacity;
	}
	/* It has not been read while nobody needed it: what the machine did before is no part of this tick.
	 */
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

/* The one that used most CPU time in the last tick: counts tell most of it. */
static unsigned find_busiest(const struct collect_overflow *overflow)
{
	const struct activity_frame *frame = &overflow->source->frame;
	uint64_t most_ns = 0;
	unsigned busiest = 0;

	for (unsigned i = 0; i < overflow->n; i++) {
		const uint64_t *counts = frame->counts + (size_t)overflow->cgroups[i].slot * frame->n_places;
		uint64_t ns = 0;

		for (unsigned place = 0; place < frame->n_places; place++)
			ns += counts[place];
		if (ns > most_ns) {
			most_ns = ns;
			busiest = i;
		}
	}
	return busiest;
}

void collect_overflow_move_back(struct collect *collect)
{
	struct collect_overflow *overflow = &collect->overflow;
	struct activity_source *activity = collect->activity;

	for (unsigned moved = 0; overflow->n > 0 && moved < OVERFLOW_BACK_MAX; moved++) {
		const unsigned index = find_busiest(overflow);
		const struct activity_cgroup cgroup = overflow->cgroups[index];

		if (activity->ops->add(activity, &cgroup) < 0)
			return;
		/* It has been counted all along: this is no first part of a life. */
		activity->frame.flags[cgroup.slot] &= (uint8_t)~ACTIVITY_FIRST;
		drop(overflow, index);
		target_table_join_nested(collect->table, cgroup.slot);
		log_debug("target", 0, "slot %u moves back to %s", cgroup.slot, activity->ops->name);
	}
}
