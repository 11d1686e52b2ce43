/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of "allocates nothing once it is warm": counts the allocations of the including program. Without
 * glibc, or under a sanitizer, which has its own allocator, the number stays 0 and COUNTS_ALLOCATIONS is not
 * defined.
 */
#pragma once

#include <stdlib.h>

static unsigned long n_allocations;

#if defined(__GLIBC__) && !defined(WATTRIBUTE_SANITIZED)
#define COUNTS_ALLOCATIONS 1
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

void *malloc(size_t size)
{
	n_allocations++;
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	n_allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	n_allocations++;
	return __libc_realloc(old, size);
}
#endif
