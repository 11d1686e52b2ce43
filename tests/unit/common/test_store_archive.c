/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archived SQLite stores: read-only files are read together with the log beside them; if that is impossible,
 * the message explains it by the location.
 */
#include "store/store_fixture.h"

#include <bson/bson.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char top[64] = "/tmp/wattribute-archive-XXXXXX";

static void copy(const char *from, const char *to)
{
	char text[65536];
	ssize_t n;
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, text, sizeof(text))) > 0)
		assert_int_equal(write(out, text, (size_t)n), n);
	(void)close(in);
	(void)close(out);
}

/* Two documents in the file, and with `log` a third one that is only in the log. */
static void make_archive(const char *folder, const char *name, bool log)
{
	char uri[300], path[280], from[300], to[300];
	struct store *store;
	struct reason why;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/made.db", top);
	assert_int_equal(store_open(uri, NULL, &store, &why), 0);
	append_number(store, 1);
	append_number(store, 2);
	store_close(store);
	assert_int_equal(store_open(uri, NULL, &store, &why), 0);
	if (log)
		append_number(store, 3);
	(void)snprintf(from, sizeof(from), "%s/made.db", top);
	assert_int_equal(mkdir(folder, 0755), 0);
	copy(from, path);
	(void)snprintf(from, sizeof(from), "%s/made.db-wal", top);
	(void)snprintf(to, sizeof(to), "%s-wal", path);
	if (log)
		copy(from, to);
	store_close(store);
	(void)snprintf(from, sizeof(from), "%s/made.db", top);
	(void)unlink(from);
}

/*
 * Reads as a user without write permission anywhere: the number of documents, or -1 with the reason in
 * `ret_why`.
 */
static int read_as_nobody(const char *uri, bool to_write, char *ret_why, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		const struct store_options options = {.flags = to_write ? STORE_WRITE : STORE_READ,
						      .timeout_ms = 200};
		const struct store_query query = {
			.collection = "sensorn1", .after_ms = INT64_MIN, .until_ms = INT64_MAX};
		struct store_read read;
		struct batch batch = {0};
		struct store *store;
		struct reason why = {""};

		if (geteuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
			_exit(99);
		if (store_open(uri, &options, &store, &why) < 0) {
			(void)!write(ends[1], why.text, strlen(why.text));
			_exit(98);
		}
		if (store_read(store, &query, &batch, &read) != STORE_OK) {
			(void)!write(ends[1], store_error(store), strlen(store_error(store)));
			_exit(98);
		}
		_exit((int)batch.n_documents);
	}
	(void)close(ends[1]);
	n = read(ends[0], ret_why, size - 1);
	ret_why[n > 0 ? n : 0] = '\0';
	(void)close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	return WEXITSTATUS(status) == 98 ? -1 : WEXITSTATUS(status);
}

static void close_folder(const char *folder)
{
	char command[300];

	(void)snprintf(command, sizeof(command), "chmod a-w '%.100s'/* && chmod 555 '%.100s'", folder,
		       folder);
	assert_int_equal(system(command), 0);
}

static void archives_are_read(void **state)
{
	static const struct {
		const char *folder, *name;
		bool log;
	} archives[] = {
		{"plain", "s.db", false},
		{"logged", "s.db", true},
		{"odd %3f#", "a?b%20c#.db", false},
		{"odd logged", "a?b%20c#.db", true},
	};
	char folder[150], uri[300], why[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++) {
		int n;

		(void)snprintf(folder, sizeof(folder), "%s/%s", top, archives[i].folder);
		(void)snprintf(uri, sizeof(uri), "sqlite:%s/%s", folder, archives[i].name);
		make_archive(folder, archives[i].name, archives[i].log);
		/* A writable folder: as usual. */
		assert_int_equal(chmod(folder, 0777), 0);
		close_folder(folder);
		n = read_as_nobody(uri, false, why, sizeof(why));
		if (n != 2 + archives[i].log)
			fail_msg("%s: %d documents: %s", uri, n, why);
		assert_int_equal(read_as_nobody(uri, true, why, sizeof(why)), -1);
		print_message("# %s\n", why);
		assert_non_null(strstr(why, "may not write to"));
	}
}

/* Copies a file and its rollback journal in the middle of a transaction. */
static void break_off(const char *from, const char *to)
{
	char file[300], copied[300];
	sqlite3 *database;

	(void)snprintf(file, sizeof(file), "%s/s.db", from);
	assert_int_equal(sqlite3_open(file, &database), SQLITE_OK);
	/* Makes changed pages reach the file before the end. */
	assert_int_equal(
		sqlite3_exec(database,
			     "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; PRAGMA cache_spill = 1; "
			     "BEGIN; UPDATE documents SET time = 7, target = hex(zeroblob(20000))",
			     NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(mkdir(to, 0755), 0);
	(void)snprintf(copied, sizeof(copied), "%s/s.db", to);
	copy(file, copied);
	(void)snprintf(file, sizeof(file), "%s/s.db-journal", from);
	(void)snprintf(copied, sizeof(copied), "%s/s.db-journal", to);
	copy(file, copied);
	assert_int_equal(sqlite3_close(database), SQLITE_OK);
}

static void a_journal_is_reported(void **state)
{
	char whole[150], folder[150], uri[300], why[1024], command[700];

	(void)state;
	(void)snprintf(whole, sizeof(whole), "%s/whole", top);
	(void)snprintf(folder, sizeof(folder), "%s/broken-off", top);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/s.db", folder);
	make_archive(whole, "s.db", false);
	break_off(whole, folder);
	close_folder(folder);
	assert_int_equal(read_as_nobody(uri, false, why, sizeof(why)), -1);
	print_message("# %s\n", why);
	assert_non_null(strstr(why, "s.db-journal' must be undone first: copy both files"));
	/* The suggested remedy. */
	(void)snprintf(command, sizeof(command),
		       "mkdir '%s/copy' && cp '%s'/s.db* '%s/copy' && chmod -R a+rwX '%s/copy'", top, folder,
		       top, top);
	assert_int_equal(system(command), 0);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/copy/s.db", top);
	assert_int_equal(read_as_nobody(uri, false, why, sizeof(why)), 2);
}

static void the_place_is_explained(void **state)
{
	char folder[150], uri[300], why[1024], path[300];

	(void)state;
	(void)snprintf(folder, sizeof(folder), "%s/explained", top);
	make_archive(folder, "s.db", true);
	close_folder(folder);
	(void)snprintf(path, sizeof(path), "%s/s.db-wal", folder);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/s.db", folder);
	assert_int_equal(chmod(path, 0), 0);
	assert_int_equal(read_as_nobody(uri, false, why, sizeof(why)), -1);
	print_message("# %s\n", why);
	assert_non_null(strstr(why, "may not read '"));
	assert_non_null(strstr(why, "s.db-wal"));
	(void)snprintf(uri, sizeof(uri), "sqlite:%s", folder);
	assert_int_equal(read_as_nobody(uri, false, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "it is a directory"));
	(void)snprintf(uri, sizeof(uri), "sqlite:%s/none/s.db", top);
	assert_int_equal(read_as_nobody(uri, false, why, sizeof(why)), -1);
	print_message("# %s\n", why);
	assert_non_null(strstr(why, "cannot be reached"));
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(top) ? chmod(top, 0755) : -1;
}

static int teardown(void **state)
{
	char command[200];

	(void)state;
	(void)snprintf(command, sizeof(command), "chmod -R u+rwX %s && rm -rf %s", top, top);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(archives_are_read),
		cmocka_unit_test(a_journal_is_reported),
		cmocka_unit_test(the_place_is_explained),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
