/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the daemons of `wattribute run` end: in order, killed by someone else, or by force after a signal to
 * the client.
 */
#include "run/run_daemons.h"
#include "run/run_command.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A process that waits for a signal; a stubborn one does not end by SIGTERM. It is ready when this returns.
 */
static pid_t start(bool stubborn)
{
	int ends[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sigset_t none;

		(void)sigemptyset(&none);
		(void)signal(SIGTERM, stubborn ? SIG_IGN : SIG_DFL);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		if (write(ends[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	(void)close(ends[0]);
	(void)close(ends[1]);
	return pid;
}

static void they_end_in_order(void **state)
{
	struct run_daemons daemons = {.sensor = start(false), .server = start(false)};
	struct reason why = {""};

	(void)state;
	assert_int_equal(run_daemons_alive(&daemons, &why), 0);
	assert_int_equal(run_daemons_end(&daemons, &why), 0);
	assert_int_equal(daemons.sensor, 0);
	assert_int_equal(daemons.server, 0);
	assert_int_equal(run_daemons_end(&daemons, &why), 0);
}

static void a_killed_one_is_named(void **state)
{
	struct run_daemons daemons = {
		.folder = "/nonexistent", .sensor = start(false), .server = start(false)};
	struct reason why = {""};

	(void)state;
	(void)kill(daemons.server, SIGKILL);
	while (run_daemons_alive(&daemons, &why) == 0)
		(void)usleep(1000);
	assert_non_null(strstr(why.text, "wattribute-server was ended by SIGKILL"));
	assert_int_equal(run_daemons_end(&daemons, &why), 0);
}

static void a_signal_ends_the_wait(void **state)
{
	struct run_daemons daemons = {.sensor = start(true), .server = start(true)};
	struct reason why = {""};

	(void)state;
	(void)raise(SIGINT);
	assert_int_equal(run_daemons_end(&daemons, &why), -EINTR);
	assert_non_null(strstr(why.text, "interrupted"));
	assert_int_equal(daemons.sensor, 0);
	assert_int_equal(daemons.server, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_end_in_order),
		cmocka_unit_test(a_killed_one_is_named),
		cmocka_unit_test(a_signal_ends_the_wait),
	};

	run_signals_block();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
