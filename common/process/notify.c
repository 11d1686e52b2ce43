/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The datagrams of sd_notify(3). Called by the first process of a daemon; does nothing if nobody listens.
 */
#include "process/notify.h"

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MESSAGE_MAX 512

static int connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length < 2)
		return -EAFNOSUPPORT;
	if (length >= sizeof(address.sun_path))
		return -E2BIG;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@') /* abstract: a leading NUL, and no NUL at the end */
		address.sun_path[0] = '\0';
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	size_t size = offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/');
	if (connect(fd, (const struct sockaddr *)&address, (socklen_t)size) < 0) {
		int r = -errno;
		(void)close(fd);
		return r;
	}
	return fd;
}

uint64_t notify_watchdog_ms(pid_t of)
{
	const char *interval = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, wanted;

	if (!interval || text_parse_u64(interval, &us) < 0 || us == 0)
		return 0;
	if (pid && (text_parse_u64(pid, &wanted) < 0 || wanted != (uint64_t)of))
		return 0;
	return us / 2000 ? us / 2000 : 1;
}

int notify_init(struct notify *notify)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*notify = (struct notify){.socket = -1};
	if (!path || !*path)
		return 0;
	int fd = connect_to(path);
	if (fd < 0)
		return fd;
	notify->socket = fd;
	notify->watchdog_interval_ms = notify_watchdog_ms(getpid());
	return 0;
}

static int send_text(const struct notify *notify, const char *text)
{
	if (notify->socket < 0)
		return 0;
	return send(notify->socket, text, strlen(text), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* A newline would start another assignment. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			*text = ' ';
	}
}

int notify_ready(struct notify *notify, const char *status)
{
	static const char head[] = "READY=1\nSTATUS=";
	char text[MESSAGE_MAX];

	(void)snprintf(text, sizeof(text), "%s%s", head, status);
	one_line(text + sizeof(head) - 1);
	return send_text(notify, text);
}

int notify_status(struct notify *notify, const char *format, ...)
{
	static const char head[] = "STATUS=";
	char text[MESSAGE_MAX];
	va_list arguments;

	memcpy(text, head, sizeof(head));
	va_start(arguments, format);
	(void)vsnprintf(text + sizeof(head) - 1, sizeof(text) - sizeof(head) + 1, format, arguments);
	va_end(arguments);
	one_line(text);
	return send_text(notify, text);
}

int notify_watchdog(struct notify *notify)
{
	return send_text(notify, "WATCHDOG=1");
}

int notify_stopping(struct notify *notify)
{
	return send_text(notify, "STOPPING=1");
}

void notify_done(struct notify *notify)
{
	if (notify->socket >= 0)
		(void)close(notify->socket);
	notify->socket = -1;
}
