/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recap document, as the server's JSON has it, printed for people. Pure but for the printing; a part that
 * is missing or of another type is shown as "-".
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/* Table of phases and scopes: joules, their dynamic and static parts, mean and largest watts, the machine's
 * joules. */
void recap_table_print(FILE *out, const json_t *recap);
/* One line of a list of recaps; NULL prints the heading. */
void recap_table_print_line(FILE *out, const json_t *recap);
/* Epoch milliseconds of a date in any of the forms that JSON has for it; -1: none. */
double recap_table_date_ms(const json_t *value);
