/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute run`: runs one command in a cgroup of its own, or several in turn, with a sensor and a server
 * that live only that long. This file has the options, the order of runs and the output; run_session.c has
 * the steps of one.
 */
#include "client.h"
#include "json_fields.h"
#include "base/printed.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "recap/recap_table.h"
#include "compare/group.h"
#include "run/run_session.h"
#include "base/reason.h"
#include "base/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RUN_REPEAT_COMPARED 10 /* without --repeat: enough for an interval */
#define RUN_LABEL_SIZE      256
#define RUN_COMMANDS_MAX    26 /* one letter for each */

struct run_options {
	char *name;
	char *json;
	char *user;
	char *sensor_config;
	char *formula;
	char *export; /* FORMAT[:FILE] */
	uint64_t interval_ms;
	int64_t repeat, warmup; /* 0: not given */
	bool ignore_failure;
	bool show_output;
	bool verbose;
	bool quiet;
	const char *compared[RUN_COMMANDS_MAX];
	size_t n_compared;
	char *sensor_words[RUN_SENSOR_WORDS_MAX + 1];
	size_t n_sensor_words;
};

static int add_compared(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	struct run_options *options = target;

	if (options->n_compared + 1 >= RUN_COMMANDS_MAX)
		return reason_set(why, -E2BIG, "--%s: at most %d commands can be compared", row->name,
				  RUN_COMMANDS_MAX);
	options->compared[options->n_compared++] = value;
	return 0;
}

/* Passes on an option of the sensor with the same name. */
static int add_sensor_word(void *target, const struct config_row *row, const char *value, struct reason *why)
{
	struct run_options *options = target;
	char **word = &options->sensor_words[options->n_sensor_words];
	int length;

	if (options->n_sensor_words >= RUN_SENSOR_WORDS_MAX)
		return reason_set(why, -E2BIG, "--%s: too many options for the sensor", row->name);
	length = value ? asprintf(word, "--%s=%s", row->name, value) : asprintf(word, "--%s", row->name);
	if (length < 0)
		return -ENOMEM;
	options->n_sensor_words++;
	return 0;
}

static void reset_sensor_words(void *target)
{
	struct run_options *options = target;

	while (options->n_sensor_words > 0)
		free(options->sensor_words[--options->n_sensor_words]);
}

#define SENSOR_OPTION(name_, ...)                                                                            \
	{                                                                                                    \
		.name = (name_), .type = CONFIG_CALL, .apply = add_sensor_word, .reset = reset_sensor_words, \
		__VA_ARGS__                                                                                  \
	}

#define OPTION(name, member, ...) CONFIG_OPTION(struct run_options, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	OPTION("name", name, .letter = 'n', .flags = CONFIG_NO_ENV, .placeholder = "NAME",
	       .help = "name of the run; default: the command's name"),
	OPTION("json", json, .letter = 'j', .flags = CONFIG_NO_ENV, .placeholder = "FILE",
	       .help = "also write the recap to FILE as JSON; '-': standard output"),
	OPTION("interval", interval_ms, .letter = 'i', .flags = CONFIG_BARE, .fallback = "200ms", .min = 10,
	       .max = 60000, .help = "time between two readings"),
	OPTION("user", user, .letter = 'u', .flags = CONFIG_NO_ENV, .placeholder = "USER",
	       .help = "run the command as USER; default: the calling user, also under sudo"),
	OPTION("quiet", quiet, .letter = 'q', .flags = CONFIG_NO_ENV, .help = "print no summary"),
	OPTION("verbose", verbose, CLIENT_ROW_VERBOSE),

	{.type = CONFIG_TITLE, .help = "Several runs:"},
	OPTION("repeat", repeat, .letter = 'r', .flags = CONFIG_NO_ENV, .placeholder = "N", .min = 1,
	       .max = 100000,
	       .help = "run the command N times; print mean, spread and interval. Default: 1, or 10 with "
		       "--compare"),
	OPTION("warmup", warmup, .letter = 'w', .flags = CONFIG_NO_ENV, .placeholder = "N", .max = 100000,
	       .help = "before that, run it N times without counting"),
	{.name = "compare",
	 .letter = 'c',
	 .type = CONFIG_CALL,
	 .placeholder = "'COMMAND'",
	 .apply = add_compared,
	 .help = "also run this command (with sh -c), in turn, and print the ratio; can be repeated"},
	OPTION("export", export, .letter = 'e', .flags = CONFIG_NO_ENV, .placeholder = "FORMAT[:FILE]",
	       .help = "also write all runs as csv, json or markdown; default: to standard output"),
	OPTION("ignore-failure", ignore_failure, .flags = CONFIG_NO_ENV,
	       .help = "also count runs with an exit status other than 0"),
	OPTION("show-output", show_output, .flags = CONFIG_NO_ENV,
	       .help = "show the standard output of repeated runs"),

	{.type = CONFIG_TITLE, .help = "Sensor and server (see wattribute-sensor --help):"},
	OPTION("sensor-config", sensor_config, CLIENT_ROW_SENSOR_CONFIG,
	       .help = "configuration file for the sensor, for example to choose events"),
	OPTION("formula", formula, .placeholder = "NAME",
	       .help = "formula of the server; default: the server's own"),
	SENSOR_OPTION(
		"tdp", .placeholder = "W",
		.help = "design power of a socket, for the estimate on machines without an energy counter"),
	SENSOR_OPTION("energy", .placeholder = "SOURCE", .help = "energy source"),
	SENSOR_OPTION("activity", .placeholder = "SOURCE", .help = "activity source"),
	SENSOR_OPTION("strict", .help = "fail if an event or source is not available"),
	SENSOR_OPTION("sysfs-root", .placeholder = "DIR", .help = "where to read the machine's sysfs"),
	SENSOR_OPTION("docker-root", .placeholder = "DIR", .help = "Docker's data folder"),
	SENSOR_OPTION("fd-budget", .placeholder = "N", .help = "open files that the sensor may use"),
	SENSOR_OPTION("edge-readings", .placeholder = "N",
		      .help = "additional readings when a container is created or ends"),
};

static const struct config_spec spec = {
	.program = "wattribute run",
	.arguments = "-- COMMAND [ARGUMENT...]",
	.about = "Measures the energy of one command, and of the whole machine meanwhile. Starts a sensor "
		 "and a server for the duration, and prints the summary to standard error. With --repeat or "
		 "--compare, the commands run in turn, without their standard output.",
	.tail = "The exit status is the command's (128 + N if signal N killed it); 125 if it could not be "
		"started, 126 if it is not executable, 127 if it was not found, 74 if it succeeded but could "
		"not be measured, or not completely. Sensor and server read their other options from the "
		"environment, as in "
		"WATTRIBUTE_EXCLUDE=system.slice.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct run_options),
	.stop_at_argument = true,
};

static bool is_repeated(const struct run_options *options)
{
	return options->repeat > 1 || options->warmup > 0 || options->n_compared > 0 || options->export;
}

/* The name as given; the cgroup's name may differ. */
static const char *name_of(const struct run_options *options, char *const *argv)
{
	const char *slash = strrchr(argv[0], '/');

	return options->name ? options->name : slash && slash[1] ? slash + 1 : argv[0];
}

/* Finds errors that would prevent writing a file before the command runs, perhaps for hours. */
static int check_file(const char *path, const char *option)
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
	return r ? client_fail(CLIENT_EXIT_USAGE, "cannot write '%s': %s; choose another file with --%s",
			       path, strerror(r), option)
		 : CLIENT_GO_ON;
}

static int check_options(const struct run_options *options)
{
	enum compare_format format;
	const char *path = NULL;
	struct reason why = {""};
	int status = check_file(options->json, "json");

	if (status == CLIENT_GO_ON && options->export &&
	    compare_parse_export(options->export, &format, &path, &why) < 0)
		return client_fail(CLIENT_EXIT_USAGE, "%s", why.text);
	return status == CLIENT_GO_ON ? check_file(path, "export") : status;
}

static FILE *open_output(const struct run_session *session, const char *path)
{
	return strcmp(path, "-") ? run_session_create_file(session, path) : stdout;
}

static int close_output(FILE *out, const char *path, bool failed)
{
	int r = printed_close(out);

	if (failed && r == 0)
		r = -EIO;
	return r < 0 ? client_fail(CLIENT_EXIT_NO_RECAP, "cannot write '%s': %s", path, strerror(-r)) : 0;
}

static int write_json(const struct run_session *session, const char *path, json_t *recap)
{
	FILE *out = open_output(session, path);
	bool failed;

	if (!out)
		return client_fail(CLIENT_EXIT_NO_RECAP, "cannot write '%s': %s", path, strerror(errno));
	failed = json_dumpf(recap, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER) < 0;
	failed = fputc('\n', out) == EOF || failed;
	return close_output(out, path, failed);
}

static void add_command(json_t *recap, const char *name, char *const *argv,
			const struct run_command_result *result)
{
	json_t *command = json_array();
	char signal_name[32];

	for (size_t i = 0; argv[i]; i++)
		(void)json_array_append_new(command, json_from_word(argv[i]));
	(void)json_object_set_new(recap, "name", json_from_word(name));
	(void)json_object_set_new(recap, "command", command);
	(void)json_object_set_new(recap, "exit_status", json_integer(result->exit_status));
	if (result->signal)
		(void)json_object_set_new(recap, "signal",
					  json_string(run_signal_name(result->signal, signal_name)));
}

static void print_summary(char *const *argv, const struct run_command_result *result, const json_t *recap)
{
	char signal_name[32];

	fprintf(stderr, "\nEnergy of '%s", argv[0]);
	for (size_t i = 1; argv[i]; i++)
		fprintf(stderr, " %s", argv[i]);
	fprintf(stderr, "':\n\n");
	recap_table_print(stderr, recap);
	if (result->signal)
		fprintf(stderr, "exit status %d (killed by %s)\n", result->exit_status,
			run_signal_name(result->signal, signal_name));
	else
		fprintf(stderr, "exit status %d\n", result->exit_status);
}

/* Makes one run. Returns the exit status. */
static int measure_once(struct run_session *session, const struct run_options *options, char *const *argv)
{
	struct run_command_result result;
	json_t *recap;
	int status = run_session_measure(session, name_of(options, argv), argv, false, &result, &recap);

	if (status != CLIENT_GO_ON)
		return status;
	if (!result.started)
		return result.exit_status;
	status = recap ? 0 : CLIENT_EXIT_NO_RECAP;
	if (recap) {
		add_command(recap, name_of(options, argv), argv, &result);
		if (!options->quiet)
			print_summary(argv, &result, recap);
		if (options->json)
			status = write_json(session, options->json, recap);
	}
	json_decref(recap);
	return result.exit_status ? result.exit_status : status;
}

static int export_groups(const struct run_session *session, enum compare_format format, const char *path,
			 struct compare_group *groups, size_t n_groups)
{
	FILE *out = open_output(session, path);

	if (!out)
		return client_fail(CLIENT_EXIT_NO_RECAP, "cannot write '%s': %s", path, strerror(errno));
	return close_output(out, path, compare_print(out, format, groups, n_groups) < 0);
}

/* Prints and writes the measurements, even if they are incomplete. */
static int report_groups(const struct run_session *session, const struct run_options *options,
			 struct compare_group *groups, size_t n_groups)
{
	enum compare_format format = COMPARE_TEXT;
	const char *path = NULL;
	struct reason why = {""};
	int status = 0;

	if (groups[0].n_runs == 0)
		return 0;
	if (!options->quiet) {
		fputc('\n', stderr);
		(void)compare_print(stderr, COMPARE_TEXT, groups, n_groups);
	}
	if (options->export && compare_parse_export(options->export, &format, &path, &why) == 0)
		status = export_groups(session, format, path, groups, n_groups);
	if (options->json && status == 0)
		status = export_groups(session, COMPARE_JSON, options->json, groups, n_groups);
	return status;
}

static void join_words(char *const *argv, char *ret, size_t size)
{
	size_t length = 0;

	*ret = '\0';
	for (size_t i = 0; argv[i] && length < size; i++)
		length += (size_t)snprintf(ret + length, size - length, "%s%s", i ? " " : "", argv[i]);
}

struct run_plan {
	char **commands[RUN_COMMANDS_MAX]; /* argument lists */
	const char *names[RUN_COMMANDS_MAX];
	size_t n_commands;
	unsigned repeat, warmup;
	const char *cgroup;  /* names of cgroups start with it */
	bool ignore_failure; /* of a command */
	bool show_output;
	bool quiet; /* no progress line */
};

struct progress {
	bool shown; /* the progress line is shown: the terminal can erase a line */
	unsigned n_done, n_all;
	uint64_t begin_ns;
};

static void open_progress(struct progress *progress, const struct run_plan *plan)
{
	const char *terminal = getenv("TERM");

	*progress = (struct progress){
		.shown = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !plan->quiet &&
			 !plan->show_output,
		.n_all = (unsigned)plan->n_commands * (plan->repeat + plan->warmup),
		.begin_ns = clock_monotonic_ns(),
	};
}

static void clear_progress(const struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
}

static void show_progress(const struct progress *progress, size_t command, const struct compare_group *group)
{
	double elapsed_s = UNIT_S_OF_NS(clock_monotonic_ns() - progress->begin_ns);
	struct sample sample = {0};

	if (!progress->shown)
		return;
	clear_progress(progress);
	fprintf(stderr, "run %u of %u%s", progress->n_done + 1, progress->n_all, group ? "" : " (warm-up)");
	if (group)
		compare_group_summarize(group, COMPARE_ENERGY, &sample);
	if (sample.n > 0)
		fprintf(stderr, ", %c: %.3f J on average so far", (int)('A' + command), sample.mean);
	if (progress->n_done > 0)
		fprintf(stderr, ", about %.0f s left",
			elapsed_s / progress->n_done * (progress->n_all - progress->n_done));
	(void)fflush(stderr);
}

/* Names the run that failed. Its exit status, or CLIENT_GO_ON if that does not matter. */
static int judge(const struct run_plan *plan, size_t command, const struct run_command_result *result)
{
	char name[32];

	if (!result->started)
		return result->exit_status;
	if (result->interrupt)
		return CLIENT_EXIT_SIGNAL + result->interrupt;
	if (result->exit_status == 0 || plan->ignore_failure)
		return CLIENT_GO_ON;
	if (result->signal)
		return client_fail(result->exit_status,
				   "'%s' was killed by %s; --ignore-failure continues anyway",
				   plan->names[command], run_signal_name(result->signal, name));
	return client_fail(result->exit_status,
			   "'%s' exited with status %d; --ignore-failure continues anyway",
			   plan->names[command], result->exit_status);
}

static int run_once(struct run_session *session, const struct run_plan *plan, size_t command,
		    struct progress *progress, struct compare_group *group)
{
	struct run_command_result result;
	json_t *recap = NULL;
	char cgroup[64];
	int status;

	show_progress(progress, command, group);
	/* Each run has its own name, as one tick may contain the end of a run and the start of the next. */
	(void)snprintf(cgroup, sizeof(cgroup), "%.40s-%u", plan->cgroup, session->n_runs + 1);
	status = run_session_measure(session, cgroup, plan->commands[command], !plan->show_output, &result,
				     group ? &recap : NULL);
	clear_progress(progress);
	progress->n_done++;
	if (status != CLIENT_GO_ON)
		return status;
	status = judge(plan, command, &result);
	if (status == CLIENT_GO_ON && group && !recap)
		status = CLIENT_EXIT_NO_RECAP;
	if (status == CLIENT_GO_ON && recap) {
		(void)json_object_set_new(recap, "exit_status", json_integer(result.exit_status));
		if (compare_group_add(group, recap, NULL) < 0)
			status = client_fail(CLIENT_EXIT_NO_RECAP, "out of memory");
	}
	json_decref(recap);
	return status;
}

/*
 * Fills a group for each command; the caller frees them in any case. Warm-ups come first, then the commands
 * in turn, so that a machine that heats up or is used by others meanwhile does not favour one of them. 0, or
 * the exit status: of a command that failed, or after a message; then the groups contain the measurements
 * made before.
 */
static int repeat_runs(struct run_session *session, const struct run_plan *plan,
		       struct compare_group *ret_groups)
{
	struct progress progress;
	int status = CLIENT_GO_ON;

	open_progress(&progress, plan);
	for (size_t i = 0; i < plan->n_commands; i++)
		ret_groups[i] = (struct compare_group){.name = plan->names[i]};
	for (unsigned i = 0; i < plan->warmup; i++)
		for (size_t c = 0; c < plan->n_commands && status == CLIENT_GO_ON; c++)
			status = run_once(session, plan, c, &progress, NULL);
	for (unsigned i = 0; i < plan->repeat; i++)
		for (size_t c = 0; c < plan->n_commands && status == CLIENT_GO_ON; c++)
			status = run_once(session, plan, c, &progress, &ret_groups[c]);
	return status == CLIENT_GO_ON ? 0 : status;
}

static int measure_repeated(struct run_session *session, const struct run_options *options, char **argv)
{
	char *shells[RUN_COMMANDS_MAX][4];
	char label[RUN_LABEL_SIZE];
	struct compare_group groups[RUN_COMMANDS_MAX];
	struct run_plan plan = {
		.commands = {argv},
		.names = {options->name ? options->name : label},
		.n_commands = 1,
		.repeat = (unsigned)(options->repeat       ? options->repeat
				     : options->n_compared ? RUN_REPEAT_COMPARED
							   : 1),
		.warmup = (unsigned)options->warmup,
		.cgroup = name_of(options, argv),
		.ignore_failure = options->ignore_failure,
		.show_output = options->show_output,
		.quiet = options->quiet,
	};
	int status, written;

	join_words(argv, label, sizeof(label));
	for (size_t i = 0; i < options->n_compared; i++, plan.n_commands++) {
		memcpy(shells[i], (char *[]){(char *)"sh", (char *)"-c", (char *)options->compared[i], NULL},
		       sizeof(shells[i]));
		plan.commands[plan.n_commands] = shells[i];
		plan.names[plan.n_commands] = options->compared[i];
	}
	status = repeat_runs(session, &plan, groups);
	written = report_groups(session, options, groups, plan.n_commands);
	for (size_t i = 0; i < plan.n_commands; i++)
		compare_group_done(&groups[i]);
	return status ? status : written;
}

static int run_and_clean_up(const struct run_options *options, char **argv)
{
	struct run_daemons_settings settings = {.sensor_config = options->sensor_config,
						.sensor_words = options->sensor_words,
						.formula = options->formula,
						.interval_ms = options->interval_ms,
						.verbose = options->verbose};
	struct run_session *session = calloc(1, sizeof(*session));
	int status, closed;

	if (!session)
		return client_fail(CLIENT_EXIT_CANNOT, "out of memory");
	run_signals_block();
	status = run_session_open(session, &settings, options->user, name_of(options, argv));
	if (status == CLIENT_GO_ON)
		status = is_repeated(options) ? measure_repeated(session, options, argv)
					      : measure_once(session, options, argv);
	closed = run_session_close(session);
	free(session);
	return status ? status : closed;
}

static int run(void *data, char *argv[])
{
	const struct run_options *options = data;
	int status;

	if (!argv[0])
		return client_fail(CLIENT_EXIT_USAGE,
				   "run: no command given; example: wattribute run -- ./bench");
	status = check_options(options);
	return status == CLIENT_GO_ON ? run_and_clean_up(options, argv) : status;
}

int client_run_main(int argc, char *argv[])
{
	struct run_options options;

	return client_main(&spec, &options, argc, argv, run);
}
