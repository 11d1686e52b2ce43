/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of stores that write text: a separate folder for each test, a report to write, and checks of a
 * file's content.
 */
#pragma once

#include "document/report_bson.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 INT64_C(1700000000123)

static char directory[64];

static inline int make_directory(void **state)
{
	(void)state;
	(void)snprintf(directory, sizeof(directory), "/tmp/wattribute-text-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static inline int remove_directory(void **state)
{
	char command[128];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command);
}

static inline void add_report(struct batch *batch, const char *target, unsigned n_events)
{
	static const char *const events[] = {"cycles", "LLC_MISSES", "INSTRUCTIONS_RETIRED"};
	static const struct report_place places[] = {{0, 0}, {1, 4}};
	struct report_group group = {"core", n_events, events, 2, places};
	static const uint64_t values[] = {1, UINT64_C(1) << 60, 3, 4, 5, 6};
	static const uint64_t times[] = {10, 20};
	struct report_counts counts = {&group, values, times, times};
	struct report_head head = {T0, "node", target};
	struct report_target_metadata metadata = {.scaled = 1};

	assert_int_equal(report_bson_add_target_counts(batch, &head, &counts, 1, &metadata), 0);
}

static inline void assert_file(const char *name, const char *text)
{
	char path[128];
	char content[4096];
	FILE *file;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(content, 1, sizeof(content) - 1, file);
	content[n] = '\0';
	(void)fclose(file);
	assert_string_equal(content, text);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)
