/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute check`: runs the sensor's own probe and prints what this machine can measure, what is missing,
 * why, and how to fix it, as the sensor words it. Knows no counter itself.
 */
#include "client.h"
#include "base/text_fold.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_INDENT     11 /* of the second line of an entry */
#define CHECK_OUTPUT_MAX (1024 * 1024)

struct check_options {
	bool json;
};

static const struct config_row check_rows[] = {
	{.name = "json", .letter = 'j', CONFIG_FIELD(struct check_options, json), .help = "print JSON"},
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
	for (int i = 1; i < argc; i++) {
		bool is_own = false;

		for (size_t k = 0; k < ARRAY_SIZE(known); k++)
			is_own = is_own || strcmp(argv[i], known[k]) == 0;
		if (is_own)
			own[n_own++] = argv[i];
		else
			sensor[n_sensor++] = argv[i];
		if (strcmp(argv[i], "-j") == 0 || strcmp(argv[i], "--json") == 0)
			sensor[n_sensor++] = (char *)"--json";
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

static int check_machine(char *const *arguments)
{
	cleanup_(cleanup_free) char *text = NULL;
	const int status = check_run_probe(arguments[0], arguments, &text);

	if (status < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot run %s: %s", arguments[0], strerror(-status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == CLIENT_EXIT_USAGE)
		return CLIENT_EXIT_USAGE; /* the sensor has said what is wrong with its options */
	if (!*text)
		return client_fail(CLIENT_EXIT_FAILURE, "%s --check-machine gave no answer", arguments[0]);
	if (*text == '{')
		fputs(text, stdout);
	else
		text_fold_print(stdout, text, CHECK_INDENT);
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
		status = found ? check_machine(sensor)
			       : client_fail(CLIENT_EXIT_FAILURE, "cannot find the program wattribute-sensor "
								  "beside this one or in PATH; "
								  "install it");
	config_free(config);
	config_done(&check_spec, &options);
	return status;
}
