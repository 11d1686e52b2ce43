/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a configuration file: accepted, or refused with a reason that names the file. An accepted one
 * can be printed and read again with the same result.
 */
#include "unit/common/config_example.h"
#include "base/reason.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(const struct example *example)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);

	if (!out || config_print(&example_spec, example, out) < 0)
		abort();
	(void)fclose(out);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct example example;
	struct reason why;
	int r = config_apply_json(&example_spec, &example, "input", (const char *)data, size, &why);

	if (r < 0) {
		if (strncmp(why.text, "input:", 6) != 0)
			abort();
		config_done(&example_spec, &example);
		return 0;
	}
	char *first = printed(&example);
	config_done(&example_spec, &example);
	if (config_apply_json(&example_spec, &example, "again", first, strlen(first), &why) < 0)
		abort();
	char *second = printed(&example);
	config_done(&example_spec, &example);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	return 0;
}
