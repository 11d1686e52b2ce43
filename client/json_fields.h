/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of the server's JSON: numbers, texts and dates; missing or foreign ones are no error. Called by the
 * subcommands that read answers and recaps.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

/* Epoch milliseconds of a date in any of its JSON forms; -1: none. */
double json_date_ms(const json_t *value);
/* A number in an object; NAN if it is missing or not a number. */
double json_number_at(const json_t *object, const char *key);
/* The sum of the scopes that do not overlap; NAN: there is none. */
double json_watts_at(const json_t *scopes);
/* A text in an object; "" if it is missing or not a text. */
const char *json_text_at(const json_t *object, const char *key);
/* A word of the command line as a new value; bytes that are not UTF-8 are escaped, as JSON requires. */
json_t *json_from_word(const char *word);
/* Are reports missing for a noticeable part of the recap's run? Its joules are those of the rest. */
bool json_is_partial_run(const json_t *recap);
