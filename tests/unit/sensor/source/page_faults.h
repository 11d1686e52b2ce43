/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page faults as a countable load, for tests that compare counters with what a process did.
 */
#pragma once

#include <stddef.h>
#include <sys/mman.h>

/* Touches the given number of small pages, and frees them. */
static inline void fault(size_t pages)
{
	char *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)madvise(memory, pages * 4096, MADV_NOHUGEPAGE);
	for (size_t p = 0; p < pages; p++)
		memory[p * 4096] = 1;
	(void)munmap(memory, pages * 4096);
}
