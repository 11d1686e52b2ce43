/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plain structures for the documents of the two daemons: reports of counts, power reports, recaps, and
 * descriptions of targets. docs/documents.md has every field with its unit. report_bson.h is the only file
 * that knows the field names.
 */
#pragma once

#include "base/doubt.h"
#include "base/reason.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define REPORT_TARGET_ALL    "all"
#define REPORT_TARGET_RAPL   "rapl"
#define REPORT_TARGET_GLOBAL "global"
#define REPORT_TARGET_SYSTEM "system"
#define REPORT_TARGET_IDLE   "idle"

#define REPORT_ID_BYTES 12
/* RAPL counts are in units of 2^-32 J: joules = ldexp(count, REPORT_RAPL_EXPONENT). */
#define REPORT_RAPL_EXPONENT (-32)

#define REPORT_EVENT_PKG    "RAPL_ENERGY_PKG"
#define REPORT_EVENT_DRAM   "RAPL_ENERGY_DRAM"
#define REPORT_EVENT_CORES  "RAPL_ENERGY_CORES"
#define REPORT_EVENT_UNCORE "RAPL_ENERGY_GPU" /* the graphics of a client processor */
#define REPORT_EVENT_PSYS   "RAPL_ENERGY_PSYS"
/*
 * The group of graphics processors: a place is a GPU, in the package's field. `all` has energy in RAPL's unit
 * and the total working time; a target's report has the time that the GPU worked for it.
 */
#define REPORT_GROUP_GPU        "gpu"
#define REPORT_EVENT_GPU_ENERGY "GPU_ENERGY"
#define REPORT_EVENT_GPU_TIME   "GPU_TIME_NS"
/*
 * The group of energy that the hardware counted per target: of its cores' work in the package, in RAPL's
 * unit. In a target's report if it is known for the whole tick.
 */
#define REPORT_GROUP_MEASURED    "measured"
#define REPORT_EVENT_CORE_ENERGY "CORE_ENERGY"
/* The group and event that CPU-time sources (cpu.stat) report: nanoseconds of CPU time in the tick. */
#define REPORT_GROUP_CPUSTAT  "cpustat"
#define REPORT_EVENT_CPU_TIME "CPU_TIME_NS"

/* The estimating energy source of sensors that do not write `estimated`. */
#define REPORT_SOURCE_ESTIMATE "estimate"

/*
 * Measured domains. The formulas model the first ones; the first REPORT_SCOPES_ADDED do not overlap, so that
 * their sum is the machine's. The others overlap these: the platform includes all of them and more, core and
 * uncore are parts of `cpu`. They are reported, but never added up.
 */
enum report_scope {
	REPORT_SCOPE_CPU,
	REPORT_SCOPE_DRAM,
	REPORT_SCOPES,
	REPORT_SCOPE_GPU = REPORT_SCOPES,
	REPORT_SCOPES_ADDED,
	REPORT_SCOPE_PLATFORM = REPORT_SCOPES_ADDED,
	REPORT_SCOPE_CORE,
	REPORT_SCOPE_UNCORE,
	REPORT_SCOPES_ALL
};
extern const char *const report_scope_names[REPORT_SCOPES_ALL]; /* "cpu", "dram", "gpu", "platform", ... */
/* How the errors of consecutive ticks of a scope add up. */
const struct doubt_law *report_scope_doubt(enum report_scope scope);

#define REPORT_KEY_MAX 127
/*
 * Can `name` be a group or an event, i.e. a key of a document? 0, or -EINVAL with the reason and the fix:
 * no '.', no leading '$', no control character, UTF-8, 1 to 127 bytes. Encoders write ':' for '.' and '_' for
 * '$'.
 */
int report_check_key(const char *name, struct reason *why);

/* Where a set of counts was taken: a CPU of a package. */
struct report_place {
	unsigned package;
	unsigned cpu;
};

/* The constant shape of one group: its name, events and places. Made once, shared by all ticks. */
struct report_group {
	const char *name;
	unsigned n_events;
	const char *const *events; /* as the user typed them */
	unsigned n_places;
	const struct report_place *places; /* sorted by package, then CPU */
};

/* A value that was not read: it is omitted from the document, and never written as 0. */
#define REPORT_COUNT_MISSING UINT64_MAX

/* One target's counts of one group in one tick. */
struct report_counts {
	const struct report_group *group;
	const uint64_t *values; /* [n_places][n_events], scaled for multiplexing; or REPORT_COUNT_MISSING */
	const uint64_t *enabled_ns; /* [n_places], per tick; NULL: both are omitted */
	const uint64_t *running_ns;
};

enum report_lost_cause {
	REPORT_LOST_READ,   /* a counter could not be read */
	REPORT_LOST_OPEN,   /* a target could not be opened */
	REPORT_LOST_BUDGET, /* no file descriptor was left for a target */
	REPORT_LOST_LATE,   /* late or skipped ticks */
	REPORT_LOST_SPOOL,  /* documents dropped by the spool */
	REPORT_LOST_CAUSES
};
extern const char *const report_lost_names[REPORT_LOST_CAUSES];

/* Metadata of `all`. Strings may be NULL: the field is omitted. */
/* Limits for a package; values outside are ignored. */
#define REPORT_MACHINE_W_LEAST 1.
#define REPORT_MACHINE_W_MOST  2000.

/* A machine's power and clocks, from sysfs. */
struct report_machine {
	double design_w;        /* of a package, by the manufacturer; 0: unknown, as below */
	double limit_w;         /* highest power limit that is set */
	double idle_latency_us; /* to wake from the deepest idle state in use */
	/* NULL or "": unknown */
	const char *idle_driver, *idle_state, *frequency_driver, *frequency_governor;
};

struct report_tick_metadata {
	uint64_t seq;
	double interval_s;  /* measured */
	unsigned n_targets; /* container reports of this tick */
	const char *energy_source;
	const char *activity_source;
	const char *cpu_model;                /* the processor's name; "" is omitted, too */
	bool estimated;                       /* the energy comes from a model; false is omitted */
	bool energy_reset;                    /* an energy counter was reset in this tick; false is omitted */
	double base_frequency_mhz;            /* 0: unknown */
	unsigned n_cores;                     /* physical cores of a socket; 0: unknown */
	const struct report_machine *machine; /* NULL: nothing known */
	double lost_cpu_s; /* CPU time of this tick that cannot be attributed to a cgroup with certainty; 0 is
			      omitted */
	double skew_s;     /* between the energy reading and the last activity reading; negative: unknown */
	const char *boot_id;
	const char *version;
	uint64_t lost[REPORT_LOST_CAUSES]; /* since the sensor's start */
};

/* Tick data of a decoded `all`, from the decoder to the formulas. */
struct report_tick {
	bool has_seq;
	bool estimated;    /* the energy comes from a model */
	bool energy_reset; /* a counter was reset: missing energy is not in a later tick */
	uint64_t seq;
	double interval_s;                         /* NAN: not reported */
	int64_t n_targets;                         /* announced; -1: not reported */
	double base_frequency_mhz;                 /* 0: unknown */
	double n_cores;                            /* physical cores of a socket; 0: unknown */
	double design_w, limit_w, idle_latency_us; /* as in struct report_machine */
	uint64_t lost_total;                       /* of all causes, since the sensor's start */
	double lost_cpu_s;
};
#define REPORT_TICK_UNKNOWN ((struct report_tick){.interval_s = NAN, .n_targets = -1})

/* Metadata of a container's report. */
struct report_target_metadata {
	const char *container_id; /* 12 hex digits; NULL if not a container */
	bool partial;             /* first or last tick of its life */
	double scaled;            /* smallest running/enabled; 1 is omitted */
};

/* One power report: one target, tick, socket and scope. Watts unless the name says otherwise. */
struct report_power {
	int64_t time_ms;
	const char *sensor;
	const char *target;
	const char *socket; /* package id as text */
	enum report_scope scope;
	const char *formula; /* formula's name and state; the event's name for target `rapl` */
	double ratio;        /* share of the measured power; 1 for rapl and global */
	double power;
	double dynamic;
	double fixed; /* the static part; written as `static` */
	double energy_j;
	double interval_s;
	double bridged_s; /* part of the interval without a reading of its own; 0 is omitted */
	double error;     /* the model's recent error; NAN is omitted */
	double sd;        /* standard deviation of this target's power, W; NAN is omitted */
	bool estimated;
	bool calibrated; /* the model began with priors from known loads on this machine; false is omitted */
	const char *container_id;
	uint64_t id_begun; /* from report_id_begin(), if many reports share it; 0: computed */
};

/* The constant properties of a target. NULL or "" is omitted. */
struct report_target {
	const char *sensor;
	const char *target; /* name used in reports */
	const char *id;     /* full container ID */
	const char *name;
	const char *image;
	const char *runtime; /* docker, podman, containerd, crio, systemd, lxc, ... */
	const char *cgroup;
	const char *pod;     /* its name */
	const char *pod_uid; /* from the cgroup, even if the name is unknown */
	const char *pod_namespace;
	const char *container_name; /* within the pod */
	const char *const *labels;  /* key, value, key, value, ..., NULL */
	double cpu_quota;           /* CPUs allowed by cpu.max or cpuset; 0: no known limit */
	int64_t first_seen_ms;
	int64_t last_seen_ms;
};

/*
 * Names of targets: reserved names, and IDs contained in names. One rule for the sensor, which creates names,
 * and the server, which reads names from any sensor.
 */
#define REPORT_CONTAINER_ID_SIZE 13 /* 12 hex digits and the terminating NUL */

/* Is it a name of the server's own rows: rapl, global, system, idle? */
bool report_target_is_row(const char *name);
/* The same, or `all`: no container may have this name. */
bool report_target_is_reserved(const char *name);
/*
 * Another name for a container whose own is taken: NAME-xxxxxx with six digits of its ID, or NAME-container
 * if it has none. Truncated to `size`, never within a character. Returns ret.
 */
const char *report_target_rename(const char *name, const char *container_id, char *ret, size_t size);
/*
 * The container's ID in a name that is a cgroup path or an ID: the first 12 of the last 64 consecutive hex
 * digits, or a name of 12 hex digits. False: there is none.
 */
bool report_target_find_id(const char *name, char ret_id[REPORT_CONTAINER_ID_SIZE]);
