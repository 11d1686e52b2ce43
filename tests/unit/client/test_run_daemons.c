/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the daemons of `wattribute run` end: in order, too early, with lost reports, killed by someone else, or
 * by force after a signal to the client.
 */
#include "run/run_daemons.h"
#include "run/run_command.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
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

/* A daemon that ends with this status on SIGTERM. */
static pid_t start_losing(int status)
{
	pid_t pid = fork();
	int number = 0;
	sigset_t set;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigwait(&set, &number);
	_exit(status);
}

static void they_end_in_order(void **state)
{
	struct run_daemons daemons = {.sensor = start_losing(0), .server = start_losing(0)};
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
		.folder.path = "/nonexistent", .sensor = start_losing(0), .server = start(false)};
	struct reason why = {""};

	(void)state;
	(void)kill(daemons.server, SIGKILL);
	while (run_daemons_alive(&daemons, &why) == 0)
		(void)usleep(1000);
	assert_non_null(strstr(why.text, "wattribute-server was ended by SIGKILL"));
	assert_int_equal(run_daemons_end(&daemons, &why), 0);
}

static void lost_reports_are_told(void **state)
{
	char folder[] = "/tmp/test-run-daemons.XXXXXX", log[64];
	struct run_daemons daemons = {.sensor = start_losing(3), .server = start_losing(0)};
	struct reason why = {""};
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(log, sizeof(log), "%s/wattribute-sensor.log", folder);
	(void)snprintf(daemons.folder.path, sizeof(daemons.folder.path), "%s", folder);
	out = fopen(log, "w");
	assert_non_null(out);
	(void)fputs("s: warning: store: 7 documents are lost (exit status 3)\ns: debug: the last line\n",
		    out);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(run_daemons_end(&daemons, &why), 1);
	assert_non_null(
		strstr(why.text, "wattribute-sensor has exited: s: warning: store: 7 documents are lost"));
	(void)unlink(log);
	(void)rmdir(folder);

	daemons = (struct run_daemons){.sensor = start_losing(0), .server = start_losing(3), .verbose = true};
	assert_int_equal(run_daemons_end(&daemons, &why), 1);
	assert_string_equal(why.text, "wattribute-server has exited with status 3");
}

static void one_that_did_not_last_is_told(void **state)
{
	struct run_daemons daemons = {.sensor = start_losing(0), .server = start(false)};
	siginfo_t info;
	struct reason why = {""};

	(void)state;
	(void)kill(daemons.sensor, SIGTERM);
	assert_int_equal(waitid(P_PID, (id_t)daemons.sensor, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(run_daemons_end(&daemons, &why), 1);
	assert_non_null(strstr(why.text, "wattribute-sensor has exited with status 0"));
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
		cmocka_unit_test(they_end_in_order),      cmocka_unit_test(a_killed_one_is_named),
		cmocka_unit_test(lost_reports_are_told),  cmocka_unit_test(one_that_did_not_last_is_told),
		cmocka_unit_test(a_signal_ends_the_wait),
	};

	run_signals_block();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
