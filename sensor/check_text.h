/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What --check-machine has found, for people. `wattribute check` shows the same text. Pure except for the
 * printing; called by check_machine.c.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* An entry named `value`. `text`: a reason with its advice, as reason_advise() joins them. */
json_t *check_text_item(const char *key, const char *value, const char *status, const char *text);
void check_text_print(FILE *out, const json_t *answer);
