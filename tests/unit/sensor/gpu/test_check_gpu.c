/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs in `wattribute check`: which are read and how, which are not and why, with files of synthetic
 * machines; a library that is missing, and one that hangs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../../fake/fake_tree.h"
#include "check_parts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static struct fake_tree tree;
static char sysfs[256];

static void in_tree(const char *path, char *ret)
{
	(void)snprintf(ret, 256, "%s/%s", tree.root, path);
}

static int set_up(void **state)
{
	(void)state;
	tree = fake_new();
	in_tree("sys", sysfs);
	return chmod(tree.root, 0755);
}

static int tear_down(void **state)
{
	(void)state;
	fake_free(&tree);
	return 0;
}

/* The rows for the synthetic machine; NULL: none. The caller frees the object. */
static json_t *list(int gpu, json_t **ret_object)
{
	const struct sensor_config config = {
		.gpu = gpu, .sysfs_root = sysfs, .procfs_root = (char[]){"/proc"}};

	*ret_object = json_object();
	check_gpu_list(&config, true, *ret_object);
	return json_object_get(*ret_object, "gpus");
}

static void is_row(const json_t *rows, size_t i, const char *gpu, const char *status, const char *why,
		   bool used)
{
	const json_t *row = json_array_get(rows, i);

	assert_non_null(row);
	assert_string_equal(json_string_value(json_object_get(row, "gpu")), gpu);
	assert_string_equal(json_string_value(json_object_get(row, "status")), status);
	assert_non_null(strstr(json_string_value(json_object_get(row, "why")), why));
	assert_true(json_is_true(json_object_get(row, "used")) == used);
}

static void test_no_gpu(void **state)
{
	json_t *object;

	(void)state;
	assert_null(list(SENSOR_GPU_AUTO, &object)); /* not requested: no output */
	json_decref(object);
	is_row(list(SENSOR_GPU_DRM, &object), 0, "drm", "missing", "no amdgpu, i915 or xe GPU", false);
	json_decref(object);
}

static void card(const char *name, const char *device, const char *driver, const char *vendor)
{
	char path[512], target[128];

	(void)snprintf(path, sizeof(path), "sys/devices/%s/vendor", device);
	fake_write(&tree, path, "%s", vendor);
	(void)snprintf(path, sizeof(path), "sys/class/drm/%s/dev", name);
	fake_write(&tree, path, "226:0");
	(void)snprintf(path, sizeof(path), "%s/class/drm/%s/device", sysfs, name);
	(void)snprintf(target, sizeof(target), "../../../devices/%s", device);
	assert_int_equal(symlink(target, path), 0);
	(void)snprintf(path, sizeof(path), "%s/devices/%s/driver", sysfs, device);
	(void)snprintf(target, sizeof(target), "../../bus/pci/drivers/%s", driver);
	assert_int_equal(symlink(target, path), 0);
}

static void test_of_each_kind(void **state)
{
	json_t *object, *rows;

	(void)state;
	card("card0", "0000:03:00.0", "amdgpu", "0x1002");
	fake_write(&tree, "sys/devices/0000:03:00.0/hwmon/hwmon3/name", "amdgpu");
	fake_write(&tree, "sys/devices/0000:03:00.0/hwmon/hwmon3/power1_average", "100000000");
	fake_write(&tree, "sys/devices/0000:03:00.0/hwmon/hwmon3/power1_cap", "300000000");
	card("card1", "0000:00:02.0", "i915", "0x8086");    /* integrated */
	card("card2", "0000:04:00.0", "nouveau", "0x10de"); /* NVIDIA's, with another driver */
	card("card3", "0000:05:00.0", "ast", "0x1a03");     /* a server's console graphics */
	rows = list(SENSOR_GPU_AUTO, &object);
	assert_int_equal(json_array_size(rows), 3);
	is_row(rows, 0, "0: 0000:03:00.0", "ok", "drm: its power over time, power1_average", true);
	is_row(rows, 1, "0000:00:02.0", "limited", "part of the package's", false);
	is_row(rows, 2, "0000:04:00.0", "missing", "nouveau", false);
	assert_non_null(strstr(json_string_value(json_object_get(json_array_get(rows, 2), "remedy")),
			       "NVIDIA's driver"));
	json_decref(object);
	assert_null(list(SENSOR_GPU_OFF, &object));
	json_decref(object);
}

static void ask(const char *library, int patience_ms, const char *says)
{
	static struct check_gpu_answer answer;
	char path[256];
	const struct sensor_config config = {.gpu_library = path, .procfs_root = (char[]){"/proc"}};

	in_tree(library, path);
	check_gpu_ask(&config, patience_ms, &answer);
	assert_true(answer.result < 0);
	assert_int_equal(answer.n, 0);
	assert_non_null(strstr(answer.why.text, says));
}

static void test_library(void **state)
{
	char path[256];

	(void)state;
	ask("missing.so", 600000, "cannot open shared object file");
	/* Opening it waits for a writer that never comes. */
	in_tree("hangs.so", path);
	assert_int_equal(mkfifo(path, 0666), 0);
	assert_int_equal(chmod(path, 0666), 0);
	ask("hangs.so", 300, "does not answer");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_gpu, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_of_each_kind, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_library, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
