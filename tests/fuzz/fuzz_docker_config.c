/* SPDX-License-Identifier: Apache-2.0 */
/* Runtimes' JSON files: config.v2.json, containers.json, config.json; all three parsers get every input. */
#include "target/container_info.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, struct container_info *info)
{
	size_t n = 0;
	if (r < 0)
		return;
	if (!info->name || strlen(info->name) > IDENTITY_NAME_MAX)
		abort();
	while (info->labels && info->labels[n])
		n++;
	if (n % 2 != 0 || n > 2 * CONTAINER_INFO_LABELS_MAX)
		abort();
	container_info_done(info);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct container_info info;
	const char *json = (const char *)data;
	check(container_info_parse_docker(json, size, &info), &info);
	check(container_info_parse_oci(json, size, &info), &info);
	check(container_info_parse_podman(
		      json, size, "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9", &info),
	      &info);
	return 0;
}
