/* SPDX-License-Identifier: Apache-2.0 */
/* The file of --web-config: any YAML or none is refused with a reason, or gives users with names and hashes.
 */
#include "http/web_config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct web_config *config = NULL;
	struct reason why = {""};
	char path[64];
	int fd = memfd_create("web-config", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (web_config_load(path, &config, &why) < 0) {
		if (!why.text[0] || config)
			abort();
	} else {
		for (size_t i = 0; i < config->n_users; i++)
			if (!config->users[i].name || !config->users[i].hash)
				abort();
		web_config_free(config);
	}
	(void)close(fd);
	return 0;
}
