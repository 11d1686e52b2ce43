/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libpfm4's part of event.h, kept separate because its copy of perf_event.h clashes with the kernel's. Only
 * event.c calls it.
 */
#pragma once

#include "event/event.h"
#include "base/reason.h"

#define EVENT_PFM_BOXES_MAX 64

/*
 * Encodes an event that libpfm knows for this CPU: one attribute for each PMU that counts it (uncore boxes,
 * both kinds of cores of a hybrid CPU). Returns their number, or a negative errno with a sentence in `why`.
 */
int event_pfm_encode(const char *name, struct event_attr ret_attrs[EVENT_PFM_BOXES_MAX], struct reason *why);
