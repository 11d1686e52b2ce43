/* SPDX-License-Identifier: Apache-2.0 */
/* Duties: this test program starts itself and acts as the child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "process/duty.h"
#include "process/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char **arguments;
static char buffer[IPC_MESSAGE_MAX + 16];

/* A child is detached from the terminal: its own session, no input, no way to type; and dumps no core. */
static int apart(void)
{
	struct rlimit core;
	struct stat null, input;

	if (getsid(0) != getpid() || open("/dev/tty", O_RDWR) >= 0)
		return 1;
	if (stat("/dev/null", &null) < 0 || fstat(STDIN_FILENO, &input) < 0 || null.st_rdev != input.st_rdev)
		return 2;
	if (fcntl(STDIN_FILENO, F_GETFL) & O_ACCMODE)
		return 3;
	if (getrlimit(RLIMIT_CORE, &core) < 0 || core.rlim_cur != 0 || core.rlim_max != 0)
		return 4;
	return 9;
}

/* The child: answers with its duty, its last argument and its descriptors; exits when the socket closes. */
static int child_main(const char *name, char *argv[])
{
	struct ipc_message message;
	uint64_t fds = 0;

	if (strcmp(name, "stubborn") == 0)
		(void)signal(SIGTERM, SIG_IGN);
	for (int fd = 0; fd < 64; fd++)
		fds |= fcntl(fd, F_GETFD) >= 0 ? UINT64_C(1) << fd : 0;
	if (strcmp(name, "apart") == 0)
		return apart();
	(void)ipc_send(DUTY_SOCKET_FD, 1, 0, &fds, sizeof(fds), NULL, 0);
	(void)ipc_send(DUTY_SOCKET_FD, 2, 0, name, strlen(name) + 1, NULL, 0);
	(void)ipc_send(DUTY_SOCKET_FD, 3, 0, argv[0], strlen(argv[0]) + 1, NULL, 0);
	while (ipc_receive(DUTY_SOCKET_FD, buffer, sizeof(buffer), &message) > 0)
		;
	while (strcmp(name, "stubborn") == 0)
		(void)pause();
	return 9;
}

static uint64_t child_fds(const struct duty *duty)
{
	struct ipc_message message;
	uint64_t fds;

	assert_int_equal(ipc_receive(duty->socket, buffer, sizeof(buffer), &message), 1);
	assert_int_equal(message.length, sizeof(fds));
	memcpy(&fds, message.payload, sizeof(fds));
	return fds;
}

static void orderly(void **state)
{
	struct duty duty;
	struct ipc_message message;

	(void)state;
	int extra = open("/dev/null", O_RDONLY), left_open = dup(STDERR_FILENO);
	assert_null(duty_current());
	assert_int_equal(duty_spawn("collect", arguments, extra, &duty), 0);
	assert_int_equal(child_fds(&duty), 0x1f);
	assert_int_equal(ipc_receive(duty.socket, buffer, sizeof(buffer), &message), 1);
	assert_string_equal(message.payload, "collect");
	assert_int_equal(ipc_receive(duty.socket, buffer, sizeof(buffer), &message), 1);
	assert_string_equal(message.payload, arguments[0]);
	int status = duty_stop(&duty, 5000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
	assert_int_equal(duty_stop(&duty, 10), -ECHILD);
	(void)close(extra);
	(void)close(left_open);
}

static void without_extra(void **state)
{
	struct duty duty;

	(void)state;
	int left_open = open("/dev/null", O_RDONLY);
	assert_int_equal(duty_spawn("write", arguments, -1, &duty), 0);
	assert_int_equal(child_fds(&duty), 0xf);
	assert_true(WIFEXITED(duty_stop(&duty, 5000)));
	(void)close(left_open);
}

static void detached_from_the_terminal(void **state)
{
	struct duty duty;

	(void)state;
	assert_int_equal(duty_spawn("apart", arguments, -1, &duty), 0);
	const int status = duty_stop(&duty, 5000);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
}

static void killed_when_stubborn(void **state)
{
	struct duty duty;

	(void)state;
	assert_int_equal(duty_spawn("stubborn", arguments, -1, &duty), 0);
	(void)child_fds(&duty);
	int status = duty_stop(&duty, 50);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void dies_with_its_parent(void **state)
{
	char byte;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid_t middle = fork();
	if (middle == 0) {
		struct duty duty;
		/* Only the duty keeps the write end open, as its extra descriptor. */
		_exit(duty_spawn("collect", arguments, ends[1], &duty) == 0 ? 0 : 1);
	}
	(void)close(ends[1]);
	int status;
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* returns once the duty has exited */
	(void)close(ends[0]);
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orderly),
		cmocka_unit_test(without_extra),
		cmocka_unit_test(detached_from_the_terminal),
		cmocka_unit_test(killed_when_stubborn),
		cmocka_unit_test(dies_with_its_parent),
	};

	(void)argc;
	arguments = argv;
	if (duty_current())
		return child_main(duty_current(), argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
