/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of targets (collection target<machine>): runtime, image, pod, CPU quota. Looked up by the
 * target's name; pure except for the documents that it is given.
 */
#pragma once

#include "document/batch.h"

#include <stdbool.h>
#include <uthash.h>

enum known_text { KNOWN_RUNTIME, KNOWN_IMAGE, KNOWN_POD, KNOWN_NAMESPACE, KNOWN_ID, KNOWN_TEXTS };

struct known_target {
	UT_hash_handle hh;
	char *texts[KNOWN_TEXTS]; /* NULL: unknown; see known_text() */
	double cpu_quota;         /* CPUs; 0: unknown */
	int64_t first_seen_ms,
		last_seen_ms; /* apart: it has ended most likely, or was called otherwise before */
	char name[];
};

struct known {
	struct known_target *targets;
};

/* Takes the documents in; what is damaged is left out. 0 or -ENOMEM. */
int known_update(struct known *known, const struct batch *documents);
/* NULL: nothing is known. */
const struct known_target *known_find(const struct known *known, const char *name);
/* What is known of the container of this name and id: not of another one that has the name now. */
const struct known_target *known_find_container(const struct known *known, const char *name,
						const char *container_id);
/* "" where nothing is known of it, or no target. */
const char *known_text(const struct known_target *target, enum known_text which);
/* Forgets targets that were last seen before. */
void known_expire(struct known *known, int64_t before_ms);
/*
 * Of those that nobody needs now, so many at most stay: the others go, the ones that have ended first, the
 * oldest of these before the others. Memory is bounded by it, however many containers come and go in a day.
 */
void known_trim(struct known *known, unsigned most, bool (*is_needed)(void *data, const char *name),
		void *data);
void known_done(struct known *known);
