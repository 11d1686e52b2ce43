/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute check`: becomes the sensor's own probe, which prints what this machine can measure, what is
 * missing, why, and how to fix it. Knows no counter itself.
 */
#include "client.h"
#include "base/cleanup.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

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
		"--frequency 100ms, --sysfs-root or --docker-root: the output is for a sensor with these "
		"options.",
};

static int print_help(char *program, char *word)
{
	struct check_options options;

	return client_main(&check_spec, &options, 2, (char *[]){program, word, NULL}, NULL);
}

int client_check_main(int argc, char *argv[])
{
	static const char *const own[] = {"-h", "--help", "--usage", "-V", "--version"};
	char **words = calloc((size_t)argc + 2, sizeof(*words));
	char program[PATH_MAX] = "";

	if (!words)
		return client_fail(CLIENT_EXIT_FAILURE, "out of memory");
	words[0] = program;
	words[1] = (char *)"--check-machine";
	for (int i = 1; i < argc; i++) {
		for (size_t k = 0; k < ARRAY_SIZE(own); k++)
			if (strcmp(argv[i], own[k]) == 0)
				return print_help(argv[0], argv[i]);
		words[i + 1] = strcmp(argv[i], "-j") == 0 ? (char *)"--json" : argv[i];
	}
	if (client_find_program("wattribute-sensor", program, sizeof(program)) < 0)
		return client_fail(
			CLIENT_EXIT_FAILURE,
			"cannot find the program wattribute-sensor next to this one or in PATH; install it");
	(void)execv(program, words);
	return client_fail(CLIENT_EXIT_FAILURE, "cannot run %s: %s", program, strerror(errno));
}
