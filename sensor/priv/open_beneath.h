/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening below a folder, through no link: it may belong to a user, or the name may come from the
 * unprivileged process. Used by what runs with root's rights.
 */
#pragma once

/* The descriptor (close-on-exec, the last component is not followed), or a negative errno. */
int open_beneath_at(int folder, const char *below, int flags);
/* The same below a path, which itself may contain links. */
int open_beneath(const char *root, const char *below, int flags);
