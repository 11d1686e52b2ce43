/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in other forms than they are written in here: gzip, a byte order mark, an array of JSON documents or
 * documents over several lines become a plain file without a name, which is read instead. Other packings are
 * named with the program that undoes them. Called by store_file_read.c when it opens a file.
 */
#include "store/file/store_file_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

#define HEAD_BYTES 65536
#define PIECE      65536

static const struct packing {
	const char *begin;
	size_t length;
	const char *remedy;
} packings[] = {
	{"\x28\xb5\x2f\xfd", 4, "is packed by zstd: unpack it first (zstd -d)"},
	{"BZh", 3, "is packed by bzip2: unpack it first (bunzip2)"},
	{"\xfd"
	 "7zXZ",
	 5, "is packed by xz: unpack it first (unxz)"},
	{"PK\x03\x04", 4, "is a zip file: unpack it first (unzip)"},
	{"\x04\x22\x4d\x18", 4, "is packed by lz4: unpack it first (lz4 -d)"},
	{"\xff\xfe", 2, "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
	{"\xfe\xff", 2, "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
	{"SQLite format 3", 15, "is a SQLite file: write sqlite:PATH"},
};

/* A file without a name, for what was unpacked. */
static int make_plain(void)
{
	const char *folder = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/wattribute-XXXXXX", folder && folder[0] ? folder : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd < 0 ? -errno : fd;
}

static int put(int fd, const void *bytes, size_t length)
{
	const char *at = bytes;

	while (length > 0) {
		ssize_t n = write(fd, at, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		at += n > 0 ? n : 0;
		length -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Unpacks gzip; what comes before a damaged or missing end counts. */
static int unpack(struct store_file *file, int fd, int *ret_plain)
{
	int copy = dup(fd), plain = make_plain(), n = 0, code = Z_OK, r = plain < 0 ? plain : 0;
	gzFile packed = r == 0 && lseek(copy, 0, SEEK_SET) == 0 ? gzdopen(copy, "rb") : NULL;
	char piece[PIECE];

	if (!packed)
		(void)close(copy);
	while (r == 0 && packed && (n = gzread(packed, piece, sizeof(piece))) > 0)
		r = put(plain, piece, (size_t)n);
	if (packed)
		(void)gzerror(packed, &code);
	file->unpacking_failed = !packed || n < 0 || code != Z_OK;
	if (packed && gzclose(packed) != Z_OK)
		file->unpacking_failed = true;
	*ret_plain = plain;
	return r;
}

/* Where a JSON file's scan is. */
struct scan {
	unsigned depth;
	bool in_text, escaped;
	bool begun; /* an element that is not yet ended */
};

/*
 * One byte of an array, or of documents over several lines, as lines: each element on its own. What stands
 * between elements falls away.
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
	int plain = make_plain(), r = plain < 0 ? plain : 0;
	ssize_t n;

	while (r == 0 && (n = pread(fd, piece, sizeof(piece), begin)) > 0) {
		size_t length = 0;

		for (ssize_t i = 0; i < n; i++)
			length += take_byte(&scan, array, piece[i], lines + length);
		r = put(plain, lines, length);
		begin += n;
	}
	if (r == 0)
		r = put(plain, "\n", 1);
	*ret_plain = plain;
	return r;
}

/* Does the first line leave a document open? Then documents go over several lines. */
static bool is_spread(const char *text)
{
	struct scan scan = {0};
	char ignored[2];

	for (; *text && *text != '\n'; text++)
		(void)take_byte(&scan, 0, *text, ignored);
	return *text == '\n' && scan.depth > 0 && !scan.in_text;
}

/* The plain file of what was unpacked last, as long as the file is the same. */
static bool is_known(struct store_file *file, const struct stat *status)
{
	bool same = file->plain >= 0 && file->plain_of.st_ino == status->st_ino &&
		    file->plain_of.st_dev == status->st_dev && file->plain_of.st_size == status->st_size &&
		    file->plain_of.st_mtim.tv_sec == status->st_mtim.tv_sec &&
		    file->plain_of.st_mtim.tv_nsec == status->st_mtim.tv_nsec;

	if (!same && file->plain >= 0) {
		(void)close(file->plain);
		file->plain = -1;
	}
	return same;
}

static void keep(struct store_file *file, int *fd, int plain, const struct stat *status)
{
	(void)close(*fd);
	if (file->plain >= 0)
		(void)close(file->plain);
	file->plain = plain;
	file->plain_of = *status;
	*fd = fcntl(plain, F_DUPFD_CLOEXEC, 0);
}

int store_file_open_form(struct store *store, const char *path, int fd)
{
	struct store_file *file = store_file_of(store);
	char head[HEAD_BYTES + 1];
	struct stat status;
	ssize_t n;
	int plain = -1, r = 0;

	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
		return fd;
	if (is_known(file, &status)) {
		(void)close(fd);
		return fcntl(file->plain, F_DUPFD_CLOEXEC, 0);
	}
	file->unpacking_failed = false;
	n = pread(fd, head, HEAD_BYTES, 0);
	if (n > 2 && memcmp(head, "\x1f\x8b", 2) == 0) {
		r = unpack(file, fd, &plain);
		if (r == 0)
			keep(file, &fd, plain, &status);
		n = pread(fd, head, HEAD_BYTES, 0);
	}
	head[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; r == 0 && n > 0 && i < sizeof(packings) / sizeof(packings[0]); i++) {
		if ((size_t)n >= packings[i].length &&
		    memcmp(head, packings[i].begin, packings[i].length) == 0) {
			(void)store_fail(store, STORE_DROP, "'%s' %s", path, packings[i].remedy);
			r = -EPROTO;
		}
	}
	if (r == 0 && n > 0 && file->codec->decode) {
		size_t mark = strncmp(head, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
		const char *first = head + mark + strspn(head + mark, " \t\r\n");

		if (mark || *first == '[' || is_spread(first)) {
			r = split(fd, (off_t)mark, *first == '[', &plain);
			if (r == 0)
				keep(file, &fd, plain, &status);
		}
	}
	if (r == 0)
		return fd;
	if (r != -EPROTO)
		(void)store_fail(store, STORE_RETRY, "cannot unpack '%s': %s", path, strerror(-r));
	(void)close(fd);
	return r;
}
