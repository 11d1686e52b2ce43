/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wrap or reset? Both make a count fall back; only the energy that a wrap would mean tells them apart. Called
 * by the energy sources with plain numbers; knows no file and no clock.
 */
#include "machine/energy_counter.h"

#include "machine/scale.h"

#include <errno.h>

bool energy_is_absurd(double joules, double seconds, unsigned n_counters)
{
	return !(joules <= ENERGY_MOST_W * (seconds + ENERGY_SLACK_S) * n_counters);
}

int energy_counter_read(struct energy_counter *counter, uint64_t now, uint64_t now_ns)
{
	const uint64_t elapsed_ns = scale_delta(now_ns, counter->before_ns);
	const bool wrapped = now < counter->before;
	const bool can_wrap =
		counter->range > 0 && counter->before <= counter->range && now <= counter->range;
	const uint64_t step = scale_delta_wrapped(now, counter->before, counter->range);
	const bool started = counter->started;

	counter->started = true;
	counter->before = now;
	counter->before_ns = now_ns;
	if (!started)
		return 0;
	if ((wrapped && !can_wrap) ||
	    energy_is_absurd((double)step * counter->joules_per_count, (double)elapsed_ns * 1e-9, 1))
		return -ERANGE;
	counter->total += step;
	return 0;
}

uint64_t energy_counter_take(struct energy_counter *counter)
{
	const uint64_t units = scale_energy_step(counter->total, counter->taken, counter->joules_per_count);

	counter->taken = counter->total;
	return units;
}

uint64_t energy_counter_period_ns(const struct energy_counter *counter)
{
	const double wrap_s = (double)counter->range * counter->joules_per_count / ENERGY_MOST_W;

	if (counter->range == 0 || !(counter->joules_per_count > 0) || wrap_s > 1e9)
		return UINT64_MAX;
	return (uint64_t)(wrap_s * 1e9);
}
