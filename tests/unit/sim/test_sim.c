/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine: repeatable, physically plausible (energies add up, nothing is negative), consistent
 * with its own truth, and strict about its scenario files. WATTRIBUTE_SEED repeats a run.
 */
#include "sim/sim.h"
#include "sim/sim_machine.h"
#include "sim/sim_stream.h"

#include "document/batch.h"
#include "document/report_bson.h"
#include "base/text.h"
#include "base/reason.h"
#include "unit/random_seed.h"

#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char all_kinds[] =
	"{\"containers\": [{\"name\": \"scalar\", \"count\": 2, \"character\": \"scalar\"},"
	"{\"name\": \"twin-v\", \"count\": 2, \"character\": \"vector\", \"twins\": true},"
	"{\"name\": \"mem\", \"character\": \"memory\", \"memory\": 1, \"cpus\": \"0-3\"},"
	"{\"name\": \"job\", \"count\": 3, \"character\": \"batch\", \"life_s\": [3, 9], \"gap_s\": [1, 4], "
	"\"rename\": true},"
	"{\"name\": \"web\", \"character\": [\"web\", \"scalar\"], \"phase_s\": [2, 5]},"
	"{\"name\": \"idle\", \"count\": 20, \"character\": \"idle\"}]}";

static void write_scenario(char *path, const char *text)
{
	FILE *file;
	int fd;

	strcpy(path, "/tmp/wattribute-sim-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static struct sim *make(const char *text, struct sim_options options)
{
	struct sim *sim = NULL;
	char path[64];
	struct reason why = {""};
	int r;

	write_scenario(path, text);
	options.scenario = path;
	r = sim_new(&options, &sim, &why);
	unlink(path);
	if (r < 0)
		fail_msg("sim_new: %s", why.text);
	return sim;
}

static void run_into(struct sim *sim, struct batch *batch)
{
	while (sim_step(sim) > 0) {
		assert_int_equal(sim_add_reports(sim, "sim", batch), 0);
		assert_int_equal(sim_add_truth(sim, "sim", batch), 0);
	}
}

static void same_seed_same_stream(void **state)
{
	(void)state;
	for (unsigned law = 1; law <= 2; law++) {
		struct sim_options options = {.seed = seed, .law = law, .ticks = 40};
		struct sim *one = make(all_kinds, options), *two = make(all_kinds, options), *other;
		struct batch a = {0}, b = {0}, c = {0};

		options.seed++;
		other = make(all_kinds, options);
		run_into(one, &a);
		run_into(two, &b);
		run_into(other, &c);
		assert_int_equal(a.length, b.length);
		assert_memory_equal(a.data, b.data, a.length);
		assert_false(a.length == c.length && memcmp(a.data, c.data, a.length) == 0);
		batch_done(&a);
		batch_done(&b);
		batch_done(&c);
		sim_free(one);
		sim_free(two);
		sim_free(other);
	}
}

struct energies {
	double truth, shown, worst;
};

static void add_tick(const struct sim *sim, enum report_scope scope, struct energies *energies)
{
	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
		double truth = sim_true_static_j(sim, k, scope),
		       shown = ldexp((double)sim_energy(sim, k, scope), -32);

		assert_true(truth > 0);
		for (unsigned i = 0; i < sim_slots(sim); i++) {
			double own = sim_true_dynamic_j(sim, i, k, scope);

			assert_true(own >= 0 && own < 1000);
			truth += own;
		}
		energies->truth += truth;
		energies->shown += shown;
		if (fabs(shown / truth - 1) > energies->worst)
			energies->worst = fabs(shown / truth - 1);
	}
}

static void truth_is_what_rapl_shows(void **state)
{
	(void)state;
	for (unsigned law = 1; law <= 2; law++) {
		for (int shared = 0; shared <= 1; shared++) {
			struct sim *sim = make(all_kinds, (struct sim_options){.seed = seed,
									       .law = law,
									       .ticks = 120,
									       .step_is_shared = shared});
			struct energies energies[REPORT_SCOPES] = {{0}};

			while (sim_step(sim) > 0) {
				for (unsigned s = 0; s < REPORT_SCOPES; s++)
					add_tick(sim, (enum report_scope)s, &energies[s]);
			}
			for (unsigned s = 0; s < REPORT_SCOPES; s++) {
				assert_true(fabs(energies[s].shown / energies[s].truth - 1) < .01);
				assert_true(energies[s].worst < .12);
			}
			sim_free(sim);
		}
	}
}

static void counts_agree_with_the_machine(void **state)
{
	struct sim *sim = make(all_kinds, (struct sim_options){.seed = seed, .ticks = 100});
	double machine[SIM_COUNTS] = {0}, targets[SIM_COUNTS] = {0};

	(void)state;
	while (sim_step(sim) > 0) {
		for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
			uint64_t counts[SIM_COUNTS];

			sim_machine_counts(sim, k, counts);
			for (unsigned e = 0; e < SIM_COUNTS; e++)
				machine[e] += (double)counts[e];
			for (unsigned i = 0; i < sim_slots(sim); i++) {
				sim_counts(sim, i, k, counts);
				for (unsigned e = 0; e < SIM_COUNTS; e++)
					targets[e] += (double)counts[e];
			}
		}
	}
	for (unsigned e = 0; e < SIM_COUNTS; e++) {
		assert_true(machine[e] > 1e6);
		assert_true(fabs(targets[e] / machine[e] - 1) < .03);
	}
	sim_free(sim);
}

/* Levels of a real two-socket server: idle at 25-45 W on average, never above 200 W per socket. */
static void levels_match_a_server(void **state)
{
	static const char idle[] = "{\"containers\": [{\"name\": \"idle\", \"character\": \"idle\"}]}";
	static const char full[] =
		"{\"containers\": [{\"name\": \"all\", \"count\": 8, \"character\": \"scalar\","
		"\"threads\": 6, \"load\": 1, \"on_s\": 0}]}";

	(void)state;
	for (unsigned law = 1; law <= 2; law++) {
		struct sim_options options = {.seed = seed, .law = law, .ticks = 60};
		struct sim *calm = make(idle, options), *busy = make(full, options);
		double calm_j = 0, calm_s = 0;

		while (sim_step(calm) > 0 && sim_step(busy) > 0) {
			double busy_w = ldexp((double)sim_energy(busy, 0, REPORT_SCOPE_CPU), -32);

			calm_j += ldexp((double)sim_energy(calm, 0, REPORT_SCOPE_CPU), -32);
			calm_s += sim_interval_s(calm);
			assert_true(busy_w > 60 && busy_w < 210);
		}
		assert_true(calm_j / calm_s > 20 && calm_j / calm_s < 45);
		sim_free(calm);
		sim_free(busy);
	}
}

/* A limit that every machine of law 1 can keep: some need 74 W at their lowest frequency. */
static void power_limit_holds(void **state)
{
	static const char capped[] =
		"{\"machine\": {\"power_cap_w\": 90}, \"containers\": [{\"name\": \"all\", \"count\": 8,"
		"\"character\": \"scalar\", \"threads\": 6, \"load\": 1, \"on_s\": 0}]}";
	struct sim *sim = make(capped, (struct sim_options){.seed = seed, .ticks = 60});
	double sum = 0;

	(void)state;
	while (sim_step(sim) > 0)
		sum += sim_seq(sim) > 20 ? ldexp((double)sim_energy(sim, 0, REPORT_SCOPE_CPU), -32) /
						   sim_interval_s(sim)
					 : 0;
	assert_true(fabs(sum / 40 - 90) < 3);
	sim_free(sim);
}

/* Without interference: no sibling threads, one socket, exact counters. */
static const char alone[] =
	"{\"machine\": {\"sockets\": 1, \"threads\": 1, \"noise\": 0}, \"containers\": [{\"name\": "
	"\"twin-v\", "
	"\"count\": 2, \"character\": [\"vector\", \"scalar\"], \"phase_s\": [3, 9], \"on_s\": [2, 6], "
	"\"off_s\": [1, 4], \"twins\": true}]}";

struct twins {
	double energy_j[2], work[2], time[2];
};

static struct twins run_twins(const char *scenario, unsigned law)
{
	struct sim *sim = make(scenario, (struct sim_options){.seed = seed, .law = law, .ticks = 300});
	struct twins twins = {0};

	while (sim_step(sim) > 0) {
		for (unsigned i = 1; i < sim_slots(sim); i++) {
			uint64_t counts[SIM_COUNTS];
			unsigned which;

			if (strcmp(sim_kind(sim, i), "twin-v") != 0)
				continue;
			which = strcmp(sim_name(sim, i), "twin-v-2") == 0;
			for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
				sim_counts(sim, i, k, counts);
				twins.energy_j[which] += sim_true_dynamic_j(sim, i, k, REPORT_SCOPE_CPU);
				twins.work[which] += (double)counts[SIM_INSTRUCTIONS];
				twins.time[which] += (double)counts[SIM_REF];
			}
		}
	}
	sim_free(sim);
	return twins;
}

static double difference(const double pair[2])
{
	assert_true(pair[0] > 0 && pair[1] > 0);
	return fabs(pair[0] - pair[1]) / pair[0];
}

/*
 * Twins do the same work. Energy and progress are equal only if each has its own core: otherwise one may
 * share a core for longer than the other, and only their running time is alike: usually within 3 %, and in
 * one of hundreds of streams within 13 %.
 */
static void twins_do_the_same(void **state)
{
	(void)state;
	for (unsigned law = 1; law <= 2; law++) {
		struct twins twins = run_twins(alone, law);

		assert_true(difference(twins.energy_j) < .01);
		assert_true(difference(twins.work) < .01);
		assert_true(difference(twins.time) < .01);
		twins = run_twins(all_kinds, law);
		assert_true(difference(twins.time) < .25);
	}
}

/* Memory on the other socket: the DRAM energy is used there, although the container never runs there. */
static void remote_memory_is_charged_where_it_is(void **state)
{
	static const char remote[] =
		"{\"containers\": [{\"name\": \"mem\", \"character\": \"memory\", \"memory\": 1, "
		"\"cpus\": \"0-3\", \"on_s\": 0}]}";
	struct sim *sim = make(remote, (struct sim_options){.seed = seed, .ticks = 20});
	double here = 0, there = 0;

	(void)state;
	while (sim_step(sim) > 0) {
		for (unsigned i = 1; i < sim_slots(sim); i++) {
			if (strcmp(sim_name(sim, i), "mem") != 0)
				continue;
			here += sim_true_dynamic_j(sim, i, 0, REPORT_SCOPE_DRAM);
			there += sim_true_dynamic_j(sim, i, 1, REPORT_SCOPE_DRAM);
		}
	}
	assert_true(here <= 0);
	assert_true(there > 0);
	sim_free(sim);
}

static void containers_come_and_go(void **state)
{
	struct sim *sim = make(all_kinds, (struct sim_options){.seed = seed, .ticks = 60});
	unsigned partial = 0;
	char last[64] = "";

	(void)state;
	while (sim_step(sim) > 0) {
		for (unsigned i = 1; i < sim_slots(sim); i++) {
			if (!sim_alive(sim, i) || strncmp(sim_name(sim, i), "job-", 4) != 0)
				continue;
			partial += sim_partial(sim, i);
			snprintf(last, sizeof(last), "%s", sim_name(sim, i));
			assert_int_equal(strlen(sim_container_id(sim, i)), 64);
		}
	}
	assert_true(partial > 10);
	assert_true(atoi(last + 4) > 6);
	sim_free(sim);
}

static void refuse(const char *text, const char *expected)
{
	struct sim_options options = {.seed = 1};
	struct sim *sim = NULL;
	char path[64];
	struct reason why = {""};

	write_scenario(path, text);
	options.scenario = path;
	assert_true(sim_new(&options, &sim, &why) < 0);
	unlink(path);
	if (!strstr(why.text, expected) || !strstr(why.text, path))
		fail_msg("'%s' lacks '%s' or the path", why.text, expected);
}

static void bad_scenarios_are_refused(void **state)
{
	(void)state;
	refuse("{", "line 1");
	refuse("{}", "'containers' must be a list");
	refuse("{\"tick\": 3, \"containers\": []}", "did you mean 'ticks'?");
	refuse("{\"containers\": [{}]}", "'name'");
	refuse("{\"containers\": [{\"name\": \"a\"}]}", "'character' must be");
	refuse("{\"containers\": [{\"name\": \"a\", \"character\": \"fast\"}]}", "'character' must be");
	refuse("{\"containers\": [{\"name\": \"a\", \"character\": \"web\", \"load\": 2}]}", "'load'");
	refuse("{\"containers\": [{\"name\": \"a\", \"character\": \"web\", \"on_s\": [3, 1]}]}", "'on_s'");
	refuse("{\"containers\": [{\"name\": \"a\", \"character\": \"web\", \"cpus\": \"0-99\"}]}",
	       "below 48");
	refuse("{\"containers\": [{\"name\": \"a\", \"count\": 2, \"character\": \"web\", \"cpus\": "
	       "[\"1\"]}]}",
	       "each of the 2");
	refuse("{\"containers\": [{\"name\": \"a\", \"character\": \"web\", \"socket\": 5}]}", "'socket'");
	refuse("{\"machine\": {\"sockets\": 8, \"cores\": 128, \"threads\": 2}, \"containers\": []}",
	       "at most 512 CPUs");
	refuse("{\"machine\": {\"counters\": [\"watts\"]}, \"containers\": []}", "'counters'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_seed_same_stream),
		cmocka_unit_test(truth_is_what_rapl_shows),
		cmocka_unit_test(counts_agree_with_the_machine),
		cmocka_unit_test(levels_match_a_server),
		cmocka_unit_test(power_limit_holds),
		cmocka_unit_test(twins_do_the_same),
		cmocka_unit_test(remote_memory_is_charged_where_it_is),
		cmocka_unit_test(containers_come_and_go),
		cmocka_unit_test(bad_scenarios_are_refused),
	};

	(void)random_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
