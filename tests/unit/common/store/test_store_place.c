/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SQLite files on file systems without locks or shared memory, and files locked by another process. SQLite's
 * own system calls are made to fail as they would there; the message names the problem and a remedy that
 * works, and all waits for a lock share one time limit.
 */
#include "store_fixture.h"

#include <bson/bson.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static char path[100], uri[110];
static int lock_error, map_error; /* the error of these calls; 0: they succeed */
static int64_t slept_us;

static int place_fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (lock_error && (command == F_SETLK || command == F_GETLK)) {
		errno = lock_error;
		return -1;
	}
	return fcntl(fd, command, argument);
}

static void *place_mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset)
{
	if (map_error && fd >= 0) {
		errno = map_error;
		return MAP_FAILED;
	}
	return mmap(at, length, protection, flags, fd, offset);
}

static int (*real_sleep)(sqlite3_vfs *vfs, int us);

static int place_sleep(sqlite3_vfs *vfs, int us)
{
	slept_us += us;
	return real_sleep(vfs, us);
}

static void fail_with(int lock, int map)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	lock_error = lock;
	map_error = map;
	assert_int_equal(vfs->xSetSystemCall(vfs, "fcntl", (sqlite3_syscall_ptr)place_fcntl), SQLITE_OK);
	assert_int_equal(vfs->xSetSystemCall(vfs, "mmap", (sqlite3_syscall_ptr)place_mmap), SQLITE_OK);
}

static int open_it(unsigned flags, uint64_t timeout_ms, struct store **ret, struct reason *why)
{
	const struct store_options options = {.flags = flags, .timeout_ms = timeout_ms};

	why->text[0] = '\0';
	return store_open(uri, &options, ret, why);
}

static unsigned count(struct store *store)
{
	const struct store_query query = {
		.collection = "sensorn1", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
	struct store_read read;
	struct batch batch = {0};
	unsigned n;

	assert_int_equal(store_read(store, &query, &batch, &read), STORE_OK);
	n = batch.n_documents;
	batch_done(&batch);
	return n;
}

/* A valid store file with two documents. */
static void make_file(void)
{
	struct reason why;
	struct store *store;

	fail_with(0, 0);
	assert_int_equal(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why), 0);
	append_number(store, 1);
	append_number(store, 2);
	store_close(store);
}

static void says(const char *text, const char *const *words, const char *const *none)
{
	print_message("# %s\n", text);
	for (; *words; words++)
		if (!strstr(text, *words))
			fail_msg("'%s' is missing in: %s", *words, text);
	for (; *none; none++)
		if (strcasestr(text, *none))
			fail_msg("'%s' is said in: %s", *none, text);
}

static const char *const wrong_words[] = {"is locked", "I/O error", "locking protocol", "another process",
					  NULL};

static void without_locks(void **state)
{
	static const int errors[] = {ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL, EPERM, EBADF};
	struct reason why;
	struct store *store;

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const char *const words[] = {"its file system offers no file locks", strerror(errors[i]),
					     "a folder on a local disk", "export", NULL};

		(void)unlink(path);
		make_file();
		fail_with(errors[i], 0);
		slept_us = 0;
		assert_true(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why) < 0);
		says(why.text, words, wrong_words);
		/* If locks always fail, waiting is useless. */
		assert_true(slept_us < 1000000);
		/* The suggested remedy works: reading. */
		assert_int_equal(open_it(STORE_READ, 20000, &store, &why), 0);
		assert_non_null(strstr(store_error(store), "no process should write to it meanwhile"));
		assert_int_equal(count(store), 2);
		store_close(store);
	}
}

static void run_sql(const char *statements)
{
	sqlite3 *database = NULL;
	char *why = NULL;

	assert_int_equal(sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	if (sqlite3_exec(database, statements, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", statements, why);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

/* The quoted statements of the remedy. */
static void take_remedy(const char *text, char *ret, size_t size)
{
	const char *begin = strstr(text, "sqlite3 FILE '"), *end;

	assert_non_null(begin);
	begin += strlen("sqlite3 FILE '");
	end = strchr(begin, '\'');
	assert_non_null(end);
	assert_true((size_t)(end - begin) < size);
	memcpy(ret, begin, (size_t)(end - begin));
	ret[end - begin] = '\0';
}

static void without_shared_memory(void **state)
{
	static const int errors[] = {ENODEV, EACCES, EINVAL, ENOTSUP};
	static const char *const words[] = {"its file system offers no shared memory",
					    "a folder on a local disk", NULL};
	struct reason why;
	struct store *store, *reader;
	char remedy[200];

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		(void)unlink(path);
		make_file();
		fail_with(0, errors[i]);
		assert_true(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why) < 0);
		says(why.text, words, wrong_words);
		take_remedy(why.text, remedy, sizeof(remedy));
		assert_int_equal(open_it(STORE_READ, 20000, &store, &why), 0);
		assert_int_equal(count(store), 2);
		store_close(store);
		/* The suggested remedy. */
		run_sql(remedy);
		assert_int_equal(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why), 0);
		says(store_error(store), words, wrong_words);
		append_number(store, 3);
		assert_int_equal(open_it(STORE_READ, 20000, &reader, &why), 0);
		assert_int_equal(count(reader), 3);
		append_number(store, 4);
		assert_int_equal(count(reader), 4);
		store_close(reader);
		store_close(store);
	}
	/* A new file needs no remedy. */
	(void)unlink(path);
	assert_int_equal(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why), 0);
	says(store_error(store), words, wrong_words);
	append_number(store, 1);
	assert_int_equal(count(store), 1);
	store_close(store);
	/* If shared memory works, the journal becomes a log, without a message. */
	fail_with(0, 0);
	assert_int_equal(open_it(STORE_READ | STORE_WRITE, 20000, &store, &why), 0);
	assert_string_equal(store_error(store), "");
	store_close(store);
}

/* Another process that holds the file by these statements until it is told to stop. */
static pid_t start_holder(const char *statements)
{
	int ends[2];
	char ready;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		sqlite3 *database;

		(void)close(ends[0]);
		if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK ||
		    sqlite3_exec(database, statements, NULL, NULL, NULL) != SQLITE_OK ||
		    write(ends[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &ready, 1), 1);
	(void)close(ends[0]);
	return child;
}

static void stop_holder(pid_t child)
{
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Locks that keep others from opening the file, in a file with a log and one with a journal. */
static const struct {
	const char *before, *hold;
	unsigned flags;
} holds[] = {
	{"", "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; CREATE TABLE a (b)",
	 STORE_READ | STORE_WRITE},
	{"", "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; CREATE TABLE a (b)", STORE_READ},
	{"PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE", STORE_READ | STORE_WRITE},
	{"PRAGMA journal_mode = DELETE", "BEGIN EXCLUSIVE", STORE_READ},
	{"PRAGMA journal_mode = DELETE", "BEGIN IMMEDIATE", STORE_READ | STORE_WRITE},
	{"PRAGMA journal_mode = TRUNCATE", "BEGIN EXCLUSIVE", STORE_WRITE},
};

#define TIMEOUT_MS 400

static void a_locked_file(void **state)
{
	struct reason why;
	struct store *store;
	char holder[60];

	(void)state;
	for (size_t i = 0; i < sizeof(holds) / sizeof(holds[0]); i++) {
		const char *const words[] = {holder, "keeps it locked", "stop it", NULL};
		const char *const none[] = {"another process", "file system", NULL};
		pid_t child;

		(void)unlink(path);
		make_file();
		run_sql(holds[i].before);
		child = start_holder(holds[i].hold);
		(void)snprintf(holder, sizeof(holder), "process %d (", (int)child);
		slept_us = 0;
		assert_true(open_it(holds[i].flags, TIMEOUT_MS, &store, &why) < 0);
		says(why.text, words, none);
		/* One time limit for all steps of opening; the last sleep may end after it. */
		if (slept_us > (TIMEOUT_MS + 100) * 1000)
			fail_msg("waited %d ms instead of %d", (int)(slept_us / 1000), TIMEOUT_MS);
		stop_holder(child);
		assert_int_equal(open_it(holds[i].flags, 20000, &store, &why), 0);
		store_close(store);
	}
}

/* A process that is to stop does not wait for the lock. */
static void in_a_hurry(void **state)
{
	static volatile sig_atomic_t hurry = 1;
	const struct store_options options = {
		.flags = STORE_READ | STORE_WRITE, .timeout_ms = 3600 * 1000, .hurry = &hurry};
	struct reason why = {""};
	struct store *store;
	pid_t child;

	(void)state;
	(void)unlink(path);
	make_file();
	child = start_holder(holds[0].hold);
	assert_true(store_open(uri, &options, &store, &why) < 0);
	assert_non_null(strstr(why.text, "keeps it locked"));
	stop_holder(child);
}

static int set_up_place(void **state)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/wattribute-place-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/s.db", folder);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s", path);
	real_sleep = vfs->xSleep;
	vfs->xSleep = place_sleep;
	return 0;
}

static int tear_down_place(void **state)
{
	char command[120];

	(void)state;
	(void)snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_locks),
		cmocka_unit_test(without_shared_memory),
		cmocka_unit_test(a_locked_file),
		cmocka_unit_test(in_a_hurry),
	};

	return cmocka_run_group_tests(tests, set_up_place, tear_down_place);
}
