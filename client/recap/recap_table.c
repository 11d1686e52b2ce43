/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recaps as text, for `wattribute run` and `wattribute recap`. Does no I/O except printing.
 */
#include "recap/recap_table.h"
#include "json_fields.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

static const char *const scopes[] = {"cpu", "dram", "gpu", "platform"};

/* Number of characters: each takes about one column. */
static int columns_of(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* A row whose cells keep their columns: one that is too long takes blanks from the next one. */
struct row {
	FILE *out;
	int at, due; /* columns written, and column at which the cells so far should end */
};

static void cell(struct row *row, int width, const char *text)
{
	const int length = columns_of(text);
	const int room = row->due + width - row->at - length;
	const int blanks = room > 0 ? room : row->at > 0 ? 1 : 0;

	fprintf(row->out, "%*s%s", blanks, "", text);
	row->at += blanks + length;
	row->due += width;
}

static void cell_left(struct row *row, int width, const char *text)
{
	fputs(text, row->out);
	row->at += columns_of(text);
	row->due += width;
	for (; row->at < row->due; row->at++)
		fputc(' ', row->out);
}

/* Six digits or three decimals, so that 80 columns hold every row. */
static const char *format_number(double value, bool brief, char ret[32])
{
	const double size = fabs(value);

	if (isnan(value))
		return "-";
	(void)snprintf(ret, 32, "%s%.*f", brief ? "~" : "",
		       size < 999.9995   ? 3
		       : size < 9999.995 ? 2
		       : size < 99999.95 ? 1
					 : 0,
		       value);
	return ret;
}

/* A phase shorter than the longest tick that touches it. */
static bool is_brief(const json_t *phase, double seconds)
{
	return seconds > 0 && seconds < json_number_at(phase, "tick");
}

/* "~" marks a mean over less than a tick. */
static void cell_watts(struct row *row, int width, double value, bool brief)
{
	char number[32];

	cell(row, width, format_number(value, brief, number));
}

static void cell_number(struct row *row, int width, double value)
{
	cell_watts(row, width, value, false);
}

static void cell_error(struct row *row, int width, double value)
{
	const char *small = text_small_error(value);
	char number[32];

	cell(row, width, small ? small : format_number(value, false, number));
}

static void print_phase(FILE *out, const char *title, const json_t *phase, double seconds)
{
	const bool brief = is_brief(phase, seconds);

	for (size_t i = 0; i < ARRAY_SIZE(scopes); i++) {
		const json_t *energy = json_object_get(json_object_get(phase, "energy"), scopes[i]);
		const json_t *power = json_object_get(json_object_get(phase, "power"), scopes[i]);
		double joules = json_number_at(energy, "total");
		double machine_j = json_number_at(json_object_get(phase, "machine"), scopes[i]);
		struct row row = {.out = out};

		if (isnan(joules) && isnan(machine_j))
			continue;
		cell_left(&row, 10, title);
		cell_left(&row, 4, scopes[i]);
		cell_number(&row, 8, seconds);
		cell_number(&row, 8, joules);
		cell_error(&row, 8, json_number_at(energy, "sd"));
		cell_number(&row, 8, json_number_at(energy, "dynamic"));
		cell_number(&row, 8, json_number_at(energy, "static"));
		cell_watts(&row, 8, json_number_at(power, "mean"), brief);
		cell_watts(&row, 8, json_number_at(power, "max"), brief);
		cell_number(&row, 10, machine_j);
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

/* The command, and the formula that determined its energy, if the recap has them. */
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
	static const char *const titles[] = {"seconds", "joules", "+- J",  "dynamic",
					     "static",  "mean W", "max W", "machine J"};
	struct row head = {.out = out};
	double warmup_s = json_number_at(recap, "warmup time");
	double coverage = json_number_at(recap, "coverage");
	const char *warning = json_string_value(json_object_get(recap, "warning"));
	char plain[1024];

	cell_left(&head, 10, "phase");
	cell_left(&head, 4, "scope");
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++)
		cell(&head, i + 1 < ARRAY_SIZE(titles) ? 8 : 10, titles[i]);
	fputc('\n', out);
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
	if (json_is_partial_run(recap))
		fputs("note        joules and their errors are those of the covered time, not of the whole "
		      "run\n",
		      out);
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

	struct row row = {.out = out};

	if (!recap) {
		fprintf(out, "%-17s %19s%8s%9s%8s%9s%8s\n", "name", "begin (UTC)", "seconds", "cpu J", "+- J",
			"dram J", "mean W");
		return;
	}
	if (begin_ms >= 0 && gmtime_r(&seconds, &parts))
		(void)strftime(begin, sizeof(begin), "%Y-%m-%d %H:%M:%S", &parts);
	(void)text_copy_plain(name ? name : "-", plain, sizeof(plain));
	/* A long name gets a line of its own if the row would be broken; in a pipe it stays on one line. */
	if (columns_of(plain) > 17 && isatty(fileno(out))) {
		fprintf(out, "%s\n", plain);
		plain[0] = '\0';
	}
	cell_left(&row, 17, plain);
	cell(&row, 20, begin);
	cell_number(&row, 8, duration_s(recap));
	cell_number(&row, 9, json_number_at(json_object_get(energy, "cpu"), "total"));
	cell_error(&row, 8, json_number_at(json_object_get(energy, "cpu"), "sd"));
	cell_number(&row, 9, json_number_at(json_object_get(energy, "dram"), "total"));
	cell_watts(&row, 8, json_number_at(json_object_get(power, "cpu"), "mean"),
		   is_brief(recap, duration_s(recap)));
	fputc('\n', out);
}
