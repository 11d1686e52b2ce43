/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Uses openat2(2) if the kernel has it. With kernels before 5.6, and with container engines that block the
 * call, only the last component is checked.
 */
#include "priv/open_beneath.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int open_beneath_at(int folder, const char *below, int flags)
{
	const int all = flags | O_CLOEXEC | O_NOFOLLOW;
	const struct open_how how = {.flags = (unsigned long long)all,
				     .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd = syscall(SYS_openat2, folder, below, &how, sizeof(how));

	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(folder, below, all);
	return fd < 0 ? -errno : (int)fd;
}

int open_beneath(const char *root, const char *below, int flags)
{
	cleanup_(cleanup_close) int folder = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return folder < 0 ? -errno : open_beneath_at(folder, below, flags);
}
