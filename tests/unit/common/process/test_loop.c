/* SPDX-License-Identifier: Apache-2.0 */
/* The loop: stop signals, ticks that neither drift nor hide delays, children. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "process/loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct loop loop;
static unsigned n_stops, n_ticks, n_ended;
static uint64_t missed, last_scheduled_ns;
static int statuses[4];

static void remember_stop(struct loop *stopping, int signal_number)
{
	assert_int_equal(signal_number, SIGTERM);
	n_stops++;
	if (stopping->data)
		loop_stop(stopping);
}

static void stop_signals(void **state)
{
	int marker;

	(void)state;
	n_stops = 0;
	assert_int_equal(loop_init(&loop, remember_stop, &marker), 0);
	(void)raise(SIGTERM);
	loop_run(&loop);
	assert_int_equal(n_stops, 1);
	assert_int_equal(loop.stop_signal, SIGTERM);
	loop_done(&loop);
	/* A daemon that hangs while stopping: the third signal kills it, and on_stop is called once. */
	n_stops = 0;
	assert_int_equal(loop_init(&loop, remember_stop, NULL), 0);
	for (int i = 0; i < 3; i++) {
		(void)raise(SIGTERM);
		(void)ev_run(loop.ev, EVRUN_NOWAIT);
	}
	loop_run(&loop);
	assert_int_equal(n_stops, 1);
	loop_done(&loop);
	loop_done(&loop);
}

static void stop_without_callback(void **state)
{
	(void)state;
	assert_int_equal(loop_init(&loop, NULL, NULL), 0);
	(void)raise(SIGINT);
	loop_run(&loop);
	assert_int_equal(loop.stop_signal, SIGINT);
	loop_done(&loop);
}

static void on_tick(struct loop_tick *tick, const struct loop_tick_time *time)
{
	n_ticks++;
	missed += time->missed;
	assert_int_equal(time->scheduled_ns % tick->interval_ns, 0);
	assert_true(time->now_ns >= time->scheduled_ns);
	assert_int_equal(time->index, n_ticks - 1 + missed);
	if (last_scheduled_ns)
		assert_int_equal(time->scheduled_ns - last_scheduled_ns,
				 (time->missed + 1) * tick->interval_ns);
	last_scheduled_ns = time->scheduled_ns;
	if (n_ticks == 3)
		(void)poll(NULL, 0, 55); /* a delay of several ticks */
	if (n_ticks == 8)
		loop_stop(&loop);
}

static void ticks(void **state)
{
	struct loop_tick tick;

	(void)state;
	n_ticks = 0;
	missed = last_scheduled_ns = 0;
	assert_int_equal(loop_init(&loop, NULL, NULL), 0);
	assert_int_equal(loop_tick_start(&loop, &tick, LOOP_TICK_MIN_NS - 1, on_tick, NULL), -ERANGE);
	assert_int_equal(loop_tick_start(&loop, &tick, LOOP_TICK_MAX_NS + 1, on_tick, NULL), -ERANGE);
	assert_int_equal(loop_tick_start(&loop, &tick, LOOP_TICK_MIN_NS, on_tick, NULL), 0);
	loop_run(&loop);
	assert_int_equal(n_ticks, 8);
	assert_true(missed >= 4);
	loop_tick_stop(&tick);
	loop_tick_stop(&tick);
	loop_done(&loop);
}

static void child_ended(struct loop_child *child, int wait_status)
{
	statuses[n_ended++] = wait_status;
	if (n_ended == *(unsigned *)child->data)
		loop_stop(&loop);
}

static pid_t child_that_exits(int code)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(code);
	return pid;
}

static void children(void **state)
{
	struct loop_child first, second;
	unsigned wanted = 2;
	int status;

	(void)state;
	n_ended = 0;
	assert_int_equal(loop_init(&loop, NULL, NULL), 0);
	pid_t mine = child_that_exits(3); /* only this test's: the loop must not reap it */
	loop_child_start(&loop, &first, child_that_exits(7), child_ended, &wanted);
	loop_child_start(&loop, &second, child_that_exits(7), child_ended, &wanted);
	loop_run(&loop);
	assert_int_equal(n_ended, 2);
	assert_int_equal(WEXITSTATUS(statuses[0]), 7);
	assert_int_equal(WEXITSTATUS(statuses[1]), 7);
	assert_int_equal(waitpid(mine, &status, 0), mine);
	assert_int_equal(WEXITSTATUS(status), 3);
	loop_done(&loop);
}

static void child_that_has_ended(void **state)
{
	struct loop_child child;
	unsigned wanted = 1;

	(void)state;
	n_ended = 0;
	assert_int_equal(loop_init(&loop, NULL, NULL), 0);
	pid_t pid = child_that_exits(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	loop_child_start(&loop, &child, pid, child_ended, &wanted);
	loop_run(&loop);
	assert_int_equal(statuses[0], -1);
	loop_done(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stop_signals),
		cmocka_unit_test(stop_without_callback),
		cmocka_unit_test(ticks),
		cmocka_unit_test(children),
		cmocka_unit_test(child_that_has_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
