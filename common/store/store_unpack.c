/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recognises compressed files by their first bytes, whatever their names, and unpacks gzip into an unnamed
 * temporary file. Called by the file stores when they open a file to read it.
 */
#include "store/store_unpack.h"
#include "store/store_path.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <zlib.h>

#define HEAD_BYTES 512
#define PIECE      65536

struct form {
	const char *mark;
	size_t length;
	size_t offset;
	const char *advice;
};

static const struct form foreign[] = {
	{"\x28\xb5\x2f\xfd", 4, 0, "is compressed with zstd: unpack it first (zstd -d)"},
	{"BZh", 3, 0, "is compressed with bzip2: unpack it first (bunzip2)"},
	{"\xfd"
	 "7zXZ",
	 5, 0, "is compressed with xz: unpack it first (unxz)"},
	{"PK\x03\x04", 4, 0, "is a zip file: unpack it first (unzip)"},
	{"\x04\x22\x4d\x18", 4, 0, "is compressed with lz4: unpack it first (lz4 -d)"},
	{"7z\xbc\xaf\x27\x1c", 6, 0, "is a 7z archive: unpack it first (7z x)"},
	{"ustar", 5, 257, "is a tar archive: unpack it first (tar -xf)"},
	{"\xff\xfe", 2, 0, "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
	{"\xfe\xff", 2, 0, "is text in UTF-16: convert it first (iconv -f UTF-16 -t UTF-8)"},
	{"SQLite format 3", 15, 0, "is a SQLite file: write sqlite:PATH"},
	{"PAR1", 4, 0, "is a Parquet file: write it as CSV or JSON lines first"},
};

/* Forms that other stores read. */
static const struct form ours[] = {
	{"{", 1, 0, "looks like JSON: write jsonl:PATH"},
	{"[", 1, 0, "looks like JSON: write jsonl:PATH"},
	{"\xef\xbb\xbf{", 4, 0, "looks like JSON: write jsonl:PATH"},
	{"timestamp,", 10, 0, "looks like CSV: write csv:DIRECTORY"},
	{"\x1f\x8b", 2, 0, "is compressed with gzip: unpack it first (gunzip)"},
	/* The high bytes of a document's length, and the type of its first field. */
	{"\0\0\x02", 3, 2, "looks like BSON: write bson:PATH"},
	{"\0\0\x07", 3, 2, "looks like BSON: write bson:PATH"},
	{"\0\0\x09", 3, 2, "looks like BSON: write bson:PATH"},
};

static const char *find_form(const struct form forms[], size_t n_forms, const char *head, ssize_t length)
{
	for (size_t i = 0; i < n_forms; i++) {
		if (length >= (ssize_t)(forms[i].offset + forms[i].length) &&
		    memcmp(head + forms[i].offset, forms[i].mark, forms[i].length) == 0)
			return forms[i].advice;
	}
	return NULL;
}

const char *store_unpack_other_form(const char *path)
{
	char head[HEAD_BYTES];
	cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : pread(fd, head, sizeof(head), 0);
	const char *advice = find_form(foreign, ARRAY_SIZE(foreign), head, n);

	return advice ? advice : find_form(ours, ARRAY_SIZE(ours), head, n);
}

int store_unpack_make_file(void)
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

/* Unpacks the stream's input. Z_OK, or another code: it is damaged; an error of writing is in `*ret`. */
static int inflate_piece(z_stream *stream, int plain, bool *between, int *ret)
{
	unsigned char piece[PIECE];
	bool more = true;
	int code = Z_OK;

	while (more && code == Z_OK && *ret == 0) {
		/* Like gzip(1), and unlike gzread(), accepts only zeros and other gzip files behind one. */
		for (; *between && stream->avail_in > 0 && *stream->next_in == 0; stream->avail_in--)
			stream->next_in++;
		if (*between && stream->avail_in == 0)
			break;
		*between = false;
		stream->next_out = piece;
		stream->avail_out = sizeof(piece);
		code = inflate(stream, Z_NO_FLUSH);
		more = stream->avail_in > 0 || stream->avail_out == 0;
		*ret = store_path_write(plain, -1, piece, sizeof(piece) - stream->avail_out);
		if (code == Z_STREAM_END) {
			*between = true;
			code = inflateReset(stream);
		} else if (code == Z_BUF_ERROR) { /* no more output after all */
			code = Z_OK;
		}
	}
	return code;
}

/* Data before a damaged or missing end is used. */
static int unpack_gzip(int fd, int *ret_plain, bool *ret_cut)
{
	unsigned char packed[PIECE];
	z_stream stream = {0};
	int plain = store_unpack_make_file(), code = Z_OK, r = plain < 0 ? plain : 0;
	bool between = false;
	off_t at = 0;
	ssize_t n = 1;

	if (r == 0 && inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK)
		r = -ENOMEM;
	while (r == 0 && code == Z_OK && (n = pread(fd, packed, sizeof(packed), at)) > 0) {
		stream.next_in = packed;
		stream.avail_in = (unsigned)n;
		at += n;
		code = inflate_piece(&stream, plain, &between, &r);
	}
	*ret_cut = n < 0 || code != Z_OK || !between;
	(void)inflateEnd(&stream);
	if (r < 0 && plain >= 0)
		(void)close(plain);
	*ret_plain = r < 0 ? -1 : plain;
	return r;
}

int store_unpack(const char *path, int *fd, bool *ret_cut, struct reason *why)
{
	char head[HEAD_BYTES] = "";
	ssize_t n = pread(*fd, head, sizeof(head), 0);
	const char *advice;
	int plain, r = 0;

	*ret_cut = false;
	if (n > 2 && memcmp(head, "\x1f\x8b", 2) == 0) {
		r = unpack_gzip(*fd, &plain, ret_cut);
		if (r < 0)
			return reason_set(why, r, "cannot unpack '%s': %s", path, strerror(-r));
		(void)close(*fd);
		*fd = plain;
		n = pread(*fd, head, sizeof(head), 0);
		r = 1;
	}
	advice = find_form(foreign, ARRAY_SIZE(foreign), head, n);
	return advice ? reason_set(why, -EPROTO, "'%s' %s", path, advice) : r;
}
