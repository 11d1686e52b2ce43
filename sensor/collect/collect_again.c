/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second reading of the machine's energy and events, added to the first. If the sensor or the machine
 * stalls while it reads the activity, or if reading takes long, the energy of one period would be divided by
 * the counts of another. Called by collect_tick.c.
 */
#include "collect/collect.h"

#include "base/array.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>

#define SKEW_PART  20              /* a skew of more than 1/20 of the tick is too long */
#define SKEW_LEAST CLOCK_NS_PER_MS /* energy counters are updated that often */

bool collect_is_skewed(uint64_t interval_ns, uint64_t skew_ns)
{
	return skew_ns > SKEW_LEAST && skew_ns > interval_ns / SKEW_PART;
}

static size_t n_values(const struct system_source *source)
{
	return (size_t)source->group.n_places * source->group.n_events;
}

static size_t n_times(const struct system_source *source)
{
	return source->enabled_ns ? source->group.n_places : 0;
}

/* Values, then the times of places. */
static void copy_first(const struct system_source *source, uint64_t *first)
{
	const size_t size = n_times(source) * sizeof(*first);

	memcpy(first, source->values, n_values(source) * sizeof(*first));
	if (size == 0)
		return;
	memcpy(first + n_values(source), source->enabled_ns, size);
	memcpy(first + n_values(source) + n_times(source), source->running_ns, size);
}

/*
 * Energy that the first reading could not read is in the second one, unless a counter was reset. If it is the
 * second that could not read it, the first part belongs to no later tick either, as if it had been reset.
 */
static void add_value(struct system_source *source, uint64_t *value, uint64_t first, bool was_reset)
{
	if (first == REPORT_COUNT_MISSING) {
		if (!source->ops->energy || was_reset)
			*value = REPORT_COUNT_MISSING;
	} else if (*value == REPORT_COUNT_MISSING) {
		source->was_reset |= source->ops->energy;
	} else {
		*value += first;
	}
}

static void add_first(struct system_source *source, const uint64_t *first, bool was_reset)
{
	for (size_t i = 0; i < n_values(source); i++)
		add_value(source, &source->values[i], *first++, was_reset);
	for (size_t i = 0; i < n_times(source); i++) {
		source->enabled_ns[i] += first[i];
		source->running_ns[i] += first[n_times(source) + i];
	}
	source->was_reset |= was_reset;
}

int collect_read_again(struct collect *collect, unsigned index, uint64_t interval_ns)
{
	struct system_source *source = collect->systems[index];
	const bool was_reset = source->was_reset;

	if (!ARRAY_RESERVE(collect->first, collect->first_capacity, n_values(source) + 2 * n_times(source)))
		return -ENOMEM;
	copy_first(source, collect->first);
	collect_read_system(collect, source, interval_ns);
	add_first(source, collect->first, was_reset);
	return 0;
}
