/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of targets: read from documents, updated, forgotten.
 */
#include "machine/known.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

static void add_target(struct batch *batch, const char *name, const char *image, const char *pod,
		       int64_t seen_ms)
{
	bson_t *bson = BCON_NEW("target", BCON_UTF8(name), "runtime", BCON_UTF8("docker"), "image",
				BCON_UTF8(image), "pod", BCON_UTF8(pod), "cpu_quota", BCON_DOUBLE(1.5),
				"last_seen", BCON_DATE_TIME(seen_ms));

	assert_int_equal(batch_append(batch, bson_get_data(bson), bson->len), 0);
	bson_destroy(bson);
}

/* A sensor reports images of up to 256 bytes and pods of up to 128; a two-byte character is not split. */
static void long_texts_are_complete(void **state)
{
	char image[257], pod[130] = "";
	struct known known = {0};
	struct batch batch = {0};
	const struct known_target *target;

	(void)state;
	memset(image, 'i', sizeof(image) - 1);
	image[sizeof(image) - 1] = '\0';
	for (size_t i = 0; i < 128; i += 2)
		memcpy(pod + 1 + i, "\xc3\xa9", 2);
	pod[0] = 'p';
	add_target(&batch, "a", image, pod, 1000);
	assert_int_equal(known_update(&known, &batch), 0);
	target = known_find(&known, "a");
	assert_non_null(target);
	assert_string_equal(known_text(target, KNOWN_RUNTIME), "docker");
	assert_string_equal(known_text(target, KNOWN_IMAGE), image);
	assert_string_equal(known_text(target, KNOWN_POD), pod);
	assert_string_equal(known_text(target, KNOWN_NAMESPACE), "");
	assert_string_equal(known_text(known_find(&known, "b"), KNOWN_IMAGE), "");
	assert_true(target->cpu_quota == 1.5);
	known_done(&known);
	batch_done(&batch);
}

static void renewed_and_forgotten(void **state)
{
	struct known known = {0};
	struct batch batch = {0};

	(void)state;
	add_target(&batch, "a", "one", "", 1000);
	add_target(&batch, "b", "one", "", 1000);
	add_target(&batch, "a", "two", "", INT64_MAX);
	assert_int_equal(known_update(&known, &batch), 0);
	assert_string_equal(known_text(known_find(&known, "a"), KNOWN_IMAGE), "two");
	known_expire(&known, 1001);
	assert_null(known_find(&known, "b"));
	assert_non_null(known_find(&known, "a"));
	known_done(&known);
	assert_null(known_find(&known, "a"));
	batch_done(&batch);
}

static bool is_needed(void *data, const char *name)
{
	return strcmp(name, data) == 0;
}

static void add_life(struct batch *batch, unsigned number, int64_t first_ms, int64_t last_ms)
{
	char name[16];
	bson_t *bson;

	(void)snprintf(name, sizeof(name), "t%u", number);
	bson = BCON_NEW("target", BCON_UTF8(name), "image", BCON_UTF8("i"), "first_seen",
			BCON_DATE_TIME(first_ms), "last_seen", BCON_DATE_TIME(last_ms));
	assert_int_equal(batch_append(batch, bson_get_data(bson), bson->len), 0);
	bson_destroy(bson);
}

/* However many come and go, the needed one and the newest stay, and live ones are preferred to ended ones. */
static void bounded_in_number(void **state)
{
	struct known known = {0};
	struct batch batch = {0};
	char needed[] = "t0";

	(void)state;
	add_life(&batch, 0, 1, 2);
	add_life(&batch, 1, 1, 1); /* live, but idle since then */
	for (unsigned i = 2; i < 5000; i++)
		add_life(&batch, i, 10 * i, 10 * i + 5);
	assert_int_equal(known_update(&known, &batch), 0);
	known_trim(&known, 5000, is_needed, needed);
	assert_int_equal(HASH_COUNT(known.targets), 5000);
	known_trim(&known, 100, is_needed, needed);
	assert_int_equal(HASH_COUNT(known.targets), 101);
	assert_non_null(known_find(&known, "t0"));
	assert_non_null(known_find(&known, "t1"));
	assert_null(known_find(&known, "t4900"));
	assert_non_null(known_find(&known, "t4901"));
	assert_non_null(known_find(&known, "t4999"));
	known_trim(&known, 0, is_needed, needed);
	assert_int_equal(HASH_COUNT(known.targets), 1);
	known_done(&known);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_texts_are_complete),
		cmocka_unit_test(renewed_and_forgotten),
		cmocka_unit_test(bounded_in_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
