/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The screens of `wattribute top` as lines of text: a machine's targets, or a line for each machine. Does no
 * I/O.
 */
#include "top/top_view.h"
#include "base/array.h"
#include "json_fields.h"
#include "base/text.h"
#include "base/cleanup.h"
#include "top/top_text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A machine without a tick for this many seconds is silent. */
#define TOP_SILENT_S     30
#define NAME_WIDTH       36 /* without a terminal */
#define NAME_WIDTH_LEAST 8
#define NAME_WIDTH_MOST  120
#define NAME_WIDTH_MIN   16
#define NUMBERS_WIDTH    49 /* the columns of numbers, with the blanks before them */
#define ID_WIDTH         12
#define BAR_WIDTH        30
#define NAME_SIZE        512

static int add_line(struct top_view *view, enum top_style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int add_line(struct top_view *view, enum top_style style, const char *format, ...)
{
	va_list arguments;

	if (!ARRAY_RESERVE(view->lines, view->capacity, view->n_lines + 1))
		return -ENOMEM;
	view->lines[view->n_lines].style = style;
	va_start(arguments, format);
	(void)vsnprintf(view->lines[view->n_lines].text, TOP_LINE_SIZE, format, arguments);
	va_end(arguments);
	/* Foreign text must not control the terminal. */
	text_make_plain(view->lines[view->n_lines].text, '?');
	view->n_lines++;
	return 0;
}

static const char *format_number(double value, int decimals, char ret[32])
{
	if (isnan(value))
		return "-";
	(void)snprintf(ret, 32, "%.*f", decimals, value);
	return ret;
}

/* As many decimals as the watts have. */
static const char *format_error(double watts, char ret[32])
{
	const char *small = text_small_error(watts);

	return small ? small : format_number(watts, watts < 100 ? 3 : 2, ret);
}

/* The source of the watts, for people. */
static const char *energy_words(const json_t *sensor, char *ret, size_t size)
{
	const char *source = json_text_at(sensor, "energy_source");
	bool estimated = json_is_true(json_object_get(sensor, "estimated"));

	const json_t *measured = json_object_get(sensor, "measured");

	if (estimated && !strcmp(source, "estimate"))
		return "ESTIMATED from CPU use and design power";
	if (isnan(json_number_at(measured, "cpu")) && isnan(json_number_at(measured, "dram")))
		return "no energy in its last tick";
	/* Other sensors do not name the source. */
	(void)snprintf(ret, size, "%s%s%s", estimated ? "ESTIMATED" : "measured", *source ? " by " : "",
		       source);
	return ret;
}

/* Its watts are old: they are not shown as if they were current. */
static bool is_silent(const json_t *sensor)
{
	double interval_s = json_number_at(sensor, "interval");

	return json_number_at(sensor, "age") > fmax(TOP_SILENT_S, isnan(interval_s) ? 0 : 3 * interval_s);
}

static double measured_watts(const json_t *sensor)
{
	return json_watts_at(json_object_get(sensor, "measured"));
}

/* The largest value of the last minute, which scales the bars. */
static double greatest_of(const double *minute, double now)
{
	for (unsigned i = 0; i < TOP_HISTORY_CELLS; i++)
		now = fmax(now, minute[i]);
	return now;
}

static const char *sparkline_of(const double *minute, const struct top_settings *settings, char *ret,
				size_t size)
{
	return top_text_sparkline(minute, TOP_HISTORY_CELLS, settings->has_unicode, ret, size);
}

/* "dynamic 3.20 W  idle 7.30 W  [|||:::::    ]  <the last minute>" */
static int add_parts(struct top_view *view, const json_t *sensor, const struct top_row *sum,
		     const struct top_settings *settings, const struct top_history *history, int64_t time_ms)
{
	double watts = measured_watts(sensor);
	double dynamic_w = isnan(sum->dynamic_w) ? 0 : sum->dynamic_w;
	double minute[TOP_HISTORY_CELLS];
	char bar[BAR_WIDTH + 1], line[TOP_HISTORY_CELLS * 4], dynamic[32], idle[32];

	if (isnan(watts))
		return 0;
	top_history_read(history, json_text_at(sensor, "sensor"), "", time_ms, minute);
	(void)top_text_bar(dynamic_w, watts - dynamic_w, greatest_of(minute, watts), BAR_WIDTH, bar,
			   sizeof(bar));
	return add_line(view, TOP_BAR, "dynamic %s W, idle %s W  [%s]  %s",
			format_number(dynamic_w, 2, dynamic),
			format_number(fmax(0, watts - dynamic_w), 2, idle), bar,
			settings->width ? sparkline_of(minute, settings, line, sizeof(line)) : "");
}

static int add_sensor_head(struct top_view *view, const json_t *sensor)
{
	const json_t *measured = json_object_get(sensor, "measured");
	static const char *const others[] = {"dram", "gpu", "platform"};
	char cpu[32], more[160] = "", number[32], error[32], words[64];
	size_t length = 0;
	const char *activity;
	int r;

	if (is_silent(sensor))
		return add_line(view, TOP_HEADING, "%s   no tick for %s; is its sensor running?",
				json_text_at(sensor, "sensor"),
				text_duration(json_number_at(sensor, "age"), words, sizeof(words)));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (!isnan(json_number_at(measured, others[i])))
			length += (size_t)snprintf(
				more + length, sizeof(more) - length, "   %s %s W", others[i],
				format_number(json_number_at(measured, others[i]), 2, number));
	r = add_line(view, TOP_HEADING, "%s   cpu %s W%s   %s", json_text_at(sensor, "sensor"),
		     format_number(json_number_at(measured, "cpu"), 2, cpu), more,
		     energy_words(sensor, words, sizeof(words)));
	if (r < 0)
		return r;
	activity = json_text_at(sensor, "activity_source");
	return add_line(
		view, TOP_NOTE, "%s%s%sformula %s%s, error %s W, %.1f s ago", *activity ? "activity by " : "",
		activity, *activity ? ", " : "", json_text_at(sensor, "formula"),
		json_is_false(json_object_get(sensor, "fitted")) ? " (still learning: CPU-time share)" : "",
		format_number(json_number_at(json_object_get(sensor, "error"), "cpu"), 2, error),
		fmax(0, json_number_at(sensor, "age")));
}

/* The columns for which there is room; names get the rest. */
struct layout {
	size_t name;
	bool has_minute, has_id;
};

static struct layout lay_out(const struct top_settings *settings)
{
	size_t width = settings->width, used = NUMBERS_WIDTH;
	struct layout layout = {.name = NAME_WIDTH, .has_id = true};

	if (width == 0)
		return layout;
	layout.has_minute = width >= used + NAME_WIDTH_MIN + 8 + 2 + TOP_HISTORY_CELLS;
	used += layout.has_minute ? 2 + TOP_HISTORY_CELLS : 0;
	layout.has_id = width >= used + NAME_WIDTH + 2 + ID_WIDTH;
	used += layout.has_id ? 2 + ID_WIDTH : 0;
	layout.name = width > used + NAME_WIDTH_LEAST ? width - used : NAME_WIDTH_LEAST;
	if (layout.name > NAME_WIDTH_MOST)
		layout.name = NAME_WIDTH_MOST;
	return layout;
}

static int add_row(struct top_view *view, const struct layout *layout, const struct top_row *row,
		   const char *minute)
{
	char indented[NAME_SIZE], name[NAME_SIZE], watts[32], dynamic[32], idle[32], sd[32], energy[32];

	if (row->n_members > 0)
		(void)snprintf(indented, sizeof(indented), "%.300s (%zu)", row->group, row->n_members);
	else
		(void)snprintf(indented, sizeof(indented), "%s%.400s", row->group ? "  " : "", row->target);
	return add_line(view, row->n_members ? TOP_GROUP_LINE : TOP_PLAIN, "%s %9s %9s %9s %7s %10s%s%s%s%s",
			top_text_fit(indented, layout->name, name, sizeof(name)),
			format_number(row->watts, 3, watts), format_number(row->dynamic_w, 3, dynamic),
			format_number(row->idle_w, 3, idle), format_error(row->error_w, sd),
			format_number(row->energy_j, 1, energy), layout->has_minute ? "  " : "", minute,
			layout->has_id && *row->id ? "  " : "", layout->has_id ? row->id : "");
}

static int add_rows(struct top_view *view, const char *machine, const struct top_table *table,
		    const struct top_settings *settings, const struct top_history *history, int64_t time_ms)
{
	struct layout layout = lay_out(settings);
	char name[NAME_SIZE], line[TOP_HISTORY_CELLS * 4] = "";
	double minute[TOP_HISTORY_CELLS];
	int r = add_line(view, TOP_HEADING, "%s %9s %9s %9s %7s %10s%s%s",
			 top_text_fit("target", layout.name, name, sizeof(name)), "watts", "dynamic", "idle",
			 "+- W", "joules", layout.has_minute ? "  last minute         " : "",
			 layout.has_id ? "  container id" : "");

	view->n_fixed = settings->width ? view->n_lines : 0;
	for (size_t i = 0; i < table->n_rows && r == 0; i++) {
		if (layout.has_minute) {
			top_history_read(history, machine,
					 table->rows[i].n_members ? "\n" : table->rows[i].target, time_ms,
					 minute);
			(void)sparkline_of(minute, settings, line, sizeof(line));
		}
		r = add_row(view, &layout, &table->rows[i], line);
	}
	if (r == 0 && table->n_hidden > 0)
		r = add_line(view, TOP_NOTE, "%zu more do not match the filter '%s'", table->n_hidden,
			     settings->filter);
	return r;
}

static int add_sensor(struct top_view *view, const json_t *sensor, const struct top_settings *settings,
		      const struct top_history *history, int64_t time_ms)
{
	struct top_table table;
	int r = top_table_fill(&table, sensor, settings);

	if (r == 0)
		r = add_sensor_head(view, sensor);
	if (r == 0 && !is_silent(sensor)) {
		r = add_parts(view, sensor, &table.sum, settings, history, time_ms);
		if (r == 0)
			r = add_rows(view, json_text_at(sensor, "sensor"), &table, settings, history,
				     time_ms);
	}
	top_table_done(&table);
	return r;
}

/* A line for each machine. */
static int add_overview_line(struct top_view *view, const json_t *sensor, const struct top_settings *settings,
			     const struct top_history *history, int64_t time_ms, bool is_selected)
{
	double minute[TOP_HISTORY_CELLS];
	char name[NAME_SIZE], watts[32], dynamic[32], idle[32], line[TOP_HISTORY_CELLS * 4], words[32];
	enum top_style style = is_selected ? TOP_SELECTED : TOP_PLAIN;
	const char *machine = json_text_at(sensor, "sensor");
	double total = measured_watts(sensor);
	struct top_settings all = *settings;
	struct top_table table;
	int r;

	(void)top_text_fit(machine, NAME_WIDTH_MIN + 8, name, sizeof(name));
	if (is_silent(sensor))
		return add_line(view, style, "%s no tick for %s", name,
				text_duration(json_number_at(sensor, "age"), words, sizeof(words)));
	all.filter = NULL;
	all.group = TOP_UNGROUPED;
	r = top_table_fill(&table, sensor, &all);
	top_history_read(history, machine, "", time_ms, minute);
	if (r == 0)
		r = add_line(view, style, "%s %9s %9s %9s %8zu  %s  %s", name, format_number(total, 2, watts),
			     format_number(table.sum.dynamic_w, 2, dynamic),
			     format_number(total - (isnan(table.sum.dynamic_w) ? 0 : table.sum.dynamic_w), 2,
					   idle),
			     table.n_rows, sparkline_of(minute, settings, line, sizeof(line)),
			     json_is_true(json_object_get(sensor, "estimated")) ? "estimated" : "");
	top_table_done(&table);
	return r;
}

static int add_overview(struct top_view *view, const json_t *sensors, const struct top_settings *settings,
			const struct top_history *history, int64_t time_ms)
{
	char name[NAME_SIZE];
	double sum_w = 0;
	int r;

	for (size_t i = 0; i < json_array_size(sensors); i++) {
		double watts = measured_watts(json_array_get(sensors, i));

		sum_w += isnan(watts) || is_silent(json_array_get(sensors, i)) ? 0 : watts;
	}
	r = add_line(view, TOP_HEADING, "%zu machines   %.2f W   Enter opens one", json_array_size(sensors),
		     sum_w);
	if (r == 0)
		r = add_line(view, TOP_HEADING, "%s %9s %9s %9s %8s  %s",
			     top_text_fit("machine", NAME_WIDTH_MIN + 8, name, sizeof(name)), "watts",
			     "dynamic", "idle", "targets", "last minute");
	view->n_fixed = view->n_lines;
	for (size_t i = 0; i < json_array_size(sensors) && r == 0; i++, view->n_sensors++)
		r = add_overview_line(view, json_array_get(sensors, i), settings, history, time_ms,
				      i == settings->selected);
	return r;
}

/* There is no machine with this name: lists the known ones. */
static int add_missing(struct top_view *view, const json_t *sensors, const char *wanted)
{
	char known[TOP_LINE_SIZE / 2] = "";
	size_t length = 0;

	for (size_t i = 0; i < json_array_size(sensors) && length + 1 < sizeof(known); i++)
		length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s", i ? ", " : "",
					   json_text_at(json_array_get(sensors, i), "sensor"));
	return add_line(view, TOP_NOTE, "waiting for the first tick%s%.200s%s%s", wanted ? " of " : "",
			wanted ? wanted : "", *known ? "; this server has: " : "", known);
}

void top_view_remember(struct top_history *history, const json_t *answer, int64_t time_ms)
{
	const json_t *sensors = json_object_get(answer, "sensors");

	top_history_expire(history, time_ms);
	for (size_t i = 0; i < json_array_size(sensors); i++) {
		const json_t *sensor = json_array_get(sensors, i);
		const struct top_settings all = {0};
		struct top_table table;

		if (is_silent(sensor))
			continue;
		top_history_add(history, json_text_at(sensor, "sensor"), "", time_ms, measured_watts(sensor));
		if (top_table_fill(&table, sensor, &all) == 0)
			for (size_t n = 0; n < table.n_rows; n++)
				top_history_add(history, json_text_at(sensor, "sensor"), table.rows[n].target,
						time_ms, table.rows[n].watts);
		top_table_done(&table);
	}
}

int top_view_fill(struct top_view *view, const json_t *answer, const struct top_settings *settings,
		  const struct top_history *history, int64_t time_ms)
{
	const json_t *sensors = json_object_get(answer, "sensors");
	int r = 0;

	view->n_lines = view->n_fixed = 0;
	view->n_sensors = 0;
	if (settings->is_overview)
		return add_overview(view, sensors, settings, history, time_ms);
	for (size_t i = 0; i < json_array_size(sensors) && r == 0; i++) {
		const json_t *one = json_array_get(sensors, i);

		if (settings->machine && strcmp(settings->machine, json_text_at(one, "sensor")))
			continue;
		if (view->n_sensors++ > 0)
			r = add_line(view, TOP_PLAIN, "%s", "");
		if (r == 0)
			r = add_sensor(view, one, settings, history, time_ms);
	}
	if (r == 0 && view->n_sensors == 0)
		r = add_missing(view, sensors, settings->machine);
	return r;
}

int top_view_say(struct top_view *view, const char *text)
{
	return top_view_list(view, (const char *const[]){text, NULL});
}

int top_view_list(struct top_view *view, const char *const *texts)
{
	int r = 0;

	view->n_lines = view->n_fixed = 0;
	view->n_sensors = 0;
	for (; *texts && r == 0; texts++)
		r = add_line(view, TOP_NOTE, "%s", *texts);
	return r;
}

size_t top_view_scroll(const struct top_view *view, size_t height, size_t first, int64_t move)
{
	size_t n_body = view->n_lines - view->n_fixed;
	size_t room = height > view->n_fixed ? height - view->n_fixed : 1;
	int64_t last = n_body > room ? (int64_t)(n_body - room) : 0;
	int64_t wanted = (int64_t)first + move;

	return (size_t)(wanted < 0 ? 0 : wanted > last ? last : wanted);
}

const char *top_view_machine(const json_t *answer, size_t index)
{
	const json_t *sensor = json_array_get(json_object_get(answer, "sensors"), index);

	return json_string_value(json_object_get(sensor, "sensor"));
}

void top_view_done(struct top_view *view)
{
	free(view->lines);
	*view = (struct top_view){0};
}
