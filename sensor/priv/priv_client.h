/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client side of priv.h, used by everything in `collect` that needs a privilege: one call, one answer, in
 * order. In direct mode the same calls are made in this process, for tests and for running without a
 * privileged one.
 */
#pragma once

#include "priv/priv.h"
#include "priv/priv_bpf.h"

struct priv_client;

/* Takes over the (blocking) socket to the privileged process. */
int priv_client_connect(int socket, struct priv_client **ret_client);
/* Direct mode: copies the struct; the strings must outlive the client. */
int priv_client_direct(const struct priv_config *config, struct priv_client **ret_client);
/*
 * Direct mode for a machine of which only the files are available: every group that may be opened counts
 * nothing.
 */
int priv_client_describe(const struct priv_config *config, struct priv_client **ret_client);
void priv_client_free(struct priv_client *client);

/* Like priv_open_group() and priv_open_file(); -EPIPE if the privileged process is gone. */
int priv_client_open_group(struct priv_client *client, const struct priv_group *group, int *ret_fds);
int priv_client_open_file(struct priv_client *client, enum priv_file kind, const char *id);
/* The socket to the process that reads GPUs, started for it; -EOPNOTSUPP in direct mode. */
int priv_client_start_gpus(struct priv_client *client);
/*
 * Sends a notice for the service manager, by any process's socket to the privileged one. Never waits: if that
 * process does not read, the notice is dropped.
 */
void priv_client_notice(int socket, enum priv_notice notice, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Like priv_resctrl_run(). */
int priv_client_resctrl(struct priv_client *client, const struct priv_resctrl_request *request,
			struct priv_resctrl_answer *ret_answer);
/* A container_file_opener; data is the struct priv_client. */
int priv_client_open_container_file(void *data, enum container_file kind, const char *id, const char *extra);
/* Short cause of the last failure, "" if the errno is sufficient. */
const char *priv_client_cause(const struct priv_client *client);

/* The bpf source's requests, in this order: load, group for each, attach; then updates (priv_bpf.h). */
int priv_client_bpf_load(struct priv_client *client, const struct priv_bpf_shape *shape);
/* Opens a machine-wide group (cgroup "") for the program; columns: which event of the program each one is. */
int priv_client_bpf_group(struct priv_client *client, const struct priv_group *group,
			  const unsigned *columns);
int priv_client_bpf_attach(struct priv_client *client, int ret_fds[PRIV_BPF_MAPS]);
int priv_client_bpf_update(struct priv_client *client, const struct priv_bpf_change *changes, unsigned n,
			   bool flush);
