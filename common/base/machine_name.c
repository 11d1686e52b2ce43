/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host name as a machine's name. Called at start by the sensor and the client.
 */
#include "base/machine_name.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t machine_name_host_length(const char *name)
{
	size_t length = strcspn(name, ".");

	return length ? length : strlen(name);
}

const char *machine_name_default(char *ret, size_t size)
{
	char host[MACHINE_NAME_SIZE] = "";

	if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
		(void)snprintf(host, sizeof(host), "localhost");
	host[machine_name_host_length(host)] = '\0';
	(void)snprintf(ret, size, "%s", host);
	return ret;
}
