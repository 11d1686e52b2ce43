/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flushes a stream and reports a failure, including that of an earlier call to printf() or fflush(). Called
 * before the end of each program, and before a file is closed.
 */
#include "base/printed.h"

#include <errno.h>

int printed_flush(FILE *out)
{
	const int failed = ferror(out);

	errno = 0;
	if (fflush(out) != 0)
		return errno ? -errno : -EIO;
	return failed ? -EIO : 0;
}

int printed_close(FILE *out)
{
	int r = printed_flush(out);

	if (out != stdout && fclose(out) != 0 && r == 0)
		r = -errno;
	return r;
}
