/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity by BPF: one descriptor per CPU and event, counts per cgroup added up in the kernel at each switch, read here
 * from mapped memory. Costs a comparison for an idle target. Where no event can be counted, CPU time alone is.
 * Needs a right only through priv_client.
 */
#include "source.h"

#include "bpf/count.h"
#include "cleanup.h"
#include "frame.h"
#include "log.h"
#include "perf_plan.h"
#include "priv_client.h"
#include "topology.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SOURCE_BPF_SLOTS 16384 /* targets at once; a cell is 128 bytes for each place */

static const char *const time_events[] = {REPORT_EVENT_CPU_TIME};

struct source_bpf {
	struct activity_source source; /* first: the sensor sees only this */
	struct source_context *context;
	struct perf_plan *plan;        /* NULL: time only */
	struct report_group time_group;
	struct report_place *time_places;
	unsigned n_cpus, n_slots;
	uint32_t *place_of_cpu;
	const struct count_cell *cells, *totals; /* mapped */
	uint64_t *touched; /* mapped; a bit for each slot that has had anything since it was taken away */
	size_t cells_size, totals_size, touched_size;
	struct count_cell *before;        /* [n_slots * n_places] */
	struct count_cell *totals_before; /* [2 * n_cpus] */
	uint32_t *fresh;                  /* slots that were not read yet, then those that have just been */
	unsigned n_fresh, n_first;
	unsigned n_used;                  /* slots below this number may be open */
};

static void *map_array(int fd, size_t n, size_t each, int protection, size_t *ret_size)
{
	void *array;

	*ret_size = n * each;
	array = mmap(NULL, *ret_size, protection, MAP_SHARED, fd, 0);
	(void)close(fd);
	return array == MAP_FAILED ? NULL : array;
}

static void unmap_arrays(struct source_bpf *bpf)
{
	if (bpf->cells)
		(void)munmap((void *)(uintptr_t)bpf->cells, bpf->cells_size);
	if (bpf->totals)
		(void)munmap((void *)(uintptr_t)bpf->totals, bpf->totals_size);
	if (bpf->touched)
		(void)munmap(bpf->touched, bpf->touched_size);
	free(bpf->time_places);
	free(bpf->place_of_cpu);
	free(bpf->before);
	free(bpf->totals_before);
	free(bpf->fresh);
}

static void source_bpf_close(struct activity_source *source)
{
	struct source_bpf *bpf = (struct source_bpf *)source;

	if (!bpf)
		return;
	unmap_arrays(bpf);
	frame_done(&bpf->source.frame);
	perf_plan_free(bpf->plan);
	free(bpf);
}

/* Places by socket, or by CPU, for time alone; a plan brings its own. */
static int make_time_group(struct source_bpf *bpf)
{
	const struct topology *topology = bpf->context->topology;
	const unsigned n = bpf->context->per_cpu ? topology->n_cpus : topology->n_packages;

	bpf->time_places = calloc(n, sizeof(*bpf->time_places));
	if (!bpf->time_places)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		if (bpf->context->per_cpu)
			bpf->time_places[i] = (struct report_place){topology->cpus[i].package, topology->cpus[i].id};
		else
			bpf->time_places[i] =
				(struct report_place){topology->packages[i].id, topology->packages[i].first_cpu};
	}
	bpf->time_group = (struct report_group){.name = REPORT_GROUP_CPUSTAT, .n_events = 1, .events = time_events,
						.n_places = n, .places = bpf->time_places};
	return 0;
}

static int shape_frame(struct source_bpf *bpf)
{
	struct activity_frame *frame = &bpf->source.frame;
	const struct topology *topology = bpf->context->topology;
	const struct report_place *places;
	int r = bpf->plan ? 0 : make_time_group(bpf);

	if (r < 0)
		return r;
	frame->n_groups = bpf->plan ? bpf->plan->n_groups : 1;
	frame->groups = bpf->plan ? bpf->plan->groups : &bpf->time_group;
	frame->n_events = bpf->plan ? bpf->plan->n_events : 1;
	frame->n_places = bpf->plan ? bpf->plan->n_places : bpf->time_group.n_places;
	bpf->n_cpus = topology->cpus[topology->n_cpus - 1].id + 1;
	bpf->place_of_cpu = calloc(bpf->n_cpus, sizeof(*bpf->place_of_cpu));
	if (!bpf->place_of_cpu)
		return -ENOMEM;
	places = frame->groups[0].places;
	for (unsigned i = 0; i < topology->n_cpus; i++)
		for (unsigned p = 0; p < frame->n_places; p++)
			if (bpf->context->per_cpu ? places[p].cpu == topology->cpus[i].id :
						    places[p].package == topology->cpus[i].package)
				bpf->place_of_cpu[topology->cpus[i].id] = p;
	return 0;
}

static int open_events(struct source_bpf *bpf)
{
	const struct perf_plan *plan = bpf->plan;

	for (unsigned i = 0; plan && i < plan->n_units; i++) {
		const struct perf_unit *unit = &plan->units[i];
		const struct priv_group group = {.cgroup = "", .cpu = unit->cpu, .n_events = unit->n_events,
						 .events = plan->attrs + unit->first};
		int r = priv_client_bpf_group(bpf->context->priv, &group, plan->columns + unit->first);

		if (r < 0)
			return r;
	}
	return 0;
}

static int start_program(struct source_bpf *bpf)
{
	const unsigned n_places = bpf->source.frame.n_places;
	const struct priv_bpf_shape shape = {.n_events = bpf->plan ? bpf->plan->n_events : 0, .n_cpus = bpf->n_cpus,
					     .n_places = n_places, .n_slots = bpf->n_slots,
					     .place_of_cpu = bpf->place_of_cpu};
	int fds[PRIV_BPF_MAPS];
	int r = priv_client_bpf_load(bpf->context->priv, &shape);

	if (r == 0)
		r = open_events(bpf);
	if (r == 0)
		r = priv_client_bpf_attach(bpf->context->priv, fds);
	if (r < 0)
		return r;
	bpf->cells = map_array(fds[0], (size_t)bpf->n_slots * n_places, sizeof(*bpf->cells), PROT_READ,
			       &bpf->cells_size);
	bpf->totals = map_array(fds[1], (size_t)bpf->n_cpus * 2, sizeof(*bpf->totals), PROT_READ, &bpf->totals_size);
	bpf->touched = map_array(fds[2], bpf->n_slots / 64 + 1, sizeof(*bpf->touched), PROT_READ | PROT_WRITE,
				 &bpf->touched_size);
	bpf->before = calloc((size_t)bpf->n_slots * n_places, sizeof(*bpf->before));
	bpf->totals_before = calloc((size_t)bpf->n_cpus * 2, sizeof(*bpf->totals_before));
	bpf->fresh = calloc(bpf->n_slots, sizeof(*bpf->fresh));
	if (!bpf->cells || !bpf->totals || !bpf->touched || !bpf->before || !bpf->totals_before || !bpf->fresh)
		return -ENOMEM;
	memcpy(bpf->totals_before, bpf->totals, bpf->totals_size);
	return 0;
}

/* Fewer slots where memory for cells would be large: many CPUs kept apart. */
static unsigned slots_for(const struct source_bpf *bpf, unsigned wanted)
{
	const unsigned fit = (64u << 20) / (unsigned)sizeof(struct count_cell) / bpf->source.frame.n_places;
	unsigned n = wanted > SOURCE_BPF_SLOTS ? wanted : SOURCE_BPF_SLOTS;

	n = n > PRIV_BPF_SLOTS_MAX ? PRIV_BPF_SLOTS_MAX : n;
	return n > fit && fit > 64 ? fit : n;
}

static int source_bpf_open(struct source_context *context, const struct event_group_request *requests,
			   unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_bpf *bpf = calloc(1, sizeof(*bpf));
	char why[PERF_PLAN_WHY_SIZE];
	int r = 0;

	if (!bpf)
		return -ENOMEM;
	bpf->source.ops = &source_bpf;
	bpf->context = context;
	if (perf_plan_probe(context, PERF_PLAN_CGROUPS, requests, n_requests, why) == 0)
		r = perf_plan_new(context, PERF_PLAN_CGROUPS, requests, n_requests, &bpf->plan);
	else
		log_notice("source", 0, "no event can be counted (%s); CPU time is counted instead", why);
	if (r == 0 && bpf->plan && bpf->plan->n_events > COUNT_EVENTS_MAX)
		r = -E2BIG;
	if (r == 0)
		r = shape_frame(bpf);
	if (r == 0) {
		bpf->n_slots = slots_for(bpf, n_slots);
		r = frame_reserve(&bpf->source.frame, n_slots ? n_slots : 1, bpf->plan != NULL);
	}
	if (r == 0)
		r = start_program(bpf);
	if (r < 0) {
		source_bpf_close(&bpf->source);
		return r;
	}
	bpf->source.frame.flags[ACTIVITY_SLOT_MACHINE] = ACTIVITY_OPEN;
	*ret_source = &bpf->source;
	return 0;
}

/* Does it work here? Loads, attaches, runs once on every CPU and looks whether time was counted. */
static int source_bpf_probe(struct source_context *context, const struct event_group_request *requests,
			    unsigned n_requests, char *why, size_t why_size)
{
	struct source_bpf bpf = {.context = context, .n_slots = 1};
	unsigned long long ns = 0;
	int r;

	(void)requests;
	(void)n_requests;
	if (context->cgroups_without_perf) {
		(void)snprintf(why, why_size, "the cgroups that are watched are not those of perf events, by which BPF counts. "
			       "Leave -p out, or name the hierarchy of perf_event");
		return -EOPNOTSUPP;
	}
	r = shape_frame(&bpf);
	if (r == 0)
		r = start_program(&bpf);
	if (r == 0)
		r = priv_client_bpf_flush(context->priv);
	for (unsigned cpu = 0; r == 0 && cpu < bpf.n_cpus; cpu++)
		ns += bpf.totals[cpu].ns + bpf.totals[bpf.n_cpus + cpu].ns;
	if (r == 0 && ns == 0)
		r = -ENODATA;
	if (r < 0)
		(void)snprintf(why, why_size, "BPF counting does not work here (%s%s%s). It needs Linux 5.10 with BTF, and root "
			       "or CAP_BPF and CAP_PERFMON", priv_client_cause(context->priv),
			       priv_client_cause(context->priv)[0] ? ": " : "", strerror(-r));
	unmap_arrays(&bpf);
	return r;
}

static int source_bpf_add(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_bpf *bpf = (struct source_bpf *)source;
	struct activity_frame *frame = &source->frame;
	const size_t first = (size_t)cgroup->slot * frame->n_places;
	int r;

	if (cgroup->slot >= bpf->n_slots)
		return -EMFILE;
	if (cgroup->root) {
		r = frame_reserve(frame, cgroup->slot + 1, bpf->plan != NULL);
		if (r < 0)
			return r;
		memcpy(bpf->before + first, bpf->cells + first, frame->n_places * sizeof(*bpf->before));
	}
	r = priv_client_bpf_map(bpf->context->priv, cgroup->id, cgroup->slot);
	if (r < 0 || !cgroup->root)
		return r;
	frame->flags[cgroup->slot] = ACTIVITY_OPEN;
	if (bpf->n_fresh < bpf->n_slots)
		bpf->fresh[bpf->n_fresh++] = cgroup->slot;
	if (cgroup->slot >= bpf->n_used)
		bpf->n_used = cgroup->slot + 1;
	return 0;
}

static void source_bpf_remove(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_bpf *bpf = (struct source_bpf *)source;

	(void)priv_client_bpf_unmap(bpf->context->priv, cgroup->id);
	if (cgroup->root && cgroup->slot < source->frame.n_slots)
		frame_free_slot(&source->frame, cgroup->slot);
}

/* Adds what a cell has had since `before` to a place of a slot. */
static bool take_cell(struct source_bpf *bpf, const struct count_cell *cell, struct count_cell *before,
		      unsigned slot, unsigned place)
{
	struct activity_frame *frame = &bpf->source.frame;
	uint64_t *counts = frame_counts(frame, slot) + (size_t)place * frame->n_events;
	const struct count_cell now = *cell;
	bool any = false;

	if (!bpf->plan) {
		counts[0] += now.ns - before->ns;
		any = now.ns > before->ns;
	}
	for (unsigned e = 0; bpf->plan && e < frame->n_events; e++) {
		counts[e] += now.events[e] - before->events[e];
		any |= now.events[e] > before->events[e];
	}
	for (unsigned g = 0; frame->enabled_ns && g < frame->n_groups; g++) {
		const size_t at = ((size_t)slot * frame->n_places + place) * frame->n_groups + g;

		frame->enabled_ns[at] += now.enabled - before->enabled;
		frame->running_ns[at] += now.running - before->running;
	}
	*before = now;
	return any;
}

static void clear_slot(struct activity_frame *frame, unsigned slot)
{
	const size_t n_times = (size_t)frame->n_places * frame->n_groups;

	memset(frame_counts(frame, slot), 0, (size_t)frame->n_places * frame->n_events * sizeof(uint64_t));
	if (!frame->enabled_ns)
		return;
	memset(frame->enabled_ns + slot * n_times, 0, n_times * sizeof(uint64_t));
	memset(frame->running_ns + slot * n_times, 0, n_times * sizeof(uint64_t));
}

static void read_machine(struct source_bpf *bpf)
{
	struct activity_frame *frame = &bpf->source.frame;

	clear_slot(frame, ACTIVITY_SLOT_MACHINE);
	frame->lost_ns = 0;
	for (unsigned cpu = 0; cpu < bpf->n_cpus; cpu++) {
		const unsigned lost = bpf->n_cpus + cpu;

		(void)take_cell(bpf, &bpf->totals[cpu], &bpf->totals_before[cpu], ACTIVITY_SLOT_MACHINE,
				bpf->place_of_cpu[cpu]);
		frame->lost_ns += bpf->totals[lost].ns - bpf->totals_before[lost].ns;
		bpf->totals_before[lost] = bpf->totals[lost];
	}
}

/* New slots are marked for one read. */
static void mark_first(struct source_bpf *bpf)
{
	uint8_t *flags = bpf->source.frame.flags;
	unsigned n = 0;

	for (unsigned i = 0; i < bpf->n_first; i++)
		flags[bpf->fresh[i]] &= (uint8_t)~ACTIVITY_FIRST;
	for (unsigned i = bpf->n_first; i < bpf->n_fresh; i++)
		bpf->fresh[n++] = bpf->fresh[i];
	bpf->n_first = bpf->n_fresh = n;
	for (unsigned i = 0; i < n; i++)
		if (flags[bpf->fresh[i]] & ACTIVITY_OPEN)
			flags[bpf->fresh[i]] |= ACTIVITY_FIRST;
}

static void read_slot(struct source_bpf *bpf, unsigned slot)
{
	struct activity_frame *frame = &bpf->source.frame;
	const size_t first = (size_t)slot * frame->n_places;
	bool any = false;

	if (slot >= frame->n_slots || !(frame->flags[slot] & ACTIVITY_OPEN))
		return;
	for (unsigned p = 0; p < frame->n_places; p++)
		any |= take_cell(bpf, &bpf->cells[first + p], &bpf->before[first + p], slot, p);
	if (any)
		frame->active[frame->n_active++] = slot;
}

static int source_bpf_read(struct activity_source *source)
{
	struct source_bpf *bpf = (struct source_bpf *)source;
	struct activity_frame *frame = &source->frame;
	int r = priv_client_bpf_flush(bpf->context->priv);

	if (r < 0)
		frame->read_failures++; /* what runs now is late by a tick, nothing is lost */
	for (unsigned i = 0; i < frame->n_active; i++)
		if (frame->active[i] < frame->n_slots)
			clear_slot(frame, frame->active[i]);
	frame->n_active = 0;
	read_machine(bpf);
	mark_first(bpf);
	for (unsigned word = 0; word <= bpf->n_used / 64; word++) {
		uint64_t bits = bpf->touched[word] ? __atomic_exchange_n(&bpf->touched[word], 0, __ATOMIC_ACQ_REL) : 0;

		for (; bits != 0; bits &= bits - 1)
			read_slot(bpf, word * 64 + (unsigned)__builtin_ctzll(bits));
	}
	return r;
}

const struct activity_source_ops source_bpf = {
	.name = "bpf",
	.probe = source_bpf_probe,
	.open = source_bpf_open,
	.add = source_bpf_add,
	.remove = source_bpf_remove,
	.read = source_bpf_read,
	.close = source_bpf_close,
};
