/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed messages with file descriptors over a SOCK_SEQPACKET pair between the processes of a daemon. The
 * receiver checks type and length; a malformed message is an error that ends the process.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef IPC_MESSAGE_MAX              /* the fuzzers define a smaller one */
#define IPC_MESSAGE_MAX (128 * 1024) /* bytes of payload in one message */
#endif
#define IPC_FDS_MAX 128

struct ipc_message {
	uint32_t type;
	uint32_t tag;  /* chosen by the sender; answers repeat it */
	size_t length; /* payload bytes */
	const void *payload;
	int fds[IPC_FDS_MAX]; /* owned by the receiver, close-on-exec */
	unsigned n_fds;
};

/* A connected pair, close-on-exec, with room for at least 8 full messages if the kernel allows. */
int ipc_pair(int ret_sockets[2]);
/* 0; -EAGAIN if a non-blocking socket is full; -EPIPE if the peer has closed; -EMSGSIZE. */
int ipc_send(int socket, uint32_t type, uint32_t tag, const void *payload, size_t length, const int *fds,
	     unsigned n_fds);
/* The same on any socket, without ever waiting. */
int ipc_try_send(int socket, uint32_t type, uint32_t tag, const void *payload, size_t length, const int *fds,
		 unsigned n_fds);
/*
 * Receives into `buffer` (at least IPC_MESSAGE_MAX + 16 bytes), to which ret_message->payload points. 1 and a
 * message; 0 if the peer has closed; -EAGAIN; -EBADMSG if it was truncated or has no header.
 */
int ipc_receive(int socket, void *buffer, size_t size, struct ipc_message *ret_message);
void ipc_close_fds(struct ipc_message *message);

/* Reading a payload field by field: an overrun sets `failed` and yields zeroes; check once at the end. */
struct ipc_cursor {
	const uint8_t *at;
	size_t left;
	int failed;
};
struct ipc_cursor ipc_cursor_init(const void *payload, size_t length);
uint64_t ipc_get_u64(struct ipc_cursor *cursor);
/* A struct of eight-byte integers, whose values must be checked. Written as its bytes. */
void ipc_get_numbers(struct ipc_cursor *cursor, void *ret, size_t size);
int64_t ipc_get_i64(struct ipc_cursor *cursor);
/* NUL-terminated string in the payload; "" on failure. */
const char *ipc_get_string(struct ipc_cursor *cursor);
const void *ipc_get_bytes(struct ipc_cursor *cursor, size_t *ret_length);

/* Writing one: appends to a batch used as a byte buffer (n_documents stays 0). */
struct batch;
int ipc_put_u64(struct batch *buffer, uint64_t value);
int ipc_put_i64(struct batch *buffer, int64_t value);
int ipc_put_string(struct batch *buffer, const char *value);
int ipc_put_bytes(struct batch *buffer, const void *data, size_t length);
