/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages for people: one line each, with a severity and a short subject ("priv", "store"). Daemon code
 * (sensor/, server/, client/) logs; code in common/ returns errors and does not log. Lines go to stderr, with
 * the <n> prefix of sd-daemon(3) if stderr is the journal's stream.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

typedef void (*log_sink)(void *data, enum log_level level, const char *token, const char *line);

/* Messages above `level` are dropped. The initial value is LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
/* Name of the process or duty, shown before each line ("wattribute-sensor collect"). The string is not
 * copied. */
void log_set_name(const char *name);
/* Sends every line to `sink` instead of stderr; NULL restores stderr. For tests. */
void log_set_sink(log_sink sink, void *data);
extern const char *const log_level_names[]; /* from LOG_LEVEL_ERROR to LOG_LEVEL_DEBUG, NULL-terminated */

/*
 * `err` is a negative errno or 0; if it is not 0, ": " and its text end the line. Returns `err`, so that
 * `return log_error("priv", r, "cannot open '%s'", path);` is one statement.
 */
int log_write(enum log_level level, const char *token, int err, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Logs a warning; returns true. For functions in common/ that report sentence by sentence. */
bool log_each_warning(void *token, const char *sentence);
bool log_each_notice(void *token, const char *sentence);

#define log_error(token, err, ...)   log_write(LOG_LEVEL_ERROR, (token), (err), __VA_ARGS__)
#define log_warning(token, err, ...) log_write(LOG_LEVEL_WARNING, (token), (err), __VA_ARGS__)
#define log_notice(token, err, ...)  log_write(LOG_LEVEL_NOTICE, (token), (err), __VA_ARGS__)
#define log_info(token, err, ...)    log_write(LOG_LEVEL_INFO, (token), (err), __VA_ARGS__)
#define log_debug(token, err, ...)   log_write(LOG_LEVEL_DEBUG, (token), (err), __VA_ARGS__)
