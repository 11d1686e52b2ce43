/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups of runs for people (a table, or Markdown) and for programs (CSV with a line for each run, JSON with
 * everything). No I/O but printing.
 */
#include "compare/group.h"
#include "json_fields.h"
#include "base/text.h"
#include "document/csv.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const compare_format_names[] = {"text", "csv", "json", "markdown", NULL};

/* In the order of enum compare_figure. */
static const struct {
	const char *title, *key, *unit;
} figures[COMPARE_FIGURES] = {
	{"energy", "energy_j", "J"},
	{"dynamic", "dynamic_j", "J"},
	{"duration", "duration_s", "s"},
	{"power", "power_w", "W"},
};

static void mark_outliers(struct compare_group *group)
{
	double *values = calloc(group->n_runs ? group->n_runs : 1, sizeof(*values));
	bool *marks = calloc(group->n_runs ? group->n_runs : 1, sizeof(*marks));

	for (size_t i = 0; values && marks && i < group->n_runs; i++)
		values[i] = group->runs[i].figures[COMPARE_ENERGY];
	if (values && marks)
		(void)sample_mark_outliers(values, group->n_runs, marks);
	for (size_t i = 0; marks && i < group->n_runs; i++)
		group->runs[i].is_outlier = marks[i];
	free(values);
	free(marks);
}

static bool any_is(const struct compare_group *group, bool brief)
{
	for (size_t i = 0; i < group->n_runs; i++)
		if (brief ? group->runs[i].is_brief : group->runs[i].is_estimated)
			return true;
	return false;
}

/* Five digits for any magnitude. Returns ret. */
static const char *format_value(double value, char ret[32])
{
	double size = fabs(value);

	if (!isfinite(value))
		return "-";
	(void)snprintf(ret, 32, "%.*f", size < 10 ? 4 : size < 100 ? 3 : size < 1000 ? 2 : 1, value);
	return ret;
}

/* A command may contain terminal control characters, or bytes that would end a Markdown row. */
static void print_name(FILE *out, const char *name, const char *replace)
{
	char plain[4096];

	(void)text_copy_plain(name, plain, sizeof(plain));
	for (const char *at = plain; *at; at++)
		fputc(strchr(replace, *at) ? '?' : *at, out);
}

static double mean_error(const struct compare_group *group)
{
	double sum = 0;
	size_t n = 0;

	for (size_t i = 0; i < group->n_runs; i++) {
		if (!isfinite(group->runs[i].sd_j))
			continue;
		sum += group->runs[i].sd_j;
		n++;
	}
	return n > 0 ? sum / (double)n : NAN;
}

static void print_notes(FILE *out, const struct compare_group *group)
{
	double error_j = mean_error(group);
	char number[32];
	bool any = false;
	size_t n_unfound = 0, n_partial = 0;

	for (size_t i = 0; i < group->n_runs; i++) {
		if (!group->runs[i].is_outlier)
			continue;
		fprintf(out, "%s run %zu with %s J", any ? "," : "  outliers ", i + 1,
			format_value(group->runs[i].figures[COMPARE_ENERGY], number));
		any = true;
	}
	if (any)
		fputs("; they are counted\n", out);
	for (size_t i = 0; i < group->n_runs; i++) {
		n_unfound += group->runs[i].is_unfound;
		n_partial += group->runs[i].is_partial;
	}
	if (n_partial > 0)
		fprintf(out,
			"  note      reports cover only a part of %zu of the runs; their joules are those of "
			"that "
			"part\n",
			n_partial);
	if (n_unfound > 0)
		fprintf(out,
			"  note      %zu of the runs have no report of their container; their joules are "
			"unknown\n",
			n_unfound);
	if (isfinite(error_j))
		fprintf(out,
			"  note      each run's own error is about %s J; the interval covers the spread of "
			"the runs\n",
			format_value(error_j, number));
	if (any_is(group, true))
		fputs("  note      ~ marks watts over less than one reading; use the joules\n", out);
	if (any_is(group, false))
		fputs("  note      the machine's energy is estimated, not measured: see 'wattribute check'\n",
		      out);
}

static void print_group(FILE *out, const struct compare_group *group, char letter, bool many)
{
	char numbers[6][32];
	struct sample sample;

	if (many)
		fprintf(out, "%c  ", letter);
	print_name(out, group->name, "");
	fprintf(out, "  (%zu run%s)\n", group->n_runs, group->n_runs == 1 ? "" : "s");
	fprintf(out, "  %-10s %9s %8s %25s %9s %9s\n", "", "mean", "+- sd", "95 % interval of the mean",
		"min", "max");
	for (unsigned i = 0; i < COMPARE_FIGURES; i++) {
		bool brief = i == COMPARE_WATTS && any_is(group, true);
		char title[32], mean[40];

		compare_group_summarize(group, (enum compare_figure)i, &sample);
		if (sample.n == 0)
			continue;
		(void)snprintf(title, sizeof(title), "%s %s", figures[i].title, figures[i].unit);
		(void)snprintf(mean, sizeof(mean), "%s%s", brief ? "~" : "",
			       format_value(sample.mean, numbers[0]));
		fprintf(out, "  %-10s %9s %8s %11s%3s%11s %9s %9s\n", title, mean,
			format_value(sample.sd, numbers[1]), format_value(sample.low, numbers[2]),
			sample.n > 1 ? "to" : "", format_value(sample.high, numbers[3]),
			format_value(sample.min, numbers[4]), format_value(sample.max, numbers[5]));
	}
	print_notes(out, group);
}

static void compare_to_first(const struct compare_group *groups, size_t other, enum compare_figure figure,
			     struct sample_ratio *ret)
{
	struct sample a, b;

	compare_group_summarize(&groups[0], figure, &a);
	compare_group_summarize(&groups[other], figure, &b);
	sample_compare(&a, &b, ret);
}

static const char *ratio_words(const struct sample_ratio *ratio)
{
	if (!isfinite(ratio->low))
		return "no interval: it needs two runs of each";
	if (ratio->low <= 1 && ratio->high >= 1)
		return "no difference is shown";
	return ratio->ratio > 1 ? "A has more" : "A has less";
}

static void print_ratios(FILE *out, const struct compare_group *groups, size_t n_groups)
{
	char numbers[3][32];

	for (size_t other = 1; other < n_groups; other++) {
		fprintf(out, "\nA / %c\n", (int)('A' + other % 26));
		for (unsigned i = 0; i < COMPARE_WATTS; i++) {
			struct sample_ratio ratio;

			compare_to_first(groups, other, (enum compare_figure)i, &ratio);
			if (!isfinite(ratio.ratio))
				continue;
			fprintf(out, "  %-10s %11s", figures[i].title, format_value(ratio.ratio, numbers[0]));
			if (isfinite(ratio.low))
				fprintf(out, " (95 %%: %s to %s)", format_value(ratio.low, numbers[1]),
					format_value(ratio.high, numbers[2]));
			fprintf(out, "  %s\n", ratio_words(&ratio));
		}
	}
}

static void print_text(FILE *out, const struct compare_group *groups, size_t n_groups)
{
	for (size_t i = 0; i < n_groups; i++) {
		if (i > 0)
			fputc('\n', out);
		print_group(out, &groups[i], (char)('A' + i % 26), n_groups > 1);
	}
	print_ratios(out, groups, n_groups);
}

static void print_markdown(FILE *out, const struct compare_group *groups, size_t n_groups)
{
	char numbers[6][32];
	struct sample energy, dynamic, seconds;
	struct sample_ratio ratio;

	fputs("| | command | runs | energy [J] | min [J] | max [J] | dynamic [J] | duration [s] | A / this "
	      "|\n"
	      "|:-|:-|-:|-:|-:|-:|-:|-:|-:|\n",
	      out);
	for (size_t i = 0; i < n_groups; i++) {
		compare_group_summarize(&groups[i], COMPARE_ENERGY, &energy);
		compare_group_summarize(&groups[i], COMPARE_DYNAMIC, &dynamic);
		compare_group_summarize(&groups[i], COMPARE_SECONDS, &seconds);
		compare_to_first(groups, i, COMPARE_ENERGY, &ratio);
		fprintf(out, "| %c | `", (int)('A' + i % 26));
		print_name(out, groups[i].name, "|`");
		fprintf(out, "` | %zu | %s ± %s | %s | %s | %s | %s |", groups[i].n_runs,
			format_value(energy.mean, numbers[0]), format_value(energy.sd, numbers[1]),
			format_value(energy.min, numbers[2]), format_value(energy.max, numbers[3]),
			format_value(dynamic.mean, numbers[4]), format_value(seconds.mean, numbers[5]));
		if (i == 0)
			fputs(" 1 |\n", out);
		else if (isfinite(ratio.low))
			fprintf(out, " %s (%s to %s) |\n", format_value(ratio.ratio, numbers[0]),
				format_value(ratio.low, numbers[1]), format_value(ratio.high, numbers[2]));
		else
			fprintf(out, " %s |\n", format_value(ratio.ratio, numbers[0]));
	}
}

static void print_csv_number(FILE *out, double value)
{
	if (isfinite(value))
		fprintf(out, ",%.9g", value);
	else
		fputc(',', out);
}

static void print_csv_name(FILE *out, const char *name)
{
	struct batch cell = {0};

	if (csv_put_cell(&cell, name, true) == 0)
		(void)fwrite(cell.data, 1, cell.length, out);
	batch_done(&cell);
}

/* A line for each run, by RFC 4180. */
static void print_csv(FILE *out, const struct compare_group *groups, size_t n_groups)
{
	fputs("command,run,begin,energy_j,dynamic_j,duration_s,power_w,sd_j,exit_status,brief,estimated,"
	      "outlier\r\n",
	      out);
	for (size_t g = 0; g < n_groups; g++) {
		for (size_t i = 0; i < groups[g].n_runs; i++) {
			const struct compare_run *run = &groups[g].runs[i];

			print_csv_name(out, groups[g].name);
			fprintf(out, ",%zu,", i + 1);
			if (isfinite(run->begin_ms))
				fprintf(out, "%.3f", run->begin_ms / 1000);
			for (unsigned f = 0; f < COMPARE_FIGURES; f++)
				print_csv_number(out, run->figures[f]);
			print_csv_number(out, run->sd_j);
			if (run->exit_status >= 0)
				fprintf(out, ",%d", run->exit_status);
			else
				fputc(',', out);
			fprintf(out, ",%d,%d,%d\r\n", run->is_brief, run->is_estimated, run->is_outlier);
		}
	}
}

static json_t *number_json(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *sample_json(const struct sample *sample)
{
	return json_pack("{sI so so so so so so}", "n", (json_int_t)sample->n, "mean",
			 number_json(sample->mean), "sd", number_json(sample->sd), "low",
			 number_json(sample->low), "high", number_json(sample->high), "min",
			 number_json(sample->min), "max", number_json(sample->max));
}

static json_t *run_json(const struct compare_run *run)
{
	json_t *value = json_object();

	(void)json_object_set_new(value, "begin", number_json(run->begin_ms / 1000));
	for (unsigned f = 0; f < COMPARE_FIGURES; f++)
		(void)json_object_set_new(value, figures[f].key, number_json(run->figures[f]));
	(void)json_object_set_new(value, "sd_j", number_json(run->sd_j));
	(void)json_object_set_new(value, "exit_status",
				  run->exit_status >= 0 ? json_integer(run->exit_status) : json_null());
	(void)json_object_set_new(value, "brief", json_boolean(run->is_brief));
	(void)json_object_set_new(value, "estimated", json_boolean(run->is_estimated));
	(void)json_object_set_new(value, "outlier", json_boolean(run->is_outlier));
	return value;
}

static json_t *group_json(const struct compare_group *groups, size_t index)
{
	const struct compare_group *group = &groups[index];
	json_t *value = json_object(), *runs = json_array(), *ratios = json_object();
	struct sample sample;
	struct sample_ratio ratio;

	(void)json_object_set_new(value, "name", json_from_word(group->name));
	for (unsigned f = 0; f < COMPARE_FIGURES; f++) {
		compare_group_summarize(group, (enum compare_figure)f, &sample);
		(void)json_object_set_new(value, figures[f].key, sample_json(&sample));
		compare_to_first(groups, index, (enum compare_figure)f, &ratio);
		(void)json_object_set_new(ratios, figures[f].key,
					  json_pack("{so so so}", "ratio", number_json(ratio.ratio), "low",
						    number_json(ratio.low), "high", number_json(ratio.high)));
	}
	for (size_t i = 0; i < group->n_runs; i++)
		(void)json_array_append_new(runs, run_json(&group->runs[i]));
	(void)json_object_set_new(value, "runs", runs);
	/* Ratios of the first group to this one. */
	(void)json_object_set_new(value, "first_to_this", ratios);
	return value;
}

static void print_json(FILE *out, const struct compare_group *groups, size_t n_groups)
{
	json_t *list = json_array();
	json_t *value = json_pack("{so}", "groups", list);

	for (size_t i = 0; i < n_groups; i++)
		(void)json_array_append_new(list, group_json(groups, i));
	(void)json_dumpf(value, out,
			 JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
	fputc('\n', out);
	json_decref(value);
}

int compare_print(FILE *out, enum compare_format format, struct compare_group *groups, size_t n_groups)
{
	for (size_t i = 0; i < n_groups; i++)
		mark_outliers(&groups[i]);
	if (format == COMPARE_CSV)
		print_csv(out, groups, n_groups);
	else if (format == COMPARE_JSON)
		print_json(out, groups, n_groups);
	else if (format == COMPARE_MARKDOWN)
		print_markdown(out, groups, n_groups);
	else
		print_text(out, groups, n_groups);
	return ferror(out) ? -EIO : 0;
}
