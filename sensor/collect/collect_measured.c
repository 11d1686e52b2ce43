/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy that the hardware counts per target (the target sources): opening, and after each tick the load of
 * every active target, by which the source chooses the targets to measure. Called by collect.
 */
#include "collect/collect.h"

#include "base/array.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

int collect_measured_open(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	struct reason why = {""};

	if (collect->simulated || config->resctrl == SENSOR_RESCTRL_OFF || !collect->activity)
		return 0;
	collect->measured = choose_target_source(&collect->context, &why);
	if (collect->measured) {
		log_info("source", 0,
			 "energy of containers: %s, %u package%s, limited by the number of monitoring groups",
			 collect->measured->ops->name, collect->measured->counts.group.n_places,
			 collect->measured->counts.group.n_places == 1 ? "" : "s");
		return 0;
	}
	if (config->resctrl == SENSOR_RESCTRL_ON)
		return log_error("source", -ENODEV, "the energy of containers cannot be measured: %s",
				 why.text);
	log_debug("source", 0, "energy of containers: not measured: %s", why.text);
	return 0;
}

void collect_measured_close(struct collect *collect)
{
	if (collect->measured)
		collect->measured->ops->close(collect->measured);
	collect->measured = NULL;
	free(collect->loads);
	collect->loads = NULL;
	collect->loads_capacity = 0;
}

/* A slot's counts of the first event. */
static double count_of(const struct activity_frame *frame, unsigned slot)
{
	double sum = 0;

	for (unsigned place = 0; place < frame->n_places; place++)
		sum += (double)frame->counts[((size_t)slot * frame->n_places + place) * frame->n_events];
	return sum;
}

/* Appends the active targets of a frame, each with its part of their total activity. */
static unsigned add_loads(struct collect *collect, const struct activity_frame *frame, unsigned n)
{
	double all = 0;

	if (!frame || frame->n_events == 0 ||
	    !ARRAY_RESERVE(collect->loads, collect->loads_capacity, n + frame->n_active))
		return n;
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] != ACTIVITY_SLOT_MACHINE)
			all += count_of(frame, frame->active[i]);
	for (unsigned i = 0; all > 0 && i < frame->n_active; i++) {
		const unsigned slot = frame->active[i];

		if (slot == ACTIVITY_SLOT_MACHINE || !(frame->flags[slot] & ACTIVITY_OPEN))
			continue;
		collect->loads[n++] = (struct target_load){.slot = slot, .part = count_of(frame, slot) / all};
	}
	return n;
}

static const char *path_of(void *data, unsigned slot)
{
	const struct collect *collect = data;
	struct activity_cgroup cgroup;

	return target_table_own_cgroup(collect->table, slot, &cgroup) ? cgroup.path : NULL;
}

void collect_measured_balance(struct collect *collect)
{
	unsigned n;

	if (!collect->measured || !collect->activity)
		return;
	n = add_loads(collect, &collect->activity->frame, 0);
	n = add_loads(collect, collect_overflow_frame(&collect->overflow), n);
	collect->measured->ops->balance(collect->measured, collect->loads, n, path_of, collect);
}
