/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of two servers writes: who is first, who waits, who takes over and from whom; a lease that was
 * deleted or is malformed. On one SQLite file, with short periods; nothing here depends on the machine's
 * speed, as the waiting server measures the time.
 */
#include "db/db_lease.h"

#include "base/reason.h"
#include "unit/random_seed.h"

#include <bson/bson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PERIOD_MS 40

struct fixture {
	char folder[64];
	struct store *stores[2];
	struct db_lease leases[2];
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct reason why = {""};
	char uri[128];

	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/wattribute-lease-XXXXXX");
	if (!mkdtemp(fixture->folder))
		return -1;
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/a.db", fixture->folder);
	for (int i = 0; i < 2; i++) {
		if (store_open(uri, NULL, &fixture->stores[i], &why) < 0)
			return -1;
		db_lease_init(&fixture->leases[i], i ? "formula b" : "formula a", PERIOD_MS);
	}
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];
	int status;

	store_close(fixture->stores[0]);
	store_close(fixture->stores[1]);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", fixture->folder);
	status = system(command);
	free(fixture);
	return status;
}

static bool take(struct fixture *fixture, int i)
{
	assert_int_equal(db_lease_take(&fixture->leases[i], fixture->stores[i]), STORE_OK);
	return fixture->leases[i].held;
}

static enum store_result renew(struct fixture *fixture, int i)
{
	return db_lease_renew(&fixture->leases[i], fixture->stores[i]);
}

static enum store_result write_something(struct fixture *fixture, int i, const char *id)
{
	bson_t *bson = BCON_NEW("_id", BCON_UTF8(id));
	struct batch batch = {0};
	enum store_result result;

	assert_int_equal(batch_append(&batch, bson_get_data(bson), bson->len), 0);
	result = store_append(fixture->stores[i], "powera", &batch);
	bson_destroy(bson);
	batch_done(&batch);
	return result;
}

/* The owner appears to be on another machine, so that a live process of this one proves nothing. */
static void seem_remote(struct db_lease *lease, const char *host)
{
	(void)snprintf(lease->own.owner, sizeof(lease->own.owner), "%s 77 elsewhere 0123", host);
}

/* Until the standby has taken it, or has looked `most` times. */
static unsigned looks_until_taken(struct fixture *fixture, int i, unsigned most)
{
	unsigned n = 1;

	while (!take(fixture, i) && n < most) {
		(void)usleep(PERIOD_MS * 1000 / DB_LEASE_RENEWALS);
		n++;
	}
	return n;
}

static void the_first_server_writes_and_the_second_waits(void **state)
{
	struct fixture *fixture = *state;

	seem_remote(&fixture->leases[0], "alpha");
	assert_true(take(fixture, 0));
	for (int i = 0; i < 30; i++) {
		assert_false(take(fixture, 1));
		assert_int_equal(renew(fixture, 0), STORE_OK);
		(void)usleep(PERIOD_MS * 1000 / DB_LEASE_RENEWALS);
	}
	assert_non_null(strstr(fixture->leases[1].who, "alpha"));
	assert_non_null(strstr(fixture->leases[1].who, "formula a"));
	assert_int_equal(write_something(fixture, 0, "x"), STORE_OK);
}

static void a_silent_writer_is_superseded_and_cannot_write(void **state)
{
	struct fixture *fixture = *state;

	seem_remote(&fixture->leases[0], "alpha");
	assert_true(take(fixture, 0));
	assert_int_equal(write_something(fixture, 0, "x"), STORE_OK);
	assert_in_range(looks_until_taken(fixture, 1, 1000), DB_LEASE_RENEWALS, 1000);
	assert_true(fixture->leases[1].held);
	assert_int_equal(write_something(fixture, 0, "y"), STORE_LOST);
	assert_int_equal(write_something(fixture, 1, "y"), STORE_OK);
	assert_int_equal(renew(fixture, 0), STORE_LOST);
	assert_false(fixture->leases[0].held);
	assert_int_equal(renew(fixture, 1), STORE_OK);
}

static void a_released_lease_is_free_immediately(void **state)
{
	struct fixture *fixture = *state;

	assert_true(take(fixture, 0));
	db_lease_release(&fixture->leases[0], fixture->stores[0]);
	assert_true(take(fixture, 1));
}

static void does_not_wait_for_an_ended_process(void **state)
{
	struct fixture *fixture = *state;
	pid_t pid = fork();

	if (pid == 0) {
		/* Its real owner text: this machine, its own process ID. */
		struct reason why = {""};
		struct store *store = NULL;
		struct db_lease lease;
		char uri[128];

		(void)snprintf(uri, sizeof(uri), "sqlite:%s/a.db", fixture->folder);
		db_lease_init(&lease, "formula a", 3600000);
		_exit(store_open(uri, NULL, &store, &why) < 0 || db_lease_take(&lease, store) != STORE_OK);
	}
	int status = -1;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	fixture->leases[1].period_ns = UINT64_C(3600000000000);
	assert_true(take(fixture, 1));
	assert_int_equal(fixture->leases[1].own.generation, 2);
}

static void put_lease(struct fixture *fixture, bson_t *bson)
{
	struct batch batch = {0};

	assert_int_equal(batch_append(&batch, bson_get_data(bson), bson->len), 0);
	assert_int_equal(store_put(fixture->stores[1], "state", &batch), STORE_OK);
	bson_destroy(bson);
	batch_done(&batch);
}

static void an_invalid_lease_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	char longest[400];

	memset(longest, 'o', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	bson_t *const damaged[] = {
		BCON_NEW("_id", BCON_UTF8("lease")),
		BCON_NEW("_id", BCON_UTF8("lease"), "owner", BCON_INT32(1), "generation", BCON_INT64(4),
			 "beat", BCON_INT64(1)),
		BCON_NEW("_id", BCON_UTF8("lease"), "owner", BCON_UTF8("a 1 b"), "generation",
			 BCON_DOUBLE(NAN), "beat", BCON_INT64(1)),
		BCON_NEW("_id", BCON_UTF8("lease"), "owner", BCON_UTF8("a 1 b"), "generation", BCON_INT64(-5),
			 "beat", BCON_INT64(1)),
		BCON_NEW("_id", BCON_UTF8("lease"), "owner", BCON_UTF8(longest), "generation", BCON_INT64(1),
			 "beat", BCON_INT64(1)),
	};

	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		put_lease(fixture, damaged[i]);
		db_lease_init(&fixture->leases[0], "formula a", PERIOD_MS);
		store_fence(fixture->stores[0], NULL);
		assert_true(take(fixture, 0));
		assert_int_equal(renew(fixture, 0), STORE_OK);
		assert_int_equal(write_something(fixture, 0, "x"), STORE_OK);
	}
}

static void a_deleted_lease_is_rewritten(void **state)
{
	struct fixture *fixture = *state;
	char command[200];

	seem_remote(&fixture->leases[0], "alpha");
	assert_true(take(fixture, 0));
	(void)snprintf(command, sizeof(command),
		       "sqlite3 '%s/a.db' \"delete from documents where id = 'lease'\"", fixture->folder);
	if (system(command) != 0)
		skip();
	assert_int_equal(write_something(fixture, 0, "x"), STORE_OK);
	assert_int_equal(renew(fixture, 0), STORE_OK);
	assert_false(take(fixture, 1));
}

/* If an answer is lost, the stored renewal is not mistaken for another server's. */
static void a_renewal_already_stored_is_recognised(void **state)
{
	struct fixture *fixture = *state;

	assert_true(take(fixture, 0));
	assert_int_equal(renew(fixture, 0), STORE_OK);
	fixture->leases[0].own.beat--;
	assert_int_equal(renew(fixture, 0), STORE_OK);
	assert_int_equal(renew(fixture, 0), STORE_OK);
	assert_true(fixture->leases[0].held);
}

/* One turn of a server: it writes if it believes that it holds the lease. */
static bool turn(struct fixture *fixture, int i, unsigned step)
{
	struct db_lease *lease = &fixture->leases[i];
	char id[32];
	bool wrote;

	(void)snprintf(id, sizeof(id), "%u-%d", step, i);
	if (!lease->held) {
		(void)take(fixture, i);
		return false;
	}
	wrote = write_something(fixture, i, id) == STORE_OK;
	if (renew(fixture, i) == STORE_LOST) {
		/* Its process exits and another one starts. */
		db_lease_init(lease, "formula", PERIOD_MS);
		seem_remote(lease, i ? "beta" : "alpha");
		lease->own.owner[3] = (char)('a' + step % 26);
		store_fence(fixture->stores[i], NULL);
	}
	return wrote;
}

/*
 * Two servers that pause for random times: they never both write in one turn, and each writes at some time.
 */
static void never_two_writers(void **state)
{
	struct fixture *fixture = *state;
	unsigned n_written[2] = {0}, n_changes = 0, paused[2] = {0};
	int last = -1;

	srand(random_begin());
	seem_remote(&fixture->leases[0], "alpha");
	seem_remote(&fixture->leases[1], "beta");
	for (unsigned step = 0; step < 5000 && n_changes < 20; step++) {
		bool wrote[2];

		for (int i = 0; i < 2; i++) {
			paused[i] -= paused[i] > 0;
			if (!paused[i] && rand() % 12 == 0)
				paused[i] = (unsigned)rand() % 40;
			wrote[i] = !paused[i] && turn(fixture, i, step);
			n_written[i] += wrote[i];
			if (wrote[i] && last != i) {
				n_changes += last >= 0;
				last = i;
			}
		}
		assert_false(wrote[0] && wrote[1]);
		(void)usleep(PERIOD_MS * 1000 / 8);
	}
	print_message("# %u and %u writings, %u changes\n", n_written[0], n_written[1], n_changes);
	assert_int_equal(n_changes, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_first_server_writes_and_the_second_waits, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_silent_writer_is_superseded_and_cannot_write, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_released_lease_is_free_immediately, setup, teardown),
		cmocka_unit_test_setup_teardown(does_not_wait_for_an_ended_process, setup, teardown),
		cmocka_unit_test_setup_teardown(an_invalid_lease_is_replaced, setup, teardown),
		cmocka_unit_test_setup_teardown(a_deleted_lease_is_rewritten, setup, teardown),
		cmocka_unit_test_setup_teardown(a_renewal_already_stored_is_recognised, setup, teardown),
		cmocka_unit_test_setup_teardown(never_two_writers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
