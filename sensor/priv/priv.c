/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process's side of the socket: each request is read, executed by priv_open.c and its like,
 * and answered. Called by the first process of the sensor for each readable event. A malformed message ends
 * it.
 */
#include "priv/priv_message.h"
#include "document/batch.h"
#include "base/cleanup.h"
#include "process/ipc.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>

#define LOG_TOKEN "priv"

static int load(const struct priv_config *config, const struct priv_message *message, struct reason *cause)
{
	struct priv_bpf_shape shape = message->shape;

	if (!config->bpf)
		return -EOPNOTSUPP;
	priv_bpf_free(*config->bpf); /* that of a probe; there is only one at a time */
	*config->bpf = NULL;
	shape.unified = priv_perf_is_unified(config);
	return priv_bpf_load(&shape, config->bpf, cause);
}

/* 0 or a negative errno; the descriptor if there is exactly one. */
static int execute(const struct priv_config *config, const struct priv_message *message,
		   struct priv_answer *answer)
{
	struct priv_bpf *bpf = config->bpf ? *config->bpf : NULL;

	switch (message->type) {
	case PRIV_REQUEST_OPEN_GROUP:
		return priv_open_group(config, &message->group, answer->fds, &answer->cause);
	case PRIV_REQUEST_OPEN_FILE:
		return priv_open_file(config, (enum priv_file)message->kind, message->id, &answer->cause);
	case PRIV_REQUEST_OPEN_CONTAINER_FILE:
		return config->containers
			       ? container_file_open(config->containers, (enum container_file)message->kind,
						     message->id, message->extra)
			       : -EOPNOTSUPP;
	case PRIV_REQUEST_BPF_LOAD:
		return load(config, message, &answer->cause);
	case PRIV_REQUEST_BPF_GROUP:
		return bpf ? priv_bpf_add_group(bpf, config, &message->group, message->columns,
						&answer->cause)
			   : -EOPNOTSUPP;
	case PRIV_REQUEST_BPF_ATTACH:
		return bpf ? priv_bpf_attach(bpf, answer->fds, &answer->cause) : -EOPNOTSUPP;
	case PRIV_REQUEST_BPF_UPDATE:
		return bpf ? priv_bpf_update(bpf, message->changes, message->n_changes, message->flush)
			   : -EOPNOTSUPP;
	case PRIV_REQUEST_GPUS:
		return config->start_gpus ? config->start_gpus(config->gpus_data) : -EOPNOTSUPP;
	case PRIV_REQUEST_RESCTRL:
		return priv_resctrl_run(config, &message->resctrl, &answer->resctrl, &answer->cause);
	case PRIV_REQUEST_NOTICE:
		if (config->notice)
			config->notice(config->notice_data, (enum priv_notice)message->kind, message->id);
		return 0;
	default:
		return -EINVAL;
	}
}

void priv_run(const struct priv_config *config, const struct priv_message *message,
	      struct priv_answer *ret_answer)
{
	int r;

	*ret_answer = (struct priv_answer){0};
	r = execute(config, message, ret_answer);
	ret_answer->error = r < 0 ? r : 0;
	if (r < 0)
		return;
	ret_answer->cause.text[0] = '\0';
	ret_answer->n_fds = priv_message_n_fds(message);
	if (message->type != PRIV_REQUEST_OPEN_GROUP && ret_answer->n_fds == 1)
		ret_answer->fds[0] = r;
}

/* Never waits: a client that does not read its answers must not block this process. */
static int send_answer(int socket, const struct ipc_message *request, const struct priv_answer *answer)
{
	struct batch payload = {0};
	int r = ipc_put_i64(&payload, answer->error);

	if (r == 0)
		r = ipc_put_string(&payload, answer->cause.text);
	if (r == 0 && request->type == PRIV_REQUEST_RESCTRL)
		r = ipc_put_u64(&payload, answer->resctrl.moved) |
		    ipc_put_u64(&payload, answer->resctrl.foreign);
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
	struct priv_message message;
	struct priv_answer answer;
	struct priv_room room;
	int r;

	if (request->n_fds) {
		ipc_close_fds(request);
		return log_error(LOG_TOKEN, -EBADMSG, "a request of type %u carried descriptors",
				 request->type);
	}
	if (request->type == 0 || request->type >= PRIV_REQUESTS)
		return log_error(LOG_TOKEN, -EBADMSG, "a request has the unknown type %u", request->type);
	r = priv_message_read(request->type, request->payload, request->length, &room, &message);
	if (r < 0)
		return log_error(LOG_TOKEN, r, "a request of type %u is malformed", request->type);
	priv_run(config, &message, &answer);
	if (message.type == PRIV_REQUEST_NOTICE)
		return 1;
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
		return log_error(LOG_TOKEN, -ENOMEM, "cannot receive a request");
	r = ipc_receive(socket, buffer, IPC_MESSAGE_MAX + 16, &request);
	if (r == -EAGAIN)
		return 1;
	if (r < 0)
		return log_error(LOG_TOKEN, r, "cannot receive a request");
	if (r == 0)
		return 0;
	return serve(socket, config, &request);
}
