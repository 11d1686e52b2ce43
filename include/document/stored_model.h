/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model within a document of the collection `state`: a machine's state or its calibration. Read by the
 * server, and by `wattribute calibrate`.
 */
#pragma once

#include "base/bson_driver.h"
#include "base/reason.h"

/* A view into `document`. 0, or -ENODATA or -EINVAL with a reason. */
int stored_model_read(const bson_t *document, bson_t *ret_model, struct reason *why);
