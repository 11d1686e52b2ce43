/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assigns the few monitoring groups to the busiest targets, with hysteresis, so that groups do not move at
 * each change of load. Pure; used by source_resctrl.c.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct resctrl_choice_slot {
	float load; /* smoothed part of the machine's activity */
	float now;  /* of this tick */
	bool held;
	uint32_t since;        /* tick of the last change */
	uint32_t banned_until; /* it cannot be measured before this tick */
};

struct resctrl_choice {
	struct resctrl_choice_slot *slots; /* [n_slots] */
	unsigned n_slots, slots_capacity;
	unsigned most;  /* groups that may ever be held */
	unsigned limit; /* at present: others may use some */
	uint32_t limited_until;
	unsigned n_held;
	uint32_t tick;
};

/* A change to be made: either may be 0. give first. */
struct resctrl_change {
	unsigned give, take; /* slots */
};

void resctrl_choice_init(struct resctrl_choice *choice, unsigned most);
void resctrl_choice_done(struct resctrl_choice *choice);
/* Called for each active slot, before resctrl_choice_tick(). False: out of memory. */
bool resctrl_choice_note(struct resctrl_choice *choice, unsigned slot, double load);
void resctrl_choice_tick(struct resctrl_choice *choice);
/* The next change; false: none. The caller makes it, then reports the result with the calls below. */
bool resctrl_choice_next(const struct resctrl_choice *choice, struct resctrl_change *ret_change);
void resctrl_choice_took(struct resctrl_choice *choice, unsigned slot);
void resctrl_choice_gave(struct resctrl_choice *choice, unsigned slot);
/* The target cannot be measured for a while: its threads are in foreign groups, or measuring failed. */
void resctrl_choice_ban(struct resctrl_choice *choice, unsigned slot);
/* No further group can be made for a while. */
void resctrl_choice_limit(struct resctrl_choice *choice);
/* The target has ended; another may get its slot. */
void resctrl_choice_forget(struct resctrl_choice *choice, unsigned slot);
