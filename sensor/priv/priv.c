/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process's side of the socket: one table of request types, each decoded, executed by
 * priv_open.c and answered. Called by the first process of the sensor for each readable event. A malformed
 * message ends it.
 */
#include "priv/priv.h"
#include "document/batch.h"
#include "base/cleanup.h"
#include "process/ipc.h"
#include "base/log.h"
#include "priv/priv_bpf.h"

#include <errno.h>
#include <string.h>

#define LOG_TOKEN "priv"

/* The result of a request: descriptors and numbers, or an errno and a cause. */
struct answer {
	uint32_t type; /* of the request */
	int error;
	struct reason cause;
	int fds[PRIV_GROUP_EVENTS_MAX];
	unsigned n_fds;
	struct priv_resctrl_answer resctrl;
};

/* 0, or -EBADMSG for a malformed request, which ends the process. */
typedef int (*handler_run)(const struct priv_config *config, struct ipc_cursor *cursor,
			   struct answer *answer);

/* The message must be complete, without trailing bytes. */
static int check_end(const struct ipc_cursor *cursor)
{
	return cursor->failed || cursor->left ? -EBADMSG : 0;
}

/* Reads a group into `events` (room for PRIV_GROUP_EVENTS_MAX). 0 or -EBADMSG. */
static int get_group(struct ipc_cursor *cursor, struct priv_group *ret_group, struct event_attr *events)
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
			    struct answer *answer)
{
	struct event_attr events[PRIV_GROUP_EVENTS_MAX];
	struct priv_group group;

	if (get_group(cursor, &group, events) < 0 || check_end(cursor) < 0)
		return -EBADMSG;
	answer->error = priv_open_group(config, &group, answer->fds, &answer->cause);
	answer->n_fds = answer->error < 0 ? 0 : group.n_events;
	return 0;
}

/* A single descriptor or a negative errno, as the answer. */
static void answer_fd(struct answer *answer, int fd)
{
	answer->error = fd < 0 ? fd : 0;
	answer->n_fds = fd < 0 ? 0 : 1;
	answer->fds[0] = fd;
}

static int serve_open_file(const struct priv_config *config, struct ipc_cursor *cursor, struct answer *answer)
{
	uint64_t kind = ipc_get_u64(cursor);
	const char *id = ipc_get_string(cursor);

	if (check_end(cursor) < 0 || kind >= PRIV_FILES || strlen(id) > PRIV_ID_MAX)
		return -EBADMSG;
	answer_fd(answer, priv_open_file(config, (enum priv_file)kind, id, &answer->cause));
	return 0;
}

static int serve_open_container_file(const struct priv_config *config, struct ipc_cursor *cursor,
				     struct answer *answer)
{
	uint64_t kind = ipc_get_u64(cursor);
	const char *id = ipc_get_string(cursor), *extra = ipc_get_string(cursor);

	if (check_end(cursor) < 0 || kind >= CONTAINER_FILES || strlen(id) > PRIV_ID_MAX ||
	    strlen(extra) > PRIV_ID_MAX)
		return -EBADMSG;
	answer_fd(answer, config->containers ? container_file_open(config->containers,
								   (enum container_file)kind, id, extra)
					     : -EOPNOTSUPP);
	return 0;
}

static struct priv_bpf *program(const struct priv_config *config)
{
	return config->bpf ? *config->bpf : NULL;
}

static int serve_bpf_load(const struct priv_config *config, struct ipc_cursor *cursor, struct answer *answer)
{
	struct priv_bpf_shape shape;
	uint64_t numbers[5];
	uint32_t places[COUNT_CPUS_MAX];
	const void *bytes;
	size_t length = 0;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		numbers[i] = ipc_get_u64(cursor);
		if (numbers[i] > PRIV_BPF_SLOTS_MAX)
			return -EBADMSG;
	}
	bytes = ipc_get_bytes(cursor, &length);
	if (check_end(cursor) < 0 || numbers[1] > COUNT_CPUS_MAX || length != numbers[1] * sizeof(places[0]))
		return -EBADMSG;
	memcpy(places, bytes, length);
	for (size_t i = 0; i < numbers[1]; i++)
		if (places[i] >= numbers[2])
			return -EBADMSG;
	shape = (struct priv_bpf_shape){.n_events = (unsigned)numbers[0],
					.n_cpus = (unsigned)numbers[1],
					.n_places = (unsigned)numbers[2],
					.n_slots = (unsigned)numbers[3],
					.n_births = (unsigned)numbers[4],
					.unified = priv_perf_is_unified(config),
					.place_of_cpu = places};
	if (!config->bpf) {
		answer->error = -EOPNOTSUPP;
		return 0;
	}
	priv_bpf_free(*config->bpf); /* a probe's; there is one at a time */
	*config->bpf = NULL;
	answer->error = priv_bpf_load(&shape, config->bpf, &answer->cause);
	return 0;
}

static int serve_bpf_group(const struct priv_config *config, struct ipc_cursor *cursor, struct answer *answer)
{
	struct event_attr events[PRIV_GROUP_EVENTS_MAX];
	unsigned columns[PRIV_GROUP_EVENTS_MAX];
	struct priv_group group;

	if (get_group(cursor, &group, events) < 0 || group.cgroup[0] != '\0')
		return -EBADMSG;
	for (unsigned i = 0; i < group.n_events; i++) {
		const uint64_t column = ipc_get_u64(cursor);

		if (column >= COUNT_EVENTS_MAX)
			return -EBADMSG;
		columns[i] = (unsigned)column;
	}
	if (check_end(cursor) < 0)
		return -EBADMSG;
	if (!program(config)) {
		answer->error = -EOPNOTSUPP;
		return 0;
	}
	answer->error = priv_bpf_add_group(program(config), config, &group, columns, &answer->cause);
	return 0;
}

static int serve_bpf_attach(const struct priv_config *config, struct ipc_cursor *cursor,
			    struct answer *answer)
{
	if (check_end(cursor) < 0)
		return -EBADMSG;
	answer->error =
		program(config) ? priv_bpf_attach(program(config), answer->fds, &answer->cause) : -EOPNOTSUPP;
	answer->n_fds = answer->error < 0 ? 0 : PRIV_BPF_MAPS;
	return 0;
}

static int serve_bpf_update(const struct priv_config *config, struct ipc_cursor *cursor,
			    struct answer *answer)
{
	struct priv_bpf_change changes[PRIV_BPF_CHANGES_MAX];
	const uint64_t flush = ipc_get_u64(cursor);
	size_t length = 0;
	const void *bytes = ipc_get_bytes(cursor, &length);

	if (check_end(cursor) < 0 || flush > 1 || length > sizeof(changes) ||
	    length % sizeof(changes[0]) != 0)
		return -EBADMSG;
	if (length > 0)
		memcpy(changes, bytes, length);
	answer->error = program(config) ? priv_bpf_update(program(config), changes,
							  (unsigned)(length / sizeof(changes[0])), flush == 1)
					: -EOPNOTSUPP;
	return 0;
}

static int serve_gpus(const struct priv_config *config, struct ipc_cursor *cursor, struct answer *answer)
{
	if (check_end(cursor) < 0)
		return -EBADMSG;
	answer_fd(answer, config->start_gpus ? config->start_gpus(config->gpus_data) : -EOPNOTSUPP);
	return 0;
}

static int serve_resctrl(const struct priv_config *config, struct ipc_cursor *cursor, struct answer *answer)
{
	const uint64_t call = ipc_get_u64(cursor), number = ipc_get_u64(cursor),
		       package = ipc_get_u64(cursor);
	const struct priv_resctrl_request request = {.call = (enum priv_resctrl_call)call,
						     .number = (unsigned)number,
						     .package = (unsigned)package,
						     .cgroup = ipc_get_string(cursor)};
	int r;

	if (check_end(cursor) < 0 || call >= PRIV_RESCTRL_CALLS || number >= PRIV_RESCTRL_GROUPS_MAX ||
	    package >= PRIV_RESCTRL_PACKAGES_MAX || strlen(request.cgroup) >= PRIV_CGROUP_PATH_MAX)
		return -EBADMSG;
	r = priv_resctrl_run(config, &request, &answer->resctrl, &answer->cause);
	if (request.call == PRIV_RESCTRL_OPEN)
		answer_fd(answer, r);
	else
		answer->error = r;
	return 0;
}

static const handler_run handlers[] = {
	[PRIV_REQUEST_OPEN_GROUP] = serve_open_group,
	[PRIV_REQUEST_OPEN_FILE] = serve_open_file,
	[PRIV_REQUEST_OPEN_CONTAINER_FILE] = serve_open_container_file,
	[PRIV_REQUEST_BPF_LOAD] = serve_bpf_load,
	[PRIV_REQUEST_BPF_GROUP] = serve_bpf_group,
	[PRIV_REQUEST_BPF_ATTACH] = serve_bpf_attach,
	[PRIV_REQUEST_BPF_UPDATE] = serve_bpf_update,
	[PRIV_REQUEST_GPUS] = serve_gpus,
	[PRIV_REQUEST_RESCTRL] = serve_resctrl,
};

/* Never waits: a client that does not read its answers must not block this process, and is ended. */
static int send_answer(int socket, const struct ipc_message *request, const struct answer *answer)
{
	struct batch payload = {0};
	int r = ipc_put_i64(&payload, answer->error);

	if (r == 0)
		r = ipc_put_string(&payload, answer->error ? answer->cause.text : "");
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
	struct answer answer = {0};
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
