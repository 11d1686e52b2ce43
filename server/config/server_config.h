/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of wattribute-server, in one table (server_config.c).
 */
#pragma once

#include "config/config.h"
#include "store/store.h"
#include "formula/formula.h"
#include "base/log.h"

struct server_config {
	char *uri; /* -U: input and output */
	char *input;
	char *output;
	char *database;
	char *state_dir;
	char *listen;
	char *token;
	char *web_config; /* file */
	struct config_list sensors;
	bool once;
	bool resume;       /* with --once: start from the stored position and model, and store them */
	int formula_index; /* into formula_all */
	struct formula_config formula;
	double learn_min_samples, learn_history, learn_error_window;
	bool no_cpu, no_dram;
	int static_policy;
	double n_cpus;
	uint64_t retention_ms;
	bool durable;
	uint64_t store_size; /* bytes; 0: no limit */
	bool renew_damaged;
	uint64_t grace_ms;
	uint64_t poll_ms;
	uint64_t save_ms;
	uint64_t lease_ms;
	uint64_t discover_ms;
	uint64_t expire_ms;
	int64_t metrics_limit; /* containers */
	uint64_t state_line_ms;
	uint64_t recap_timeout_ms;
	int log_level; /* index into log_level_names */
	char *user;
	char *hosts; /* names, separated by commas */
	int sandbox;
	/* settled from the above */
	char database_name[STORE_DATABASE_SIZE]; /* that requests may name */
	char *input_uri;
	char *output_uri;
	char about[128]; /* how it computes: formula and static power */
	char *address;   /* NULL: no HTTP */
	uint16_t port;
	struct web_config *web; /* main.c reads it in the process that answers requests; NULL elsewhere */
	const struct formula_ops *ops;
};

extern const struct config_spec server_config_spec;
/* Frees everything that config_load() and the settling allocated. */
void server_config_done(struct server_config *config);
/* True if input and output are the same store. */
bool server_config_one_store(const struct server_config *config);
