/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's `write` process: takes batches from `collect`, owns the store's connection and the spool.
 * It has no access to the machine's counters.
 */
#pragma once

#include "write/spool.h"
#include "store/store_bounds.h"
#include "base/reason.h"

#include <sys/types.h>

struct writer_config {
	const char *uri;
	struct store_options options;
	struct store_bounds bounds;
	uint64_t interval_ms;   /* between two ticks; 0: the bounds are not logged */
	const char *spool_path; /* NULL: no spool, only the link's backlog */
	struct spool_limits spool_limits;
	bool careful; /* each tick goes into the spool before the store is asked, because the previous writer
			 hung */
	pid_t parent; /* the first process at the start; after its end, everything goes into the spool. 0:
			 none */
	bool to_spool_only; /* the end is near and the store hangs: it is not used at all */
};

/*
 * Exit code of a writer whose store did not answer, for example because the database's library hung: it
 * exited in the middle of a call, and another one must continue.
 */
#define WRITER_EXIT_HUNG 75

/* Opens store and spool. 0, or a negative errno with a sentence in `why`. */
struct writer;
int writer_open(const struct writer_config *config, struct writer **ret_writer, struct reason *why);
void writer_close(struct writer *writer);
/* Serves the link until `collect` closes it; then everything is in the store or in the spool, or counted as
 * lost. */
int writer_run(struct writer *writer, int link_socket);
/* Documents that reached neither the store nor the spool, or were dropped from it. */
uint64_t writer_lost(const struct writer *writer);
