/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs of the kernel's DRM drivers: fdinfo as drivers write it; clients that share a device, come, go and
 * restart; meters that restart, jump, or disappear and return under another number. Random sequences: no
 * stretch exceeds the meter's limit, and everything read without a fault is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "gpu/drm_clients.h"
#include "gpu/drm_meter.h"
#include "fake/fake_tree.h"
#include "unit/random_seed.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS "0000:03:00.0"
#define DEVICE  "sys/devices/" ADDRESS
#define SECOND  1e9

static struct fake_tree tree;
static char sysfs[128], procfs[128];

static int set_up(void **state)
{
	(void)state;
	tree = fake_new();
	(void)snprintf(sysfs, sizeof(sysfs), "%s/sys", tree.root);
	(void)snprintf(procfs, sizeof(procfs), "%s/proc", tree.root);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_free(&tree);
	return 0;
}

static void link_card(unsigned number, const char *address)
{
	char target[128], path[256];

	(void)snprintf(path, sizeof(path), "sys/class/drm/card%u/dev", number);
	fake_write(&tree, path, "226:%u", number);
	(void)snprintf(path, sizeof(path), "%s/class/drm/card%u/device", sysfs, number);
	(void)snprintf(target, sizeof(target), "../../../devices/%s", address);
	assert_int_equal(symlink(target, path), 0);
}

static void remove_file(const char *path)
{
	char full[256];

	(void)snprintf(full, sizeof(full), "%s/%s", tree.root, path);
	assert_int_equal(remove(full), 0);
}

static void test_parse(void **state)
{
	/* As written by amdgpu, i915 and xe. */
	char amd[] = "pos:\t0\ndrm-driver:\tamdgpu\ndrm-client-id:\t37\ndrm-pdev:\t" ADDRESS
		     "\ndrm-memory-vram:\t1196 KiB\ndrm-engine-gfx:\t1000 ns\ndrm-engine-compute:\t234 ns\n";
	char intel[] = "drm-driver: i915\ndrm-pdev: " ADDRESS
		       "\ndrm-client-id: 7\ndrm-engine-render: 25662044495 ns\n"
		       "drm-engine-video: 5 ns\ndrm-engine-capacity-video: 2\n";
	char xe[] = "drm-driver:\txe\ndrm-client-id:\t3\ndrm-pdev:\t" ADDRESS "\ndrm-cycles-rcs:\t28257900\n"
		    "drm-total-cycles-rcs:\t7655183225\ndrm-cycles-ccs:\t100\ndrm-total-cycles-ccs:"
		    "\t7655183225\n";
	char none[] = "pos:\t0\nflags:\t0100002\nmnt_id:\t26\n";
	char half[] = "drm-driver:\tmsm\ndrm-client-id:\t3\ndrm-engine-gpu:\t5 ns\n";
	struct drm_info info;

	(void)state;
	assert_true(drm_info_parse(amd, &info));
	assert_string_equal(info.address, ADDRESS);
	assert_int_equal(info.id, 37);
	assert_int_equal(info.busy_ns, 1234);
	assert_true(drm_info_parse(intel, &info));
	assert_int_equal(info.busy_ns, 25662044500);
	assert_true(drm_info_parse(xe, &info));
	assert_int_equal(info.cycles, 28258000);
	assert_int_equal(info.total_cycles, 7655183225);
	assert_int_equal(info.busy_ns, 0);
	assert_false(drm_info_parse(none, &info));
	assert_false(drm_info_parse(half, &info)); /* no PCI device */
}

static double works_ns[8];

static void take(void *data, unsigned gpu, unsigned pid, double time_ns)
{
	(void)data;
	assert_int_equal(gpu, 0);
	assert_in_range(pid, 1, 7);
	works_ns[pid] += time_ns;
}

static void put_client(unsigned pid, unsigned fd, unsigned id, double busy_ns)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%u/fdinfo/%u", pid, fd);
	fake_write(&tree, path,
		   "drm-driver:\tamdgpu\ndrm-pdev:\t" ADDRESS
		   "\ndrm-client-id:\t%u\ndrm-engine-gfx:\t%.0f ns",
		   id, busy_ns);
}

static void test_clients(void **state)
{
	struct drm_meter meter = {.address = ADDRESS};
	struct drm_clients *clients = drm_clients_new(procfs, &meter, 1);

	(void)state;
	assert_non_null(clients);
	fake_write(&tree, "proc/1/fdinfo/0", "pos:\t0");
	put_client(1, 4, 11, 50 * SECOND);
	put_client(1, 5, 11, 50 * SECOND); /* one client with two descriptors */
	put_client(2, 4, 11, 50 * SECOND); /* also after a fork */
	drm_clients_look(clients, 0, take, NULL);
	assert_true(works_ns[1] + works_ns[2] == 0); /* the baseline */
	put_client(1, 4, 11, 50.5 * SECOND);
	put_client(1, 5, 11, 50.5 * SECOND);
	put_client(2, 4, 11, 50.5 * SECOND);
	put_client(3, 9, 12, 0.25 * SECOND);
	put_client(4, 9, 13, 900 * SECOND); /* not new, but only found late */
	for (unsigned look = 0; look < 8; look++)
		drm_clients_look(clients, SECOND, take, NULL);
	assert_true(fabs(works_ns[1] + works_ns[2] - 0.5 * SECOND) < 10);
	assert_true(fabs(works_ns[3] - 0.25 * SECOND) < 10);
	assert_true(works_ns[4] == 0);
	/* Its number is reused by another client: the difference does not count. */
	put_client(3, 9, 99, 700 * SECOND);
	drm_clients_look(clients, SECOND, take, NULL);
	assert_true(fabs(works_ns[3] - 0.25 * SECOND) < 10);
	/* Together more than the elapsed time: each gets its share. */
	memset(works_ns, 0, sizeof(works_ns));
	put_client(1, 4, 11, 52.5 * SECOND);
	put_client(1, 5, 11, 52.5 * SECOND);
	put_client(2, 4, 11, 52.5 * SECOND);
	put_client(4, 9, 13, 901 * SECOND);
	drm_clients_look(clients, SECOND, take, NULL);
	assert_true(fabs(works_ns[1] + works_ns[2] + works_ns[4] - SECOND) < 10);
	assert_true(fabs(works_ns[1] + works_ns[2] - 2 * works_ns[4]) < 10);
	drm_clients_free(clients);
}

static void test_list(void **state)
{
	struct drm_meter meters[4];

	(void)state;
	assert_int_equal(drm_meter_list(sysfs, meters, 4), 0);
	fake_write(&tree, "sys/devices/a/hwmon/hwmon3/name", "amdgpu"); /* an APU without a limit */
	fake_write(&tree, "sys/devices/a/hwmon/hwmon3/power1_input", "9000000");
	fake_write(&tree, "sys/devices/b/hwmon/hwmon4/name", "amdgpu"); /* or with two names */
	fake_write(&tree, "sys/devices/b/hwmon/hwmon4/power1_average", "9000000");
	fake_write(&tree, "sys/devices/b/hwmon/hwmon4/power1_cap", "15000000");
	fake_write(&tree, "sys/devices/b/hwmon/hwmon4/power1_label", "slowPPT");
	fake_write(&tree, "sys/devices/c/hwmon/hwmon5/name", "i915_gt0"); /* a part of the card */
	fake_write(&tree, "sys/devices/c/hwmon/hwmon5/energy1_input", "1");
	fake_write(&tree, "sys/devices/c/hwmon/hwmon6/name", "i915");
	fake_write(&tree, "sys/devices/c/hwmon/hwmon6/energy1_input", "1");
	fake_write(&tree, "sys/devices/d/hwmon/hwmon7/name", "amdgpu");
	fake_write(&tree, "sys/devices/d/hwmon/hwmon7/power1_input", "9000000");
	fake_write(&tree, "sys/devices/d/hwmon/hwmon7/power1_cap", "300000000");
	fake_write(&tree, "sys/devices/d/hwmon/hwmon7/power1_label", "PPT");
	link_card(10, "d");
	link_card(9, "c");
	link_card(2, "b");
	link_card(1, "a");
	fake_write(&tree, "sys/class/drm/card9-DP-1/status", "connected");
	assert_int_equal(drm_meter_list(sysfs, meters, 4), 2);
	assert_string_equal(meters[0].address, "c");
	assert_false(meters[0].power);
	assert_non_null(strstr(meters[0].file, "hwmon6"));
	assert_string_equal(meters[1].address, "d");
	assert_true(meters[1].power && fabs(meters[1].most_w - 600) < 1e-6);
}

static void put_energy(unsigned hwmon, double joules)
{
	char path[128];

	(void)snprintf(path, sizeof(path), DEVICE "/hwmon/hwmon%u/name", hwmon);
	fake_write(&tree, path, "xe");
	(void)snprintf(path, sizeof(path), DEVICE "/hwmon/hwmon%u/power1_max", hwmon);
	fake_write(&tree, path, "150000000");
	(void)snprintf(path, sizeof(path), DEVICE "/hwmon/hwmon%u/energy1_input", hwmon);
	fake_write(&tree, path, "%.0f", joules * 1e6);
}

static void remove_hwmon(unsigned hwmon)
{
	static const char *const names[] = {"name", "power1_max", "energy1_input", ""};
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), DEVICE "/hwmon/hwmon%u/%s", hwmon, names[i]);
		remove_file(path);
	}
}

/* A counter with random resets, jumps and reloads of its driver. */
static void test_random(void **state)
{
	struct drm_meter meter;
	double counter_j = 5000;
	unsigned hwmon = 3, card = 0;
	bool faulty = true; /* the next stretch contains a fault */

	(void)state;
	srand(random_begin());
	put_energy(hwmon, counter_j);
	link_card(card, ADDRESS);
	assert_int_equal(drm_meter_list(sysfs, &meter, 1), 1);
	for (unsigned round = 0; round < 2000; round++) {
		const double seconds = 0.05 + rand() % 1000 * 1e-3, spent_j = rand() % 151 * seconds;
		double joules;

		counter_j += spent_j;
		switch (rand() % 12) {
		case 0: /* a reset */
			counter_j = rand() % 10;
			faulty = true;
			break;
		case 1: /* a jump */
			counter_j += 400 * (seconds + 1) + rand() % 100000;
			faulty = true;
			break;
		case 2: /* the driver is reloaded: other numbers, a new counter, one look without any */
			remove_hwmon(hwmon);
			assert_true(isnan(drm_meter_read(&meter, sysfs, seconds)));
			hwmon = hwmon % 50 + 1;
			counter_j = 0;
			faulty = true;
			put_energy(hwmon, counter_j);
			assert_true(isnan(drm_meter_read(&meter, sysfs, seconds)));
			break;
		}
		put_energy(hwmon, counter_j);
		joules = drm_meter_read(&meter, sysfs, seconds);
		if (!isnan(joules))
			assert_true(joules >= 0 && joules <= meter.most_w * (seconds + 0.25));
		if (faulty)
			assert_true(isnan(joules) || joules <= 300 * (seconds + 0.25));
		else
			assert_true(fabs(joules - spent_j) < 1e-5);
		faulty = isnan(joules) && !meter.started;
	}
}

/* An impossible power, and a suspended GPU. */
static void test_power(void **state)
{
	struct drm_meter meter;

	(void)state;
	fake_write(&tree, DEVICE "/hwmon/hwmon1/name", "amdgpu");
	fake_write(&tree, DEVICE "/hwmon/hwmon1/power1_average", "100000000");
	fake_write(&tree, DEVICE "/hwmon/hwmon1/power1_cap", "200000000");
	link_card(0, ADDRESS);
	assert_int_equal(drm_meter_list(sysfs, &meter, 1), 1);
	assert_true(isnan(drm_meter_read(&meter, sysfs, 1)));
	assert_true(fabs(drm_meter_read(&meter, sysfs, 1) - 100) < 1e-9);
	fake_write(&tree, DEVICE "/hwmon/hwmon1/power1_average", "4000000000");
	assert_true(isnan(drm_meter_read(&meter, sysfs, 1)));
	fake_write(&tree, DEVICE "/hwmon/hwmon1/power1_average", "100000000");
	assert_true(isnan(drm_meter_read(&meter, sysfs, 1)));
	assert_true(fabs(drm_meter_read(&meter, sysfs, 1) - 100) < 1e-9);
	fake_write(&tree, DEVICE "/power/runtime_status", "suspended");
	assert_true(drm_meter_read(&meter, sysfs, 1) == 0);
	fake_write(&tree, DEVICE "/power/runtime_status", "active");
	assert_true(fabs(drm_meter_read(&meter, sysfs, 1) - 50) < 1e-9); /* between 0 and 100 W */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_parse, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clients, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_power, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
