/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the processes that a GPU with a DRM driver works for: /proc/PID/fdinfo/FD of their open devices, in
 * the kernel's common format (drm-pdev, drm-client-id, drm-engine-*, drm-cycles-*). Used by drm.c.
 */
#pragma once

#include "gpu/drm_meter.h"

#include <stdbool.h>
#include <stdint.h>

/* A file's counts of one client of a device. Times and cycles of all its engines are added up. */
struct drm_info {
	char address[DRM_ADDRESS_MAX];
	uint64_t id;
	uint64_t busy_ns;
	uint64_t cycles, total_cycles; /* xe: the client's part of an engine's cycles */
};

/* False: the file does not belong to a DRM device. Changes the text. Pure. */
bool drm_info_parse(char *text, struct drm_info *ret_info);

struct drm_clients;

/* Receives time that a GPU worked for a process. */
typedef void drm_work_taker(void *data, unsigned gpu, unsigned pid, double time_ns);

/* The caller keeps `meters`. NULL: out of memory. */
struct drm_clients *drm_clients_new(const char *procfs_root, const struct drm_meter *meters, unsigned n);
void drm_clients_free(struct drm_clients *clients);
/*
 * Reports work since the last call; none at the first one. A GPU's total is at most `time_ns`: if engines
 * worked in parallel, each client gets its part.
 */
void drm_clients_look(struct drm_clients *clients, double time_ns, drm_work_taker *take, void *data);
