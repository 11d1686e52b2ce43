/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared by the kernel side of the bpf source and the sensor: the layout of the counters.
 */
#pragma once

#define COUNT_EVENTS_MAX 13
#define COUNT_CPUS_MAX   1024

/* Count of one event, and how long the event waited for a counter: the reader scales the count over a whole
 * tick, because a stretch between two switches may be too short for the event to have run at all. */
struct count_event {
	unsigned long long count;
	unsigned long long waited; /* of the cell's `enabled` */
};

/* Totals of one slot on one place (package, or CPU). They only grow. There is one entry per counted event:
 * COUNT_CELL_SIZE. */
struct count_cell {
	unsigned long long ns;      /* on a CPU */
	unsigned long long enabled; /* of the events */
	struct count_event events[COUNT_EVENTS_MAX];
};
#define COUNT_CELL_SIZE(n_events) (2 * sizeof(unsigned long long) + (n_events) * sizeof(struct count_event))

/* Slots that have counted anything: a byte each, as the oldest kernels have no atomic OR. A cache line. */
#define COUNT_TOUCHED_SLOTS 64
struct count_touched {
	unsigned char slots[COUNT_TOUCHED_SLOTS];
};

/* Shows that a CPU is counted: both values stop while it is offline, the second one if events are dead. */
struct count_pulse {
	unsigned long long seen_ns;    /* when the program ran there last */
	unsigned long long enabled_ns; /* grows while its events are enabled */
};

/* A cgroup that was created. 256 bytes. */
struct count_birth {
	unsigned long long seq; /* its number, from 1; 0 while it is being written */
	unsigned long long id, parent;
	char name[232]; /* of the directory; a longer one is truncated, and found by its inode only */
};
