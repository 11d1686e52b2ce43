/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything about one sensor: its join, its model, its present state, its counters. Reports go in as
 * documents, power reports come out as documents; knows neither stores nor HTTP.
 */
#pragma once

#include "tick/join.h"
#include "document/report.h"
#include "machine/known.h"
#include "formula/apart.h"
#include "machine/live.h"
#include "machine/output.h"
#include "machine/totals.h"
#include "tick/sequence.h"
#include "config/server_config.h"
#include "tick/tick_make.h"
#include "base/reason.h"

struct machine_counters {
	uint64_t documents;   /* taken in, each once */
	uint64_t bad;         /* malformed documents */
	uint64_t duplicates;  /* duplicate reports; only from files */
	uint64_t late;        /* reports that arrived after their tick was processed */
	uint64_t ticks;       /* finished */
	uint64_t incomplete;  /* processed without all announced reports, or without `all` */
	uint64_t missing;     /* target reports that were announced but did not arrive */
	uint64_t skipped;     /* ticks that the sensor numbered but that did not arrive */
	uint64_t overlapping; /* ticks that claim more time than has passed */
	uint64_t unmeasured;  /* ticks without any energy */
	uint64_t bridged;     /* ticks whose energy also covers earlier ticks without energy */
	uint64_t degraded;    /* sockets whose modelled watts were absurd and were shared by CPU time */
	uint64_t rows;        /* power reports made */
	uint64_t unwritable;  /* rows that could not be encoded */
	uint64_t sensor_lost; /* losses since the sensor's start, as it reported */
	uint64_t headless;    /* ticks without `all`, the report of the whole machine */
	uint64_t renamed;     /* reports of containers with a reserved name */
	double lost_cpu_s; /* CPU time in processed ticks that the sensor could not attribute to a cgroup */
};

#define MACHINE_GAPS    16
#define MACHINE_LENGTHS 8

/* A finished tick that may still get reports. */
struct machine_gap {
	int64_t time_ms;
	int64_t fed_ms;
	unsigned n_reports; /* number of its reports, `all` included */
};

struct machine {
	UT_hash_handle hh;
	const struct server_config *config;
	char *name;
	char *reports; /* collections */
	char *power;
	char sensor[256];       /* as reports name it; "" before the first */
	char energy_source[32]; /* from the last `all`; "" */
	char activity_source[32];
	char cpu_model[128];
	char version[32]; /* the sensor's */
	struct report_names *names;
	struct report_decoded decoded;
	char found_id[REPORT_CONTAINER_ID_SIZE]; /* of the last report, taken from its name */
	char renamed[32];                        /* replacement if its own name is reserved */
	struct join *join;
	struct tick_maker *maker;
	void *formula;
	struct conserve_output conserved;
	struct apart_idle idle;
	struct live live;
	struct known known;
	struct totals totals;
	int64_t known_ms;     /* the newest of them; INT64_MIN: none */
	bool asking_known;    /* a read of them is in progress */
	bool undescribed;     /* no target has a description, as with other sensors: do not wait for one */
	uint64_t known_added; /* targets that existed at the last read */
	unsigned known_turns, known_left; /* timer ticks: between two reads, until the next one */
	struct batch *spare;              /* memory to be used for `out`; NULL: none */
	struct batch out;                 /* power reports not yet passed on; the owner clears it */
	struct machine_counters n;
	struct machine_gap gaps[MACHINE_GAPS]; /* oldest first; the reader takes them out */
	unsigned n_gaps;
	struct sequence sequence;
	struct sequence_turns turns; /* of a stream whose ticks have no numbers */
	int64_t time_ms;             /* of the last tick; INT64_MIN: none */
	int64_t saved_ms;            /* the position that is stored */
	int64_t calibrated_ms;       /* when its priors were learnt from known loads; 0: never */
	unsigned n_uncalibrated;     /* consecutive ticks to which these do not apply */
	int64_t resumed_ms; /* position at the start: older reports were processed before; INT64_MIN: none */
	double interval_s;  /* the expected length of a tick */
	double lengths_s[MACHINE_LENGTHS]; /* of the last ticks */
	/*
	 * Totals begin at the server's start and exclude energy that was measured earlier and is processed
	 * only now. A sensor clock that is behind the server's is recognised by reports that arrive after
	 * everything stored has been read.
	 */
	int64_t counts_from_ms; /* INT64_MIN: everything counts */
	bool complained_energy; /* its absence has been logged */
	bool caught_up;         /* everything stored before the start has been read */
	int64_t backlog_ms;     /* time of the newest report stored before the start */
	int64_t newest_ms;      /* of all reports */
	int64_t ahead_ms;       /* reports dated further ahead of our clock are not used */
	int64_t ahead_time_ms;  /* the newest of them */
	unsigned n_ahead;       /* consecutive ticks of such reports */
	int64_t doubted_ms;     /* a stored position ahead of our clock; INT64_MIN: none */
	int64_t fed_ms;         /* when the last new report came, wall clock; 0: never */
	struct reason why;      /* of the last bad document */
};

#define MACHINE_AHEAD_MS     10000            /* clocks differ by less */
#define MACHINE_AHEAD_MAX_MS (24 * 3600000LL) /* a clock further ahead is never accepted */

/* NULL if out of memory. */
struct machine *machine_new(const struct server_config *config, const char *name, const char *reports);
void machine_free(struct machine *machine);

/* True for a well-formed report; nothing is counted. */
bool machine_can_read(struct machine *machine, const uint8_t *document, size_t length);
/* Accepts a document. 0; -EBADMSG (counted, reason in `why`); -ENOMEM. */
int machine_feed(struct machine *machine, const uint8_t *document, size_t length, int64_t now_ms,
		 enum join_fed *ret_fed);
/* The sensor's clock is ahead of ours, by this much at most; a report of time_ms has shown it. */
void machine_allow_ahead(struct machine *machine, int64_t ahead_ms, int64_t time_ms);
/* The sensor's clock was set back: reports dated after this time are read, as if nothing later had been. */
void machine_set_back(struct machine *machine, int64_t position_ms);
/* Processes every finished tick; with `flush`, all ticks. Returns the number, or -ENOMEM. */
int machine_drain(struct machine *machine, int64_t now_ms, bool flush);
/* Logs once, after some ticks, why no watts can be computed from a sensor's reports. */
void machine_complain(struct machine *machine, const char *collection);
/* Called once everything that was stored at the start has been read. */
void machine_catch_up(struct machine *machine);
/*
 * Forgets the present state if nothing new has arrived for `expire_ms` and three ticks. True: it did so just
 * now.
 */
bool machine_expire(struct machine *machine, int64_t now_ms);
/* Time since the last new report; the age of the newest one if all are from before the start. */
double machine_silent_s(const struct machine *machine, int64_t now_ms);
/*
 * For readers of a store. These three maintain the counts of documents that do not become part of a tick: a
 * malformed one that was counted before, a duplicate, and a report whose tick was already processed.
 */
void machine_uncount_bad(struct machine *machine);
void machine_count_duplicate(struct machine *machine);
/* The report that was fed last, unless it was processed before the start. */
void machine_count_late(struct machine *machine);
/* Counts the reports that have arrived for a gap since it was noted. */
void machine_count_gap(struct machine *machine, const struct machine_gap *gap, const struct batch *documents);
/* Removes the oldest gap if it was finished before `before_ms`; false: there is none. */
bool machine_take_gap(struct machine *machine, int64_t before_ms, struct machine_gap *ret_gap);
/* Assigns the machine to a sensor that was found in a collection already read up to this time. */
void machine_adopt(struct machine *machine, const char *sensor, int64_t position_ms);
/* Forgets the model and starts from scratch. 0 or -ENOMEM. */
int machine_forget_model(struct machine *machine);
#define MACHINE_UNBOOKED_MAX (2 * REPORT_SCOPES_ADDED)
/* Energy that is not yet in the totals of the target's image and namespace, if these are known. Returns the
 * number of additions. */
unsigned machine_unbooked(const struct machine *machine, const struct live_target *target,
			  struct total_addition ret[MACHINE_UNBOOKED_MAX]);
/* Should the target's identity be shown now, known or not? */
bool machine_is_settled(const struct machine *machine, const struct live_target *target);
/* Longest recent time covered by a tick, for windows whose edges a tick may cross; never 0. */
double machine_interval_s(const struct machine *machine);
/* The model's state; error_w is NAN if the formula does not report one. */
struct formula_state machine_describe(const struct machine *machine, enum report_scope scope,
				      unsigned socket);
