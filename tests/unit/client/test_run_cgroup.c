/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cgroups of simultaneous runs of one name: each has its own, which exists until its client removes it; what
 * a killed client left behind is replaced.
 */
#include "run/run_cgroup.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define CLIENTS 6
#define RUNS    60

static struct run_cgroup cgroup; /* large */
static char name[32];

static int set_up(void **state)
{
	struct reason why = {""};

	(void)state;
	(void)snprintf(name, sizeof(name), "test-%d", (int)getpid());
	if (run_cgroup_make(name, &cgroup, &why) < 0) {
		print_message("# %s\n", why.text);
		name[0] = '\0';
		return 0;
	}
	return run_cgroup_remove(&cgroup) == 0 ? 0 : -1;
}

static bool has_all_paths(void)
{
	struct stat status;

	for (unsigned i = 0; i < cgroup.n_paths; i++)
		if (stat(cgroup.paths[i], &status) < 0)
			return false;
	return cgroup.n_paths > 0;
}

/* 0, or the number of the step that failed. */
static int run_often(void)
{
	struct reason why = {""};
	int status;

	for (unsigned i = 0; i < RUNS; i++) {
		pid_t pid;

		if (run_cgroup_make(name, &cgroup, &why) < 0)
			return 1;
		pid = fork();
		if (pid == 0)
			_exit(run_cgroup_enter(&cgroup) < 0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
			return 2;
		if (!has_all_paths())
			return 3;
		if (run_cgroup_remove(&cgroup) != 0)
			return 4;
	}
	return 0;
}

static void simultaneous_runs_have_their_own(void **state)
{
	int status;

	(void)state;
	if (!name[0])
		skip();
	for (unsigned i = 0; i < CLIENTS; i++)
		if (fork() == 0)
			_exit(run_often());
	for (unsigned i = 0; i < CLIENTS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
}

static void what_a_killed_client_left_is_replaced(void **state)
{
	struct reason why = {""};
	int ends[2], status;
	char byte = 0;
	pid_t pid;

	(void)state;
	if (!name[0])
		skip();
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (run_cgroup_make(name, &cgroup, &why) < 0 || write(ends[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	/* While it lives: another name, or none. */
	assert_int_equal(run_cgroup_make_only(name, &cgroup, &why), -EBUSY);
	assert_int_equal(run_cgroup_make(name, &cgroup, &why), 0);
	assert_string_not_equal(cgroup.name, name);
	assert_int_equal(run_cgroup_remove(&cgroup), 0);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(run_cgroup_make_only(name, &cgroup, &why), 0);
	assert_string_equal(cgroup.name, name);
	assert_int_equal(run_cgroup_remove(&cgroup), 0);
}

/* Skips the test where no cgroup can be made. */
static void make_or_skip(void)
{
	struct reason why = {""};

	if (!name[0])
		skip();
	assert_int_equal(run_cgroup_make(name, &cgroup, &why), 0);
}

static void nothing_in_it_survives(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	make_or_skip();
	pid = fork();
	if (pid == 0) {
		(void)setsid();
		(void)signal(SIGTERM, SIG_IGN);
		if (run_cgroup_enter(&cgroup) < 0)
			_exit(1);
		for (unsigned i = 0; i < 20; i++)
			if (fork() == 0)
				break;
		for (;;)
			(void)pause();
	}
	(void)usleep(20000);
	/* The parent is ours to wait for; its children are not, and are found in the cgroup. */
	(void)kill(pid, SIGSTOP);
	run_cgroup_kill(&cgroup);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(run_cgroup_remove(&cgroup), 0);
	assert_int_equal(cgroup.n_paths, 0);
}

/* CPU time of a process that nobody has waited for. */
static void cpu_time_of_all_processes(void **state)
{
	double used_s;
	pid_t pid;
	int status;

	(void)state;
	make_or_skip();
	used_s = run_cgroup_cpu_s(&cgroup);
	if (isfinite(used_s)) {
		assert_true(used_s >= 0 && used_s < 0.05);
		pid = fork();
		if (pid == 0) {
			if (run_cgroup_enter(&cgroup) == 0 && fork() == 0)
				while (clock() < CLOCKS_PER_SEC)
					continue;
			for (;;)
				(void)pause();
		}
		while (run_cgroup_cpu_s(&cgroup) < 0.2)
			(void)usleep(10000);
		(void)kill(pid, SIGKILL);
		run_cgroup_kill(&cgroup);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(run_cgroup_cpu_s(&cgroup) >= 0.2);
	}
	assert_int_equal(run_cgroup_remove(&cgroup), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(simultaneous_runs_have_their_own),
		cmocka_unit_test(what_a_killed_client_left_is_replaced),
		cmocka_unit_test(nothing_in_it_survives),
		cmocka_unit_test(cpu_time_of_all_processes),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
