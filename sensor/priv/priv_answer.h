/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between priv.c (the socket) and priv_serve_bpf.c (the requests of the bpf source): what a handler is given
 * and what it leaves behind.
 */
#pragma once

#include "process/ipc.h"
#include "priv/priv.h"
#include "base/reason.h"

#include <errno.h>

/* What a request came to: descriptors, or an errno and a cause. */
struct priv_answer {
	uint32_t type; /* of the request */
	int error;
	struct reason cause;
	int fds[PRIV_GROUP_EVENTS_MAX];
	unsigned n_fds;
};

/* 0, or -EBADMSG for a malformed request, which ends the process. */
typedef int (*priv_handler)(const struct priv_config *config, struct ipc_cursor *cursor,
			    struct priv_answer *answer);

/* Everything must have been there, and nothing more. */
static inline int priv_check_end(const struct ipc_cursor *cursor)
{
	return cursor->failed || cursor->left ? -EBADMSG : 0;
}

/* Reads a group into `events` (room for PRIV_GROUP_EVENTS_MAX). 0 or -EBADMSG. */
int priv_get_group(struct ipc_cursor *cursor, struct priv_group *ret_group, struct event_attr *events);

int priv_serve_bpf_load(const struct priv_config *config, struct ipc_cursor *cursor,
			struct priv_answer *answer);
int priv_serve_bpf_group(const struct priv_config *config, struct ipc_cursor *cursor,
			 struct priv_answer *answer);
int priv_serve_bpf_attach(const struct priv_config *config, struct ipc_cursor *cursor,
			  struct priv_answer *answer);
int priv_serve_bpf_update(const struct priv_config *config, struct ipc_cursor *cursor,
			  struct priv_answer *answer);
