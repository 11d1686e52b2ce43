/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-server: options, then the duty of this process: the server itself, or one of its store
 * processes.
 */
#include "api/api.h"
#include "db/db.h"
#include "process/duty.h"
#include "base/printed.h"
#include "base/folder.h"
#include "base/log.h"
#include "http/web_config.h"
#include "process/sandbox.h"
#include "server.h"
#include "store/store.h"
#include "base/reason.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAIN_CACHE_KB   16384 /* places in the indexes of a thousand collections */
#define MAIN_GIVE_UP_MS 60000 /* longest time that a store may be unavailable with --once */

/*
 * A store process started as root reads foreign documents, so it keeps only the capabilities needed for other
 * users' files; for a database over the network it needs no privileges and becomes the service's user.
 */
static void keep_file_rights(const struct server_config *config, const char *uri)
{
	const bool local = store_uri_traits(uri) & STORE_LOCAL;
	uint64_t capabilities = SANDBOX_CAPABILITY(CAP_DAC_OVERRIDE) | SANDBOX_CAPABILITY(CAP_CHOWN);
	struct reason why = {""};
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	if (geteuid() != 0 || config->sandbox == SANDBOX_OFF)
		return;
	if (!local && sandbox_service_user(NULL, &uid, &gid))
		capabilities = 0;
	if (sandbox_drop(uid, gid, capabilities, &why) < 0)
		log_debug("main", 0, "the store's process keeps its capabilities: %s", why.text);
}

/* Restricts it to writing the store's file. */
static int restrict_store(const struct server_config *config, const char *uri)
{
	char path[4096];
	const char *places[] = {store_uri_path(uri, path, sizeof(path)), NULL};
	struct reason why = {""};
	int r = sandbox_restrict(
		&(struct sandbox_limits){
			.mode = (enum sandbox_mode)config->sandbox,
			.profile = SANDBOX_WRITE,
			.reach = SANDBOX_WRITES_BELOW,
			.places = places,
			.missing = log_each_notice,
			.data = "main",
		},
		&why);

	if (r < 0)
		log_error("main", 0, "%s", why.text);
	return r;
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
				.flags = output ? STORE_READ | STORE_WRITE |
							  (config->durable ? STORE_DURABLE : 0) |
							  (config->renew_damaged ? STORE_RENEW : 0)
						: STORE_READ,
			},
		.give_up_ms = config->once ? MAIN_GIVE_UP_MS : 0,
		.bounds = {.max_bytes = output ? config->store_size : 0,
			   .retention_s = output ? config->retention_ms / 1000 : 0},
		.lease_ms = output ? config->lease_ms : 0,
		.about = config->about,
	};

	/* The first process handles signals to the group; everything that it still sends is written. */
	duty_ignore_signals();
	keep_file_rights(config, options.uri);
	if (restrict_store(config, options.uri) < 0)
		return 1;
	return db_serve(DUTY_SOCKET_FD, &options);
}

static int run(const struct server_config *config, char *argv[])
{
	static const struct server_face face = {api_start, api_stop};
	const char *duty = duty_current();
	struct reason why;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;

	log_set_level((enum log_level)(config->log_level + LOG_LEVEL_ERROR));
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
	/*
	 * The folder of the default SQLite file, which is written without root privileges; the store reports
	 * failures.
	 */
	if (!config->uri && !config->input)
		(void)folder_make(config->state_dir, 0750, uid, gid);
	if (config->user && sandbox_drop(uid, gid, 0, &why) < 0) {
		log_error("main", 0, "%s", why.text);
		return 1;
	}
	return server_run(config, &face, argv);
}

/* With --once a missing file is a typo, not a file that a sensor will create later. */
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

static bool folder_has_files(const char *path)
{
	DIR *folder = opendir(path);
	const struct dirent *entry = NULL;

	while (folder && (entry = readdir(folder)) && entry->d_name[0] == '.')
		;
	if (folder)
		(void)closedir(folder);
	return entry != NULL;
}

/* A second run into the same file is legitimate (a stream in parts) but rarely intended. */
static void warn_of_appending(const struct server_config *config)
{
	char path[PATH_MAX], display[256];
	struct stat info;

	if (!config->once || config->resume || !(store_uri_traits(config->output_uri) & STORE_STREAM) ||
	    stat(store_uri_path(config->output_uri, path, sizeof(path)), &info) < 0 ||
	    (S_ISREG(info.st_mode) ? info.st_size == 0 : !S_ISDIR(info.st_mode)))
		return;
	if (S_ISDIR(info.st_mode) && !folder_has_files(path))
		return;
	log_warning(
		"config", 0,
		"'%s' already exists: the power reports of this run are appended to it, and its readers get "
		"both; remove it first, or choose another --output",
		store_uri_display(config->output_uri, display, sizeof(display)));
}

static int check_settings(const struct server_config *config)
{
	char input[256], output[256];
	struct reason why = {""};
	int status = check_input(config);
	uid_t uid;
	gid_t gid;

	if (config->user && sandbox_find_user(config->user, &uid, &gid) < 0)
		reason_set(&why, 0, "user '%s' does not exist; choose another with --user", config->user);
	if (status == 0 && (why.text[0] || !store_place_fits(config->input_uri, &why) ||
			    !store_place_fits(config->output_uri, &why))) {
		log_error("config", 0, "%s", why.text);
		status = 2;
	}

	if (status == 0)
		printf("the configuration is valid: reports come from '%s', power reports go to '%s'\n",
		       store_uri_display(config->input_uri, input, sizeof(input)),
		       store_uri_display(config->output_uri, output, sizeof(output)));
	return status;
}

/* Only for the process that answers requests: the others do not need the key. */
static int load_web(struct server_config *config, struct reason *why)
{
	if (duty_current() || !config->web_config || !config->address)
		return 0;
	return web_config_load(config->web_config, &config->web, why);
}

/* Which child may know the value of an option; the token is for requests, which no child sees. */
static bool needs(const char *duty, const char *option)
{
	return strcmp(option, "token") != 0 && (strcmp(duty, "store") == 0 || strcmp(option, "output") != 0);
}

int main(int argc, char *argv[])
{
	struct server_config config;
	struct config *loaded;
	struct reason why = {""};
	int status = 0;
	int r;

	duty_begin();
	r = duty_current() ? duty_take_secrets(argc, argv) : 0;
	if (r < 0) {
		(void)fprintf(stderr,
			      "wattribute-server: cannot receive the settings of the first process: %s\n",
			      r == -EPIPE ? "it has ended" : strerror(-r));
		return 1;
	}
	r = config_load(&server_config_spec, &config, argc, argv, &loaded, &why);
	if (r == 0 && (r = load_web(&config, &why)) < 0)
		config_free(loaded);
	if (r < 0) {
		(void)fprintf(stderr, "wattribute-server: %s\n", why.text);
		server_config_done(&config);
		return 2;
	}
	log_set_name("wattribute-server");
	if (!duty_current())
		duty_take_options(loaded, argv, needs, log_each_warning);
	if (config_get_action(loaded) == CONFIG_CHECK)
		status = check_settings(&config);
	else if (config_get_action(loaded) == CONFIG_RUN)
		status = check_input(&config);
	if (config_get_action(loaded) == CONFIG_RUN && status == 0 && !duty_current())
		warn_of_appending(&config);
	if (config_get_action(loaded) == CONFIG_RUN && status == 0)
		status = run(&config, argv);
	config_free(loaded);
	web_config_free(config.web);
	server_config_done(&config);
	r = duty_current() ? 0 : printed_flush(stdout);
	if (r < 0 && status == 0) {
		log_error("main", r, "cannot write the output");
		status = 1;
	}
	return status;
}
