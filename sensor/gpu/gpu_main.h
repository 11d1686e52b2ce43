/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duty `gpu`: a process without rights that loads NVIDIA's library, looks at the GPUs and sends what it
 * sees to `collect`. It ends when that closes the socket.
 */
#pragma once

#include "config/sensor_config.h"

#include <stdbool.h>

#define GPU_DUTY "gpu"

/* Which GPUs a sensor of this configuration reads: "nvml", "drm", or NULL for none. */
const char *gpu_choose(const struct sensor_config *config);
/* Before foreign code is loaded. 0 or a negative errno, logged. `drm`: the rights that DRM devices need are
 * kept. */
int gpu_give_up_rights(const struct sensor_config *config, bool drm);
/* Returns the process's exit code. The socket is at DUTY_EXTRA_FD. */
int gpu_main(struct sensor_config *config);
