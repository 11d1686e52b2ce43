/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluates the private store of a calibration run: the watts of each phase, and the model, which becomes the
 * machine's calibration in the store of the user's server.
 */
#pragma once

#include "calibrate/calibrate_plan.h"
#include "base/reason.h"
#include "document/batch.h"

struct calibrate_result {
	int64_t begin_ms[CALIBRATE_PHASES], end_ms[CALIBRATE_PHASES]; /* epoch */
	int64_t settle_ms;                 /* from the start of each phase, ignored */
	char targets[CALIBRATE_KINDS][64]; /* names of the loads in the reports */
	char energy_source[32];
	bool estimated;
	unsigned n_cpus; /* that the loads had; 1: A and B take turns, and neither adds to the other */
	int64_t last_ms[REPORT_SCOPES]; /* the machine's last tick that was added */
	struct calibrate_seen seen[REPORT_SCOPES][CALIBRATE_PHASES];
	bool judged[REPORT_SCOPES]; /* the error of this scope is known */
	struct calibrate_error errors[REPORT_SCOPES];
};

/*
 * Number of the machine's energy readings that the server has stored so far for this running phase and that
 * calibrate_result_read() will use. Negative errno with a sentence.
 */
int calibrate_result_count(const struct calibrate_result *result, unsigned phase, const char *store,
			   const char *machine, struct reason *why);
/* Adds up the reports and computes the errors. 0, or a negative errno with a reason. */
int calibrate_result_read(struct calibrate_result *result, const char *store, const char *machine,
			  struct reason *why);
/* The machine's model in the private store `from` as the calibration of `name`, to be stored in `to`. */
struct calibrate_place {
	const char *from, *machine; /* URI; the machine's name there */
	const char *to, *database;  /* URI; NULL: the URI's */
	const char *name;
	int64_t now_ms;
};
/* Appends the document to `ret`. 0, or a negative errno with a reason, as the following ones. */
int calibrate_result_take(const struct calibrate_result *result, const struct calibrate_place *place,
			  struct batch *ret, struct reason *why);
/* Stores it; can be repeated. */
int calibrate_result_put(const struct calibrate_place *place, const struct batch *document,
			 struct reason *why);
/* Does the store answer, and can it keep the document? It is read only. */
int calibrate_result_try(const struct calibrate_place *place, struct reason *why);
