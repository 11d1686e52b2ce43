/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of the privileged process: encodes a request, waits for its answer, receives the descriptors.
 * Called by the sources and by the target table in `collect`. In direct mode it calls priv_open.c directly.
 */
#include "priv/priv_client.h"
#include "document/batch.h"
#include "base/cleanup.h"
#include "process/ipc.h"
#include "base/reason.h"
#include "event/pmu.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/perf_event.h>

struct priv_client {
	int socket;     /* -1: direct mode */
	bool describes; /* direct mode that opens no perf event */
	struct priv_config config;
	struct priv_bpf *bpf; /* direct mode */
	uint32_t tag;
	struct batch payload; /* reused by each request */
	void *buffer;         /* for answers */
	struct reason cause;
	struct priv_resctrl_answer resctrl; /* of the last answer */
};

static struct priv_client *client_new(void)
{
	struct priv_client *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->socket = -1;
	return client;
}

int priv_client_connect(int socket, struct priv_client **ret_client)
{
	struct priv_client *client = client_new();

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
	struct priv_client *client = client_new();

	if (!client)
		return -ENOMEM;
	client->config = *config;
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
	return client->cause.text;
}

static bool is_direct(struct priv_client *client)
{
	client->cause.text[0] = '\0';
	return client->socket < 0;
}

/* The answer's descriptors; a successful one must have exactly `n_fds`. */
static int take_answer(struct priv_client *client, struct ipc_message *answer, int *ret_fds, unsigned n_fds)
{
	struct ipc_cursor cursor = ipc_cursor_init(answer->payload, answer->length);
	int64_t error = ipc_get_i64(&cursor);

	reason_set(&client->cause, 0, "%s", ipc_get_string(&cursor));
	client->resctrl = (struct priv_resctrl_answer){0};
	if (answer->type == (PRIV_REQUEST_RESCTRL | PRIV_ANSWER)) {
		client->resctrl.moved = ipc_get_u64(&cursor);
		client->resctrl.foreign = ipc_get_u64(&cursor);
	}
	if (cursor.failed || error > 0 || error < -4095 || (error == 0 && answer->n_fds != n_fds)) {
		ipc_close_fds(answer);
		return -EBADMSG;
	}
	if (error < 0) {
		ipc_close_fds(answer);
		return (int)error;
	}
	if (n_fds > 0)
		memcpy(ret_fds, answer->fds, n_fds * sizeof(*ret_fds));
	return 0;
}

/* Sends the payload and waits for its answer. */
static int ask(struct priv_client *client, enum priv_request type, int *ret_fds, unsigned n_fds)
{
	struct ipc_message answer;
	int r;

	client->tag++;
	r = ipc_send(client->socket, type, client->tag, client->payload.data, client->payload.length, NULL,
		     0);
	if (r < 0)
		return r;
	r = ipc_receive(client->socket, client->buffer, IPC_MESSAGE_MAX + 16, &answer);
	if (r <= 0)
		return r == 0 ? -EPIPE : r;
	if (answer.tag != client->tag || answer.type != (type | PRIV_ANSWER)) {
		ipc_close_fds(&answer);
		return -EBADMSG;
	}
	return take_answer(client, &answer, ret_fds, n_fds);
}

static int put_group(struct batch *payload, const struct priv_group *group)
{
	int r = 0;

	batch_clear(payload);
	r |= ipc_put_string(payload, group->cgroup);
	r |= ipc_put_u64(payload, group->cpu);
	r |= ipc_put_u64(payload, group->n_events);
	for (unsigned i = 0; i < group->n_events; i++) {
		r |= ipc_put_u64(payload, group->events[i].type);
		r |= ipc_put_u64(payload, group->events[i].flags);
		r |= ipc_put_u64(payload, group->events[i].config);
		r |= ipc_put_u64(payload, group->events[i].config1);
		r |= ipc_put_u64(payload, group->events[i].config2);
	}
	return r ? -ENOMEM : 0;
}

/* Hardware counters of the cores: without their PMU the kernel has none of these types. */
static bool is_of_core(uint32_t type)
{
	return type == PERF_TYPE_HARDWARE || type == PERF_TYPE_HW_CACHE || type == PERF_TYPE_RAW;
}

/* Refuses what the privileged process would refuse; everything else reads as zeroes. */
static int pretend_group(struct priv_client *client, const struct priv_group *group, int *ret_fds)
{
	int r = priv_check_group(&client->config, group, &client->cause);

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
	int r;

	if (client->describes)
		return pretend_group(client, group, ret_fds);
	if (is_direct(client))
		return priv_open_group(&client->config, group, ret_fds, &client->cause);
	if (!group->n_events || group->n_events > PRIV_GROUP_EVENTS_MAX ||
	    strlen(group->cgroup) >= PRIV_CGROUP_PATH_MAX)
		return -EINVAL;
	r = put_group(&client->payload, group);
	if (r < 0)
		return r;
	return ask(client, PRIV_REQUEST_OPEN_GROUP, ret_fds, group->n_events);
}

int priv_client_open_file(struct priv_client *client, enum priv_file kind, const char *id)
{
	int fd = -1, r;

	if (is_direct(client))
		return priv_open_file(&client->config, kind, id, &client->cause);
	if (strlen(id) > PRIV_ID_MAX)
		return -EINVAL;
	batch_clear(&client->payload);
	r = ipc_put_u64(&client->payload, kind) | ipc_put_string(&client->payload, id);
	if (r == 0)
		r = ask(client, PRIV_REQUEST_OPEN_FILE, &fd, 1);
	return r < 0 ? r : fd;
}

int priv_client_start_gpus(struct priv_client *client)
{
	int fd = -1, r;

	if (is_direct(client))
		return -EOPNOTSUPP;
	batch_clear(&client->payload);
	r = ask(client, PRIV_REQUEST_GPUS, &fd, 1);
	return r < 0 ? r : fd;
}

int priv_client_resctrl(struct priv_client *client, const struct priv_resctrl_request *request,
			struct priv_resctrl_answer *ret_answer)
{
	const char *cgroup = request->cgroup ? request->cgroup : "";
	const bool opens = request->call == PRIV_RESCTRL_OPEN;
	int fd = -1, r;

	*ret_answer = (struct priv_resctrl_answer){0};
	if (is_direct(client))
		return priv_resctrl_run(&client->config, request, ret_answer, &client->cause);
	if (strlen(cgroup) >= PRIV_CGROUP_PATH_MAX)
		return -EINVAL;
	batch_clear(&client->payload);
	r = ipc_put_u64(&client->payload, request->call) | ipc_put_u64(&client->payload, request->number) |
	    ipc_put_u64(&client->payload, request->package) | ipc_put_string(&client->payload, cgroup);
	r = r ? -ENOMEM : ask(client, PRIV_REQUEST_RESCTRL, &fd, opens ? 1 : 0);
	if (r < 0)
		return r;
	*ret_answer = client->resctrl;
	return opens ? fd : 0;
}

int priv_client_open_container_file(void *data, enum container_file kind, const char *id, const char *extra)
{
	struct priv_client *client = data;
	int fd = -1, r;

	id = id ? id : "";
	extra = extra ? extra : "";
	if (is_direct(client))
		return client->config.containers
			       ? container_file_open(client->config.containers, kind, id, extra)
			       : -EOPNOTSUPP;
	if (strlen(id) > PRIV_ID_MAX || strlen(extra) > PRIV_ID_MAX)
		return -EINVAL;
	batch_clear(&client->payload);
	r = ipc_put_u64(&client->payload, kind) | ipc_put_string(&client->payload, id) |
	    ipc_put_string(&client->payload, extra);
	if (r == 0)
		r = ask(client, PRIV_REQUEST_OPEN_CONTAINER_FILE, &fd, 1);
	return r < 0 ? r : fd;
}

static int load_directly(struct priv_client *client, const struct priv_bpf_shape *shape)
{
	struct priv_bpf_shape own = *shape;

	own.unified = priv_perf_is_unified(&client->config);
	return priv_bpf_load(&own, &client->bpf, &client->cause);
}

int priv_client_bpf_load(struct priv_client *client, const struct priv_bpf_shape *shape)
{
	struct batch *payload = &client->payload;
	int r;

	if (is_direct(client)) {
		priv_bpf_free(client->bpf);
		client->bpf = NULL;
		return load_directly(client, shape);
	}
	batch_clear(payload);
	r = ipc_put_u64(payload, shape->n_events) | ipc_put_u64(payload, shape->n_cpus) |
	    ipc_put_u64(payload, shape->n_places) | ipc_put_u64(payload, shape->n_slots) |
	    ipc_put_u64(payload, shape->n_births) |
	    ipc_put_bytes(payload, shape->place_of_cpu, shape->n_cpus * sizeof(*shape->place_of_cpu));
	return r ? -ENOMEM : ask(client, PRIV_REQUEST_BPF_LOAD, NULL, 0);
}

int priv_client_bpf_group(struct priv_client *client, const struct priv_group *group, const unsigned *columns)
{
	int r;

	if (group->n_events == 0 || group->n_events > PRIV_GROUP_EVENTS_MAX)
		return -EINVAL;
	if (is_direct(client))
		return client->bpf ? priv_bpf_add_group(client->bpf, &client->config, group, columns,
							&client->cause)
				   : -EOPNOTSUPP;
	r = put_group(&client->payload, group);
	for (unsigned i = 0; i < group->n_events; i++)
		r |= ipc_put_u64(&client->payload, columns[i]);
	return r ? -ENOMEM : ask(client, PRIV_REQUEST_BPF_GROUP, NULL, 0);
}

int priv_client_bpf_attach(struct priv_client *client, int ret_fds[PRIV_BPF_MAPS])
{
	if (is_direct(client))
		return client->bpf ? priv_bpf_attach(client->bpf, ret_fds, &client->cause) : -EOPNOTSUPP;
	batch_clear(&client->payload);
	return ask(client, PRIV_REQUEST_BPF_ATTACH, ret_fds, PRIV_BPF_MAPS);
}

int priv_client_bpf_update(struct priv_client *client, const struct priv_bpf_change *changes, unsigned n,
			   bool flush)
{
	struct batch *payload = &client->payload;
	int r;

	if (n > PRIV_BPF_CHANGES_MAX)
		return -EINVAL;
	if (is_direct(client))
		return client->bpf ? priv_bpf_update(client->bpf, changes, n, flush) : -EOPNOTSUPP;
	batch_clear(payload);
	r = ipc_put_u64(payload, flush) | ipc_put_bytes(payload, changes, n * sizeof(*changes));
	return r ? -ENOMEM : ask(client, PRIV_REQUEST_BPF_UPDATE, NULL, 0);
}
