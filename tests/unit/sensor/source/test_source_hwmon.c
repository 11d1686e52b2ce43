/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hwmon meters on synthetic trees: which drivers and labels measure which energy, watts integrated over time,
 * devices that return under another number, impossible readings.
 */
#include "unit/sensor/source/energy_fixture.h"

#include "machine/energy_counter.h"
#include "machine/hwmon.h"
#include "machine/topology.h"
#include "priv/priv_client.h"
#include "source/source.h"
#include "unit/random_seed.h"

#include <inttypes.h>
#include <math.h>

static char event_pkg[] = REPORT_EVENT_PKG, event_dram[] = REPORT_EVENT_DRAM,
	    event_psys[] = REPORT_EVENT_PSYS;
static char *socket_events[] = {event_pkg, event_dram}, *platform_events[] = {event_psys};
static char group_name[] = "rapl";
static int set_up(void **state)
{
	(void)state;
	return energy_fixture_begin(1);
}

static void put(unsigned device, const char *file, const char *value)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "class/hwmon/hwmon%u/%s", device, file);
	fake_write(&fixture.tree, path, "%s", value);
}

static void make_ampere(void)
{
	for (unsigned i = 0; i < 2; i++) {
		put(3 + i, "name", "apm_xgene");
		put(3 + i, "power1_label", "CPU power");
		put(3 + i, "power1_input", i ? "20000000" : "30000000");
		put(3 + i, "power2_label", "IO power");
		put(3 + i, "power2_input", "10000000");
	}
}

static struct event_group_request sockets(void)
{
	return (struct event_group_request){
		.name = group_name, .events = socket_events, .n_events = 2, .by_default = true};
}

static double joules(const struct system_source *source, unsigned index)
{
	return source->values[index] == REPORT_COUNT_MISSING
		       ? NAN
		       : ldexp((double)source->values[index], REPORT_RAPL_EXPONENT);
}

/* Reads after `seconds` without any other reading. */
static void pass(struct system_source *source, double seconds)
{
	clock_ns += (uint64_t)(seconds * 1e9);
	(void)source->ops->read(source, (uint64_t)(seconds * 1e9));
}

#define assert_close(a, b) assert_true(fabs((a) - (b)) < 1e-4)

static void test_known_meters(void **state)
{
	static const struct {
		const char *driver, *label_file, *label, *value_file;
		const char *event; /* NULL: unknown */
		unsigned package;
	} rows[] = {
		{"apm_xgene", "power1_label", "CPU power", "power1_input", REPORT_EVENT_PKG, 0},
		{"apm_xgene", "power2_label", "IO power", "power2_input", REPORT_EVENT_PKG, 0},
		{"power_meter", "power1_oem_info", "Grace Power Socket 1", "power1_average", REPORT_EVENT_PKG,
		 1},
		{"power_meter", "power1_oem_info", "CPU Power Socket 1", "power1_average", REPORT_EVENT_CORES,
		 1},
		{"power_meter", "power1_oem_info", "SysIO Power Socket 1", "power1_average", NULL, 0},
		{"power_meter", NULL, NULL, "power1_average", REPORT_EVENT_PSYS, 0},
		{"amd_energy", "energy65_label", "Esocket1", "energy65_input", NULL,
		 0}, /* after the last channel */
		{"amd_energy", "energy9_label", "Esocket1", "energy9_input", REPORT_EVENT_PKG, 1},
		{"amd_energy", "energy1_label", "Ecore000", "energy1_input", NULL, 0},
		{"fam15h_power", NULL, NULL, "power1_average", REPORT_EVENT_PKG, 0},
		{"corsairpsu", "power1_label", "power total", "power1_input", REPORT_EVENT_PSYS, 0},
		{"corsairpsu", "power2_label", "power +12v", "power2_input", NULL, 0},
		{"ina226", "power1_label", "CPU power", "power1_input", NULL, 0},
		{"amdgpu", NULL, NULL, "power1_average", NULL, 0},
		{"nvme", NULL, NULL, "temp1_input", NULL, 0},
	};
	struct hwmon_meter meters[HWMON_METERS_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake_tree tree = fixture.tree;
		int n;

		fixture.tree = fake_new();
		put(0, "name", rows[i].driver);
		if (rows[i].label)
			put(0, rows[i].label_file, rows[i].label);
		put(0, rows[i].value_file, "1000000");
		n = hwmon_list(fixture.tree.root, meters, HWMON_METERS_MAX);
		assert_int_equal(n, rows[i].event ? 1 : 0);
		if (n > 0) {
			assert_string_equal(meters[0].event, rows[i].event);
			assert_int_equal(meters[0].package, rows[i].package);
			assert_int_equal(meters[0].power, rows[i].value_file[0] == 'p');
		}
		fake_free(&fixture.tree);
		fixture.tree = tree;
	}
}

static void test_power_is_added_up(void **state)
{
	struct event_group_request request = sockets();
	struct system_source *source;
	struct reason why;

	(void)state;
	make_ampere();
	assert_int_equal(source_hwmon.probe(&fixture.context, &request, &why), 0);
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source->group.n_places, 2);
	assert_int_equal(source->group.n_events, 1);
	pass(source, 0);
	pass(source, 1);
	assert_close(joules(source, 0), 40); /* cores plus the rest of the chip */
	assert_close(joules(source, 1), 30);
	/* Changed watts are assumed to have changed linearly. */
	put(3, "power1_input", "50000000");
	pass(source, 2);
	assert_close(joules(source, 0), 100);
	/* Also between ticks: half a second of higher power. */
	put(3, "power1_input", "90000000");
	clock_ns += CLOCK_NS_PER_S / 2;
	source->ops->keep(source);
	put(3, "power1_input", "50000000");
	pass(source, 0.5);
	assert_close(joules(source, 0), 80);
	assert_int_not_equal(source->ops->period_ns(source), UINT64_MAX);
	source_hwmon.close(source);
	assert_int_equal(fixture.context.fd_budget, 100);
}

static void test_energy_counter(void **state)
{
	struct event_group_request request = sockets();
	struct system_source *source;

	(void)state;
	put(7, "name", "amd_energy");
	put(7, "energy5_label", "Esocket0");
	put(7, "energy5_input", "5000000");
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	put(7, "energy5_input", "47000000");
	pass(source, 1);
	assert_close(joules(source, 0), 42);
	put(7, "energy5_input", "1000000"); /* reloaded: no energy, not a wrap */
	pass(source, 1);
	assert_true(isnan(joules(source, 0)));
	put(7, "energy5_input", "2000000");
	pass(source, 1);
	assert_close(joules(source, 0), 1);
	source_hwmon.close(source);
}

static void test_impossible(void **state)
{
	static const char *const values[] = {"9000000000", "18446744073709551615", "-5", "nonsense", ""};
	struct event_group_request request = sockets();
	struct system_source *source;

	(void)state;
	make_ampere();
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		put(3, "power1_input", values[i]);
		pass(source, 1);
		assert_true(isnan(joules(source, 0)));
		assert_close(joules(source, 1), 30);
		put(3, "power1_input", "30000000");
		for (unsigned k = 0; k < 70; k++) /* it is retried after 1, 2, 4 ... s */
			pass(source, 1);
		assert_close(joules(source, 0), 40);
	}
	assert_non_null(strstr(fixture.log, "an impossible power"));
	/* A gap too long to be bridged has no energy either. */
	pass(source, 30);
	assert_true(isnan(joules(source, 0)));
	pass(source, 1);
	assert_close(joules(source, 0), 40);
	source_hwmon.close(source);
}

/* The driver is reloaded and its devices get other numbers: the meters are found by their properties. */
static void test_other_number(void **state)
{
	struct event_group_request request = sockets();
	struct system_source *source;
	char from[128], to[128];

	(void)state;
	make_ampere();
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	pass(source, 1);
	put(4, "power1_input", "");
	put(4, "power2_input", "");
	pass(source, 1);
	assert_true(isnan(joules(source, 1)));
	(void)snprintf(from, sizeof(from), "%s/class/hwmon/hwmon4", fixture.tree.root);
	(void)snprintf(to, sizeof(to), "%s/class/hwmon/hwmon9", fixture.tree.root);
	assert_int_equal(rename(from, to), 0);
	put(4, "name", "nvme");
	put(4, "power1_input", "99000000");
	put(9, "power1_input", "20000000");
	put(9, "power2_input", "10000000");
	for (unsigned i = 0; i < 70; i++)
		pass(source, 1);
	assert_close(joules(source, 1), 30);
	source_hwmon.close(source);
}

static void test_platform(void **state)
{
	struct event_group_request request = {.name = group_name, .events = platform_events, .n_events = 1};
	struct event_group_request of_sockets = sockets();
	struct system_source *source;
	struct reason why;

	(void)state;
	put(1, "name", "power_meter");
	put(1, "power1_average", "400000000");
	assert_int_equal(source_hwmon.probe(&fixture.context, &of_sockets, &why), -ENOENT);
	assert_int_equal(source_hwmon.probe(&fixture.context, &request, &why), 0);
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	pass(source, 1);
	assert_close(joules(source, 0), 400);
	put(1, "power1_average", "8000000000"); /* a chassis with eight GPUs; impossible for a socket */
	pass(source, 1);
	assert_close(joules(source, 0), 4200);
	source_hwmon.close(source);
}

static void put_number(unsigned device, const char *file, uint64_t value)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	put(device, file, text);
}

/* The meter's next event, at random. */
enum happens { STEPS, IS_RESET, IS_RUBBISH, JUMPS, IS_SILENT };
static enum happens happens_next(double *ret_seconds)
{
	const unsigned kind = (unsigned)rand() % 25;

	*ret_seconds = 1 + rand() % 3;
	if (kind == IS_SILENT)
		*ret_seconds += 12 + rand() % 30;
	return kind <= IS_SILENT ? (enum happens)kind : STEPS;
}

/*
 * Random watts mixed with impossible ones, garbage and gaps: each tick between two valid readings has exactly
 * their energy, and all others have none. Energy missed by one reading is in the next tick. A socket that
 * takes nothing at all, here at every fourth reading, has a meter that is stuck: its energy is missing, not
 * 0.
 */
static void test_random_watts(void **state)
{
	srand(random_begin());
	struct event_group_request request = sockets();
	struct system_source *source;
	double before_w = 10, seconds, waits_s = 0;
	bool known = true;

	(void)state;
	put(3, "name", "fam15h_power");
	put(3, "power1_input", "10000000");
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	for (unsigned i = 0; i < 600; i++) {
		const enum happens what = happens_next(&seconds);
		const double watts =
			what == JUMPS ? ENERGY_MOST_W + 1 + rand() % 100000 : rand() % 4 * (rand() % 400);
		double want_j;

		if (what == IS_RUBBISH)
			put(3, "power1_input", rand() % 2 ? "-" : "rubbish");
		else
			put_number(3, "power1_input", (uint64_t)(watts * 1e6));
		waits_s += seconds;
		want_j = known && waits_s <= 10 && what != JUMPS && what != IS_RUBBISH
				 ? (before_w + watts) / 2 * waits_s
				 : NAN;
		if (want_j == 0)
			want_j = NAN;
		pass(source, seconds);
		if (isnan(want_j) ? !isnan(joules(source, 0)) : !(fabs(joules(source, 0) - want_j) < 1e-3))
			fail_msg("tick %u (%d): %g J, not %g J", i, (int)what, joules(source, 0), want_j);
		if (what == IS_RUBBISH)
			continue;
		known = what != JUMPS;
		before_w = watts;
		waits_s = 0;
	}
	source_hwmon.close(source);
}

/* The same with a counter of joules: ticks with a reset or jump have no energy, gaps are bridged. */
static void test_random_joules(void **state)
{
	srand(random_begin());
	struct event_group_request request = sockets();
	struct system_source *source;
	uint64_t at_uj = 5000000, read_uj = at_uj;
	double want_j = 0, seconds, waits_s = 0;

	(void)state;
	put(7, "name", "amd_energy");
	put(7, "energy5_label", "Esocket0");
	put_number(7, "energy5_input", at_uj);
	assert_int_equal(source_hwmon.open(&fixture.context, &request, &source), 0);
	pass(source, 0);
	for (unsigned i = 0; i < 600; i++) {
		const enum happens what = happens_next(&seconds);
		const uint64_t step_uj = (uint64_t)((1 + rand() % 400) * seconds * 1e6);

		waits_s += seconds;
		want_j += (double)step_uj * 1e-6;
		/* below the last value that could be read; above it a reset cannot be seen */
		at_uj = what == IS_RESET ? (uint64_t)rand() % (read_uj > 1 ? read_uj - 1 : 1)
					 : at_uj + step_uj;
		if (what == JUMPS)
			at_uj += (uint64_t)(ENERGY_MOST_W * (waits_s + 2) * 1e6);
		if (what == IS_RUBBISH)
			put(7, "energy5_input", "rubbish");
		else
			put_number(7, "energy5_input", at_uj);
		read_uj = what == IS_RUBBISH ? read_uj : at_uj;
		pass(source, seconds);
		if (what == IS_RESET || what == JUMPS || what == IS_RUBBISH) {
			assert_true(isnan(joules(source, 0)));
			waits_s = what == IS_RUBBISH ? waits_s : 0;
			want_j = what == IS_RUBBISH ? want_j : 0;
			continue;
		}
		if (!(fabs(joules(source, 0) - want_j) < 1e-3))
			fail_msg("tick %u: %g J, not %g J", i, joules(source, 0), want_j);
		want_j = waits_s = 0;
	}
	source_hwmon.close(source);
}

static void test_ids(void **state)
{
	static const char *const bad[] = {"",
					  "hwmon",
					  "hwmon3",
					  "hwmon3/",
					  "hwmon3/name",
					  "hwmon/power1_input",
					  "hwmon3/power_input",
					  "hwmon3/power1_input ",
					  "hwmon3/power1_cap",
					  "hwmon3/../hwmon3/power1_input",
					  "hwmon3//power1_input",
					  "hwmon-3/power1_input",
					  "hwmon123456/power1_input",
					  "hwmon3/power1234_input",
					  "../hwmon3/power1_input",
					  "hwmon3/device/power1_input",
					  "intel-rapl:0"};
	const struct priv_config config = {.sysfs_root = fixture.tree.root};
	struct reason cause;
	int fd;

	(void)state;
	make_ampere();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(priv_open_file(&config, PRIV_FILE_HWMON, bad[i], &cause), -EPERM);
	assert_int_equal(priv_open_file(&config, PRIV_FILE_HWMON, "hwmon3/energy1_input", &cause), -ENOENT);
	fd = priv_open_file(&config, PRIV_FILE_HWMON, "hwmon3/power1_input", &cause);
	assert_true(fd >= 0);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_known_meters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_power_is_added_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_energy_counter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_impossible, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_other_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_platform, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_watts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random_joules, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ids, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
