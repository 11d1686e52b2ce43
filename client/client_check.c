/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute check`: runs the sensor's own probe and prints what this machine can measure, what is missing,
 * why, and how to fix it. Knows no counter itself.
 */
#include "client.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
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
	.about = "Lists what this machine can measure, what it cannot, why, and how to fix it. The exit "
		 "status is 0 if there is anything from which watts can be measured or estimated.",
	.rows = check_rows,
	.n_rows = ARRAY_SIZE(check_rows),
	.target_size = sizeof(struct check_options),
};

/* Runs the probe; its standard output in `ret_text` (owned by the caller), its wait status as the result, or
 * -errno. */
static int check_run_probe(const char *program, char **ret_text)
{
	char *const arguments[] = {(char *)program, (char *)"--check-machine", (char *)"--json", NULL};
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

static void print_entry(const json_t *entry)
{
	const char *status = text_at(entry, "status");
	const char *path = text_at(entry, "path");
	const char *why = text_at(entry, "why");

	printf("  %-8s %s", *status ? status : "-", entry_name(entry));
	if (*path)
		printf(" (%s)", path);
	printf("%s%s\n", *why ? ": " : "", why);
	if (*text_at(entry, "remedy"))
		printf("           fix: %s\n", text_at(entry, "remedy"));
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

static int check_machine(const struct check_options *options)
{
	char program[PATH_MAX];
	cleanup_(cleanup_free) char *text = NULL;
	json_error_t error;
	json_t *answer;
	int status;

	if (client_find_program("wattribute-sensor", program, sizeof(program)) < 0)
		return client_fail(
			CLIENT_EXIT_FAILURE,
			"cannot find the program wattribute-sensor beside this one or in PATH; install it");
	status = check_run_probe(program, &text);
	if (status < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot run %s: %s", program, strerror(-status));
	answer = json_loads(text, 0, &error);
	if (!answer)
		return client_fail(CLIENT_EXIT_FAILURE, "%s --check-machine gave no answer (%s)", program,
				   error.text);
	if (options->json)
		fputs(text, stdout);
	else
		print_answer(answer);
	json_decref(answer);
	return WIFEXITED(status) ? WEXITSTATUS(status) : CLIENT_EXIT_FAILURE;
}

int client_check_main(int argc, char *argv[])
{
	struct check_options options;
	struct config *config = NULL;
	int status = client_load_options(&check_spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON)
		status = check_machine(&options);
	config_free(config);
	config_done(&check_spec, &options);
	return status;
}
