/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of formulas: reads a recorded stream of reports (concatenated BSON documents, plain or gzip) as
 * ticks, through the server's own join.
 */
#pragma once

#include "tick/join.h"
#include "tick/tick_make.h"
#include "base/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

struct stream {
	uint8_t *bytes;
	size_t length, offset;
	struct report_names *names;
	struct report_decoded decoded;
	struct join *join;
	struct join_slot *slot;
	struct tick_maker *maker;
};

static inline uint8_t *stream_read_file(const char *name, size_t *ret_length)
{
	const char *top = getenv("TOP");
	size_t capacity = 1 << 20, length = 0;
	uint8_t *bytes = malloc(capacity);
	char path[512];
	gzFile file;
	int n;

	(void)snprintf(path, sizeof(path), "%s/%s", top ? top : ".", name);
	file = gzopen(path, "rb");
	if (!file || !bytes)
		abort();
	while ((n = gzread(file, bytes + length, (unsigned)(capacity - length))) > 0) {
		length += (size_t)n;
		if (length == capacity)
			bytes = realloc(bytes, capacity *= 2);
		if (!bytes)
			abort();
	}
	(void)gzclose(file);
	*ret_length = length;
	return bytes;
}

static inline uint32_t stream_document_length(const uint8_t *bytes)
{
	uint32_t length;

	memcpy(&length, bytes, sizeof(length));
	return length;
}

static inline void stream_open(struct stream *stream, const char *name)
{
	*stream = (struct stream){.names = report_names_new(), .join = join_new(1)};
	stream->maker = tick_maker_new(stream->names, 1);
	stream->bytes = stream_read_file(name, &stream->length);
}

/* The next tick with an `all` report; NULL at the end. Valid until the next call. */
static inline const struct tick *stream_next(struct stream *stream)
{
	for (;;) {
		const struct tick *tick;
		enum join_fed fed;
		bool end = stream->offset >= stream->length;
		struct reason why;

		if (stream->slot)
			join_release(stream->join, stream->slot);
		stream->slot = join_take(stream->join, 0, false, end);
		if (stream->slot && stream->slot->has_all &&
		    tick_make(stream->maker, stream->slot, &tick) == 0)
			return tick;
		if (stream->slot)
			continue;
		if (end)
			return NULL;
		if (report_bson_decode(stream->bytes + stream->offset,
				       stream_document_length(stream->bytes + stream->offset), stream->names,
				       &stream->decoded, &why) < 0 ||
		    join_feed(stream->join, &stream->decoded, 0, &fed) < 0)
			abort();
		stream->offset += stream_document_length(stream->bytes + stream->offset);
	}
}

static inline void stream_close(struct stream *stream)
{
	if (stream->slot)
		join_release(stream->join, stream->slot);
	join_free(stream->join);
	tick_maker_free(stream->maker);
	report_decoded_done(&stream->decoded);
	report_names_free(stream->names);
	free(stream->bytes);
}
