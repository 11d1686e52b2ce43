/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recaps as text, for `wattribute run` and `wattribute recap`. Does no I/O but printing.
 */
#include "recap/recap_table.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const char *const scopes[] = {"cpu", "dram"};

static double number_at(const json_t *object, const char *first, const char *second, const char *third)
{
	const json_t *value = json_object_get(object, first);

	if (second)
		value = json_object_get(value, second);
	if (third)
		value = json_object_get(value, third);
	return json_is_number(value) ? json_number_value(value) : NAN;
}

static void print_number(FILE *out, int width, double value)
{
	if (isnan(value))
		fprintf(out, "%*s", width, "-");
	else
		fprintf(out, "%*.3f", width, value);
}

/* A phase shorter than the longest tick that touches it. */
static bool is_brief(const json_t *phase, double seconds)
{
	return seconds > 0 && seconds < number_at(phase, "tick", NULL, NULL);
}

/* "~" marks what is a mean over less than a tick. */
static void print_watts(FILE *out, int width, double value, bool brief)
{
	char number[32];

	(void)snprintf(number, sizeof(number), "%s%.3f", brief ? "~" : "", value);
	fprintf(out, "%*s", width, isnan(value) ? "-" : number);
}

double recap_table_date_ms(const json_t *value)
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

static void print_phase(FILE *out, const char *title, const json_t *phase, double seconds)
{
	const bool brief = is_brief(phase, seconds);

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		double joules = number_at(phase, "energy", scopes[i], "total");
		double machine_j = number_at(phase, "machine", scopes[i], NULL);

		if (isnan(joules) && isnan(machine_j))
			continue;
		fprintf(out, "%-11s %-5s", title, scopes[i]);
		print_number(out, 10, seconds);
		print_number(out, 12, joules);
		print_number(out, 10, number_at(phase, "energy", scopes[i], "sd"));
		print_number(out, 12, number_at(phase, "energy", scopes[i], "dynamic"));
		print_number(out, 12, number_at(phase, "energy", scopes[i], "static"));
		print_watts(out, 10, number_at(phase, "power", scopes[i], "mean"), brief);
		print_watts(out, 10, number_at(phase, "power", scopes[i], "max"), brief);
		print_number(out, 12, machine_j);
		fputc('\n', out);
	}
}

static double duration_s(const json_t *recap)
{
	double seconds = number_at(recap, "duration", NULL, NULL);
	double begin_ms = recap_table_date_ms(json_object_get(recap, "begin"));
	double end_ms = recap_table_date_ms(json_object_get(recap, "end"));

	return isnan(seconds) && begin_ms >= 0 && end_ms >= 0 ? (end_ms - begin_ms) / 1000 : seconds;
}

static void print_brief(FILE *out, const json_t *recap, double warmup_s)
{
	const json_t *phases[] = {recap, json_object_get(recap, "warmup"),
				  json_object_get(recap, "execution")};
	const double seconds[] = {duration_s(recap), warmup_s,
				  number_at(recap, "execution time", NULL, NULL)};

	for (size_t i = 0; i < (warmup_s > 0 ? ARRAY_SIZE(phases) : 1); i++) {
		if (!is_brief(phases[i], seconds[i]))
			continue;
		fprintf(out,
			"note        ~ marks watts over less than one reading (%.3f s); use the joules\n",
			number_at(phases[i], "tick", NULL, NULL));
		return;
	}
}

void recap_table_print(FILE *out, const json_t *recap)
{
	double warmup_s = number_at(recap, "warmup time", NULL, NULL);
	double coverage = number_at(recap, "coverage", NULL, NULL);

	fprintf(out, "%-11s %-5s%10s%12s%10s%12s%12s%10s%10s%12s\n", "phase", "scope", "seconds", "joules",
		"+- J", "dynamic", "static", "mean W", "max W", "machine J");
	if (warmup_s > 0) {
		print_phase(out, "warm-up", json_object_get(recap, "warmup"), warmup_s);
		print_phase(out, "execution", json_object_get(recap, "execution"),
			    number_at(recap, "execution time", NULL, NULL));
	}
	print_phase(out, "whole run", recap, duration_s(recap));
	fputs("samples    ", out);
	fprintf(out, " %.0f", fmax(0, number_at(recap, "samples", NULL, NULL)));
	if (!isnan(coverage))
		fprintf(out, ", which cover %.0f %% of the time", 100 * coverage);
	fputc('\n', out);
	print_brief(out, recap, warmup_s);
	if (json_is_string(json_object_get(recap, "warning")))
		fprintf(out, "note        %s\n", json_string_value(json_object_get(recap, "warning")));
	if (json_is_true(json_object_get(recap, "estimated")))
		fputs("note        the machine's energy is estimated, not measured: see 'wattribute check'\n",
		      out);
}

void recap_table_print_line(FILE *out, const json_t *recap)
{
	double begin_ms = recap_table_date_ms(json_object_get(recap, "begin"));
	const char *name = json_string_value(json_object_get(recap, "name"));
	char begin[32] = "-";
	struct tm parts;
	time_t seconds = (time_t)(begin_ms / 1000);

	if (!recap) {
		fprintf(out, "%-28s %-20s%12s%12s%12s%12s%10s\n", "name", "begin (UTC)", "seconds", "cpu J",
			"dram J", "machine J", "mean W");
		return;
	}
	if (begin_ms >= 0 && gmtime_r(&seconds, &parts))
		(void)strftime(begin, sizeof(begin), "%Y-%m-%d %H:%M:%S", &parts);
	fprintf(out, "%-28s %-20s", name ? name : "-", begin);
	print_number(out, 12, duration_s(recap));
	print_number(out, 12, number_at(recap, "energy", "cpu", "total"));
	print_number(out, 12, number_at(recap, "energy", "dram", "total"));
	print_number(out, 12, number_at(recap, "machine", "cpu", NULL));
	print_watts(out, 10, number_at(recap, "power", "cpu", "mean"), is_brief(recap, duration_s(recap)));
	fputc('\n', out);
}
