/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duties "store" and "input": a process that owns a database connection and serves the server's loop.
 */
#pragma once

#include "store/store.h"

struct db_options {
	const char *uri;
	struct store_options store;
	uint64_t give_up_ms; /* with --once: a store that is away for so long ends the request with RETRY; 0:
				never */
};

/* Serves requests from `socket` until it is closed. Exit status of the process. */
int db_serve(int socket, const struct db_options *options);
