/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-sensor: options, then the duty of this process. Nothing else is done here.
 */
#include "check_machine.h"
#include "collect.h"
#include "duty.h"
#include "log.h"
#include "sensor_config.h"
#include "supervise.h"

#include <string.h>

static int run(struct sensor_config *config, enum config_action action, char *argv[])
{
	const char *duty = duty_current();

	log_set_level(config->verbose > 0 ? LOG_LEVEL_DEBUG : (enum log_level)(config->log_level + LOG_LEVEL_ERROR));
	if (!duty) {
		if (action == CONFIG_CHECK)
			return 0;
		if (config->check_machine)
			return check_machine_main(config);
		log_set_name("wattribute-sensor");
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
	return log_error("main", 0, "unknown duty '%s'", duty), 2;
}

int main(int argc, char *argv[])
{
	struct sensor_config config;
	struct config *loaded = NULL;
	char why[512] = "";
	int code = 2;

	if (config_load(&sensor_config_spec, &config, argc, argv, &loaded, why, sizeof(why)) < 0)
		(void)log_error("config", 0, "%s", why);
	else if (config_get_action(loaded) == CONFIG_EXIT)
		code = 0;
	else
		code = run(&config, config_get_action(loaded), argv);
	config_free(loaded);
	sensor_config_done(&config);
	return code;
}
