/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recaps as text, for `wattribute run` and `wattribute recap`. Does no I/O but printing.
 */
#include "recap/recap_table.h"
#include "json_fields.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static const char *const scopes[] = {"cpu", "dram", "gpu", "platform"};

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
	return seconds > 0 && seconds < json_number_at(phase, "tick");
}

/* "~" marks what is a mean over less than a tick. */
static void print_watts(FILE *out, int width, double value, bool brief)
{
	char number[32];

	(void)snprintf(number, sizeof(number), "%s%.3f", brief ? "~" : "", value);
	fprintf(out, "%*s", width, isnan(value) ? "-" : number);
}

static void print_phase(FILE *out, const char *title, const json_t *phase, double seconds)
{
	const bool brief = is_brief(phase, seconds);

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		const json_t *energy = json_object_get(json_object_get(phase, "energy"), scopes[i]);
		const json_t *power = json_object_get(json_object_get(phase, "power"), scopes[i]);
		double joules = json_number_at(energy, "total");
		double machine_j = json_number_at(json_object_get(phase, "machine"), scopes[i]);

		if (isnan(joules) && isnan(machine_j))
			continue;
		fprintf(out, "%-11s %-5s", title, scopes[i]);
		print_number(out, 10, seconds);
		print_number(out, 12, joules);
		print_number(out, 10, json_number_at(energy, "sd"));
		print_number(out, 12, json_number_at(energy, "dynamic"));
		print_number(out, 12, json_number_at(energy, "static"));
		print_watts(out, 10, json_number_at(power, "mean"), brief);
		print_watts(out, 10, json_number_at(power, "max"), brief);
		print_number(out, 12, machine_j);
		fputc('\n', out);
	}
}

static double duration_s(const json_t *recap)
{
	double seconds = json_number_at(recap, "duration");
	double begin_ms = json_date_ms(json_object_get(recap, "begin"));
	double end_ms = json_date_ms(json_object_get(recap, "end"));

	return isnan(seconds) && begin_ms >= 0 && end_ms >= 0 ? (end_ms - begin_ms) / 1000 : seconds;
}

static void print_brief(FILE *out, const json_t *recap, double warmup_s)
{
	const json_t *phases[] = {recap, json_object_get(recap, "warmup"),
				  json_object_get(recap, "execution")};
	const double seconds[] = {duration_s(recap), warmup_s, json_number_at(recap, "execution time")};

	for (size_t i = 0; i < (warmup_s > 0 ? ARRAY_SIZE(phases) : 1); i++) {
		if (!is_brief(phases[i], seconds[i]))
			continue;
		fprintf(out,
			"note        ~ marks watts over less than one reading (%.3f s); use the joules\n",
			json_number_at(phases[i], "tick"));
		return;
	}
}

/* What was run and by which formula its energy was found, as far as the recap has it. */
static void print_origin(FILE *out, const json_t *recap)
{
	static const char *const fields[][2] = {{"image", "image"},
						{"command", "command"},
						{"exit_status", "exit status"},
						{"cpus", "CPUs"},
						{"formula", "formula"}};
	char plain[4096];

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const char *text = json_string_value(json_object_get(recap, fields[i][0]));

		if (!text)
			continue;
		/* Foreign text must not control the terminal. */
		fprintf(out, "%-11s %s\n", fields[i][1], text_copy_plain(text, plain, sizeof(plain)));
	}
}

void recap_table_print(FILE *out, const json_t *recap)
{
	double warmup_s = json_number_at(recap, "warmup time");
	double coverage = json_number_at(recap, "coverage");
	const char *warning = json_string_value(json_object_get(recap, "warning"));
	char plain[1024];

	fprintf(out, "%-11s %-5s%10s%12s%10s%12s%12s%10s%10s%12s\n", "phase", "scope", "seconds", "joules",
		"+- J", "dynamic", "static", "mean W", "max W", "machine J");
	if (warmup_s > 0) {
		print_phase(out, "warm-up", json_object_get(recap, "warmup"), warmup_s);
		print_phase(out, "execution", json_object_get(recap, "execution"),
			    json_number_at(recap, "execution time"));
	}
	print_phase(out, "whole run", recap, duration_s(recap));
	fputs("samples    ", out);
	fprintf(out, " %.0f", fmax(0, json_number_at(recap, "samples")));
	if (!isnan(coverage))
		fprintf(out, ", which cover %.0f %% of the time", 100 * coverage);
	fputc('\n', out);
	print_origin(out, recap);
	print_brief(out, recap, warmup_s);
	if (warning)
		fprintf(out, "note        %s\n", text_copy_plain(warning, plain, sizeof(plain)));
	if (json_is_true(json_object_get(recap, "estimated")))
		fputs("note        the machine's energy is estimated, not measured: see 'wattribute check'\n",
		      out);
}

void recap_table_print_line(FILE *out, const json_t *recap)
{
	double begin_ms = json_date_ms(json_object_get(recap, "begin"));
	const char *name = json_string_value(json_object_get(recap, "name"));
	const json_t *energy = json_object_get(recap, "energy"), *power = json_object_get(recap, "power");
	char begin[32] = "-", plain[512];
	struct tm parts;
	time_t seconds = (time_t)(begin_ms / 1000);

	if (!recap) {
		fprintf(out, "%-28s %-20s%12s%12s%10s%12s%12s%10s\n", "name", "begin (UTC)", "seconds",
			"cpu J", "+- J", "dram J", "machine J", "mean W");
		return;
	}
	if (begin_ms >= 0 && gmtime_r(&seconds, &parts))
		(void)strftime(begin, sizeof(begin), "%Y-%m-%d %H:%M:%S", &parts);
	fprintf(out, "%-28s %-20s", name ? text_copy_plain(name, plain, sizeof(plain)) : "-", begin);
	print_number(out, 12, duration_s(recap));
	print_number(out, 12, json_number_at(json_object_get(energy, "cpu"), "total"));
	print_number(out, 10, json_number_at(json_object_get(energy, "cpu"), "sd"));
	print_number(out, 12, json_number_at(json_object_get(energy, "dram"), "total"));
	print_number(out, 12, json_number_at(json_object_get(recap, "machine"), "cpu"));
	print_watts(out, 10, json_number_at(json_object_get(power, "cpu"), "mean"),
		    is_brief(recap, duration_s(recap)));
	fputc('\n', out);
}
