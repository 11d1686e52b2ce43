/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of `wattribute top` as lines of text. Does no I/O.
 */
#include "top/top_view.h"
#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A target without a report for this many seconds (it has ended, or is idle) is not shown. */
#define TOP_SILENT_S   30
#define TOP_NAME_WIDTH 36

struct row {
	const char *target;
	const char *detail;
	double cpu_w, dram_w, sd_w, dynamic_w, energy_j;
};

static int add_line(struct top_view *view, enum top_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int add_line(struct top_view *view, enum top_style style, const char *format, ...)
{
	va_list arguments;
	struct top_line *lines;

	if (view->n_lines == view->capacity) {
		lines = realloc(view->lines, (view->capacity * 2 + 16) * sizeof(*lines));
		if (!lines)
			return -ENOMEM;
		view->lines = lines;
		view->capacity = view->capacity * 2 + 16;
	}
	view->lines[view->n_lines].style = style;
	va_start(arguments, format);
	(void)vsnprintf(view->lines[view->n_lines].text, TOP_LINE_SIZE, format, arguments);
	va_end(arguments);
	/* Foreign text must not control the terminal. */
	for (char *at = view->lines[view->n_lines].text; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 127)
			*at = '?';
	view->n_lines++;
	return 0;
}

static double number_at(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);

	return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static const char *format_number(double value, int decimals, char ret[32])
{
	if (isnan(value))
		return "-";
	(void)snprintf(ret, 32, "%.*f", decimals, value);
	return ret;
}

static double row_watts(const struct row *row)
{
	return (isnan(row->cpu_w) ? 0 : row->cpu_w) + (isnan(row->dram_w) ? 0 : row->dram_w);
}

static int compare_rows(const void *left, const void *right)
{
	double difference = row_watts(right) - row_watts(left);

	if (difference != 0)
		return difference > 0 ? 1 : -1;
	return strcmp(((const struct row *)left)->target, ((const struct row *)right)->target);
}

/* The source of the watts, for people. */
static const char *energy_words(const json_t *sensor, char *ret, size_t size)
{
	const char *source = text_at(sensor, "energy_source");
	bool estimated = json_is_true(json_object_get(sensor, "estimated"));

	const json_t *measured = json_object_get(sensor, "measured");

	if (estimated && !strcmp(source, "estimate"))
		return "ESTIMATED from CPU use and design power";
	if (isnan(number_at(measured, "cpu")) && isnan(number_at(measured, "dram")))
		return "no energy in its last tick";
	/* Other sensors do not name the source. */
	(void)snprintf(ret, size, "%s%s%s", estimated ? "ESTIMATED" : "measured", *source ? " by " : "",
		       source);
	return ret;
}

/* Its watts are old: they are not shown as if they were current. */
static bool is_silent(const json_t *sensor)
{
	double interval_s = number_at(sensor, "interval");

	return number_at(sensor, "age") > fmax(TOP_SILENT_S, isnan(interval_s) ? 0 : 3 * interval_s);
}

static int add_sensor_head(struct top_view *view, const json_t *sensor)
{
	const json_t *measured = json_object_get(sensor, "measured");
	char cpu[32], dram[48] = "", number[32], error[32], words[64];
	double dram_w = number_at(measured, "dram");
	const char *activity;
	int r;

	if (is_silent(sensor))
		return add_line(view, TOP_HEADING, "%s   no tick for %.0f s; is its sensor running?",
				text_at(sensor, "sensor"), number_at(sensor, "age"));
	if (!isnan(dram_w))
		(void)snprintf(dram, sizeof(dram), "   dram %s W", format_number(dram_w, 2, number));
	r = add_line(view, TOP_HEADING, "%s   cpu %s W%s   %s", text_at(sensor, "sensor"),
		     format_number(number_at(measured, "cpu"), 2, cpu), dram,
		     energy_words(sensor, words, sizeof(words)));
	if (r < 0)
		return r;
	activity = text_at(sensor, "activity_source");
	return add_line(
		view, TOP_NOTE, "%s%s%sformula %s%s, error %s W, %.1f s ago", *activity ? "activity by " : "",
		activity, *activity ? ", " : "", text_at(sensor, "formula"),
		json_is_false(json_object_get(sensor, "fitted")) ? " (still learning: CPU-time share)" : "",
		format_number(number_at(json_object_get(sensor, "error"), "cpu"), 2, error),
		fmax(0, number_at(sensor, "age")));
}

/* Long paths differ mostly at the end. */
static const char *shorten(const char *name, char ret[TOP_NAME_WIDTH + 1])
{
	size_t length = strlen(name);
	int half = (TOP_NAME_WIDTH - 2) / 2;

	if (length <= TOP_NAME_WIDTH)
		return name;
	(void)snprintf(ret, TOP_NAME_WIDTH + 1, "%.*s..%s", half, name, name + length - (size_t)half);
	return ret;
}

static int add_rows(struct top_view *view, const struct row *rows, size_t n_rows)
{
	char name[TOP_NAME_WIDTH + 1], cpu[32], dram[32], sd[32], dynamic[32], energy[32];
	int r = add_line(view, TOP_HEADING, "%-*s %9s %9s %7s %9s %11s  %s", TOP_NAME_WIDTH, "target",
			 "cpu W", "dram W", "+- W", "dynamic W", "joules", "container id");

	for (size_t i = 0; i < n_rows && r == 0; i++)
		r = add_line(view, TOP_PLAIN, "%-*s %9s %9s %7s %9s %11s  %s", TOP_NAME_WIDTH,
			     shorten(rows[i].target, name), format_number(rows[i].cpu_w, 3, cpu),
			     format_number(rows[i].dram_w, 3, dram), format_number(rows[i].sd_w, 2, sd),
			     format_number(rows[i].dynamic_w, 3, dynamic),
			     format_number(rows[i].energy_j, 1, energy), rows[i].detail);
	return r;
}

static int add_sensor(struct top_view *view, const json_t *sensor)
{
	const json_t *targets = json_object_get(sensor, "targets");
	size_t n_targets = json_array_size(targets);
	size_t n_rows = 0;
	cleanup_(cleanup_free) struct row *rows = calloc(n_targets + 1, sizeof(*rows));
	int r;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < n_targets; i++) {
		const json_t *target = json_array_get(targets, i);

		if (number_at(target, "age") > TOP_SILENT_S)
			continue;
		rows[n_rows++] = (struct row){.target = text_at(target, "target"),
					      .detail = text_at(target, "container_id"),
					      .cpu_w = number_at(target, "cpu"),
					      .dram_w = number_at(target, "dram"),
					      .sd_w = number_at(target, "sd"),
					      .dynamic_w = number_at(target, "dynamic"),
					      .energy_j = number_at(target, "energy_j")};
	}
	qsort(rows, n_rows, sizeof(*rows), compare_rows);
	r = add_sensor_head(view, sensor);
	return r < 0 || is_silent(sensor) ? r : add_rows(view, rows, n_rows);
}

int top_view_fill(struct top_view *view, const json_t *answer, const char *sensor)
{
	const json_t *sensors = json_object_get(answer, "sensors");
	int r = 0;

	view->n_lines = 0;
	view->n_sensors = 0;
	for (size_t i = 0; i < json_array_size(sensors) && r == 0; i++) {
		const json_t *one = json_array_get(sensors, i);

		if (sensor && strcmp(sensor, text_at(one, "sensor")))
			continue;
		if (view->n_sensors++ > 0)
			r = add_line(view, TOP_PLAIN, "%s", "");
		if (r == 0)
			r = add_sensor(view, one);
	}
	if (r == 0 && view->n_sensors == 0)
		r = add_line(view, TOP_NOTE, "waiting for the first tick%s%s", sensor ? " of " : "",
			     sensor ? sensor : "");
	return r;
}

int top_view_say(struct top_view *view, const char *text)
{
	view->n_lines = 0;
	view->n_sensors = 0;
	return add_line(view, TOP_NOTE, "%s", text);
}

size_t top_view_scroll(const struct top_view *view, size_t first_line, int move)
{
	size_t last = view->n_lines > 0 ? view->n_lines - 1 : 0;

	if (move < 0)
		return (size_t)-move < first_line ? first_line - (size_t)-move : 0;
	return (size_t)move < last - (first_line < last ? first_line : last) ? first_line + (size_t)move
									     : last;
}

void top_view_done(struct top_view *view)
{
	free(view->lines);
	*view = (struct top_view){0};
}
