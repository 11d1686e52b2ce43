/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of JSON objects. Dates are text, a number, or MongoDB's extended forms of either; foreign types
 * count as missing.
 */
#include "json_fields.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define COVERED 0.995 /* of a run; less is told */

double json_date_ms(const json_t *value)
{
	const json_t *date = json_is_object(value) ? json_object_get(value, "$date") : value;
	const json_t *number = json_object_get(date, "$numberLong");
	const char *text = json_string_value(number ? number : date);
	int64_t time_ms;

	if (json_is_number(date))
		return json_number_value(date);
	if (!text)
		return -1;
	if (text_parse_time(text, &time_ms))
		return (double)time_ms;
	return number ? strtod(text, NULL) : -1;
}

double json_number_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

double json_watts_at(const json_t *scopes)
{
	static const char *const added[] = {"cpu", "dram", "gpu"};
	double sum = NAN;

	for (size_t i = 0; i < ARRAY_SIZE(added); i++) {
		double watts = json_number_at(scopes, added[i]);

		if (!isnan(watts))
			sum = isnan(sum) ? watts : sum + watts;
	}
	return sum;
}

const char *json_text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

json_t *json_from_word(const char *word)
{
	const size_t length = strlen(word), size = TEXT_ESCAPED_MAX * length + 1;
	json_t *value = json_string(word);
	char *escaped;

	if (value)
		return value;
	escaped = malloc(size);
	if (escaped && text_escape(word, length, escaped, size))
		value = json_string(escaped);
	free(escaped);
	return value;
}

bool json_is_partial_run(const json_t *recap)
{
	return json_number_at(recap, "coverage") < COVERED;
}
