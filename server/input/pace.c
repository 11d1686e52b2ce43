/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Learns how long after its time a tick can be read, from reads that were too early and reads that found it.
 * Each read costs a round trip, so the aim is one per tick. Pure: the caller provides the times. Called by
 * input.c. The clocks of sensor and server may differ: only differences count.
 */
#include "input/pace.h"
#include "base/unit.h"

#include <math.h>

#define RESTED_PART 0.8 /* of a tick, before looking for the next one while nothing is known */
#define CREEP_S                                                                                              \
	1e-3 /* how much earlier to look after a tick was found at the first look, to notice when ticks come \
		sooner */
#define CREEP_GROWTH 1.1
#define SHORT_LOOKS  4  /* after a miss: this many looks at shorter intervals, because the tick is near */
#define FULL_LOOKS   10 /* at full speed; after that the tick is late or the sensor is away */
#define IDLE_MAX_S   1.0
#define IDLE_FACTOR  1.3

struct pace pace_init(double poll_s)
{
	return (struct pace){.poll_s = poll_s, .idle_s = poll_s};
}

/*
 * One slow tick proves nothing: the delay grows by a fraction of a poll at a time. It shrinks slowly at
 * first, then faster as long as ticks are found.
 */
static void learn(struct pace *pace, double seen_s, double interval_s)
{
	double step_s = pace->poll_s / SHORT_LOOKS;

	/* So far off that a clock must have been set: learn again. */
	if (pace->learned && fabs(seen_s - pace->delay_s) > interval_s)
		pace->learned = false;
	if (!pace->learned) {
		pace->learned = pace->misses > 0;
		pace->delay_s = seen_s;
		pace->creep_s = step_s / 5;
	} else if (pace->misses) {
		pace->delay_s = fmax(pace->delay_s, fmin(seen_s, pace->delay_s + step_s));
		pace->creep_s = CREEP_S;
	} else {
		pace->delay_s -= pace->creep_s;
		pace->creep_s = fmin(pace->creep_s * CREEP_GROWTH, step_s);
	}
}

double pace_found(struct pace *pace, int64_t looked_ms, int64_t tick_ms, int64_t now_ms, double interval_s)
{
	double least_s = interval_s * RESTED_PART < pace->poll_s ? pace->poll_s : pace->poll_s / SHORT_LOOKS;
	double rest_s = interval_s * RESTED_PART;

	learn(pace, UNIT_S_OF_MS(looked_ms - tick_ms), interval_s);
	pace->misses = 0;
	pace->idle_s = pace->poll_s;
	if (pace->learned)
		rest_s = UNIT_S_OF_MS(tick_ms - now_ms) + interval_s + pace->delay_s;
	return fmax(fmin(rest_s, interval_s), least_s);
}

double pace_missed(struct pace *pace, bool begun)
{
	pace->misses++;
	if (begun) {
		pace->idle_s = pace->poll_s;
		return pace->poll_s / SHORT_LOOKS;
	}
	if (pace->misses <= SHORT_LOOKS && pace->learned)
		return pace->poll_s / SHORT_LOOKS;
	pace->idle_s = fmin(pace->idle_s * IDLE_FACTOR, IDLE_MAX_S * FULL_LOOKS);
	return pace->idle_s > pace->poll_s * FULL_LOOKS ? pace->idle_s / FULL_LOOKS : pace->poll_s;
}
