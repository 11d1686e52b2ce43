/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests of the bpf source: each is decoded, bounded and handed to priv_bpf.c. Called by priv.c's
 * table.
 */
#include "priv/priv_answer.h"

#include "base/cleanup.h"
#include "priv/priv_bpf.h"

#include <string.h>

static struct priv_bpf *program(const struct priv_config *config)
{
	return config->bpf ? *config->bpf : NULL;
}

int priv_serve_bpf_load(const struct priv_config *config, struct ipc_cursor *cursor,
			struct priv_answer *answer)
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
	if (priv_check_end(cursor) < 0 || numbers[1] > COUNT_CPUS_MAX ||
	    length != numbers[1] * sizeof(places[0]))
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

int priv_serve_bpf_group(const struct priv_config *config, struct ipc_cursor *cursor,
			 struct priv_answer *answer)
{
	struct event_attr events[PRIV_GROUP_EVENTS_MAX];
	unsigned columns[PRIV_GROUP_EVENTS_MAX];
	int fds[PRIV_GROUP_EVENTS_MAX];
	struct priv_group group;

	if (priv_get_group(cursor, &group, events) < 0 || group.cgroup[0] != '\0')
		return -EBADMSG;
	for (unsigned i = 0; i < group.n_events; i++) {
		const uint64_t column = ipc_get_u64(cursor);

		if (column >= COUNT_EVENTS_MAX)
			return -EBADMSG;
		columns[i] = (unsigned)column;
	}
	if (priv_check_end(cursor) < 0)
		return -EBADMSG;
	if (!program(config)) {
		answer->error = -EOPNOTSUPP;
		return 0;
	}
	answer->error = priv_open_group(config, &group, fds, &answer->cause);
	for (unsigned i = 0; answer->error == 0 && i < group.n_events; i++) {
		int r = priv_bpf_add_event(program(config), columns[i], group.cpu, fds[i]);

		if (r < 0) {
			while (++i < group.n_events)
				(void)close(fds[i]);
			answer->error = r;
		}
	}
	return 0;
}

int priv_serve_bpf_attach(const struct priv_config *config, struct ipc_cursor *cursor,
			  struct priv_answer *answer)
{
	if (priv_check_end(cursor) < 0)
		return -EBADMSG;
	answer->error =
		program(config) ? priv_bpf_attach(program(config), answer->fds, &answer->cause) : -EOPNOTSUPP;
	answer->n_fds = answer->error < 0 ? 0 : PRIV_BPF_MAPS;
	return 0;
}

int priv_serve_bpf_update(const struct priv_config *config, struct ipc_cursor *cursor,
			  struct priv_answer *answer)
{
	struct priv_bpf_change changes[PRIV_BPF_CHANGES_MAX];
	const uint64_t flush = ipc_get_u64(cursor);
	size_t length = 0;
	const void *bytes = ipc_get_bytes(cursor, &length);

	if (priv_check_end(cursor) < 0 || flush > 1 || length > sizeof(changes) ||
	    length % sizeof(changes[0]) != 0)
		return -EBADMSG;
	if (length > 0)
		memcpy(changes, bytes, length);
	answer->error = program(config) ? priv_bpf_update(program(config), changes,
							  (unsigned)(length / sizeof(changes[0])), flush == 1)
					: -EOPNOTSUPP;
	return 0;
}
