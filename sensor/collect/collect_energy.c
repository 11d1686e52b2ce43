/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy between the ticks and over the sensor's life: counters that wrap are read often enough, however long
 * a tick is, and a better source is used when it appears (a driver that is loaded late), or the same source
 * with more counters (a package that comes online late). Called by the collect process.
 */
#include "collect/collect.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/unit.h"

#include <inttypes.h>

/* Twice per wrap at full power: more is useless, and with less a reset would look like a wrap. */
#define KEEP_SHORTEST_NS (100 * CLOCK_NS_PER_MS)
#define KEEP_LONGEST_NS  (10 * CLOCK_NS_PER_S)
#define BETTER_FIRST_NS  (5 * CLOCK_NS_PER_S)
#define BETTER_LAST_NS   (60 * CLOCK_NS_PER_S)
#define WIDER_TRIES      3 /* a new counter may not be readable yet */

static void on_keep(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct collect *collect = timer->data;

	(void)ev, (void)events;
	for (unsigned i = 0; i < collect->n_systems; i++)
		if (collect->systems[i]->ops->keep)
			collect->systems[i]->ops->keep(collect->systems[i]);
}

/* How often the shortest counter must be read; UINT64_MAX: none wraps. */
static uint64_t find_period_ns(const struct collect *collect)
{
	uint64_t shortest_ns = UINT64_MAX;

	for (unsigned i = 0; i < collect->n_systems; i++) {
		const struct system_source *source = collect->systems[i];
		const uint64_t ns = source->ops->period_ns ? source->ops->period_ns(source) : UINT64_MAX;

		shortest_ns = ns < shortest_ns ? ns : shortest_ns;
	}
	return shortest_ns;
}

void collect_keep_energy(struct collect *collect)
{
	const uint64_t period_ns = find_period_ns(collect);
	uint64_t every_ns = period_ns / 2;

	ev_timer_stop(collect->loop.ev, &collect->keep);
	if (period_ns == UINT64_MAX)
		return;
	if (every_ns < KEEP_SHORTEST_NS) {
		log_notice("source", 0,
			   "an energy counter may wrap every %" PRIu64
			   " ms at full power, and is read every %" PRIu64
			   " ms: energy above that rate is missed",
			   period_ns / CLOCK_NS_PER_MS, KEEP_SHORTEST_NS / CLOCK_NS_PER_MS);
		every_ns = KEEP_SHORTEST_NS;
	}
	every_ns = every_ns < KEEP_LONGEST_NS ? every_ns : KEEP_LONGEST_NS;
	if (every_ns >= collect->config->interval_ms * CLOCK_NS_PER_MS)
		return; /* the ticks are frequent enough */
	ev_timer_init(&collect->keep, on_keep, UNIT_S_OF_NS(every_ns), UNIT_S_OF_NS(every_ns));
	collect->keep.data = collect;
	ev_timer_start(collect->loop.ev, &collect->keep);
}

/* Called between two ticks: the old source has just been read, and the new one begins here. */
static void replace(struct collect *collect, unsigned index, struct system_source *better)
{
	struct system_source *old = collect->systems[index];
	struct encoder *encoder;

	collect->systems[index] = better;
	encoder = collect_new_encoder(collect);
	if (!encoder) {
		collect->systems[index] = old;
		better->ops->close(better);
		return;
	}
	(void)better->ops->read(better, 0);
	encoder_free(collect->encoder);
	collect->encoder = encoder;
	old->ops->close(old);
	if (choose_is_socket_energy(collect->requests[index]))
		collect->energy_source = better->ops;
	collect_keep_energy(collect);
}

void collect_note_energy(struct collect *collect)
{
	if (!collect->simulated)
		choose_energy_extent(collect->config->sysfs_root, &collect->extent);
}

/* True if there are more counters than ever before: of a package that came online late, or a driver that was
 * loaded late. */
static bool has_grown(struct collect *collect)
{
	struct choose_extent now;
	bool grown = false;

	if (collect->simulated)
		return false;
	choose_energy_extent(collect->config->sysfs_root, &now);
	for (size_t i = 0; i < ARRAY_SIZE(now.n); i++) {
		grown |= now.n[i] > collect->extent.n[i];
		if (now.n[i] > collect->extent.n[i])
			collect->extent.n[i] = now.n[i];
	}
	if (grown)
		collect->n_wider_tries = WIDER_TRIES;
	return collect->n_wider_tries > 0 && collect->n_wider_tries-- > 0;
}

void collect_better_energy(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	const uint64_t now_ns = clock_monotonic_ns();
	bool grown;

	if (collect->better_ns == 0)
		collect->better_wait_ns = BETTER_FIRST_NS / 2;
	else if (now_ns < collect->better_ns)
		return;
	grown = collect->better_ns > 0 && has_grown(collect);
	for (unsigned i = 0; collect->better_ns > 0 && i < collect->n_systems; i++) {
		struct system_source *better =
			choose_better(&collect->context, collect->requests[i],
				      choose_energy_names[config->energy], collect->systems[i]);

		if (!better && grown)
			better = choose_wider(&collect->context, collect->requests[i], collect->systems[i]);
		if (better)
			replace(collect, i, better);
	}
	collect->better_wait_ns *= 2;
	if (collect->better_wait_ns > BETTER_LAST_NS)
		collect->better_wait_ns = BETTER_LAST_NS;
	collect->better_ns = now_ns + collect->better_wait_ns;
}
