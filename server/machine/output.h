/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a tick as power reports.
 */
#pragma once

#include "document/report_bson.h"
#include "formula/conserve.h"

struct output_options {
	const char *sensor;
	const char *label; /* formula and state of its model */
	bool calibrated;   /* the model began with what known loads taught */
	bool skip[REPORT_SCOPES];
};

/*
 * Appends a document for each row. Returns how many could not be made (watts that are no numbers: a fault of
 * a formula, to be counted), or -ENOMEM. Does not allocate once the batch is warm.
 */
int output_add(struct batch *batch, const struct tick *tick, const struct conserve_output *conserved,
	       const struct output_options *options);
