/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor as a program: options, then the duty of this process. wattribute-sensor calls it for this
 * machine, wattribute-sim for a simulated one; --sim turns the first into the second.
 */
#include "sensor.h"

#include "cgroup/cgroup.h"
#include "check_machine.h"
#include "collect/collect.h"
#include "process/duty.h"
#include "gpu/gpu_main.h"
#include "base/printed.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "config/sensor_config.h"
#include "store/store.h"
#include "supervise.h"
#include "write/write_main.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A valid configuration may still not fit this machine. */
static int check_settings(const struct sensor_config *config)
{
	struct cgroup_layout layout;
	char display[256];
	struct reason why = {""};
	uid_t uid;
	gid_t gid;

	if (geteuid() == 0 && !sandbox_service_user(config->user, &uid, &gid)) {
		log_error("config", 0, "user '%s' does not exist; choose another with --user",
			  config->user ? config->user : "nobody");
		return 2;
	}
	if (config->cgroup_base && config->cgroup_base[0] &&
	    cgroup_layout_detect(config->cgroup_base, &layout) < 0) {
		log_error("config", 0, "%s", layout.text);
		return 2;
	}
	if (access(config->sysfs_root, X_OK) < 0 || access(config->procfs_root, X_OK) < 0) {
		const bool sysfs = access(config->sysfs_root, X_OK) < 0;

		log_error("config", -errno, "cannot read '%s'; check --%s",
			  sysfs ? config->sysfs_root : config->procfs_root,
			  sysfs ? "sysfs-root" : "procfs-root");
		return 2;
	}
	if (!store_place_fits(config->store_uri, &why)) {
		log_error("config", 0, "%s", why.text);
		return 2;
	}
	printf("the configuration is valid: reports of '%s' go to '%s', collection '%s'\n", config->name,
	       store_uri_display(config->store_uri, display, sizeof(display)), config->reports);
	return 0;
}

/* Executes the program of the simulated machine with the same arguments. Returns only if it is missing. */
static int become_simulator(char *argv[])
{
	char own[4096], path[sizeof(own) + sizeof(SENSOR_SIMULATOR)];
	const ssize_t n = readlink("/proc/self/exe", own, sizeof(own) - 1);

	if (n > 0) {
		own[n] = '\0';
		*strrchr(own, '/') = '\0';
		(void)snprintf(path, sizeof(path), "%s/" SENSOR_SIMULATOR, own);
		(void)execv(path, argv);
	}
	(void)execvp(SENSOR_SIMULATOR, argv);
	log_error("sim", -errno,
		  "--sim needs the program " SENSOR_SIMULATOR
		  ", which is neither next to this one nor in PATH. 'make' builds it, 'make install' "
		  "installs it");
	return 2;
}

static int run(struct sensor_config *config, enum config_action action, char *argv[],
	       const struct collect_machine *simulated)
{
	const char *duty = duty_current();

	if (simulated && !config->sim) {
		log_error("sim", 0,
			  SENSOR_SIMULATOR " measures only simulated machines: add --sim SCENARIO.json");
		return 2;
	}
	log_set_level(config->verbose > 0 ? LOG_LEVEL_DEBUG
					  : (enum log_level)(config->log_level + LOG_LEVEL_ERROR));
	if (config->sandbox != SANDBOX_OFF)
		sandbox_hide_memory();
	if (!duty) {
		if (action == CONFIG_CHECK)
			return check_settings(config);
		if (config->check_machine)
			return check_machine_main(config);
		if (config->sim && !simulated)
			return become_simulator(argv);
		return supervise_main(config, argv);
	}
	if (strcmp(duty, "collect") == 0) {
		log_set_name("wattribute-sensor collect");
		return collect_main(config, simulated);
	}
	if (strcmp(duty, WRITE_DUTY) == 0 || strcmp(duty, WRITE_DUTY_SPOOL) == 0) {
		log_set_name("wattribute-sensor write");
		return write_main(config);
	}
	if (strcmp(duty, GPU_DUTY) == 0) {
		log_set_name("wattribute-sensor gpu");
		return gpu_main(config);
	}
	log_error("main", 0, "unknown duty '%s'", duty);
	return 2;
}

/* `collect` reads untrusted data and needs no password. */
static bool needs(const char *duty, const char *option)
{
	(void)option;
	return strcmp(duty, "collect") != 0;
}

int sensor_main(int argc, char *argv[], const struct collect_machine *simulated)
{
	struct sensor_config config;
	struct config *loaded = NULL;
	struct reason why = {""};
	int code = 2;

	duty_begin();
	log_set_name("wattribute-sensor");
	int r = duty_current() ? duty_take_secrets(argc, argv) : 0;
	if (r < 0) {
		log_error("main", r, "cannot receive the settings of the first process");
		return 1;
	}
	r = config_load(&sensor_config_spec, &config, argc, argv, &loaded, &why);
	/* The simulated machine's program gets the same arguments, and hides them itself. */
	if (r == 0 && !duty_current() && (!config.sim || simulated))
		duty_take_options(loaded, argv, needs, log_each_warning);
	if (r < 0)
		log_error("config", 0, "%s", why.text);
	else if (config_get_action(loaded) == CONFIG_EXIT)
		code = 0;
	else
		code = run(&config, config_get_action(loaded), argv, simulated);
	config_free(loaded);
	sensor_config_done(&config);
	r = duty_current() ? 0 : printed_flush(stdout);
	if (r < 0 && code == 0) {
		log_error("main", r, "cannot write the output");
		code = 1;
	}
	return code;
}
