/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-sensor: options, then the duty of this process. Nothing else is done here.
 */
#include "target/cgroup.h"
#include "check_machine.h"
#include "collect/collect.h"
#include "process/duty.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "config/sensor_config.h"
#include "store/store.h"
#include "supervise.h"
#include "base/reason.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is right by itself may still not fit this machine. */
static int check_settings(const struct sensor_config *config)
{
	struct cgroup_layout layout;
	char display[256];
	uid_t uid;
	gid_t gid;

	if (geteuid() == 0 && sandbox_find_user(config->user, &uid, &gid) < 0) {
		log_error("config", 0, "user '%s' does not exist; choose another with --user", config->user);
		return 2;
	}
	if (config->cgroup_base && config->cgroup_base[0] &&
	    cgroup_layout_detect(config->cgroup_base, &layout) < 0) {
		log_error("config", 0, "%s", layout.text);
		return 2;
	}
	printf("the configuration is valid: reports of '%s' go to '%s', collection '%s'\n", config->name,
	       store_uri_display(config->store_uri, display, sizeof(display)), config->reports);
	return 0;
}

static int run(struct sensor_config *config, enum config_action action, char *argv[])
{
	const char *duty = duty_current();

	log_set_level(config->verbose > 0 ? LOG_LEVEL_DEBUG
					  : (enum log_level)(config->log_level + LOG_LEVEL_ERROR));
	if (!duty) {
		if (action == CONFIG_CHECK)
			return check_settings(config);
		if (config->check_machine)
			return check_machine_main(config);
		return supervise_main(config, argv);
	}
	if (strcmp(duty, "collect") == 0) {
		log_set_name("wattribute-sensor collect");
		return collect_main(config);
	}
	if (strcmp(duty, "write") == 0) {
		log_set_name("wattribute-sensor write");
		return write_main(config);
	}
	log_error("main", 0, "unknown duty '%s'", duty);
	return 2;
}

int main(int argc, char *argv[])
{
	struct sensor_config config;
	struct config *loaded = NULL;
	struct reason why = {""};
	int code = 2;

	log_set_name("wattribute-sensor");
	if (config_load(&sensor_config_spec, &config, argc, argv, &loaded, &why) < 0)
		log_error("config", 0, "%s", why.text);
	else if (config_get_action(loaded) == CONFIG_EXIT)
		code = 0;
	else
		code = run(&config, config_get_action(loaded), argv);
	config_free(loaded);
	sensor_config_done(&config);
	return code;
}
