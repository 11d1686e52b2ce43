/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy of one run, from its power reports: a tick that a boundary cuts is shared out in proportion to the
 * overlap, but for what is known to belong to the run. Pure arithmetic: rows in, sums out; recap_bson.h has
 * the document, recaps.h the waiting.
 */
#pragma once

#include "document/report.h"

#define RECAP_SOCKETS_MAX  32
#define RECAP_WARNING_SIZE 320

enum recap_phase { RECAP_WHOLE, RECAP_WARMUP, RECAP_EXECUTION, RECAP_PHASES };

/* Epoch milliseconds; begin <= warmup <= execution <= end. */
struct recap_window {
	double begin_ms;
	double warmup_ms;
	double execution_ms;
	double end_ms;
};

struct recap_sum {
	double total_j;
	double dynamic_j; /* NAN where no row says it */
	double static_j;
	double doubt_j;   /* sum of the rows' standard deviations; NAN where none says how sure it is */
	double doubt_j2;  /* sum of their squares */
	double max_w;     /* largest tick that touches the phase, its sockets added up; NAN: no row */
	double covered_s; /* part of the phase that rows cover */
	double tick_s;    /* longest tick that touches the phase */
	unsigned samples; /* ticks that touch the phase */
	int64_t last_ms;  /* the tick that the last row belongs to, and its watts so far */
	double last_w;
};

struct recap_socket {
	char name[16];
	double energy_j[REPORT_SCOPES][RECAP_PHASES]; /* NAN: no row */
};

struct recap {
	struct recap_window window;
	/*
	 * The target lived within the window only: a tick at the window's edge counts in full for it, and
	 * with that part for the machine.
	 */
	bool whole_life;
	bool has_id; /* rows with an ID are of the container that is meant, and of no other of its name */
	struct recap_sum target[REPORT_SCOPES][RECAP_PHASES];
	struct recap_sum machine[REPORT_SCOPES][RECAP_PHASES];
	struct recap_socket sockets[RECAP_SOCKETS_MAX]; /* of the machine */
	unsigned n_sockets;
	bool estimated; /* some of the machine's energy is a model's */
	/* Rows of this name that were left out, being of a container with another id; the last one's. */
	unsigned n_others;
	char other_id[16];
};

void recap_init(struct recap *recap, const struct recap_window *window);
/* Seconds that a phase lasts. */
double recap_phase_s(const struct recap_window *window, enum recap_phase phase);
/*
 * Adds a power report; they must come in the order of their time, the machine's before the target's.
 * `of_machine`: the row of target `rapl`.
 * Sockets of a tick are added up. Rows without energy count power x interval; rows without an interval (other
 * tools') take `interval_s`.
 */
void recap_add(struct recap *recap, const struct report_power *row, bool of_machine, double interval_s);
/* Notes a row of the wanted name that is of a container with another id. */
void recap_note_other(struct recap *recap, const struct report_power *row);
/* True where the recap has no row of its container; then why, as far as known, and the fix. */
bool recap_warning(const struct recap *recap, const char *machine, char *ret, size_t size);
/* Mean power: energy over the time that the machine's reports cover (an idle container has no reports); or
 * NAN. */
double recap_mean_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase);
/*
 * Standard deviation of a sum's energy, J; NAN: unknown. The errors of consecutive ticks are neither
 * independent nor the same: a part of each lasts for the whole run (a cost that the model has wrong), the
 * rest is new in each tick.
 */
double recap_sd_j(const struct recap_sum *sum);
double recap_max_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase);
/* The longest tick that touches the phase, in s. 0: none does. */
double recap_tick_s(const struct recap *recap, enum recap_phase phase);
/* A phase shorter than a tick: its watts are a mean over less than was measured at once. */
bool recap_is_brief(const struct recap *recap, enum recap_phase phase);
/* Part of the whole window for which the machine was measured, 0..1; an empty window counts as covered. */
double recap_coverage(const struct recap *recap);
