/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything about one sensor: its join, its model, its present state, its counters. Reports go in as
 * documents, power reports come out as documents; knows neither stores nor HTTP.
 */
#pragma once

#include "tick/join.h"
#include "document/report_identity.h"
#include "machine/known.h"
#include "machine/live.h"
#include "machine/output.h"
#include "tick/sequence.h"
#include "config/server_config.h"
#include "tick/tick_make.h"
#include "base/reason.h"

struct machine_counters {
	uint64_t documents;   /* taken in, each once */
	uint64_t bad;         /* malformed documents */
	uint64_t duplicates;  /* reports that were there already; of files only */
	uint64_t late;        /* reports whose tick had been finished */
	uint64_t ticks;       /* finished */
	uint64_t incomplete;  /* finished without what was announced, or without `all` */
	uint64_t missing;     /* target reports that were announced but did not arrive */
	uint64_t skipped;     /* ticks that the sensor numbered but that did not arrive */
	uint64_t overlapping; /* ticks that claim more time than has passed */
	uint64_t unmeasured;  /* ticks without any energy */
	uint64_t bridged;     /* ticks whose energy covers earlier ticks that had none, too */
	uint64_t degraded;    /* sockets whose modelled watts were absurd and were shared by CPU time */
	uint64_t rows;        /* power reports made */
	uint64_t unwritable;  /* rows that could not be encoded */
	uint64_t sensor_lost; /* what the sensor itself says it lost, since its start */
	uint64_t headless;    /* ticks without `all`, the report of the whole machine */
	uint64_t renamed;     /* reports of containers that are called as rows of ours */
	double lost_cpu_s; /* CPU time that the sensor could attribute to no cgroup, of all processed ticks */
};

#define MACHINE_GAPS    16
#define MACHINE_LENGTHS 8

/* A finished tick that may still get reports. */
struct machine_gap {
	int64_t time_ms;
	int64_t fed_ms;
	unsigned n_reports; /* that it had, `all` included */
};

struct machine {
	UT_hash_handle hh;
	const struct server_config *config;
	char *name;
	char *reports; /* collections */
	char *power;
	char sensor[256];       /* as reports name it; "" before the first */
	char energy_source[32]; /* as the last `all` said; "" */
	char activity_source[32];
	struct report_names *names;
	struct report_decoded decoded;
	char found_id[REPORT_CONTAINER_ID_SIZE]; /* of the last report, out of its name */
	char renamed[32];                        /* its name, where its own is reserved */
	struct join *join;
	struct tick_maker *maker;
	void *formula;
	struct conserve_output conserved;
	struct live live;
	struct known known;
	int64_t known_ms;                 /* the newest of them; INT64_MIN: none */
	bool asking_known;                /* a look at them is under way */
	uint64_t known_added;             /* targets that had appeared at the last look */
	unsigned known_turns, known_left; /* of the timer: between two looks, until the next one */
	struct batch *spare;              /* memory to take for `out`; NULL: none */
	struct batch out;                 /* power reports not yet handed over; the owner clears it */
	struct machine_counters n;
	struct machine_gap gaps[MACHINE_GAPS]; /* oldest first; the reader takes them out */
	unsigned n_gaps;
	struct sequence sequence;
	int64_t time_ms;    /* of the last tick; INT64_MIN: none */
	int64_t saved_ms;   /* the position that is stored */
	int64_t resumed_ms; /* position at the start: what is older was processed before; INT64_MIN: none */
	double interval_s;  /* what a tick may be expected to last */
	double lengths_s[MACHINE_LENGTHS]; /* of the last ticks */
	/*
	 * Totals begin at the server's start: what was measured before it and is processed only now is not in
	 * them. A clock that is behind the server's is known by what comes once all that was there is read.
	 */
	int64_t counts_from_ms; /* INT64_MIN: all counts */
	bool complained_energy; /* that there is none was said */
	bool caught_up;         /* all that was there has been read */
	int64_t backlog_ms;     /* time of the newest report that was there */
	int64_t newest_ms;      /* of all reports */
	int64_t fed_ms;         /* when the last new report came, wall clock; 0: never */
	struct reason why;      /* of the last bad document */
};

/* NULL if out of memory. */
struct machine *machine_new(const struct server_config *config, const char *name, const char *reports);
void machine_free(struct machine *machine);

/* True for a well-formed report; nothing is counted. */
bool machine_can_read(struct machine *machine, const uint8_t *document, size_t length);
/* Takes a document in. 0; -EBADMSG (counted, reason in `why`); -ENOMEM. */
int machine_feed(struct machine *machine, const uint8_t *document, size_t length, int64_t now_ms,
		 enum join_fed *ret_fed);
/* Works off every tick that is over; with `flush` all of them. Number of ticks, or -ENOMEM. */
int machine_drain(struct machine *machine, int64_t now_ms, bool flush);
/* Says once why no watts can come of a sensor's reports, when some ticks have shown it. */
void machine_complain(struct machine *machine, const char *collection);
/* All that was there at the start has been read. */
void machine_catch_up(struct machine *machine);
/* Forgets what is shown of the present where nothing new has come for `expire_ms` and three ticks. True: it
 * has, just now. */
bool machine_expire(struct machine *machine, int64_t now_ms);
/*
 * For who reads a store: what the machine counts of documents that do not become part of a tick. A bad one
 * that was counted before; a report that was there already; one (or more) whose tick had been finished.
 */
void machine_uncount_bad(struct machine *machine);
void machine_count_duplicate(struct machine *machine);
/* The report that was fed last, unless it was processed before the start. */
void machine_count_late(struct machine *machine);
/* What has come for a gap since: so many of the documents are reports. */
void machine_count_gap(struct machine *machine, const struct machine_gap *gap, const struct batch *documents);
/* The oldest gap, taken out, if it was finished before; false: none. */
bool machine_take_gap(struct machine *machine, int64_t before_ms, struct machine_gap *ret_gap);
/* The sensor whose reports these are, found in a collection that was read up to then. */
void machine_adopt(struct machine *machine, const char *sensor, int64_t position_ms);
/* Forgets the model and starts from scratch. 0 or -ENOMEM. */
int machine_forget_model(struct machine *machine);
/* Longest recent time that ticks cover, for windows that a tick may reach beyond; never 0. */
double machine_interval_s(const struct machine *machine);
