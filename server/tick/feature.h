/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meaning of a report's event to the formulas, by its name as the user typed it. Pure.
 */
#pragma once

#include "tick/tick.h"

enum feature_kind {
	FEATURE_NONE,  /* no formula knows it */
	FEATURE_COUNT, /* one of enum tick_feature */
	FEATURE_TIME,  /* CPU time in ns: TICK_REF after multiplying by the base frequency */
	FEATURE_PKG,
	FEATURE_DRAM,
	FEATURE_APERF,
	FEATURE_MPERF,
	FEATURE_TSC,
	FEATURE_BOOKKEEPING,  /* time_running */
	FEATURE_ENABLED,      /* time_enabled: ns for which the group's events were counted */
	FEATURE_ENERGY_APART, /* of a domain that no formula models, like the next */
	FEATURE_GPU_TIME,
	FEATURE_TARGET_CORES, /* energy that the hardware counted for a target */
};

struct feature {
	enum feature_kind kind;
	enum tick_feature which; /* of FEATURE_COUNT and FEATURE_TIME */
	unsigned rank;           /* if two events mean the same, the lower rank is used */
	bool efficient;          /* cycles of a hybrid processor's efficient cores: TICK_EFFICIENT, too */
	enum report_scope scope; /* of a domain that no formula models; else cpu */
};

/* Rank of an event that stands in for TICK_REF because the sensor reports no known event. */
#define FEATURE_RANK_FALLBACK 100

/* Looks up the name, ignoring its PMU prefix ("hsw_ep::", "perf::") and case. */
struct feature feature_of_event(const char *event);
