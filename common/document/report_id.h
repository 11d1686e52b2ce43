/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of a report, part by part, so that what many reports share is hashed once. Private to the
 * encoders; report_make_id() is the whole of it.
 */
#pragma once

#include "document/report_bson.h"

/* A part's place enters the hash, so that ("a", NULL) and (NULL, "a") differ. */
enum report_id_part { REPORT_ID_SENSOR, REPORT_ID_TARGET, REPORT_ID_SCOPE, REPORT_ID_SOCKET };

uint64_t report_id_begin(int64_t time_ms);
/* NULL is passed over. */
uint64_t report_id_add(uint64_t hash, enum report_id_part part, const char *text);
void report_id_end(uint64_t hash, int64_t time_ms, uint8_t ret_id[REPORT_ID_BYTES]);
