/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends and receives whole messages with a header {magic, type, tag, length} over a SOCK_SEQPACKET socket.
 * Used by every process of a daemon; independent of the messages' meaning.
 */
#include "process/ipc.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define IPC_MAGIC     0x77617474u
#define SOCKET_BUFFER (8 * (IPC_MESSAGE_MAX + 16384))

struct head {
	uint32_t magic;
	uint32_t type;
	uint32_t tag;
	uint32_t length;
};

union control {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

/* More than the usual limit requires a capability; with less, the sender only waits earlier. */
static void widen(int socket)
{
	int size = SOCKET_BUFFER;

	if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

int ipc_pair(int ret_sockets[2])
{
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
		return -errno;
	widen(sockets[0]);
	widen(sockets[1]);
	ret_sockets[0] = sockets[0];
	ret_sockets[1] = sockets[1];
	return 0;
}

static void attach_fds(struct msghdr *message, union control *control, const int *fds, unsigned n_fds)
{
	size_t bytes = n_fds * sizeof(int);

	memset(control, 0, sizeof(*control));
	message->msg_control = control->space;
	message->msg_controllen = CMSG_SPACE(bytes);
	struct cmsghdr *entry = CMSG_FIRSTHDR(message);
	entry->cmsg_level = SOL_SOCKET;
	entry->cmsg_type = SCM_RIGHTS;
	entry->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(entry), fds, bytes);
}

static int send_message(int socket, uint32_t type, uint32_t tag, const void *payload, size_t length,
			const int *fds, unsigned n_fds, int flags)
{
	if (length > IPC_MESSAGE_MAX || n_fds > IPC_FDS_MAX)
		return -EMSGSIZE;
	struct head head = {IPC_MAGIC, type, tag, (uint32_t)length};
	struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)payload, length}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = length ? 2 : 1};
	union control control;
	ssize_t n;

	if (n_fds)
		attach_fds(&message, &control, fds, n_fds);
	do
		n = sendmsg(socket, &message, MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	if (errno == EWOULDBLOCK || errno == ENOBUFS)
		return -EAGAIN;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int ipc_send(int socket, uint32_t type, uint32_t tag, const void *payload, size_t length, const int *fds,
	     unsigned n_fds)
{
	return send_message(socket, type, tag, payload, length, fds, n_fds, 0);
}

int ipc_try_send(int socket, uint32_t type, uint32_t tag, const void *payload, size_t length, const int *fds,
		 unsigned n_fds)
{
	return send_message(socket, type, tag, payload, length, fds, n_fds, MSG_DONTWAIT);
}

static void take_fds(struct msghdr *message, struct ipc_message *ret_message)
{
	for (struct cmsghdr *entry = CMSG_FIRSTHDR(message); entry; entry = CMSG_NXTHDR(message, entry)) {
		if (entry->cmsg_level != SOL_SOCKET || entry->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (entry->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && ret_message->n_fds < IPC_FDS_MAX; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(entry) + i * sizeof(int), sizeof(int));
			ret_message->fds[ret_message->n_fds++] = fd;
		}
	}
}

int ipc_receive(int socket, void *buffer, size_t size, struct ipc_message *ret_message)
{
	struct iovec part = {buffer, size};
	union control control;
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.space,
				 .msg_controllen = sizeof(control.space)};
	struct head head;
	unsigned resets = 0;
	ssize_t n;

	ret_message->n_fds = 0;
	/* ECONNRESET comes once, before pending messages: the peer has exited without reading all of ours. */
	do
		n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ == 0)));
	if (n < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	take_fds(&message, ret_message);
	if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || (size_t)n < sizeof(head))
		goto malformed;
	memcpy(&head, buffer, sizeof(head));
	if (head.magic != IPC_MAGIC || head.length != (size_t)n - sizeof(head))
		goto malformed;
	ret_message->type = head.type;
	ret_message->tag = head.tag;
	ret_message->length = head.length;
	ret_message->payload = (const char *)buffer + sizeof(head);
	return 1;
malformed:
	ipc_close_fds(ret_message);
	return -EBADMSG;
}

void ipc_close_fds(struct ipc_message *message)
{
	for (unsigned i = 0; i < message->n_fds; i++) {
		if (message->fds[i] >= 0)
			(void)close(message->fds[i]);
	}
	message->n_fds = 0;
}
