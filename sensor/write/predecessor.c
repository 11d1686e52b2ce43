/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each `write` process binds an abstract socket whose name contains the destination and its first process;
 * the kernel removes it when the process ends, for whatever reason. No file is left over, and no folder is
 * needed. A stranger who binds such a name can only delay the first delivery by the limit.
 */
#include "write/predecessor.h"
#include "base/text.h"

#include "base/hash.h"
#include "store/store.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NAME_FORMAT "wattribute-write/%016" PRIx64 "/"
#define LOOK_MS     50

uint64_t predecessor_key(const char *store_uri, const char *collection)
{
	char display[512];
	uint64_t hash;

	(void)store_uri_display(store_uri, display, sizeof(display));
	hash = hash_bytes(HASH_START, display, strlen(display) + 1);
	return hash_bytes(hash, collection, strlen(collection));
}

int predecessor_announce(uint64_t key, pid_t parent)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int length, r;

	if (fd < 0)
		return -errno;
	/* A name that begins with a NUL byte is abstract: no file is created. */
	length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, NAME_FORMAT "%d", key,
			  (int)parent);
	if (bind(fd, (const struct sockaddr *)&address,
		 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0)
		return fd;
	r = -errno;
	(void)close(fd);
	return r;
}

/* Killed, but not waited for yet: it no longer ends its children. */
static bool is_zombie(pid_t pid)
{
	char text[1024], state;

	return text_read_file(text, sizeof(text), "/proc/%d/stat", (int)pid) > 0 &&
	       sscanf(text, "%*d (%*[^)]) %c", &state) == 1 && (state == 'Z' || state == 'X');
}

static bool has_ended(pid_t pid)
{
	return (kill(pid, 0) < 0 && errno == ESRCH) || is_zombie(pid);
}

bool predecessor_is_there(uint64_t key, pid_t parent)
{
	FILE *file = fopen("/proc/self/net/unix", "re");
	char name[80], line[512];
	bool found = false;

	if (!file)
		return false;
	(void)snprintf(name, sizeof(name), "@" NAME_FORMAT, key);
	while (!found && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, name);
		const long other = at ? strtol(at + strlen(name), NULL, 10) : 0;

		found = other > 1 && other != parent && has_ended((pid_t)other);
	}
	(void)fclose(file);
	return found;
}

bool predecessor_wait(uint64_t key, pid_t parent, int link_socket, unsigned limit_ms)
{
	struct pollfd link = {.fd = link_socket, .events = 0};
	unsigned waited_ms = 0;

	while (predecessor_is_there(key, parent)) {
		if (waited_ms >= limit_ms)
			return false;
		/* No events are requested, so only POLLHUP ends the pause early. */
		if (poll(&link, 1, LOOK_MS) > 0) {
			/* Parent alive: an orderly end, with no time to wait. Parent dead: nobody waits for
			 * this process, so it continues to check. */
			if (getppid() == parent)
				return false;
			(void)poll(NULL, 0, LOOK_MS);
		}
		waited_ms += LOOK_MS;
	}
	return true;
}
