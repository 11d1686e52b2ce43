/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads from the target table: content of a target's document, documents that are due, lookups by name and by
 * cgroup.
 */
#include "target/target_table.h"

#include <string.h>
#include <utlist.h>

unsigned target_table_next_dirty(struct target_table *table)
{
	struct target_record *record = table->dirty;
	if (!record)
		return 0;
	DL_DELETE2(table->dirty, record, dirty_prev, dirty_next);
	record->dirty = false;
	return record->slot;
}

static struct target_record *record_of(const struct target_table *table, unsigned slot)
{
	return slot < table->view.n_slots ? table->records[slot] : NULL;
}

void target_table_fill(struct target_table *table, unsigned slot, struct report_target *ret_target)
{
	struct target_record *record = record_of(table, slot);
	const struct cgroup_layout *layout = table->options.layout;
	memset(ret_target, 0, sizeof(*ret_target));
	ret_target->target = slot < table->view.n_slots ? table->names[slot] : "";
	if (!record)
		return;
	const struct container_info *info = &record->info;
	ret_target->id = record->id;
	ret_target->name = info->name ? info->name : record->base;
	ret_target->image = info->image;
	ret_target->runtime = identity_kind_names[record->kind];
	ret_target->cgroup = record->root->path;
	ret_target->pod = info->pod;
	ret_target->pod_uid = record->pod_uid ? record->pod_uid : info->pod_uid;
	ret_target->pod_namespace = info->pod_namespace;
	ret_target->container_name = info->container_name;
	ret_target->labels = (const char *const *)info->labels;
	if (layout && record->state == TARGET_LIVE)
		record->cpu_quota = cgroup_cpu_limit(layout, record->root->path);
	ret_target->cpu_quota = record->cpu_quota;
	ret_target->first_seen_ms = record->first_seen_ms;
	ret_target->last_seen_ms = record->state == TARGET_LIVE ? table->now_ms : record->last_seen_ms;
}

unsigned target_table_find(const struct target_table *table, const char *name)
{
	struct target_record *record = NULL;
	HASH_FIND(hh, table->by_name, name, (unsigned)strlen(name), record);
	return record ? record->slot : 0;
}

unsigned target_table_find_cgroup(const struct target_table *table, const char *path)
{
	struct target_cgroup *cgroup = NULL;
	HASH_FIND(hh, table->cgroups, path, (unsigned)strlen(path), cgroup);
	return cgroup && cgroup->record ? cgroup->record->slot : 0;
}

static unsigned last_of_name(struct target_record *list, const struct target_record *record)
{
	unsigned slot = 0;
	struct target_record *other;
	DL_FOREACH2(list, other, ended_next)
	if (strcmp(other->name, record->name) == 0)
		slot = other->slot;
	return slot;
}

unsigned target_table_successor(const struct target_table *table, unsigned slot)
{
	const struct target_record *record = record_of(table, slot);
	if (!record || record->state != TARGET_ENDED)
		return 0;
	unsigned heir = target_table_find(table, record->name);
	if (heir == 0) /* restarted and ended again: the last one reports for all */
		heir = last_of_name(table->ended, record);
	return heir == slot ? 0 : heir;
}
