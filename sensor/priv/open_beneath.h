/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens a file below a folder without following links: the folder may belong to a user, or the name may come
 * from the unprivileged process. Used by code that runs with root privileges.
 */
#pragma once

/* The descriptor (close-on-exec, the last component is not followed), or a negative errno. */
int open_beneath_at(int folder, const char *below, int flags);
/* The same below a path, which itself may contain links. */
int open_beneath(const char *root, const char *below, int flags);
