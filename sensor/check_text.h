/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --check-machine has found, for people. `wattribute check` shows the same text. Pure except for the
 * printing; called by check_machine.c.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

void check_text_print(FILE *out, const json_t *answer);
