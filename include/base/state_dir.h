/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default folder for files that outlive a daemon. The sensor and the server agree on it, so that both
 * find the same SQLite store.
 */
#pragma once

/*
 * $STATE_DIRECTORY (systemd), /var/lib/wattribute for root, else $XDG_STATE_HOME/wattribute or
 * ~/.local/state/wattribute. A new string; NULL if out of memory. Creates no folder.
 */
char *state_dir_default(void);
