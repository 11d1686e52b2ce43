/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Properties of the document encoders: for a report of any shape, libbson finds the document valid and the
 * decoder returns what was encoded; a warm batch allocates in neither direction. The seed is printed;
 * WATTRIBUTE_SEED sets it.
 */
#include "document/report_bson.h"
#include "unit/count_allocations.h"
#include "base/reason.h"
#include "unit/random_seed.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

#define GROUPS_MAX 4
#define EVENTS_MAX 12
#define PLACES_MAX 40
#define ROUNDS     400

static uint64_t random_state;

static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned random_below(unsigned end)
{
	return (unsigned)(next_random() % end);
}

/* A report with all data that it points to. */
struct shape {
	char names[GROUPS_MAX][EVENTS_MAX + 1][24];
	const char *events[GROUPS_MAX][EVENTS_MAX];
	struct report_place places[GROUPS_MAX][PLACES_MAX];
	struct report_group groups[GROUPS_MAX];
	uint64_t values[GROUPS_MAX][PLACES_MAX * EVENTS_MAX];
	uint64_t enabled[GROUPS_MAX][PLACES_MAX];
	struct report_counts counts[GROUPS_MAX];
	unsigned n;
};

static void make_places(struct shape *shape, unsigned g)
{
	unsigned package = random_below(3);
	unsigned cpu = random_below(100);

	for (unsigned i = 0; i < shape->groups[g].n_places; i++) {
		shape->places[g][i] = (struct report_place){package, cpu};
		package += random_below(4) == 0;
		cpu += 1 + random_below(500);
	}
}

static void make_shape(struct shape *shape)
{
	shape->n = random_below(GROUPS_MAX + 1);
	for (unsigned g = 0; g < shape->n; g++) {
		struct report_group *group = &shape->groups[g];

		(void)snprintf(shape->names[g][EVENTS_MAX], 24, "group%u", g);
		group->name = shape->names[g][EVENTS_MAX];
		group->n_events = random_below(EVENTS_MAX) + 1;
		group->n_places = random_below(PLACES_MAX) + 1;
		for (unsigned i = 0; i < group->n_events; i++) {
			(void)snprintf(shape->names[g][i], 24, "EVENT_%u:%u", i, random_below(1000));
			shape->events[g][i] = shape->names[g][i];
		}
		make_places(shape, g);
		group->events = shape->events[g];
		group->places = shape->places[g];
		for (unsigned i = 0; i < group->n_places * group->n_events; i++)
			shape->values[g][i] = next_random() >> (11 + random_below(53));
		for (unsigned i = 0; i < group->n_places; i++)
			shape->enabled[g][i] = next_random() >> 24;
		shape->counts[g] = (struct report_counts){group, shape->values[g], NULL, NULL};
		if (random_below(2)) {
			shape->counts[g].enabled_ns = shape->enabled[g];
			shape->counts[g].running_ns = shape->enabled[g];
		}
	}
}

static void assert_value(const struct report_names *names, const struct report_value *value,
			 const char *event, const struct report_place *place, uint64_t wanted)
{
	assert_string_equal(report_names_event(names, value->event), event);
	assert_int_equal(value->package, place->package);
	assert_int_equal(value->cpu, place->cpu);
	assert_true(value->value == (double)wanted);
}

static unsigned assert_group(const struct shape *shape, unsigned g, const struct report_names *names,
			     const struct report_value *values)
{
	const struct report_group *group = &shape->groups[g];
	unsigned n = 0;

	for (unsigned p = 0; p < group->n_places; p++) {
		assert_string_equal(report_names_group(names, values[n].group), group->name);
		for (unsigned e = 0; e < group->n_events; e++)
			assert_value(names, &values[n++], group->events[e], &group->places[p],
				     shape->values[g][p * group->n_events + e]);
		if (!shape->counts[g].enabled_ns)
			continue;
		assert_value(names, &values[n++], "time_enabled", &group->places[p], shape->enabled[g][p]);
		assert_value(names, &values[n++], "time_running", &group->places[p], shape->enabled[g][p]);
	}
	return n;
}

static void test_round_trip(void **state)
{
	struct shape *shape = calloc(1, sizeof(*shape));
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct batch batch = {0};
	struct reason why = {""};

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct report_head head = {(int64_t)(next_random() >> 22), "node", "target"};
		struct report_target_metadata metadata = {.container_id = "0123456789ab",
							  .partial = random_below(2),
							  .scaled = (double)random_below(100) / 100};
		unsigned n = 0;
		bson_t bson;

		make_shape(shape);
		batch_clear(&batch);
		assert_int_equal(
			report_bson_add_target_counts(&batch, &head, shape->counts, shape->n, &metadata), 0);
		assert_true(bson_init_static(&bson, batch.data, batch.length));
		assert_true(bson_validate(&bson, BSON_VALIDATE_UTF8 | BSON_VALIDATE_DOT_KEYS, NULL));
		assert_int_equal(report_bson_decode(batch.data, batch.length, names, &decoded, &why), 0);
		assert_int_equal(decoded.time_ms, head.time_ms);
		assert_string_equal(decoded.container_id, "0123456789ab");
		assert_int_equal(decoded.partial, metadata.partial);
		assert_true(decoded.scaled == metadata.scaled);
		for (unsigned g = 0; g < shape->n; g++)
			n += assert_group(shape, g, names, decoded.values + n);
		assert_int_equal(decoded.n_values, n);
	}
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
	free(shape);
}

static void test_no_allocation(void **state)
{
	struct shape *shape = calloc(1, sizeof(*shape));
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct report_target_metadata metadata = {.scaled = 1};
	struct report_head head = {1574087112345, "node", "target"};
	struct batch batch = {0};
	struct reason why;
	unsigned long before = 0;

	(void)state;
	do
		make_shape(shape);
	while (shape->n == 0);
	for (unsigned round = 0; round < 3; round++) {
		if (round == 1)
			before = n_allocations;
		batch_clear(&batch);
		(void)report_bson_add_target_counts(&batch, &head, shape->counts, shape->n, &metadata);
		(void)report_bson_decode(batch.data, batch.length, names, &decoded, &why);
	}
	assert_int_equal(n_allocations - before, 0);
	report_decoded_done(&decoded);
	report_names_free(names);
	batch_done(&batch);
	free(shape);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_no_allocation),
	};

	random_state = (uint64_t)random_begin() * 2654435761U | 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
