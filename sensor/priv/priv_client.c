/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the privileged process: sends a request, waits for its answer, receives the descriptors.
 * Called by the sources and by the target table in `collect`. In direct mode it executes the request itself.
 */
#include "priv/priv_client.h"
#include "priv/priv_message.h"
#include "document/batch.h"
#include "base/cleanup.h"
#include "process/ipc.h"
#include "base/reason.h"
#include "event/pmu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <linux/perf_event.h>

struct priv_client {
	int socket;     /* -1: direct mode */
	bool describes; /* direct mode that opens no perf event */
	struct priv_config config;
	struct priv_bpf *bpf; /* direct mode */
	uint32_t tag;
	struct batch payload;      /* reused by each request */
	void *buffer;              /* for answers */
	struct priv_answer answer; /* the last one */
};

int priv_client_connect(int socket, struct priv_client **ret_client)
{
	struct priv_client *client = calloc(1, sizeof(*client));

	if (client)
		client->buffer = malloc(IPC_MESSAGE_MAX + 16);
	if (!client || !client->buffer) {
		free(client);
		return -ENOMEM;
	}
	client->socket = socket;
	*ret_client = client;
	return 0;
}

int priv_client_direct(const struct priv_config *config, struct priv_client **ret_client)
{
	struct priv_client *client = calloc(1, sizeof(*client));

	if (!client)
		return -ENOMEM;
	client->socket = -1;
	client->config = *config;
	client->config.bpf = &client->bpf;
	*ret_client = client;
	return 0;
}

int priv_client_describe(const struct priv_config *config, struct priv_client **ret_client)
{
	int r = priv_client_direct(config, ret_client);

	if (r == 0)
		(*ret_client)->describes = true;
	return r;
}

void priv_client_free(struct priv_client *client)
{
	if (!client)
		return;
	if (client->socket >= 0)
		(void)close(client->socket);
	priv_bpf_free(client->bpf);
	batch_done(&client->payload);
	free(client->buffer);
	free(client);
}

const char *priv_client_cause(const struct priv_client *client)
{
	return client->answer.cause.text;
}

/* The answer with its descriptors; a successful one must have exactly `n_fds`. */
static int take_answer(struct priv_client *client, struct ipc_message *message, unsigned n_fds)
{
	struct ipc_cursor cursor = ipc_cursor_init(message->payload, message->length);
	struct priv_answer *answer = &client->answer;
	const int64_t error = ipc_get_i64(&cursor);

	reason_set(&answer->cause, 0, "%s", ipc_get_string(&cursor));
	if (message->type == (PRIV_REQUEST_RESCTRL | PRIV_ANSWER)) {
		answer->resctrl.moved = ipc_get_u64(&cursor);
		answer->resctrl.foreign = ipc_get_u64(&cursor);
	}
	if (cursor.failed || error > 0 || error < -4095 || (error == 0 && message->n_fds != n_fds)) {
		ipc_close_fds(message);
		return -EBADMSG;
	}
	answer->error = (int)error;
	if (error < 0)
		ipc_close_fds(message);
	else
		memcpy(answer->fds, message->fds, n_fds * sizeof(*answer->fds));
	return 0;
}

/* Sends the request and waits for its answer. */
static int exchange(struct priv_client *client, const struct priv_message *message)
{
	struct ipc_message answer;
	int r = priv_message_write(message, &client->payload);

	client->answer = (struct priv_answer){0};
	client->tag++;
	if (r == 0)
		r = ipc_send(client->socket, message->type, client->tag, client->payload.data,
			     client->payload.length, NULL, 0);
	if (r < 0)
		return r;
	r = ipc_receive(client->socket, client->buffer, IPC_MESSAGE_MAX + 16, &answer);
	if (r <= 0)
		return r == 0 ? -EPIPE : r;
	if (answer.tag != client->tag || answer.type != (message->type | PRIV_ANSWER)) {
		ipc_close_fds(&answer);
		return -EBADMSG;
	}
	return take_answer(client, &answer, priv_message_n_fds(message));
}

/* 0 and the descriptors of a successful answer, or a negative errno. */
static int ask(struct priv_client *client, const struct priv_message *message, int *ret_fds)
{
	const unsigned n_fds = priv_message_n_fds(message);
	int r = 0;

	if (client->socket >= 0)
		r = exchange(client, message);
	else
		priv_run(&client->config, message, &client->answer);
	if (r == 0)
		r = client->answer.error;
	if (r == 0 && n_fds > 0)
		memcpy(ret_fds, client->answer.fds, n_fds * sizeof(*ret_fds));
	return r;
}

/* The one descriptor, 0 if there is none, or a negative errno. */
static int ask_for_fd(struct priv_client *client, const struct priv_message *message)
{
	int fd = 0, r = ask(client, message, &fd);

	return r < 0 ? r : fd;
}

/* Hardware counters of the cores: without their PMU the kernel lacks these types. */
static bool is_of_core(uint32_t type)
{
	return type == PERF_TYPE_HARDWARE || type == PERF_TYPE_HW_CACHE || type == PERF_TYPE_RAW;
}

/* Refuses groups that the privileged process would refuse; all others read as zeroes. */
static int pretend_group(struct priv_client *client, const struct priv_group *group, int *ret_fds)
{
	int r = priv_check_group(&client->config, group, &client->answer.cause);

	for (unsigned i = 0; r == 0 && i < group->n_events; i++)
		if (is_of_core(group->events[i].type) && !pmu_has_core(client->config.sysfs_root))
			r = -ENOENT;
	for (unsigned i = 0; r == 0 && i < group->n_events; i++) {
		ret_fds[i] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
		if (ret_fds[i] >= 0)
			continue;
		r = -errno;
		while (i > 0)
			(void)close(ret_fds[--i]);
	}
	return r;
}

int priv_client_open_group(struct priv_client *client, const struct priv_group *group, int *ret_fds)
{
	const struct priv_message message = {.type = PRIV_REQUEST_OPEN_GROUP, .group = *group};

	return client->describes ? pretend_group(client, group, ret_fds) : ask(client, &message, ret_fds);
}

int priv_client_open_file(struct priv_client *client, enum priv_file kind, const char *id)
{
	const struct priv_message message = {.type = PRIV_REQUEST_OPEN_FILE, .kind = kind, .id = id};

	return ask_for_fd(client, &message);
}

int priv_client_start_gpus(struct priv_client *client)
{
	return ask_for_fd(client, &(struct priv_message){.type = PRIV_REQUEST_GPUS});
}

void priv_client_notice(int socket, enum priv_notice notice, const char *format, ...)
{
	struct batch payload = {0};
	char status[PRIV_STATUS_MAX];
	const struct priv_message message = {.type = PRIV_REQUEST_NOTICE, .kind = notice, .id = status};
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(status, sizeof(status), format, arguments);
	va_end(arguments);
	if (priv_message_write(&message, &payload) == 0)
		(void)ipc_try_send(socket, PRIV_REQUEST_NOTICE, 0, payload.data, payload.length, NULL, 0);
	batch_done(&payload);
}

int priv_client_resctrl(struct priv_client *client, const struct priv_resctrl_request *request,
			struct priv_resctrl_answer *ret_answer)
{
	const struct priv_message message = {.type = PRIV_REQUEST_RESCTRL, .resctrl = *request};
	const int r = ask_for_fd(client, &message);

	*ret_answer = client->answer.resctrl;
	return r;
}

int priv_client_open_container_file(void *data, enum container_file kind, const char *id, const char *extra)
{
	const struct priv_message message = {.type = PRIV_REQUEST_OPEN_CONTAINER_FILE,
					     .kind = kind,
					     .id = id ? id : "",
					     .extra = extra ? extra : ""};

	return ask_for_fd(data, &message);
}

int priv_client_bpf_load(struct priv_client *client, const struct priv_bpf_shape *shape)
{
	return ask(client, &(struct priv_message){.type = PRIV_REQUEST_BPF_LOAD, .shape = *shape}, NULL);
}

int priv_client_bpf_group(struct priv_client *client, const struct priv_group *group, const unsigned *columns)
{
	const struct priv_message message = {
		.type = PRIV_REQUEST_BPF_GROUP, .group = *group, .columns = columns};

	return ask(client, &message, NULL);
}

int priv_client_bpf_attach(struct priv_client *client, int ret_fds[PRIV_BPF_MAPS])
{
	return ask(client, &(struct priv_message){.type = PRIV_REQUEST_BPF_ATTACH}, ret_fds);
}

int priv_client_bpf_update(struct priv_client *client, const struct priv_bpf_change *changes, unsigned n,
			   bool flush)
{
	const struct priv_message message = {
		.type = PRIV_REQUEST_BPF_UPDATE, .changes = changes, .n_changes = n, .flush = flush};

	return ask(client, &message, NULL);
}
