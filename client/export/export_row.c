/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of `wattribute export`. Called by client_export.c; knows no store.
 */
#include "export/export_row.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

#define EXPORT_TIME_SIZE 40

static const char *format_time(int64_t time_ms, char *ret, size_t size)
{
	char text[TEXT_TIME_SIZE];

	(void)snprintf(ret, size, text_format_time(time_ms, text, sizeof(text)) ? "%sZ" : "%s", text);
	return ret;
}

void export_write_csv_head(FILE *out)
{
	fputs("timestamp,sensor,target,socket,scope,power_w,dynamic_w,static_w,energy_j,interval_s,error_w,"
	      "ratio,"
	      "estimated,formula,container_id\r\n",
	      out);
}

static void write_csv_text(FILE *out, const char *text)
{
	if (!text)
		return;
	if (!strpbrk(text, ",\"\r\n")) {
		fputs(text, out);
		return;
	}
	fputc('"', out);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void write_csv_number(FILE *out, double value)
{
	if (isfinite(value))
		fprintf(out, ",%.9g", value);
	else
		fputc(',', out);
}

void export_write_csv(FILE *out, const struct report_power *power)
{
	const double numbers[] = {power->power,      power->dynamic, power->fixed, power->energy_j,
				  power->interval_s, power->error,   power->ratio};
	char time[EXPORT_TIME_SIZE];

	fputs(format_time(power->time_ms, time, sizeof(time)), out);
	fputc(',', out);
	write_csv_text(out, power->sensor);
	fputc(',', out);
	write_csv_text(out, power->target);
	fputc(',', out);
	write_csv_text(out, power->socket);
	fprintf(out, ",%s", report_scope_names[power->scope]);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		write_csv_number(out, numbers[i]);
	fprintf(out, ",%s,", power->estimated ? "true" : "false");
	write_csv_text(out, power->formula);
	fputc(',', out);
	write_csv_text(out, power->container_id);
	fputs("\r\n", out);
}

static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && *text)
		(void)json_object_set_new(object, key, json_string(text));
}

static void set_number(json_t *object, const char *key, double value)
{
	if (isfinite(value))
		(void)json_object_set_new(object, key, json_real(value));
}

void export_write_json(FILE *out, const struct report_power *power)
{
	char time[EXPORT_TIME_SIZE];
	json_t *object = json_object();

	set_text(object, "timestamp", format_time(power->time_ms, time, sizeof(time)));
	set_text(object, "sensor", power->sensor);
	set_text(object, "target", power->target);
	set_text(object, "socket", power->socket);
	set_text(object, "scope", report_scope_names[power->scope]);
	set_number(object, "power_w", power->power);
	set_number(object, "dynamic_w", power->dynamic);
	set_number(object, "static_w", power->fixed);
	set_number(object, "energy_j", power->energy_j);
	set_number(object, "interval_s", power->interval_s);
	set_number(object, "error_w", power->error);
	set_number(object, "ratio", power->ratio);
	(void)json_object_set_new(object, "estimated", json_boolean(power->estimated));
	set_text(object, "formula", power->formula);
	set_text(object, "container_id", power->container_id);
	(void)json_dumpf(object, out, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12));
	fputc('\n', out);
	json_decref(object);
}

/* A calendar date with or without a time of day, UTC. */
static int parse_calendar(const char *text, int64_t *ret_ms)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M",
					      "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	const char *rest = NULL;
	struct tm parts;
	double fraction = 0;
	char *end;

	for (size_t i = 0; i < ARRAY_SIZE(formats) && !rest; i++) {
		parts = (struct tm){0};
		rest = strptime(text, formats[i], &parts);
		if (rest && *rest != '\0' && *rest != 'Z' && *rest != '.')
			rest = NULL;
	}
	if (!rest)
		return -EINVAL;
	if (*rest == '.') {
		fraction = strtod(rest, &end);
		rest = end;
	}
	if (strcmp(rest, "") && strcmp(rest, "Z"))
		return -EINVAL;
	*ret_ms = (int64_t)timegm(&parts) * 1000 + (int64_t)(fraction * 1000 + 0.5);
	return 0;
}

int export_parse_time(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	uint64_t ago_ms;
	double seconds;

	if (*text == '-' && text_parse_duration_ms(text + 1, 1000, &ago_ms) == 0 && ago_ms <= INT64_MAX / 2) {
		*ret_ms = now_ms - (int64_t)ago_ms;
		return 0;
	}
	if (parse_calendar(text, ret_ms) == 0)
		return 0;
	if (text_parse_double(text, &seconds) < 0 || fabs(seconds) > 1e12)
		return -EINVAL;
	*ret_ms = (int64_t)llround(seconds * 1000);
	return 0;
}
