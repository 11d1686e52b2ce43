/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tick: all reports of one sensor for one instant, joined and turned into flat arrays of counts per target
 * and socket. Pure: takes decoded reports, returns finished ticks, knows neither stores nor clocks.
 */
#pragma once

#include "document/report.h"
#include "document/report_bson.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#define TICK_SOCKETS_MAX 32
#define TICK_APARTS_MAX  96
#define TICK_ABSURD_TIME 1e30
#define TICK_NUMBERS_MAX 64 /* of GPUs, and of packages with a domain that no formula models */

/* The counts that formulas understand, whatever the events are called. */
enum tick_feature {
	TICK_REF,          /* reference cycles, or CPU time x base frequency */
	TICK_CYCLES,       /* core cycles */
	TICK_INSTRUCTIONS, /* retired */
	TICK_MISSES,       /* last-level cache misses */
	TICK_VECTOR,       /* packed floating-point instructions, retired */
	TICK_EFFICIENT,    /* core cycles on efficient cores of a hybrid processor */
	TICK_FEATURES
};

/* Sets a target's CPU limit and image; leaves unknown values unchanged. */
typedef void (*tick_describer)(void *data, const char *target, double *cpu_quota, const char **image);

struct tick_socket {
	unsigned package;
	double energy_j[REPORT_SCOPES];  /* NAN: not measured in this tick */
	double bridged_s[REPORT_SCOPES]; /* time without a reading before this tick, also covered by its
					    energy */
	double aperf, mperf, tsc;        /* mean count of the socket's CPUs; NAN: not reported */
	double counts[TICK_FEATURES];    /* machine-wide counts of the container group; NAN: not reported */
};

/* Energy of a domain that no formula models: a GPU, the platform, the cores of a package. */
struct tick_apart {
	enum report_scope scope;
	unsigned number; /* the GPU's, or the package's */
	double energy_j; /* NAN: not measured in this tick */
	double work_ns;  /* total time that the GPU worked; NAN: not reported */
};

struct tick_target {
	const char *name;
	const char *container_id; /* "" for none */
	uint32_t key;             /* fixed number of the name while the sensor's state lives */
	bool partial;
	double cpu_quota; /* CPUs; 0: unknown */
	uint32_t image;   /* hash of its image; 0: unknown */
	uint32_t present; /* bit k: it has counts on socket k */
	double *counts;   /* [n_sockets][TICK_FEATURES]; NAN: missing */
	double *work_ns;  /* [n_aparts], time that each GPU worked for it; 0: none */
	double *core_j;   /* [n_sockets], energy of its cores as counted by the hardware; NAN: unknown */
	double *events;   /* [n_sockets][n_events] of group `core` as reported; NAN: missing */
};

struct tick {
	int64_t time_ms;
	double interval_s; /* as reported, else the difference between timestamps */
	bool complete;     /* `all` and all targets that it announced */
	bool reset;        /* a counter went backwards or the sensor restarted: energy must not be used */
	struct report_tick said; /* from `all`; frequency and cores are kept if a tick lacks them */
	unsigned cpu_stride;     /* difference of the first CPU numbers of two sockets; 0: unknown */
	unsigned n_sockets;
	struct tick_socket sockets[TICK_SOCKETS_MAX];
	unsigned n_aparts;
	struct tick_apart aparts[TICK_APARTS_MAX]; /* by scope, then number */
	unsigned n_targets;
	struct tick_target *targets;
	unsigned n_events;
	const char *const *event_names; /* sorted by strcmp */
};

/* A target's counts on a socket, [TICK_FEATURES]. */
static inline const double *tick_counts(const struct tick *tick, unsigned target, unsigned socket)
{
	return tick->targets[target].counts + (size_t)socket * TICK_FEATURES;
}

static inline bool tick_is_present(const struct tick *tick, unsigned target, unsigned socket)
{
	return (tick->targets[target].present >> socket) & 1;
}

/* CPU time of a target or of the machine in cycles; 0: unknown or none. */
static inline double tick_cpu_time(const double counts[TICK_FEATURES])
{
	const double time = isfinite(counts[TICK_REF]) ? counts[TICK_REF] : counts[TICK_CYCLES];

	return time > 0 && time < TICK_ABSURD_TIME ? time : 0;
}

/* Mean power over the time that the tick's energy covers, W; NAN: not measured. */
static inline double tick_power_w(const struct tick *tick, unsigned socket, enum report_scope scope)
{
	const struct tick_socket *at = &tick->sockets[socket];

	return at->energy_j[scope] / (tick->interval_s + at->bridged_s[scope]);
}
