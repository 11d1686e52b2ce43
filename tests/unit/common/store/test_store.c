/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stores through their common interface: the same cases for every backend that keeps documents.
 * WATTRIBUTE_TEST_STORE, a URI, adds a store; the wire tests use it to run this program against database
 * servers.
 */
#include "store_fixture.h"
#include "base/cleanup.h"
#include "base/reason.h"

#include <bson/bson.h>

static void case_append_and_read(struct fixture *fixture)
{
	struct store_query query = query_of(fixture);
	struct batch batch = {0};
	struct batch found = {0};
	struct store_read read;

	assert_stored(fixture, store_ensure(fixture->store, fixture->collection, 0, T0));
	assert_int_equal(count_found(fixture, &query), 0);
	add_ticks(&batch, 0, 10);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	assert_int_equal(store_get_statistics(fixture->store)->appended, 30);
	assert_stored(fixture, store_read(fixture->store, &query, &found, &read));
	assert_true(read.end);
	assert_int_equal(found.n_documents, 30);
	if (strcmp(store_name(fixture->store), "jsonl") != 0) {
		assert_int_equal(found.length, batch.length);
		assert_memory_equal(found.data, batch.data, batch.length);
	}
	query.after_ms = T0 + 2000;
	query.until_ms = T0 + 5000;
	assert_int_equal(count_found(fixture, &query), 9);
	query.target = "web";
	assert_int_equal(count_found(fixture, &query), 3);
	batch_done(&batch);
	batch_done(&found);
}

/* Reads pages of `limit` documents until the store reports the end. */
static unsigned read_in_steps(struct fixture *fixture, unsigned limit, int64_t after_ms)
{
	struct store_query query = query_of(fixture);
	struct store_read read = {0};
	struct batch found = {0};
	unsigned n = 0;
	unsigned rounds = 0;

	query.limit = limit;
	query.after_ms = after_ms;
	do {
		batch_clear(&found);
		assert_stored(fixture, store_read(fixture->store, &query, &found, &read));
		n += found.n_documents;
		assert_true(++rounds < 100);
	} while (store_query_continue(&query, &read, &found));
	batch_done(&found);
	return n;
}

static void case_limit(struct fixture *fixture)
{
	struct batch batch = {0};

	add_ticks(&batch, 0, 9);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	for (unsigned limit = 1; limit < 8; limit++) {
		assert_int_equal(read_in_steps(fixture, limit, INT64_MIN), 27);
		assert_int_equal(read_in_steps(fixture, limit, T0 + 2000), 18);
	}
	batch_done(&batch);
}

static void case_newest_first(struct fixture *fixture)
{
	struct store_query query = query_of(fixture);
	struct batch batch = {0};
	struct batch found = {0};
	struct store_read read;
	bson_iter_t iter;
	bson_t bson;

	if (fixture->files)
		return;
	add_ticks(&batch, 0, 9);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	query.newest_first = true;
	query.limit = 2;
	query.target = "web";
	assert_stored(fixture, store_read(fixture->store, &query, &found, &read));
	assert_int_equal(found.n_documents, 2);
	assert_true(bson_init_static(&bson, found.data, *(uint32_t *)(void *)found.data));
	assert_true(bson_iter_init_find(&iter, &bson, "timestamp"));
	assert_int_equal(bson_iter_date_time(&iter), T0 + 8000);
	batch_done(&batch);
	batch_done(&found);
}

static void case_duplicates(struct fixture *fixture)
{
	const struct store_statistics *statistics = store_get_statistics(fixture->store);
	struct store_query query = query_of(fixture);
	struct batch batch = {0};

	if (fixture->files)
		return;
	add_ticks(&batch, 0, 4);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	add_ticks(&batch, 4, 1);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	assert_int_equal(statistics->appended, 15);
	assert_int_equal(statistics->duplicates, 12);
	assert_int_equal(statistics->dropped, 0);
	assert_int_equal(count_found(fixture, &query), 15);
	batch_done(&batch);
}

static void add_state(struct batch *batch, const char *id, int value)
{
	bson_t *bson = BCON_NEW("_id", BCON_UTF8(id), "value", BCON_INT32(value), "nested", "{", "a",
				BCON_DOUBLE(0.1), "}");

	assert_int_equal(batch_append(batch, bson_get_data(bson), bson->len), 0);
	bson_destroy(bson);
}

static int get_value(struct fixture *fixture, const char *collection, const char *id)
{
	struct batch found = {0};
	bson_iter_t iter;
	bson_t bson;
	int value = -1;

	assert_stored(fixture, store_get(fixture->store, collection, id, &found));
	if (found.n_documents == 1 && bson_init_static(&bson, found.data, found.length) &&
	    bson_iter_init_find(&iter, &bson, "value"))
		value = (int)bson_iter_as_int64(&iter);
	batch_done(&found);
	return value;
}

static void case_put_and_get(struct fixture *fixture)
{
	struct batch batch = {0};
	struct batch found = {0};
	char state[80];

	(void)snprintf(state, sizeof(state), "state%s", fixture->collection);
	assert_int_equal(get_value(fixture, state, "a"), -1);
	add_state(&batch, "a", 1);
	add_state(&batch, "b", 2);
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	batch_clear(&batch);
	add_state(&batch, "b", 3);
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	assert_int_equal(get_value(fixture, state, "a"), 1);
	assert_int_equal(get_value(fixture, state, "b"), 3);
	assert_int_equal(get_value(fixture, state, "c"), -1);
	assert_stored(fixture, store_get(fixture->store, state, NULL, &found));
	assert_int_equal(found.n_documents, 2);
	/* More than a store may write at once. */
	batch_clear(&batch);
	for (int i = 0; i < 250; i++) {
		char id[16];

		(void)snprintf(id, sizeof(id), "many%d", i);
		add_state(&batch, id, i);
	}
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	assert_int_equal(get_value(fixture, state, "many0"), 0);
	assert_int_equal(get_value(fixture, state, "many100"), 100);
	assert_int_equal(get_value(fixture, state, "many249"), 249);
	batch_done(&batch);
	batch_done(&found);
}

struct listing {
	const char *wanted;
	unsigned n;
	unsigned hits;
};

static void note_collection(void *data, const char *collection)
{
	struct listing *listing = data;

	listing->n++;
	listing->hits += strcmp(collection, listing->wanted) == 0;
}

static void case_list(struct fixture *fixture)
{
	struct listing listing = {.wanted = fixture->collection};
	struct batch batch = {0};

	add_ticks(&batch, 0, 1);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	assert_stored(fixture, store_append(fixture->store, "otherxyz", &batch));
	assert_stored(fixture, store_list(fixture->store, "sensor", note_collection, &listing));
	if (strstr(fixture->uri, ".bson") || strstr(fixture->uri, ".jsonl"))
		assert_int_equal(listing.n, 1); /* a single file does not record collection names */
	else
		assert_int_equal(listing.hits, 1);
	listing = (struct listing){.wanted = "none"};
	assert_stored(fixture, store_list(fixture->store, "recapnone", note_collection, &listing));
	assert_int_equal(listing.n, 0);
	batch_done(&batch);
}

static void case_retention(struct fixture *fixture)
{
	struct store_query query = query_of(fixture);
	struct batch batch = {0};

	if (fixture->files)
		return;
	add_ticks(&batch, 0, 11);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	assert_stored(fixture, store_ensure(fixture->store, fixture->collection, 5, T0 + 10000));
	assert_int_equal(count_found(fixture, &query), 18);
	batch_done(&batch);
}

/* A document that a server refuses is counted and named, and does not keep others from being stored. */
static void case_refused(struct fixture *fixture)
{
	struct store_query query = query_of(fixture);
	struct batch batch = {0};
	bson_t *bad;
	enum store_result result;

	if (!fixture->server)
		return;
	bad = BCON_NEW("_id", BCON_UTF8("bad"), "timestamp", BCON_DATE_TIME(T0), "a.b", BCON_DOUBLE(1), "$c",
		       BCON_DOUBLE(2));
	add_ticks(&batch, 0, 2);
	assert_int_equal(batch_append(&batch, bson_get_data(bad), bad->len), 0);
	add_ticks(&batch, 2, 2);
	result = store_append(fixture->store, fixture->collection, &batch);
	print_message("# a key with a dot: result %d %s\n", result, store_error(fixture->store));
	assert_true(result == STORE_OK || result == STORE_DROP);
	assert_int_equal(store_get_statistics(fixture->store)->dropped, result == STORE_DROP);
	assert_int_equal(count_found(fixture, &query), result == STORE_DROP ? 12 : 13);
	bson_destroy(bad);
	batch_done(&batch);
}

/* Stored documents are visible to anyone who opens the store later. */
static void case_reopen(struct fixture *fixture)
{
	struct store_query query = query_of(fixture);
	struct batch batch = {0};

	add_ticks(&batch, 0, 3);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	store_close(fixture->store);
	open_store(fixture, STORE_READ);
	assert_int_equal(count_found(fixture, &query), 9);
	store_close(fixture->store);
	open_store(fixture, STORE_READ | STORE_WRITE);
	batch_clear(&batch);
	add_ticks(&batch, 3, 3);
	assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
	assert_int_equal(count_found(fixture, &query), 18);
	batch_done(&batch);
}

static enum store_result claim(struct store *store, const struct store_claim *seen, const char *owner,
			       int64_t generation, int64_t beat)
{
	bson_t *bson = BCON_NEW("_id", BCON_UTF8(seen->id), "owner", BCON_UTF8(owner), "generation",
				BCON_INT64(generation), "beat", BCON_INT64(beat));
	enum store_result result = store_claim(store, seen, bson_get_data(bson), bson->len);

	bson_destroy(bson);
	return result;
}

/* One owner at a time: only a caller that knows the claim's current value can take, renew or take over it. */
static void case_claim(struct fixture *fixture)
{
	char state[80];
	struct store_claim seen = {.collection = state, .id = "lease"};

	if (!store_can_claim(fixture->store))
		return;
	(void)snprintf(state, sizeof(state), "state%s", fixture->collection);
	assert_stored(fixture, claim(fixture->store, &seen, "one", 1, 1));
	assert_int_equal(claim(fixture->store, &seen, "two", 1, 1), STORE_LOST);
	(void)snprintf(seen.owner, sizeof(seen.owner), "one");
	seen.generation = seen.beat = 1;
	assert_stored(fixture, claim(fixture->store, &seen, "one", 1, 2));
	assert_int_equal(claim(fixture->store, &seen, "two", 2, 1), STORE_LOST); /* an old heartbeat */
	seen.beat = 2;
	(void)snprintf(seen.owner, sizeof(seen.owner), "three");
	assert_int_equal(claim(fixture->store, &seen, "two", 2, 1), STORE_LOST); /* another owner */
	(void)snprintf(seen.owner, sizeof(seen.owner), "one");
	assert_stored(fixture, claim(fixture->store, &seen, "two", 2, 1));
	seen.generation = -1; /* whatever its value */
	assert_stored(fixture, claim(fixture->store, &seen, "four", 9, 1));
	assert_int_equal(store_get_statistics(fixture->store)->appended, 0);
}

/* An owner that lost the claim can no longer replace anything; a store with transactions appends nothing. */
static void case_fence(struct fixture *fixture)
{
	char state[80];
	struct store_claim seen = {.collection = state, .id = "lease"},
			   one = {.collection = state, .id = "lease"};
	struct batch batch = {0};

	if (!store_can_claim(fixture->store))
		return;
	(void)snprintf(state, sizeof(state), "state%s", fixture->collection);
	(void)snprintf(one.owner, sizeof(one.owner), "one");
	one.generation = one.beat = 1;
	assert_stored(fixture, claim(fixture->store, &seen, "one", 1, 1));
	store_fence(fixture->store, &one);
	add_state(&batch, "kept", 1);
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	assert_stored(fixture, claim(fixture->store, &one, "two", 2, 1));
	if (store_can_group(fixture->store)) {
		assert_int_equal(store_put(fixture->store, state, &batch), STORE_LOST);
		assert_int_equal(store_append(fixture->store, fixture->collection, &batch), STORE_LOST);
		assert_int_equal(store_begin(fixture->store), STORE_LOST);
	}
	/* After the successor has written, the former owner cannot restore its state. */
	(void)snprintf(seen.owner, sizeof(seen.owner), "two");
	seen.generation = 2;
	store_fence(fixture->store, &seen);
	batch_clear(&batch);
	add_state(&batch, "kept", 2);
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	store_fence(fixture->store, &one);
	batch_clear(&batch);
	add_state(&batch, "kept", 1);
	assert_int_equal(store_put(fixture->store, state, &batch), STORE_LOST);
	assert_int_equal(get_value(fixture, state, "kept"), 2);
	store_fence(fixture->store, NULL);
	assert_stored(fixture, store_put(fixture->store, state, &batch));
	batch_done(&batch);
}

static void run_on(void **state, void (*test)(struct fixture *fixture))
{
	static const char *const formats[] = {"sqlite:%s/store.db", "bson:%s/", "bson:%s/dump.bson",
					      "jsonl:%s/", "jsonl:%s/dump.jsonl"};
	const char *server = getenv("WATTRIBUTE_TEST_STORE");
	struct fixture fixture;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats) && !server; i++) {
		set_up(&fixture, formats[i]);
		test(&fixture);
		tear_down(&fixture);
	}
	if (server) {
		set_up(&fixture, server);
		test(&fixture);
		tear_down(&fixture);
	}
}

#define ON_EVERY_STORE(name)                                                                                 \
	static void test_##name(void **state)                                                                \
	{                                                                                                    \
		run_on(state, case_##name);                                                                  \
	}
ON_EVERY_STORE(append_and_read)
ON_EVERY_STORE(limit)
ON_EVERY_STORE(newest_first)
ON_EVERY_STORE(duplicates)
ON_EVERY_STORE(put_and_get)
ON_EVERY_STORE(list)
ON_EVERY_STORE(retention)
ON_EVERY_STORE(refused)
ON_EVERY_STORE(reopen)
ON_EVERY_STORE(claim)
ON_EVERY_STORE(fence)

static void test_null(void **state)
{
	struct store *store;
	struct batch batch = {0};
	struct reason why;

	(void)state;
	add_ticks(&batch, 0, 2);
	assert_int_equal(store_open("null:", NULL, &store, &why), 0);
	assert_int_equal(store_append(store, "sensorx", &batch), STORE_OK);
	assert_int_equal(store_get_statistics(store)->appended, 6);
	store_close(store);
	batch_done(&batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_read),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_newest_first),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_put_and_get),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_reopen),
		cmocka_unit_test(test_claim),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
