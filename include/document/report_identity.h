/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a report is about: reserved names, and IDs contained in names. One rule for the sensor, which creates
 * names, and the server, which reads names from any sensor. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REPORT_CONTAINER_ID_SIZE 13 /* 12 hex digits and the terminating NUL */

/* Is it a name of the server's own rows: rapl, global, system, idle? */
bool report_target_is_row(const char *name);
/* The same, or `all`: no container may have this name. */
bool report_target_is_reserved(const char *name);
/*
 * Another name for a container whose own is taken: NAME-xxxxxx with six digits of its ID, or NAME-container
 * if it has none. Cut at `size`, never within a character. Returns ret.
 */
const char *report_target_rename(const char *name, const char *container_id, char *ret, size_t size);
/*
 * The container's ID in a name that is a cgroup path or an ID: the first 12 of the last 64 consecutive hex
 * digits, or a name of 12 hex digits. False: there is none.
 */
bool report_target_find_id(const char *name, char ret_id[REPORT_CONTAINER_ID_SIZE]);
