/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Creates folders with their parents, and knows where the daemons keep their files.
 */
#pragma once

#include <dirent.h>
#include <sys/types.h>

/* Opens a folder for reading; the path is given as a printf format. NULL with errno: it cannot be opened. */
DIR *folder_open(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* For cleanup_(). */
void folder_close(DIR **folder);

/* Creates the parent folders of a path, like `mkdir -p`. 0 or a negative errno. */
int folder_make_above(const char *path);
/*
 * The same, and the folder itself. A new folder gets `mode`, and belongs to uid and gid unless uid is -1. It
 * is created as that user if the caller may not create it. An existing folder is left unchanged. Changes the
 * effective ids temporarily.
 */
int folder_make(const char *path, mode_t mode, uid_t uid, gid_t gid);

/*
 * The default folder for files that outlive a daemon, the same for sensor and server, so that both find one
 * SQLite store: $STATE_DIRECTORY (systemd), /var/lib/wattribute for root, else $XDG_STATE_HOME/wattribute or
 * ~/.local/state/wattribute. A new string; NULL if out of memory. Creates no folder.
 */
char *folder_state_default(void);
