/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice: a free group goes to the busiest target without one; a busier target displaces the least busy
 * holder once it is clearly busier and the holder has had its group for a while. An idle holder gives its
 * group back, because others on this machine may need one.
 */
#include "source/resctrl/resctrl_choice.h"

#include "base/array.h"

#include <stdlib.h>

#define LOAD_MIX    0.2f /* weight of a tick in the smoothed load */
#define CLEARLY     1.5f /* a contender must be busier by this factor */
#define HOLD_TICKS  10   /* a holder keeps its group for at least this time */
#define IDLE_TICKS  60   /* an idle holder gives it back after this time */
#define BAN_TICKS   300
#define LIMIT_TICKS 60
#define LEAST_LOAD  1e-4f /* below this, a target is idle */

void resctrl_choice_init(struct resctrl_choice *choice, unsigned most)
{
	*choice = (struct resctrl_choice){.most = most, .limit = most, .tick = 1};
}

void resctrl_choice_done(struct resctrl_choice *choice)
{
	free(choice->slots);
	*choice = (struct resctrl_choice){0};
}

bool resctrl_choice_note(struct resctrl_choice *choice, unsigned slot, double load)
{
	if (!ARRAY_RESERVE(choice->slots, choice->slots_capacity, slot + 1))
		return false;
	while (choice->n_slots <= slot)
		choice->slots[choice->n_slots++] = (struct resctrl_choice_slot){0};
	choice->slots[slot].now += load > 0 && load <= 1 ? (float)load : load > 1 ? 1 : 0;
	return true;
}

void resctrl_choice_tick(struct resctrl_choice *choice)
{
	choice->tick++;
	for (unsigned i = 0; i < choice->n_slots; i++) {
		struct resctrl_choice_slot *slot = &choice->slots[i];

		slot->load += LOAD_MIX * (slot->now - slot->load);
		slot->now = 0;
	}
	if (choice->limit < choice->most && choice->tick >= choice->limited_until)
		choice->limit = choice->most;
}

/* The busiest target without a group, and the least busy one with a group; 0: none. */
static void find_ends(const struct resctrl_choice *choice, unsigned *ret_best, unsigned *ret_least)
{
	*ret_best = *ret_least = 0;
	for (unsigned i = 1; i < choice->n_slots; i++) {
		const struct resctrl_choice_slot *slot = &choice->slots[i];

		if (slot->held) {
			if (choice->tick - slot->since >= HOLD_TICKS &&
			    (*ret_least == 0 || slot->load < choice->slots[*ret_least].load))
				*ret_least = i;
		} else if (slot->load >= LEAST_LOAD && choice->tick >= slot->banned_until &&
			   (*ret_best == 0 || slot->load > choice->slots[*ret_best].load)) {
			*ret_best = i;
		}
	}
}

bool resctrl_choice_next(const struct resctrl_choice *choice, struct resctrl_change *ret_change)
{
	unsigned best, least;

	find_ends(choice, &best, &least);
	*ret_change = (struct resctrl_change){0};
	if (best > 0 && choice->n_held < choice->limit)
		ret_change->take = best;
	else if (least > 0 && choice->slots[least].load < LEAST_LOAD &&
		 choice->tick - choice->slots[least].since >= IDLE_TICKS)
		ret_change->give = least;
	else if (best > 0 && least > 0 && choice->limit > 0 &&
		 choice->slots[best].load > CLEARLY * choice->slots[least].load)
		*ret_change = (struct resctrl_change){.give = least, .take = best};
	return ret_change->give > 0 || ret_change->take > 0;
}

static void set_held(struct resctrl_choice *choice, unsigned slot, bool held)
{
	if (slot >= choice->n_slots || choice->slots[slot].held == held)
		return;
	choice->slots[slot].held = held;
	choice->slots[slot].since = choice->tick;
	choice->n_held += held ? 1 : -1u;
}

void resctrl_choice_took(struct resctrl_choice *choice, unsigned slot)
{
	set_held(choice, slot, true);
}

void resctrl_choice_gave(struct resctrl_choice *choice, unsigned slot)
{
	set_held(choice, slot, false);
}

void resctrl_choice_ban(struct resctrl_choice *choice, unsigned slot)
{
	set_held(choice, slot, false);
	if (slot < choice->n_slots)
		choice->slots[slot].banned_until = choice->tick + BAN_TICKS;
}

void resctrl_choice_limit(struct resctrl_choice *choice)
{
	choice->limit = choice->n_held;
	choice->limited_until = choice->tick + LIMIT_TICKS;
}

void resctrl_choice_forget(struct resctrl_choice *choice, unsigned slot)
{
	set_held(choice, slot, false);
	if (slot < choice->n_slots)
		choice->slots[slot] = (struct resctrl_choice_slot){0};
}
