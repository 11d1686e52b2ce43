/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic of recaps. A report's time is the end of its tick: it covers (time - interval, time]. Pure.
 */
#include "recap/recap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The phases begin in the order of the window's times. */
static double phase_start_ms(const struct recap_window *window, enum recap_phase phase)
{
	return window->times_ms[phase];
}

static double phase_end_ms(const struct recap_window *window, enum recap_phase phase)
{
	return phase == RECAP_WARMUP ? window->execution_ms : window->end_ms;
}

void recap_init(struct recap *recap, const struct recap_window *window)
{
	memset(recap, 0, sizeof(*recap));
	recap->window = *window;
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		for (unsigned phase = 0; phase < RECAP_PHASES; phase++) {
			struct recap_sum empty = {
				.dynamic_j = NAN, .static_j = NAN, .max_w = NAN, .last_ms = INT64_MIN};

			recap->target[scope][phase] = empty;
			recap->machine[scope][phase] = empty;
		}
	}
}

double recap_phase_s(const struct recap_window *window, enum recap_phase phase)
{
	return (phase_end_ms(window, phase) - phase_start_ms(window, phase)) / 1000;
}

static struct recap_socket *find_socket(struct recap *recap, const char *name)
{
	struct recap_socket *socket;

	for (unsigned i = 0; i < recap->n_sockets; i++) {
		if (strcmp(recap->sockets[i].name, name) == 0)
			return &recap->sockets[i];
	}
	if (recap->n_sockets == RECAP_SOCKETS_MAX)
		return NULL;
	socket = &recap->sockets[recap->n_sockets++];
	(void)snprintf(socket->name, sizeof(socket->name), "%.15s", name);
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		for (unsigned phase = 0; phase < RECAP_PHASES; phase++)
			socket->energy_j[scope][phase] = NAN;
	}
	return socket;
}

static void sum_add(double *sum, double value)
{
	if (isfinite(value))
		*sum = isnan(*sum) ? value : *sum + value;
}

/* Milliseconds of the tick that lie in the phase. */
static double overlap_ms(const struct recap *recap, enum recap_phase phase, double end_ms, double length_ms)
{
	double from = fmax(phase_start_ms(&recap->window, phase), end_ms - length_ms);
	double to = fmin(phase_end_ms(&recap->window, phase), end_ms);

	return to > from ? to - from : 0;
}

/* Counted once per tick, regardless of the number of sockets. */
static void sum_tick(struct recap_sum *sum, const struct report_power *row, double covered_s, double length_s)
{
	if (sum->last_ms != row->time_ms) {
		sum->last_ms = row->time_ms;
		sum->last_w = 0;
		sum->covered_s += covered_s;
		sum->tick_s = fmax(sum->tick_s, length_s);
		sum->samples++;
	}
	sum->last_w += row->power;
	sum->max_w = fmax(sum->max_w, sum->last_w);
}

/*
 * The machine's energy of a tick was divided in proportion to time. If more of the target's joules are known
 * to belong to the phase, the same amount of the machine's energy is moved into it.
 */
static void move_into(struct recap *recap, const struct report_power *row, enum recap_phase phase,
		      double more_j)
{
	struct recap_sum *machine = &recap->machine[row->scope][phase];
	struct recap_socket *socket = find_socket(recap, row->socket);

	/* A run of zero length overlaps no tick of the machine. */
	if (!machine->samples && recap_phase_s(&recap->window, RECAP_WHOLE) > 0)
		return;
	machine->samples += !machine->samples;
	machine->total_j += more_j;
	if (socket)
		sum_add(&socket->energy_j[row->scope][phase], more_j);
}

/*
 * True for a tick of the target that does not overlap the run: an engine works in the container's cgroup
 * before the recorded start and after the end, and a run of zero length overlaps nothing. If the rows are
 * known to belong to this container, their joules count in the nearest phase.
 */
static bool is_beside(const struct recap *recap, enum recap_phase phase, double end_ms)
{
	const struct recap_window *window = &recap->window;

	if (phase == RECAP_WHOLE)
		return true;
	if (end_ms > window->begin_ms)
		return phase == RECAP_EXECUTION;
	if (phase == RECAP_EXECUTION)
		return window->execution_ms <= window->begin_ms;
	return window->warmup_ms <= window->begin_ms && window->execution_ms > window->begin_ms;
}

/* How much of a row belongs to the run. */
struct share {
	double energy_j, length_s;
	double within_s; /* part of the tick within the run */
	bool all;        /* all of its energy belongs to the run */
	bool beside;     /* but its time does not */
};

static void add_share(struct recap *recap, const struct report_power *row, const struct share *share,
		      enum recap_phase phase, bool of_machine)
{
	struct recap_sum *sum = &(of_machine ? recap->machine : recap->target)[row->scope][phase];
	struct recap_socket *socket = of_machine ? find_socket(recap, row->socket) : NULL;
	const double covered_s =
		overlap_ms(recap, phase, (double)row->time_ms, share->length_s * 1000) / 1000;
	const double by_time = covered_s / share->length_s;
	double part = share->all ? covered_s / share->within_s : by_time;

	if (share->beside)
		part = is_beside(recap, phase, (double)row->time_ms);
	if (!(part > 0))
		return;
	sum->total_j += share->energy_j * part;
	sum_add(&sum->dynamic_j, row->dynamic * share->length_s * part);
	sum_add(&sum->static_j, row->fixed * share->length_s * part);
	doubt_sum_add(
		&sum->doubt,
		&(struct doubt_part){row->sd * share->length_s * part, row->power, share->length_s * part},
		row->time_ms);
	if (doubt_is_missing(row->power, row->dynamic, row->sd))
		sum->unknown_j += fabs(share->energy_j * part);
	sum_tick(sum, row, covered_s, share->length_s);
	if (socket)
		sum_add(&socket->energy_j[row->scope][phase], share->energy_j * part);
	if (!of_machine)
		move_into(recap, row, phase, share->energy_j * (part - by_time));
}

void recap_add(struct recap *recap, const struct report_power *row, bool of_machine, double interval_s)
{
	const double length_s = row->interval_s > 0 ? row->interval_s : interval_s;
	struct share share = {
		.energy_j = isfinite(row->energy_j) ? row->energy_j : row->power * length_s,
		.length_s = length_s,
		.within_s = overlap_ms(recap, RECAP_WHOLE, (double)row->time_ms, length_s * 1000) / 1000,
		.all = recap->whole_life && !of_machine,
	};

	if (!isfinite(share.energy_j) || !(length_s > 0) || row->scope >= REPORT_SCOPES_ALL)
		return;
	share.beside = share.all && !(share.within_s > 0);
	if (share.beside && !(recap->has_id && row->container_id && row->container_id[0]))
		return;
	for (unsigned phase = 0; phase < RECAP_PHASES; phase++)
		add_share(recap, row, &share, (enum recap_phase)phase, of_machine);
	recap->estimated |= of_machine && row->estimated;
}

void recap_note_other(struct recap *recap, const struct report_power *row)
{
	if (overlap_ms(recap, RECAP_WHOLE, (double)row->time_ms, 1) > 0) {
		recap->n_others++;
		(void)snprintf(recap->other_id, sizeof(recap->other_id), "%.12s", row->container_id);
	}
}

bool recap_has_target(const struct recap *recap)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		if (recap->target[scope][RECAP_WHOLE].samples)
			return true;
	}
	return false;
}

bool recap_warning(const struct recap *recap, const char *machine, char *ret, size_t size)
{
	ret[0] = '\0';
	if (recap_has_target(recap))
		return false;
	if (recap_coverage(recap) <= 0)
		(void)snprintf(ret, size,
			       "there are no reports of %s in this period; was its sensor running?", machine);
	else if (recap->n_others)
		(void)snprintf(ret, size,
			       "the reports of this name belong to another container, %s; check the ID",
			       recap->other_id);
	else
		(void)snprintf(
			ret, size,
			"the container has no reports in this period; check its name, and that it ran on %s",
			machine);
	return true;
}

static double longest_covered_s(const struct recap *recap, enum recap_phase phase)
{
	double covered_s = 0;

	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++)
		covered_s = fmax(covered_s, recap->machine[scope][phase].covered_s);
	return covered_s;
}

double recap_sd_j(const struct recap_sum *sum, enum report_scope scope)
{
	if (doubt_is_unknown(sum->unknown_j, sum->total_j))
		return NAN;
	return doubt_sum_sd(&sum->doubt, report_scope_doubt(scope));
}

double recap_mean_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase)
{
	double covered_s = fmax(longest_covered_s(recap, phase), sum->covered_s);

	return covered_s > 0 && sum->samples ? sum->total_j / covered_s : NAN;
}

/*
 * If a run lies within one tick whose energy counts in full, its power was above the tick's mean: the maximum
 * is never below the mean.
 */
double recap_max_w(const struct recap *recap, const struct recap_sum *sum, enum recap_phase phase)
{
	return recap->whole_life ? fmax(sum->max_w, recap_mean_w(recap, sum, phase)) : sum->max_w;
}

double recap_coverage(const struct recap *recap)
{
	double length_s = recap_phase_s(&recap->window, RECAP_WHOLE);

	if (!(length_s > 0))
		return 1;
	return fmin(1, longest_covered_s(recap, RECAP_WHOLE) / length_s);
}

double recap_tick_s(const struct recap *recap, enum recap_phase phase)
{
	double tick_s = 0;

	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++)
		tick_s = fmax(tick_s,
			      fmax(recap->machine[scope][phase].tick_s, recap->target[scope][phase].tick_s));
	return tick_s;
}

bool recap_is_brief(const struct recap *recap, enum recap_phase phase)
{
	const double length_s = recap_phase_s(&recap->window, phase);

	return length_s > 0 && length_s < recap_tick_s(recap, phase);
}
