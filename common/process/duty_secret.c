/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords and tokens on their way to child processes: by the child's socket, and only those that its duty
 * needs. What `ps` shows of both is covered with '*'. Called by duty.c and by the main() of a daemon.
 */
#include "process/duty_private.h"

#include "document/batch.h"
#include "process/ipc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUTY_SECRETS 0x5ec1

static struct {
	const struct secret *list;
	unsigned n;
	bool (*needs)(const char *duty, const char *option);
} kept;

void duty_take_options(const struct config *config, char *argv[],
		       bool (*needs)(const char *duty, const char *option),
		       bool (*warn)(void *token, const char *sentence))
{
	config_hide_secrets(config, argv);
	kept.list = config_secrets(config, &kept.n);
	kept.needs = needs;
	if (config_get_action(config) != CONFIG_EXIT)
		(void)config_each_unknown_variable(config, warn, (void *)"config");
}

char *duty_environment_entry(const char *duty, char *entry)
{
	for (unsigned i = 0; i < kept.n; i++) {
		const struct secret *secret = &kept.list[i];
		size_t length = secret->variable ? strcspn(secret->variable, "=") + 1 : 0;

		if (length && strncmp(entry, secret->variable, length) == 0 &&
		    !kept.needs(duty, secret->name))
			return secret->variable;
	}
	return entry;
}

int duty_send_secrets(const char *duty, int socket)
{
	struct batch message = {0};
	uint64_t n = 0;
	int r = 0;

	if (!kept.needs)
		return 0;
	for (unsigned i = 0; i < kept.n; i++)
		n += kept.list[i].argument >= 0 && kept.needs(duty, kept.list[i].name);
	r |= ipc_put_u64(&message, n);
	for (unsigned i = 0; i < kept.n; i++) {
		const struct secret *secret = &kept.list[i];

		if (secret->argument < 0 || !kept.needs(duty, secret->name))
			continue;
		r |= ipc_put_u64(&message, (uint64_t)secret->argument);
		r |= ipc_put_u64(&message, secret->offset);
		r |= ipc_put_string(&message, secret->text);
	}
	r = r ? -ENOMEM : ipc_send(socket, DUTY_SECRETS, 0, message.data, message.length, NULL, 0);
	if (message.data)
		explicit_bzero(message.data, message.length);
	batch_done(&message);
	return r;
}

static int restore(int argc, char *argv[], uint64_t argument, uint64_t offset, const char *text)
{
	char *whole;

	if (argument >= (uint64_t)argc || offset > strlen(argv[argument]))
		return -EBADMSG;
	if (asprintf(&whole, "%.*s%s", (int)offset, argv[argument], text) < 0)
		return -ENOMEM;
	argv[argument] = whole; /* as long as the process */
	return 0;
}

int duty_take_secrets(int argc, char *argv[])
{
	uint8_t *buffer = malloc(IPC_MESSAGE_MAX + 16);
	struct ipc_message message;
	struct ipc_cursor cursor;
	uint64_t n;
	int r = buffer ? ipc_receive(DUTY_SOCKET_FD, buffer, IPC_MESSAGE_MAX + 16, &message) : -ENOMEM;

	if (r == 1) {
		ipc_close_fds(&message);
		cursor = ipc_cursor_init(message.payload, message.length);
		n = ipc_get_u64(&cursor);
		r = message.type == DUTY_SECRETS ? 0 : -EBADMSG;
		for (; n > 0 && r == 0; n--) {
			uint64_t argument = ipc_get_u64(&cursor), offset = ipc_get_u64(&cursor);
			const char *text = ipc_get_string(&cursor);

			r = cursor.failed ? -EBADMSG : restore(argc, argv, argument, offset, text);
		}
		explicit_bzero(buffer, IPC_MESSAGE_MAX + 16);
	} else if (r == 0) {
		r = -EPIPE;
	}
	free(buffer);
	return r;
}
