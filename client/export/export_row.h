/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A power report as a row of CSV or a line of JSON, and times as users type them. Pure except for the
 * writing.
 */
#pragma once

#include "document/report.h"

#include <stdint.h>
#include <stdio.h>

void export_write_csv_head(FILE *out);
/* RFC 4180, time in RFC 3339 UTC; an unknown number is an empty field. */
void export_write_csv(FILE *out, const struct report_power *power);
/* One JSON object and a newline; an unknown number is omitted. */
void export_write_json(FILE *out, const struct report_power *power);
/*
 * "2026-01-31T12:00:00[.5][Z]" (UTC), "2026-01-31 12:00:00", "2026-01-31", epoch seconds (fractions
 * accepted), or "-10m": that long before now_ms. 0 or -EINVAL.
 */
int export_parse_time(const char *text, int64_t now_ms, int64_t *ret_ms);
