/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes one line per message with one write(2), so that lines of several processes do not mix. Called only
 * by daemon code. Control characters are replaced: a container's name must not forge a line.
 */
#include "base/log.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static struct {
	enum log_level level;
	const char *name;
	log_sink sink;
	void *sink_data;
} logger = {.level = LOG_LEVEL_INFO};

const char *const log_level_names[] = {"error", "warning", "notice", "info", "debug", NULL};

void log_set_level(enum log_level level)
{
	logger.level = level;
}

void log_set_name(const char *name)
{
	logger.name = name;
}

void log_set_sink(log_sink sink, void *data)
{
	logger.sink = sink;
	logger.sink_data = data;
}

/* The journal reads "<4>" as a priority; in a file, a pipe or `docker logs` it would only be noise. */
static bool stderr_is_journal(void)
{
	const char *journal = getenv("JOURNAL_STREAM"); /* device:inode, set by systemd */
	unsigned long long device, inode;
	struct stat status;

	if (!journal || sscanf(journal, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device && status.st_ino == inode;
}

static void write_stderr(enum log_level level, const char *token, const char *message)
{
	char line[LINE_MAX_BYTES + 128], priority[8] = "";
	const bool grave = level <= LOG_LEVEL_WARNING;
	size_t length;

	if (stderr_is_journal())
		(void)snprintf(priority, sizeof(priority), "<%d>", (int)level);
	(void)snprintf(line, sizeof(line) - 1, "%s%s%s%s%s%s%s%s", priority, logger.name ? logger.name : "",
		       logger.name ? ": " : "", grave ? log_level_names[level - LOG_LEVEL_ERROR] : "",
		       grave ? ": " : "", token ? token : "", token && *token ? ": " : "", message);
	length = strlen(line);
	line[length++] = '\n';
	/* There is nowhere to report a lost log line. */
	ssize_t ignored = write(STDERR_FILENO, line, length);
	(void)ignored;
}

bool log_each_warning(void *token, const char *sentence)
{
	log_warning((const char *)token, 0, "%s", sentence);
	return true;
}

bool log_each_notice(void *token, const char *sentence)
{
	log_notice((const char *)token, 0, "%s", sentence);
	return true;
}

int log_write(enum log_level level, const char *token, int err, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	size_t length;
	va_list arguments;

	if (level > logger.level)
		return err;
	int saved = errno;
	va_start(arguments, format);
	(void)vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	length = strlen(line);
	if (err < 0)
		(void)snprintf(line + length, sizeof(line) - length, ": %s", strerror(-err));
	text_make_plain(line, ' ');
	text_hide_passwords(line, sizeof(line));
	if (logger.sink)
		logger.sink(logger.sink_data, level, token, line);
	else
		write_stderr(level, token, line);
	errno = saved;
	return err;
}
