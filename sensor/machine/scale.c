/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counter arithmetic: deltas, wraps, multiplexing, energy units. Pure: called by every source with plain
 * numbers; knows no file, no PMU and no clock.
 */
#include "machine/scale.h"

#include <math.h>

__extension__ typedef unsigned __int128 scale_wide;

uint64_t scale_delta(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

uint64_t scale_delta_wrapped(uint64_t now, uint64_t before, uint64_t range)
{
	if (now >= before)
		return now - before;
	/* A counter above its range has a new range: this step is unknown. */
	if (!range || before > range)
		return 0;
	return range - before + now;
}

uint64_t scale_share(uint64_t delta, uint64_t part, uint64_t whole)
{
	scale_wide result;

	if (!whole)
		return 0;
	result = ((scale_wide)delta * part + whole / 2) / whole;
	return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

uint64_t scale_multiplexed(uint64_t delta, uint64_t enabled_ns, uint64_t running_ns)
{
	if (!running_ns)
		return 0;
	if (running_ns >= enabled_ns)
		return delta;
	return scale_share(delta, enabled_ns, running_ns);
}

/* 64 bits of mantissa: a count keeps all its digits if the factor is a power of two, as RAPL's are. */
static long double energy_units(uint64_t count, double joules_per_count)
{
	return floorl(ldexpl((long double)count * (long double)joules_per_count, 32));
}

uint64_t scale_energy_step(uint64_t now, uint64_t before, double joules_per_count)
{
	long double units;

	if (now <= before || !(joules_per_count > 0) || !isfinite(joules_per_count))
		return 0;
	units = energy_units(now, joules_per_count) - energy_units(before, joules_per_count);
	return units >= ldexpl(1, 64) ? UINT64_MAX : (uint64_t)units;
}
