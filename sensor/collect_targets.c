/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the target table and the activity source: cgroups that come are counted, those that go leave after
 * their last counts have been read. A target that cannot be counted is told once and goes on to be counted as lost.
 */
#include "collect.h"

#include "log.h"

#include <errno.h>
#include <inttypes.h>

static void target_joined(void *data, const struct activity_cgroup *cgroup)
{
	struct collect *collect = data;
	int r;

	if (!collect->activity)
		return;
	r = collect->activity->ops->add(collect->activity, cgroup);
	if (r == 0 || r == -ENOENT)
		return;
	if (r == -EMFILE || r == -ENFILE) {
		if (collect->lost[REPORT_LOST_BUDGET]++ == 0)
			log_warning("target", 0, "no descriptor is left to count '%s' and what comes after it. Raise the "
				    "limit of open files (LimitNOFILE=, --ulimit nofile=), or choose targets by "
				    "--include and --exclude", cgroup->path);
		return;
	}
	if (collect->lost[REPORT_LOST_OPEN]++ == 0)
		log_warning("target", r, "cannot count cgroup '%s' (further ones only in metadata.lost)", cgroup->path);
	else
		log_debug("target", r, "cannot count cgroup '%s'", cgroup->path);
}

static void target_started(void *data, unsigned slot)
{
	struct collect *collect = data;

	log_debug("target", 0, "'%s' has come (slot %u)", target_table_view(collect->table)->names[slot], slot);
}

static void target_renamed(void *data, unsigned slot, const char *old_name)
{
	struct collect *collect = data;

	log_info("target", 0, "'%s' is called '%s' from now on", old_name,
		 target_table_view(collect->table)->names[slot]);
}

void collect_target_events(struct collect *collect, struct target_events *ret_events)
{
	*ret_events = (struct target_events){
		.started = target_started,
		.joined = target_joined,
		.renamed = target_renamed,
		.data = collect,
	};
}

static void make_active(struct activity_frame *frame, unsigned slot)
{
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] == slot)
			return;
	if (frame->n_active < frame->n_slots)
		frame->active[frame->n_active++] = slot;
}

static void leave_active(struct activity_frame *frame, unsigned slot)
{
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] == slot)
			frame->active[i--] = frame->active[--frame->n_active];
}

void collect_merge_successors(struct collect *collect)
{
	const struct target_view *view = target_table_view(collect->table);
	struct activity_frame *frame = &collect->activity->frame;
	const size_t n_counts = (size_t)frame->n_places * frame->n_events;
	const size_t n_times = (size_t)frame->n_places * frame->n_groups;

	for (unsigned slot = 1; view->n_ended > 0 && slot < view->n_slots && slot < frame->n_slots; slot++) {
		unsigned heir;

		if (view->states[slot] != TARGET_ENDED)
			continue;
		heir = target_table_successor(collect->table, slot);
		if (heir == 0 || heir >= frame->n_slots)
			continue;
		for (size_t i = 0; i < n_counts; i++)
			frame->counts[heir * n_counts + i] += frame->counts[slot * n_counts + i];
		for (size_t i = 0; frame->enabled_ns && i < n_times; i++) {
			frame->enabled_ns[heir * n_times + i] += frame->enabled_ns[slot * n_times + i];
			frame->running_ns[heir * n_times + i] += frame->running_ns[slot * n_times + i];
		}
		leave_active(frame, slot);
		make_active(frame, heir);
	}
}

void collect_release_ended(struct collect *collect)
{
	struct activity_cgroup cgroup;
	unsigned slot;

	while (target_table_next_departed(collect->table, &cgroup))
		if (collect->activity)
			collect->activity->ops->remove(collect->activity, &cgroup);
	while ((slot = target_table_next_ended(collect->table)) != 0) {
		log_debug("target", 0, "'%s' has gone (slot %u)", target_table_view(collect->table)->names[slot], slot);
		target_table_release(collect->table, slot);
	}
}
