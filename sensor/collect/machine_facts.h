/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's power and clocks, from sysfs: design power and power limits of its packages, the drivers of
 * idle states and frequency. Read once at start, for the metadata of the reports: the server's model starts
 * from it. Missing or absurd values count as unknown.
 */
#pragma once

#include "document/report.h"
#include "machine/topology.h"

#define MACHINE_WORD_SIZE 32

struct machine_facts {
	struct report_machine report; /* its texts are those below */
	char idle_driver[MACHINE_WORD_SIZE], idle_state[MACHINE_WORD_SIZE];
	char frequency_driver[MACHINE_WORD_SIZE], frequency_governor[MACHINE_WORD_SIZE];
};

/* `ret_facts` must not move afterwards. */
void machine_facts_read(const char *sysfs_root, const struct topology *topology,
			struct machine_facts *ret_facts);
