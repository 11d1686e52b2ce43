/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What survives a restart, in the collection `state`: position and model per sensor and formula, and the
 * pending recaps per machine. One document each, replaced as a whole.
 */
#pragma once

#include "machine/machine.h"
#include "base/reason.h"

/* Appends the machine's document. 0 or a negative errno. */
int state_add(struct batch *batch, const struct machine *machine, int64_t now_ms);
/*
 * Takes position and model from the document among `documents` that is this machine's and formula's. 1:
 * taken; 0: there is none; -EINVAL with a reason: it is of another version or damaged, and the model starts
 * from scratch (the position is kept where it can be read).
 */
int state_load(struct machine *machine, const struct batch *documents, struct reason *why);
/* How many states of this formula are among the documents. */
unsigned state_count(const struct batch *documents, const char *formula);
