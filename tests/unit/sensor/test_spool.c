/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool: order, limits by size and age with everything counted, surviving a restart, and a damaged file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "write/spool.h"
#include "base/reason.h"

#include <bson/bson.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
	char folder[64];
	char file[128];
};

static int set_up(void **state)
{
	struct place *place = calloc(1, sizeof(*place));

	(void)snprintf(place->folder, sizeof(place->folder), "/tmp/wattribute-spool-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	(void)snprintf(place->file, sizeof(place->file), "%s/spool.db", place->folder);
	*state = place;
	return 0;
}

static int tear_down(void **state)
{
	struct place *place = *state;
	char command[256];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", place->folder);
	assert_int_equal(system(command), 0);
	free(place);
	return 0;
}

static void fill(struct batch *batch, int first, int n, size_t padding)
{
	char *text = malloc(padding + 1);

	memset(text, 'x', padding);
	text[padding] = '\0';
	batch_clear(batch);
	for (int i = 0; i < n; i++) {
		bson_t document = BSON_INITIALIZER;

		BSON_APPEND_INT32(&document, "n", first + i);
		BSON_APPEND_UTF8(&document, "padding", text);
		assert_int_equal(batch_append(batch, bson_get_data(&document), document.len), 0);
		bson_destroy(&document);
	}
	free(text);
}

static struct spool *open_spool(const struct place *place, uint64_t bytes, uint64_t age_ms)
{
	const struct spool_limits limits = {.bytes = bytes, .age_ms = age_ms};
	struct spool *spool = NULL;
	struct reason why;

	assert_int_equal(spool_open(place->file, &limits, &spool, &why), 0);
	return spool;
}

static int first_number(const struct batch *batch)
{
	size_t offset = 0, length;
	const uint8_t *data;
	bson_t document;
	bson_iter_t iter;

	assert_int_equal(batch_next(batch, &offset, &data, &length), 1);
	assert_true(bson_init_static(&document, data, length));
	assert_true(bson_iter_init_find(&iter, &document, "n"));
	return bson_iter_int32(&iter);
}

static void keeps_order_over_restart(void **state)
{
	struct spool *spool = open_spool(*state, 1 << 20, 0);
	struct spool_entry entry = {0};
	struct batch batch = {0};

	for (int i = 0; i < 10; i++) {
		fill(&batch, i * 100, 3, 10);
		assert_int_equal(spool_push(spool, i % 2 ? "powerx" : "sensorx", i % 2, &batch, 1000 + i), 0);
	}
	assert_int_equal(spool_documents(spool), 30);
	spool_close(spool);
	spool = open_spool(*state, 1 << 20, 0);
	assert_int_equal(spool_documents(spool), 30);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(spool_peek(spool, &entry), 1);
		assert_int_equal(first_number(&entry.documents), i * 100);
		assert_int_equal(entry.documents.n_documents, 3);
		assert_string_equal(entry.collection, i % 2 ? "powerx" : "sensorx");
		assert_int_equal(entry.put, i % 2);
		assert_int_equal(spool_pop(spool, entry.sequence + 1), -ENOENT);
		assert_int_equal(spool_pop(spool, entry.sequence), 0);
	}
	assert_int_equal(spool_peek(spool, &entry), 0);
	assert_true(spool_is_empty(spool));
	assert_int_equal(spool_dropped(spool), 0);
	spool_close(spool);
	batch_done(&batch);
	batch_done(&entry.documents);
}

static void drops_oldest_by_size(void **state)
{
	struct spool *spool = open_spool(*state, 10000, 0);
	struct spool_entry entry = {0};
	struct batch batch = {0};

	for (int i = 0; i < 20; i++) {
		fill(&batch, i, 1, 960); /* about 1,000 bytes each */
		assert_int_equal(spool_push(spool, "c", false, &batch, i), 0);
	}
	assert_int_equal(spool_documents(spool) + spool_dropped(spool), 20);
	assert_in_range(spool_documents(spool), 9, 10);
	assert_int_equal(spool_peek(spool, &entry), 1);
	assert_int_equal(first_number(&entry.documents), (int)spool_dropped(spool));
	fill(&batch, 0, 1, 20000); /* larger than the spool: refused and counted */
	assert_int_equal(spool_push(spool, "c", false, &batch, 99), -EFBIG);
	assert_int_equal(spool_documents(spool) + spool_dropped(spool), 21);
	spool_close(spool);
	batch_done(&batch);
	batch_done(&entry.documents);
}

static void drops_by_age(void **state)
{
	struct spool *spool = open_spool(*state, 1 << 20, 1000);
	struct batch batch = {0};

	fill(&batch, 1, 5, 10);
	assert_int_equal(spool_push(spool, "c", false, &batch, 0), 0);
	assert_int_equal(spool_push(spool, "c", false, &batch, 900), 0);
	assert_int_equal(spool_dropped(spool), 0);
	assert_int_equal(spool_push(spool, "c", false, &batch, 1500), 0);
	assert_int_equal(spool_dropped(spool), 5);
	assert_int_equal(spool_documents(spool), 10);
	spool_close(spool);
	batch_done(&batch);
}

static void damaged_file_is_renamed(void **state)
{
	const struct place *place = *state;
	const struct spool_limits limits = {.bytes = 1000};
	struct spool *spool = NULL;
	char aside[160];
	struct reason why;
	FILE *file = fopen(place->file, "w");

	for (int i = 0; i < 1000; i++)
		(void)fputs("this is no database ", file);
	(void)fclose(file);
	assert_int_equal(spool_open(place->file, &limits, &spool, &why), 0);
	assert_non_null(strstr(why.text, "has been moved to"));
	(void)snprintf(aside, sizeof(aside), "%s.damaged", place->file);
	assert_int_equal(access(aside, R_OK), 0);
	assert_true(spool_is_empty(spool));
	spool_close(spool);
}

static void unusable_place_is_reported(void **state)
{
	const struct spool_limits limits = {.bytes = 1000};
	struct spool *spool = NULL;
	struct reason why;

	(void)state;
	assert_true(spool_open("/nonexistent/folder/spool.db", &limits, &spool, &why) < 0);
	assert_non_null(strstr(why.text, "/nonexistent/folder/spool.db"));
	assert_non_null(strstr(why.text, "--state-dir"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keeps_order_over_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drops_oldest_by_size, set_up, tear_down),
		cmocka_unit_test_setup_teardown(drops_by_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_file_is_renamed, set_up, tear_down),
		cmocka_unit_test(unusable_place_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
