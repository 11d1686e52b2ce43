/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-server: options, then the duty of this process: the server itself, or one of its store
 * processes.
 */
#include "api/api.h"
#include "base/clock.h"
#include "db/db.h"
#include "process/duty.h"
#include "base/folder.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "server.h"
#include "store/store.h"
#include "base/reason.h"

#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIN_CACHE_KB   16384 /* places in the indexes of a thousand collections */
#define MAIN_GIVE_UP_MS 60000 /* with --once a store may be away for so long */

static int drop_rights(const struct server_config *config, uid_t uid, gid_t gid)
{
	struct reason why;
	int r;

	if (!config->user)
		return 0;
	r = sandbox_drop(uid, gid, 0, &why);
	if (r < 0)
		log_error("main", 0, "%s", why.text);
	return r;
}

/* Root's store process, which reads foreign documents, keeps what files of others need and nothing else. */
static void keep_file_rights(const struct server_config *config)
{
	struct reason why = {""};

	if (geteuid() != 0 || config->sandbox == SANDBOX_OFF)
		return;
	if (sandbox_drop((uid_t)-1, (gid_t)-1,
			 SANDBOX_CAPABILITY(CAP_DAC_OVERRIDE) | SANDBOX_CAPABILITY(CAP_CHOWN), &why) < 0)
		log_debug("main", 0, "the store's process keeps its capabilities: %s", why.text);
}

static void enter_sandbox(enum sandbox_profile profile, const struct server_config *config)
{
	struct reason why = {""};

	if (sandbox_enter(profile, (enum sandbox_mode)config->sandbox, &why) < 0)
		log_debug("main", 0, "no seccomp filter: %s", why.text);
}

static int run_store(const struct server_config *config, const char *duty)
{
	bool output = strcmp(duty, "store") == 0;
	struct db_options options = {
		.uri = output ? config->output_uri : config->input_uri,
		.store =
			{
				.database = config->database,
				.cache_kb = output ? MAIN_CACHE_KB : 0,
				.flags = output ? STORE_READ | STORE_WRITE : STORE_READ,
			},
		.give_up_ms = config->once ? MAIN_GIVE_UP_MS : 0,
	};

	/* A signal to the whole group is the first process's affair: what it still sends is written. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	keep_file_rights(config);
	enter_sandbox(SANDBOX_WRITE, config);
	return db_serve(DUTY_SOCKET_FD, &options);
}

static int run(const struct server_config *config, char *argv[])
{
	static const struct server_face face = {api_start, api_stop};
	const char *duty = duty_current();
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	log_set_level(config->level);
	if (config->sandbox != SANDBOX_OFF)
		sandbox_hide_memory();
	if (duty) {
		log_set_name(strcmp(duty, "store") == 0 ? "wattribute-server store"
							: "wattribute-server input");
		return run_store(config, duty);
	}
	log_set_name("wattribute-server");
	if (config->user && sandbox_find_user(config->user, &uid, &gid) < 0) {
		log_error("main", 0, "user '%s' does not exist; choose another with --user", config->user);
		return 1;
	}
	/* Of the default SQLite file, which is written without root's rights; the store says what fails. */
	if (!config->uri && !config->input)
		(void)folder_make(config->state_dir, 0750, uid, gid);
	if (drop_rights(config, uid, gid) < 0)
		return 1;
	return server_run(config, &face, argv);
}

/* With --once a file that is not there is a slip of the pen, and not one that a sensor will make. */
static int check_input(const struct server_config *config)
{
	char path[PATH_MAX];

	if (!config->once || !(config->uri || config->input) ||
	    store_uri_traits(config->input_uri) & STORE_STREAM ||
	    !store_uri_path(config->input_uri, path, sizeof(path))[0] || access(path, F_OK) == 0)
		return 0;
	log_error("config", 0, "cannot read '%s': %s; check the path, and whether a sensor has written there",
		  path, strerror(errno));
	return 2;
}

static int check_settings(const struct server_config *config)
{
	char input[256], output[256];
	int status = check_input(config);

	if (status == 0)
		printf("the configuration is valid: reports come from '%s', power reports go to '%s'\n",
		       store_uri_display(config->input_uri, input, sizeof(input)),
		       store_uri_display(config->output_uri, output, sizeof(output)));
	return status;
}

int main(int argc, char *argv[])
{
	struct server_config config;
	struct config *loaded;
	struct reason why = {""};
	int status = 0;
	int r;

	r = config_load(&server_config_spec, &config, argc, argv, &loaded, &why);
	if (r < 0) {
		(void)fprintf(stderr, "wattribute-server: %s\n", why.text);
		server_config_done(&config);
		return 2;
	}
	log_set_name("wattribute-server");
	if (config_get_action(loaded) == CONFIG_CHECK)
		status = check_settings(&config);
	else if (config_get_action(loaded) == CONFIG_RUN)
		status = check_input(&config);
	if (config_get_action(loaded) == CONFIG_RUN && status == 0)
		status = run(&config, argv);
	config_free(loaded);
	server_config_done(&config);
	return status;
}
