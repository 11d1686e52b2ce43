/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counts per cgroup in the kernel: at each switch between two cgroups, the counters' deltas go to the cgroup
 * that was running. Loaded by the privileged process; the sensor maps the cells read-only. A new cgroup gets
 * a cell before anything can run in it, so that it is counted even if it is removed before the sensor knows
 * it; the sensor then adds the cell's counts to the slot of the target. If a task is switched out of another
 * cgroup than it was switched into, there are two cases. The same task was moved while it ran: counts since
 * the kernel reported the move belong to the new cgroup, earlier ones to the old one. Or it is another task,
 * because a switch was not traced: the scheduler's runtime belongs to this task; the rest cannot be
 * attributed with certainty and goes to `lost`.
 *
 * Written for the verifiers of 5.10 and later: no index that a compiler could separate from its bounds check.
 * Loops over events are unrolled, so that every offset is a constant; everything else is found by map
 * lookups, which check the key. Intermediate values are kept in a map, because the verifier does not track
 * map values: on the stack, each event would double the number of states to verify. No instruction newer
 * than 5.10: atomic additions only; flags are bytes that are stored.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "priv/count.h"

/* The few members of kernel structures that are read; their offsets are relocated at load time (CO-RE). */
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
	unsigned long long prev_sum_exec_runtime; /* when it was last scheduled */
} __attribute__((preserve_access_index));
struct task_struct {
	int pid;
	int tgid;
	struct css_set *cgroups;
	struct sched_entity se;
} __attribute__((preserve_access_index));
enum cgroup_subsys_id { perf_event_cgrp_id = 0 };

#define IDLE_ID 0ULL /* the idle task: its time is not attributed */

const volatile unsigned int n_events = 0;
const volatile unsigned int n_cpus = 1; /* highest CPU number + 1 */
const volatile unsigned int n_places = 1;
const volatile unsigned int n_slots = 1;
const volatile unsigned int n_births = 1;
/* Cgroups are those of v2, else those of the perf_event hierarchy of v1. perf_event cannot be used for both:
 * on a v2 tree where no controller was ever enabled, it is that of the root in every cgroup. */
const volatile unsigned int unified = 0;

/* The events, each with a constant number; code for numbers from n_events on is removed at load time. */
#define EACH_EVENT(i) _Pragma("clang loop unroll(full)") for (unsigned int i = 0; i < COUNT_EVENTS_MAX; i++)

struct cpu_state {
	unsigned long long cgroup;
	unsigned long long ns;
	unsigned long long place;
	unsigned long long task; /* that was switched in last */
	unsigned long long busy; /* the program runs on this CPU: a nested instance returns at once */
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
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct count_cell)); /* COUNT_CELL_SIZE(n_events) */
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count_cell);
} empty SEC(".maps"); /* a cell that is always zero */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 2); /* by CPU: the total; then, by CPU: what was lost */
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct count_cell)); /* COUNT_CELL_SIZE(n_events) */
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_slots / 64 + 1, each a byte for 64 slots */
	__type(key, __u32);
	__type(value, struct count_touched);
} touched SEC(".maps"); /* the reader clears the bytes */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* n_births, and one whose seq shows that births are reported */
	__type(key, __u32);
	__type(value, struct count_birth);
} births SEC(".maps"); /* a ring; birth i has the cells of slot n_slots + i */

unsigned long long n_born = 0;

/* The last moves that the kernel reported, by process number. A move that was overwritten by another process
 * counts as not reported yet. */
#define N_MOVES 256
struct move {
	unsigned long long process, cgroup, ns; /* destination and time */
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, N_MOVES);
	__type(key, __u32);
	__type(value, struct move);
} moves SEC(".maps");

/* Masks to below a power of two. In assembly, because a compiler that has derived a bound drops or moves the
 * mask. */
static __always_inline unsigned long long mask(unsigned long long value, unsigned long long power)
{
	asm volatile("%0 &= %1" : "+r"(value) : "ri"(power - 1));
	return value;
}

/* Never with zero: a compiler that knows the addend to be zero emits an atomic OR, which 5.10 lacks.
 */
static __always_inline void add(unsigned long long *to, unsigned long long n)
{
	if (n)
		__sync_fetch_and_add(to, n);
}

/* Only this CPU writes there. */
static __always_inline void add_here(unsigned long long *to, unsigned long long n)
{
	*(volatile unsigned long long *)to += n;
}

static __always_inline void add_cell(struct count_cell *cell, const struct count_cell *delta, bool is_shared)
{
	void (*const add_to)(unsigned long long *, unsigned long long) = is_shared ? add : add_here;

	add_to(&cell->ns, delta->ns);
	add_to(&cell->enabled, delta->enabled);
	EACH_EVENT(i)
	{
		if (i < n_events) {
			add_to(&cell->events[i].count, delta->events[i].count);
			add_to(&cell->events[i].waited, delta->events[i].waited);
		}
	}
}

/* Set after the cell: a reader that clears the byte too early reads the cell again in the next tick. */
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

/* Records that the program runs on this CPU, then that its events count: in this order, so that a reader in
 * between never takes them for dead. */
static __always_inline void beat(unsigned int cpu, unsigned long long now, unsigned long long enabled)
{
	__u32 key = cpu;
	struct count_pulse *pulse = bpf_map_lookup_elem(&pulses, &key);

	if (!pulse)
		return;
	*(volatile unsigned long long *)&pulse->enabled_ns += enabled;
	*(volatile unsigned long long *)&pulse->seen_ns = now;
}

/* Takes the event's counts on this CPU since the last time. */
static __always_inline void take_event(struct cpu_state *state, unsigned int cpu, unsigned int i)
{
	struct bpf_perf_event_value *last = &state->events[i];
	struct bpf_perf_event_value value;
	unsigned long long enabled, running;

	state->delta.events[i].count = state->delta.events[i].waited = 0;
	if (bpf_perf_event_read_value(&event_fds, i * n_cpus + cpu, &value, sizeof(value)) != 0)
		return; /* the event is not open on this CPU */
	/* Reopened after its CPU was offline: it starts from zero. */
	if (value.enabled < last->enabled || value.counter < last->counter)
		last->counter = last->enabled = last->running = 0;
	enabled = value.enabled - last->enabled;
	running = value.running - last->running;
	state->delta.events[i].count = value.counter - last->counter;
	if (running < enabled)
		state->delta.events[i].waited = enabled - running;
	if (enabled > state->delta.enabled)
		state->delta.enabled = enabled;
	last->counter = value.counter;
	last->enabled = value.enabled;
	last->running = value.running;
}

static __always_inline void take_delta(struct cpu_state *state, unsigned int cpu, bool idle)
{
	unsigned long long now = bpf_ktime_get_ns();

	state->delta.ns = idle ? 0 : now - state->ns;
	state->delta.enabled = 0;
	state->ns = now;
	EACH_EVENT(i)
	{
		if (i < n_events)
			take_event(state, cpu, i);
	}
	beat(cpu, now, state->delta.enabled);
}

/* In two parts, to avoid overflow. */
static __always_inline unsigned long long part_of(unsigned long long all, unsigned long long ns,
						  unsigned long long elapsed)
{
	return all / elapsed * ns + all % elapsed * ns / elapsed;
}

/* Takes the part of each count that falls into `ns` of the delta's time; the rest stays in the delta. */
static __always_inline void split(struct cpu_state *state, unsigned long long elapsed, unsigned long long ns)
{
	struct count_cell *delta = &state->delta, *part = &state->part;

	part->ns = ns;
	part->enabled = part_of(delta->enabled, ns, elapsed);
	delta->ns = elapsed - ns;
	delta->enabled -= part->enabled;
	EACH_EVENT(i)
	{
		if (i >= n_events)
			continue;
		part->events[i].count = part_of(delta->events[i].count, ns, elapsed);
		part->events[i].waited = part_of(delta->events[i].waited, ns, elapsed);
		delta->events[i].count -= part->events[i].count;
		delta->events[i].waited -= part->events[i].waited;
	}
}

static __always_inline void give(unsigned long long cgroup, unsigned int cpu, unsigned long long place,
				 const struct count_cell *delta)
{
	struct count_cell *cell;
	__u32 key = cpu, *slot;

	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta, false);
	slot = bpf_map_lookup_elem(&slots, &cgroup);
	if (!slot)
		return;
	key = *slot * n_places + (__u32)place;
	cell = bpf_map_lookup_elem(&cells, &key);
	if (!cell)
		return;
	add_cell(cell, delta, true);
	touch(*slot);
}

/* Adds counts whose owner is unknown to `lost`. */
static __always_inline void lose(unsigned int cpu, const struct count_cell *delta)
{
	struct count_cell *cell;
	__u32 key = cpu;

	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta, false);
	key = n_cpus + cpu;
	cell = bpf_map_lookup_elem(&totals, &key);
	if (cell)
		add_cell(cell, delta, false);
}

/* This CPU's entries in the maps, looked up once. */
static __always_inline void find_place(struct cpu_state *state, unsigned int cpu)
{
	__u32 key = cpu, *place = bpf_map_lookup_elem(&places, &key);

	if (place)
		state->place = *place;
}

/* Two tasks of a switch, their cgroups, the first one's process, and how long it ran according to the
 * scheduler. */
struct change {
	unsigned long long was, next;
	unsigned long long task, next_task;
	unsigned long long process, ran_ns;
};

static __always_inline struct move *move_of(unsigned long long process)
{
	__u32 key = mask(process, N_MOVES);

	return bpf_map_lookup_elem(&moves, &key);
}

/* Time since the kernel reported the process's move to its present cgroup. Zero if it has not yet: a task
 * that moves itself is in its new cgroup some time before the report, and may lose the CPU there. */
static __always_inline unsigned long long since_move(const struct change *change, unsigned long long now,
						     unsigned long long elapsed)
{
	const struct move *move = move_of(change->process);
	unsigned long long since;

	if (!move || move->process != change->process || move->cgroup != change->was)
		return 0;
	since = now - move->ns;
	return since < elapsed ? since : 0;
}

/* Part of the time that belongs to the cgroup that the task leaves, if it is not the one that was entered. */
static __always_inline unsigned long long part_of_leaver(const struct change *change, unsigned long long now,
							 unsigned long long elapsed, bool moved)
{
	if (change->was == IDLE_ID)
		return 0;
	if (moved)
		return since_move(change, now, elapsed);
	return change->ran_ns < elapsed ? change->ran_ns : elapsed;
}

/* Adds the counts to the cgroup that ran until now, and starts counting for the next one. */
static __always_inline void settle(struct cpu_state *state, unsigned int cpu, const struct change *change)
{
	unsigned long long before = state->ns, had = state->cgroup, elapsed, part = 0;
	bool same = had == change->was, moved = state->task == change->task && change->task != 0;

	take_delta(state, cpu, change->was == IDLE_ID);
	state->cgroup = change->next;
	state->task = change->next_task;
	if (before == 0) {
		find_place(state, cpu);
		return;
	}
	elapsed = state->ns - before;
	if (!same && elapsed != 0)
		part = part_of_leaver(change, state->ns, elapsed, moved);
	if (part != 0) {
		split(state, elapsed, part);
		give(change->was, cpu, state->place, &state->part);
	}
	if (same || moved)
		give(had, cpu, state->place, &state->delta);
	else
		lose(cpu, &state->delta);
}

static __always_inline struct cpu_state *state_here(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&states, &key);
}

static __always_inline void account(struct cpu_state *state, struct change change)
{
	unsigned int cpu = bpf_get_smp_processor_id();

	/* A CPU that was added after the start has no cell. A flush that interrupts a move on its CPU would
	 * count the same time twice: it is left to the next tick. */
	if (cpu >= n_cpus || *(volatile unsigned long long *)&state->busy)
		return;
	*(volatile unsigned long long *)&state->busy = 1;
	settle(state, cpu, &change);
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

/* A task's cgroup, read with probe helpers. */
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

/* A switch within the cgroup that was entered: nothing is counted, but a move of the now running task must be
 * recognised later. */
static __always_inline bool stays(struct cpu_state *state, unsigned long long was, unsigned long long will,
				  unsigned long long next_task)
{
	if (was != will || state->cgroup != was)
		return false;
	state->task = next_task;
	return true;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	unsigned long long was = id_of(previous), will = id_of(next);
	struct cpu_state *state = state_here();

	if (state && !stays(state, was, will, (unsigned int)next->pid))
		account(state,
			(struct change){was, will, (unsigned int)previous->pid, (unsigned int)next->pid,
					(unsigned int)previous->tgid,
					previous->se.sum_exec_runtime - previous->se.prev_sum_exec_runtime});
	return 0;
}

/* For kernels without BTF tracepoints. */
SEC("raw_tp/sched_switch")
int BPF_PROG(on_switch_raw, bool preempt, struct task_struct *previous, struct task_struct *next)
{
	unsigned long long was = id_of_probed(previous), will = id_of_probed(next);
	unsigned long long next_task = (unsigned int)BPF_CORE_READ(next, pid);
	struct cpu_state *state = state_here();

	if (state && !stays(state, was, will, next_task))
		account(state, (struct change){was, will, (unsigned int)BPF_CORE_READ(previous, pid),
					       next_task, (unsigned int)BPF_CORE_READ(previous, tgid),
					       BPF_CORE_READ(previous, se.sum_exec_runtime) -
						       BPF_CORE_READ(previous, se.prev_sum_exec_runtime)});
	return 0;
}

static __always_inline void clear_cells(__u32 slot)
{
	__u32 zero = 0;
	const struct count_cell *none = bpf_map_lookup_elem(&empty, &zero);

	/* A 64-bit counter: the oldest verifiers keep the bounds of a spilled register only at that width. */
	for (unsigned long long place = 0; none && place < n_places; place++) {
		__u32 key = slot * n_places + (__u32)place;

		(void)bpf_map_update_elem(&cells, &key, none, BPF_ANY);
	}
}

/* Never concurrent: the kernel holds cgroup_mutex. Nothing can run in the cgroup before this returns.
 */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(on_birth, struct cgroup *cgroup, const char *path)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	__u32 at = n_born % n_births, slot = n_slots + at, *taken;
	struct count_birth *birth;
	struct cgroup *mine;
	__u64 id;

	/* Other hierarchies have their own IDs, which may be equal. */
	mine = cgroup_of(task);
	if (BPF_CORE_READ(mine, root) != cgroup->root)
		return 0;
	birth = bpf_map_lookup_elem(&births, &at);
	if (!birth)
		return 0;
	/* An older birth that no target has claimed is overwritten. */
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

/* For a whole process the kernel reports only the first thread. If a task moves itself, as a runtime's first
 * process does, its counts so far belong to the cgroup that it leaves. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move, struct cgroup *destination, const char *path, struct task_struct *task,
	     bool threadgroup)
{
	struct task_struct *mover = (struct task_struct *)bpf_get_current_task();
	unsigned long long id = id_of_probed(mover), process = (unsigned int)task->tgid;
	struct move *move = move_of(process);
	struct cpu_state *state = state_here();

	if (move) {
		move->ns = bpf_ktime_get_ns();
		move->process = process;
		move->cgroup = id_of_probed(task);
	}
	if (state && state->ns != 0 && state->cgroup != id &&
	    process == (unsigned int)BPF_CORE_READ(mover, tgid))
		account(state, (struct change){state->cgroup, id, state->task, state->task, process, 0});
	return 0;
}

/* Run once on each CPU in every tick: the running cgroup gets its counts up to now. Never attached. */
SEC("raw_tp/sched_switch")
int flush(void *context)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	unsigned long long id = id_of_probed(task), pid = (unsigned int)BPF_CORE_READ(task, pid);
	struct cpu_state *state = state_here();

	/* A task whose switch-in was not traced is accounted for at its switch-out: only then is the
	 * scheduler's runtime up to date. */
	if (state && (state->ns == 0 || state->cgroup == id || state->task == pid))
		account(state, (struct change){id, id, pid, pid, (unsigned int)BPF_CORE_READ(task, tgid), 0});
	return 0;
}

char license_text[] SEC("license") = "Dual BSD/GPL";
