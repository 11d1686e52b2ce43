/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which process is waited for: one of an earlier run with the same destination whose first process has
 * exited. Not if its first process is alive, not with another destination, and not after it has exited.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "write/predecessor.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define URI "mongodb://db:27017"

/* A key for this run of the test only. */
static uint64_t own_key(const char *more)
{
	return predecessor_key(URI, more) ^ ((uint64_t)getpid() << 20);
}

/* Starts a first process and its writer, which has announced itself when this returns. */
static void start_pair(uint64_t key, pid_t *ret_first, pid_t *ret_writer)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*ret_first = fork();
	if (*ret_first == 0) {
		const pid_t parent = getpid();
		pid_t writer = fork();

		if (writer == 0) {
			if (predecessor_announce(key, parent) < 0)
				_exit(1);
			writer = getpid();
			if (write(ends[1], &writer, sizeof(writer)) != sizeof(writer))
				_exit(1);
		}
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], ret_writer, sizeof(*ret_writer)), sizeof(*ret_writer));
	(void)close(ends[0]);
	(void)close(ends[1]);
}

static void end_writer(pid_t writer)
{
	assert_int_equal(kill(writer, SIGKILL), 0);
	/* This process reaps orphans. */
	assert_int_equal(waitpid(writer, NULL, 0), writer);
}

static void waits_for_an_orphan(void **state)
{
	const uint64_t key = own_key("sensora"), other = own_key("sensorb");
	pid_t first, writer;
	int sockets[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_false(predecessor_is_there(key, getpid()));
	start_pair(key, &first, &writer);
	assert_false(predecessor_is_there(key, getpid())); /* a second sensor with this name */
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_int_equal(waitid(P_PID, (id_t)first, NULL, WEXITED | WNOWAIT), 0);
	assert_true(predecessor_is_there(key, getpid())); /* the first process is a zombie */
	assert_int_equal(waitpid(first, NULL, 0), first);
	assert_true(predecessor_is_there(key, getpid()));
	assert_false(predecessor_is_there(other, getpid()));
	assert_false(predecessor_is_there(key, first)); /* its own first process, seen from a child */
	assert_false(predecessor_wait(key, getpid(), sockets[0], 100));
	end_writer(writer);
	assert_false(predecessor_is_there(key, getpid()));
	assert_true(predecessor_wait(key, getpid(), sockets[0], 60000));
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void a_closed_link_ends_the_wait(void **state)
{
	const uint64_t key = own_key("sensorc");
	pid_t first, writer;
	int sockets[2];

	(void)state;
	start_pair(key, &first, &writer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_int_equal(waitpid(first, NULL, 0), first);
	(void)close(sockets[1]);
	assert_false(predecessor_wait(key, getppid(), sockets[0], UINT32_MAX)); /* a regular exit */
	assert_true(predecessor_is_there(key, getppid()));
	/* Its own first process was killed as well: two writers still run one after the other. */
	assert_false(predecessor_wait(key, 1, sockets[0], 200));
	if (fork() == 0) {
		(void)usleep(200000);
		_exit(kill(writer, SIGKILL) != 0);
	}
	assert_true(predecessor_wait(key, 1, sockets[0], 60000));
	(void)close(sockets[0]);
	while (wait(NULL) > 0)
		;
}

static void keys_identify_destinations(void **state)
{
	(void)state;
	assert_true(predecessor_key(URI, "sensora") == predecessor_key(URI, "sensora"));
	assert_true(predecessor_key(URI, "sensora") != predecessor_key(URI, "sensorb"));
	assert_true(predecessor_key(URI, "sensora") != predecessor_key("sqlite:/a.db", "sensora"));
	/* Everyone can read the name: it must reveal nothing about a password. */
	assert_true(predecessor_key("mongodb://u:one@db", "s") == predecessor_key("mongodb://u:two@db", "s"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waits_for_an_orphan),
		cmocka_unit_test(a_closed_link_ends_the_wait),
		cmocka_unit_test(keys_identify_destinations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
