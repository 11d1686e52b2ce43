/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by all subcommands: loads options, prints errors, finds the daemons' programs. Independent of what a
 * subcommand does.
 */
#include "client.h"

#include "base/folder.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int client_fail(int status, const char *format, ...)
{
	va_list arguments;
	char text[4096];

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* The text may quote a server's answer, which must not control the terminal. */
	text_make_plain(text, ' ');
	fprintf(stderr, "wattribute: %s\n", text);
	return status;
}

static bool warn(void *data, const char *sentence)
{
	fprintf(stderr, "%s: warning: %s\n", (const char *)data, sentence);
	return true;
}

int client_main(const struct config_spec *spec, void *options, int argc, char *argv[],
		int (*run)(void *options, char *argv[]))
{
	struct config *config = NULL;
	struct reason why = {""};
	int status = CLIENT_EXIT_OK;

	if (config_load(spec, options, argc, argv, &config, &why) < 0) {
		fprintf(stderr, "%s: %s\nTry '%s --help'.\n", spec->program, why.text, spec->program);
		status = CLIENT_EXIT_USAGE;
	} else if (config_get_action(config) == CONFIG_RUN) {
		config_hide_secrets(config, argv);
		(void)config_each_doubtful_value(config, warn, (void *)(uintptr_t)spec->program);
		status = run(options, argv + config_rest(config));
	}
	config_free(config);
	config_done(spec, options);
	return status;
}

char *client_token(void)
{
	const char *given = getenv(CLIENT_TOKEN_VARIABLE);
	struct reason why;
	char *token;

	return given && config_take_secret(given, &token, &why) == 0 ? token : NULL;
}

/* "FOLDER/NAME" in `ret_path` if that can be executed. */
static int try_program(const char *folder, size_t folder_length, const char *name, char *ret_path,
		       size_t size)
{
	int length = snprintf(ret_path, size, "%.*s/%s", (int)folder_length, folder, name);

	if (length < 0 || (size_t)length >= size)
		return -ENAMETOOLONG;
	return access(ret_path, X_OK) == 0 ? 0 : -ENOENT;
}

static int search_path(const char *name, char *ret_path, size_t size)
{
	const char *path = getenv("PATH");

	while (path && *path) {
		size_t length = strcspn(path, ":");

		if (length > 0 && try_program(path, length, name, ret_path, size) == 0)
			return 0;
		path += length + (path[length] == ':');
	}
	return -ENOENT;
}

char *client_default_store(void)
{
	char *folder = folder_state_default(), *store = NULL;

	if (folder && asprintf(&store, "sqlite:%s/wattribute.db", folder) < 0)
		store = NULL;
	free(folder);
	return store;
}

int client_find_program(const char *name, char *ret_path, size_t size)
{
	char own[PATH_MAX];
	char folder[PATH_MAX + 8];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (length > 0) {
		own[length] = '\0';
		*strrchr(own, '/') = '\0';
		if (try_program(own, strlen(own), name, ret_path, size) == 0)
			return 0;
		(void)snprintf(folder, sizeof(folder), "%s/../sbin", own);
		if (try_program(folder, strlen(folder), name, ret_path, size) == 0)
			return 0;
	}
	return search_path(name, ret_path, size);
}
