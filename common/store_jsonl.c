/* SPDX-License-Identifier: Apache-2.0 */
#include "store_backend.h"

#include <errno.h>

static int open_nothing(struct store *store, const char *location, const struct store_options *options)
{
	(void)options;
	(void)store_fail(store, STORE_DROP, "jsonl stores are not there yet ('%s')", location);
	return -ENOSYS;
}

const struct store_backend store_backend_jsonl = {.name = "jsonl", .open = open_nothing};
