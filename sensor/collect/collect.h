/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's `collect` process: watches cgroups, reads all sources in each tick, makes documents and passes
 * them to `write`. It has no privileges; `priv` opens everything that needs them.
 */
#pragma once

#include "document/batch.h"
#include "cgroup/cgroup.h"
#include "cgroup/cgroup_watch.h"
#include "source/choose.h"
#include "priv/container_file.h"
#include "machine/cpu_gaps.h"
#include "machine/cpu_online.h"
#include "collect/collect_gpu.h"
#include "collect/edges.h"
#include "collect/encode.h"
#include "write/link.h"
#include "process/loop.h"
#include "config/sensor_config.h"
#include "source/source.h"
#include "target/target.h"
#include "collect/machine_facts.h"
#include "machine/topology.h"

#define COLLECT_SYSTEMS_MAX (SENSOR_GROUPS_MAX + 1) /* one for the GPUs */

/* Targets for which the activity source had no descriptor or cell: they are counted by CPU time instead. */
struct collect_overflow {
	struct activity_source *source;  /* NULL: not needed, or none works here */
	struct activity_cgroup *cgroups; /* [n], their own ones */
	unsigned n, capacity;
	uint8_t *quiet; /* [n_quiet], by slot: ticks since the activity source last counted anything there */
	unsigned n_quiet, quiet_capacity;
	unsigned next_quiet; /* where the search for one continues */
	uint64_t
		lost_ns; /* CPU time counted by neither source while targets moved back after the last tick */
};

struct collect;

/*
 * A replacement for this machine: opens, runs and closes a simulated one. sensor/ knows only these calls; the
 * simulation is in another program.
 */
struct collect_machine {
	/* Sets topology, clock, context.simulated and open_file. 0, or a negative errno after a message. */
	int (*open)(struct collect *collect);
	/* Starts the ticks instead of the timer. */
	int (*start)(struct collect *collect);
	/* The writer has caught up: ticks may continue. */
	void (*resume)(struct collect *collect);
	void (*close)(struct collect *collect);
};

struct collect {
	struct sensor_config *config;
	const struct collect_machine *simulated; /* NULL: this machine */
	struct loop loop;
	/* the machine */
	struct topology topology;
	struct machine_facts facts;
	struct cpu_online online;
	struct cpu_gaps gaps; /* of this tick */
	bool cpus_changed;    /* in this tick */
	struct cgroup_layout layout;
	struct source_context context;
	char boot_id[40];
	/* sources */
	struct collect_gpu *gpu; /* NULL: none */
	struct system_source *systems[COLLECT_SYSTEMS_MAX];
	const struct event_group_request
		*requests[COLLECT_SYSTEMS_MAX]; /* the request that each of them serves */
	unsigned n_systems;
	uint64_t *first; /* [first_capacity] what a system source read first, collect_again.c */
	size_t first_capacity;
	struct activity_source *activity;
	struct target_source *measured; /* energy of some targets; NULL: none */
	struct target_load *loads;      /* [loads_capacity] */
	unsigned loads_capacity;
	struct collect_overflow overflow;
	const struct system_source_ops *energy_source; /* NULL: none */
	/* targets */
	struct cgroup_watch *watch;
	container_file_opener open_file; /* for names of containers; through priv, except in a simulation */
	void *open_data;
	struct target_table *table;
	/* a tick's work */
	struct encoder *encoder;
	struct batch reports, documents;
	uint8_t *receive; /* for messages of `write` */
	struct link_sender link;
	uint64_t seq;
	uint64_t last_energy_ns;
	struct edges edges;
	uint64_t lost[REPORT_LOST_CAUSES]; /* since start */
	uint64_t writer_lost;              /* as the present writer counts it */
	uint64_t writer_lost_all;          /* of the losses since start, those by any writer */
	uint64_t writer_done;              /* ticks that it has stored or spooled */
	uint64_t writer_heard_ns;          /* when it last reported progress; 0: never */
	bool writer_silent;                /* it has not reported for too long, which was logged */
	int64_t last_time_ms;
	bool clock_behind;
	bool told_overflow;
	unsigned told_nameless; /* causes already logged, one bit each */
	unsigned n_rescans;
	bool told_unseen;
	/* watchers */
	struct loop_tick tick;
	ev_io watch_io, link_read, link_write;
	ev_timer rescan, watchdog, discovery_pause, edge, keep;
	struct choose_extent extent; /* largest number of energy counters so far */
	unsigned n_wider_tries;
	uint64_t better_ns, better_wait_ns; /* time of the next search for a better energy source, and the
					       interval after it */
	bool stopping;
	int result;
};

/*
 * Runs the duty: returns the process's exit code. The sockets are at DUTY_SOCKET_FD (priv) and DUTY_EXTRA_FD
 * (write). simulated: NULL for this machine.
 */
int collect_main(struct sensor_config *config, const struct collect_machine *simulated);

/* collect_open.c: opens everything, in order, and closes it. */
int collect_open(struct collect *collect);
void collect_close(struct collect *collect);
/*
 * The machine's CPUs have changed: reopens topology and sources, and all targets join again. Called between
 * two ticks.
 */
void collect_reopen_sources(struct collect *collect);
/* The folders of container runtimes, from the configuration. Also used by priv. */
void collect_container_roots(const struct sensor_config *config, struct container_roots *ret_roots);
/* collect_targets.c: the table's calls, passed on to the activity source. */
void collect_target_events(struct collect *collect, struct target_events *ret_events);
/* Handles cgroups created and removed since the last call, reported by the activity source and inotify. */
void collect_discover(struct collect *collect);
/* Logs once that containers are outside the watched cgroup hierarchy. */
void collect_find_unseen(struct collect *collect);
/* After a tick: removes departed cgroups from the source, and frees ended slots. */
void collect_release_ended(struct collect *collect);
/* Adds the counts of an ended target to its successor of the same name, so that one report has both. */
void collect_merge_successors(struct collect *collect);
/*
 * collect_overflow.c: a cheaper source for targets that the activity source refused with -EMFILE. open: at
 * start, before privileges are dropped. add: 0, or a negative errno when it cannot be counted here either.
 * remove: false when the cgroup's target is not here. frame: NULL while there is none. move_back: after a
 * tick, the busiest targets return to the activity source if it has room again.
 */
void collect_overflow_open(struct collect *collect);
void collect_overflow_close(struct collect_overflow *overflow);
int collect_overflow_add(struct collect *collect, const struct activity_cgroup *cgroup);
bool collect_overflow_remove(struct collect_overflow *overflow, const struct activity_cgroup *cgroup);
bool collect_overflow_has(const struct collect_overflow *overflow, unsigned slot);
struct activity_frame *collect_overflow_frame(const struct collect_overflow *overflow);
/* After each tick: the busiest return to the activity source if it has room, or can free some. */
void collect_overflow_balance(struct collect *collect);
/*
 * collect_measured.c: energy that the hardware counts for targets. open: once, after a check of --resctrl;
 * negative: it is required. balance: after a tick, the busiest are measured.
 */
int collect_measured_open(struct collect *collect);
void collect_measured_balance(struct collect *collect);
void collect_measured_close(struct collect *collect);
/* Creates an encoder for the present sources. */
struct encoder *collect_new_encoder(struct collect *collect);
/* collect_energy.c: starts readings between ticks if counters may wrap within one. */
void collect_keep_energy(struct collect *collect);
/* After a tick: from time to time, looks for a better source than the one in use. */
void collect_better_energy(struct collect *collect);
/* Records the present energy counters before the sources are opened. */
void collect_note_energy(struct collect *collect);
/*
 * collect_cpus.c: CPUs that go offline and come back. look: before a tick's reading. take_back: after it.
 * take_new: after its reports.
 */
void collect_open_cpus(struct collect *collect);
void collect_look_at_cpus(struct collect *collect);
void collect_take_back_cpus(struct collect *collect);
void collect_take_new_cpus(struct collect *collect);
/* collect_edges.c: extra readings when a target starts or ends. start: together with the ticks. */
void collect_start_edges(struct collect *collect);
/* After each check for new and removed cgroups: reads, or schedules a reading. */
void collect_follow_edges(struct collect *collect);
/* Pause in reading inotify after a check, in s. */
double collect_discovery_pause_s(struct collect *collect);
/* collect_again.c: did too much time pass between the readings of energy and activity? */
bool collect_is_skewed(uint64_t interval_ns, uint64_t skew_ns);
/*
 * Reads a system source once more in the same tick, `interval_ns` after the first time, and adds what it read
 * first. 0, or -ENOMEM: not read again.
 */
int collect_read_again(struct collect *collect, unsigned index, uint64_t interval_ns);
/* collect_tick.c: one reading of a system source; what it could not read is counted as lost. */
void collect_read_system(struct collect *collect, struct system_source *source, uint64_t interval_ns);
/* One reading of everything. `missed`: ticks that were due but did not fire. */
void collect_read_tick(struct collect *collect, uint64_t missed);
/* Reads once without reporting: the baseline of the first tick. */
void collect_read_baseline(struct collect *collect);
