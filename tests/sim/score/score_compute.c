/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins truth and reports by tick, target and scope, and computes the figures of score.h. Pure.
 */
#include "sim/score/score.h"

#include "sim/score/score_data.h"

#include "base/doubt.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PHANTOM_LIMIT_W  .05
#define RELATIVE_LIMIT_W 1.0
#define INTERVAL_90      1.645 /* of a normal distribution, in standard deviations */

/* A container in a tick, summed over sockets. */
struct row {
	int64_t time_ms;
	uint32_t target;
	uint8_t scope;
	bool has_truth, has_report;
	double truth_full, truth_dynamic, full, dynamic;
	double variance; /* NAN: a part has no error bar */
};

static int compare_entries(const void *left, const void *right)
{
	const struct score_entry *a = left, *b = right;

	if (a->scope != b->scope)
		return a->scope < b->scope ? -1 : 1;
	if (a->time_ms != b->time_ms)
		return a->time_ms < b->time_ms ? -1 : 1;
	return a->target < b->target ? -1 : a->target > b->target;
}

/* Sums entries of the same scope, tick and target; advances `*at`. */
static struct row take_row(const struct score *score, size_t *at)
{
	const struct score_entry *first = &score->entries[*at];
	struct row row = {.time_ms = first->time_ms, .target = first->target, .scope = first->scope};

	for (; *at < score->n_entries && compare_entries(first, &score->entries[*at]) == 0; (*at)++) {
		const struct score_entry *entry = &score->entries[*at];

		if (entry->truth) {
			row.has_truth = true;
			row.truth_full += entry->full;
			row.truth_dynamic += entry->dynamic;
		} else {
			row.has_report = true;
			row.full += entry->full;
			row.dynamic += entry->dynamic;
			row.variance += entry->sd * entry->sd; /* sockets err independently */
		}
	}
	return row;
}

/* Running sums of a set of rows. */
struct tally {
	struct score_errors sums;
	double *full_relative, *dynamic_relative;
	size_t n_relative, n_dynamic, capacity;
};

static int tally_relative(struct tally *tally, const struct row *row)
{
	if (tally->n_relative == tally->capacity) {
		size_t more = tally->capacity ? tally->capacity * 2 : 1024;
		double *full = realloc(tally->full_relative, more * sizeof(double));
		double *dynamic;

		if (!full)
			return -ENOMEM;
		tally->full_relative = full;
		dynamic = realloc(tally->dynamic_relative, more * sizeof(double));
		if (!dynamic)
			return -ENOMEM;
		tally->dynamic_relative = dynamic;
		tally->capacity = more;
	}
	tally->full_relative[tally->n_relative++] = fabs(row->full - row->truth_full) / row->truth_full;
	if (row->truth_dynamic > RELATIVE_LIMIT_W)
		tally->dynamic_relative[tally->n_dynamic++] =
			fabs(row->dynamic - row->truth_dynamic) / row->truth_dynamic;
	return 0;
}

static int tally_add(struct tally *tally, const struct row *row)
{
	struct score_errors *sums = &tally->sums;

	sums->rows++;
	sums->full_mean += row->truth_full;
	sums->dynamic_mean += row->truth_dynamic;
	sums->full_mae_all += fabs(row->full - row->truth_full);
	if (!row->has_report)
		return 0;
	sums->answered++;
	sums->full_mae += fabs(row->full - row->truth_full);
	sums->dynamic_mae += fabs(row->dynamic - row->truth_dynamic);
	if (isfinite(row->variance)) {
		sums->with_sd++;
		sums->inside_90 += fabs(row->full - row->truth_full) <= INTERVAL_90 * sqrt(row->variance);
	}
	sums->full_bias += row->full - row->truth_full;
	sums->dynamic_bias += row->dynamic - row->truth_dynamic;
	return row->truth_full > RELATIVE_LIMIT_W ? tally_relative(tally, row) : 0;
}

static int compare_doubles(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return a < b ? -1 : a > b;
}

static double median(double *values, size_t n)
{
	if (!n)
		return NAN;
	qsort(values, n, sizeof(*values), compare_doubles);
	return n % 2 ? values[n / 2] : .5 * (values[n / 2 - 1] + values[n / 2]);
}

/* Ends the tally and frees its memory. */
static struct score_errors tally_end(struct tally *tally)
{
	struct score_errors errors = tally->sums;
	double rows = (double)errors.rows, answered = (double)errors.answered;

	errors.full_mean /= rows;
	errors.dynamic_mean /= rows;
	errors.full_mae_all /= rows;
	errors.full_mae /= answered;
	errors.dynamic_mae /= answered;
	errors.inside_90 /= (double)errors.with_sd;
	errors.full_bias /= answered;
	errors.dynamic_bias /= answered;
	errors.full_relative = median(tally->full_relative, tally->n_relative);
	errors.dynamic_relative = median(tally->dynamic_relative, tally->n_dynamic);
	free(tally->full_relative);
	free(tally->dynamic_relative);
	*tally = (struct tally){0};
	return errors;
}

/* The energy of a container over some of its ticks, in W x ticks. */
struct recap {
	struct doubt_sum doubt;
	double error;
	uint64_t rows;
};

struct work {
	struct score *score;
	struct tally all[REPORT_SCOPES];
	struct tally *kinds[REPORT_SCOPES];
	double *twin_j[REPORT_SCOPES], *twin_truth_j[REPORT_SCOPES]; /* by target */
	struct recap *recent[REPORT_SCOPES], *all_of[REPORT_SCOPES]; /* by target */
	uint64_t recaps[REPORT_SCOPES], recaps_inside[REPORT_SCOPES];
	double phantom_w[REPORT_SCOPES];
	uint64_t phantoms[REPORT_SCOPES];
	int64_t last_truth_ms[REPORT_SCOPES], last_report_ms[REPORT_SCOPES];
	FILE *rows;
};

static void print_row(const struct work *work, const struct row *row)
{
	fprintf(work->rows, "%" PRId64 ",%s,%s,%.4f,%.4f,", row->time_ms, report_scope_names[row->scope],
		work->score->by_index[row->target]->text, row->truth_full, row->truth_dynamic);
	if (row->has_report)
		fprintf(work->rows, "%.4f,%.4f,%.4f\n", row->full, row->dynamic, sqrt(row->variance));
	else
		fprintf(work->rows, ",,\n");
}

static void recap_end(struct work *work, unsigned scope, struct recap *recap)
{
	double sd = doubt_sum_sd(&recap->doubt, report_scope_doubt((enum report_scope)scope));

	if (recap->rows > 1 && isfinite(sd)) {
		work->recaps[scope]++;
		work->recaps_inside[scope] += fabs(recap->error) <= INTERVAL_90 * sd;
	}
	*recap = (struct recap){0};
}

static void recap_row(struct recap *recap, const struct row *row)
{
	doubt_sum_add(&recap->doubt, &(struct doubt_part){sqrt(row->variance), row->full, 1}, row->time_ms);
	recap->error += row->full - row->truth_full;
	recap->rows++;
}

static void take_recaps(struct work *work, const struct row *row)
{
	struct recap *recent = &work->recent[row->scope][row->target];

	if (!isfinite(row->variance))
		return;
	recap_row(&work->all_of[row->scope][row->target], row);
	recap_row(recent, row);
	if (recent->rows == SCORE_RECAP_ROWS)
		recap_end(work, row->scope, recent);
}

static int take_in(struct work *work, const struct row *row)
{
	const struct score_name *name = work->score->by_index[row->target];
	unsigned scope = row->scope;
	int r;

	if (row->has_report)
		work->last_report_ms[scope] = row->time_ms;
	if (!row->has_truth || !name->counted)
		return 0;
	work->last_truth_ms[scope] = row->time_ms;
	if (work->rows)
		print_row(work, row);
	if (name->twin) {
		work->twin_j[scope][row->target] += row->full;
		work->twin_truth_j[scope][row->target] += row->truth_full;
	}
	if (row->has_report && row->truth_dynamic < PHANTOM_LIMIT_W) {
		work->phantom_w[scope] +=
			row->dynamic > row->truth_dynamic ? row->dynamic - row->truth_dynamic : 0;
		work->phantoms[scope]++;
	}
	if (row->has_report)
		take_recaps(work, row);
	r = tally_add(&work->all[scope], row);
	return r < 0 ? r : tally_add(&work->kinds[scope][name->kind], row);
}

/* Largest relative difference of energy within a kind of twins. */
static double asymmetry(const struct score *score, const double *energy)
{
	double worst = NAN;

	for (uint32_t i = 0; i < score->n_names; i++) {
		for (uint32_t j = 0; j < i; j++) {
			double sum = energy[i] + energy[j], part;

			if (!score->by_index[i]->twin ||
			    score->by_index[i]->kind != score->by_index[j]->kind || sum <= 0)
				continue;
			part = 2 * fabs(energy[i] - energy[j]) / sum;
			if (!(part <= worst))
				worst = part;
		}
		if (i > 4096)
			break; /* twins are few and come first */
	}
	return worst;
}

/* Ticks of the truth after the last answer of the scope; counts all ticks on the way. */
static uint64_t count_delay(const struct score *score, unsigned scope, int64_t last_report_ms,
			    uint64_t *ret_ticks)
{
	uint64_t ticks = 0, late = 0;
	int64_t last_ms = INT64_MIN;

	for (size_t i = 0; i < score->n_entries; i++) {
		const struct score_entry *entry = &score->entries[i];

		if (entry->scope != scope || !entry->truth || entry->time_ms == last_ms)
			continue;
		last_ms = entry->time_ms;
		ticks++;
		late += entry->time_ms > last_report_ms;
	}
	if (ticks > *ret_ticks)
		*ret_ticks = ticks;
	return late;
}

static int compare_kinds(const void *left, const void *right)
{
	return strcmp(((const struct score_kind *)left)->name, ((const struct score_kind *)right)->name);
}

static int finish_kinds(struct work *work, unsigned scope, struct score_scope *result)
{
	const struct score *score = work->score;

	result->kinds = calloc(score->n_kinds ? score->n_kinds : 1, sizeof(*result->kinds));
	if (!result->kinds)
		return -ENOMEM;
	for (uint32_t i = 0; i < score->n_kinds; i++) {
		struct score_kind *kind = &result->kinds[result->n_kinds];

		if (!work->kinds[scope][i].sums.rows)
			continue;
		snprintf(kind->name, sizeof(kind->name), "%.63s", score->kind_by_index[i]->text);
		kind->errors = tally_end(&work->kinds[scope][i]);
		result->n_kinds++;
	}
	qsort(result->kinds, result->n_kinds, sizeof(*result->kinds), compare_kinds);
	return 0;
}

static void finish_sums(const struct score *score, struct score_result *result)
{
	const struct score_sum *sum, *next;

	HASH_ITER(hh, score->sums, sum, next)
	{
		struct score_scope *scope = &result->scopes[sum->key.scope];
		double error = fabs(sum->rows - sum->rapl);

		if (!sum->has_rapl || !sum->has_rows)
			continue;
		scope->sums++;
		scope->sum_error_mean += error;
		if (error > scope->sum_error_max)
			scope->sum_error_max = error;
	}
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		if (result->scopes[s].sums)
			result->scopes[s].sum_error_mean /= (double)result->scopes[s].sums;
	}
}

static int by_time(struct score_sum *a, struct score_sum *b)
{
	return a->key.time_ms < b->key.time_ms ? -1 : a->key.time_ms > b->key.time_ms;
}

static int finish(struct work *work, struct score_result *result)
{
	int r = 0;

	HASH_SORT(work->score->sums, by_time);
	for (unsigned s = 0; s < REPORT_SCOPES && r >= 0; s++) {
		struct score_scope *scope = &result->scopes[s];

		score_foresee(work->score, s, &scope->foreseen);
		scope->errors = tally_end(&work->all[s]);
		r = finish_kinds(work, s, scope);
		scope->delay = count_delay(work->score, s, work->last_report_ms[s], &result->ticks);
		scope->twin_asymmetry = asymmetry(work->score, work->twin_j[s]);
		scope->twin_asymmetry_truth = asymmetry(work->score, work->twin_truth_j[s]);
		for (uint32_t i = 0; i < work->score->n_names; i++)
			recap_end(work, s, &work->all_of[s][i]);
		scope->recaps = work->recaps[s];
		scope->recaps_90 = (double)work->recaps_inside[s] / (double)work->recaps[s];
		scope->phantom_w = work->phantoms[s] ? work->phantom_w[s] / (double)work->phantoms[s] : NAN;
	}
	finish_sums(work->score, result);
	return r;
}

static int prepare(struct work *work)
{
	const struct score *score = work->score;
	size_t n_names = score->n_names ? score->n_names : 1, n_kinds = score->n_kinds ? score->n_kinds : 1;

	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		work->kinds[s] = calloc(n_kinds, sizeof(*work->kinds[s]));
		work->twin_j[s] = calloc(n_names, sizeof(double));
		work->twin_truth_j[s] = calloc(n_names, sizeof(double));
		work->recent[s] = calloc(n_names, sizeof(struct recap));
		work->all_of[s] = calloc(n_names, sizeof(struct recap));
		work->last_report_ms[s] = work->last_truth_ms[s] = INT64_MIN;
		if (!work->kinds[s] || !work->twin_j[s] || !work->twin_truth_j[s] || !work->recent[s] ||
		    !work->all_of[s])
			return -ENOMEM;
	}
	return 0;
}

static void release(struct work *work)
{
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		for (uint32_t i = 0; work->kinds[s] && i < work->score->n_kinds; i++) {
			free(work->kinds[s][i].full_relative);
			free(work->kinds[s][i].dynamic_relative);
		}
		free(work->all[s].full_relative);
		free(work->all[s].dynamic_relative);
		free(work->kinds[s]);
		free(work->twin_j[s]);
		free(work->twin_truth_j[s]);
		free(work->recent[s]);
		free(work->all_of[s]);
	}
}

int score_compute(struct score *score, FILE *rows, struct score_result *ret_result)
{
	struct work work = {.score = score, .rows = rows};
	int r = prepare(&work);
	size_t at = 0;

	*ret_result = (struct score_result){0};
	if (rows)
		fprintf(rows, "time_ms,scope,target,truth_full,truth_dynamic,full,dynamic,sd\n");
	if (score->n_entries)
		qsort(score->entries, score->n_entries, sizeof(*score->entries), compare_entries);
	while (r >= 0 && at < score->n_entries) {
		struct row row = take_row(score, &at);

		r = take_in(&work, &row);
	}
	if (r >= 0)
		r = finish(&work, ret_result);
	release(&work);
	if (r < 0)
		score_result_done(ret_result);
	return r;
}

void score_result_done(struct score_result *result)
{
	for (unsigned s = 0; s < REPORT_SCOPES; s++)
		free(result->scopes[s].kinds);
	*result = (struct score_result){0};
}
