/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a tick as power reports.
 */
#pragma once

#include "document/report_rows.h"
#include "formula/conserve.h"

struct output_options {
	const char *sensor;
	const char *label; /* formula and state of its model */
	bool skip[REPORT_SCOPES];
};

/* Reused from tick to tick; start with zeroes. */
struct output {
	struct report_rows_target *targets;
	unsigned capacity;
	struct report_rows_shape shape;
	char socket[12];
};

/*
 * Appends a document for each row. Returns how many could not be made (watts that are no numbers: a fault of
 * a formula, to be counted), or -ENOMEM. Does not allocate once it and the batch are warm.
 */
int output_add(struct output *output, struct batch *batch, const struct tick *tick,
	       const struct conserve_output *conserved, const struct output_options *options);
void output_done(struct output *output);
