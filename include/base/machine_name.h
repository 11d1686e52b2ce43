/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The name of a machine: one rule for the sensor, which uses it in reports, for the server's queries, and for
 * the client. tester.sh and the notebook have the same rule.
 */
#pragma once

#include <stddef.h>

#define MACHINE_NAME_SIZE 256

/* This machine's name: the host name without its domain; "localhost" if there is none. Returns ret. */
const char *machine_name_default(char *ret, size_t size);
/* Length of the name up to its domain; of the whole name if it has none. */
size_t machine_name_host_length(const char *name);
