/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a machine is called: one rule for the sensor, which names its reports so, for the server that is asked
 * for it, and for the client. tester.sh and the notebook have the same rule.
 */
#pragma once

#include <stddef.h>

#define MACHINE_NAME_SIZE 256

/* This machine's: the host name without its domain; "localhost" where it has none. Returns ret. */
const char *machine_name_default(char *ret, size_t size);
/* Bytes of the name up to its domain; the whole name where it has none. */
size_t machine_name_host_length(const char *name);
