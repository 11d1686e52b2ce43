/* SPDX-License-Identifier: Apache-2.0 */
/*
 * powercap on synthetic trees: zones of two sockets, wraps, zones that vanish, exist twice or are renumbered.
 */
#include "unit/sensor/source/energy_fixture.h"

#include "machine/energy_counter.h"
#include "machine/powercap.h"
#include "priv/priv_client.h"
#include "source/source.h"
#include "machine/topology.h"
#include "base/reason.h"
#include "unit/random_seed.h"

#include <math.h>

#define RANGE_UJ 262143328850ULL

static char event_pkg[] = REPORT_EVENT_PKG, event_dram[] = REPORT_EVENT_DRAM,
	    event_psys[] = "RAPL_ENERGY_PSYS";
static char *all_events[] = {event_pkg, event_dram, event_psys};
static char group_name[] = "rapl";

static void tick(void)
{
	clock_ns += CLOCK_NS_PER_S;
}

static int set_up(void **state)
{
	(void)state;
	return energy_fixture_begin(2);
}

static void zone(const char *id, const char *name, uint64_t energy_uj)
{
	fake_zone(&fixture.tree, id, name, RANGE_UJ);
	fake_energy(&fixture.tree, id, energy_uj);
}

static void make_zones(void)
{
	zone("intel-rapl:0", "package-1", 5000000); /* zone numbers are not package numbers */
	zone("intel-rapl:1", "package-0", RANGE_UJ - 1000000);
	zone("intel-rapl:0:0", "dram", 100);
	zone("intel-rapl:1:0", "core", 100);
	zone("intel-rapl:1:1", "dram", 200);
	zone("intel-rapl-mmio:0", "package-0", 777);
	zone("dtpm:0", "package-0", 777);
}

static struct event_group_request request_of(unsigned n)
{
	return (struct event_group_request){.name = group_name, .events = all_events, .n_events = n};
}

static double joules(const struct system_source *source, unsigned place, unsigned event)
{
	return ldexp((double)source->values[place * source->group.n_events + event], REPORT_RAPL_EXPONENT);
}

#define assert_close(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static void test_powercap(void **state)
{
	struct event_group_request request = request_of(3);
	struct system_source *source;
	struct reason why;

	(void)state;
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), -ENOENT);
	assert_non_null(strstr(why.text, "modprobe intel_rapl_msr"));
	make_zones();
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), 0);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_non_null(strstr(fixture.log, "RAPL_ENERGY_PSYS"));
	assert_int_equal(source->group.n_places, 2);
	assert_int_equal(source->group.n_events, 2);
	assert_int_equal(source->group.places[1].cpu, 2);
	assert_string_equal(source->group.events[0], REPORT_EVENT_PKG);
	assert_int_equal(fixture.context.fd_budget, 96);
	assert_int_equal(source_powercap.read(source, 1), 0);
	assert_close(joules(source, 0, 0), 0);
	fake_energy(&fixture.tree, "intel-rapl:0", 8000000);
	fake_energy(&fixture.tree, "intel-rapl:1", 500000); /* wrapped: 1 J to the end and 0.5 J after it */
	fake_energy(&fixture.tree, "intel-rapl:1:1", 250200);
	assert_int_equal(source_powercap.read(source, 1), 0);
	assert_close(joules(source, 0, 0), 1.5);
	assert_close(joules(source, 1, 0), 3);
	assert_close(joules(source, 0, 1), 0.25);
	assert_close(joules(source, 1, 1), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	assert_close(joules(source, 0, 0), 0);
	source_powercap.close(source);
	assert_int_equal(fixture.context.fd_budget, 100);
}

static void test_powercap_bad_zone(void **state)
{
	struct event_group_request request = request_of(2);
	struct system_source *source;
	char path[PATH_MAX];

	(void)state;
	make_zones();
	(void)snprintf(path, sizeof(path), "%s/class/powercap/intel-rapl:0/energy_uj", fixture.tree.root);
	assert_int_equal(remove(path), 0);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_non_null(strstr(fixture.log, "zone intel-rapl:0 (package-1) is skipped"));
	assert_int_equal(source_powercap.read(source, 1), 0);
	fake_energy(&fixture.tree, "intel-rapl:1", RANGE_UJ - 500000);
	fake_write(&fixture.tree, "class/powercap/intel-rapl:1:1/energy_uj", "rubbish");
	tick();
	assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), 0);
	assert_close(joules(source, 0, 0), 0.5);
	assert_int_equal(source->read_failures, 1);
	/* The failed zone's baseline was kept: the next read has the whole step. */
	fake_energy(&fixture.tree, "intel-rapl:1:1", 1000200);
	assert_int_equal(source_powercap.read(source, 1), 0);
	assert_close(joules(source, 0, 1), 1);
	source_powercap.close(source);
}

/* Random steps over many wraps: the reported energy adds up to the real one. */
static void test_powercap_sum(void **state)
{
	struct event_group_request request = request_of(1);
	struct system_source *source;
	uint64_t raw = 12345, truth = 0;
	double sum = 0;

	(void)state;
	zone("intel-rapl:0", "package-0", raw);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t step = (i * 2654435761ULL) % RANGE_UJ + 1;

		truth += step;
		raw = (raw + step) % RANGE_UJ;
		fake_energy(&fixture.tree, "intel-rapl:0", raw);
		clock_ns += 200 * CLOCK_NS_PER_S; /* enough for any step */
		assert_int_equal(source_powercap.read(source, 200 * CLOCK_NS_PER_S), 0);
		sum += joules(source, 0, 0);
	}
	assert_true(fabs(sum - (double)truth * 1e-6) < 1e-4);
	source_powercap.close(source);
}

static const uint64_t missing = REPORT_COUNT_MISSING;

static struct system_source *open_one(void)
{
	struct event_group_request request = request_of(1);
	struct system_source *source;

	zone("intel-rapl:0", "package-0", 1000000);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	return source;
}

static unsigned count_lines(const char *part)
{
	unsigned n = 0;

	for (const char *at = fixture.log; (at = strstr(at, part)); at++)
		n++;
	return n;
}

/* A discontinuous counter: the tick's energy is missing, not 0, and the next tick is right. */
static void test_powercap_reset(void **state)
{
	static const uint64_t after[] = {0, 999999, 500000000000}; /* to 0, slightly back, far ahead */

	(void)state;
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
		struct system_source *source = open_one();

		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", after[i]);
		assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), -EIO);
		assert_true(source->values[0] == missing);
		assert_int_equal(source->read_failures, 1);
		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", after[i] + 10000000);
		assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), 0);
		assert_close(joules(source, 0, 0), 10);
		assert_int_equal(count_lines("was reset"), i + 1);
		source_powercap.close(source);
	}
}

/* The driver is unloaded and loaded again, with a new file: it is opened again, and each is logged once. */
static void test_powercap_reload(void **state)
{
	struct system_source *source = open_one();
	char path[PATH_MAX];

	(void)state;
	fake_write(&fixture.tree, "class/powercap/intel-rapl:0/energy_uj", "%s", ""); /* empty now */
	(void)snprintf(path, sizeof(path), "%s/class/powercap/intel-rapl:0/energy_uj", fixture.tree.root);
	assert_int_equal(remove(path), 0);
	for (unsigned i = 0; i < 20; i++) {
		tick();
		assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), -EIO);
		assert_true(source->values[0] == missing);
	}
	assert_int_equal(source->read_failures, 20);
	assert_int_equal(count_lines("cannot be read"), 1);
	fake_energy(&fixture.tree, "intel-rapl:0", 0);
	for (unsigned i = 0; i < 70 && source->values[0] == missing; i++) {
		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", (i + 1) * 10000000);
		(void)source_powercap.read(source, CLOCK_NS_PER_S);
	}
	assert_close(joules(source, 0, 0), 10); /* without the counts before it was reopened */
	assert_int_equal(count_lines("can be read again"), 1);
	source_powercap.close(source);
	assert_int_equal(fixture.context.fd_budget, 100);
}

static void remove_zone_file(const char *id, const char *file)
{
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/class/powercap/%s/%s", fixture.tree.root, id, file);
	assert_int_equal(remove(path), 0);
}

/* After a reload the zones have other numbers, and at first one is missing: each counts its own package. */
static void test_powercap_renumbered(void **state)
{
	struct event_group_request request = request_of(1);
	struct system_source *source;

	(void)state;
	zone("intel-rapl:0", "package-0", 1000000);
	zone("intel-rapl:1", "package-1", 1000000);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *id = i ? "intel-rapl:1" : "intel-rapl:0";

		fake_energy(&fixture.tree, id, 0);
		fake_write(&fixture.tree,
			   i ? "class/powercap/intel-rapl:1/energy_uj"
			     : "class/powercap/intel-rapl:0/energy_uj",
			   "%s", ""); /* the open file is dead */
		remove_zone_file(id, "energy_uj");
		remove_zone_file(id, "name");
	}
	tick();
	assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), -EIO);
	zone("intel-rapl:0", "package-1", 0);
	for (unsigned i = 1; i < 70; i++) {
		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", i * 5000000);
		(void)source_powercap.read(source, CLOCK_NS_PER_S);
	}
	assert_true(source->values[0] == missing);
	assert_close(joules(source, 1, 0), 5);
	zone("intel-rapl:1", "package-0", 0);
	for (unsigned i = 1; i < 140; i++) {
		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", (70 + i) * 5000000);
		fake_energy(&fixture.tree, "intel-rapl:1", i * 10000000);
		(void)source_powercap.read(source, CLOCK_NS_PER_S);
	}
	assert_close(joules(source, 0, 0), 10);
	assert_close(joules(source, 1, 0), 5);
	source_powercap.close(source);
}

/* Temporary failures: the counter has continued, and the next tick has all of its energy. */
static void test_powercap_temporary_failures(void **state)
{
	static const char *const texts[] = {"rubbish", "-5", "99999999999999999999999"};
	struct system_source *source = open_one();

	(void)state;
	for (uint64_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		tick();
		fake_write(&fixture.tree, "class/powercap/intel-rapl:0/energy_uj", "%s", texts[i]);
		assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), -EIO);
		assert_true(source->values[0] == missing);
		tick();
		fake_energy(&fixture.tree, "intel-rapl:0", 1000000 + (i + 1) * 20000000);
		assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), 0);
		assert_close(joules(source, 0, 0), 20);
	}
	source_powercap.close(source);
}

/*
 * Random wraps, resets, jumps, damaged files and gaps: no tick exceeds this package's power, only ticks with
 * a faulty counter have no energy, and the others add up exactly to the real energy.
 */
static void test_powercap_no_absurd_energy(void **state)
{
	const uint64_t most_w = 260;
	struct system_source *source;
	double taken = 0, counted = 0, span_s = 0;

	(void)state;
	srand(random_begin());
	fixture.context.package_w = (double)most_w / 4;
	source = open_one();
	for (uint64_t i = 0, at = 1000000, waits = 0; i < 2000; i++) {
		const uint64_t seconds = 1 + (uint64_t)rand() % 3, kind = (uint64_t)rand() % 20;
		const uint64_t step_uj = (1 + (uint64_t)rand() % most_w) * 1000000 * seconds;

		clock_ns += seconds * CLOCK_NS_PER_S;
		span_s += (double)seconds;
		/* 0: reset or replaced by another counter; 1: the file is damaged once */
		at = kind == 0 ? (uint64_t)rand() % 1000000 : (at + step_uj) % RANGE_UJ;
		if (kind == 1)
			fake_write(&fixture.tree, "class/powercap/intel-rapl:0/energy_uj", "rubbish");
		else
			fake_energy(&fixture.tree, "intel-rapl:0", at);
		waits = kind == 0 ? 0 : waits + step_uj;
		if (source_powercap.read(source, seconds * CLOCK_NS_PER_S) < 0) {
			assert_true(source->values[0] == missing);
			assert_in_range(kind, 0, 1);
			continue;
		}
		/* A reset close to the end of the range, or slightly forward, looks like a step. */
		if (kind == 0)
			waits = (uint64_t)llround(joules(source, 0, 0) * 1e6);
		assert_true(joules(source, 0, 0) <= (double)most_w * (span_s + ENERGY_SLACK_S) + 1e-6);
		counted += joules(source, 0, 0);
		taken += (double)waits * 1e-6;
		waits = 0;
		span_s = 0;
	}
	if (fabs(counted - taken) > 1e-3)
		fail_msg("%g J of %g J", counted, taken);
	source_powercap.close(source);
}

/* A socket without power is a counter that stands still; memory may really use none. */
static void test_powercap_stands_still(void **state)
{
	struct event_group_request request = request_of(2);
	struct system_source *source;

	(void)state;
	zone("intel-rapl:0", "package-0", 1000000);
	zone("intel-rapl:0:0", "dram", 1000000);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	tick();
	assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), 0);
	assert_true(source->values[0] == missing);
	assert_close(joules(source, 0, 1), 0);
	assert_int_equal(count_lines("does not advance"), 1);
	tick();
	fake_energy(&fixture.tree, "intel-rapl:0", 21000000);
	assert_int_equal(source_powercap.read(source, CLOCK_NS_PER_S), 0);
	assert_close(joules(source, 0, 0), 20);
	source_powercap.close(source);
}

/* Several wraps in one tick: keep() reads often enough, at intervals of period_ns. */
static void test_powercap_many_wraps(void **state)
{
	struct event_group_request request = request_of(1);
	struct system_source *source;
	const uint64_t range = 30000000;
	uint64_t raw = 0;

	(void)state;
	fake_zone(&fixture.tree, "intel-rapl:0", "package-0", range);
	fake_energy(&fixture.tree, "intel-rapl:0", raw);
	assert_int_equal(source_powercap.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source_powercap.read(source, 1), 0);
	assert_true(source_powercap.period_ns(source) == UINT64_C(15000000)); /* 30 J at 2 kW */
	for (unsigned i = 0; i < 160; i++) {                                  /* 8 s of 20 W */
		clock_ns += 50000000;
		raw = (raw + 1000000) % range;
		fake_energy(&fixture.tree, "intel-rapl:0", raw);
		source_powercap.keep(source);
	}
	assert_int_equal(source_powercap.read(source, 8 * CLOCK_NS_PER_S), 0);
	assert_close(joules(source, 0, 0), 160);
	/*
	 * Occasional failed reads lose nothing as long as a recent one succeeded, even at the end of the
	 * tick.
	 */
	for (unsigned i = 0; i < 160; i++) {
		clock_ns += 50000000;
		raw = (raw + 1000000) % range;
		if (i % 3 == 0)
			fake_write(&fixture.tree, "class/powercap/intel-rapl:0/energy_uj", "%s", "");
		else
			fake_energy(&fixture.tree, "intel-rapl:0", raw);
		source_powercap.keep(source);
	}
	fake_write(&fixture.tree, "class/powercap/intel-rapl:0/energy_uj", "%s", "");
	assert_int_equal(source_powercap.read(source, 8 * CLOCK_NS_PER_S), 0);
	assert_true(joules(source, 0, 0) >= 158 && joules(source, 0, 0) <= 160);
	assert_int_equal(count_lines("zone intel-rapl:0"), 0);
	source_powercap.close(source);
}

/* Files that open but have no value are not usable: each is refused with the reason. */
static void test_powercap_probe_reads(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {{"", "when read"}, {"rubbish", "no number"}, {"-1", "no number"}};
	struct event_group_request request = request_of(2);
	struct reason why = {""};

	(void)state;
	zone("intel-rapl:0", "package-0", 1);
	zone("intel-rapl:0:0", "dram", 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char path[PATH_MAX];
		FILE *file;

		(void)snprintf(path, sizeof(path), "%s/class/powercap/intel-rapl:0/energy_uj",
			       fixture.tree.root);
		file = fopen(path, "w");
		assert_non_null(file);
		(void)fputs(cases[i].text, file);
		(void)fclose(file);
		assert_true(source_powercap.probe(&fixture.context, &request, &why) < 0);
		if (!strstr(why.text, cases[i].reason))
			fail_msg("'%s': %s", cases[i].text, why.text);
	}
	/* Memory alone is useless if the sockets were requested, but can be requested alone. */
	request.events = all_events + 1;
	request.n_events = 1;
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), 0);
	assert_string_equal(why.text, "");
}

/* No zone: the advice depends on what exists. */
static void test_powercap_none(void **state)
{
	struct event_group_request request = request_of(1);
	char path[PATH_MAX];
	struct reason why = {""};

	(void)state;
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), -ENOENT);
	assert_non_null(strstr(why.text, "Fix: modprobe intel_rapl_msr"));
	fake_write(&fixture.tree, "class/powercap/intel-rapl/enabled", "0");
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), -ENOENT);
	assert_non_null(strstr(why.text, "Fix: modprobe intel_rapl_msr"));
	(void)snprintf(path, sizeof(path), "%s/class/powercap/intel-rapl:0", fixture.tree.root);
	assert_int_equal(symlink("../../devices/virtual/powercap/intel-rapl/intel-rapl:0", path), 0);
	assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), -ENOENT);
	assert_null(strstr(why.text, "modprobe"));
	assert_non_null(strstr(why.text, "dangling links"));
	assert_non_null(strstr(why.text, "--privileged"));
}

/* Zones exist, but none for the event: the driver is loaded, so the advice is another event. */
static void test_powercap_other_event(void **state)
{
	static const char *const absent[] = {"RAPL_ENERGY_GPU", "RAPL_ENERGY_PSYS"};
	struct reason why = {""};

	(void)state;
	make_zones();
	for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
		struct event_group_request request = {
			.name = group_name, .events = (char **)&absent[i], .n_events = 1};

		assert_int_equal(source_powercap.probe(&fixture.context, &request, &why), -ENOENT);
		print_message("# %s\n", why.text);
		assert_null(strstr(why.text, "modprobe"));
		assert_non_null(strstr(why.text, "Fix: use -e RAPL_ENERGY_PKG"));
	}
}

static void test_zone_list(void **state)
{
	struct powercap_zone zones[8];

	(void)state;
	zone("intel-rapl:0", "package-0-die-1", 1);
	zone("intel-rapl-mmio:0", "package-0-die-1", 1);
	zone("intel-rapl-mmio:1", "package-1", 1);
	zone("intel-rapl:1", "psys", 1);
	zone("intel-rapl:2", "package-x", 1);
	assert_int_equal(powercap_list(fixture.tree.root, zones, 8), 3);
	assert_string_equal(zones[0].id, "intel-rapl-mmio:1");
	assert_string_equal(zones[1].id, "intel-rapl:0");
	assert_int_equal(zones[1].die, 1);
	assert_true(zones[1].range_uj == RANGE_UJ);
	assert_string_equal(powercap_event_of("psys"), "RAPL_ENERGY_PSYS");
	assert_string_equal(powercap_event_of("psys-1"), "RAPL_ENERGY_PSYS");
	assert_null(powercap_event_of("psys-x"));
	assert_null(powercap_event_of("package-0-core"));
	assert_null(powercap_event_of("package-"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_powercap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_bad_zone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_sum, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_renumbered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_temporary_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_no_absurd_energy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_stands_still, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_many_wraps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_probe_reads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_other_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_powercap_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_zone_list, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
