/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects the target table and the activity source: new cgroups are counted, ended ones are removed after
 * their last counts have been read. A target that cannot be counted is logged once and counted as lost in
 * each tick.
 */
#include "collect/collect.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "cgroup/cgroup_find.h"

#include <errno.h>

/* Logs once which target is not counted as configured, and why. Further ones are only in the metadata. */
static void tell_budget(struct collect *collect, const char *path, bool counted)
{
	static const char advice[] = "Raise the limit of open files (LimitNOFILE=, --ulimit nofile=, "
				     "--fd-budget), or select targets with --include and --exclude";

	if (counted && !collect->told_overflow)
		log_warning("target", 0,
			    "descriptor limit reached: '%s' and further targets are counted by CPU time only "
			    "(group 'cpustat'). %s",
			    path, advice);
	else if (!counted && collect->lost[REPORT_LOST_BUDGET] == 1)
		log_warning("target", 0,
			    "descriptor limit reached: '%s' and further targets are not counted. %s", path,
			    advice);
	collect->told_overflow |= counted;
}

static void target_joined(void *data, const struct activity_cgroup *cgroup)
{
	struct collect *collect = data;
	int r;

	if (!collect->activity)
		return;
	/* A cgroup nested in a target that another source counts is counted by that source. */
	if (!cgroup->root && collect_overflow_has(&collect->overflow, cgroup->slot))
		return;
	r = collect->activity->ops->add(collect->activity, cgroup);
	if (r == 0 || r == -ENOENT)
		return;
	if (r == -EMFILE || r == -ENFILE) {
		r = cgroup->root ? collect_overflow_add(collect, cgroup) : -EMFILE;
		if (r < 0)
			collect->lost[REPORT_LOST_BUDGET]++;
		tell_budget(collect, cgroup->path, r == 0);
		return;
	}
	if (collect->lost[REPORT_LOST_OPEN]++ == 0)
		log_warning("target", r,
			    "cannot count cgroup '%s' (further failures are only counted in metadata.lost)",
			    cgroup->path);
	else
		log_debug("target", r, "cannot count cgroup '%s'", cgroup->path);
}

static void target_started(void *data, unsigned slot)
{
	struct collect *collect = data;

	edges_want(&collect->edges);
	log_debug("target", 0, "new target '%s' (slot %u)", target_table_view(collect->table)->names[slot],
		  slot);
}

static void target_renamed(void *data, unsigned slot, const char *old_name)
{
	struct collect *collect = data;

	log_info("target", 0, "target '%s' renamed to '%s'", old_name,
		 target_table_view(collect->table)->names[slot]);
}

/* Reasons for a target without a name, and fixes, by errno. */
static const struct nameless {
	int error;
	const char *why;
} nameless[] = {
	{-ENOENT,
	 "no runtime file contains its name" REASON_FIX "if the sensor runs in a container, mount the host's "
	 "/var/lib/docker/containers (Podman: /var/lib/containers) at the same path; or set --docker-root, "
	 "--podman-root or --containerd-root"},
	{-EACCES, "the sensor may not read its runtime's files" REASON_FIX "run the sensor as root, or with "
		  "CAP_DAC_READ_SEARCH"},
	{-EPERM, "the sensor may not open its runtime's files" REASON_FIX
		 "run the sensor as root; a seccomp filter or a security module may also forbid it"},
	{-EBADMSG, "its runtime's file is not JSON with a name"},
	{-ELOOP, "its runtime's file is a link, which is not followed"},
	{-EXDEV, "its runtime's file is a link to a place outside the runtime's folder"},
	{0, "its runtime's file cannot be read"},
};

/* Once per cause, because there will be more. */
static void target_nameless(void *data, unsigned slot, int error)
{
	struct collect *collect = data;
	unsigned cause = 0;

	while (nameless[cause].error != 0 && nameless[cause].error != error)
		cause++;
	if (collect->told_nameless & 1U << cause || collect->config->names == 1)
		return;
	collect->told_nameless |= 1U << cause;
	log_warning("target", nameless[cause].error == 0 ? error : 0,
		    "target '%s' is reported by ID, and others may be, too: %s",
		    target_table_view(collect->table)->names[slot], nameless[cause].why);
}

void collect_target_events(struct collect *collect, struct target_events *ret_events)
{
	*ret_events = (struct target_events){
		.started = target_started,
		.joined = target_joined,
		.renamed = target_renamed,
		.nameless = target_nameless,
		.data = collect,
	};
}

static void born(void *data, uint64_t parent, const char *name, uint64_t id)
{
	struct collect *collect = data;

	cgroup_watch_born(collect->watch, parent, name, id);
}

void collect_discover(struct collect *collect)
{
	struct activity_source *activity = collect->activity;
	int r;

	if (activity && activity->ops->births) {
		activity->ops->births(activity, born, collect);
		cgroup_watch_born_end(collect->watch);
	}
	r = cgroup_watch_process(collect->watch);
	if (r < 0)
		log_warning("cgroup", r, "cannot read inotify events; new cgroups are found by the rescan");
	target_table_settle(collect->table, clock_realtime_ms());
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

static void merge_slot(struct activity_frame *frame, unsigned slot, unsigned heir)
{
	const size_t n_counts = (size_t)frame->n_places * frame->n_events;
	const size_t n_times = (size_t)frame->n_places * frame->n_groups;

	for (size_t i = 0; i < n_counts; i++)
		frame->counts[heir * n_counts + i] += frame->counts[slot * n_counts + i];
	for (size_t i = 0; frame->enabled_ns && i < n_times; i++) {
		frame->enabled_ns[heir * n_times + i] += frame->enabled_ns[slot * n_times + i];
		frame->running_ns[heir * n_times + i] += frame->running_ns[slot * n_times + i];
	}
	make_active(frame, heir);
}

/* The frame that counts a slot. */
static struct activity_frame *frame_of(struct collect *collect, unsigned slot)
{
	return collect_overflow_has(&collect->overflow, slot) ? collect_overflow_frame(&collect->overflow)
							      : &collect->activity->frame;
}

void collect_merge_successors(struct collect *collect)
{
	const struct target_view *view = target_table_view(collect->table);

	for (unsigned slot = 1; view->n_ended > 0 && slot < view->n_slots; slot++) {
		struct activity_frame *frame;
		unsigned heir;

		if (view->states[slot] != TARGET_ENDED)
			continue;
		heir = target_table_successor(collect->table, slot);
		frame = frame_of(collect, slot);
		if (heir == 0 || slot >= frame->n_slots || heir >= frame->n_slots)
			continue;
		/*
		 * Two reports cannot have one name, and counts of different kinds cannot be added.
		 */
		if (frame == frame_of(collect, heir))
			merge_slot(frame, slot, heir);
		else
			collect->lost[REPORT_LOST_READ]++;
		leave_active(frame, slot);
	}
}

void collect_release_ended(struct collect *collect)
{
	struct activity_cgroup cgroup;
	unsigned slot;

	while (target_table_next_departed(collect->table, &cgroup))
		if (collect->activity && !collect_overflow_remove(&collect->overflow, &cgroup))
			collect->activity->ops->remove(collect->activity, &cgroup);
	while ((slot = target_table_next_ended(collect->table)) != 0) {
		log_debug("target", 0, "target '%s' ended (slot %u)",
			  target_table_view(collect->table)->names[slot], slot);
		if (collect->measured)
			collect->measured->ops->remove(collect->measured, slot);
		target_table_release(collect->table, slot);
	}
}

void collect_find_unseen(struct collect *collect)
{
	char path[CGROUP_PATH_MAX];
	unsigned n;

	if (collect->told_unseen || collect->layout.n_others == 0)
		return;
	n = cgroup_find_unseen(&collect->layout, path, sizeof(path));
	collect->told_unseen = n > 0;
	if (n > 0)
		log_warning("cgroup", 0,
			    "%u containers are not in the watched hierarchy ('%s') and are not counted, such "
			    "as '%s'. Choose theirs with -p (further ones are not logged)",
			    n, collect->layout.mount, path);
}
