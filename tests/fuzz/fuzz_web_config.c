/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --web-config: any bytes are refused with a reason, or give users with names and hashes.
 */
#include "fuzz/driver/fuzz_files.h"
#include "http/web_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct web_config *config = NULL;
	struct reason why = {""};
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/web-config", fuzz_folder());
	fuzz_keep("web-config", data, size);
	if (web_config_load(path, &config, &why) < 0) {
		if (!why.text[0] || config)
			abort();
	} else {
		for (size_t i = 0; i < config->n_users; i++)
			if (!config->users[i].name || !config->users[i].hash)
				abort();
		web_config_free(config);
	}
	return 0;
}
