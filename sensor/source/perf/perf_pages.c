/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses the mmap pages of perf events to detect idle groups: reading one number is cheaper than a read(),
 * which interrupts the group's CPU. A kernel that does not maintain the number is detected by the reads that
 * are made anyway; then no read is skipped any more.
 */
#include "source/perf/perf_pages.h"

#include "base/log.h"

#include <linux/perf_event.h>
#include <sys/mman.h>
#include <unistd.h>

#define TURNS 16 /* each group is read at least once in this many ticks */

void perf_pages_map(struct perf_page *page, int fd, unsigned *n)
{
	void *mapped = MAP_FAILED;

	*page = (struct perf_page){0};
	if (*n < PERF_PAGES_MAX)
		mapped = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		return; /* over the limit of locked memory: this group is read in each tick */
	page->page = mapped;
	++*n;
}

void perf_pages_unmap(struct perf_page *page, unsigned *n)
{
	if (!page->page)
		return;
	(void)munmap((void *)(uintptr_t)page->page, (size_t)sysconf(_SC_PAGESIZE));
	*page = (struct perf_page){0};
	--*n;
}

uint32_t perf_pages_number(const struct perf_page *page)
{
	const struct perf_event_mmap_page *mapped = page->page;

	return mapped ? __atomic_load_n(&mapped->lock, __ATOMIC_ACQUIRE) : 0;
}

bool perf_pages_skip(const struct perf_page *page, enum perf_pages_trust trust, uint32_t turn)
{
	return page->page && page->quiet && trust == PERF_PAGES_GOOD && turn % TURNS != 0 &&
	       perf_pages_number(page) == page->number;
}

void perf_pages_note(struct perf_page *page, uint32_t number, uint64_t enabled_ns, uint64_t running_ns,
		     enum perf_pages_trust *trust)
{
	const bool ran_after_pause = page->quiet && running_ns != 0;

	if (ran_after_pause && perf_pages_number(page) == page->number) {
		if (*trust != PERF_PAGES_BAD)
			log_debug(
				"source", 0,
				"the kernel does not report which perf events have run; all are read in each "
				"tick");
		*trust = PERF_PAGES_BAD;
	} else if (ran_after_pause && *trust == PERF_PAGES_UNKNOWN) {
		*trust = PERF_PAGES_GOOD;
	}
	page->quiet = enabled_ns == 0 && running_ns == 0;
	page->number = number;
}
