/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that give up rights for good run in a child, which returns where it failed. Included after cmocka.h.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

/* Runs `body` in a child; returns its wait status. */
static inline int in_child(int (*body)(void *data), void *data)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(body(data));
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static inline void assert_well(int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail_msg("child failed at line %d, signal %d", WIFEXITED(status) ? WEXITSTATUS(status) : 0,
			 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/* For children: on failure, returns the line number (modulo 255, plus 1). */
#define CHECK(condition)                                                                                     \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			return __LINE__ % 255 + 1;                                                           \
	} while (0)
