/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership helpers: release at the end of a scope, and transfer to the caller.
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup_(function) __attribute__((cleanup(function)))

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

/* Takes the pointer out of `variable`, which becomes NULL: `return TAKE_POINTER(table);` */
#define TAKE_POINTER(variable)                                                                               \
	({                                                                                                   \
		__auto_type taken_ = (variable);                                                             \
		(variable) = NULL;                                                                           \
		taken_;                                                                                      \
	})
#define TAKE_FD(variable)                                                                                    \
	({                                                                                                   \
		int taken_ = (variable);                                                                     \
		(variable) = -1;                                                                             \
		taken_;                                                                                      \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
