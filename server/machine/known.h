/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of targets (collection target<machine>): runtime, image, pod, CPU quota. Looked up by the
 * target's name; pure except for the documents that it is given.
 */
#pragma once

#include "document/batch.h"

#include <stdbool.h>
#include <uthash.h>

enum known_text {
	KNOWN_RUNTIME,
	KNOWN_IMAGE,
	KNOWN_POD,
	KNOWN_POD_UID,
	KNOWN_NAMESPACE,
	KNOWN_ID,
	KNOWN_CGROUP,
	KNOWN_TEXTS
};

struct known_target {
	UT_hash_handle hh;
	char *texts[KNOWN_TEXTS]; /* NULL: unknown; see known_text() */
	double cpu_quota;         /* CPUs; 0: unknown */
	int64_t first_seen_ms,
		last_seen_ms; /* if it is earlier, the target has probably ended or been renamed */
	char name[];
};

struct known {
	struct known_target *targets;
};

/* Adds the documents; malformed ones are skipped. 0 or -ENOMEM. */
int known_update(struct known *known, const struct batch *documents);
/* NULL: nothing is known. */
const struct known_target *known_find(const struct known *known, const char *name);
/* The description of the container with this name and ID, not of another one that uses the name now. */
const struct known_target *known_find_container(const struct known *known, const char *name,
						const char *container_id);
/* "" if it is unknown, or if there is no target. */
const char *known_text(const struct known_target *target, enum known_text which);
/* Forgets targets that were last seen before. */
void known_expire(struct known *known, int64_t before_ms);
/*
 * Keeps at most `most` of those that are not needed now: ended ones are removed first, oldest first. This
 * bounds memory, however many containers come and go in a day.
 */
void known_trim(struct known *known, unsigned most, bool (*is_needed)(void *data, const char *name),
		void *data);
void known_done(struct known *known);
