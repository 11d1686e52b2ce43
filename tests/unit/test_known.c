/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of targets: taken from documents as it is, renewed, forgotten.
 */
#include "known.h"

#include <setjmp.h>
#include <stdarg.h>
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

/* A sensor tells an image of up to 256 bytes and a pod of up to 128; a character of two bytes is not cut. */
static void long_texts_are_whole(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(long_texts_are_whole),
		cmocka_unit_test(renewed_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
