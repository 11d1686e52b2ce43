/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts per cgroup in the kernel: at each switch between two cgroups the counters' deltas go to the cgroup
 * that was running. Loaded by the privileged process; the sensor maps the cells and only reads them. A cgroup
 * that is born gets a cell at once, before anything can run in it, so that even one that is gone when the
 * sensor hears of it has been counted; the sensor takes what is there over into the slot of its target.
 * Where a switch was not traced, the task that now leaves gets the part of the time that the scheduler says
 * it ran; the rest belongs to nobody for sure and goes to `lost`.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "priv/count.h"

/* The few members of kernel structures that are read; their places are filled in at loading. */
struct kernfs_node {
	const char *name;
	unsigned long long id;
} __attribute__((preserve_access_index));
struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
} __attribute__((preserve_access_index));
struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root; /* its hierarchy */
} __attribute__((preserve_access_index));
struct css_set {
	struct cgroup_subsys_state *subsys[16];
} __attribute__((preserve_access_index));
struct sched_entity {
	unsigned long long sum_exec_runtime;
	unsigned long long prev_sum_exec_runtime; /* when it was chosen to run */
} __attribute__((preserve_access_index));
struct task_struct {
	int pid;
	struct css_set *cgroups;
	struct sched_entity se;
} __attribute__((preserve_access_index));
enum cgroup_subsys_id { perf_event_cgrp_id = 0 };

#define IDLE_ID 0ULL /* the idle task: its time is nobody's */

const volatile unsigned int n_events = 0;
const volatile unsigned int n_cpus = 1; /* highest CPU number + 1 */
const volatile unsigned int n_places = 1;
const volatile unsigned int n_slots = 1;
const volatile unsigned int n_births = 1;
const volatile unsigned int place_of_cpu[COUNT_CPUS_MAX] = {};

struct cpu_state {
	unsigned long long cgroup;
	unsigned long long ns;
	struct bpf_perf_event_value events[COUNT_EVENTS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
	__uint(max_entries, 1); /* n_events * n_cpus */
} event_fds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cpu_state);
} states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} slots SEC(".maps"); /* cgroup id -> slot */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* (n_slots + n_births) * n_places */
	__type(key, __u32);
	__type(value, struct count_cell);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2); /* by CPU: all there was; then by CPU: what is lost */
	__type(key, __u32);
	__type(value, struct count_cell);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_slots / 64 */
	__type(key, __u32);
	__type(value, __u64);
} touched SEC(".maps"); /* a bit for each slot that has had anything; the reader takes it away */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_births, and one whose seq says that births are told */
	__type(key, __u32);
	__type(value, struct count_birth);
} births SEC(".maps"); /* a ring; birth i has the cells of slot n_slots + i */

unsigned long long n_born = 0;

static __always_inline unsigned long long scale(unsigned long long count, unsigned long long enabled,
						unsigned long long running)
{
	if (running >= enabled)
		return count;
	if (running == 0)
		return 0;
	/* in two parts, so that nothing overflows */
	return count / running * enabled + count % running * enabled / running;
}

static __always_inline void add_cell(struct count_cell *cell, const struct count_cell *delta)
{
	unsigned int i;

	__sync_fetch_and_add(&cell->ns, delta->ns);
	__sync_fetch_and_add(&cell->enabled, delta->enabled);
	__sync_fetch_and_add(&cell->running, delta->running);
	for (i = 0; i < COUNT_EVENTS_MAX; i++) {
		if (i >= n_events)
			break;
		if (delta->events[i])
			__sync_fetch_and_add(&cell->events[i], delta->events[i]);
	}
}

/* After the cell: a reader that takes the bit early finds the rest of it by the next bit. */
static __always_inline void touch(__u32 slot)
{
	const __u64 bit = 1ULL << (slot & 63);
	__u32 key = slot >> 6;
	__u64 *word = bpf_map_lookup_elem(&touched, &key);

	if (word && !(*(volatile __u64 *)word & bit))
		__sync_fetch_and_or(word, bit);
}

/* What has been counted on this CPU since the last time. */
static __always_inline void take_delta(struct cpu_state *state, unsigned int cpu, bool idle,
				       struct count_cell *delta)
{
	unsigned long long now = bpf_ktime_get_ns();
	unsigned int i;

	delta->ns = idle ? 0 : now - state->ns;
	state->ns = now;
	for (i = 0; i < COUNT_EVENTS_MAX; i++) {
		struct bpf_perf_event_value value = {};
		struct bpf_perf_event_value *last = &state->events[i];

		if (i >= n_events)
			break;
		if (bpf_perf_event_read_value(&event_fds, i * n_cpus + cpu, &value, sizeof(value)) != 0)
			continue; /* this CPU does not have the event, or not now */
		/* Reopened after its CPU was offline: it starts from nothing. */
		if (value.enabled < last->enabled || value.counter < last->counter)
			*last = (struct bpf_perf_event_value){};
		delta->events[i] = scale(value.counter - last->counter, value.enabled - last->enabled,
					 value.running - last->running);
		if (i == 0) {
			delta->enabled = value.enabled - last->enabled;
			delta->running = value.running - last->running;
		}
		*last = value;
	}
}

/* The part of each count that falls into `ns` of the delta's time; what remains stays in the delta. */
static __always_inline void split(struct count_cell *delta, unsigned long long elapsed, unsigned long long ns,
				  struct count_cell *part)
{
	unsigned int i;

	part->ns = ns;
	part->enabled = delta->enabled;
	part->running = delta->running;
	delta->ns = elapsed - ns;
	delta->enabled = delta->running = 0;
	for (i = 0; i < COUNT_EVENTS_MAX; i++) {
		if (i >= n_events)
			break;
		part->events[i] = delta->events[i] / elapsed * ns + delta->events[i] % elapsed * ns / elapsed;
		delta->events[i] -= part->events[i];
	}
}

static __always_inline void give(unsigned long long cgroup, unsigned int cpu, const struct count_cell *delta)
{
	struct count_cell *cell;
	__u32 key = cpu, *slot;

	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta);
	slot = bpf_map_lookup_elem(&slots, &cgroup);
	if (!slot)
		return;
	key = *slot * n_places + place_of_cpu[cpu];
	cell = bpf_map_lookup_elem(&cells, &key);
	if (!cell)
		return;
	add_cell(cell, delta);
	touch(*slot);
}

/* It was there, but whose it is cannot be said. */
static __always_inline void lose(unsigned int cpu, const struct count_cell *delta)
{
	struct count_cell *cell;
	__u32 key = cpu;

	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta);
	key = n_cpus + cpu;
	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta);
}

/* Gives what was counted to the cgroup that ran until now, for `ran_ns` as far as the scheduler knows; `next`
 * follows. */
static __always_inline void account(unsigned long long was, unsigned long long next,
				    unsigned long long ran_ns)
{
	struct count_cell delta = {}, part = {};
	unsigned int cpu = bpf_get_smp_processor_id();
	unsigned long long before, had, elapsed;
	struct cpu_state *state;
	__u32 key = 0;

	state = bpf_map_lookup_elem(&states, &key);
	if (!state || cpu >= COUNT_CPUS_MAX || cpu >= n_cpus)
		return; /* a CPU that was not there at the start has no cell */
	before = state->ns;
	had = state->cgroup;
	take_delta(state, cpu, was == IDLE_ID, &delta);
	state->cgroup = next;
	if (before == 0)
		return;
	if (had == was) {
		give(was, cpu, &delta);
		return;
	}
	elapsed = state->ns - before;
	if (ran_ns > elapsed)
		ran_ns = elapsed;
	if (elapsed == 0 || ran_ns == 0 || was == IDLE_ID) {
		lose(cpu, &delta);
		return;
	}
	split(&delta, elapsed, ran_ns, &part);
	give(was, cpu, &part);
	lose(cpu, &delta);
}

/* Direct loads: allowed for the arguments of a BTF tracepoint. */
static __always_inline unsigned long long id_of(struct task_struct *task)
{
	return task->pid == 0
		       ? IDLE_ID
		       : task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, perf_event_cgrp_id)]
				 ->cgroup->kn->id;
}

static __always_inline unsigned long long id_of_probed(struct task_struct *task)
{
	struct cgroup_subsys_state *css = NULL;
	struct css_set *cgroups;

	if (BPF_CORE_READ(task, pid) == 0)
		return IDLE_ID;
	cgroups = BPF_CORE_READ(task, cgroups);
	bpf_core_read(&css, sizeof(css),
		      &cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, perf_event_cgrp_id)]);
	return BPF_CORE_READ(css, cgroup, kn, id);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	unsigned long long was = id_of(previous), will = id_of(next);

	if (was != will)
		account(was, will, previous->se.sum_exec_runtime - previous->se.prev_sum_exec_runtime);
	return 0;
}

/* For kernels without BTF tracepoints. */
SEC("raw_tp/sched_switch")
int BPF_PROG(on_switch_raw, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	unsigned long long was = id_of_probed(previous), will = id_of_probed(next);

	if (was != will)
		account(was, will,
			BPF_CORE_READ(previous, se.sum_exec_runtime) -
				BPF_CORE_READ(previous, se.prev_sum_exec_runtime));
	return 0;
}

static __always_inline void clear_cells(__u32 slot)
{
	unsigned int place;

	for (place = 0; place < COUNT_CPUS_MAX; place++) {
		__u32 key = slot * n_places + place;
		struct count_cell *cell;

		if (place >= n_places)
			break;
		cell = bpf_map_lookup_elem(&cells, &key);
		if (cell)
			__builtin_memset(cell, 0, sizeof(*cell));
	}
}

/* One at a time: the kernel holds its lock of all cgroups. Nothing can run in the cgroup before this returns.
 */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_birth, struct cgroup *cgroup, const char *path)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 at = n_born % n_births, slot = n_slots + at, *taken;
	struct cgroup_subsys_state *css = NULL;
	struct count_birth *birth;
	struct css_set *cgroups;
	__u64 id;

	/* Other hierarchies have numbers of their own, which may be the same ones. */
	cgroups = BPF_CORE_READ(task, cgroups);
	bpf_core_read(&css, sizeof(css),
		      &cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, perf_event_cgrp_id)]);
	if (BPF_CORE_READ(css, cgroup, root) != cgroup->root)
		return 0;
	birth = bpf_map_lookup_elem(&births, &at);
	if (!birth)
		return 0;
	/* What was here before and is nobody's target gives way. */
	id = birth->id;
	taken = bpf_map_lookup_elem(&slots, &id);
	if (taken && *taken == slot)
		bpf_map_delete_elem(&slots, &id);
	*(volatile unsigned long long *)&birth->seq = 0;
	clear_cells(slot);
	id = cgroup->kn->id;
	birth->id = id;
	birth->parent = BPF_CORE_READ(cgroup, self.parent, cgroup, kn, id);
	if (bpf_probe_read_kernel_str(birth->name, sizeof(birth->name), cgroup->kn->name) < 0)
		birth->name[0] = '\0';
	if (bpf_map_update_elem(&slots, &id, &slot, BPF_ANY) < 0)
		return 0;
	*(volatile unsigned long long *)&birth->seq = ++n_born;
	return 0;
}

/* A task that moves itself, as a runtime's first process does: what it did before was in the cgroup that it
 * leaves. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move, struct cgroup *destination, const char *path, struct task_struct *task,
	     bool threadgroup)
{
	unsigned long long id = id_of_probed((struct task_struct *)bpf_get_current_task());
	struct cpu_state *state;
	__u32 key = 0;

	state = bpf_map_lookup_elem(&states, &key);
	if (state && state->ns != 0 && state->cgroup != id)
		account(state->cgroup, id, 0);
	return 0;
}

/* Run once on each CPU in every tick: whoever runs now gets what it has had so far. Never attached. */
SEC("raw_tp/sched_switch")
int flush(void *context)
{
	unsigned long long id = id_of_probed((struct task_struct *)bpf_get_current_task());
	struct cpu_state *state;
	__u32 key = 0;

	/* A task whose coming was not traced is settled when it goes: only then the scheduler's figures are
	 * fresh. */
	state = bpf_map_lookup_elem(&states, &key);
	if (state && (state->ns == 0 || state->cgroup == id))
		account(id, id, 0);
	return 0;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
