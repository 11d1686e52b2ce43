/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adds columns for events that a CSV file lacks, for example after a change of the source or the options;
 * they are empty in earlier rows. A copy is written next to the file and replaces it. Called by store_csv.c.
 */
#include "store/csv/store_csv.h"
#include "store/store_path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE 65536

/* Text that is added at the end of the first line, and of each other one. */
struct widening {
	struct batch names, commas;
	uint16_t columns[CSV_EVENTS_MAX];
	unsigned n;
	bool quoted, after_header;
};

static int add_line_ends(struct widening *widening, const uint8_t *bytes, size_t length, struct batch *ret)
{
	size_t begin = 0;
	int r = 0;

	for (size_t i = 0; i < length && r == 0; i++) {
		const struct batch *added = widening->after_header ? &widening->commas : &widening->names;

		if (bytes[i] == '"')
			widening->quoted = !widening->quoted;
		if (bytes[i] != '\n' || widening->quoted)
			continue;
		r = batch_add_bytes(ret, bytes + begin, i - begin);
		if (r == 0)
			r = batch_add_bytes(ret, added->data, added->length);
		begin = i;
		widening->after_header = true;
	}
	return r < 0 ? r : batch_add_bytes(ret, bytes + begin, length - begin);
}

static int copy_wider(struct widening *widening, const struct csv_file *file, int to, off_t *ret_end)
{
	uint8_t piece[PIECE];
	struct batch text = {0};
	int r = 0;

	*ret_end = 0;
	for (off_t at = 0; at < file->end && r == 0;) {
		size_t wanted = file->end - at < PIECE ? (size_t)(file->end - at) : PIECE;
		ssize_t n = pread(file->fd, piece, wanted, at);

		if (n <= 0) {
			r = n < 0 ? -errno : -EIO;
			break;
		}
		batch_clear(&text);
		r = add_line_ends(widening, piece, (size_t)n, &text);
		if (r == 0)
			r = store_path_write(to, -1, text.data, text.length);
		*ret_end += (off_t)text.length;
		at += n;
	}
	batch_done(&text);
	return r;
}

/* Replaces the file by the wider one. */
static int replace(const struct store *store, struct csv_file *file, struct widening *widening)
{
	char path[PATH_MAX], beside[PATH_MAX + 8];
	struct stat status;
	off_t end = 0;
	int fd, r;

	(void)snprintf(path, sizeof(path), "%s/%s.csv", store->location, file->name);
	(void)snprintf(beside, sizeof(beside), "%s.new", path);
	fd = open(beside, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	/* Keep the owner and the mode. */
	if (fstat(file->fd, &status) == 0) {
		(void)!fchown(fd, status.st_uid, status.st_gid);
		(void)fchmod(fd, status.st_mode & 0777);
	}
	r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : copy_wider(widening, file, fd, &end);
	/* Before the rename: a power cut leaves either the old file or the whole new one. */
	if (r == 0 && (fdatasync(fd) < 0 || rename(beside, path) < 0))
		r = -errno;
	if (r < 0) {
		(void)close(fd);
		(void)unlink(beside);
		return r;
	}
	(void)close(file->fd);
	file->fd = fd;
	file->end = end;
	return 0;
}

static bool has_column(const struct csv_file *file, uint16_t event)
{
	for (unsigned i = 0; i < file->n_columns; i++)
		if (file->columns[i] == event)
			return true;
	return false;
}

static int find_new(const struct csv_store *own, const struct csv_file *file,
		    const struct report_value *values, unsigned n_values, struct widening *widening)
{
	int r = 0;

	for (unsigned i = 0; i < n_values && r == 0; i++) {
		if (has_column(file, values[i].event))
			continue;
		if (file->n_columns + widening->n == CSV_EVENTS_MAX)
			return -E2BIG;
		widening->columns[widening->n++] = values[i].event;
		r = csv_put_text(&widening->names, report_names_event(own->names, values[i].event), false);
		if (r == 0)
			r = batch_add_bytes(&widening->commas, ",", 1);
	}
	return r;
}

int csv_file_add_columns(struct store *store, struct csv_file *file, const char *names)
{
	struct widening widening = {.after_header = false};
	int r = batch_add_bytes(&widening.names, names, strlen(names));

	for (; *names && r == 0; names++)
		if (*names == ',')
			r = batch_add_bytes(&widening.commas, ",", 1);
	if (r == 0)
		r = replace(store, file, &widening);
	batch_done(&widening.names);
	batch_done(&widening.commas);
	return r;
}

int csv_file_widen(struct store *store, struct csv_file *file, const struct report_value *values,
		   unsigned n_values)
{
	struct csv_store *own = csv_store_of(store);
	struct widening widening = {.after_header = true};
	struct batch text = {0};
	int r = find_new(own, file, values, n_values, &widening);

	/* Rows of this batch that are not in the file yet. */
	if (r == 0)
		r = add_line_ends(&widening, file->text.data, file->text.length, &text);
	widening.after_header = widening.quoted = false;
	if (r == 0)
		r = replace(store, file, &widening);
	if (r == 0) {
		batch_done(&file->text);
		file->text = text;
		text = (struct batch){0};
		memcpy(file->columns + file->n_columns, widening.columns,
		       widening.n * sizeof(widening.columns[0]));
		file->n_columns += widening.n;
	}
	batch_done(&text);
	batch_done(&widening.names);
	batch_done(&widening.commas);
	return r;
}
