/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by duty.c (starting a child) and duty_secret.c (what only some children may know).
 */
#pragma once

#include "process/duty.h"

/* An entry of the environment as the duty may see it. */
char *duty_environment_entry(const char *duty, char *entry);
/* Sends a new child what its duty needs. 0 or a negative errno. */
int duty_send_secrets(const char *duty, int socket);
