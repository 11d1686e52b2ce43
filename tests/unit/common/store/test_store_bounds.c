/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local store stays within its bounds: the oldest ticks are deleted, by age and by size, whatever the clock
 * shows; recaps, states and targets stay; the file shrinks; and the daemons' message about it.
 */
#include "store/store_bounds.h"
#include "base/cleanup.h"
#include "store_fixture.h"
#include "unit/random_seed.h"

#include <bson/bson.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <sys/stat.h>

#define N_TICKS 4000
#define MAX     (UINT64_C(1) << 20)

static void put_named(struct store *store, const char *collection, const char *id, int64_t time_ms)
{
	bson_t *document = BCON_NEW("_id", BCON_UTF8(id), "timestamp", BCON_DATE_TIME(time_ms));
	struct batch batch = {0};

	assert_int_equal(batch_append(&batch, bson_get_data(document), document->len), 0);
	assert_int_equal(store_put(store, collection, &batch), STORE_OK);
	bson_destroy(document);
	batch_done(&batch);
}

/* Ticks, with a recap, a state and a target among them that are at least as old as all ticks. */
static void fill(struct fixture *fixture, unsigned first, unsigned n)
{
	struct batch batch = {0};
	char power[80];

	(void)snprintf(power, sizeof(power), "power%s", fixture->collection);
	put_named(fixture->store, "recapmars", "a run", T0 - 1000);
	put_named(fixture->store, "state", "a model", T0 - 1000);
	put_named(fixture->store, "targetmars", "a container", T0 - 1000);
	for (unsigned i = 0; i < n; i += 100) {
		batch_clear(&batch);
		add_ticks(&batch, first + i, 100);
		assert_stored(fixture, store_append(fixture->store, fixture->collection, &batch));
		assert_stored(fixture, store_append(fixture->store, power, &batch));
	}
	put_named(fixture->store, "recapmars", "another run", T0 + 1000);
	batch_done(&batch);
}

static unsigned count_in(struct store *store, const char *collection)
{
	struct batch found = {0};
	unsigned n;

	assert_int_equal(store_get(store, collection, NULL, &found), STORE_OK);
	n = found.n_documents;
	batch_done(&found);
	return n;
}

static void trim_all(struct store *store, uint64_t max_bytes, int64_t now_ms)
{
	bool more = true;

	for (unsigned i = 0; more; i++) {
		assert_true(i < 10000);
		assert_int_equal(store_trim(store, max_bytes, now_ms, &more), STORE_OK);
	}
}

static struct store_usage usage_of(struct fixture *fixture)
{
	struct store_usage usage;

	assert_stored(fixture, store_measure(fixture->store, &usage));
	return usage;
}

static void assert_others_stay(struct fixture *fixture)
{
	assert_int_equal(count_in(fixture->store, "recapmars"), 2);
	assert_int_equal(count_in(fixture->store, "state"), 1);
	assert_int_equal(count_in(fixture->store, "targetmars"), 1);
}

static void test_size(void **state)
{
	struct fixture fixture;
	struct store_query query;
	struct store_usage before, after;
	unsigned n;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	query = query_of(&fixture);
	fill(&fixture, 0, N_TICKS);
	before = usage_of(&fixture);
	assert_true(before.used_bytes > 4 * MAX);
	assert_int_equal(before.oldest_ms, T0);
	assert_int_equal(before.newest_ms, T0 + (N_TICKS - 1) * 1000);
	trim_all(fixture.store, MAX, T0 + N_TICKS * 1000);
	after = usage_of(&fixture);
	assert_true(after.used_bytes <= MAX);
	assert_true(after.used_bytes > MAX * 8 / 10); /* not more than needed */
	assert_int_equal(after.newest_ms, before.newest_ms);
	/* The oldest are gone, and no others. */
	n = count_found(&fixture, &query);
	assert_true(n > 0 && n < 3 * N_TICKS);
	query.after_ms = T0 + (N_TICKS - (int64_t)n / 3) * 1000;
	assert_true(count_found(&fixture, &query) + 6 >= n);
	assert_others_stay(&fixture);
	tear_down(&fixture);
}

static void append_ticks(struct fixture *fixture, const char *collection, unsigned first, unsigned n)
{
	struct batch batch = {0};

	for (unsigned i = 0; i < n; i += 100) {
		batch_clear(&batch);
		add_ticks(&batch, first + i, 100);
		assert_stored(fixture, store_append(fixture->store, collection, &batch));
	}
	batch_done(&batch);
}

/* The number of documents of a collection, and the times of its first and last one, in seconds since T0. */
static unsigned span_of(struct fixture *fixture, const char *collection, int64_t *ret_first_s,
			int64_t *ret_last_s)
{
	sqlite3 *database;
	sqlite3_stmt *statement;
	char path[160];
	unsigned n;

	(void)snprintf(path, sizeof(path), "%s/store.db", fixture->directory);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(database,
					    "SELECT count(*), min(time), max(time) FROM documents WHERE "
					    "collection = ?1",
					    -1, &statement, NULL),
			 SQLITE_OK);
	(void)sqlite3_bind_text(statement, 1, collection, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	n = (unsigned)sqlite3_column_int(statement, 0);
	*ret_first_s = (sqlite3_column_int64(statement, 1) - T0) / 1000;
	*ret_last_s = (sqlite3_column_int64(statement, 2) - T0) / 1000;
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(database);
	return n;
}

/*
 * A backlog is written after newer ticks, in the same and in another collection: age decides, not the row ID.
 */
static void test_backlog(void **state)
{
	struct fixture fixture;
	int64_t first_s, last_s, other_first_s, other_last_s;
	unsigned n;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	append_ticks(&fixture, fixture.collection, 3000, 1000);
	append_ticks(&fixture, "sensorother", 1000, 3000);
	append_ticks(&fixture, fixture.collection, 0, 3000);
	assert_int_equal(usage_of(&fixture).oldest_ms, T0);
	assert_int_equal(usage_of(&fixture).newest_ms, T0 + 3999 * INT64_C(1000));
	trim_all(fixture.store, MAX, T0 + 4000 * INT64_C(1000));
	n = span_of(&fixture, fixture.collection, &first_s, &last_s);
	(void)span_of(&fixture, "sensorother", &other_first_s, &other_last_s);
	print_message("# left: %" PRId64 " to %" PRId64 " s, and %" PRId64 " to %" PRId64 " s\n", first_s,
		      last_s, other_first_s, other_last_s);
	assert_int_equal(last_s, 3999);
	assert_int_equal(other_last_s, 3999);
	assert_in_range(n, 3 * (3999 - first_s), 3 * (4000 - first_s)); /* without a gap */
	assert_in_range(first_s - other_first_s + 200, 0, 400);         /* to within a slice or two */
	tear_down(&fixture);
}

/* Ticks dated in the future are not the newest: they are deleted first, and correctly dated ones stay. */
static void test_ahead(void **state)
{
	struct fixture fixture;
	int64_t first_s, last_s;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	append_ticks(&fixture, fixture.collection, 0, 500);
	append_ticks(&fixture, "sensorother", 1000000, 4000);
	append_ticks(&fixture, fixture.collection, 500, 200);
	trim_all(fixture.store, MAX, T0 + 700 * INT64_C(1000));
	assert_int_equal(span_of(&fixture, fixture.collection, &first_s, &last_s), 3 * 700);
	assert_in_range(span_of(&fixture, "sensorother", &first_s, &last_s), 1, 3 * 3000);
	assert_int_equal(last_s, 1003999);
	/* After these, the oldest are deleted. */
	append_ticks(&fixture, fixture.collection, 700, 4000);
	trim_all(fixture.store, MAX, T0 + 4700 * INT64_C(1000));
	assert_int_equal(span_of(&fixture, "sensorother", &first_s, &last_s), 0);
	(void)span_of(&fixture, fixture.collection, &first_s, &last_s);
	assert_int_equal(last_s, 4699);
	tear_down(&fixture);
}

/*
 * A clock that was reset: new ticks stay, whatever their date, and the oldest of the old ticks are deleted.
 */
static void test_lost_clock(void **state)
{
	struct fixture fixture;
	int64_t first_s, last_s;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	append_ticks(&fixture, fixture.collection, 100000, 4000);
	append_ticks(&fixture, fixture.collection, 0, 300);
	trim_all(fixture.store, MAX, T0 + 300 * INT64_C(1000));
	(void)span_of(&fixture, fixture.collection, &first_s, &last_s);
	assert_int_equal(first_s, 0);
	assert_int_equal(last_s, 103999);
	tear_down(&fixture);
}

/* Times at the limits of the type, and none: nothing overflows or repeats forever. */
static void test_odd_times(void **state)
{
	static const int64_t times[] = {1, INT64_MAX, INT64_MAX - 1, INT64_MIN, -1, 0};
	struct fixture fixture;
	char id[20];

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		(void)snprintf(id, sizeof(id), "odd %zu", i);
		put_named(fixture.store, i % 2 ? "sensora" : "sensorb", id, times[i]);
	}
	trim_all(fixture.store, 1, T0);
	assert_int_equal(count_in(fixture.store, "sensora") + count_in(fixture.store, "sensorb"), 3);
	trim_all(fixture.store, 1, INT64_MAX);
	tear_down(&fixture);
}

/* Deleted space is returned to the file system, except for what the next ticks need. */
static void test_shrinks(void **state)
{
	struct fixture fixture;
	struct store_usage before, after;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	fill(&fixture, 0, 12000);
	before = usage_of(&fixture);
	assert_true(before.shrinks);
	assert_true(before.file_bytes > 14 * MAX);
	trim_all(fixture.store, MAX, T0);
	after = usage_of(&fixture);
	assert_true(after.file_bytes < before.file_bytes / 2);
	assert_true(after.file_bytes >= after.used_bytes);
	tear_down(&fixture);
}

/* A file of an older version cannot shrink: it keeps its size, and its free space is reused. */
static void test_old_file(void **state)
{
	struct fixture fixture;
	struct store_usage before, after;
	sqlite3 *database;
	char path[160];

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	store_close(fixture.store);
	(void)snprintf(path, sizeof(path), "%s/store.db", fixture.directory);
	assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
	assert_int_equal(sqlite3_exec(database,
				      "PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
	open_store(&fixture, STORE_READ | STORE_WRITE);
	fill(&fixture, 0, N_TICKS);
	before = usage_of(&fixture);
	assert_false(before.shrinks);
	trim_all(fixture.store, MAX, T0);
	assert_true(usage_of(&fixture).used_bytes <= MAX);
	fill(&fixture, N_TICKS, 400);
	after = usage_of(&fixture);
	assert_int_equal(after.file_bytes, before.file_bytes);
	tear_down(&fixture);
}

/* Age is relative to the newest tick, or to the clock if that is earlier. */
static void test_age(void **state)
{
	static const struct {
		int64_t now_s;
		unsigned kept;
	} cases[] = {
		{1000, 100},    /* the clock agrees with the newest tick */
		{900, 200},     /* the clock is behind */
		{100000, 101},  /* an archive, or a clock in the future */
		{-100000, 1000} /* a clock that was reset */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture fixture;
		struct store_query query;
		int64_t now_ms = T0 + cases[i].now_s * 1000;

		set_up(&fixture, "sqlite:%s/store.db");
		query = query_of(&fixture);
		fill(&fixture, 0, 1000);
		assert_stored(&fixture, store_ensure(fixture.store, fixture.collection, 100, now_ms));
		trim_all(fixture.store, 0, now_ms);
		print_message("# case %zu: %u documents are left\n", i, count_found(&fixture, &query));
		assert_in_range(count_found(&fixture, &query), 3 * cases[i].kept, 3 * (cases[i].kept + 1));
		assert_others_stay(&fixture);
		tear_down(&fixture);
	}
}

/* Each call is short: a large deletion takes many calls, and other writers get their turn in between. */
static void test_slices(void **state)
{
	struct fixture fixture;
	struct store *other;
	struct store_options options = {.flags = STORE_WRITE, .timeout_ms = 20000};
	struct reason why;
	struct batch batch = {0};
	unsigned calls = 0;
	bool more = true;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	fill(&fixture, 0, 12000);
	assert_int_equal(store_open(fixture.uri, &options, &other, &why), 0);
	for (; more; calls++) {
		assert_stored(&fixture, store_trim(fixture.store, MAX, T0, &more));
		batch_clear(&batch);
		add_ticks(&batch, 20000 + calls, 1);
		assert_int_equal(store_append(other, "sensorother", &batch), STORE_OK);
	}
	print_message("# %u slices\n", calls);
	assert_true(usage_of(&fixture).used_bytes <= MAX);
	assert_others_stay(&fixture);
	store_close(other);
	batch_done(&batch);
	tear_down(&fixture);
}

/* Whatever the bound and the steps: within it at the end, the newest tick kept, only ticks deleted. */
static void test_random_bounds(void **state)
{

	(void)state;
	srand(random_begin());
	for (unsigned round = 0; round < 5; round++) {
		struct fixture fixture;
		uint64_t max = (uint64_t)(400 + rand() % 2000) * 1024;
		unsigned at = 0;

		set_up(&fixture, "sqlite:%s/store.db");
		for (unsigned step = 0; step < 6; step++) {
			unsigned n = 100 * (unsigned)(1 + rand() % 8);

			fill(&fixture, at, n);
			at += n;
			trim_all(fixture.store, max, T0 + at * 1000);
			assert_true(usage_of(&fixture).used_bytes <= max);
			assert_int_equal(usage_of(&fixture).newest_ms, T0 + (at - 1) * 1000);
		}
		assert_others_stay(&fixture);
		tear_down(&fixture);
	}
}

/* Bounds below the size of what must stay end the deletion instead of repeating it forever. */
static void test_nothing_left(void **state)
{
	struct fixture fixture;
	struct store_query query;

	(void)state;
	set_up(&fixture, "sqlite:%s/store.db");
	query = query_of(&fixture);
	fill(&fixture, 0, 100);
	trim_all(fixture.store, 1, T0);
	assert_int_equal(count_found(&fixture, &query), 0);
	assert_others_stay(&fixture);
	tear_down(&fixture);
}

static void test_others_have_no_bounds(void **state)
{
	static const char *const uris[] = {"null:", "jsonl:/dev/null", "bson:/dev/null"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(uris); i++)
		assert_int_equal(store_uri_traits(uris[i]) & STORE_BOUNDED, 0);
	assert_true(store_uri_traits("sqlite:/x") & STORE_BOUNDED);
}

static void test_text(void **state)
{
	static const struct {
		struct store_bounds bounds;
		struct store_usage usage;
		double per_day;
		const char *text;
	} cases[] = {
		{{.max_bytes = 4000000000, .retention_s = 30 * 86400},
		 {0},
		 2.0e9,
		 "'s' keeps at most 30 days or 4.0 GB of ticks, whichever comes first; it holds 0 bytes now "
		 "and "
		 "grows by about 2.0 GB a day, so about 48 hours are kept"},
		{{.max_bytes = 4000000000, .retention_s = 30 * 86400},
		 {.used_bytes = 50000000, .oldest_ms = 1, .newest_ms = 1 + 86400000},
		 0,
		 "'s' keeps at most 30 days or 4.0 GB of ticks, whichever comes first; it holds 50 MB now "
		 "and grows "
		 "by about 50 MB a day, so about 30 days are kept"},
		{{.retention_s = 7 * 86400},
		 {.used_bytes = 21000000},
		 21e9,
		 "'s' keeps at most 7 days of ticks; it holds 21 MB now and grows by about 21 GB a day, up "
		 "to "
		 "about 147 GB"},
		{{.max_bytes = 100000000},
		 {.used_bytes = 100, .oldest_ms = 1, .newest_ms = 2},
		 0,
		 "'s' keeps at most 100 MB of ticks; it holds 100 bytes now"},
		{{0},
		 {.used_bytes = 100},
		 1e9,
		 "'s' keeps everything; it holds 100 bytes now and grows by about 1.0 GB a day"},
	};
	char text[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(store_bounds_text(&cases[i].bounds, "s", &cases[i].usage,
						      cases[i].per_day, text, sizeof(text)),
				    cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size),         cmocka_unit_test(test_backlog),
		cmocka_unit_test(test_ahead),        cmocka_unit_test(test_lost_clock),
		cmocka_unit_test(test_odd_times),    cmocka_unit_test(test_shrinks),
		cmocka_unit_test(test_old_file),     cmocka_unit_test(test_age),
		cmocka_unit_test(test_slices),       cmocka_unit_test(test_random_bounds),
		cmocka_unit_test(test_nothing_left), cmocka_unit_test(test_others_have_no_bounds),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
