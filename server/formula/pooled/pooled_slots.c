/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which containers have a factor of their own in a scope's filter. Factors that leave are kept in the
 * book relative to the common cost, so that a container that returns starts from what was learnt.
 */
#include "formula/pooled/pooled.h"

#include <math.h>
#include <string.h>

#define SPREAD_CPU        0.20
#define SPREAD_DRAM       0.25
#define SPREAD_CPU_BLIND  0.27 /* without instructions: nothing else tells containers apart */
#define SPREAD_DRAM_BLIND 0.60 /* without misses */
/* Bounds of the learnt spread relative to the usual one: programs may differ more or less on this machine. */
#define SPREAD_LEAST    0.9
#define SPREAD_MOST     4
#define SPREAD_PRIOR    4 /* number of containers that the usual spread counts as */
#define SPREAD_MIX      0.05
#define REMOTE_MEAN     0.02
#define REMOTE_SPREAD   0.20
#define REGROWTH        1.2 /* a kept variance grows by this factor while the container is away */
#define NEWCOMER_FACTOR 1.5 /* times the cost of the cheapest one that a newcomer needs to take its slot */

double pooled_slots_scale(const struct pooled_filter *filter, const struct pooled_member *member)
{
	if (filter->scope == REPORT_SCOPE_CPU)
		return fmax(member->x[POOLED_B0], 0.1);
	return filter->with_misses ? fmax(member->x[POOLED_B0], 5) : fmax(member->x[POOLED_B2], 0.05);
}

static double usual_spread(const struct pooled_filter *filter)
{
	if (filter->scope == REPORT_SCOPE_CPU)
		return filter->with_instructions ? SPREAD_CPU : SPREAD_CPU_BLIND;
	return filter->with_misses ? SPREAD_DRAM : SPREAD_DRAM_BLIND;
}

double pooled_slots_spread(const struct pooled_filter *filter)
{
	double usual = usual_spread(filter);

	if (!(filter->spread > 0))
		return usual;
	return fmin(fmax(filter->spread, SPREAD_LEAST * usual), SPREAD_MOST * usual);
}

static unsigned slot_state(const struct pooled_filter *filter, const struct pooled_member *member,
			   unsigned slot)
{
	return filter->n_fixed + slot * member->width;
}

static void use_states(struct pooled_filter *filter)
{
	unsigned top = 0;

	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++)
		top = filter->slot_record[slot] >= 0 ? slot + 1 : top;
	for (unsigned m = 0; m < filter->n_members; m++)
		filter->members[m].n_used = (slot_state(filter, &filter->members[m], top) + 3) / 4 * 4;
}

/* Its covariances stay until clear_left(). */
static void let_go(struct pooled_filter *filter, struct pooled_book *book, unsigned slot)
{
	struct pooled_record *record = &book->records[filter->slot_record[slot]];
	struct pooled_kept *kept = &record->kept[filter->scope];

	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		unsigned j = slot_state(filter, member, slot);
		double scale = pooled_slots_scale(filter, member);
		kept->factor[m] = member->x[j] / scale;
		kept->variance[m] = member->p[(size_t)j * filter->size + j] / (scale * scale);
		kept->remote[m] = member->width > 1 ? member->x[j + 1] / scale : 0;
		for (unsigned i = 0; i < member->width; i++) {
			member->x[j + i] = 0;
			member->p[(size_t)(j + i) * (filter->size + 1)] = 0;
		}
	}
	kept->known = true;
	record->slot[filter->scope] = -1;
	filter->slot_record[slot] = -1;
	filter->left |= UINT64_C(1) << slot;
}

/* Clears the covariances of freed slots, all at once as there may be many. */
static void clear_left(struct pooled_filter *filter)
{
	for (unsigned m = 0; m < filter->n_members && filter->left; m++) {
		struct pooled_member *member = &filter->members[m];
		uint64_t keep[POOLED_STATES];
		memset(keep, 0xff, sizeof(keep));
		for (unsigned slot = 0; slot < POOLED_SLOTS; slot++) {
			if ((filter->left >> slot) & 1)
				memset(keep + slot_state(filter, member, slot), 0,
				       member->width * sizeof(*keep));
		}
		pooled_matrix_keep(member->p, filter->size, keep);
	}
	filter->left = 0;
	use_states(filter);
}

void pooled_slots_evict(struct pooled_filter *filter, struct pooled_book *book, unsigned slot)
{
	let_go(filter, book, slot);
	clear_left(filter);
}

void pooled_slots_clear(struct pooled_filter *filter, struct pooled_book *book)
{
	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++) {
		if (filter->slot_record[slot] >= 0)
			book->records[filter->slot_record[slot]].slot[filter->scope] = -1;
		filter->slot_record[slot] = -1;
	}
	for (unsigned i = 0; i < book->n_used; i++)
		book->records[i].kept[filter->scope].known = false;
	use_states(filter);
}

static void enter(struct pooled_filter *filter, struct pooled_book *book, unsigned slot, unsigned index)
{
	struct pooled_record *record = &book->records[index];
	const struct pooled_kept *kept = &record->kept[filter->scope];
	double spread = pooled_slots_spread(filter);

	filter->slot_record[slot] = (int)index;
	record->slot[filter->scope] = (int)slot;
	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		unsigned j = slot_state(filter, member, slot);
		double scale = pooled_slots_scale(filter, member), variance = spread * spread;
		double *diagonal = &member->p[(size_t)j * filter->size + j];
		if (kept->known)
			variance = fmin(kept->variance[m] * REGROWTH, variance);
		member->x[j] = kept->known ? kept->factor[m] * scale : 0;
		*diagonal = variance * scale * scale;
		if (!member->assumed.remote)
			continue;
		member->x[j + 1] = (kept->known ? kept->remote[m] : REMOTE_MEAN) * scale;
		member->p[(size_t)(j + 1) * filter->size + j + 1] = pow(REMOTE_SPREAD * scale, 2);
	}
}

/* The slot whose container was absent for longest, else -1. */
static int find_absent(const struct pooled_filter *filter)
{
	int found = -1;

	for (int slot = 0; slot < POOLED_SLOTS; slot++) {
		if (filter->slot_seen[slot] != filter->tick &&
		    (found < 0 || filter->slot_seen[slot] < filter->slot_seen[found]))
			found = slot;
	}
	return found;
}

static int find_cheapest(const struct pooled_filter *filter, const double *slot_cost)
{
	int found = -1;

	for (int slot = 0; slot < POOLED_SLOTS; slot++) {
		if (filter->slot_record[slot] >= 0 && (found < 0 || slot_cost[slot] < slot_cost[found]))
			found = slot;
	}
	return found;
}

static int find_free(const struct pooled_filter *filter)
{
	for (int slot = 0; slot < POOLED_SLOTS; slot++) {
		if (filter->slot_record[slot] < 0)
			return slot;
	}
	return -1;
}

void pooled_slots_assign(struct pooled *pooled, struct pooled_filter *filter)
{
	const struct pooled_input *input = &pooled->input;
	struct pooled_book *book = &pooled->book;
	double slot_cost[POOLED_SLOTS] = {0};
	bool all_taken = false;
	int cheapest = -1;

	for (unsigned i = 0; i < input->n_rows; i++) {
		int slot = book->records[input->records[i]].slot[filter->scope];
		filter->slot[i] = slot;
		if (slot < 0)
			continue;
		slot_cost[slot] = filter->cost[i];
		filter->slot_seen[slot] = filter->tick;
	}
	for (unsigned i = 0; i < input->n_rows; i++) {
		int slot;
		if (filter->slot[i] >= 0)
			continue;
		slot = all_taken ? -1 : find_free(filter);
		if (slot < 0 && !all_taken)
			slot = find_absent(filter);
		all_taken = slot < 0;
		if (slot < 0) {
			cheapest = cheapest < 0 ? find_cheapest(filter, slot_cost) : cheapest;
			slot = cheapest;
		}
		if (all_taken && slot_cost[slot] * NEWCOMER_FACTOR >= filter->cost[i])
			continue;
		if (filter->slot_record[slot] >= 0)
			let_go(filter, book, (unsigned)slot);
		cheapest = -1;
		enter(filter, book, (unsigned)slot, input->records[i]);
		filter->slot_seen[slot] = filter->tick;
		slot_cost[slot] = filter->cost[i];
		filter->slot[i] = slot;
	}
	clear_left(filter);
	for (unsigned i = 0; i < input->n_rows; i++)
		filter->slot[i] = book->records[input->records[i]].slot[filter->scope];
}

/* The mean square of a factor is its own square plus its uncertainty; if nothing is known, the prior's. */
void pooled_slots_learn_spread(struct pooled_filter *filter)
{
	const struct pooled_member *member = &filter->members[0];
	double scale = pooled_slots_scale(filter, member), usual = usual_spread(filter);
	double sum = SPREAD_PRIOR * usual * usual, n = SPREAD_PRIOR, now = filter->spread;

	/* Not for DRAM: the cost of a miss varies less, and remote memory would be taken for a variation. Not
	 * with CPU time alone: every error of the model would be. */
	if (filter->scope != REPORT_SCOPE_CPU || !filter->with_instructions)
		return;
	for (unsigned slot = 0; slot < POOLED_SLOTS; slot++) {
		unsigned j = slot_state(filter, member, slot);
		if (filter->slot_record[slot] < 0)
			continue;
		sum += (member->x[j] * member->x[j] + member->p[(size_t)j * (filter->size + 1)]) /
		       (scale * scale);
		n++;
	}
	now = now > 0 ? now * now : usual * usual;
	filter->spread = sqrt(now + SPREAD_MIX * (sum / n - now));
}

void pooled_slots_decay(struct pooled_filter *filter, unsigned slot, const double *keep)
{

	for (unsigned m = 0; m < filter->n_members; m++) {
		struct pooled_member *member = &filter->members[m];
		unsigned j = slot_state(filter, member, slot);
		double sd = pooled_slots_spread(filter) * pooled_slots_scale(filter, member);
		member->x[j] *= keep[m];
		for (unsigned i = 0; i < member->n_used; i++) {
			member->p[(size_t)j * filter->size + i] *= keep[m];
			member->p[(size_t)i * filter->size + j] *= keep[m];
		}
		member->p[(size_t)j * filter->size + j] += (1 - keep[m] * keep[m]) * sd * sd;
	}
}
