/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes a GPU of the kernel's DRM drivers works for: /proc/PID/fdinfo/FD of their open devices, in
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
	uint64_t cycles, total_cycles; /* xe: of an engine's cycles, those for this client */
};

/* False for a file that is none of a DRM device. Changes the text. Pure. */
bool drm_info_parse(char *text, struct drm_info *ret_info);

struct drm_clients;

/* Receives time that a GPU worked for a process. */
typedef void drm_work_taker(void *data, unsigned gpu, unsigned pid, double time_ns);

/* `meters` stay the caller's. NULL: out of memory. */
struct drm_clients *drm_clients_new(const char *procfs_root, const struct drm_meter *meters, unsigned n);
void drm_clients_free(struct drm_clients *clients);
/*
 * Work since the last call; nothing at the first one. All of a GPU's is at most `time_ns`: where engines
 * worked side by side, each client gets its part.
 */
void drm_clients_look(struct drm_clients *clients, double time_ns, drm_work_taker *take, void *data);
