/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extra readings: immediately if there is room, otherwise later or with the scheduled tick, and never more
 * than allowed, whatever comes and goes.
 */
#include "collect/edges.h"
#include "unit/random_seed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS     UINT64_C(1000000)
#define SECOND (1000 * MS)
#define START  (7 * SECOND)

static struct edges make(unsigned per_s, uint64_t interval_ns)
{
	struct edges edges;

	edges_init(&edges, per_s, interval_ns, START);
	return edges;
}

static void a_birth_is_read_immediately(void **state)
{
	struct edges edges = make(2, SECOND);

	(void)state;
	assert_true(edges_wait_ns(&edges, START + 300 * MS, START, START + SECOND) == EDGES_NEVER);
	edges_want(&edges);
	assert_true(edges_wait_ns(&edges, START + 300 * MS, START, START + SECOND) == 0);
	edges_note_reading(&edges, true);
	assert_true(edges_wait_ns(&edges, START + 300 * MS, START + 300 * MS, START + SECOND) == EDGES_NEVER);
	assert_int_equal(edges.n, 1);
}

static void readings_keep_their_distance(void **state)
{
	struct edges edges = make(2, SECOND);

	(void)state;
	edges_want(&edges);
	/*
	 * 20 ms after a reading: in 30 ms. 40 ms before the next tick, or 90 ms before it but too early: the
	 * tick is enough.
	 */
	assert_true(edges_wait_ns(&edges, START + 20 * MS, START, START + SECOND) == 30 * MS);
	assert_true(edges_wait_ns(&edges, START + 960 * MS, START, START + SECOND) == EDGES_NEVER);
	assert_true(edges_wait_ns(&edges, START + 910 * MS, START + 905 * MS, START + SECOND) == EDGES_NEVER);
	/* The scheduled tick is overdue: no extra reading. */
	assert_true(edges_wait_ns(&edges, START + 1200 * MS, START, START + SECOND) == EDGES_NEVER);
	edges_note_reading(&edges, false);
	assert_true(edges_wait_ns(&edges, START + 1300 * MS, START + 1200 * MS, START + 2 * SECOND) ==
		    EDGES_NEVER);
	assert_int_equal(edges.n, 0);
}

static void no_readings_if_not_allowed(void **state)
{
	const struct {
		unsigned per_s;
		uint64_t interval_ns;
	} off[] = {{0, SECOND}, {2, 10 * MS}, {2, 199 * MS}, {0, 3600 * SECOND}};

	(void)state;
	for (unsigned i = 0; i < sizeof(off) / sizeof(*off); i++) {
		struct edges edges = make(off[i].per_s, off[i].interval_ns);

		edges_want(&edges);
		assert_false(edges_has_reserve(&edges, START));
		assert_true(edges_wait_ns(&edges, START + SECOND, START, START + 3600 * SECOND) ==
			    EDGES_NEVER);
	}
}

/* The reserve is used up: the next reading happens when it has grown, instead of never. */
static void postponed_readings_are_not_forgotten(void **state)
{
	struct edges edges = make(1, 60 * SECOND);
	uint64_t now_ns = START, wait_ns;

	(void)state;
	for (unsigned i = 0; i < EDGES_RESERVE_S; i++) {
		edges_want(&edges);
		now_ns += 60 * MS;
		assert_true(edges_wait_ns(&edges, now_ns, now_ns - 60 * MS, START + 60 * SECOND) == 0);
		edges_note_reading(&edges, true);
	}
	edges_want(&edges);
	now_ns += 60 * MS;
	assert_false(edges_has_reserve(&edges, now_ns));
	wait_ns = edges_wait_ns(&edges, now_ns, now_ns - 60 * MS, START + 60 * SECOND);
	assert_in_range(wait_ns, 600 * MS, 800 * MS);
	now_ns += wait_ns;
	assert_true(edges_wait_ns(&edges, now_ns, START, START + 60 * SECOND) == 0);
}

/*
 * Storms of new cgroups at random times, for a random number of seconds: the readings are bounded, and no two
 * are close together.
 */
static void check_storm(void)
{
	const unsigned per_s = 1 + (unsigned)rand() % 10, seconds = 1 + (unsigned)rand() % 30;
	const uint64_t interval_ns = (200 + (uint64_t)rand() % 5000) * MS, end_ns = START + seconds * SECOND;
	struct edges edges = make(per_s, interval_ns);
	uint64_t last_ns = START, due_ns = START + interval_ns, now_ns = START;

	while (now_ns < end_ns) {
		now_ns += (1 + (uint64_t)rand() % 60) * MS;
		for (; due_ns <= now_ns; due_ns += interval_ns) {
			assert_true(due_ns - last_ns >= EDGES_GAP_NS);
			last_ns = due_ns;
			edges_note_reading(&edges, false);
		}
		edges_want(&edges);
		if (edges_wait_ns(&edges, now_ns, last_ns, due_ns) > 0)
			continue;
		assert_true(now_ns - last_ns >= EDGES_GAP_NS);
		last_ns = now_ns;
		edges_note_reading(&edges, true);
	}
	assert_true(edges.n >= 1 || interval_ns < 400 * MS);
	assert_true(edges.n <= (uint64_t)per_s * (seconds + 1 + EDGES_RESERVE_S));
}

static void bursts_are_bounded(void **state)
{

	(void)state;
	srand(random_begin());
	for (unsigned i = 0; i < 500; i++)
		check_storm();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_birth_is_read_immediately),
		cmocka_unit_test(readings_keep_their_distance),
		cmocka_unit_test(no_readings_if_not_allowed),
		cmocka_unit_test(postponed_readings_are_not_forgotten),
		cmocka_unit_test(bursts_are_bounded),
	};

	return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
