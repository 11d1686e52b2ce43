/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's options: the command lines of powerapi-g5k and hwpc-sensor as documented, their JSON file, and
 * what is refused with which message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "config/sensor_config.h"

#include "base/cleanup.h"
#include "base/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ARGUMENTS 64

static struct reason why;

static int load(struct sensor_config *config, const char *const *arguments)
{
	char *argv[MAX_ARGUMENTS + 2] = {(char[]){"wattribute-sensor"}};
	struct config *loaded = NULL;
	int argc = 1, r;

	while (arguments[argc - 1]) {
		argv[argc] = strdup(arguments[argc - 1]);
		argc++;
	}
	r = config_load(&sensor_config_spec, config, argc, argv, &loaded, &why);
	config_free(loaded);
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	return r;
}

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void old_command_line(void **state)
{
	struct sensor_config config;
	const char *const *line = ARGUMENTS(
		"-n", "chifflet-1", "-U", "mongodb:172.16.0.1:27017", "-D", "rapls2", "-C",
		"sensorchifflet-1", "-s", "rapl", "-o", "-e", "RAPL_ENERGY_PKG", "-e", "RAPL_ENERGY_DRAM",
		"-s", "pcu", "-o", "-e", "UNC_P_POWER_STATE_OCCUPANCY:CORES_C0", "-e",
		"UNC_P_POWER_STATE_OCCUPANCY:CORES_C3", "-c", "core", "-e", "CPU_CLK_THREAD_UNHALTED:REF_P",
		"-e", "CPU_CLK_THREAD_UNHALTED:THREAD_P", "-e", "LLC_MISSES");

	(void)state;
	assert_int_equal(load(&config, line), 0);
	assert_string_equal(config.name, "chifflet-1");
	assert_string_equal(config.store_uri, "mongodb:172.16.0.1:27017");
	assert_string_equal(config.reports, "sensorchifflet-1");
	assert_string_equal(config.targets, "targetchifflet-1");
	assert_string_equal(config.database, "rapls2");
	assert_non_null(config.spool_path);
	assert_int_equal(config.n_groups, 3);
	assert_string_equal(config.groups[0].name, "rapl");
	assert_true(config.groups[0].one_cpu_per_socket);
	assert_int_equal(config.groups[0].n_events, 2);
	assert_true(config.groups[1].one_cpu_per_socket);
	assert_true(config.groups[2].of_containers);
	assert_false(config.groups[2].one_cpu_per_socket);
	assert_int_equal(config.groups[2].n_events, 3);
	assert_string_equal(config.groups[2].events[2], "LLC_MISSES");
	assert_int_equal(config.interval_ms, 1000);
	sensor_config_done(&config);
}

static void group_of_same_name_is_extended(void **state)
{
	struct sensor_config config;

	(void)state;
	assert_int_equal(load(&config, ARGUMENTS("-r", "null", "-s", "a", "-e", "E1", "-s", "b", "-e", "E2",
						 "-s", "a", "-e", "E3", "-e", "E3")),
			 0);
	assert_int_equal(config.n_groups, 2);
	assert_string_equal(config.groups[1].name, "a");
	assert_int_equal(config.groups[1].n_events, 2);
	assert_string_equal(config.store_uri, "null:");
	sensor_config_done(&config);
}

static void outputs_of_hwpc_sensor(void **state)
{
	static const struct {
		const char *type, *uri, *port, *expected;
	} cases[] = {
		{"csv", "/tmp/out", NULL, "csv:/tmp/out"},
		{"socket", "10.0.0.1", "8888", "socket:10.0.0.1:8888"},
		{"mongodb", "mongodb://h:1/x", NULL, "mongodb://h:1/x"},
		{"mongodb", "h:27017", NULL, "mongodb:h:27017"},
		{"MongoDB", "mongodb+srv://h.example.com/x", NULL, "mongodb+srv://h.example.com/x"},
		{"sqlite", "/x/sqlite.db", NULL, "sqlite:/x/sqlite.db"},
		{"sqlite", "sqlite:/x/a.db", NULL, "sqlite:/x/a.db"},
		{"jsonl", "csv:x", NULL, "jsonl:csv:x"},
		{"sqlite", "/tmp/x.db", NULL, "sqlite:/tmp/x.db"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sensor_config config;

		assert_int_equal(load(&config, cases[i].port
						       ? ARGUMENTS("-r", cases[i].type, "-P", cases[i].port,
								   "-U", cases[i].uri)
						       : ARGUMENTS("-U", cases[i].uri, "-r", cases[i].type)),
				 0);
		assert_string_equal(config.store_uri, cases[i].expected);
		sensor_config_done(&config);
	}
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *arguments[6];
		const char *words;
	} cases[] = {
		{{"-e", "EVENT"}, "-s GROUP or -c GROUP"},
		{{"-o"}, "-s GROUP or -c GROUP"},
		{{"-s", "empty"}, "empty"},
		{{"-s", "has.dot", "-e", "E"}, "has.dot"},
		{{"-c", "core", "-e", "$set"}, "$set"},
		{{"-c", "core", "-e", "a.b"}, "write ':' instead"},
		{{"-c", "core", "-e", "a\xff"}, "not UTF-8"},
		{{"-s", "a\nb", "-e", "E"}, "control character"},
		{{"--docker-root", "docker"}, "'docker' must be an absolute path, such as '/"},
		{{"--podman-root", "~/x"}, "'~/x' must be an absolute path"},
		{{"--containerd-root", "run/containerd"}, "'run/containerd' must be an absolute path"},
		{{"--pod-log-root", "./logs"}, "'./logs' must be an absolute path"},
		{{"-r", "mongdb", "-U", "x"}, "mongodb"},
		{{"-r", "csv"}, "-U"},
		{{"-f", "5"}, "10"},
		{{"-n", "a/b"}, "a/b"},
		{{"-n", "caf\xe9"}, "UTF-8"},
		{{"--activity", "prf"}, "perf"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sensor_config config;

		reason_clear(&why);
		assert_true(load(&config, cases[i].arguments) < 0);
		if (!strstr(why.text, cases[i].words))
			fail_msg("case %zu: '%s' does not name '%s'", i, why.text, cases[i].words);
		sensor_config_done(&config);
	}
}

/*
 * A name used by both -s and -c would appear twice in the machine's report: accepted if it adds nothing, else
 * refused.
 */
static void one_name_for_machine_and_containers(void **state)
{
	static const struct {
		const char *arguments[16];
		const char *refused; /* NULL: accepted */
		bool doubles[3];
	} cases[] = {
		{{"-s", "core", "-e", "X", "-c", "core", "-e", "X"}, NULL, {true, false}},
		{{"-c", "core", "-e", "X", "-e", "Y", "-s", "core", "-o", "-e", "Y"}, NULL, {false, true}},
		{{"-s", "machine", "-e", "X", "-c", "core", "-e", "X"}, NULL, {false, false}},
		{{"-s", "rapl", "-e", "energy-pkg"}, "did you mean 'RAPL_ENERGY_PKG'", {false}},
		{{"-s", "rapl", "-e", "RAPL_ENERGY_PKG,RAPL_ENERGY_DRAM"},
		 "write -e RAPL_ENERGY_PKG -e RAPL_ENERGY_DRAM",
		 {false}},
		{{"-s", "rapl", "-e", "rapl::RAPL_ENERGY_PKG", "-e", "RAPL_ENERGY_PKG"}, NULL, {false}},
		{{"-c", "core", "-e", "cpu/event=0x3c,umask=0x0/"}, NULL, {false}},
		{{"-c", "core", "-e", "time_enabled"}, "leave it out", {false}},
		{{"-s", "core", "-e", "X", "-e", "Z", "-c", "core", "-e", "X"}, "'core-machine'", {false}},
		{{"-s", "a", "-e", "X", "-c", "b", "-e", "X", "-s", "b", "-e", "W"},
		 "event 'W' only with -s",
		 {false}},
		{{"-s", "cpustat", "-e", "X"}, "'cpustat' needs another name", {false}},
		{{"-c", "cpustat", "-e", "X"}, "'cpustat' needs another name", {false}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sensor_config config;
		int r;

		reason_clear(&why);
		r = load(&config, cases[i].arguments);
		if (cases[i].refused && (r == 0 || !strstr(why.text, cases[i].refused)))
			fail_msg("case %zu: %d, '%s'", i, r, why.text);
		if (!cases[i].refused && r < 0)
			fail_msg("case %zu: '%s'", i, why.text);
		for (unsigned g = 0; !cases[i].refused && g < config.n_groups; g++)
			assert_int_equal(config.groups[g].is_double, cases[i].doubles[g]);
		sensor_config_done(&config);
	}
}

static void json_file_of_hwpc_sensor(void **state)
{
	static const char text[] =
		"{\"name\": \"s1\", \"verbose\": true, \"frequency\": 500, \"output\": {\"type\": "
		"\"mongodb\", \"uri\":"
		" \"mongodb://127.0.0.1\", \"database\": \"db\", \"collection\": \"c\"}, \"system\": "
		"{\"rapl\": {\"events\":"
		" [\"RAPL_ENERGY_PKG\"], \"monitoring_type\": \"MONITOR_ONE_CPU_PER_SOCKET\"}, \"msr\": "
		"{\"events\":"
		" [\"TSC\", \"APERF\"]}}, \"container\": {\"core\": {\"events\": [\"LLC_MISSES\"]}}}";
	char path[] = "/tmp/wattribute-config-XXXXXX.json";
	const int fd = mkstemps(path, 5);
	struct sensor_config config;

	(void)state;
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
	assert_int_equal(load(&config, ARGUMENTS("-x", path)), 0);
	assert_string_equal(config.name, "s1");
	assert_int_equal(config.interval_ms, 500);
	assert_string_equal(config.store_uri, "mongodb://127.0.0.1");
	assert_string_equal(config.reports, "c");
	assert_int_equal(config.n_groups, 3);
	assert_true(config.groups[0].one_cpu_per_socket);
	assert_true(config.groups[2].of_containers);
	sensor_config_done(&config);
	/* groups of the command line replace the file's */
	assert_int_equal(load(&config, ARGUMENTS("-s", "x", "-e", "TSC", "-x", path, "-n", "other")), 0);
	assert_int_equal(config.n_groups, 1);
	assert_string_equal(config.name, "other");
	sensor_config_done(&config);
	(void)unlink(path);
}

/*
 * What hwpc-sensor's own reader accepts besides plain JSON: any case, comments, stray commas, other quotes.
 */
static void lenient_json(void **state)
{
	static const char *const texts[] = {
		"{\"Name\":\"a\",\"Frequency\":500,\"SYSTEM\":{\"rapl\":{\"Events\":[\"RAPL_ENERGY_PKG\"],"
		"\"Mode\":\"one_cpu_per_socket\"}},\"Output\":{\"Type\":\"CSV\",\"Directory\":\"out\"}}",
		"{ // the machine\n\"name\":\"a\", /* each\nhalf second */ "
		"\"frequency\":\"500\",\"global\":{\"rapl\":"
		"{\"events\":[\"RAPL_ENERGY_PKG\"],\"mode\":\"MONITOR_ONE_CPU_PER_SOCKET\"}},"
		"\"storage\":{\"type\":\"csv\",\"outdir\":\"out\"}}",
		"{\"name\":\"a\",\"frequency\":500.0,\"system\":{\"rapl\":{\"events\":[\"RAPL_ENERGY_PKG\",],"
		"\"monitoring_type\":\"ONE_CPU_PER_SOCKET\",},},\"output\":{\"type\":\"csv\",\"directory\":"
		"\"out\",},}",
		"\xef\xbb\xbf{'name':'a','frequency':500,'system':{'rapl':{'events':['RAPL_ENERGY_PKG'],'"
		"mode':"
		"'ONE_CPU_PER_SOCKET'},'none':{'events':[]},'never':{}},'container':{},'output':{'type':'csv'"
		",'directory':"
		"'out'}}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char path[] = "/tmp/wattribute-config-XXXXXX.json";
		const int fd = mkstemps(path, 5);
		struct sensor_config config;

		assert_int_equal(write(fd, texts[i], strlen(texts[i])), (ssize_t)strlen(texts[i]));
		(void)close(fd);
		if (load(&config, ARGUMENTS("-x", path)) < 0)
			fail_msg("text %zu: %s", i, why.text);
		assert_string_equal(config.name, "a");
		assert_int_equal(config.interval_ms, 500);
		assert_int_equal(config.n_groups, 1);
		assert_string_equal(config.groups[0].events[0], "RAPL_ENERGY_PKG");
		assert_true(config.groups[0].one_cpu_per_socket);
		assert_string_equal(config.store_uri, "csv:out");
		sensor_config_done(&config);
		(void)unlink(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_command_line),
		cmocka_unit_test(group_of_same_name_is_extended),
		cmocka_unit_test(outputs_of_hwpc_sensor),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(json_file_of_hwpc_sensor),
		cmocka_unit_test(lenient_json),
		cmocka_unit_test(one_name_for_machine_and_containers),
	};

	(void)unsetenv("STATE_DIRECTORY");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
