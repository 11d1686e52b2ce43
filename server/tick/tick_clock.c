/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lengths of ticks. A step between two ticks is a tick's length unless it is far from the usual one: a much
 * longer step is a pause of the sensor, a much shorter one a report written twice. Such a step counts only if
 * the next one is similar, as after a change of the sensor's interval.
 */
#include "tick/tick_clock.h"
#include "base/array.h"
#include "base/unit.h"

#include <string.h>

#define LONGEST      10.0  /* multiple of the usual step; a longer one is a pause */
#define SHORTEST     0.2   /* part of the usual step; a shorter one is a report written twice */
#define TWICE_S      0.06  /* reports written twice are closer together than this */
#define SEVERAL_S    0.005 /* and if there are more than two of them, their steps do not confirm each other */
#define ALIKE        1.5   /* two steps within this factor confirm each other */
#define SAID_LONGEST 1e6   /* s; a longer reported length is ignored */

void tick_clock_init(struct tick_clock *clock, double fallback_s)
{
	memset(clock, 0, sizeof(*clock));
	clock->fallback_s = clock->usual_s = fallback_s;
}

void tick_clock_resume(struct tick_clock *clock, int64_t time_ms, double usual_s)
{
	clock->last_ms = time_ms;
	clock->has_last = true;
	if (usual_s > 0 && usual_s < SAID_LONGEST)
		clock->fallback_s = usual_s;
	if (!clock->n_steps)
		clock->usual_s = clock->fallback_s;
}

bool tick_clock_knows(const struct tick_clock *clock)
{
	return clock->n_steps > 0;
}

/*
 * The median of the steps. If each report is written twice, every second step is almost zero: such steps are
 * ignored if at least a third remains.
 */
static double find_usual(const struct tick_clock *clock)
{
	double sorted[TICK_CLOCK_STEPS];
	unsigned n = clock->n_steps, from = 0;

	if (!n)
		return clock->fallback_s;
	memcpy(sorted, clock->steps_s, sizeof(sorted));
	qsort(sorted, n, sizeof(*sorted), array_compare_doubles);
	while (from < n && sorted[from] < TWICE_S && sorted[from] < sorted[n - 1] * SHORTEST)
		from++;
	if ((n - from) * 3 < n)
		from = 0;
	return sorted[from + (n - from - 1) / 2];
}

static void note_step(struct tick_clock *clock, double step_s)
{
	if (!(step_s > 0))
		return;
	clock->steps_s[clock->next] = step_s;
	clock->next = (clock->next + 1) % TICK_CLOCK_STEPS;
	if (clock->n_steps < TICK_CLOCK_STEPS)
		clock->n_steps++;
	clock->usual_s = find_usual(clock);
}

void tick_clock_prime(struct tick_clock *clock, const int64_t *times_ms, unsigned n)
{
	if (clock->n_steps)
		return;
	for (unsigned i = 1; i < n && i <= TICK_CLOCK_STEPS; i++)
		note_step(clock, UNIT_S_OF_MS(times_ms[i] - times_ms[i - 1]));
	clock->n_shown = clock->n_steps + clock->has_last;
}

static bool is_alike(double a_s, double b_s)
{
	return a_s < b_s * ALIKE && b_s < a_s * ALIKE;
}

/*
 * The counters' own time grows by the length of a tick, or by that of a pause in which they counted, whether
 * it is this tick's or that since the start.
 */
static bool is_believed(const struct tick_clock *clock, double step_s, double counted_s)
{
	return (step_s >= clock->usual_s * SHORTEST && step_s <= clock->usual_s * LONGEST) ||
	       (step_s > SEVERAL_S && (is_alike(step_s, clock->last_step_s) ||
				       (clock->last_counted_s > 0 && counted_s > clock->last_counted_s &&
					is_alike(step_s, counted_s - clock->last_counted_s))));
}

static double distance(double a_s, double b_s)
{
	return a_s > b_s ? a_s / b_s : b_s / a_s;
}

/* Is a counted time close to the step or, if the report was late or early, to the usual step? */
static bool fits(const struct tick_clock *clock, double counted_s, double about_s)
{
	return counted_s > 0 && (is_alike(counted_s, about_s) ||
				 (tick_clock_knows(clock) && is_alike(counted_s, clock->usual_s)));
}

/*
 * The length by the counters' own time, which does not depend on a report's delay: that of this tick, or the
 * growth of a time since the sensor's start (hwpc-sensor had both). `about_s` if neither is near it or near
 * the usual step.
 */
static double refine(struct tick_clock *clock, double about_s, double counted_s)
{
	double grown_s = counted_s - clock->last_counted_s;
	bool tick_fits = fits(clock, counted_s, about_s);
	bool growth_fits = clock->last_counted_s > 0 && fits(clock, grown_s, about_s);

	clock->last_counted_s = counted_s > 0 ? counted_s : 0;
	if (tick_fits && growth_fits)
		return distance(counted_s, about_s) < distance(grown_s, about_s) ? counted_s : grown_s;
	return tick_fits ? counted_s : growth_fits ? grown_s : about_s;
}

double tick_clock_take(struct tick_clock *clock, int64_t time_ms, double said_s, double counted_s, bool whole)
{
	double step_s = clock->has_last ? UNIT_S_OF_MS(time_ms - clock->last_ms) : 0, length_s;

	if (said_s > 0 && said_s < SAID_LONGEST) {
		length_s = said_s;
		note_step(clock, said_s);
	} else if (!whole && step_s < clock->usual_s / 2) {
		/* A partial tick soon after a complete one: the length of the complete one counts. */
		return clock->usual_s;
	} else {
		length_s = refine(clock, is_believed(clock, step_s, counted_s) ? step_s : clock->usual_s,
				  counted_s);
		if (!clock->n_shown)
			note_step(clock, step_s);
		else if (step_s > 0)
			clock->n_shown--;
	}
	clock->last_step_s = step_s;
	clock->last_ms = time_ms;
	clock->has_last = true;
	return length_s;
}
