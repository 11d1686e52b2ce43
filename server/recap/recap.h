/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy of one run, from its power reports: a tick that crosses a boundary is divided in proportion to the
 * overlap, except for energy that is known to belong to the run. Pure arithmetic: rows in, sums out;
 * recap_bson.h has the document, recaps.h the pending requests.
 */
#pragma once

#include "base/doubt.h"
#include "document/report.h"

#define RECAP_SOCKETS_MAX  32
#define RECAP_WARNING_SIZE 320

enum recap_phase { RECAP_WHOLE, RECAP_WARMUP, RECAP_EXECUTION, RECAP_PHASES };

/* Epoch milliseconds; begin <= warmup <= execution <= end. */
#define RECAP_TIMES 4
struct recap_window {
	union {
		struct {
			double begin_ms, warmup_ms, execution_ms, end_ms;
		};
		double times_ms[RECAP_TIMES];
	};
};

struct recap_sum {
	double total_j;
	double dynamic_j; /* NAN: in no row */
	double static_j;
	struct doubt_sum doubt; /* uncertainty of the total, J */
	double unknown_j;       /* of rows that do not tell theirs */
	double max_w;           /* largest tick that touches the phase, its sockets added up; NAN: no row */
	double covered_s;       /* part of the phase that rows cover */
	double tick_s;          /* longest tick that touches the phase */
	unsigned samples;       /* ticks that touch the phase */
	int64_t last_ms;        /* the tick of the last row, and its watts so far */
	double last_w;
};

struct recap_socket {
	char name[16];
	double energy_j[REPORT_SCOPES_ALL][RECAP_PHASES]; /* NAN: no row */
};

struct recap {
	struct recap_window window;
	/*
	 * The target lived within the window only: a tick at the window's edge counts in full for it, and the
	 * same amount for the machine.
	 */
	bool whole_life;
	bool has_id; /* rows with an ID belong to this container, not to another one of its name */
	struct recap_sum target[REPORT_SCOPES_ALL][RECAP_PHASES];
	struct recap_sum machine[REPORT_SCOPES_ALL][RECAP_PHASES];
	struct recap_socket sockets[RECAP_SOCKETS_MAX]; /* of the machine */
	unsigned n_sockets;
	bool estimated;      /* some of the machine's energy is estimated by a model */
	const char *formula; /* its name, or NULL */
	/* Rows of this name that were skipped because they have another container's ID; the last such ID. */
	unsigned n_others;
	char other_id[16];
};

void recap_init(struct recap *recap, const struct recap_window *window);
/* Length of a phase in seconds. */
double recap_phase_s(const struct recap_window *window, enum recap_phase phase);
/*
 * Adds a power report; they must come in the order of their time, the machine's before the target's.
 * `of_machine`: the row of target `rapl`. Sockets of a tick are added up. Rows without energy count as power
 * x interval; rows without an interval (from other tools) use `interval_s`.
 */
void recap_add(struct recap *recap, const struct report_power *row, bool of_machine, double interval_s);
/* Counts a row with the wanted name but another container's ID. */
void recap_note_other(struct recap *recap, const struct report_power *row);
/* Does it have a row of its container? */
bool recap_has_target(const struct recap *recap);
/* True if the recap has no row of its container; then writes the reason, if known, and the fix. */
bool recap_warning(const struct recap *recap, const char *machine, char *ret, size_t size);
/* Standard deviation of the total energy; NAN: no row, or too many of them do not tell theirs. */
double recap_sd_j(const struct recap_sum *sum, enum report_scope scope);
/* Mean power: energy over the time that the machine's reports cover (an idle container has no reports); or
 * NAN. */
double recap_mean_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase);
double recap_max_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase);
/* The longest tick that touches the phase, in s. 0: none does. */
double recap_tick_s(const struct recap *recap, enum recap_phase phase);
/* A phase shorter than a tick: its watts are derived from a longer measurement. */
bool recap_is_brief(const struct recap *recap, enum recap_phase phase);
/* Part of the whole window for which the machine was measured, 0..1; an empty window counts as covered. */
double recap_coverage(const struct recap *recap);
