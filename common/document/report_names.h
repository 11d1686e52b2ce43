/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of names used by report_bson.h's decoder and the CSV store.
 */
#pragma once

#include "document/report_bson.h"

#define REPORT_NAMES_MAX 65535

enum report_names_kind { REPORT_NAMES_GROUP, REPORT_NAMES_EVENT, REPORT_NAMES_KINDS };

/*
 * Number of a name; a new name is added. -ENAMETOOLONG (beyond REPORT_KEY_MAX, because names are kept
 * forever), -E2BIG (too many), -ENOMEM.
 */
int report_names_intern(struct report_names *names, enum report_names_kind kind, const char *text,
			size_t length);
