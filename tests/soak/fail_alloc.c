/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes allocations of a running process fail, by LD_PRELOAD, when fault_kinds.py requests it. FAIL_ALLOC
 * names a folder; the file PID in it holds three native 64-bit numbers: how many allocations still succeed
 * (0: all do, the initial state), how many then fail with ENOMEM, and how many have failed. It is mapped
 * before main(), since the process may give up the right to open files later.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

struct plan {
	_Atomic int64_t left;
	_Atomic int64_t to_fail;
	_Atomic int64_t failed;
};
static struct plan none;
static struct plan *plan = &none;

__attribute__((constructor)) static void begin(void)
{
	const char *folder = getenv("FAIL_ALLOC");
	char path[512];
	void *page;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%d", folder ? folder : "/dev/null", (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd < 0 || fchmod(fd, 0666) < 0 || ftruncate(fd, sizeof(struct plan)) < 0)
		return;
	page = mmap(NULL, sizeof(struct plan), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (page != MAP_FAILED)
		plan = page;
}

static bool fails(void)
{
	if (plan->left == 0 || (plan->left > 1 && plan->left-- > 1))
		return false;
	if (--plan->to_fail <= 0)
		plan->left = 0;
	plan->failed++;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails() ? NULL : __libc_realloc(old, size);
}

int posix_memalign(void **ret, size_t alignment, size_t size)
{
	if (fails())
		return ENOMEM;
	*ret = __libc_memalign(alignment, size);
	return *ret ? 0 : ENOMEM;
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}
