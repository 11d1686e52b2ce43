/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extra readings in the collect process: starts and ends reported by the target table, and the timer of a
 * delayed reading. edges.c decides how many there may be, and when.
 */
#include "collect/collect.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/unit.h"

#include <inttypes.h>

/*
 * Shortest time between two reads of inotify outside ticks: a source that counts cgroups from their creation
 * can wait; others lose what happens before they know the cgroup. While extra readings are allowed, starts
 * and ends must be seen at once.
 */
#define PAUSE_S       0.25
#define PAUSE_SHORT_S 0.05
#define PAUSE_EDGES_S 0.01

double collect_discovery_pause_s(struct collect *collect)
{
	if (edges_has_reserve(&collect->edges, clock_monotonic_ns()))
		return PAUSE_EDGES_S;
	return collect->activity && collect->activity->ops->births ? PAUSE_S : PAUSE_SHORT_S;
}

static void read_edge(struct collect *collect)
{
	edges_note_reading(&collect->edges, true);
	log_debug("tick", 0, "extra reading %" PRIu64 ": a target started or ended", collect->edges.n);
	collect_read_tick(collect, 0);
}

void collect_follow_edges(struct collect *collect)
{
	const struct loop_tick *tick = &collect->tick;
	const uint64_t due_ns = tick->first_ns + tick->n_due * tick->interval_ns;
	uint64_t wait_ns;

	if (!tick->ev || collect->stopping)
		return;
	if (target_table_view(collect->table)->n_ended > 0)
		edges_want(&collect->edges);
	ev_timer_stop(collect->loop.ev, &collect->edge);
	wait_ns = edges_wait_ns(&collect->edges, clock_monotonic_ns(), collect->last_energy_ns, due_ns);
	if (wait_ns == 0) {
		read_edge(collect);
	} else if (wait_ns != EDGES_NEVER) {
		ev_now_update(collect->loop.ev);
		ev_timer_set(&collect->edge, UNIT_S_OF_NS(wait_ns), 0);
		ev_timer_start(collect->loop.ev, &collect->edge);
	}
}

static void on_edge(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct collect *collect = timer->data;

	(void)ev, (void)events;
	collect_discover(collect);
	collect_follow_edges(collect);
}

void collect_start_edges(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	/* With --ticks, ticks are of equal length. */
	const bool off = collect->simulated || !collect->watch || config->ticks > 0;

	edges_init(&collect->edges, off ? 0 : (unsigned)config->edge_readings,
		   config->interval_ms * CLOCK_NS_PER_MS, clock_monotonic_ns());
	ev_timer_init(&collect->edge, on_edge, 0, 0);
	collect->edge.data = collect;
}
