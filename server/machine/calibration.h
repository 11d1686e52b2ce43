/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `wattribute calibrate` has stored of a machine, in the collection `state`: the model that learnt from
 * known loads, as priors. Called by state.c; docs/documents.md shows the document.
 */
#pragma once

#include "machine/machine.h"

#include <bson/bson.h>

/* The machine's document, within `documents`; sets when it was made. False: none that this formula can use.
 */
bool calibration_find(struct machine *machine, const struct batch *documents, bson_t *ret_document);
/* Gives the model its priors. One that cannot be used is logged, and the machine counts as not calibrated. */
void calibration_apply(struct machine *machine, const bson_t *document);
