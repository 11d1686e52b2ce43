/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side of the bpf source: loads and attaches the program of bpf/count.bpf.c, keeps its events, and
 * runs it once on every CPU when asked. What it counted is read by `collect` through mapped arrays.
 */
#pragma once

#include "bpf/count.h"
#include "event.h"

#include <stddef.h>
#include <stdint.h>

#define PRIV_BPF_SLOTS_MAX 65536
#define PRIV_BPF_MAPS 3 /* descriptors given away: cells, totals, touched */

struct priv_bpf;

struct priv_bpf_shape {
	unsigned n_events;
	unsigned n_cpus; /* highest CPU number + 1 */
	unsigned n_places;
	unsigned n_slots;
	const uint32_t *place_of_cpu; /* [n_cpus] */
};

/* All return 0 or a negative errno with a short cause where there is one. */
int priv_bpf_load(const struct priv_bpf_shape *shape, struct priv_bpf **ret_bpf, char *cause, size_t cause_size);
/* Gives event number `event` of a CPU its descriptor, which stays with the caller's side of priv: taken over. */
int priv_bpf_add_event(struct priv_bpf *bpf, unsigned event, unsigned cpu, int fd);
/* Starts counting. ret_fds: duplicates for the asker. */
int priv_bpf_attach(struct priv_bpf *bpf, int ret_fds[PRIV_BPF_MAPS], char *cause, size_t cause_size);
int priv_bpf_map(struct priv_bpf *bpf, uint64_t cgroup, uint32_t slot);
int priv_bpf_unmap(struct priv_bpf *bpf, uint64_t cgroup);
/* Whoever runs now gets what it has had so far, on every CPU. */
int priv_bpf_flush(struct priv_bpf *bpf);
void priv_bpf_free(struct priv_bpf *bpf);
