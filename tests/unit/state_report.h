/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A report of an imaginary machine of 20 W, for tests of stored states: `all` with frequency and energy, or a
 * target, with counts that vary from tick to tick.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>

/* False: bad JSON. The caller destroys the document. */
static inline bool state_report_init(bson_t *document, unsigned tick, const char *target, double cycles)
{
	char text[1024];

	(void)snprintf(
		text, sizeof(text),
		"{\"timestamp\":{\"$date\":{\"$numberLong\":\"%u\"}},\"sensor\":\"n1\",\"target\":\"%s\","
		"\"groups\":{%s\"core\":{\"0\":{\"0\":{\"CPU_CLK_THREAD_UNHALTED:REF_P\":%.1f,"
		"\"CPU_CLK_THREAD_UNHALTED:THREAD_P\":%.1f,\"INSTRUCTIONS_RETIRED\":%.1f}}}},"
		"\"metadata\":{\"interval\":1.0,\"targets\":2}}",
		1000000 + tick * 1000, target,
		strcmp(target, "all") ? ""
				      : "\"msr\":{\"0\":{\"0\":{\"APERF\":2.0e9,\"MPERF\":2.0e9,"
					"\"TSC\":2.1e9}}},\"rapl\":{\"0\":{\"0\":{"
					"\"RAPL_ENERGY_PKG\":85899345920.0}}},",
		cycles, cycles * 1.1, cycles * (1 + tick % 3));
	return bson_init_from_json(document, text, -1, NULL);
}
