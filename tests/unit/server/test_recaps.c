/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pending recaps with a store that answers when the test tells it to: how many requests they make at once, in
 * which order, and when a run counts as noted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/bson_driver.h"
#include "recap/recap_bson.h"
#include "recap/recaps.h"

#include <errno.h>
#include <bson/bson.h>
#include <ev.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASKED_MAX 4096

/* Requests to the store that are not yet answered. */
static struct asked {
	bool is_read, is_list;
	db_done done;
	void *data;
} asked[ASKED_MAX];
static unsigned n_asked, n_lists, most_reads;
static size_t list_bytes, longest_list;
static struct batch last_list;
static int put_result;
static const struct server_config config = {.ops = &formula_share};
static struct machine machine, *machines;
static bool away;
static struct recaps *recaps;

static unsigned count_reads(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < n_asked; i++)
		n += asked[i].is_read;
	return n;
}

int db_client_read(struct db_client *client, const struct store_query *query, db_done done, void *data)
{
	(void)client, (void)query;
	assert_true(n_asked < ASKED_MAX);
	asked[n_asked++] = (struct asked){.is_read = true, .done = done, .data = data};
	most_reads = count_reads() > most_reads ? count_reads() : most_reads;
	return 0;
}

int db_client_put(struct db_client *client, const char *collection, const struct batch *batch, db_done done,
		  void *data)
{
	const bool is_list = strcmp(collection, "state") == 0;

	(void)client;
	if (put_result < 0)
		return put_result;
	assert_true(n_asked < ASKED_MAX);
	n_lists += is_list;
	list_bytes += is_list ? batch->length : 0;
	if (is_list && batch->length > longest_list)
		longest_list = batch->length;
	if (is_list) {
		batch_clear(&last_list);
		assert_int_equal(batch_append_batch(&last_list, batch), 0);
	}
	asked[n_asked++] = (struct asked){.is_list = is_list, .done = done, .data = data};
	return 0;
}

/* Answers the oldest request; reads find nothing. */
static bool answer_one(enum store_result result)
{
	static const struct batch nothing;
	const struct db_answer answer = {
		.result = result, .documents = &nothing, .read = {.end = true}, .error = result ? "no" : ""};
	const struct asked first = asked[0];

	if (!n_asked)
		return false;
	memmove(asked, asked + 1, --n_asked * sizeof(*asked));
	if (first.done)
		first.done(first.data, &answer);
	return true;
}

static void turn(void)
{
	ev_now_update(EV_DEFAULT);
	(void)ev_run(EV_DEFAULT, EVRUN_NOWAIT);
}

static int setup(void **state)
{
	const struct recaps_setup options = {
		.loop = EV_DEFAULT,
		.timeout_ms = 3600000,
		.interval_s = 1,
		.machines = &machines,
		.away = &away,
	};

	(void)state;
	machine = (struct machine){
		.config = &config, .name = (char *)(uintptr_t) "m", .time_ms = 2000000, .interval_s = 1};
	machines = NULL;
	HASH_ADD_KEYPTR(hh, machines, machine.name, strlen(machine.name), &machine);
	n_asked = n_lists = most_reads = 0;
	list_bytes = longest_list = 0;
	put_result = 0;
	recaps = recaps_new(&options);
	return recaps ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	recaps_free(recaps);
	batch_done(&last_list);
	HASH_CLEAR(hh, machines);
	return 0;
}

static int add_long(unsigned number, unsigned n_extras, recaps_done done, void *data,
		    struct recaps_entry **entry)
{
	char name[32], value[1025];
	struct recap_request request = {.machine = strdup("m"),
					.id = strdup(""),
					.window = {.times_ms = {1000000, 1000000, 1000000, 1010000}}};
	int r;

	memset(value, 'x', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (; request.n_extras < n_extras; request.n_extras++) {
		(void)snprintf(name, sizeof(name), "extra%u", request.n_extras);
		request.extras[request.n_extras] = (struct recap_extra){strdup(name), strdup(value)};
	}
	(void)snprintf(name, sizeof(name), "run%u", number);
	request.name = strdup(name);
	r = recaps_add(recaps, &request, done, data, entry);
	if (r < 0)
		recap_request_done(&request);
	return r;
}

static int add(unsigned number, recaps_done done, void *data, struct recaps_entry **entry)
{
	return add_long(number, 0, done, data, entry);
}

static void count_made(void *data, const struct recap_request *request, const struct recap *recap,
		       const bson_t *document, const char *error)
{
	(void)request, (void)recap, (void)document;
	assert_null(error);
	(*(unsigned *)data)++;
}

/* However many are requested at once, ticks wait for few reads and one list. */
static void a_flood_needs_few_reads(void **state)
{
	const unsigned n = 780;
	size_t one;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(add(i, NULL, NULL, NULL), 0);
		if (i % 10 == 0)
			turn();
		assert_true(n_asked <= 4);
	}
	assert_int_equal(n_lists, 1); /* not one for each, as the first is not yet answered */
	one = list_bytes;
	while (recaps_get_statistics(recaps)->made < n) {
		if (!answer_one(STORE_OK))
			turn();
		assert_true(count_reads() <= 2);
	}
	assert_true(most_reads <= 2);
	assert_true(n_lists <= n + 2);
	assert_true(one < 1000);
	assert_int_equal(recaps_get_statistics(recaps)->failed, 0);
}

/* Requests without a waiting client leave room for those with one. */
static void room_for_waiting_clients(void **state)
{
	unsigned i = 0, made = 0;

	(void)state;
	machine.time_ms = 0; /* nothing can be computed yet */
	while (add(i, NULL, NULL, NULL) == 0)
		assert_true(++i < 5000);
	assert_true(i < 1000);
	assert_int_equal(add(i, NULL, NULL, NULL), -EBUSY);
	assert_int_equal(add(i, count_made, &made, NULL), 0);
	machine.time_ms = 2000000;
	recaps_tick(recaps, &machine);
	for (unsigned n = 0; made == 0 && n < 20; n++) {
		turn();
		while (answer_one(STORE_OK) && made == 0)
			;
	}
	assert_int_equal(made, 1); /* the latest request is processed first */
	assert_true(recaps_get_statistics(recaps)->made <= 3);
}

static void keep_answer(void *data, const char *error)
{
	(void)snprintf(data, 32, "%s", error ? error : "noted");
}

/* A run is noted when the store has confirmed it, and not before. */
static void noted_when_stored(void **state)
{
	char first[32] = "", second[32] = "", third[32] = "";
	struct recaps_entry *entry;

	(void)state;
	machine.time_ms = 0;
	assert_int_equal(add(1, NULL, NULL, &entry), 0);
	recaps_when_noted(entry, keep_answer, first);
	assert_int_equal(add(2, NULL, NULL, &entry), 0);
	recaps_when_noted(entry, keep_answer, second);
	turn();
	assert_string_equal(first, "");
	assert_true(answer_one(STORE_OK));
	assert_string_equal(first, "noted");
	assert_string_equal(second, ""); /* it is in the next list */
	assert_true(answer_one(STORE_DROP));
	assert_string_equal(second, "no");
	put_result = -ENOMEM;
	assert_int_equal(add(3, NULL, NULL, &entry), 0);
	recaps_when_noted(entry, keep_answer, third);
	assert_string_equal(third, "");
	turn();
	assert_non_null(strstr(third, "out of memory"));
	assert_int_equal(add(4, NULL, NULL, &entry), 0);
	recaps_when_noted(entry, keep_answer, first);
	recaps_forget(entry); /* its requester has disconnected */
	put_result = 0;
	turn();
	while (answer_one(STORE_OK))
		;
	assert_string_equal(first, "noted"); /* unchanged */
}

/* The list is one document, for which databases allow 16 MB: a few long runs must not displace short ones. */
static void long_runs_fill_no_list(void **state)
{
	unsigned n = 0;

	(void)state;
	machine.time_ms = 0;
	while (add_long(n, RECAP_EXTRAS_MAX, NULL, NULL, NULL) == 0)
		assert_true(++n < 5000);
	assert_in_range(n, 50, 150);
	turn();
	while (answer_one(STORE_OK))
		;
	assert_in_range(longest_list, 1000000, 5000000);
	assert_int_equal(add(n, count_made, &n, NULL), 0);
}

static void keep_error(void *data, const struct recap_request *request, const struct recap *recap,
		       const bson_t *document, const char *error)
{
	(void)request;
	assert_true(error || (recap && document));
	(void)snprintf(data, 32, "%s", error ? error : "made");
}

/* A recap that is not yet stored, or is refused by the store, is not answered as if it were stored. */
static void answered_when_stored(void **state)
{
	char first[32] = "", second[32] = "";

	(void)state;
	assert_int_equal(add(1, keep_error, first, NULL), 0);
	turn();
	while (n_asked > 1 || asked[0].is_list || asked[0].is_read) {
		assert_string_equal(first, "");
		assert_true(answer_one(STORE_OK));
	}
	assert_string_equal(first, ""); /* its recap is being stored */
	assert_int_equal(recaps_get_statistics(recaps)->made, 0);
	assert_true(answer_one(STORE_OK));
	assert_string_equal(first, "made");
	assert_int_equal(recaps_get_statistics(recaps)->made, 1);
	assert_int_equal(add(2, keep_error, second, NULL), 0);
	turn();
	while (second[0] == '\0') {
		const bool is_recap = !asked[0].is_list && !asked[0].is_read;

		assert_true(answer_one(is_recap ? STORE_DROP : STORE_OK));
	}
	assert_string_equal(second, "no");
	assert_int_equal(recaps_get_statistics(recaps)->failed, 1);
	assert_int_equal(recaps_get_statistics(recaps)->made, 1);
}

/* All recaps that waited before a restart still wait after it. */
static void all_survive_a_restart(void **state)
{
	struct batch stored = {0};
	unsigned n = 0, made = 0;

	machine.time_ms = 0;
	while (add(n, NULL, NULL, NULL) == 0)
		n++;
	while (add(n, count_made, &made, NULL) == 0)
		n++;
	turn();
	while (answer_one(STORE_OK))
		turn();
	assert_int_equal(batch_append_batch(&stored, &last_list), 0);
	(void)teardown(state);
	assert_int_equal(setup(state), 0);
	machine.time_ms = 0;
	recaps_load(recaps, &stored);
	assert_int_equal(recaps_get_statistics(recaps)->waiting, n);
	batch_done(&stored);
}

/*
 * A foreign list, or one from before the clock was set back: recaps that would wait for years take no room
 * from new requests.
 */
static void requests_far_ahead_block_no_others(void **state)
{
	const double end_ms[] = {1e15, 1e300, HUGE_VAL};
	struct batch stored = {0};
	uint64_t waiting;
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		bson_t document, list;
		char name[16];
		struct recap_request request = {
			.machine = (char *)(uintptr_t) "m",
			.name = name,
			.id = (char *)(uintptr_t) "",
			.window = {.times_ms = {1000000, 1000000, 1000000, end_ms[i % 3]}}};

		(void)snprintf(name, sizeof(name), "far-%u", i);
		bson_init(&document);
		assert_true(bson_append_utf8(&document, "_id", -1, "recaps", -1));
		assert_true(bson_append_array_unsafe_begin(&document, "list", -1, &list));
		assert_int_equal(recap_bson_write_request(&list, 0, &request), 0);
		assert_true(bson_append_array_end(&document, &list));
		batch_clear(&stored);
		assert_int_equal(batch_append(&stored, bson_get_data(&document), document.len), 0);
		bson_destroy(&document);
		recaps_load(recaps, &stored);
	}
	batch_done(&stored);
	waiting = recaps_get_statistics(recaps)->waiting;
	assert_true(waiting > 900); /* kept while there is room, as the clock may be corrected */
	machine.time_ms = 0;
	while (n < 700 && add(n, NULL, NULL, NULL) == 0)
		n++;
	assert_int_equal(n, 700);
	turn();
	while (answer_one(STORE_OK))
		turn();
	assert_true(recaps_get_statistics(recaps)->waiting <= waiting);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_flood_needs_few_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(room_for_waiting_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(noted_when_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(long_runs_fill_no_list, setup, teardown),
		cmocka_unit_test_setup_teardown(answered_when_stored, setup, teardown),
		cmocka_unit_test_setup_teardown(all_survive_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(requests_far_ahead_block_no_others, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
