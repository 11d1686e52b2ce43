/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One CSV file: its header, the text of its rows, and appending all of them or none. The layout is
 * hwpc-sensor's; a restart continues the file if the header is the same. Called by store_csv.c.
 */
#include "store/csv/store_csv.h"
#include "store/store_path.h"
#include "base/array.h"
#include "document/report_names.h"
#include "store/csv/store_csv_row.h"
#include "base/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define HEADER_MAX 65536

void csv_file_close(struct csv_file *file)
{
	if (file->fd >= 0)
		(void)close(file->fd);
	free(file->name);
	batch_done(&file->text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Header of a new file: the events sorted, as in hwpc-sensor. */
static int make_header(struct csv_store *own, const char *fixed, const struct report_value *values,
		       unsigned n_values, struct batch *ret_header)
{
	const char *events[CSV_EVENTS_MAX];
	int r;

	if (n_values > CSV_EVENTS_MAX)
		return -E2BIG;
	for (unsigned i = 0; i < n_values; i++)
		events[i] = report_names_event(own->names, values[i].event);
	qsort(events, n_values, sizeof(events[0]), compare_names);
	r = batch_add_bytes(ret_header, fixed, strlen(fixed));
	for (unsigned i = 0; r == 0 && i < n_values; i++)
		r = csv_put_text(ret_header, events[i], false);
	return r < 0 ? r : batch_add_bytes(ret_header, "\n", 1);
}

/* Reads the events from a header line, which must begin with `fixed`. */
static int take_header(struct csv_store *own, struct csv_file *file, const char *fixed, char *line)
{
	char *rest = line + strlen(fixed);
	char *next;

	file->n_columns = 0;
	if (strncmp(line, fixed, strlen(fixed)) != 0 || (*rest != ',' && *rest != '\0'))
		return -EPROTO;
	for (char *event = *rest ? rest + 1 : NULL; event; event = next) {
		int index;

		next = csv_field_end(event, ',');
		index = report_names_intern(own->names, REPORT_NAMES_EVENT, event, strlen(event));
		if (index < 0 || file->n_columns == CSV_EVENTS_MAX)
			return -E2BIG;
		file->columns[file->n_columns++] = (uint16_t)index;
	}
	return 0;
}

/* Removes a last line left unfinished by a crash. */
static int mend_end(struct csv_file *file)
{
	char last;

	while (file->end > 0 && pread(file->fd, &last, 1, file->end - 1) == 1 && last != '\n')
		file->end--;
	return ftruncate(file->fd, file->end) < 0 ? -errno : 0;
}

/* Is the line a header of an earlier version, which had fewer of the fixed columns? */
static bool is_earlier(const char *fixed, const char *line)
{
	size_t length = strlen(line);

	return length > 0 && strncmp(fixed, line, length) == 0 && fixed[length] == ',';
}

static int read_header(struct store *store, struct csv_file *file, const char *fixed, const char *path)
{
	char *line = calloc(1, HEADER_MAX + 1);
	char *newline;
	int r = -ENOMEM;

	if (line && pread(file->fd, line, HEADER_MAX, 0) < 0) {
		r = -errno;
	} else if (line) {
		newline = strchr(line, '\n');
		if (newline)
			*newline = '\0';
		r = newline ? take_header(csv_store_of(store), file, fixed, line) : -EPROTO;
		if (r == -EPROTO && newline && is_earlier(fixed, line)) {
			r = mend_end(file);
			if (r == 0)
				r = csv_file_add_columns(store, file, fixed + strlen(line));
		}
	}
	free(line);
	if (r == -EPROTO)
		(void)store_fail(store, STORE_DROP,
				 "'%s' has a header that is not '%s,…'; choose another directory", path,
				 fixed);
	return r < 0 ? r : mend_end(file);
}

static int write_header(struct store *store, struct csv_file *file, const char *fixed,
			const struct report_value *values, unsigned n_values)
{
	struct batch header = {0};
	int r = make_header(csv_store_of(store), fixed, values, n_values, &header);

	if (r == 0) {
		r = store_path_write(file->fd, file->end, header.data, header.length);
		/* Half a header would make every later row fail. */
		if (r < 0)
			(void)!ftruncate(file->fd, file->end);
	}
	if (r == 0) {
		file->end = (off_t)header.length;
		header.data[header.length - 1] = '\0';
		r = take_header(csv_store_of(store), file, fixed, (char *)header.data);
	}
	batch_done(&header);
	return r;
}

static int open_file(struct store *store, struct csv_file *file, const char *fixed,
		     const struct report_value *values, unsigned n_values)
{
	struct csv_store *own = csv_store_of(store);
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s.csv", store->location, file->name);
	(void)folder_make_above(path);
	file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	/* Emptied only under the lock: another process may be writing to it. */
	if (file->fd < 0 || flock(file->fd, LOCK_EX | LOCK_NB) < 0 ||
	    (own->overwrite && ftruncate(file->fd, 0) < 0)) {
		r = -errno;
		(void)store_fail(store, STORE_RETRY, "cannot write '%s': %s", path,
				 r == -EWOULDBLOCK ? "another process is writing to it" : strerror(-r));
		return r;
	}
	file->end = lseek(file->fd, 0, SEEK_END);
	r = file->end > 0 ? read_header(store, file, fixed, path)
			  : write_header(store, file, fixed, values, n_values);
	if (r < 0 && !store->error[0])
		(void)store_fail(store, STORE_RETRY, "cannot write '%s': %s", path, strerror(-r));
	return r;
}

struct csv_file *csv_file_get(struct store *store, const char *name, const char *fixed,
			      const struct report_value *values, unsigned n_values, bool *ret_refused)
{
	struct csv_store *own = csv_store_of(store);
	struct csv_file file = {.fd = -1};
	int r;

	*ret_refused = true;
	for (unsigned i = 0; i < own->n_files; i++)
		if (strcmp(own->files[i].name, name) == 0)
			return &own->files[i];
	if (!name[0] || name[0] == '.' || strchr(name, '/')) {
		(void)store_fail(store, STORE_DROP, "group '%s' cannot be used as a file name", name);
		return NULL;
	}
	*ret_refused = false;
	if (!ARRAY_RESIZE(own->files, own->n_files + 1))
		return NULL;
	file.name = strdup(name);
	r = file.name ? open_file(store, &file, fixed, values, n_values) : -ENOMEM;
	*ret_refused = r == -EPROTO || r == -E2BIG;
	if (r < 0) {
		csv_file_close(&file);
		return NULL;
	}
	own->files[own->n_files] = file;
	return &own->files[own->n_files++];
}

void csv_files_forget_rows(struct csv_store *own)
{
	for (unsigned i = 0; i < own->n_files; i++) {
		batch_clear(&own->files[i].text);
		own->files[i].n_rows = 0;
	}
}

int csv_files_flush(struct store *store)
{
	struct csv_store *own = csv_store_of(store);
	int r = 0;

	for (unsigned i = 0; r == 0 && i < own->n_files; i++) {
		const struct csv_file *file = &own->files[i];

		r = store_path_write(file->fd, file->end, file->text.data, file->text.length);
		if (r < 0)
			(void)store_fail(store, STORE_RETRY, "cannot write '%s/%s.csv': %s", store->location,
					 file->name, strerror(-r));
	}
	for (unsigned i = 0; i < own->n_files; i++) {
		struct csv_file *file = &own->files[i];

		if (r < 0)
			(void)!ftruncate(file->fd, file->end);
		else
			file->end += (off_t)file->text.length;
	}
	csv_files_forget_rows(own);
	return r;
}
