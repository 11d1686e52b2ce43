/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side of the bpf source: loads and attaches the program of bpf/count.bpf.c, keeps its events,
 * and runs it once on every CPU on request. `collect` reads the counts from mapped arrays.
 */
#pragma once

#include "priv/count.h"
#include "event/event.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRIV_BPF_SLOTS_MAX   65536
#define PRIV_BPF_BIRTHS_MAX  4096
#define PRIV_BPF_MAPS        5 /* descriptors passed to the client: cells, totals, touched, births, pulses */
#define PRIV_BPF_CELLS_MAX   (80u << 20) /* bytes of kernel memory: 64 MiB of slots, 8 of births, spare */
#define PRIV_BPF_CHANGES_MAX 1024        /* in one request */
#define PRIV_BPF_NOWHERE     UINT32_MAX  /* slot of a cgroup that is no longer counted */

struct priv_bpf;
struct priv_config;
struct priv_group;

struct priv_bpf_shape {
	unsigned n_events;
	unsigned n_cpus; /* highest CPU number + 1 */
	unsigned n_places;
	unsigned n_slots;
	unsigned n_births; /* cgroups created since the sensor's last read that are counted; 0: births are not
			      reported */
	const uint32_t *place_of_cpu; /* [n_cpus] */
	bool unified;                 /* cgroups are those of v2; set on the privileged side */
};

/* From now on the cgroup's counts go to this slot. */
struct priv_bpf_change {
	uint64_t cgroup;
	uint32_t slot;
	uint32_t reserved; /* 0 */
};

/* All return 0 or a negative errno, with a short cause if there is one. */
int priv_bpf_load(const struct priv_bpf_shape *shape, struct priv_bpf **ret_bpf, struct reason *cause);
/* Opens the group on its CPU; columns: the numbers of its events. They replace earlier ones of an offline
 * CPU. */
int priv_bpf_add_group(struct priv_bpf *bpf, const struct priv_config *config, const struct priv_group *group,
		       const unsigned *columns, struct reason *cause);
/* Starts counting. ret_fds: duplicates for the client. */
int priv_bpf_attach(struct priv_bpf *bpf, int ret_fds[PRIV_BPF_MAPS], struct reason *cause);
/* Makes all changes in order, also after an error; returns the first error. `flush`: then every CPU books the
 * running task's counts; after that no CPU adds to the previous slot of a moved cgroup. */
int priv_bpf_update(struct priv_bpf *bpf, const struct priv_bpf_change *changes, unsigned n, bool flush);
void priv_bpf_free(struct priv_bpf *bpf);
