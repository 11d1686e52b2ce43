/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the kernel side of the bpf source and the sensor share: the shape of the counters that both see.
 */
#pragma once

#define COUNT_EVENTS_MAX 13
#define COUNT_CPUS_MAX   1024

/* What one event has counted, and how long it waited for a counter meanwhile: it is scaled by the reader,
 * over a whole tick, as a stretch between two switches may be too short for the event to have run at all. */
struct count_event {
	unsigned long long count;
	unsigned long long waited; /* of the cell's `enabled` */
};

/* Everything that one slot has had on one place (package, or CPU). Grows only. Only as many events are there
 * as are counted: COUNT_CELL_SIZE. */
struct count_cell {
	unsigned long long ns;      /* on a CPU */
	unsigned long long enabled; /* of the events */
	struct count_event events[COUNT_EVENTS_MAX];
};
#define COUNT_CELL_SIZE(n_events) (2 * sizeof(unsigned long long) + (n_events) * sizeof(struct count_event))

/* Slots that have had anything: a byte each, as the oldest kernels know no atomic OR. A cache line. */
#define COUNT_TOUCHED_SLOTS 64
struct count_touched {
	unsigned char slots[COUNT_TOUCHED_SLOTS];
};

/* That a CPU is counted at all: both stand still where it is away, the second one where its events are dead.
 */
struct count_pulse {
	unsigned long long seen_ns;    /* when the program ran there last */
	unsigned long long enabled_ns; /* grows as its events are enabled */
};

/* A cgroup that was born. 256 bytes. */
struct count_birth {
	unsigned long long seq; /* its number, from 1; 0 while it is being written */
	unsigned long long id, parent;
	char name[232]; /* of the directory; a longer one is cut, and found by its inode only */
};
