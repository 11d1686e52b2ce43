/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of the server's JSON: numbers, texts and dates, whatever is there. Called by the subcommands that
 * read answers and recaps.
 */
#pragma once

#include <jansson.h>

/* Epoch milliseconds of a date in any of its JSON forms; -1: none. */
double json_date_ms(const json_t *value);
/* A member of an object; NAN where it is missing or no number. */
double json_number_at(const json_t *object, const char *key);
/* The scopes that overlap nowhere, added up; NAN: there is none. */
double json_watts_at(const json_t *scopes);
/* A text; "" where it is missing or none. */
const char *json_text_at(const json_t *object, const char *key);
/* A word of the command line as a new value; bytes that are not UTF-8, which JSON cannot have, are escaped.
 */
json_t *json_from_word(const char *word);
