/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes' JSON files: config.v2.json, config.json, containers.json. The first byte selects the parser; any
 * other byte selects all three.
 */
#include "target/container_info.h"

#include <stdbool.h>
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
	static const char id[] = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9";
	const bool one = size > 0 && strchr("dop", data[0]) && data[0];
	const char *json = (const char *)data + one;
	const size_t length = size - one;
	struct container_info info;

	if (!one || data[0] == 'd')
		check(container_info_parse_docker(json, length, &info), &info);
	if (!one || data[0] == 'o')
		check(container_info_parse_oci(json, length, &info), &info);
	if (!one || data[0] == 'p')
		check(container_info_parse_podman(json, length, id, &info), &info);
	return 0;
}
