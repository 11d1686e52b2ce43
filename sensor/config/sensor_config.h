/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's configuration: one table of options for command line, environment, JSON file, --help and man
 * page. hwpc-sensor's command lines and JSON files are accepted unchanged.
 */
#pragma once

#include "config/config.h"
#include "source/source.h"

#include <stdbool.h>
#include <stdint.h>

#define SENSOR_GROUPS_MAX 32
#define SENSOR_EXIT_LOST  3 /* exit code after an orderly end, if reports were lost; a child's, too */

/* Choices of --resctrl. */
enum sensor_resctrl { SENSOR_RESCTRL_AUTO, SENSOR_RESCTRL_OFF, SENSOR_RESCTRL_ON };

/* Choices of --gpu. */
enum sensor_gpu { SENSOR_GPU_AUTO, SENSOR_GPU_OFF, SENSOR_GPU_ON, SENSOR_GPU_NVIDIA, SENSOR_GPU_DRM };

struct sensor_config {
	char *name;
	uint64_t interval_ms;
	uint64_t discovery_ms;
	int64_t edge_readings; /* maximum number of extra ones per second; 0: none */
	int64_t ticks;         /* exit after this many; 0: never */
	char *cgroup_base;
	struct event_group_request groups[SENSOR_GROUPS_MAX];
	unsigned n_groups;
	int energy;   /* index into choose_energy_names */
	int activity; /* index into choose_activity_names */
	double tdp_w;
	int gpu; /* enum sensor_gpu */
	char *gpu_library;
	int resctrl; /* enum sensor_resctrl */
	bool per_cpu;
	bool keep_idle;
	bool strict;
	int names; /* 0: names; 1: cgroup paths */
	struct config_list include, exclude;
	struct config_list docker_roots, podman_roots, containerd_roots,
		pod_log_roots; /* empty: the usual places */
	/* destination of reports */
	char *store;
	char *output_type, *uri, *database, *collection;
	int64_t port;
	uint64_t store_timeout_ms;
	uint64_t retention_ms, store_size;
	bool durable;
	bool renew_damaged;
	char *state_dir;
	uint64_t spool_size, spool_age_ms, backlog;
	/* the machine */
	char *sysfs_root, *procfs_root, *resctrl_root;
	char *sim;
	int64_t fd_budget;
	/* the process */
	char *user;
	int sandbox;
	unsigned verbose;
	int log_level;
	bool check_machine, json;
	/* made by the final check */
	char *store_uri;  /* URI to open */
	char *reports;    /* collection of reports: sensor<name> */
	char *targets;    /* collection of targets: target<name> */
	char *spool_path; /* NULL: the store needs none */
};

extern const struct config_spec sensor_config_spec;
/* Frees everything. */
void sensor_config_done(struct sensor_config *config);
