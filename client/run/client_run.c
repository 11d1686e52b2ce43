/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute run`: runs one command in a cgroup of its own, with a sensor and a server that live only as
 * long. This file has the order of the steps; run_cgroup.c, run_daemons.c and run_command.c do them.
 */
#include "client.h"
#include "base/cleanup.h"
#include "fetch.h"
#include "base/text.h"
#include "recap/recap_table.h"
#include "run/run_command.h"
#include "run/run_daemons.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_READY_TIMEOUT_MS 20000
#define RUN_RECAP_TIMEOUT_MS 15000
#define RUN_POLL_MS          50

struct run_options {
	char *name;
	char *json;
	char *user;
	char *sensor_config;
	uint64_t interval_ms;
	bool verbose;
	bool quiet;
};

static const struct config_row rows[] = {
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_NO_ENV,
	 .placeholder = "NAME",
	 .offset = offsetof(struct run_options, name),
	 .help = "name of the run; default: the command's name"},
	{.name = "json",
	 .letter = 'j',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_NO_ENV,
	 .placeholder = "FILE",
	 .offset = offsetof(struct run_options, json),
	 .help = "also write the recap to FILE as JSON; '-': standard output"},
	{.name = "interval",
	 .letter = 'i',
	 .type = CONFIG_DURATION_MS,
	 .fallback = "200ms",
	 .min = 10,
	 .max = 60000,
	 .offset = offsetof(struct run_options, interval_ms),
	 .help = "time between two readings"},
	{.name = "user",
	 .letter = 'u',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_NO_ENV,
	 .placeholder = "USER",
	 .offset = offsetof(struct run_options, user),
	 .help = "run the command as USER; default: the calling user, also under sudo"},
	{.name = "sensor-config",
	 .letter = 'x',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_NO_ENV,
	 .placeholder = "FILE",
	 .offset = offsetof(struct run_options, sensor_config),
	 .help = "configuration file for the sensor, for example to choose events"},
	{.name = "quiet",
	 .letter = 'q',
	 .type = CONFIG_BOOL,
	 .flags = CONFIG_NO_ENV,
	 .offset = offsetof(struct run_options, quiet),
	 .help = "print no summary"},
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONFIG_BOOL,
	 .flags = CONFIG_NO_ENV,
	 .offset = offsetof(struct run_options, verbose),
	 .help = "show the log of sensor and server"},
};

static const struct config_spec spec = {
	.program = "wattribute run",
	.arguments = "-- COMMAND [ARGUMENT...]",
	.about = "Measures the energy of one command, and of the machine beside it. Starts a sensor and a "
		 "server for the duration, and prints the summary to standard error.",
	.tail = "The exit status is the command's (128 + N if signal N killed it); 125 if it could not be "
		"started, 126 if it is not executable, 127 if it was not found, 74 if it succeeded but could "
		"not be measured. Sensor and server read their options from the environment, as in "
		"WATTRIBUTE_TDP=65.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct run_options),
	.stop_at_argument = true,
};

struct run {
	const struct run_options *options;
	char *const *argv; /* the command */
	struct run_cgroup cgroup;
	struct run_daemons daemons;
	struct run_command_result result;
};

/* The name as given; the cgroup's name may differ. */
static const char *name_of(const struct run *run)
{
	const char *slash = strrchr(run->argv[0], '/');

	return run->options->name ? run->options->name : slash && slash[1] ? slash + 1 : run->argv[0];
}

/* CLIENT_GO_ON once the server has seen a tick, else the exit status. */
static int wait_ready(struct run *run)
{
	struct reason why = {""};

	for (unsigned waited_ms = 0; waited_ms < RUN_READY_TIMEOUT_MS; waited_ms += RUN_POLL_MS) {
		int ready = run_daemons_ready(&run->daemons, &why);
		int number;

		if (ready > 0)
			return CLIENT_GO_ON;
		if (ready < 0)
			return client_fail(CLIENT_EXIT_CANNOT, "%s", why.text);
		number = run_signal_pending(RUN_POLL_MS);
		if (number > 0)
			return CLIENT_EXIT_SIGNAL + number;
	}
	return client_fail(CLIENT_EXIT_CANNOT,
			   "no reading within %d s; 'wattribute check' lists what can be measured, --verbose "
			   "shows the log",
			   RUN_READY_TIMEOUT_MS / 1000);
}

static int prepare(struct run *run)
{
	struct run_daemons_settings settings = {.sensor_config = run->options->sensor_config,
						.interval_ms = run->options->interval_ms,
						.verbose = run->options->verbose};
	struct reason why = {""};

	if (run_cgroup_make(name_of(run), &run->cgroup, &why) < 0 ||
	    run_daemons_start(&settings, &run->daemons, &why) < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "%s", why.text);
	return wait_ready(run);
}

/* Asks for the recap; a new reference, or NULL after a message. */
static json_t *get_recap(const struct run *run)
{
	double begin_s = (double)run->result.begin_ms / 1000;
	double end_s = (double)run->result.end_ms / 1000;
	cleanup_(cleanup_free) char *name = text_escape_url(run->cgroup.name);
	cleanup_(cleanup_free) char *path = NULL;
	cleanup_(cleanup_free) char *url = NULL;
	struct reason why = {"out of memory"};
	json_t *recap = NULL;

	if (name && asprintf(&path,
			     "/" CLIENT_DATABASE_DEFAULT "/" RUN_SENSOR_NAME
			     "?name=%s&begin=%.3f&beginwarmup=%.3f&beginexecution=%.3f&end=%.3f&wholelife=1",
			     name, begin_s, begin_s, begin_s, end_s) >= 0)
		url = fetch_make_url(run->daemons.server_url, path);
	if (!url ||
	    fetch_json(url, getenv(CLIENT_TOKEN_VARIABLE), true, RUN_RECAP_TIMEOUT_MS, &recap, &why) < 0)
		(void)client_fail(0, "the command ended, but its energy could not be determined: %s",
				  why.text);
	return recap;
}

/* An error that would prevent writing the recap is found before the command runs, perhaps for hours. */
static int check_json(const char *path)
{
	cleanup_(cleanup_free) char *folder = NULL;
	const char *slash = path ? strrchr(path, '/') : NULL;
	struct stat status;
	int r = 0;

	if (!path || !strcmp(path, "-"))
		return CLIENT_GO_ON;
	folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	if (stat(path, &status) == 0)
		r = S_ISDIR(status.st_mode) ? EISDIR : access(path, W_OK) < 0 ? errno : 0;
	else if (!folder || access(folder, W_OK) < 0)
		r = errno;
	return r ? client_fail(CLIENT_EXIT_USAGE, "cannot write '%s': %s; choose another file with --json",
			       path, strerror(r))
		 : CLIENT_GO_ON;
}

static int write_json(const struct run *run, json_t *recap)
{
	const char *path = run->options->json;
	json_t *command = json_array();
	FILE *out = strcmp(path, "-") ? fopen(path, "we") : stdout;
	bool failed;

	for (size_t i = 0; run->argv[i]; i++)
		(void)json_array_append_new(command, json_string(run->argv[i]));
	(void)json_object_set_new(recap, "name", json_string(name_of(run)));
	(void)json_object_set_new(recap, "command", command);
	(void)json_object_set_new(recap, "exit_status", json_integer(run->result.exit_status));
	if (!out)
		return client_fail(CLIENT_EXIT_NO_RECAP, "cannot write '%s': %s", path, strerror(errno));
	failed = json_dumpf(recap, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) < 0;
	failed = fputc('\n', out) == EOF || failed;
	failed = (out == stdout ? fflush(out) : fclose(out)) != 0 || failed;
	return failed ? client_fail(CLIENT_EXIT_NO_RECAP, "cannot write '%s': %s", path, strerror(errno)) : 0;
}

static void print_summary(const struct run *run, json_t *recap)
{
	fprintf(stderr, "\nEnergy of '%s", run->argv[0]);
	for (size_t i = 1; run->argv[i]; i++)
		fprintf(stderr, " %s", run->argv[i]);
	fprintf(stderr, "':\n\n");
	recap_table_print(stderr, recap);
	fprintf(stderr, "exit status %d\n", run->result.exit_status);
}

/* After the command: writes its recap where it is wanted. 0, or the exit status of the error. */
static int report_recap(const struct run *run)
{
	json_t *recap = get_recap(run);
	int status = 0;

	if (!recap)
		return CLIENT_EXIT_NO_RECAP;
	if (!run->options->quiet)
		print_summary(run, recap);
	if (run->options->json)
		status = write_json(run, recap);
	json_decref(recap);
	return status;
}

static int measure(struct run *run)
{
	uid_t uid;
	gid_t gid;
	int status, r;

	if (run_command_find_user(run->options->user, &uid, &gid) < 0)
		return client_fail(CLIENT_EXIT_USAGE, "user '%s' does not exist",
				   run->options->user ? run->options->user : getenv("SUDO_UID"));
	status = prepare(run);
	if (status != CLIENT_GO_ON)
		return status;
	r = run_command(run->argv, &run->cgroup, uid, gid, &run->result);
	if (r < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "cannot start a process: %s", strerror(-r));
	if (!run->result.started)
		return run->result.exit_status;
	status = report_recap(run);
	return run->result.exit_status ? run->result.exit_status : status;
}

static int run_and_clean_up(const struct run_options *options, char *const *argv)
{
	struct run *run = calloc(1, sizeof(*run));
	unsigned n_left;
	int status;

	if (!run)
		return client_fail(CLIENT_EXIT_CANNOT, "out of memory");
	run->options = options;
	run->argv = argv;
	run_signals_block();
	status = measure(run);
	run_daemons_stop(&run->daemons);
	n_left = run_cgroup_remove(&run->cgroup);
	if (n_left > 0)
		(void)client_fail(0, "the command left %u processes running; they are no longer measured",
				  n_left);
	free(run);
	return status;
}

int client_run_main(int argc, char *argv[])
{
	struct run_options options;
	struct config *config = NULL;
	int status = client_load_options(&spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON && config_rest(config) >= argc)
		status = client_fail(CLIENT_EXIT_USAGE,
				     "run: no command given; example: wattribute run -- ./bench");
	if (status == CLIENT_GO_ON)
		status = check_json(options.json);
	if (status == CLIENT_GO_ON)
		status = run_and_clean_up(&options, argv + config_rest(config));
	config_free(config);
	config_done(&spec, &options);
	return status;
}
