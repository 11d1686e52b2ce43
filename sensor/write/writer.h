/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's `write` process: takes batches from `collect`, owns the store's connection and the spool.
 * It has no access to the machine's counters.
 */
#pragma once

#include "write/spool.h"
#include "store/store.h"
#include "base/reason.h"

struct writer_config {
	const char *uri;
	struct store_options options;
	uint64_t retention_s;
	const char *spool_path; /* NULL: no spool; the link's backlog must do */
	struct spool_limits spool_limits;
	bool careful; /* each tick goes into the spool before the store is asked: the one before has hung */
	bool to_spool_only; /* the end is near and the store hangs: it is not asked at all */
};

/*
 * Exit code of a writer whose store did not answer, as where the database's library locks up: it ended in the
 * midst of a call, and another one is to continue.
 */
#define WRITER_EXIT_HUNG 75

/* Opens store and spool. 0, or a negative errno with a sentence in `why`. */
struct writer;
int writer_open(const struct writer_config *config, struct writer **ret_writer, struct reason *why);
void writer_close(struct writer *writer);
/* Serves the link until `collect` closes it; then everything is in the store or in the spool, or counted. */
int writer_run(struct writer *writer, int link_socket);
/* Documents that reached neither the store nor the spool. */
uint64_t writer_lost(const struct writer *writer);
