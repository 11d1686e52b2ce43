/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process's socket, as a compromised `collect` could use it: any request, and several in a
 * row. Nothing crashes, no descriptor stays open on the privileged side, and only counters and files below
 * the roots are handed over.
 */
#include "base/log.h"
#include "priv/priv.h"
#include "process/ipc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES_MAX 8

static int sockets[2];

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

/*
 * The lowest free number. Every new descriptor gets the lowest one, so a leaked descriptor
 * raises it; counting those of /proc/self/fd takes longer than everything else here.
 */
static int find_free_descriptor(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 0);

	(void)close(fd);
	return fd;
}

/* Receives and checks the answer. */
static void take_answer(int socket, uint8_t *room, size_t size)
{
	struct ipc_message answer;

	if (ipc_receive(socket, room, size, &answer) != 1)
		return;
	if (!(answer.type & PRIV_ANSWER))
		abort();
	for (unsigned i = 0; i < answer.n_fds; i++) {
		char path[64], target[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", answer.fds[i]);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (strncmp(target, "anon_inode:", 11) != 0 && strncmp(target, "/nowhere", 8) != 0)
			abort();
	}
	ipc_close_fds(&answer);
}

/* "type, length, payload", until the bytes end. The last result of priv_serve(); 1: it continues. */
static int serve_all(const uint8_t *data, size_t size)
{
	static const struct container_roots roots = {.docker = {"/nowhere"}, .storage = {"/nowhere"}};
	static const struct priv_config config = {
		.sysfs_root = "/nowhere", .perf_root = "/nowhere", .containers = &roots};
	static uint8_t room[IPC_MESSAGE_MAX + 64];
	int r = 1;

	for (unsigned i = 0; i < MESSAGES_MAX && size >= 2 && r == 1; i++) {
		uint32_t type = data[0];
		size_t length = data[1] < size - 2 ? data[1] : size - 2;

		if (ipc_send(sockets[0], type, i, data + 2, length, NULL, 0) < 0)
			return -1;
		r = priv_serve(sockets[1], &config);
		if (r == 1 && type != PRIV_REQUEST_NOTICE)
			take_answer(sockets[0], room, sizeof(room));
		data += 2 + length;
		size -= 2 + length;
	}
	return r;
}

static void close_sockets(void)
{
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int free_descriptor;

	if (!free_descriptor) {
		log_set_sink(ignore, NULL);
		if (ipc_pair(sockets) < 0 || atexit(close_sockets) != 0)
			abort();
		free_descriptor = find_free_descriptor();
	}
	/* A socket that is still served is empty again, and serves the next input, too. */
	if (serve_all(data, size) != 1) {
		close_sockets();
		if (ipc_pair(sockets) < 0)
			abort();
	}
	if (find_free_descriptor() != free_descriptor)
		abort();
	return 0;
}
