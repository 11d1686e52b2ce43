/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames between the daemons' processes: batches of documents from `collect` to `write`, and the fields of a
 * message. Accepted input can be walked to its end, within the message.
 */
#include "process/ipc.h"
#include "write/link.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_batch(const struct link_batch *batch, const uint8_t *data, size_t size)
{
	const uint8_t *document;
	size_t offset = 0, length;

	if (strlen(batch->collection) >= size)
		abort();
	while (batch_next(&batch->documents, &offset, &document, &length) > 0)
		if (document < data || document + length > data + size)
			abort();
}

static void use_cursor(const uint8_t *data, size_t size)
{
	struct ipc_cursor cursor = ipc_cursor_init(data, size);
	size_t length;

	for (unsigned i = 0; i < 64 && !cursor.failed && cursor.left; i++) {
		const uint8_t *bytes;

		switch (data[0] % 3) {
		case 0:
			(void)ipc_get_u64(&cursor);
			break;
		case 1:
			if (strlen(ipc_get_string(&cursor)) > size)
				abort();
			break;
		default:
			bytes = ipc_get_bytes(&cursor, &length);
			if (length && (bytes < data || bytes + length > data + size))
				abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ipc_message message = {.type = LINK_APPEND, .length = size, .payload = data};
	struct link_batch batch;

	if (link_parse(&message, &batch) == 0)
		use_batch(&batch, data, size);
	if (size)
		use_cursor(data, size);
	return 0;
}
