/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of counts. There are three kinds, each source a file with one const table: system sources fill one
 * system group (energy, msr, uncore): perf, rapl, powercap, estimate; activity sources count the container
 * groups per target: bpf, perf, cpustat; target sources measure the energy of some targets: resctrl. A source
 * opens privileged files through the privileged process (priv_client.h) and logs unavailable ones.
 */
#pragma once

#include "document/report.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cpu_gaps;
struct cpu_online;
struct topology;
struct priv_client;

/* One group of events as requested by the user (-s or -c, -o, -e …). Name and events outlive the sources. */
struct event_group_request {
	char *name;
	bool of_containers;      /* -c; else -s */
	bool one_cpu_per_socket; /* -o */
	char **events;
	unsigned n_events;
	bool by_default; /* chosen by the sensor: a missing event needs no warning */
	bool is_double;  /* -s of a group that -c also has: the machine is already counted there */
};

static inline bool event_group_has(const struct event_group_request *request, const char *event)
{
	unsigned i = 0;

	while (i < request->n_events && strcmp(request->events[i], event) != 0)
		i++;
	return i < request->n_events;
}

/* A machine other than this one (a simulated one) has its own sources; only they are tried. */
struct source_machine {
	const struct system_source_ops *system;
	const struct activity_source_ops *activity;
	void *data; /* the sources' own */
};

/* Machine and configuration data for the sources. Owned by the sensor, outlives all sources. */
struct source_context {
	const char *sysfs_root;   /* "/sys" */
	const char *procfs_root;  /* "/proc" */
	const char *resctrl_root; /* "/sys/fs/resctrl" */
	const char
		*cpu_root; /* mount of the hierarchy with CPU times: cgroup2, or v1's cpuacct; NULL: none */
	bool cpu_root_v2;  /* it is cgroup2 (cpu.stat), else cpuacct.usage */
	bool cgroups_without_perf; /* the watched hierarchy is not that of perf events */
	const struct topology *topology;
	struct priv_client *priv;
	const struct source_machine *simulated; /* NULL: this machine is measured */
	double tdp_w;       /* of one socket, for the estimate; 0: a default that is logged */
	double package_w;   /* highest of a package's design power and limits by sysfs; 0: unknown */
	bool per_cpu;       /* keep CPUs apart in the container groups */
	bool strict;        /* a missing event is an error */
	unsigned fd_budget; /* descriptors that may still be opened; sources subtract those that they use */
	const struct cpu_online *online; /* CPUs that need no trial; NULL: unknown */
	struct cpu_gaps *gaps;           /* where sources record CPUs whose events they reopened, or NULL */
};

/* An open system source: the group's shape and the counts of the last read. */
struct system_source {
	const struct system_source_ops *ops;
	struct report_group group;
	uint64_t *values;     /* [n_places][n_events], deltas since the previous read; energy in 2^-32 J; what
				 could     not be read is REPORT_COUNT_MISSING */
	uint64_t *enabled_ns; /* [n_places] or NULL */
	uint64_t *running_ns;
	uint64_t read_failures; /* reads that failed since open */
	bool was_reset;         /* an energy counter was reset at the last read: its counts are lost */
};

struct system_source_ops {
	const char *name;
	bool energy;    /* serves RAPL_… events */
	bool estimated; /* a model, not a measurement */
	/* Can it serve any event of the group here? 0, or a negative errno, with a fix in `why`. */
	int (*probe)(struct source_context *context, const struct event_group_request *request,
		     struct reason *why);
	/*
	 * Events that it cannot serve are logged with the reason and omitted from the group (strict: an
	 * error).
	 */
	int (*open)(struct source_context *context, const struct event_group_request *request,
		    struct system_source **ret_source);
	/* Fills values with the deltas since the last read; the first read after open gives zeroes. No
	 * allocation. */
	int (*read)(struct system_source *source, uint64_t interval_ns);
	/*
	 * NULL, or for counters that wrap: they must be read at least every period_ns (UINT64_MAX: any time),
	 * by read() or, between ticks, by keep(), which does not allocate either.
	 */
	uint64_t (*period_ns)(const struct system_source *source);
	void (*keep)(struct system_source *source);
	void (*close)(struct system_source *source);
};

extern const struct system_source_ops source_rapl; /* perf `power` PMU */
extern const struct system_source_ops source_powercap;
extern const struct system_source_ops source_hwmon;       /* known meters: Ampere, Grace, platforms */
extern const struct system_source_ops source_estimate;    /* TDP x utilization */
extern const struct system_source_ops source_system_perf; /* msr, uncore and any other event, machine-wide */

enum activity_flags {
	ACTIVITY_OPEN = 1 << 0,   /* the slot is counted */
	ACTIVITY_FIRST = 1 << 1,  /* its first read: a part of a tick */
	ACTIVITY_FAILED = 1 << 2, /* the last read failed; counts are missing, not zero */
};

#define ACTIVITY_SLOT_MACHINE 0 /* slot 0 counts the whole machine */

/*
 * Counts of all slots in the last tick. Flat arrays, indexed [slot][place][event]; the events of all
 * container groups one after the other; enabled and running [slot][place][group]. The arrays belong to the
 * source and may move only when a slot is added.
 */
struct activity_frame {
	unsigned n_groups;
	const struct report_group *groups; /* names, events and places; the same places for all groups */
	unsigned n_events;                 /* of all groups together */
	unsigned n_places;
	unsigned n_slots; /* slots in the arrays, used or not */
	uint64_t *counts;
	uint64_t *enabled_ns; /* NULL if the source has no such times */
	uint64_t *running_ns;
	uint8_t *flags;   /* [slot] */
	uint32_t *active; /* slots (other than 0) with any count above zero in this tick */
	unsigned n_active;
	uint64_t lost_ns;       /* CPU time that could not be attributed to a cgroup (bpf) */
	uint64_t read_failures; /* since open */
};

/* A cgroup to count. A target may have several: its own (`root`) and those nested in it. */
struct activity_cgroup {
	unsigned slot;
	bool root;        /* the target's own cgroup; hierarchical sources need only this one */
	const char *path; /* below the hierarchy's mount point, with a leading slash */
	uint64_t id;      /* inode of its directory in the perf_event hierarchy */
};

struct activity_source {
	const struct activity_source_ops *ops;
	struct activity_frame frame;
};

/* A cgroup was created in the directory with inode `parent`. It may already be gone. */
typedef void activity_born(void *data, uint64_t parent, const char *name, uint64_t id);

struct activity_source_ops {
	const char *name;
	int (*probe)(struct source_context *context, const struct event_group_request *requests,
		     unsigned n_requests, struct reason *why);
	/* n_slots: how many slots to prepare for; more may come. */
	int (*open)(struct source_context *context, const struct event_group_request *requests,
		    unsigned n_requests, unsigned n_slots, struct activity_source **ret_source);
	/* -EMFILE: the budget is exhausted; -ENOENT: the cgroup is already gone; or another errno. */
	int (*add)(struct activity_source *source, const struct activity_cgroup *cgroup);
	/*
	 * The cgroup has ended; for a `root` the slot is freed. The sensor calls read() once between the
	 * cgroup's end and this call, so that the last counts are not lost.
	 */
	void (*remove)(struct activity_source *source, const struct activity_cgroup *cgroup);
	/*
	 * NULL, or reports the cgroups created since the last call, in order. Such a source has counted them
	 * since their creation, even those that are already gone.
	 */
	void (*births)(struct activity_source *source, activity_born *born, void *data);
	/* One pass over all slots; fills the frame. No allocation, no string work. */
	int (*read)(struct activity_source *source);
	void (*close)(struct activity_source *source);
};

/* Counts of some targets in the last tick read, in addition to the activity source's. */
struct target_counts {
	struct report_group group;
	unsigned n;
	const unsigned *slots;  /* [n] */
	const uint64_t *values; /* [n][group.n_places][group.n_events] */
};

/* The activity of a target in the tick. */
struct target_load {
	unsigned slot;
	double part; /* of the machine's activity, 0..1 */
};

/* A live target's cgroup below the watched hierarchy; NULL: it has ended. */
typedef const char *target_path(void *data, unsigned slot);

struct target_source {
	const struct target_source_ops *ops;
	struct target_counts counts;
	uint64_t read_failures;
};

struct target_source_ops {
	const char *name;
	int (*probe)(struct source_context *context, struct reason *why);
	int (*open)(struct source_context *context, struct target_source **ret_source);
	/* Fills `counts`. A target whose value is not known for the whole tick is left out. */
	void (*read)(struct target_source *source, uint64_t interval_ns);
	/* Called after the tick: chooses the targets to be measured next. */
	void (*balance)(struct target_source *source, const struct target_load *loads, unsigned n,
			target_path *path, void *data);
	/* The target has ended, and was read for the last time. */
	void (*remove)(struct target_source *source, unsigned slot);
	void (*close)(struct target_source *source);
};

extern const struct target_source_ops source_resctrl;

extern const struct activity_source_ops source_bpf;
extern const struct activity_source_ops source_perf;
extern const struct activity_source_ops source_cpustat;

/* CPU time of a slot of source_cpustat since its last read; 0 if it cannot be read. */
uint64_t source_cpustat_since_ns(struct activity_source *source, unsigned slot);
