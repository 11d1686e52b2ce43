/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drops its privileges, loads the library, and sends a sample four times a second. A driver that is slow or
 * hangs blocks only this process. There is no seccomp filter, because the library's system calls are unknown.
 * Started by the privileged process when `collect` asks for it.
 */
#include "gpu/gpu_main.h"

#include "base/clock.h"
#include "base/log.h"
#include "gpu/drm_meter.h"
#include "gpu/gpu_reader.h"
#include "process/duty.h"
#include "process/ipc.h"
#include "process/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *gpu_choose(const struct sensor_config *config)
{
	struct drm_meter meter;

	switch ((enum sensor_gpu)config->gpu) {
	case SENSOR_GPU_OFF:
		return NULL;
	case SENSOR_GPU_NVIDIA:
		return "nvml";
	case SENSOR_GPU_DRM:
		return "drm";
	case SENSOR_GPU_AUTO:
	case SENSOR_GPU_ON:
		break;
	}
	if (access("/dev/nvidiactl", F_OK) == 0)
		return "nvml";
	if (drm_meter_list(config->sysfs_root, &meter, 1) > 0)
		return "drm";
	return config->gpu == SENSOR_GPU_ON ? "nvml" : NULL;
}

/*
 * No privilege is kept if foreign code will be loaded. The GPUs that other users' processes use are visible
 * only with CAP_SYS_PTRACE.
 */
int gpu_give_up_rights(const struct sensor_config *config, bool drm)
{
	struct reason why = {""};
	int r = sandbox_become(config->user, drm ? SANDBOX_CAPABILITY(CAP_SYS_PTRACE) : 0, &why);

	if (r < 0)
		log_error("gpu", 0, "%s", why.text);
	return r;
}

static int say_hello(struct batch *payload, unsigned n, const char *text)
{
	batch_clear(payload);
	if (ipc_put_u64(payload, n) < 0 || ipc_put_string(payload, text) < 0)
		return -ENOMEM;
	return ipc_send(DUTY_EXTRA_FD, GPU_MESSAGE_HELLO, 0, payload->data, payload->length, NULL, 0);
}

/* Runs until the other end closes. */
static int run(struct gpu_reader *reader, struct gpu_sample *sample, struct batch *payload)
{
	struct pollfd socket = {.fd = DUTY_EXTRA_FD};

	for (;;) {
		int r = gpu_reader_read(reader, clock_monotonic_ns(), sample);

		if (r == 0)
			r = gpu_message_put(payload, sample);
		if (r == 0)
			r = ipc_try_send(DUTY_EXTRA_FD, GPU_MESSAGE_SAMPLE, 0, payload->data, payload->length,
					 NULL, 0);
		if (r == 0)
			gpu_reader_taken(reader);
		else if (r != -EAGAIN)
			return r == -EPIPE ? 0 : r;
		if (poll(&socket, 1, GPU_PERIOD_MS) > 0)
			return 0;
	}
}

int gpu_main(struct sensor_config *config)
{
	struct gpu_sample *sample = calloc(1, sizeof(*sample));
	struct gpu_reader *reader = NULL;
	struct batch payload = {0};
	struct reason why = {""};
	const char *kind = gpu_choose(config);
	const bool drm = kind && strcmp(kind, "drm") == 0;
	int r;

	/* It exits when collect closes the socket. */
	duty_ignore_signals();
	r = sample ? gpu_give_up_rights(config, drm) : -ENOMEM;
	if (r == 0 && drm)
		r = gpu_reader_new_drm(config->sysfs_root, config->procfs_root, &reader, &why);
	else if (r == 0)
		r = gpu_reader_new(config->gpu_library, config->procfs_root, &reader, &why);
	if (r == 0)
		r = say_hello(&payload, gpu_reader_count(reader), drm ? "drm" : "nvml");
	else
		(void)say_hello(&payload, 0, why.text[0] ? why.text : strerror(-r));
	if (r == 0)
		r = run(reader, sample, &payload);
	gpu_reader_free(reader);
	batch_done(&payload);
	free(sample);
	return r < 0 ? 1 : 0;
}
