/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute check`: runs the sensor's own probe and prints what this machine can measure, what is missing,
 * why, and how to fix it. Knows no counter itself.
 */
#include "client.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_OUTPUT_MAX (1024 * 1024)

struct check_options {
	bool json;
};

static const struct config_row check_rows[] = {
	{.name = "json",
	 .letter = 'j',
	 .type = CONFIG_BOOL,
	 .offset = offsetof(struct check_options, json),
	 .help = "print JSON"},
};

static const struct config_spec check_spec = {
	.program = "wattribute check",
	.arguments = "[SENSOR-OPTION...]",
	.about = "Lists what this machine can measure, what it cannot, why, and how to fix it. The exit "
		 "status is 0 if there is anything from which watts can be measured or estimated.",
	.rows = check_rows,
	.n_rows = ARRAY_SIZE(check_rows),
	.target_size = sizeof(struct check_options),
	.tail = "All other options are those of wattribute-sensor, for example -e EVENT, --activity perf, "
		"--frequency 100ms, --sysfs-root or --docker-root: what is printed is what a sensor with "
		"these "
		"options would use.",
};

/*
 * Splits the command line: `own` gets what this program knows, `sensor` the rest, after the words that ask
 * for the check. Both have room for argc + 4 pointers.
 */
static int split_arguments(int argc, char *argv[], const char *program, char **own, char **sensor)
{
	static const char *const known[] = {"-j", "--json", "-h", "--help", "--usage", "-V", "--version"};
	int n_own = 0, n_sensor = 0;

	own[n_own++] = argv[0];
	sensor[n_sensor++] = (char *)program;
	sensor[n_sensor++] = (char *)"--check-machine";
	sensor[n_sensor++] = (char *)"--json";
	for (int i = 1; i < argc; i++) {
		bool is_own = false;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			is_own = is_own || strcmp(argv[i], known[k]) == 0;
		if (is_own)
			own[n_own++] = argv[i];
		else
			sensor[n_sensor++] = argv[i];
	}
	own[n_own] = sensor[n_sensor] = NULL;
	return n_own;
}

/* Runs the probe; its standard output in `ret_text` (owned by the caller), its wait status as the result, or
 * -errno. */
static int check_run_probe(const char *program, char *const *arguments, char **ret_text)
{
	cleanup_(cleanup_free) char *text = malloc(CHECK_OUTPUT_MAX + 1);
	size_t length;
	int status;
	FILE *output;
	int ends[2];
	pid_t child;

	if (!text || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	child = fork();
	if (child == 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		execv(program, arguments);
		_exit(CLIENT_EXIT_NOT_EXECUTABLE);
	}
	(void)close(ends[1]);
	output = fdopen(ends[0], "r");
	if (child < 0 || !output)
		return -errno;
	length = fread(text, 1, CHECK_OUTPUT_MAX, output);
	text[length] = '\0';
	(void)fclose(output);
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	*ret_text = TAKE_POINTER(text);
	return status;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* The entry's name has another key in each part. */
static const char *entry_name(const json_t *entry)
{
	static const char *const keys[] = {"source", "event", "right", "runtime", "name", "version"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (*text_at(entry, keys[i]))
			return text_at(entry, keys[i]);
	return "?";
}

/* "cost at 100 containers: 6 descriptors, 0.25 ms of CPU time per second" */
static void print_costs(const json_t *entry)
{
	const json_t *costs = json_object_get(entry, "cost");

	for (size_t i = 0; i < json_array_size(costs); i++) {
		const json_t *cost = json_array_get(costs, i);
		const int64_t by_cpustat = json_integer_value(json_object_get(cost, "by_cpustat"));

		printf("           cost at %" PRId64 " containers: %" PRId64
		       " descriptors, about %.2f ms of CPU time per second",
		       (int64_t)json_integer_value(json_object_get(cost, "containers")),
		       (int64_t)json_integer_value(json_object_get(cost, "descriptors")),
		       json_real_value(json_object_get(cost, "cpu_ms_per_s")));
		if (by_cpustat > 0)
			printf("; %" PRId64 " only by CPU time, as descriptors run out", by_cpustat);
		printf("\n");
	}
}

static void print_entry(const json_t *entry)
{
	const char *status = text_at(entry, "status");
	const char *path = text_at(entry, "path");
	const char *why = text_at(entry, "why");

	printf("  %-8s %s%s", *status ? status : "-", entry_name(entry),
	       json_is_true(json_object_get(entry, "used")) ? " [used]" : "");
	if (*path)
		printf(" (%s)", path);
	printf("%s%s\n", *why ? ": " : "", why);
	if (*text_at(entry, "remedy"))
		printf("           fix: %s\n", text_at(entry, "remedy"));
	print_costs(entry);
}

static void print_part(const json_t *answer, const char *key, const char *title)
{
	const json_t *part = json_object_get(answer, key);

	if (!part)
		return;
	printf("\n%s\n", title);
	if (!json_is_array(part)) {
		print_entry(part);
		return;
	}
	for (size_t i = 0; i < json_array_size(part); i++)
		print_entry(json_array_get(part, i));
}

static void print_machine(const json_t *machine)
{
	printf("machine  %s, kernel %s", text_at(machine, "hostname"), text_at(machine, "kernel"));
	if (*text_at(machine, "cpu"))
		printf(", %s", text_at(machine, "cpu"));
	printf(", %" JSON_INTEGER_FORMAT " CPUs on %" JSON_INTEGER_FORMAT " sockets\n",
	       json_integer_value(json_object_get(machine, "cpus")),
	       json_integer_value(json_object_get(machine, "sockets")));
}

static void print_answer(const json_t *answer)
{
	const json_t *choice = json_object_get(answer, "choice");

	print_machine(json_object_get(answer, "machine"));
	print_part(answer, "energy", "energy (the machine's joules)");
	print_part(answer, "activity", "activity (each container's share)");
	print_part(answer, "events", "events");
	print_part(answer, "cgroups", "cgroups");
	print_part(answer, "rights", "rights");
	print_part(answer, "runtimes", "container names");
	if (!choice)
		return;
	printf("\nchosen   energy from %s, activity from %s\n", text_at(choice, "energy"),
	       text_at(choice, "activity"));
	if (*text_at(choice, "note"))
		printf("note     %s\n", text_at(choice, "note"));
}

static int check_machine(const struct check_options *options, char *const *arguments)
{
	cleanup_(cleanup_free) char *text = NULL;
	const int status = check_run_probe(arguments[0], arguments, &text);
	json_error_t error;
	json_t *answer;

	if (status < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot run %s: %s", arguments[0], strerror(-status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == CLIENT_EXIT_USAGE)
		return CLIENT_EXIT_USAGE; /* the sensor has said what is wrong with its options */
	answer = json_loads(text, 0, &error);
	if (!answer)
		return client_fail(CLIENT_EXIT_FAILURE, "%s --check-machine gave no answer (%s)",
				   arguments[0], error.text);
	if (options->json)
		fputs(text, stdout);
	else
		print_answer(answer);
	json_decref(answer);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLIENT_EXIT_FAILURE;
}

int client_check_main(int argc, char *argv[])
{
	cleanup_(cleanup_free) char **own = calloc((size_t)argc + 4, sizeof(*own));
	cleanup_(cleanup_free) char **sensor = calloc((size_t)argc + 4, sizeof(*sensor));
	struct check_options options;
	struct config *config = NULL;
	char program[PATH_MAX] = "";
	int status;

	if (!own || !sensor)
		return client_fail(CLIENT_EXIT_FAILURE, "out of memory");
	const bool found = client_find_program("wattribute-sensor", program, sizeof(program)) == 0;
	const int n_own = split_arguments(argc, argv, program, own, sensor);

	status = client_load_options(&check_spec, &options, n_own, own, &config);
	if (status == CLIENT_GO_ON)
		status = found ? check_machine(&options, sensor)
			       : client_fail(CLIENT_EXIT_FAILURE, "cannot find the program wattribute-sensor "
								  "beside this one or in PATH; "
								  "install it");
	config_free(config);
	config_done(&check_spec, &options);
	return status;
}
