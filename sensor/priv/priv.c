/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process's side of the socket: one table of request types, each decoded, done by priv_open.c
 * and answered. Called by the first process of the sensor for each readable event. A malformed message ends
 * it.
 */
#include "priv/priv.h"

#include "document/batch.h"
#include "base/cleanup.h"
#include "process/ipc.h"
#include "base/log.h"
#include "priv/priv_answer.h"

#include <errno.h>
#include <string.h>

#define LOG_TOKEN "priv"

int priv_get_group(struct ipc_cursor *cursor, struct priv_group *ret_group, struct event_attr *events)
{
	uint64_t cpu, n;

	*ret_group = (struct priv_group){.events = events};
	ret_group->cgroup = ipc_get_string(cursor);
	cpu = ipc_get_u64(cursor);
	n = ipc_get_u64(cursor);
	if (cursor->failed || cpu > INT32_MAX || n == 0 || n > PRIV_GROUP_EVENTS_MAX)
		return -EBADMSG;
	ret_group->cpu = (unsigned)cpu;
	ret_group->n_events = (unsigned)n;
	for (unsigned i = 0; i < ret_group->n_events; i++) {
		uint64_t type = ipc_get_u64(cursor), flags = ipc_get_u64(cursor);

		if (type > UINT32_MAX || flags > UINT32_MAX)
			return -EBADMSG;
		events[i].type = (uint32_t)type;
		events[i].flags = (uint32_t)flags;
		events[i].config = ipc_get_u64(cursor);
		events[i].config1 = ipc_get_u64(cursor);
		events[i].config2 = ipc_get_u64(cursor);
	}
	return cursor->failed ? -EBADMSG : 0;
}

static int serve_open_group(const struct priv_config *config, struct ipc_cursor *cursor,
			    struct priv_answer *answer)
{
	struct event_attr events[PRIV_GROUP_EVENTS_MAX];
	struct priv_group group;

	if (priv_get_group(cursor, &group, events) < 0 || priv_check_end(cursor) < 0)
		return -EBADMSG;
	answer->error = priv_open_group(config, &group, answer->fds, &answer->cause);
	answer->n_fds = answer->error < 0 ? 0 : group.n_events;
	return 0;
}

/* A single descriptor or a negative errno, as the answer. */
static void answer_fd(struct priv_answer *answer, int fd)
{
	answer->error = fd < 0 ? fd : 0;
	answer->n_fds = fd < 0 ? 0 : 1;
	answer->fds[0] = fd;
}

static int serve_open_file(const struct priv_config *config, struct ipc_cursor *cursor,
			   struct priv_answer *answer)
{
	uint64_t kind = ipc_get_u64(cursor);
	const char *id = ipc_get_string(cursor);

	if (priv_check_end(cursor) < 0 || kind >= PRIV_FILES || strlen(id) > PRIV_ID_MAX)
		return -EBADMSG;
	answer_fd(answer, priv_open_file(config, (enum priv_file)kind, id, &answer->cause));
	return 0;
}

static int serve_open_container_file(const struct priv_config *config, struct ipc_cursor *cursor,
				     struct priv_answer *answer)
{
	uint64_t kind = ipc_get_u64(cursor);
	const char *id = ipc_get_string(cursor), *extra = ipc_get_string(cursor);

	if (priv_check_end(cursor) < 0 || kind >= CONTAINER_FILES || strlen(id) > PRIV_ID_MAX ||
	    strlen(extra) > PRIV_ID_MAX)
		return -EBADMSG;
	answer_fd(answer, config->containers ? container_file_open(config->containers,
								   (enum container_file)kind, id, extra)
					     : -EOPNOTSUPP);
	return 0;
}

static const priv_handler handlers[] = {
	[PRIV_REQUEST_OPEN_GROUP] = serve_open_group,
	[PRIV_REQUEST_OPEN_FILE] = serve_open_file,
	[PRIV_REQUEST_OPEN_CONTAINER_FILE] = serve_open_container_file,
	[PRIV_REQUEST_BPF_LOAD] = priv_serve_bpf_load,
	[PRIV_REQUEST_BPF_GROUP] = priv_serve_bpf_group,
	[PRIV_REQUEST_BPF_ATTACH] = priv_serve_bpf_attach,
	[PRIV_REQUEST_BPF_UPDATE] = priv_serve_bpf_update,
};

/* Never waits: whoever asks without reading the answers must not hold this process, and is ended. */
static int send_answer(int socket, const struct ipc_message *request, const struct priv_answer *answer)
{
	struct batch payload = {0};
	int r = ipc_put_i64(&payload, answer->error);

	if (r == 0)
		r = ipc_put_string(&payload, answer->error ? answer->cause.text : "");
	if (r == 0)
		r = ipc_try_send(socket, request->type | PRIV_ANSWER, request->tag, payload.data,
				 payload.length, answer->fds, answer->n_fds);
	batch_done(&payload);
	for (unsigned i = 0; i < answer->n_fds; i++)
		(void)close(answer->fds[i]);
	return r;
}

static int serve(int socket, const struct priv_config *config, struct ipc_message *request)
{
	struct priv_answer answer = {0};
	struct ipc_cursor cursor = ipc_cursor_init(request->payload, request->length);
	int r;

	if (request->n_fds) {
		ipc_close_fds(request);
		return log_error(LOG_TOKEN, -EBADMSG, "a request of type %u carried descriptors",
				 request->type);
	}
	if (request->type >= ARRAY_SIZE(handlers) || !handlers[request->type])
		return log_error(LOG_TOKEN, -EBADMSG, "a request has the unknown type %u", request->type);
	answer.type = request->type;
	r = handlers[request->type](config, &cursor, &answer);
	if (r < 0)
		return log_error(LOG_TOKEN, r, "a request of type %u is malformed", request->type);
	r = send_answer(socket, request, &answer);
	if (r == -EPIPE)
		return 0;
	if (r < 0)
		return log_error(LOG_TOKEN, r, "cannot answer a request of type %u", request->type);
	return 1;
}

int priv_serve(int socket, const struct priv_config *config)
{
	cleanup_(cleanup_free) void *buffer = malloc(IPC_MESSAGE_MAX + 16);
	struct ipc_message request;
	int r;

	if (!buffer)
		return -ENOMEM;
	r = ipc_receive(socket, buffer, IPC_MESSAGE_MAX + 16, &request);
	if (r == -EAGAIN)
		return 1;
	if (r < 0)
		return log_error(LOG_TOKEN, r, "cannot receive a request");
	if (r == 0)
		return 0;
	return serve(socket, config, &request);
}
