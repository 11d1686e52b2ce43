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
	bool calibrated;   /* the model began with priors from known loads */
	bool skip[REPORT_SCOPES];
};

/*
 * Appends a document for each row. Returns the number of rows that could not be encoded (watts that are not
 * numbers: a fault of a formula, to be counted), or -ENOMEM. Does not allocate once the batch is warm.
 */
int output_add(struct batch *batch, const struct tick *tick, const struct conserve_output *conserved,
	       const struct output_options *options);
