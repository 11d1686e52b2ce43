/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registered collectors, and the writer of Prometheus' text format 0.0.4 and of OpenMetrics. Called by
 * the daemons' HTTP handlers. Independent of the numbers' meaning.
 */
#include "http/metrics.h"
#include "base/array.h"

#include "document/batch.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct collector {
	void (*collect)(void *data, struct metrics_writer *writer);
	void *data;
};

struct metrics {
	struct collector *collectors;
	size_t n_collectors;
};

struct metrics_writer {
	struct batch text;  /* used as a byte buffer */
	const char *family; /* NULL: its name was invalid */
	enum metrics_type type;
	enum metrics_format format;
	bool failed;
};

struct metrics *metrics_new(void)
{
	return calloc(1, sizeof(struct metrics));
}

void metrics_free(struct metrics *metrics)
{
	if (!metrics)
		return;
	free(metrics->collectors);
	free(metrics);
}

static bool name_valid(const char *name, bool label)
{
	if (!isalpha((unsigned char)name[0]) && name[0] != '_' && (label || name[0] != ':'))
		return false;
	for (; *name; name++) {
		if (!isalnum((unsigned char)*name) && *name != '_' && (label || *name != ':'))
			return false;
	}
	return true;
}

static bool labels_valid(const char *const *labels)
{
	for (; labels && labels[0]; labels += 2) {
		if (!labels[1] || !name_valid(labels[0], true))
			return false;
	}
	return true;
}

int metrics_collect(struct metrics *metrics, void (*collect)(void *data, struct metrics_writer *writer),
		    void *data)
{
	if (!ARRAY_RESIZE(metrics->collectors, metrics->n_collectors + 1))
		return -ENOMEM;
	metrics->collectors[metrics->n_collectors++] = (struct collector){collect, data};
	return 0;
}

static void put(struct metrics_writer *writer, const char *bytes, size_t length)
{
	writer->failed = writer->failed || batch_reserve(&writer->text, length + 1) < 0 ||
			 batch_add_bytes(&writer->text, bytes, length) < 0;
}

static void put_text(struct metrics_writer *writer, const char *text)
{
	put(writer, text, strlen(text));
}

/* Backslash and newline, and in label values the double quote, are escaped; invalid UTF-8 becomes '?'. */
static void put_escaped(struct metrics_writer *writer, const char *text, bool quote)
{
	while (*text) {
		size_t length = text_utf8_length(text);
		if (*text == '\n')
			put(writer, "\\n", 2);
		else if (*text == '\\')
			put(writer, "\\\\", 2);
		else if (*text == '"' && quote)
			put(writer, "\\\"", 2);
		else if (length)
			put(writer, text, length);
		else
			put(writer, "?", 1);
		text += length ? length : 1;
	}
}

/* In OpenMetrics the name of a counter family lacks the "_total" of its samples. */
static size_t family_length(const struct metrics_writer *writer)
{
	static const char total[] = "_total";
	size_t length = strlen(writer->family), end = sizeof(total) - 1;

	if (writer->format == METRICS_OPEN && writer->type == METRICS_COUNTER && length > end &&
	    strcmp(writer->family + length - end, total) == 0)
		return length - end;
	return length;
}

void metrics_family(struct metrics_writer *writer, enum metrics_type type, const char *name, const char *help)
{
	writer->family = NULL;
	if (!name_valid(name, false) || writer->text.length >= METRICS_TEXT_MAX)
		return;
	writer->family = name;
	writer->type = type;
	put_text(writer, "# HELP ");
	put(writer, name, family_length(writer));
	put_text(writer, " ");
	put_escaped(writer, help, writer->format == METRICS_OPEN);
	put_text(writer, "\n# TYPE ");
	put(writer, name, family_length(writer));
	put_text(writer, type == METRICS_COUNTER ? " counter\n" : " gauge\n");
}

static void put_labels(struct metrics_writer *writer, const char *const *labels)
{
	bool any = false;

	for (size_t i = 0; labels && labels[i]; i += 2) {
		if (!labels[i + 1][0])
			continue; /* the same as no label */
		put_text(writer, any ? "," : "{");
		put_text(writer, labels[i]);
		put_text(writer, "=\"");
		put_escaped(writer, labels[i + 1], true);
		put_text(writer, "\"");
		any = true;
	}
	put_text(writer, any ? "} " : " ");
}

/* The shortest of the usual forms that parses to the same number. */
static void put_double(struct metrics_writer *writer, double value)
{
	char text[40];

	if (isnan(value)) {
		put_text(writer, "NaN\n");
		return;
	}
	if (isinf(value)) {
		put_text(writer, value > 0 ? "+Inf\n" : "-Inf\n");
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		(void)snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	put_text(writer, text);
	put_text(writer, "\n");
}

void metrics_sample(struct metrics_writer *writer, const char *const *labels, double value)
{
	if (!writer->family || !labels_valid(labels) || writer->text.length >= METRICS_TEXT_MAX)
		return;
	put_text(writer, writer->family);
	put_labels(writer, labels);
	put_double(writer, value);
}

void metrics_counter(struct metrics_writer *writer, const char *const *labels, double value, double created_s)
{
	char text[40];

	metrics_sample(writer, labels, value);
	if (!writer->family || writer->format != METRICS_OPEN || writer->type != METRICS_COUNTER ||
	    !labels_valid(labels) || writer->text.length >= METRICS_TEXT_MAX)
		return;
	put(writer, writer->family, family_length(writer));
	put_text(writer, "_created");
	put_labels(writer, labels);
	(void)snprintf(text, sizeof(text), "%.3f\n", created_s);
	put_text(writer, text);
}

void metrics_one(struct metrics_writer *writer, enum metrics_type type, const char *name, const char *help,
		 double value)
{
	metrics_family(writer, type, name, help);
	metrics_sample(writer, NULL, value);
}

enum metrics_format metrics_accepted(const char *accept)
{
	return accept && strstr(accept, "application/openmetrics-text") ? METRICS_OPEN : METRICS_TEXT;
}

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPEN ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
				      : "text/plain; version=0.0.4; charset=utf-8";
}

char *metrics_write(struct metrics *metrics, enum metrics_format format, size_t *ret_length)
{
	struct metrics_writer writer = {.format = format};

	for (size_t i = 0; i < metrics->n_collectors; i++) {
		writer.family = NULL;
		metrics->collectors[i].collect(metrics->collectors[i].data, &writer);
	}
	if (format == METRICS_OPEN)
		put_text(&writer, "# EOF\n");
	put(&writer, "", 0); /* makes room for the end byte */
	if (writer.failed) {
		batch_done(&writer.text);
		return NULL;
	}
	writer.text.data[writer.text.length] = '\0';
	*ret_length = writer.text.length;
	return (char *)writer.text.data;
}
