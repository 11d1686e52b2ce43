/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: appending, iterating, refusing invalid lengths, and no allocations once warm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "document/batch.h"

#include <errno.h>
#include <string.h>

static const uint8_t empty_document[] = {5, 0, 0, 0, 0};
static const uint8_t small_document[] = {9, 0, 0, 0, 10, 'a', 'b', 0, 0};

static void append_and_walk(void **state)
{
	struct batch batch = {0};
	size_t offset = 0, length;
	const uint8_t *document;

	(void)state;
	assert_int_equal(batch_append(&batch, empty_document, 5), 0);
	assert_int_equal(batch_append(&batch, small_document, 9), 0);
	assert_int_equal(batch.n_documents, 2);
	assert_int_equal(batch.length, 14);
	assert_int_equal(batch_next(&batch, &offset, &document, &length), 1);
	assert_int_equal(length, 5);
	assert_int_equal(batch_next(&batch, &offset, &document, &length), 1);
	assert_int_equal(length, 9);
	assert_memory_equal(document, small_document, 9);
	assert_int_equal(batch_next(&batch, &offset, &document, &length), 0);
	batch_done(&batch);
	assert_null(batch.data);
}

static void refuses_broken_lengths(void **state)
{
	static const uint8_t bad[][5] = {{6}, {4}, {0}, {5, 0, 0, 0x80}, {255, 255, 255, 255}};
	struct batch batch = {0};
	const uint8_t *document;
	size_t length;

	(void)state;
	assert_int_equal(batch_append(&batch, empty_document, 4), -EBADMSG);
	assert_int_equal(batch_append(&batch, empty_document, 0), -EBADMSG);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct batch view = {.data = (uint8_t *)(uintptr_t)bad[i], .length = 5};
		size_t offset = 0;
		assert_int_equal(batch_append(&batch, bad[i], 5), -EBADMSG);
		assert_int_equal(batch_next(&view, &offset, &document, &length), -EBADMSG);
		assert_int_equal(offset, 0);
	}
	assert_int_equal(batch.length, 0);
	batch_done(&batch);
}

static void appends_batches_and_itself(void **state)
{
	struct batch batch = {0}, other = {0};

	(void)state;
	assert_int_equal(batch_append(&other, small_document, 9), 0);
	assert_int_equal(batch_append_batch(&batch, &other), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(batch_append_batch(&batch, &batch), 0);
	assert_int_equal(batch.n_documents, 1024);
	assert_int_equal(batch.length, 9 * 1024);
	assert_memory_equal(batch.data + 9 * 1023, small_document, 9);
	batch_done(&batch);
	batch_done(&other);
}

static void warm_batch_keeps_its_memory(void **state)
{
	struct batch batch = {0};

	(void)state;
	assert_int_equal(batch_reserve(&batch, 100000), 0);
	const uint8_t *data = batch.data;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(batch_append(&batch, small_document, 9), 0);
	assert_ptr_equal(batch.data, data);
	batch_clear(&batch);
	assert_int_equal(batch.n_documents, 0);
	assert_ptr_equal(batch.data, data);
	assert_int_equal(batch_reserve(&batch, SIZE_MAX - 5), -ENOMEM);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(append_and_walk),
		cmocka_unit_test(refuses_broken_lengths),
		cmocka_unit_test(appends_batches_and_itself),
		cmocka_unit_test(warm_batch_keeps_its_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
