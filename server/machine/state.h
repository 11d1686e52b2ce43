/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State that survives a restart, in the collection `state`: position and model per sensor and formula, and
 * the pending recaps per machine. One document each, replaced as a whole.
 */
#pragma once

#include "machine/machine.h"
#include "base/reason.h"

/* Appends the machine's document. 0 or a negative errno. */
int state_add(struct batch *batch, const struct machine *machine, int64_t now_ms);
/*
 * Takes position and model from the document among `documents` that is this machine's and formula's. 1:
 * taken; 2: only the position; 0: there is none; -EINVAL with a reason: it has another version or is damaged,
 * and the model starts from scratch (the position is kept if it can be read). A calibration among them gives
 * the model its priors; a state that began with another one gives the position alone. One that cannot be used
 * changes nothing.
 */
int state_load(struct machine *machine, const struct batch *documents, int64_t now_ms, struct reason *why);
/* The number of states of this formula, and of calibrations, among the documents. */
unsigned state_count(const struct batch *documents, const char *formula);
