/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in other forms than those written here: gzip, a byte order mark, an array of JSON documents or
 * documents over several lines are converted to an unnamed plain file, which is read instead. For other
 * formats the message names the program that converts them. Called by store_file_read.c when it opens a file.
 */
#include "store/file/store_file.h"
#include "store/store_path.h"
#include "store/store_unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_BYTES 65536
#define PIECE      65536

/* State of a JSON file's scan. */
struct scan {
	unsigned depth;
	bool in_text, escaped;
	bool begun; /* an element that is not yet ended */
};

/*
 * Converts one byte of an array, or of documents over several lines, to lines with one element each. Text
 * between elements is dropped.
 */
static size_t take_byte(struct scan *scan, unsigned base, char c, char ret[2])
{
	bool between = scan->depth <= base && !scan->in_text;

	if (scan->in_text) {
		scan->in_text = scan->escaped || c != '"';
		scan->escaped = !scan->escaped && c == '\\';
		ret[0] = c == '\n' || c == '\r' ? ' ' : c;
		return 1;
	}
	scan->depth += c == '{' || c == '[';
	scan->depth -= (c == '}' || c == ']') && scan->depth > 0;
	if (between &&
	    (c == '[' || c == ',' || c == ']' || c == ' ' || c == '\n' || c == '\r' || c == '\t')) {
		ret[0] = '\n';
		size_t n = scan->begun;
		scan->begun = false;
		return n;
	}
	scan->in_text = c == '"';
	scan->begun = true;
	ret[0] = c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
	ret[1] = '\n';
	if (scan->depth <= base && (c == '}' || c == ']')) {
		scan->begun = false;
		return 2;
	}
	return 1;
}

static int split(int fd, off_t begin, bool array, int *ret_plain)
{
	struct scan scan = {0};
	char piece[PIECE], lines[2 * PIECE];
	int plain = store_unpack_make_file(), r = plain < 0 ? plain : 0;
	ssize_t n;

	while (r == 0 && (n = pread(fd, piece, sizeof(piece), begin)) > 0) {
		size_t length = 0;

		for (ssize_t i = 0; i < n; i++)
			length += take_byte(&scan, array, piece[i], lines + length);
		r = store_path_write(plain, -1, lines, length);
		begin += n;
	}
	if (r == 0)
		r = store_path_write(plain, -1, "\n", 1);
	*ret_plain = plain;
	return r;
}

/* Does the first line leave a document open? Then documents extend over several lines. */
static bool is_spread(const char *text)
{
	struct scan scan = {0};
	char ignored[2];

	for (; *text && *text != '\n'; text++)
		(void)take_byte(&scan, 0, *text, ignored);
	return *text == '\n' && scan.depth > 0 && !scan.in_text;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The plain copy made before, if the file has not changed. NULL: none. */
static struct store_file_plain *find_plain(struct store_file *file, const struct stat *status)
{
	for (unsigned i = 0; i < STORE_FILE_PLAINS; i++) {
		if (file->plains[i].fd > 0 && is_same(&file->plains[i].of, status))
			return &file->plains[i];
	}
	return NULL;
}

/* Keeps the plain copy in place of the oldest one. */
static void keep(struct store_file *file, int plain, const struct stat *status, bool cut)
{
	struct store_file_plain *place = find_plain(file, status);

	if (!place)
		place = &file->plains[file->next_plain++ % STORE_FILE_PLAINS];
	if (place->fd > 0)
		(void)close(place->fd);
	*place = (struct store_file_plain){fcntl(plain, F_DUPFD_CLOEXEC, 3), *status, cut};
}

void store_file_forget_plains(struct store_file *file)
{
	for (unsigned i = 0; i < STORE_FILE_PLAINS; i++) {
		if (file->plains[i].fd > 0)
			(void)close(file->plains[i].fd);
	}
}

/* Converts JSON in another form to one document per line. 1; 0: it already is; or a negative errno. */
static int make_lines(const struct store_file *file, int *fd)
{
	char head[HEAD_BYTES + 1];
	ssize_t n = file->codec->decode ? pread(*fd, head, HEAD_BYTES, 0) : 0;
	const char *first;
	size_t mark;
	int plain = -1, r;

	if (n <= 0)
		return 0;
	head[n] = '\0';
	mark = strncmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	first = head + mark + strspn(head + mark, " \t\r\n");
	if (!mark && *first != '[' && !is_spread(first))
		return 0;
	r = split(*fd, (off_t)mark, *first == '[', &plain);
	if (r < 0) {
		if (plain >= 0)
			(void)close(plain);
		return r;
	}
	(void)close(*fd);
	*fd = plain;
	return 1;
}

int store_file_open_form(struct store *store, const char *path, int fd)
{
	struct store_file *file = store_file_of(store);
	const struct store_file_plain *plain;
	struct reason why = {""};
	struct stat status;
	int unpacked, r;

	file->unpacking_failed = false;
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return fd;
	plain = find_plain(file, &status);
	if (plain) {
		file->unpacking_failed = plain->cut;
		(void)close(fd);
		return fcntl(plain->fd, F_DUPFD_CLOEXEC, 3);
	}
	unpacked = store_unpack(path, &fd, &file->unpacking_failed, &why);
	r = unpacked < 0 ? unpacked : make_lines(file, &fd);
	if (r >= 0) {
		if (r > 0 || unpacked > 0)
			keep(file, fd, &status, file->unpacking_failed);
		return fd;
	}
	(void)store_fail(store, r == -EPROTO ? STORE_DROP : STORE_RETRY, "%s%s%s", why.text,
			 why.text[0] ? "" : "cannot convert the file's JSON to lines: ",
			 why.text[0] ? "" : strerror(-r));
	(void)close(fd);
	return r;
}
