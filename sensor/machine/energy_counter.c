/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Distinguishes wraps from resets: both make a count decrease; only the energy implied by a wrap tells them
 * apart. Called by the energy sources with plain numbers; knows no file and no clock.
 */
#include "machine/energy_counter.h"
#include "base/cleanup.h"

#include "machine/scale.h"
#include "base/unit.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ENERGY_PEAK         4   /* times a limit: no package exceeds it by more, even for milliseconds */
#define ENERGY_LEAST_MOST_W 100 /* a limit can be set far below the idle power */

/* Twice the largest products; a platform is a whole chassis with its GPUs. */
static const struct {
	const char *event;
	double most_w;
} domains[] = {
	{"RAPL_ENERGY_DRAM", 1000},
	{"RAPL_ENERGY_GPU", 500},
	{"RAPL_ENERGY_PSYS", 50000},
};

/* Maximum of a package or its cores, by the machine's limits. Limits of thousands of watts mean no limit. */
static double package_most_w(double package_w)
{
	const double most_w = package_w * ENERGY_PEAK;

	if (!(package_w > 0) || most_w > ENERGY_MOST_W)
		return ENERGY_MOST_W;
	return most_w < ENERGY_LEAST_MOST_W ? ENERGY_LEAST_MOST_W : most_w;
}

double energy_most_w(const char *event, double package_w)
{
	const char *plain = strstr(event, "::");

	plain = plain ? plain + 2 : event;
	if (strcmp(plain, "RAPL_ENERGY_PKG") == 0 || strcmp(plain, "RAPL_ENERGY_CORES") == 0)
		return package_most_w(package_w);
	for (size_t i = 0; i < ARRAY_SIZE(domains); i++)
		if (strcmp(plain, domains[i].event) == 0)
			return domains[i].most_w;
	return ENERGY_MOST_W;
}

static double most_w_of(const struct energy_counter *counter)
{
	return counter->most_w > 0 ? counter->most_w : ENERGY_MOST_W;
}

bool energy_is_absurd(double joules, double seconds, double most_w)
{
	return !(joules <= most_w * (seconds + ENERGY_SLACK_S));
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
	if ((wrapped && !can_wrap) || energy_is_absurd((double)step * counter->joules_per_count,
						       UNIT_S_OF_NS(elapsed_ns), most_w_of(counter)))
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
	const double wrap_s = (double)counter->range * counter->joules_per_count / most_w_of(counter);

	if (counter->range == 0 || !(counter->joules_per_count > 0) || wrap_s > 1e9)
		return UINT64_MAX;
	return (uint64_t)(wrap_s * 1e9);
}
