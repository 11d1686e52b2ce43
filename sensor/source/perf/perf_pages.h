/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Skips the reads of idle cgroups: an event's mmap page has a sequence number that changes whenever the event
 * is scheduled. A group that ran neither before its last read nor since then has nothing new. Used by
 * perf_slots.c; whether the kernel maintains the number is verified while the sensor runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PERF_PAGES_MAX 4096 /* of locked memory; groups beyond are read in each tick */

/* One group's page. */
struct perf_page {
	const void *page; /* NULL: none, read in each tick */
	uint32_t number;  /* at the last read */
	bool quiet;       /* nothing had run in two consecutive reads */
};

/* Do the sequence numbers of a unit's pages show activity? */
enum perf_pages_trust {
	PERF_PAGES_UNKNOWN = 0,
	PERF_PAGES_GOOD, /* one that ran after a pause had another number */
	PERF_PAGES_BAD,  /* one that ran had the same number */
};

/* `n` counts the mapped pages. Everything works without them. */
void perf_pages_map(struct perf_page *page, int fd, unsigned *n);
void perf_pages_unmap(struct perf_page *page, unsigned *n);
/* May this read be skipped? Every 16th is made anyway. */
bool perf_pages_skip(const struct perf_page *page, enum perf_pages_trust trust, uint32_t turn);
/* Before a read: the sequence number that the read covers. */
uint32_t perf_pages_number(const struct perf_page *page);
/* After it: the time enabled and the time running since the previous read. */
void perf_pages_note(struct perf_page *page, uint32_t number, uint64_t enabled_ns, uint64_t running_ns,
		     enum perf_pages_trust *trust);
