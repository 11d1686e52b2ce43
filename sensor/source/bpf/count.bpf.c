/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts per cgroup in the kernel: at each switch between two cgroups the counters' deltas go to the cgroup
 * that was running. Loaded by the privileged process; the sensor maps the cells and only reads them. A cgroup
 * that is born gets a cell at once, before anything can run in it, so that even one that is gone when the
 * sensor hears of it has been counted; the sensor takes what is there over into the slot of its target.
 * Where a switch was not traced, the task that now leaves gets the part of the time that the scheduler says
 * it ran; the rest belongs to nobody for sure and goes to `lost`.
 *
 * For verifiers from 5.10 on: no index that a compiler could separate from its check. Loops over events are
 * unrolled, so that every offset is a constant; all other places are found by map lookups, which check the
 * key. What is computed lies in a map, whose values a verifier does not follow: on the stack each event would
 * double the states that it has to look at. No instruction newer than 5.10: atomic additions only, flags are
 * bytes that are stored.
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
	struct cgroup *dfl_cgrp; /* in the v2 hierarchy */
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
/* Cgroups are those of v2, else those of the perf_event hierarchy of v1. Not by perf_event in both: on a v2
 * tree where no controller was ever enabled, the kernel has that of the root for all. */
const volatile unsigned int unified = 0;

/* The events that there are, each with a constant number; what is above n_events is removed at loading. */
#define EACH_EVENT(i) _Pragma("clang loop unroll(full)") for (unsigned int i = 0; i < COUNT_EVENTS_MAX; i++)

struct cpu_state {
	unsigned long long cgroup;
	unsigned long long ns;
	unsigned long long place;
	unsigned long long busy;    /* the program runs here now: one that interrupts it leaves at once */
	unsigned long long enabled; /* that this delta's events were, at most */
	struct bpf_perf_event_value events[COUNT_EVENTS_MAX];
	struct count_cell delta, part;
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
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1); /* n_cpus */
	__type(key, __u32);
	__type(value, __u32);
} places SEC(".maps"); /* CPU -> place */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_cpus */
	__type(key, __u32);
	__type(value, struct count_pulse);
} pulses SEC(".maps");

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
	__uint(max_entries, 1); /* n_slots / 64 + 1, each a byte for 64 slots */
	__type(key, __u32);
	__type(value, struct count_touched);
} touched SEC(".maps"); /* the reader takes the bytes away */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_births, and one whose seq says that births are told */
	__type(key, __u32);
	__type(value, struct count_birth);
} births SEC(".maps"); /* a ring; birth i has the cells of slot n_slots + i */

unsigned long long n_born = 0;

/* Below a power of two. In assembler, as a compiler that knows a bound of its own drops or moves the mask. */
static __always_inline unsigned long long mask(unsigned long long value, unsigned long long power)
{
	asm volatile("%0 &= %1" : "+r"(value) : "ri"(power - 1));
	return value;
}

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

/* Never of zero: a compiler that knows an addend as zero makes an atomic OR of it, which 5.10 does not have.
 */
static __always_inline void add(unsigned long long *to, unsigned long long n)
{
	if (n)
		__sync_fetch_and_add(to, n);
}

static __always_inline void add_cell(struct count_cell *cell, const struct count_cell *delta)
{
	add(&cell->ns, delta->ns);
	add(&cell->enabled, delta->enabled);
	add(&cell->running, delta->running);
	EACH_EVENT(i)
	{
		if (i < n_events)
			add(&cell->events[i], delta->events[i]);
	}
}

/* After the cell: a reader that takes the byte early looks at the cell again in the next tick. */
static __always_inline void touch(__u32 slot)
{
	__u32 key = slot / COUNT_TOUCHED_SLOTS;
	struct count_touched *bytes = bpf_map_lookup_elem(&touched, &key);
	volatile unsigned char *byte;

	if (!bytes)
		return;
	byte = bytes->slots + mask(slot, COUNT_TOUCHED_SLOTS);
	if (!*byte)
		*byte = 1;
}

/* That the program runs on this CPU, and that its events do. */
static __always_inline void beat(unsigned int cpu, unsigned long long now, unsigned long long enabled)
{
	__u32 key = cpu;
	struct count_pulse *pulse = bpf_map_lookup_elem(&pulses, &key);

	if (!pulse)
		return;
	pulse->seen_ns = now;
	pulse->enabled_ns += enabled;
}

/* What the event has counted on this CPU since the last time. */
static __always_inline void take_event(struct cpu_state *state, unsigned int cpu, unsigned int i)
{
	struct bpf_perf_event_value *last = &state->events[i];
	struct bpf_perf_event_value value;
	unsigned long long enabled, running;

	state->delta.events[i] = 0;
	if (bpf_perf_event_read_value(&event_fds, i * n_cpus + cpu, &value, sizeof(value)) != 0)
		return; /* this CPU does not have the event, or not now */
	/* Opened again, as its CPU had been away: it starts from nothing. */
	if (value.enabled < last->enabled || value.counter < last->counter)
		last->counter = last->enabled = last->running = 0;
	enabled = value.enabled - last->enabled;
	running = value.running - last->running;
	state->delta.events[i] = scale(value.counter - last->counter, enabled, running);
	if (enabled > state->enabled)
		state->enabled = enabled;
	if (i == 0) {
		state->delta.enabled = enabled;
		state->delta.running = running;
	}
	last->counter = value.counter;
	last->enabled = value.enabled;
	last->running = value.running;
}

static __always_inline void take_delta(struct cpu_state *state, unsigned int cpu, bool idle)
{
	unsigned long long now = bpf_ktime_get_ns();

	state->delta.ns = idle ? 0 : now - state->ns;
	state->delta.enabled = state->delta.running = 0;
	state->enabled = 0;
	state->ns = now;
	EACH_EVENT(i)
	{
		if (i < n_events)
			take_event(state, cpu, i);
	}
	beat(cpu, now, state->enabled);
}

/* The part of each count that falls into `ns` of the delta's time; what remains stays in the delta. */
static __always_inline void split(struct cpu_state *state, unsigned long long elapsed, unsigned long long ns)
{
	struct count_cell *delta = &state->delta, *part = &state->part;

	part->ns = ns;
	part->enabled = delta->enabled;
	part->running = delta->running;
	delta->ns = elapsed - ns;
	delta->enabled = delta->running = 0;
	EACH_EVENT(i)
	{
		if (i >= n_events)
			continue;
		part->events[i] = delta->events[i] / elapsed * ns + delta->events[i] % elapsed * ns / elapsed;
		delta->events[i] -= part->events[i];
	}
}

static __always_inline void give(unsigned long long cgroup, unsigned int cpu, unsigned long long place,
				 const struct count_cell *delta)
{
	struct count_cell *cell;
	__u32 key = cpu, *slot;

	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta);
	slot = bpf_map_lookup_elem(&slots, &cgroup);
	if (!slot)
		return;
	key = *slot * n_places + (__u32)place;
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

/* The place of this CPU, looked up once. */
static __always_inline void find_place(struct cpu_state *state, unsigned int cpu)
{
	__u32 key = cpu, *place = bpf_map_lookup_elem(&places, &key);

	if (place)
		state->place = *place;
}

/* Gives what was counted to the cgroup that ran until now, for `ran_ns` as far as the scheduler knows; `next`
 * follows. */
static __always_inline void settle(struct cpu_state *state, unsigned int cpu, unsigned long long was,
				   unsigned long long next, unsigned long long ran_ns)
{
	unsigned long long before = state->ns, had = state->cgroup, elapsed;

	take_delta(state, cpu, was == IDLE_ID);
	state->cgroup = next;
	if (before == 0) {
		find_place(state, cpu);
		return;
	}
	if (had == was) {
		give(was, cpu, state->place, &state->delta);
		return;
	}
	elapsed = state->ns - before;
	if (ran_ns > elapsed)
		ran_ns = elapsed;
	if (elapsed == 0 || ran_ns == 0 || was == IDLE_ID) {
		lose(cpu, &state->delta);
		return;
	}
	split(state, elapsed, ran_ns);
	give(was, cpu, state->place, &state->part);
	lose(cpu, &state->delta);
}

static __always_inline void account(unsigned long long was, unsigned long long next,
				    unsigned long long ran_ns)
{
	unsigned int cpu = bpf_get_smp_processor_id();
	struct cpu_state *state;
	__u32 key = 0;

	state = bpf_map_lookup_elem(&states, &key);
	/* A CPU that was not there at the start has no cell yet. A flush that interrupts a move on its CPU
	 * would count the same time twice: it comes again with the next tick. */
	if (!state || cpu >= n_cpus || *(volatile unsigned long long *)&state->busy)
		return;
	*(volatile unsigned long long *)&state->busy = 1;
	settle(state, cpu, was, next, ran_ns);
	*(volatile unsigned long long *)&state->busy = 0;
}

/* Direct loads: allowed for the arguments of a BTF tracepoint. */
static __always_inline unsigned long long id_of(struct task_struct *task)
{
	if (task->pid == 0)
		return IDLE_ID;
	return unified ? task->cgroups->dfl_cgrp->kn->id
		       : task->cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, perf_event_cgrp_id)]
				 ->cgroup->kn->id;
}

/* The cgroup of a task's, by probing. */
static __always_inline struct cgroup *cgroup_of(struct task_struct *task)
{
	struct css_set *cgroups = BPF_CORE_READ(task, cgroups);
	struct cgroup_subsys_state *css = NULL;

	if (unified)
		return BPF_CORE_READ(cgroups, dfl_cgrp);
	bpf_core_read(&css, sizeof(css),
		      &cgroups->subsys[bpf_core_enum_value(enum cgroup_subsys_id, perf_event_cgrp_id)]);
	return BPF_CORE_READ(css, cgroup);
}

static __always_inline unsigned long long id_of_probed(struct task_struct *task)
{
	struct cgroup *cgroup;

	if (BPF_CORE_READ(task, pid) == 0)
		return IDLE_ID;
	cgroup = cgroup_of(task);
	return BPF_CORE_READ(cgroup, kn, id);
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
	/* A wide counter: where it is spilled, the oldest verifiers keep what they know of it. */
	for (unsigned long long place = 0; place < n_places; place++) {
		__u32 key = slot * n_places + (__u32)place;
		struct count_cell *cell;

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
	struct count_birth *birth;
	struct cgroup *mine;
	__u64 id;

	/* Other hierarchies have numbers of their own, which may be the same ones. */
	mine = cgroup_of(task);
	if (BPF_CORE_READ(mine, root) != cgroup->root)
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
