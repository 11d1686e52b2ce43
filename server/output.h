/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a tick as power reports.
 */
#pragma once

#include "batch.h"
#include "share.h"

struct output_options {
	const char *sensor;
	const char *label; /* formula and state of its model */
	bool skip[REPORT_SCOPES];
};

/*
 * Appends a document for each row. Returns how many could not be made (watts that are no numbers: a fault of
 * a formula, to be counted), or -ENOMEM.
 */
int output_add(struct batch *batch, const struct tick *tick, const struct share_output *shares,
	       const struct output_options *options);
