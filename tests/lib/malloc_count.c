/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded (LD_PRELOAD), counts the allocations of a process. MALLOC_COUNT is a prefix; the file PREFIX.PID
 * holds one native 64-bit number, the calls so far. It is mapped before main(), since the process may give up
 * the right to open files later.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t before; /* until the file exists */
static _Atomic uint64_t *count = &before;

__attribute__((constructor)) static void malloc_count_begin(void)
{
	const char *prefix = getenv("MALLOC_COUNT");
	char path[512];
	void *page;
	int fd;

	(void)snprintf(path, sizeof(path), "%s.%d", prefix ? prefix : "/dev/null/", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || ftruncate(fd, 4096) < 0)
		return;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (page != MAP_FAILED)
		count = page;
}

void *malloc(size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_realloc(old, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	atomic_fetch_add(count, 1);
	*ret = __libc_memalign(alignment, size);
	return *ret ? 0 : 12;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_memalign(alignment, size);
}
