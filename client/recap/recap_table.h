/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints a recap document from the server's JSON for people. Pure except for the printing; a part that is
 * missing or of another type is shown as "-".
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

/*
 * Table of phases and scopes: joules, their dynamic and static parts, mean and maximum watts, the machine's
 * joules.
 */
void recap_table_print(FILE *out, const json_t *recap);
/* One line of a list of recaps; NULL prints the heading. */
void recap_table_print_line(FILE *out, const json_t *recap);
