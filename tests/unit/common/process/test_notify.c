/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to systemd: path and abstract sockets, watchdog interval, no listener. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "process/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char text[1024];

static int listener(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, length);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	(void)setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *received(int fd)
{
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void conversation(const char *name)
{
	struct notify notify;
	int fd = listener(name);

	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify_ready(&notify, "up\nREADY=0"), 0);
	assert_string_equal(received(fd), "READY=1\nSTATUS=up READY=0");
	assert_int_equal(notify_status(&notify, "%d targets", 5), 0);
	assert_string_equal(received(fd), "STATUS=5 targets");
	char huge[2000];
	memset(huge, 'x', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	assert_int_equal(notify_status(&notify, "%s", huge), 0);
	assert_true(strlen(received(fd)) < 512);
	assert_int_equal(notify_watchdog(&notify), 0);
	assert_string_equal(received(fd), "WATCHDOG=1");
	assert_int_equal(notify_stopping(&notify), 0);
	assert_string_equal(received(fd), "STOPPING=1");
	notify_done(&notify);
	assert_int_equal(notify_watchdog(&notify), 0);
	(void)close(fd);
}

static void path_and_abstract(void **state)
{
	char name[64];

	(void)state;
	(void)snprintf(name, sizeof(name), "/tmp/test_notify.%d", (int)getpid());
	conversation(name);
	(void)unlink(name);
	(void)snprintf(name, sizeof(name), "@test_notify.%d", (int)getpid());
	conversation(name);
}

static void no_listener(void **state)
{
	struct notify notify;

	(void)state;
	(void)unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify_ready(&notify, "up"), 0);
	(void)setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(notify_init(&notify), -ENOENT);
	assert_int_equal(notify_ready(&notify, "up"), 0);
	(void)setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_init(&notify), -EAFNOSUPPORT);
	memset(text, '/', 200);
	text[200] = '\0';
	(void)setenv("NOTIFY_SOCKET", text, 1);
	assert_int_equal(notify_init(&notify), -E2BIG);
}

static void watchdog_interval(void **state)
{
	struct notify notify;
	char pid[32];

	(void)state;
	int fd = listener("@test_notify.watchdog");
	(void)setenv("WATCHDOG_USEC", "3000000", 1);
	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify.watchdog_interval_ms, 1500);
	notify_done(&notify);
	(void)setenv("WATCHDOG_USEC", "0", 1);
	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify.watchdog_interval_ms, 0);
	notify_done(&notify);
	(void)setenv("WATCHDOG_USEC", "3000000", 1);
	(void)setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify.watchdog_interval_ms, 0);
	notify_done(&notify);
	(void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
	(void)setenv("WATCHDOG_PID", pid, 1);
	assert_int_equal(notify_init(&notify), 0);
	assert_int_equal(notify.watchdog_interval_ms, 1500);
	notify_done(&notify);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_and_abstract),
		cmocka_unit_test(no_listener),
		cmocka_unit_test(watchdog_interval),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
