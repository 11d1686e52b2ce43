/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity by perf events of cgroups: one perf group and one read per tick for each target and CPU. The
 * kernel counts a cgroup together with all below it, so only a target's own cgroup is opened. Called by the
 * sensor; knows no names.
 */
#include "source/source.h"

#include "source/perf/perf_late.h"
#include "source/perf/perf_slots.h"
#include "priv/priv_client.h"
#include "machine/topology.h"
#include "base/cleanup.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <linux/perf_event.h>

struct source_perf {
	struct activity_source source; /* first: the sensor sees only this */
	struct perf_plan *plan;
	struct perf_slots slots;
	struct perf_late late;
	bool told_fresh;
};

static int try_cgroup(struct source_context *context, const char *cgroup)
{
	struct event_attr attr = {.type = PERF_TYPE_SOFTWARE, .config = PERF_COUNT_SW_CONTEXT_SWITCHES};
	struct priv_group group = {
		.cgroup = cgroup, .cpu = context->topology->cpus[0].id, .n_events = 1, .events = &attr};
	int fd = -1, r = priv_client_open_group(context->priv, &group, &fd);

	if (r == 0)
		(void)close(fd);
	return r;
}

/* Does the cgroup exist, but without perf events, as on a v2 tree where no controller was ever enabled? */
static bool is_fresh(const struct source_context *context, const char *cgroup)
{
	char path[4096 + 256];

	if (!context->cpu_root || !context->cpu_root_v2)
		return false;
	(void)snprintf(path, sizeof(path), "%s%s", context->cpu_root, cgroup);
	return access(path, F_OK) == 0;
}

static int explain_fresh(const struct source_context *context, struct reason *why)
{
	return reason_set(why, -EOPNOTSUPP,
			  "the kernel has no perf events for the cgroups in %s yet, because no controller "
			  "was ever enabled there. "
			  "Run once, as root: echo +cpu >%s/cgroup.subtree_control",
			  context->cpu_root, context->cpu_root);
}

/* A child of the root: the root has perf events on a fresh tree as well. */
static int try_child(struct source_context *context, struct reason *why)
{
	cleanup_(folder_close) DIR *dir = context->cpu_root_v2 ? folder_open("%s", context->cpu_root) : NULL;
	const struct dirent *entry;
	bool fresh = false;

	while (dir && (entry = readdir(dir))) {
		char child[300];

		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		(void)snprintf(child, sizeof(child), "/%s", entry->d_name);
		fresh = try_cgroup(context, child) == -ENOENT && is_fresh(context, child);
		break;
	}
	return fresh ? explain_fresh(context, why) : 0;
}

/* Can cgroups be counted at all, with any events? */
static int probe(struct source_context *context, const struct event_group_request *requests,
		 unsigned n_requests, struct reason *why)
{
	struct reason reason = {""};
	int r = perf_plan_probe(context, PERF_PLAN_CGROUPS, requests, n_requests, why);

	if (r < 0)
		return r;
	r = try_cgroup(context, "/");
	if (r == 0)
		return try_child(context, why);
	(void)event_explain_open(r, NULL, true, priv_client_cause(context->priv), &reason);
	return reason_set(why, r, "perf events of cgroups: %.900s", reason.text);
}

static void close_source(struct activity_source *source)
{
	struct source_perf *perf = (struct source_perf *)source;

	if (!perf)
		return;
	perf_slots_done(&perf->slots, &perf->source.frame);
	perf_late_done(&perf->late);
	perf_plan_free(perf->plan);
	free(perf);
}

static int open_source(struct source_context *context, const struct event_group_request *requests,
		       unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_perf *perf = calloc(1, sizeof(*perf));
	struct activity_frame *frame;
	int r;

	if (!perf)
		return -ENOMEM;
	perf->source.ops = &source_perf;
	perf->late.context = context;
	frame = &perf->source.frame;
	r = perf_plan_new(context, PERF_PLAN_CGROUPS, requests, n_requests, &perf->plan);
	if (r == 0) {
		perf->slots = (struct perf_slots){.context = context, .plan = perf->plan};
		frame->n_groups = perf->plan->n_groups;
		frame->groups = perf->plan->groups;
		frame->n_events = perf->plan->n_events;
		frame->n_places = perf->plan->n_places;
		r = perf_slots_reserve(&perf->slots, frame, n_slots ? n_slots : 1);
	}
	if (r == 0)
		r = perf_slots_open(&perf->slots, frame, ACTIVITY_SLOT_MACHINE, "");
	if (r < 0) {
		close_source(&perf->source);
		return r;
	}
	*ret_source = &perf->source;
	return 0;
}

/* A CPU after the other is opened: on average, events count from the middle of that time on. */
static int open_target(struct source_perf *perf, const struct activity_cgroup *cgroup)
{
	const uint64_t before_ns = perf_late_usage(&perf->late, cgroup->path);
	const int r = perf_slots_open(&perf->slots, &perf->source.frame, cgroup->slot, cgroup->path);
	const uint64_t after_ns = r == 0 ? perf_late_usage(&perf->late, cgroup->path) : 0;

	if (r == 0)
		perf_late_note(&perf->late, cgroup->slot,
			       after_ns > before_ns ? before_ns + (after_ns - before_ns) / 2 : before_ns);
	return r;
}

static int add_target(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_perf *perf = (struct source_perf *)source;
	struct reason why;
	int r;

	if (!cgroup->root)
		return 0;
	r = open_target(perf, cgroup);
	/* ENOENT means that the cgroup is gone; one that still exists must not be dropped for it. */
	if (r != -ENOENT || !is_fresh(perf->slots.context, cgroup->path))
		return r;
	r = explain_fresh(perf->slots.context, &why);
	if (!perf->told_fresh)
		log_warning("source", 0, "%s", why.text);
	perf->told_fresh = true;
	return r;
}

static void remove_target(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_perf *perf = (struct source_perf *)source;

	if (!cgroup->root)
		return;
	perf_late_forget(&perf->late, cgroup->slot);
	perf_slots_close(&perf->slots, &source->frame, cgroup->slot);
}

static int read_counts(struct activity_source *source)
{
	struct source_perf *perf = (struct source_perf *)source;

	const int r = perf_slots_read(&perf->slots, &source->frame);

	perf_late_apply(&perf->late, &source->frame);
	return r;
}

const struct activity_source_ops source_perf = {
	.name = "perf",
	.probe = probe,
	.open = open_source,
	.add = add_target,
	.remove = remove_target,
	.read = read_counts,
	.close = close_source,
};
