/* SPDX-License-Identifier: Apache-2.0 */
/* Arbitrary cgroup paths; the first byte chooses a prefix length. */
#include "cgroup/identity.h"
#include "base/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *path, size_t prefix)
{
	struct identity id;
	char clean[IDENTITY_NAME_MAX + 1];
	if (identity_parse(path, prefix, &id) < 0)
		return;
	size_t length = strlen(path), name = strlen(id.name);
	if (id.root_length > length || (id.root_length > 0) != (id.role != IDENTITY_ROLE_NONE))
		abort();
	if (text_escape(id.name, name, clean, sizeof(clean)) != name || strcmp(clean, id.name) != 0)
		abort();
	if (id.short_id[0] && !container_file_is_id(id.id, strlen(id.id)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	char *path = malloc(size);
	if (!path)
		return 0;
	memcpy(path, data + 1, size - 1);
	path[size - 1] = '\0';
	check(path, 0);
	check(path, data[0]);
	free(path);
	return 0;
}
