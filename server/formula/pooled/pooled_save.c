/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model's state as a document and back: one pass over the state serves both directions, so they cannot
 * drift apart. The numbers lie in one binary value of little-endian doubles, exact, so that a resumed model
 * continues as if nothing had happened. A foreign or unsupported state is refused with a reason.
 */
#include "formula/pooled/pooled.h"
#include "base/bson_get.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 9
/* Version 7 lacks efficient cores; 8 has another line. Both are in tests/data. */
#define STATE_OLDEST 7
#define STATE_MOST   (8u << 20) /* bytes */
#define LINE_MOST    1e30
#define SUM_MOST_W   1e9

/* Moves through the numbers; `reading`: loading, else saving. */
struct cursor {
	double *data;
	size_t n, capacity;
	bool reading, failed;
	int version;
};

static void number(struct cursor *c, double *value)
{
	if (c->reading && c->n >= c->capacity) {
		c->failed = true;
		return;
	}
	if (!c->reading && !ARRAY_RESERVE(c->data, c->capacity, c->n + 1)) {
		c->failed = true;
		return;
	}
	if (c->reading)
		*value = c->data[c->n];
	else
		c->data[c->n] = *value;
	c->n++;
}

static void numbers(struct cursor *c, double *values, size_t count)
{
	for (size_t i = 0; i < count && !c->failed; i++)
		number(c, &values[i]);
}

/* Ratios, or one value per ratio; older states lack efficient cores, whose ratio is the last. */
static void ratios(struct cursor *c, double values[POOLED_RATIOS])
{
	numbers(c, values, c->version > 7 ? POOLED_RATIOS : POOLED_RATIOS - 1);
}

/* Whole numbers up to 2^53, refused when out of range. */
static void whole(struct cursor *c, uint64_t *value, uint64_t most)
{
	double d = (double)*value;

	number(c, &d);
	if (!c->reading || c->failed)
		return;
	if (!(d >= 0 && d <= (double)most))
		c->failed = true;
	else
		*value = (uint64_t)d;
}

static void flag(struct cursor *c, bool *value)
{
	uint64_t v = *value;

	whole(c, &v, 1);
	*value = v != 0;
}

static void bits(struct cursor *c, uint64_t *value)
{
	uint64_t high = *value >> 32, low = *value & UINT32_MAX;

	whole(c, &high, UINT32_MAX);
	whole(c, &low, UINT32_MAX);
	*value = high << 32 | low;
}

static void walk_input(struct cursor *c, struct pooled_input *input)
{
	uint64_t n = input->cores.n, at = input->cores.at;
	uint64_t most = sizeof(input->cores.ratios) / sizeof(*input->cores.ratios);

	numbers(c, &input->power_max_w[0][0], (size_t)REPORT_SCOPES * TICK_SOCKETS_MAX);
	flag(c, &input->has_instructions);
	flag(c, &input->has_misses);
	flag(c, &input->has_vector);
	ratios(c, input->fleet);
	number(c, &input->n_cores);
	number(c, &input->usual_ipc);
	number(c, &input->usual_n);
	number(c, &input->first_freq);
	whole(c, &input->tick, 1ull << 52);
	numbers(c, &input->cores.busy_max, 1);
	number(c, &input->cores.ratio_min);
	number(c, &input->cores.estimate);
	whole(c, &n, most);
	whole(c, &at, most - 1);
	input->cores.n = (unsigned)n;
	input->cores.at = (unsigned)at;
	numbers(c, input->cores.ratios, (size_t)n);
}

static void walk_signature(struct cursor *c, struct pooled_signature *s)
{
	bool seen = s->tick > 0;

	flag(c, &seen);
	if (!seen)
		return;
	number(c, &s->ipc);
	number(c, &s->missing);
	number(c, &s->ipc_spread);
	number(c, &s->missing_spread);
	number(c, &s->last_ipc);
	number(c, &s->last_pair);
	number(c, &s->alarm_ipc);
	number(c, &s->alarm_missing);
	whole(c, &s->tick, 1ull << 52);
	flag(c, &s->alarmed);
}

static void walk_record(struct cursor *c, struct pooled *pooled, struct pooled_record *record)
{
	uint64_t image = record->image;

	ratios(c, record->ratio);
	number(c, &record->remote);
	number(c, &record->vary.n);
	number(c, &record->vary.mean);
	number(c, &record->vary.variance);
	whole(c, &record->seen, 1ull << 52);
	whole(c, &image, UINT32_MAX);
	record->image = (uint32_t)image;
	bits(c, &record->id);
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		struct pooled_kept *kept = &record->kept[scope];
		unsigned n = pooled->filters[scope].n_members;
		uint64_t slot = (uint64_t)(record->slot[scope] + 1);
		walk_signature(c, &record->signature[scope]);
		flag(c, &kept->known);
		numbers(c, kept->factor, kept->known ? n : 0);
		numbers(c, kept->variance, kept->known ? n : 0);
		numbers(c, kept->remote, kept->known ? n : 0);
		whole(c, &slot, POOLED_SLOTS);
		record->slot[scope] = (int)slot - 1;
		if (c->reading && slot > 0)
			pooled->filters[scope].slot_record[slot - 1] = (int)(record - pooled->book.records);
	}
}

static void walk_lean(struct cursor *c, struct pooled_lean *lean)
{
	number(c, &lean->n);
	if (!(lean->n > 0))
		return;
	number(c, &lean->mean);
	number(c, &lean->variance);
	number(c, &lean->jitter);
	number(c, &lean->last);
}

static void walk_calm(struct cursor *c, struct pooled_calm *calm)
{
	number(c, &calm->n);
	if (!(calm->n > 0))
		return;
	ratios(c, calm->mean);
	ratios(c, calm->variance);
}

static void walk_book(struct cursor *c, struct pooled *pooled)
{
	struct pooled_book *book = &pooled->book;
	uint64_t n = book->n_used;

	whole(c, &n, 1u << 20);
	if (c->reading && !c->failed && pooled_book_reserve(book, (unsigned)n, book->n_sockets) < 0)
		c->failed = true;
	for (uint64_t i = 0; i < n && !c->failed; i++) {
		uint64_t name = c->reading ? 0 : book->records[i].name;
		bits(c, &name);
		if (c->reading && i != POOLED_SYSTEM && !pooled_book_add(book, name))
			c->failed = true;
		if (c->failed)
			return;
		walk_record(c, pooled, &book->records[i]);
		for (unsigned k = 0; k < book->n_sockets; k++) {
			walk_lean(c, &book->leans[i * book->n_sockets + k]);
			walk_calm(c, &book->calms[i * book->n_sockets + k]);
		}
	}
}

/* Index of the document's state i; older ones lack the cost of efficient cores, which keeps its prior. */
static unsigned place_of(const struct cursor *c, unsigned i)
{
	return c->version < 8 && i >= POOLED_B4 ? i + 1 : i;
}

/* Means and the lower triangles of covariances, for the states in use. */
static void walk_member(struct cursor *c, struct pooled_filter *filter, struct pooled_member *member)
{
	uint64_t n_used = member->n_used;
	unsigned n;

	number(c, &member->log_weight);
	numbers(c, member->noise, 2);
	number(c, &member->error_w);
	whole(c, &n_used, filter->n_fixed + POOLED_SLOTS * filter->slot_width + 3);
	n = (unsigned)n_used / 4 * 4;
	member->n_used = c->version < 8 ? n + 4 : n;
	if (c->reading && pooled_filter_fit(filter, member->n_used) < 0)
		c->failed = true;
	for (unsigned i = 0; i < n && !c->failed; i++) {
		const unsigned at = place_of(c, i);
		double *row = member->p + (size_t)at * filter->size;
		number(c, &member->x[at]);
		for (unsigned j = 0; j <= i; j++)
			number(c, &row[place_of(c, j)]);
		for (unsigned j = 0; j < at && c->reading; j++)
			member->p[(size_t)j * filter->size + at] = row[j];
	}
	if (c->version < 8)
		pooled_start_efficient(filter);
}

static void walk_trend(struct cursor *c, struct pooled_filter *filter)
{
	struct pooled_trend *trend = &filter->trend;

	numbers(c, trend->model_w, filter->n_sockets);
	numbers(c, trend->miss_w, filter->n_sockets);
	numbers(c, trend->least_w, filter->n_sockets);
	number(c, &trend->cross);
	number(c, &trend->square);
	number(c, &filter->spread);
	for (unsigned m = 0; m < filter->n_members; m++)
		numbers(c, filter->members[m].outlier, filter->n_sockets);
}

static bool are_within(const double *values, size_t count, double most)
{
	for (size_t i = 0; i < count; i++)
		if (!(fabs(values[i]) <= most))
			return false;
	return true;
}

/* Both are learnt again in a few ticks, so absurd values are no reason to refuse a whole state. */
static void walk_line(struct cursor *c, struct pooled_filter *filter)
{
	struct pooled_scale *scale = &filter->scale_of_cost;
	double line[] = {scale->n,  scale->load, scale->awake, scale->power, scale->xx,
			 scale->xz, scale->zz,   scale->xy,    scale->zy,    scale->yy};
	double old_line[6];

	if (c->version > 8)
		numbers(c, line, ARRAY_SIZE(line));
	else
		numbers(c, old_line, ARRAY_SIZE(old_line));
	number(c, &scale->cost);
	numbers(c, filter->core_sum, filter->n_sockets);
	numbers(c, filter->model_sum, filter->n_sockets);
	if (!c->reading)
		return;
	*scale = (struct pooled_scale){.cost = scale->cost};
	if (c->version > 8 && are_within(line, ARRAY_SIZE(line), LINE_MOST))
		*scale = (struct pooled_scale){line[0], line[1], line[2], line[3], line[4],    line[5],
					       line[6], line[7], line[8], line[9], scale->cost};
	if (!(scale->cost >= 0 && scale->cost <= POOLED_COST_MOST))
		scale->cost = 0;
	if (are_within(filter->core_sum, filter->n_sockets, SUM_MOST_W) &&
	    are_within(filter->model_sum, filter->n_sockets, SUM_MOST_W))
		return;
	memset(filter->core_sum, 0, sizeof(filter->core_sum));
	memset(filter->model_sum, 0, sizeof(filter->model_sum));
}

static void walk_filter(struct cursor *c, struct pooled_filter *filter)
{
	flag(c, &filter->ready);
	if (!filter->ready)
		return;
	flag(c, &filter->with_misses);
	flag(c, &filter->with_instructions);
	number(c, &filter->n_cores);
	whole(c, &filter->tick, 1ull << 52);
	whole(c, &filter->n_samples, 1ull << 52);
	whole(c, &filter->n_restarts, 1ull << 52);
	numbers(c, filter->slow_w, filter->n_sockets);
	numbers(c, filter->slow_first_w, filter->n_sockets);
	numbers(c, filter->last_w, filter->n_sockets);
	numbers(c, filter->error_w, filter->n_sockets);
	numbers(c, filter->pair_slope, 2);
	numbers(c, filter->static_w, filter->n_sockets);
	numbers(c, filter->most_w, filter->n_sockets);
	numbers(c, filter->most_load, filter->n_sockets);
	walk_trend(c, filter);
	walk_line(c, filter);
	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++)
		whole(c, &filter->slot_seen[slot], 1ull << 52);
	numbers(c, filter->weights, filter->n_members);
	for (unsigned m = 0; m < filter->n_members; m++)
		walk_member(c, filter, &filter->members[m]);
}

/* Slots are named by the records: a damaged state may name more of them than its matrices have. */
static void fit_slots(struct cursor *c, struct pooled_filter *filter)
{
	unsigned top = 0;

	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++)
		top = filter->slot_record[slot] >= 0 ? slot + 1 : top;
	if (pooled_filter_fit(filter, filter->n_fixed + top * filter->slot_width) < 0)
		c->failed = true;
}

static void walk(struct cursor *c, struct pooled *pooled)
{
	for (unsigned k = 0; k < pooled->n_packages; k++) {
		uint64_t package = pooled->packages[k];
		whole(c, &package, UINT16_MAX);
		pooled->packages[k] = (unsigned)package;
	}
	walk_input(c, &pooled->input);
	walk_book(c, pooled);
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		walk_filter(c, &pooled->filters[scope]);
	for (unsigned scope = 0; scope < REPORT_SCOPES && c->reading; scope++)
		fit_slots(c, &pooled->filters[scope]);
}

int pooled_save(const struct pooled *pooled, bson_t *document)
{
	struct cursor c = {.version = STATE_VERSION};
	bool ok = BSON_APPEND_UTF8(document, "formula", "pooled") &&
		  BSON_APPEND_INT32(document, "version", STATE_VERSION) &&
		  BSON_APPEND_INT32(document, "sockets", (int32_t)pooled->n_packages);

	/* The walk writes to the cursor only. */
	if (ok && pooled->n_packages > 0 && pooled->book.n_sockets == pooled->n_packages)
		walk(&c, (struct pooled *)(uintptr_t)pooled);
	ok = ok && !c.failed && c.n * sizeof(*c.data) <= STATE_MOST &&
	     BSON_APPEND_BINARY(document, "state", BSON_SUBTYPE_BINARY,
				(const uint8_t *)(c.data ? c.data : &(double){0}),
				(uint32_t)(c.n * sizeof(*c.data)));
	free(c.data);
	return ok ? 0 : -ENOMEM;
}

/* Version, sockets and a copy of the numbers, aligned. */
static int read_head(const bson_t *document, unsigned *ret_sockets, struct cursor *c, const char **ret_reason)
{
	uint32_t length;
	const uint8_t *bytes = bson_get_binary(document, "state", &length);
	int64_t sockets = bson_get_int32(document, "sockets", TICK_SOCKETS_MAX);
	int64_t version = bson_get_int32(document, "version", STATE_VERSION);

	*ret_reason = "it belongs to another formula";
	if (!bson_has_text(document, "formula", "pooled"))
		return -EINVAL;
	*ret_reason = "unknown version";
	if (version < STATE_OLDEST)
		return -EINVAL;
	*ret_reason = "number of sockets out of range";
	if (sockets < 0)
		return -EINVAL;
	*ret_sockets = (unsigned)sockets;
	*ret_reason = "broken";
	if (!bytes || length > STATE_MOST || length % sizeof(double))
		return -EINVAL;
	*c = (struct cursor){.data = malloc(length + 1),
			     .capacity = length / sizeof(double),
			     .reading = true,
			     .version = (int32_t)version};
	if (!c->data)
		return -EINVAL;
	memcpy(c->data, bytes, length);
	return 0;
}

static bool plausible(const struct pooled *pooled)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		const struct pooled_filter *filter = &pooled->filters[scope];
		for (unsigned m = 0; m < filter->n_members && filter->ready; m++) {
			const struct pooled_member *member = &filter->members[m];
			bool ok =
				isfinite(member->log_weight) && member->noise[0] > 0 && member->noise[1] > 0;
			for (size_t i = 0; i < filter->size && ok; i++)
				ok = isfinite(member->x[i]) && member->p[i * filter->size + i] >= -1e-9;
			for (size_t i = 0; i < (size_t)filter->size * filter->size && ok; i++)
				ok = isfinite(member->p[i]);
			if (!ok)
				return false;
		}
	}
	return true;
}

int pooled_load(struct pooled *pooled, const bson_t *document, struct reason *why)
{
	struct cursor c = {0};
	const char *reason = NULL;
	unsigned n_sockets = 0;
	struct pooled *fresh;
	struct pooled swap;

	if (read_head(document, &n_sockets, &c, &reason) < 0)
		return formula_refuse(why, "pooled", reason);
	fresh = formula_pooled.make(NULL);
	if (fresh && n_sockets > 0) {
		fresh->n_packages = n_sockets;
		c.failed = pooled_book_reserve(&fresh->book, 1, n_sockets) < 0;
		for (unsigned scope = 0; scope < REPORT_SCOPES && !c.failed; scope++)
			c.failed = pooled_filter_init(&fresh->filters[scope], (enum report_scope)scope,
						      n_sockets) < 0;
		if (!c.failed)
			walk(&c, fresh);
		c.failed = c.failed || c.n != c.capacity || !plausible(fresh);
	}
	free(c.data);
	if (!fresh || c.failed) {
		formula_pooled.free(fresh);
		return formula_refuse(why, "pooled", "broken");
	}
	fresh->taught = pooled->taught;
	pooled->taught = NULL;
	swap = *pooled;
	*pooled = *fresh;
	*fresh = swap;
	formula_pooled.free(fresh);
	return 0;
}
