/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duty `gpu`: an unprivileged process that loads NVIDIA's library, reads the GPUs and sends the results
 * to `collect`. It ends when `collect` closes the socket.
 */
#pragma once

#include "config/sensor_config.h"

#include <stdbool.h>

#define GPU_DUTY "gpu"

/* How a sensor with this configuration reads GPUs: "nvml", "drm", or NULL for none. */
const char *gpu_choose(const struct sensor_config *config);
/* Called before foreign code is loaded. 0 or a negative errno, logged. `drm`: keeps the capability that DRM
 * devices need. */
int gpu_give_up_rights(const struct sensor_config *config, bool drm);
/* Returns the process's exit code. The socket is at DUTY_EXTRA_FD. */
int gpu_main(struct sensor_config *config);
