/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics for Prometheus. Counters stay where they are counted: a callback collects them on request.
 * metrics_write() produces the text format 0.0.4, or OpenMetrics 1.0.0 if requested.
 */
#pragma once

#include <stddef.h>

enum metrics_type { METRICS_GAUGE, METRICS_COUNTER };

#define METRICS_TEXT_MAX ((size_t)64 * 1024 * 1024) /* a longer answer is truncated at the end of a line */

struct metrics;
struct metrics_writer;

struct metrics *metrics_new(void);
void metrics_free(struct metrics *metrics);

/* Calls `collect` at each metrics_write(). Its families must not use names used elsewhere. */
int metrics_collect(struct metrics *metrics, void (*collect)(void *data, struct metrics_writer *writer),
		    void *data);

/*
 * For collectors: a family, then its samples. Its name includes its unit and, for counters, "_total"; an
 * invalid Prometheus name is skipped. `labels`: name, value, name, value, ..., NULL; or NULL; values are
 * escaped here.
 */
void metrics_family(struct metrics_writer *writer, enum metrics_type type, const char *name,
		    const char *help);
void metrics_sample(struct metrics_writer *writer, const char *const *labels, double value);
/* A counter that began at `created_s` (epoch), which OpenMetrics includes. Empty labels are left out. */
void metrics_counter(struct metrics_writer *writer, const char *const *labels, double value,
		     double created_s);

/* A family of one sample without labels. */
void metrics_one(struct metrics_writer *writer, enum metrics_type type, const char *name, const char *help,
		 double value);

enum metrics_format { METRICS_TEXT, METRICS_OPEN };
/* The format for an Accept header's value; NULL: none was sent. */
enum metrics_format metrics_accepted(const char *accept);
const char *metrics_content_type(enum metrics_format format);
/* The whole text, NUL-terminated; the caller frees. NULL if out of memory. */
char *metrics_write(struct metrics *metrics, enum metrics_format format, size_t *ret_length);
