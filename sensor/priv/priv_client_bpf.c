/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asking side of the bpf source's requests; in direct mode the calls are made in this process.
 */
#include "base/cleanup.h"
#include "process/ipc.h"
#include "priv/priv_client_private.h"

#include <errno.h>

int priv_client_bpf_load(struct priv_client *client, const struct priv_bpf_shape *shape)
{
	struct batch *payload = &client->payload;
	int r;

	if (priv_client_is_direct(client)) {
		priv_bpf_free(client->bpf);
		client->bpf = NULL;
		return priv_bpf_load(shape, &client->bpf, &client->cause);
	}
	batch_clear(payload);
	r = ipc_put_u64(payload, shape->n_events) | ipc_put_u64(payload, shape->n_cpus) |
	    ipc_put_u64(payload, shape->n_places) | ipc_put_u64(payload, shape->n_slots) |
	    ipc_put_u64(payload, shape->n_births) |
	    ipc_put_bytes(payload, shape->place_of_cpu, shape->n_cpus * sizeof(*shape->place_of_cpu));
	return r ? -ENOMEM : priv_client_ask(client, PRIV_REQUEST_BPF_LOAD, NULL, 0);
}

static int add_group_directly(struct priv_client *client, const struct priv_group *group,
			      const unsigned *columns)
{
	int fds[PRIV_GROUP_EVENTS_MAX];
	int r = client->bpf ? priv_open_group(&client->config, group, fds, &client->cause) : -EOPNOTSUPP;

	for (unsigned i = 0; r == 0 && i < group->n_events; i++) {
		r = priv_bpf_add_event(client->bpf, columns[i], group->cpu, fds[i]);
		while (r < 0 && ++i < group->n_events)
			(void)close(fds[i]);
	}
	return r;
}

int priv_client_bpf_group(struct priv_client *client, const struct priv_group *group, const unsigned *columns)
{
	int r;

	if (group->n_events == 0 || group->n_events > PRIV_GROUP_EVENTS_MAX)
		return -EINVAL;
	if (priv_client_is_direct(client))
		return add_group_directly(client, group, columns);
	r = priv_client_put_group(&client->payload, group);
	for (unsigned i = 0; i < group->n_events; i++)
		r |= ipc_put_u64(&client->payload, columns[i]);
	return r ? -ENOMEM : priv_client_ask(client, PRIV_REQUEST_BPF_GROUP, NULL, 0);
}

int priv_client_bpf_attach(struct priv_client *client, int ret_fds[PRIV_BPF_MAPS])
{
	if (priv_client_is_direct(client))
		return client->bpf ? priv_bpf_attach(client->bpf, ret_fds, &client->cause) : -EOPNOTSUPP;
	batch_clear(&client->payload);
	return priv_client_ask(client, PRIV_REQUEST_BPF_ATTACH, ret_fds, PRIV_BPF_MAPS);
}

int priv_client_bpf_update(struct priv_client *client, const struct priv_bpf_change *changes, unsigned n,
			   bool flush)
{
	struct batch *payload = &client->payload;
	int r;

	if (n > PRIV_BPF_CHANGES_MAX)
		return -EINVAL;
	if (priv_client_is_direct(client))
		return client->bpf ? priv_bpf_update(client->bpf, changes, n, flush) : -EOPNOTSUPP;
	batch_clear(payload);
	r = ipc_put_u64(payload, flush) | ipc_put_bytes(payload, changes, n * sizeof(*changes));
	return r ? -ENOMEM : priv_client_ask(client, PRIV_REQUEST_BPF_UPDATE, NULL, 0);
}
