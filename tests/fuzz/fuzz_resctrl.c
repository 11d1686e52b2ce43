/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readers of resctrl's texts: a counter, the name of a domain, a list of threads. An accepted counter is
 * printed and read again with the same result.
 */
#include "source/resctrl/resctrl_info.h"
#include "priv/priv_tids.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_counter(const char *text)
{
	uint64_t nj = 0, again = 0;
	char printed[64];

	if (resctrl_parse_joules(text, &nj) < 0)
		return;
	(void)snprintf(printed, sizeof(printed), "%" PRIu64 ".%09" PRIu64 "\n", nj / 1000000000,
		       nj % 1000000000);
	if (resctrl_parse_joules(printed, &again) < 0 || again != nj)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct priv_tids tids = {0};
	unsigned package;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	check_counter(text);
	if (resctrl_parse_package(text, &package) == 0 && package >= RESCTRL_PACKAGES_MAX)
		abort();
	if (priv_tids_parse(text, size, &tids) < 0)
		abort();
	priv_tids_sort(&tids);
	for (size_t i = 0; i < tids.n; i++)
		if (tids.items[i] < 1 || !priv_tids_has(&tids, tids.items[i]))
			abort();
	priv_tids_done(&tids);
	free(text);
	return 0;
}
