/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From joined reports to flat arrays: sums over CPUs, the first CPU's energy, features, missing and absurd
 * counts.
 */
#include "tick/tick_make.h"
#include "base/reason.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

static void assert_near(double got, double wanted, double tolerance)
{
	if (!(fabs(got - wanted) <= tolerance))
		fail_msg("%.15g is not %.15g", got, wanted);
}

struct fixture {
	struct report_names *names;
	struct report_decoded decoded;
	struct join *join;
	struct tick_maker *maker;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->names = report_names_new();
	fixture->join = join_new(2000);
	fixture->maker = tick_maker_new(fixture->names, 1);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	tick_maker_free(fixture->maker);
	join_free(fixture->join);
	report_decoded_done(&fixture->decoded);
	report_names_free(fixture->names);
	free(fixture);
	return 0;
}

/* `groups` in JSON; `metadata` in JSON or NULL. */
static void feed(struct fixture *fixture, int64_t time_ms, const char *target, const char *groups,
		 const char *metadata)
{
	char text[4096];
	struct reason why = {""};
	enum join_fed fed;
	bson_t document;

	(void)snprintf(text, sizeof(text),
		       "{\"timestamp\":{\"$date\":{\"$numberLong\":\"%" PRId64
		       "\"}},\"sensor\":\"s\",\"target\":\"%s\","
		       "\"groups\":%s%s%s}",
		       time_ms, target, groups, metadata ? ",\"metadata\":" : "", metadata ? metadata : "");
	if (!bson_init_from_json(&document, text, -1, NULL))
		fail_msg("test's JSON: %s", text);
	if (report_bson_decode(bson_get_data(&document), document.len, fixture->names, &fixture->decoded,
			       &why) < 0)
		fail_msg("%s: %s", text, why.text);
	assert_int_equal(join_feed(fixture->join, &fixture->decoded, time_ms, &fed), 0);
	bson_destroy(&document);
}

static const struct tick *make(struct fixture *fixture)
{
	struct join_slot *slot = join_take(fixture->join, 0, false, true);
	const struct tick *tick;

	assert_non_null(slot);
	assert_int_equal(tick_make(fixture->maker, slot, &tick), 0);
	join_release(fixture->join, slot);
	return tick;
}

/* 3 J in units of 2^-32 J */
#define THREE_JOULES "12884901888.0"

static void hwpc_sensor_tick(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;

	feed(fixture, 1000, "web",
	     "{\"core\":{\"1\":{\"8\":{\"LLC_MISSES\":5.0,\"CPU_CLK_THREAD_UNHALTED:REF_P\":100.0},"
	     "\"9\":{\"LLC_MISSES\":6.0,\"CPU_CLK_THREAD_UNHALTED:REF_P\":20.0,\"time_enabled\":1.0}},"
	     "\"0\":{\"0\":{\"LLC_MISSES\":1.0,\"CPU_CLK_THREAD_UNHALTED:REF_P\":7.0}}}}",
	     NULL);
	feed(fixture, 1000, "all",
	     "{\"rapl\":{\"0\":{\"3\":{\"RAPL_ENERGY_PKG\":1.0},\"0\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES
	     ",\"RAPL_ENERGY_DRAM\":0.0}},\"1\":{\"8\":{\"RAPL_ENERGY_PKG\":-5.0}}},"
	     "\"msr\":{\"0\":{\"0\":{\"APERF\":10.0,\"MPERF\":20.0,\"TSC\":40.0},\"1\":{\"APERF\":30.0}}}}",
	     NULL);
	tick = make(fixture);
	assert_int_equal(tick->n_sockets, 2);
	assert_int_equal(tick->n_targets, 1);
	assert_int_equal(tick->cpu_stride, 8);
	assert_false(tick->complete);
	assert_true(tick->reset);
	assert_near(tick->interval_s, 1, 0);
	assert_near(tick->sockets[0].energy_j[REPORT_SCOPE_CPU], 3, 1e-12);
	assert_near(tick->sockets[0].energy_j[REPORT_SCOPE_DRAM], 0, 0);
	assert_true(isnan(tick->sockets[1].energy_j[REPORT_SCOPE_CPU]));
	assert_near(tick->sockets[0].aperf, 20, 0);
	assert_near(tick->sockets[0].tsc, 40, 0);
	assert_true(isnan(tick->sockets[1].tsc));
	assert_true(isnan(tick->sockets[0].counts[TICK_REF]));
	assert_string_equal(tick->targets[0].name, "web");
	assert_int_equal(tick->targets[0].present, 3);
	assert_near(tick->targets[0].counts[TICK_REF], 7, 0);
	assert_near(tick->targets[0].counts[TICK_FEATURES + TICK_REF], 120, 0);
	assert_near(tick->targets[0].counts[TICK_FEATURES + TICK_MISSES], 11, 0);
	assert_true(isnan(tick->targets[0].counts[TICK_CYCLES]));
	assert_int_equal(tick->n_events, 2);
	assert_string_equal(tick->event_names[0], "CPU_CLK_THREAD_UNHALTED:REF_P");
	assert_near(tick->targets[0].events[2 + 1], 11, 0);
}

static void our_tick_with_metadata(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;

	feed(fixture, 1000, "a", "{\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":1000.0}}}}", NULL);
	feed(fixture, 1000, "b",
	     "{\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":9.0}}},\"core\":{\"0\":{\"0\":"
	     "{\"CPU_CLK_THREAD_UNHALTED:REF_P\":50.0}}}}",
	     "{\"container_id\":\"0123456789ab\",\"partial\":true,\"scaled\":0.5}");
	feed(fixture, 1000, "all",
	     "{\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES "}}},"
	     "\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":4000.0}}}}",
	     "{\"seq\":7,\"interval\":0.5,\"targets\":2,\"energy_source\":\"estimate\",\"base_frequency\":"
	     "2000}");
	tick = make(fixture);
	assert_true(tick->complete);
	assert_true(tick->said.has_seq);
	assert_int_equal(tick->said.seq, 7);
	assert_true(tick->said.estimated);
	assert_near(tick->interval_s, 0.5, 0);
	assert_near(tick->sockets[0].counts[TICK_REF], 8000, 1e-9);
	assert_near(tick->targets[0].counts[TICK_REF], 2000, 1e-9);
	assert_near(tick->targets[1].counts[TICK_REF], 50, 0);
	assert_string_equal(tick->targets[1].container_id, "0123456789ab");
	assert_true(tick->targets[1].partial);
}

/*
 * A sensor without enough descriptors counts some targets by events, others by CPU time, and the machine by
 * both.
 */
static void mixed_tick(void **state)
{
	static const char *const heads[] = {
		"{\"seq\":1,\"interval\":1.0,\"targets\":2,\"base_frequency\":2000}",
		"{\"seq\":2,\"interval\":1.0,\"targets\":2}",
	};
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < 2; i++) {
		const int64_t time_ms = 1000 * (i + 1);
		const struct tick *tick;

		feed(fixture, time_ms, "by-time", "{\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":1000.0}}}}",
		     NULL);
		feed(fixture, time_ms, "by-events",
		     "{\"core\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":500.0,\"LLC_MISSES\":7.0}}}"
		     "}",
		     NULL);
		feed(fixture, time_ms, "all",
		     "{\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES "}}},"
		     "\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":1600.0}}},"
		     "\"core\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":3200.0,\"LLC_MISSES\":9.0}}}"
		     "}",
		     heads[i]);
		tick = make(fixture);
		/*
		 * Both get reference cycles; the machine is counted once, by the better event. The base
		 * frequency is reported, and remembered.
		 */
		assert_near(tick->sockets[0].counts[TICK_REF], 3200, 1e-9);
		assert_near(tick->targets[0].counts[TICK_REF], 2000, 1e-9);
		assert_near(tick->targets[1].counts[TICK_REF], 500, 1e-9);
		assert_near(tick->targets[1].counts[TICK_MISSES], 7, 0);
		assert_true(isnan(tick->targets[0].counts[TICK_MISSES]));
		assert_near(tick->sockets[0].counts[TICK_MISSES], 9, 0);
		assert_true(tick->complete);
	}
}

/*
 * The same without a base frequency: the machine, counted both ways, shows how many cycles a nanosecond has.
 */
static void mixed_tick_without_base_frequency(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;

	feed(fixture, 1000, "by-time", "{\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":1000.0}}}}", NULL);
	feed(fixture, 1000, "by-events", "{\"core\":{\"0\":{\"0\":{\"ref-cycles\":500.0}}}}", NULL);
	feed(fixture, 1000, "all",
	     "{\"cpustat\":{\"0\":{\"0\":{\"CPU_TIME_NS\":1600.0}}},\"core\":{\"0\":{\"0\":{\"ref-cycles\":"
	     "4000.0}}}}",
	     NULL);
	tick = make(fixture);
	assert_near(tick->sockets[0].counts[TICK_REF], 4000, 1e-9);
	assert_near(tick->targets[0].counts[TICK_REF], 2500, 1e-9);
	assert_near(tick->targets[1].counts[TICK_REF], 500, 1e-9);
}

static void unknown_events_still_share(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;

	feed(fixture, 1000, "a", "{\"core\":{\"0\":{\"0\":{\"PAGE-FAULTS\":30.0,\"MIGRATIONS\":1.0}}}}",
	     NULL);
	feed(fixture, 1000, "all", "{\"core\":{\"0\":{\"0\":{\"PAGE-FAULTS\":40.0}}}}", NULL);
	tick = make(fixture);
	assert_near(tick->targets[0].counts[TICK_REF], 30, 0);
	assert_near(tick->sockets[0].counts[TICK_REF], 40, 0);
	feed(fixture, 2000, "a", "{\"core\":{\"0\":{\"0\":{\"PAGE-FAULTS\":30.0,\"cycles\":9.0}}}}", NULL);
	tick = make(fixture);
	assert_true(isnan(tick->targets[0].counts[TICK_REF]));
	assert_near(tick->targets[0].counts[TICK_CYCLES], 9, 0);
}

static void interval_from_times(void **state)
{
	static const int64_t times_ms[] = {1000, 1500, 2000, 60000, 60500};
	static const double wanted_s[] = {1, 0.5, 0.5, 0.5, 0.5};
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < 5; i++) {
		feed(fixture, times_ms[i], "all", "{\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":1.0}}}}",
		     NULL);
		assert_near(make(fixture)->interval_s, wanted_s[i], 1e-12);
	}
}

static void describe(void *data, const char *target, double *cpu_quota, const char **image)
{
	unsigned *n_asked = data;

	(*n_asked)++;
	*cpu_quota = target[0] == 'b' ? 2.5 : 0;
	*image = target[0] == 'b' ? "shop:1" : "";
}

/* A name that was forgotten because thousands of others came is looked up again when it returns. */
static void forgotten_names_are_described(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;
	unsigned n_asked = 0;
	uint32_t image;
	int64_t time_ms = 1000;
	char name[16];

	tick_maker_set_describer(fixture->maker, describe, &n_asked);
	feed(fixture, time_ms, "b", "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
	tick = make(fixture);
	assert_near(tick->targets[0].cpu_quota, 2.5, 0);
	image = tick->targets[0].image;
	assert_int_not_equal(image, 0);
	for (unsigned i = 0; i < 1000; i++) {
		time_ms += 1000;
		for (unsigned j = 0; j < 8; j++) {
			(void)snprintf(name, sizeof(name), "x%u", 8 * i + j);
			feed(fixture, time_ms, name, "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
		}
		(void)make(fixture);
	}
	assert_int_equal(n_asked, 8001);
	feed(fixture, time_ms + 1000, "b", "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
	tick = make(fixture);
	assert_int_equal(n_asked, 8002);
	assert_near(tick->targets[0].cpu_quota, 2.5, 0);
	assert_int_equal(tick->targets[0].image, image);
}

static void keys_last(void **state)
{
	struct fixture *fixture = *state;
	const struct tick *tick;
	uint32_t key;

	feed(fixture, 1000, "a", "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
	feed(fixture, 1000, "b", "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
	tick = make(fixture);
	key = tick->targets[1].key;
	assert_int_not_equal(tick->targets[0].key, key);
	assert_int_equal(tick->targets[1].image, 0);
	assert_int_equal(tick_maker_set_target(fixture->maker, "b", 1.5, "web:2"), 0);
	feed(fixture, 2000, "b", "{\"core\":{\"0\":{\"0\":{\"cycles\":30.0}}}}", NULL);
	tick = make(fixture);
	assert_int_equal(tick->targets[0].key, key);
	assert_near(tick->targets[0].cpu_quota, 1.5, 0);
	assert_int_not_equal(tick->targets[0].image, 0);
}

/*
 * An event in several groups of one report counts once: for the machine, in the group that also counts it for
 * targets, whichever group comes first or has the better event.
 */
static void events_in_several_groups(void **state)
{
	static const struct {
		const char *target, *all;
		double of_target, of_machine; /* reference cycles */
	} cases[] = {
		/* -s machine -e X -c core -e X, with the machine's group first and last */
		{"{\"core\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}}}",
		 "{\"machine\":{\"0\":{\"0\":{\"ref-cycles\":40.0},\"1\":{\"ref-cycles\":61.0}}},"
		 "\"core\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}}}",
		 30, 100},
		{"{\"core\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}}}",
		 "{\"core\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}},"
		 "\"machine\":{\"0\":{\"0\":{\"ref-cycles\":40.0},\"1\":{\"ref-cycles\":61.0}}}}",
		 30, 100},
		/* a better event of the same meaning, but not the target's */
		{"{\"core\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}}}",
		 "{\"machine\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":777.0}}},"
		 "\"core\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}}}",
		 30, 100},
		/* two container groups: both count it for the target and the machine */
		{"{\"a\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}},\"b\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}}}",
		 "{\"b\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}},\"a\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}}"
		 "}",
		 30, 100},
		/* two machine groups, neither of which the target has (hwpc-sensor): one of them counts */
		{"{\"core\":{\"0\":{\"0\":{\"ref-cycles\":30.0}}}}",
		 "{\"x\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}},\"y\":{\"0\":{\"0\":{\"ref-cycles\":100.0}}}"
		 "}",
		 30, 100},
		/* parts within one group still add up */
		{"{\"core\":{\"0\":{\"0\":{\"ref-cycles\":10.0},\"1\":{\"ref-cycles\":20.0}}}}",
		 "{\"core\":{\"0\":{\"0\":{\"ref-cycles\":40.0},\"1\":{\"ref-cycles\":60.0}}}}", 30, 100},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *fixture = *state;
		const int64_t time_ms = 1000 * ((int64_t)i + 1);
		const struct tick *tick;

		feed(fixture, time_ms, "web", cases[i].target, NULL);
		feed(fixture, time_ms, "all", cases[i].all, NULL);
		tick = make(fixture);
		assert_near(tick->targets[0].counts[TICK_REF], cases[i].of_target, 0);
		if (tick->sockets[0].counts[TICK_REF] != cases[i].of_machine)
			fail_msg("case %zu: %g cycles of the machine", i, tick->sockets[0].counts[TICK_REF]);
	}
}

/*
 * One event for each kind of core of a hybrid processor: their sum, and the efficient ones' separately, from
 * one of two groups that have it.
 */
static void kinds_of_cores(void **state)
{
	struct fixture *fixture = *state;
	const char *all =
		"{\"core\":{\"0\":{\"0\":{\"cpu_core/cpu-cycles/\":100.0,\"cpu_atom/cpu-cycles/\":60.0,"
		"\"cpu_lowpower/cpu-cycles/\":3.0}}}}";
	const char *web =
		"{\"core\":{\"0\":{\"0\":{\"cpu_core/cpu-cycles/\":70.0,\"cpu_atom/cpu-cycles/\":20.0}}},"
		"\"more\":{\"0\":{\"0\":{\"cpu_atom/cpu-cycles/\":21.0}}}}";
	const struct tick *tick;

	feed(fixture, 1000, "web", web, NULL);
	feed(fixture, 1000, "all", all, NULL);
	tick = make(fixture);
	assert_near(tick->targets[0].counts[TICK_CYCLES], 90, 0);
	assert_near(tick->targets[0].counts[TICK_EFFICIENT], 20, 0);
	assert_near(tick->sockets[0].counts[TICK_CYCLES], 163, 0);
	assert_near(tick->sockets[0].counts[TICK_EFFICIENT], 63, 0);
	/* A generic name already includes all of them. */
	feed(fixture, 2000, "web",
	     "{\"core\":{\"0\":{\"0\":{\"PERF_COUNT_HW_CPU_CYCLES\":90.0,\"cpu_atom/cpu-cycles/\":20.0}}}}",
	     NULL);
	tick = make(fixture);
	assert_near(tick->targets[0].counts[TICK_CYCLES], 90, 0);
	assert_near(tick->targets[0].counts[TICK_EFFICIENT], 20, 0);
}

/* A socket that a tick does not mention keeps its index, as formulas store their models by it. */
static void sockets_keep_their_numbers(void **state)
{
	struct fixture *fixture = *state;
	const char *both = "{\"rapl\":{\"1\":{\"0\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES
			   "}},\"3\":{\"8\":{\"RAPL_ENERGY_PKG\":1.0}}}}";
	const char *second = "{\"rapl\":{\"3\":{\"8\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES "}}}}";
	const char *new_one = "{\"rapl\":{\"0\":{\"0\":{\"RAPL_ENERGY_PKG\":" THREE_JOULES "}}}}";
	const struct tick *tick;

	feed(fixture, 1000, "all", both, NULL);
	assert_int_equal(make(fixture)->n_sockets, 2);
	feed(fixture, 2000, "all", second, NULL);
	tick = make(fixture);
	assert_int_equal(tick->n_sockets, 2);
	assert_int_equal(tick->sockets[0].package, 1);
	assert_true(isnan(tick->sockets[0].energy_j[REPORT_SCOPE_CPU]));
	assert_near(tick->sockets[1].energy_j[REPORT_SCOPE_CPU], 3, 1e-12);
	/* A target only on the second socket, without a report of the machine. */
	feed(fixture, 3000, "web", "{\"core\":{\"3\":{\"8\":{\"ref-cycles\":5.0}}}}", NULL);
	tick = make(fixture);
	assert_int_equal(tick->targets[0].present, 2);
	assert_near(tick->targets[0].counts[TICK_FEATURES + TICK_REF], 5, 0);
	/* A socket that appears later is placed by its number. */
	feed(fixture, 4000, "all", new_one, NULL);
	tick = make(fixture);
	assert_int_equal(tick->n_sockets, 3);
	assert_int_equal(tick->sockets[0].package, 0);
	assert_near(tick->sockets[0].energy_j[REPORT_SCOPE_CPU], 3, 1e-12);
	assert_int_equal(tick->sockets[2].package, 3);
	/* A socket that has not been mentioned for long is forgotten. */
	for (int i = 0; i < 301; i++) {
		feed(fixture, 5000 + i * 1000, "all", second, NULL);
		tick = make(fixture);
	}
	assert_int_equal(tick->n_sockets, 1);
	assert_int_equal(tick->sockets[0].package, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(hwpc_sensor_tick, setup, teardown),
		cmocka_unit_test_setup_teardown(our_tick_with_metadata, setup, teardown),
		cmocka_unit_test_setup_teardown(mixed_tick, setup, teardown),
		cmocka_unit_test_setup_teardown(mixed_tick_without_base_frequency, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_events_still_share, setup, teardown),
		cmocka_unit_test_setup_teardown(interval_from_times, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_last, setup, teardown),
		cmocka_unit_test_setup_teardown(kinds_of_cores, setup, teardown),
		cmocka_unit_test_setup_teardown(sockets_keep_their_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(events_in_several_groups, setup, teardown),
		cmocka_unit_test_setup_teardown(forgotten_names_are_described, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
