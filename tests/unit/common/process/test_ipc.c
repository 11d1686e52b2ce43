/* SPDX-License-Identifier: Apache-2.0 */
/* Messages between processes: payloads, descriptors, malformed messages, the cursor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "document/batch.h"
#include "process/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char buffer[IPC_MESSAGE_MAX + 16];

static void message_and_fds(void **state)
{
	int sockets[2], ends[2];
	struct ipc_message message;
	char byte;

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(ipc_send(sockets[0], 7, 99, "hello", 5, &ends[1], 1), 0);
	assert_int_equal(ipc_send(sockets[0], 8, 100, NULL, 0, NULL, 0), 0);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
	assert_int_equal(message.type, 7);
	assert_int_equal(message.tag, 99);
	assert_int_equal(message.length, 5);
	assert_memory_equal(message.payload, "hello", 5);
	assert_int_equal(message.n_fds, 1);
	assert_true(fcntl(message.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(message.fds[0], "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	ipc_close_fds(&message);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
	assert_int_equal(message.type, 8);
	assert_int_equal(message.length, 0);
	(void)close(sockets[0]);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 0);
	assert_int_equal(ipc_send(sockets[1], 1, 1, NULL, 0, NULL, 0), -EPIPE);
	(void)close(sockets[1]);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* A peer that exits without reading everything: what it has sent can still be read. */
static void peer_ends_with_unread_messages(void **state)
{
	int sockets[2];
	struct ipc_message message;

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(ipc_send(sockets[0], i, 0, "x", 1, NULL, 0), 0);
	assert_int_equal(ipc_send(sockets[1], 9, 0, "unread", 6, NULL, 0), 0);
	(void)close(sockets[0]);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
		assert_int_equal(message.type, i);
	}
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 0);
	(void)close(sockets[1]);
}

static void largest_and_too_large(void **state)
{
	int sockets[2], fds[IPC_FDS_MAX + 1];
	struct ipc_message message;
	char *payload = calloc(1, IPC_MESSAGE_MAX + 1);

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	for (unsigned i = 0; i < IPC_FDS_MAX + 1; i++)
		fds[i] = STDIN_FILENO;
	payload[IPC_MESSAGE_MAX - 1] = 'z';
	assert_int_equal(ipc_send(sockets[0], 1, 2, payload, IPC_MESSAGE_MAX, fds, IPC_FDS_MAX), 0);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
	assert_int_equal(message.length, IPC_MESSAGE_MAX);
	assert_int_equal(message.n_fds, IPC_FDS_MAX);
	assert_int_equal(((const char *)message.payload)[IPC_MESSAGE_MAX - 1], 'z');
	ipc_close_fds(&message);
	assert_int_equal(ipc_send(sockets[0], 1, 2, payload, IPC_MESSAGE_MAX + 1, NULL, 0), -EMSGSIZE);
	assert_int_equal(ipc_send(sockets[0], 1, 2, NULL, 0, fds, IPC_FDS_MAX + 1), -EMSGSIZE);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
	free(payload);
}

static void full_socket(void **state)
{
	int sockets[2], r = 0;
	unsigned sent = 0;

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	(void)fcntl(sockets[0], F_SETFL, O_NONBLOCK);
	(void)fcntl(sockets[1], F_SETFL, O_NONBLOCK);
	struct ipc_message message;
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), -EAGAIN);
	while (sent < 10000 && (r = ipc_send(sockets[0], 1, sent, buffer, IPC_MESSAGE_MAX, NULL, 0)) == 0)
		sent++;
	assert_int_equal(r, -EAGAIN);
	assert_true(sent >= (geteuid() == 0 ? 8 : 1));
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void malformed(void **state)
{
	uint32_t head[5] = {0x77617474, 1, 2, 4, 0};
	int sockets[2], ends[2];
	struct ipc_message message;
	char small[24];

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(send(sockets[0], head, 20, 0), 20); /* a valid one, for comparison */
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), 1);
	assert_int_equal(send(sockets[0], head, 12, 0), 12);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), -EBADMSG);
	assert_int_equal(send(sockets[0], head, 16, 0), 16);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), -EBADMSG);
	head[0] = 0;
	assert_int_equal(send(sockets[0], head, 20, 0), 20);
	assert_int_equal(ipc_receive(sockets[1], buffer, sizeof(buffer), &message), -EBADMSG);
	/* Truncated, with a descriptor that must not leak. */
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(ipc_send(sockets[0], 1, 2, "0123456789", 10, &ends[1], 1), 0);
	(void)close(ends[1]);
	assert_int_equal(ipc_receive(sockets[1], small, sizeof(small), &message), -EBADMSG);
	assert_int_equal(read(ends[0], small, 1), 0); /* end of file: the other end is closed everywhere */
	(void)close(ends[0]);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

static void fields(void **state)
{
	struct batch payload = {0};
	size_t length;

	(void)state;
	assert_int_equal(ipc_put_u64(&payload, UINT64_MAX), 0);
	assert_int_equal(ipc_put_i64(&payload, -5), 0);
	assert_int_equal(ipc_put_string(&payload, "text"), 0);
	assert_int_equal(ipc_put_bytes(&payload, "\0\1", 2), 0);
	assert_int_equal(ipc_put_string(&payload, ""), 0);
	assert_int_equal(payload.n_documents, 0);
	struct ipc_cursor cursor = ipc_cursor_init(payload.data, payload.length);
	assert_true(ipc_get_u64(&cursor) == UINT64_MAX);
	assert_true(ipc_get_i64(&cursor) == -5);
	assert_string_equal(ipc_get_string(&cursor), "text");
	assert_memory_equal(ipc_get_bytes(&cursor, &length), "\0\1", 2);
	assert_int_equal(length, 2);
	assert_string_equal(ipc_get_string(&cursor), "");
	assert_int_equal(cursor.failed, 0);
	assert_int_equal(cursor.left, 0);
	assert_int_equal(ipc_get_u64(&cursor), 0);
	assert_int_equal(cursor.failed, 1);
	for (size_t cut = 0; cut < payload.length; cut++) { /* every shorter payload fails, none is overrun */
		struct ipc_cursor part = ipc_cursor_init(payload.data, cut);
		(void)ipc_get_u64(&part);
		(void)ipc_get_i64(&part);
		(void)ipc_get_string(&part);
		(void)ipc_get_bytes(&part, &length);
		(void)ipc_get_string(&part);
		assert_int_equal(part.failed, 1);
	}
	batch_done(&payload);
}

static void string_without_end(void **state)
{
	struct batch payload = {0};

	(void)state;
	assert_int_equal(ipc_put_bytes(&payload, "abc", 3), 0);
	assert_int_equal(ipc_put_bytes(&payload, "a\0c", 4), 0);
	struct ipc_cursor cursor = ipc_cursor_init(payload.data, payload.length);
	assert_string_equal(ipc_get_string(&cursor), "");
	assert_int_equal(cursor.failed, 1);
	cursor.failed = 0;
	assert_string_equal(ipc_get_string(&cursor), "");
	assert_int_equal(cursor.failed, 1);
	batch_done(&payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peer_ends_with_unread_messages),
		cmocka_unit_test(message_and_fds),
		cmocka_unit_test(largest_and_too_large),
		cmocka_unit_test(full_socket),
		cmocka_unit_test(malformed),
		cmocka_unit_test(fields),
		cmocka_unit_test(string_without_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
