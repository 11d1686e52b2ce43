/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of targets: from runtimes' files if they exist, made unique among live targets, retried while
 * they are missing; and selection of targets by patterns.
 */
#include "base/cleanup.h"
#include "base/hash.h"
#include "document/report.h"
#include "target/target_table.h"
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define NAME_TRIES_MAX      8
#define NAME_TRIES_TOLD     6 /* after about eight seconds */
#define NAME_FIRST_DELAY_MS 250
#define NAME_RECHECK_MS     60000 /* known names are checked again, for `docker rename` */
#define NAME_RECHECKS_MAX   32    /* files read in one call */

static bool matches(const struct target_record *record, const char *pattern)
{
	const char *const texts[] = {record->base,     record->info.name, record->root->path, record->id,
				     record->short_id, record->info.pod,  record->pod_uid};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i] && texts[i][0] && fnmatch(pattern, texts[i], 0) == 0)
			return true;
	return false;
}

static bool matches_any(const struct target_record *record, const char *const *patterns, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (matches(record, patterns[i]))
			return true;
	return false;
}

bool target_is_selected(const struct target_table *table, const struct target_record *record)
{
	const struct target_options *options = &table->options;
	if (matches_any(record, options->exclude, options->n_exclude))
		return false;
	return options->n_include == 0 || matches_any(record, options->include, options->n_include);
}

/*
 * Six hex digits that distinguish it from others of the same name: from its ID, or from a hash of its path if
 * it has no ID or the mark is taken.
 */
static void make_mark(const struct target_record *record, unsigned attempt, char ret[7])
{
	uint32_t hash = hash_text32(record->root->path, attempt);

	if (record->short_id[0] && attempt == 1) {
		memcpy(ret, record->short_id, 6);
		ret[6] = '\0';
		return;
	}
	(void)snprintf(ret, 7, "%06" PRIx32, (hash ^ hash >> 24) & 0xffffff);
}

static bool is_taken(const struct target_table *table, const struct target_record *self, const char *name)
{
	struct target_record *other = NULL;
	if (report_target_is_reserved(name))
		return true;
	HASH_FIND(hh, table->by_name, name, (unsigned)strlen(name), other);
	return other && other != self;
}

/* base-<mark>: the base is truncated at a character boundary, so that the name stays within bounds. */
static char *mark_name(const struct target_record *record, unsigned attempt)
{
	char mark[7], base[IDENTITY_NAME_MAX + 1];
	make_mark(record, attempt, mark);
	(void)text_escape(record->base, strlen(record->base), base, sizeof(base) - sizeof(mark));
	char *name = NULL;
	return asprintf(&name, "%s-%s", base, mark) < 0 ? NULL : name;
}

int target_name_claim(struct target_table *table, struct target_record *record)
{
	char *name = strdup(record->base);
	record->marked = false;
	for (unsigned attempt = 1; name && is_taken(table, record, name); attempt++) {
		record->marked = !report_target_is_reserved(record->base);
		free(name);
		name = mark_name(record, attempt);
	}
	if (!name)
		return -ENOMEM;
	free(record->name);
	record->name = name;
	HASH_ADD_KEYPTR(hh, table->by_name, name, (unsigned)strlen(name), record);
	return 0;
}

/* The path as a name: any length, no control characters, valid UTF-8. */
static char *path_name(const struct target_table *table, const struct target_record *record)
{
	const char *path = record->root->path + table->prefix_length;
	const size_t length = strlen(path), size = TEXT_ESCAPED_MAX * length + 1;
	char *name = malloc(size);

	if (name)
		(void)text_escape(path, length, name, size);
	return name;
}

void target_name_forget(struct target_table *table, struct target_record *record)
{
	if (record->waiting_name)
		DL_DELETE2(table->unnamed, record, name_prev, name_next);
	if (record->rechecked)
		DL_DELETE2(table->named, record, name_prev, name_next);
	record->waiting_name = record->rechecked = false;
}

/* Appends to the queue: all wait equally long, so it stays sorted by time. */
static void recheck_later(struct target_table *table, struct target_record *record)
{
	target_name_forget(table, record);
	if (record->kind != IDENTITY_DOCKER && record->kind != IDENTITY_PODMAN)
		return; /* no other engine renames running containers */
	record->next_try_ms = table->now_ms + NAME_RECHECK_MS;
	record->rechecked = true;
	DL_APPEND2(table->named, record, name_prev, name_next);
}

static void wait_for_name(struct target_table *table, struct target_record *record, int error)
{
	if (record->tries == NAME_TRIES_MAX) {
		record->next_try_ms = table->now_ms + NAME_RECHECK_MS;
	} else {
		record->next_try_ms = table->now_ms + ((int64_t)NAME_FIRST_DELAY_MS << record->tries);
		record->tries++;
		if (record->tries == NAME_TRIES_TOLD && record->slot && table->events.nameless)
			table->events.nameless(table->events.data, record->slot, error);
	}
	if (!record->waiting_name)
		DL_APPEND2(table->unnamed, record, name_prev, name_next);
	record->waiting_name = true;
}

/* Reads the files. True if they contain something new. */
static bool read_info(struct target_table *table, struct target_record *record)
{
	struct identity identity;
	struct container_info info = {0};
	int r;
	if (!table->options.open_file || !record->short_id[0] || record->named)
		return false;
	if (identity_parse(record->root->path, table->prefix_length, &identity) < 0)
		return false;
	r = container_info_read(&identity, table->options.open_file, table->options.open_data, &info);
	if (r < 0) {
		container_info_done(&info);
		wait_for_name(table, record, r);
		return false;
	}
	recheck_later(table, record);
	record->named = true;
	container_info_done(&record->info);
	record->info = info;
	return true;
}

int target_name_look_up(struct target_table *table, struct target_record *record)
{
	(void)read_info(table, record);
	const char *told = record->info.name;
	char *base = table->options.names_are_paths ? path_name(table, record)
		     : told && told[0]              ? strdup(told)
						    : strdup(record->base);
	if (!base)
		return -ENOMEM;
	free(record->base);
	record->base = base;
	return 0;
}

/* Updates the name in reports after a new base name. */
static void rename_target(struct target_table *table, struct target_record *record)
{
	cleanup_(cleanup_free) char *old = record->name;
	HASH_DELETE(hh, table->by_name, record);
	record->name = NULL;
	if (target_name_claim(table, record) < 0) {
		record->name = TAKE_POINTER(old);
		HASH_ADD_KEYPTR(hh, table->by_name, record->name, (unsigned)strlen(record->name), record);
		return;
	}
	table->names[record->slot] = record->name;
	table->name_freed |= strcmp(old, record->name) != 0;
	if (strcmp(old, record->name) != 0 && table->events.renamed)
		table->events.renamed(table->events.data, record->slot, old);
}

/* Uses a name that has been found. True if reports show it. */
static bool apply_name(struct target_table *table, struct target_record *record)
{
	bool selected = target_is_selected(table, record);
	if (record->slot == 0) {
		if (selected)
			(void)target_slot_take(table, record);
		return record->slot != 0;
	}
	target_mark_dirty(table, record);
	if (!selected) {
		target_end(table, record); /* its cgroups are forgotten, too */
		return false;
	}
	if (table->options.names_are_paths)
		return false;
	rename_target(table, record);
	return true;
}

/* True if the engine has renamed it. */
static bool has_new_name(struct target_table *table, struct target_record *record)
{
	struct container_info info = {0};
	struct identity identity;

	recheck_later(table, record);
	if (identity_parse(record->root->path, table->prefix_length, &identity) < 0 ||
	    container_info_read(&identity, table->options.open_file, table->options.open_data, &info) < 0 ||
	    !info.name || (record->info.name && strcmp(info.name, record->info.name) == 0)) {
		container_info_done(&info);
		return false;
	}
	container_info_done(&record->info);
	record->info = info;
	return true;
}

static unsigned recheck_names(struct target_table *table)
{
	unsigned n = 0;

	for (unsigned i = 0; i < NAME_RECHECKS_MAX && table->named; i++) {
		struct target_record *record = table->named;

		if (record->next_try_ms > table->now_ms)
			break;
		if (has_new_name(table, record) && target_name_look_up(table, record) == 0)
			n += apply_name(table, record);
	}
	return n;
}

/* Its last report is still to come under this name. */
static bool is_ending(const struct target_table *table, const char *name)
{
	for (unsigned slot = 1; table->view.n_ended > 0 && slot < table->view.n_slots; slot++)
		if (table->states[slot] == TARGET_ENDED && strcmp(table->names[slot], name) == 0)
			return true;
	return false;
}

/* A target with a mark because its name was taken gets the plain name when the other target is gone. */
static unsigned heal_names(struct target_table *table)
{
	unsigned n = 0;

	if (!table->name_freed)
		return 0;
	table->name_freed = false;
	for (unsigned slot = 1; slot < table->view.n_slots; slot++) {
		struct target_record *record = table->records[slot];

		if (table->states[slot] != TARGET_LIVE || !record->marked ||
		    is_taken(table, record, record->base))
			continue;
		if (is_ending(table, record->base)) {
			table->name_freed = true; /* look again in the next tick */
			continue;
		}
		rename_target(table, record);
		target_mark_dirty(table, record);
		n++;
	}
	return n;
}

unsigned target_table_refresh_names(struct target_table *table, int64_t now_ms)
{
	struct target_record *record, *next;
	unsigned n;
	table->now_ms = now_ms;
	n = heal_names(table);
	n += recheck_names(table);
	DL_FOREACH_SAFE2(table->unnamed, record, next, name_next)
	{
		if (record->next_try_ms > now_ms)
			continue;
		if (target_name_look_up(table, record) == 0 && record->named)
			n += apply_name(table, record);
	}
	return n;
}
