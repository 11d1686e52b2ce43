/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the privileged process, and its answer. Used by priv_client.c, which asks, and priv.c.
 */
#pragma once

#include "priv/priv.h"
#include "priv/priv_bpf.h"

struct batch;

/* Fields that a type does not have are ignored. */
struct priv_message {
	enum priv_request type;
	struct priv_group group;     /* OPEN_GROUP, BPF_GROUP */
	const unsigned *columns;     /* BPF_GROUP: [group.n_events] */
	unsigned kind;               /* OPEN_FILE: enum priv_file; OPEN_CONTAINER_FILE: enum container_file;
					NOTICE: enum priv_notice */
	const char *id, *extra;      /* NULL: ""; NOTICE: the status */
	struct priv_bpf_shape shape; /* BPF_LOAD */
	const struct priv_bpf_change *changes; /* BPF_UPDATE: [n_changes] */
	unsigned n_changes, flush;
	struct priv_resctrl_request resctrl;
};

/* Descriptors and numbers, or an errno and a cause. */
struct priv_answer {
	int error;
	struct reason cause;
	int fds[PRIV_GROUP_EVENTS_MAX];
	unsigned n_fds;
	struct priv_resctrl_answer resctrl;
};

/* The arrays of a message that was read. */
struct priv_room {
	_Alignas(8) unsigned char bytes[PRIV_BPF_CHANGES_MAX * sizeof(struct priv_bpf_change)];
};

/* 0, -EINVAL if a limit is exceeded, -ENOMEM. */
int priv_message_write(const struct priv_message *message, struct batch *payload);
/* 0 or -EBADMSG. The message points into payload and room. */
int priv_message_read(uint32_t type, const void *payload, size_t length, struct priv_room *room,
		      struct priv_message *ret_message);
/* Number of descriptors in the answer of a successful request. */
unsigned priv_message_n_fds(const struct priv_message *message);
/* priv.c: executes it, in the privileged process or in a client's direct mode. */
void priv_run(const struct priv_config *config, const struct priv_message *message,
	      struct priv_answer *ret_answer);
