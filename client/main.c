/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute: the client. Finds the subcommand and calls it; for a mistyped one it suggests the nearest.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/printed.h"
#include "base/text.h"

#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct command {
	const char *name;
	int (*run)(int argc, char *argv[]);
	const char *help;
};

static const struct command commands[] = {
	{"run", client_run_main, "measure one command: wattribute run -- COMMAND..."},
	{"check", client_check_main, "what this machine can measure, what it cannot, why, and the fix"},
	{"top", client_top_main, "watts of each container, refreshed every second"},
	{"recap", client_recap_main, "energy of finished runs"},
	{"export", client_export_main, "power reports of a store as CSV or JSON lines"},
	{"calibrate", client_calibrate_main,
	 "calibrate this machine's model with known loads, for three minutes"},
};

static void print_usage(FILE *out)
{
	fputs("usage: wattribute COMMAND [options]\n"
	      "Every container's share of the machine's watts.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(out, "  %-9s %s\n", commands[i].name, commands[i].help);
	fputs("\n'wattribute COMMAND --help' shows the options of a command.\n", out);
}

static int fail_unknown(const char *word)
{
	const char *known[ARRAY_SIZE(commands)];
	const char *nearest;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		known[i] = commands[i].name;
	nearest = text_nearest(word, known, ARRAY_SIZE(known));
	if (nearest)
		return client_fail(CLIENT_EXIT_USAGE, "unknown command '%s'; did you mean '%s'?", word,
				   nearest);
	(void)client_fail(CLIENT_EXIT_USAGE, "unknown command '%s'", word);
	print_usage(stderr);
	return CLIENT_EXIT_USAGE;
}

static int run(int argc, char *argv[])
{
	if (argc < 2) {
		print_usage(stderr);
		return CLIENT_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "help") && argc > 2) {
		argv[1] = argv[2]; /* "help run" is "run --help" */
		argv[2] = (char *)"--help";
		argc = 3;
	} else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return CLIENT_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		puts("wattribute " WATTRIBUTE_VERSION);
		return CLIENT_EXIT_OK;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 1, argv + 1);
	return fail_unknown(argv[1]);
}

int main(int argc, char *argv[])
{
	int status, r;

	(void)setlocale(LC_CTYPE, "");
	/* The caller may ignore SIGCHLD; then no child could be waited for. */
	(void)signal(SIGCHLD, SIG_DFL);
	status = run(argc, argv);
	r = printed_flush(stdout);
	if (r < 0 && status == CLIENT_EXIT_OK)
		status = client_fail(CLIENT_EXIT_FAILURE, "cannot write the output: %s", strerror(-r));
	return status;
}
