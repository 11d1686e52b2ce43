/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between priv_client.c and priv_client_bpf.c: the client itself, and asking one question.
 */
#pragma once

#include "document/batch.h"
#include "priv/priv_client.h"
#include "base/reason.h"

#include <stdbool.h>

struct priv_client {
	int socket; /* -1: direct mode */
	struct priv_config config;
	struct priv_bpf *bpf; /* direct mode */
	uint32_t tag;
	struct batch payload; /* reused by each request */
	void *buffer;         /* for answers */
	struct reason cause;
};

/* Forgets the last cause; true in direct mode. */
bool priv_client_is_direct(struct priv_client *client);
/* Sends the payload and waits for its answer, which must carry n_fds descriptors when it is a success. */
int priv_client_ask(struct priv_client *client, enum priv_request type, int *ret_fds, unsigned n_fds);
/* The payload is a group; 0 or -ENOMEM. */
int priv_client_put_group(struct batch *payload, const struct priv_group *group);
