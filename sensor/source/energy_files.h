/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Common code of the energy sources that read small sysfs files: opening, wraps, resets, reloaded drivers,
 * dead files. Such a source lists its files and uses this for the rest.
 */
#pragma once

#include "priv/priv_client.h"
#include "source/source.h"

#define ENERGY_FILE_ID_SIZE 48

struct energy_file {
	char id[ENERGY_FILE_ID_SIZE]; /* for priv: "intel-rapl:0", "hwmon3/power1_average" */
	char name[96];                /* the file's own name, for messages */
	const char *event;            /* RAPL_ENERGY_PKG, ... */
	unsigned package, die;
	uint64_t range_uj; /* the counter wraps here; 0: never, or unknown */
	bool power;        /* present microwatts, not cumulative microjoules */
};

struct energy_kind {
	const struct system_source_ops *ops;
	const char *token;  /* of its lines in the log */
	const char *noun;   /* "zone", "meter" */
	const char *folder; /* below <sysfs>/class: "powercap", "hwmon" */
	const char *leaf;   /* after the id: "/energy_uj", "" */
	enum priv_file file;
	/* The files, sorted. Returns their number, or a negative errno. The caller frees them in either case.
	 */
	int (*list)(const struct source_context *context, struct energy_file **ret_files);
};

/*
 * Can a file of a requested event be read? -ENOENT with an empty `why`: there is none. If the sockets' energy
 * is requested, it alone decides.
 */
int energy_files_probe(struct source_context *context, const struct energy_kind *kind,
		       const struct event_group_request *request, struct reason *why);
/* Opens the requested files. Files of one event and package are added up. */
int energy_files_open(struct source_context *context, const struct energy_kind *kind,
		      const struct event_group_request *request, struct system_source **ret_source);
/* For a source's const table. */
int energy_files_read(struct system_source *source, uint64_t interval_ns);
uint64_t energy_files_period(const struct system_source *source);
void energy_files_keep(struct system_source *source);
void energy_files_close(struct system_source *source);
