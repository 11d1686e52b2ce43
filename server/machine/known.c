/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table declared in known.h. Updated from time to time by server_known.c, read by the API and for quotas.
 */
#include "machine/known.h"
#include "base/bson_get.h"

#include <bson/bson.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const text_keys[KNOWN_TEXTS] = {"runtime",   "image", "pod",   "pod_uid",
						   "namespace", "id",    "cgroup"};

/* Texts are not cut: a cut within a character would be invalid JSON. */
static int take_target(struct known_target *target, const bson_t *document)
{
	bson_iter_t quota;

	(void)bson_get_date(document, "last_seen", &target->last_seen_ms);
	(void)bson_get_date(document, "first_seen", &target->first_seen_ms);
	if (bson_iter_init_find(&quota, document, "cpu_quota") && BSON_ITER_HOLDS_NUMBER(&quota))
		target->cpu_quota = bson_iter_as_double(&quota);
	if (!(target->cpu_quota > 0 && target->cpu_quota < 1e6))
		target->cpu_quota = 0;
	for (unsigned i = 0; i < KNOWN_TEXTS; i++) {
		const char *text = bson_get_text(document, text_keys[i]);
		char *copy = text ? strdup(text) : NULL;

		if (text && !copy)
			return -ENOMEM;
		if (!copy)
			continue;
		free(target->texts[i]);
		target->texts[i] = copy;
	}
	return 0;
}

static int add_target(struct known *known, const bson_t *document)
{
	struct known_target *target;
	const char *name = bson_get_text(document, "target");
	size_t length;

	if (!name)
		return 0;
	length = strlen(name);
	HASH_FIND(hh, known->targets, name, length, target);
	if (!target) {
		target = calloc(1, sizeof(*target) + length + 1);
		if (!target)
			return -ENOMEM;
		memcpy(target->name, name, length + 1);
		HASH_ADD_KEYPTR(hh, known->targets, target->name, length, target);
	}
	return take_target(target, document);
}

int known_update(struct known *known, const struct batch *documents)
{
	size_t offset = 0;
	bson_t document;

	while (batch_next_bson(documents, &offset, &document)) {
		if (bson_validate(&document, BSON_VALIDATE_UTF8, NULL) && add_target(known, &document) < 0)
			return -ENOMEM;
	}
	return 0;
}

const struct known_target *known_find(const struct known *known, const char *name)
{
	struct known_target *target;

	HASH_FIND(hh, known->targets, name, strlen(name), target);
	return target;
}

const struct known_target *known_find_container(const struct known *known, const char *name,
						const char *container_id)
{
	const struct known_target *target = known_find(known, name);
	const char *id = known_text(target, KNOWN_ID);

	return id[0] && container_id[0] && strncmp(id, container_id, strlen(container_id)) != 0 ? NULL
												: target;
}

const char *known_text(const struct known_target *target, enum known_text which)
{
	return target && target->texts[which] ? target->texts[which] : "";
}

static void remove_target(struct known *known, struct known_target *target)
{
	HASH_DELETE(hh, known->targets, target);
	for (unsigned i = 0; i < KNOWN_TEXTS; i++)
		free(target->texts[i]);
	free(target);
}

void known_expire(struct known *known, int64_t before_ms)
{
	struct known_target *target, *next;

	HASH_ITER(hh, known->targets, target, next)
	{
		if (target->last_seen_ms < before_ms)
			remove_target(known, target);
	}
}

/*
 * The table is in order of arrival: the oldest targets come first. Returns the remaining excess.
 */
static unsigned drop_target(struct known *known, unsigned too_many, bool ended,
			    bool (*is_needed)(void *data, const char *name), void *data)
{
	struct known_target *target, *next;

	HASH_ITER(hh, known->targets, target, next)
	{
		if (too_many == 0)
			break;
		if ((ended && target->last_seen_ms <= target->first_seen_ms) || is_needed(data, target->name))
			continue;
		remove_target(known, target);
		too_many--;
	}
	return too_many;
}

void known_trim(struct known *known, unsigned most, bool (*is_needed)(void *data, const char *name),
		void *data)
{
	unsigned unneeded = 0;

	if (HASH_COUNT(known->targets) <= most)
		return;
	for (const struct known_target *target = known->targets; target; target = target->hh.next)
		unneeded += !is_needed(data, target->name);
	if (unneeded <= most)
		return;
	unneeded = drop_target(known, unneeded - most, true, is_needed, data);
	(void)drop_target(known, unneeded, false, is_needed, data);
}

void known_done(struct known *known)
{
	struct known_target *target, *next;

	HASH_ITER(hh, known->targets, target, next)
	{
		remove_target(known, target);
	}
}
