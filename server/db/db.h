/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duties "store" and "input": a process that owns a database connection and serves the server's loop.
 */
#pragma once

#include "store/store_bounds.h"

struct db_options {
	const char *uri;
	struct store_options store;
	uint64_t give_up_ms;        /* with --once: after this time without the store, or at once if it denies
				       access, a request ends with RETRY; 0: never */
	struct store_bounds bounds; /* of a store on this disk */
	uint64_t lease_ms; /* how long a writer may be silent before another server takes over; 0: no lease */
	const char *about; /* how this server computes, for the log of a standby */
};

/* Serves requests from `socket` until it is closed. Exit status of the process. */
int db_serve(int socket, const struct db_options *options);
