/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of energy have in common that read small files of sysfs: opening, wraps, resets, reloaded
 * drivers, dead files. A source of this kind lists its files and has the rest from here.
 */
#pragma once

#include "priv/priv_client.h"
#include "source/source.h"

#define ENERGY_FILE_ID_SIZE 48

struct energy_file {
	char id[ENERGY_FILE_ID_SIZE]; /* as priv knows it: "intel-rapl:0", "hwmon3/power1_average" */
	char name[96];                /* what the file calls itself, for messages */
	const char *event;            /* RAPL_ENERGY_PKG, ... */
	unsigned package;
	uint64_t range_uj; /* where a counter starts again; 0: never, or unknown */
	bool power;        /* microwatts of now, not microjoules since ever */
};

struct energy_kind {
	const struct system_source_ops *ops;
	const char *token;  /* of its lines in the log */
	const char *noun;   /* "zone", "meter" */
	const char *folder; /* below <sysfs>/class: "powercap", "hwmon" */
	const char *leaf;   /* after the id: "/energy_uj", "" */
	enum priv_file file;
	/* The files, sorted; how many, or a negative errno. The caller frees them in either case. */
	int (*list)(const struct source_context *context, struct energy_file **ret_files);
	/* NULL, or: the id may be another device's by now, as they are numbered as they come. */
	void (*find_again)(struct source_context *context, struct energy_file *file);
};

/*
 * Can a file of an event that is asked for be read? -ENOENT with an empty `why`: there is none. Where the
 * sockets' energy is asked for, it alone decides.
 */
int energy_files_probe(struct source_context *context, const struct energy_kind *kind,
		       const struct event_group_request *request, struct reason *why);
/* Opens those that are asked for. Files of one event and package are added up. */
int energy_files_open(struct source_context *context, const struct energy_kind *kind,
		      const struct event_group_request *request, struct system_source **ret_source);
/* For a source's const table. */
int energy_files_read(struct system_source *source, uint64_t interval_ns);
uint64_t energy_files_period(const struct system_source *source);
void energy_files_keep(struct system_source *source);
void energy_files_close(struct system_source *source);
