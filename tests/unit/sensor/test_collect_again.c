/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a system source reads in a second reading of the same tick is added to the first: counts and times;
 * energy that one of the readings lacks; counters that were reset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "collect/collect.h"

#define MISSING REPORT_COUNT_MISSING

struct reading {
	uint64_t values[2], time_ns;
	bool reset;
	unsigned failures;
};

static struct {
	struct collect collect;
	struct system_source source;
	struct report_place places[2];
	uint64_t values[2], enabled_ns[2], running_ns[2];
	struct reading next;
	uint64_t interval_ns;
} fixture;

static int fake_read(struct system_source *source, uint64_t interval_ns)
{
	for (unsigned i = 0; i < 2; i++) {
		source->values[i] = fixture.next.values[i];
		fixture.enabled_ns[i] = fixture.next.time_ns;
		fixture.running_ns[i] = fixture.next.time_ns / 2;
	}
	source->was_reset = fixture.next.reset;
	source->read_failures += fixture.next.failures;
	fixture.interval_ns = interval_ns;
	return 0;
}

static const struct system_source_ops energy_ops = {.name = "energy", .energy = true, .read = fake_read},
				      events_ops = {.name = "events", .read = fake_read};

/* Reads `first`, as a tick does, and `second` again. */
static void read_twice(const struct system_source_ops *ops, struct reading first, struct reading second)
{
	fixture.source = (struct system_source){
		.ops = ops,
		.group = {.name = "group", .n_events = 1, .n_places = 2, .places = fixture.places},
		.values = fixture.values};
	if (ops == &events_ops) {
		fixture.source.enabled_ns = fixture.enabled_ns;
		fixture.source.running_ns = fixture.running_ns;
	}
	fixture.collect.systems[0] = &fixture.source;
	fixture.collect.n_systems = 1;
	fixture.collect.lost[REPORT_LOST_READ] = 0;
	fixture.next = first;
	(void)ops->read(&fixture.source, 7);
	fixture.source.read_failures = first.failures;
	fixture.next = second;
	assert_int_equal(collect_read_again(&fixture.collect, 0, 5), 0);
	assert_int_equal(fixture.interval_ns, 5);
	assert_int_equal(fixture.collect.lost[REPORT_LOST_READ], second.failures);
}

static void assert_values(uint64_t first, uint64_t second, bool reset)
{
	assert_int_equal(fixture.values[0], first);
	assert_int_equal(fixture.values[1], second);
	assert_int_equal(fixture.source.was_reset, reset);
}

static void counts_and_times_are_added(void **state)
{
	(void)state;
	read_twice(&events_ops, (struct reading){.values = {3, 40}, .time_ns = 1000},
		   (struct reading){.values = {5, 0}, .time_ns = 300});
	assert_values(8, 40, false);
	assert_int_equal(fixture.enabled_ns[1], 1300);
	assert_int_equal(fixture.running_ns[0], 650);
	read_twice(&energy_ops, (struct reading){.values = {3, 40}}, (struct reading){.values = {5, 0}});
	assert_values(8, 40, false);
}

/* Energy that could not be read is in the next reading; events are not. */
static void missing_at_first(void **state)
{
	const struct reading first = {.values = {MISSING, 40}, .failures = 1}, second = {.values = {5, 6}};

	(void)state;
	read_twice(&energy_ops, first, second);
	assert_values(5, 46, false);
	read_twice(&events_ops, first, second);
	assert_values(MISSING, 46, false);
}

/* The first part is in no tick, and the server must not look for it in the next one. */
static void missing_at_last(void **state)
{
	const struct reading first = {.values = {3, 40}}, second = {.values = {MISSING, 6}, .failures = 1};

	(void)state;
	read_twice(&energy_ops, first, second);
	assert_values(MISSING, 46, true);
	read_twice(&events_ops, first, second);
	assert_values(MISSING, 46, false);
	read_twice(&energy_ops, (struct reading){.values = {MISSING, 1}}, second);
	assert_values(MISSING, 7, false);
}

static void reset_counters(void **state)
{
	(void)state;
	read_twice(&energy_ops, (struct reading){.values = {MISSING, 40}, .reset = true},
		   (struct reading){.values = {5, 6}});
	assert_values(MISSING, 46, true);
	read_twice(&energy_ops, (struct reading){.values = {3, 40}},
		   (struct reading){.values = {MISSING, 6}, .reset = true});
	assert_values(MISSING, 46, true);
}

static void only_long_skews(void **state)
{
	(void)state;
	assert_false(collect_is_skewed(CLOCK_NS_PER_S, 0));
	assert_false(collect_is_skewed(CLOCK_NS_PER_S, CLOCK_NS_PER_S / 25));
	assert_true(collect_is_skewed(CLOCK_NS_PER_S, CLOCK_NS_PER_S / 15));
	assert_true(collect_is_skewed(CLOCK_NS_PER_S, 3 * CLOCK_NS_PER_S));
	assert_true(collect_is_skewed(CLOCK_NS_PER_S / 20, CLOCK_NS_PER_S / 200));
	/* not after the resolution of energy counters */
	assert_false(collect_is_skewed(CLOCK_NS_PER_S / 1000, CLOCK_NS_PER_S / 2000));
}

static int finish(void **state)
{
	(void)state;
	free(fixture.collect.first);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_and_times_are_added),
		cmocka_unit_test(missing_at_first),
		cmocka_unit_test(missing_at_last),
		cmocka_unit_test(reset_counters),
		cmocka_unit_test(only_long_skews),
	};

	return cmocka_run_group_tests(tests, NULL, finish);
}
