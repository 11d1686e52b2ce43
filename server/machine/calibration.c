/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a machine's calibration among the stored states, and hands its model to the formula.
 */
#include "machine/calibration.h"
#include "base/bson_get.h"
#include "document/collections.h"
#include "document/stored_model.h"
#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool calibration_find(struct machine *machine, const struct batch *documents, bson_t *ret_document)
{
	const struct formula_ops *ops = machine->config->ops;
	char id[512];

	(void)snprintf(id, sizeof(id), CALIBRATION_ID "%s", machine->name);
	return ops->calibrate && batch_find_bson(documents, id, ret_document) &&
	       bson_has_text(ret_document, "formula", ops->name) &&
	       bson_get_date(ret_document, "timestamp", &machine->calibrated_ms);
}

static int take_model(struct machine *machine, const bson_t *document, struct reason *why)
{
	bson_t model;
	int r = stored_model_read(document, &model, why);

	return r < 0 ? r : machine->config->ops->calibrate(machine->formula, &model, why);
}

void calibration_apply(struct machine *machine, const bson_t *document)
{
	struct reason why = {"out of memory"};

	if (take_model(machine, document, &why) == 0) {
		log_info("state", 0, "%s: this machine is calibrated", machine->name);
		return;
	}
	machine->calibrated_ms = 0;
	log_warning("state", 0,
		    "%s: the stored calibration is not used: %s; run 'wattribute calibrate' again",
		    machine->name, why.text);
}
