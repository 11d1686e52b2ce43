/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GPUs for --check-machine. A GPU without a meter of its own is not a fault: its energy is part of the
 * package's. For an NVIDIA GPU that has another driver, or is not among the GPUs that are read, there is a
 * fix. Independent of the text's layout.
 */
#include "check_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "gpu/drm_meter.h"
#include "gpu/gpu_main.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CARDS_MAX 128

/* Runs in the child and exits. */
static void answer_and_exit(const struct sensor_config *config, int fd)
{
	static struct check_gpu_answer answer;
	struct gpu_reader *reader = NULL;
	const char *at = (const char *)&answer;

	answer.result = gpu_give_up_rights(config, false);
	if (answer.result == 0)
		answer.result =
			gpu_reader_new(config->gpu_library, config->procfs_root, &reader, &answer.why);
	for (unsigned i = 0; answer.result == 0 && i < gpu_reader_count(reader); i++)
		gpu_reader_describe(reader, answer.n++, &answer.gpus[i]);
	for (size_t left = sizeof(answer); left > 0;) {
		const ssize_t n = write(fd, at, left);

		if (n <= 0)
			break;
		at += n;
		left -= (size_t)n;
	}
	_exit(0);
}

/* True if the whole answer arrived in time. */
static bool receive(int fd, int patience_ms, struct check_gpu_answer *ret_answer)
{
	const uint64_t end_ns = clock_monotonic_ns() + (uint64_t)patience_ms * 1000000;
	char *at = (char *)ret_answer;
	size_t left = sizeof(*ret_answer);

	while (left > 0) {
		const uint64_t now_ns = clock_monotonic_ns();
		struct pollfd ready = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now_ns >= end_ns || poll(&ready, 1, (int)((end_ns - now_ns) / 1000000) + 1) < 0)
			return false;
		n = ready.revents ? read(fd, at, left) : -1;
		if (n == 0)
			return false;
		if (n > 0) {
			at += n;
			left -= (size_t)n;
		}
	}
	return true;
}

void check_gpu_ask(const struct sensor_config *config, int patience_ms, struct check_gpu_answer *ret_answer)
{
	int ends[2] = {-1, -1};
	pid_t child = -1;
	bool answered;

	*ret_answer = (struct check_gpu_answer){.result = -ETIMEDOUT};
	if (pipe2(ends, O_CLOEXEC) == 0)
		child = fork();
	if (child == 0)
		answer_and_exit(config, ends[1]);
	if (ends[1] >= 0)
		(void)close(ends[1]);
	answered = child > 0 && receive(ends[0], patience_ms, ret_answer);
	if (ends[0] >= 0)
		(void)close(ends[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		/* A child that hangs in the driver cannot exit and is not waited for. */
		(void)waitpid(child, NULL, answered ? 0 : WNOHANG);
	}
	if (!answered) {
		*ret_answer = (struct check_gpu_answer){.result = -ETIMEDOUT};
		reason_set(&ret_answer->why, 0, "the driver does not answer");
		reason_advise(&ret_answer->why, "nvidia-smi shows whether the driver works");
	} else if (ret_answer->result < 0 && !ret_answer->why.text[0]) {
		reason_set(&ret_answer->why, 0, "%s", strerror(-ret_answer->result));
	}
}

static void add(json_t *rows, const char *name, const char *status, const char *text, bool used)
{
	json_t *row = check_text_item("gpu", name, status, text);

	if (used)
		json_object_set_new(row, "used", json_true());
	json_array_append_new(rows, row);
}

static void list_nvml(const struct sensor_config *config, json_t *rows)
{
	static struct check_gpu_answer answer;
	char name[128];

	check_gpu_ask(config, CHECK_GPU_PATIENCE_MS, &answer);
	if (answer.result < 0) {
		if (!*reason_split(answer.why.text, &(size_t){0}))
			reason_advise(&answer.why, "nvidia-smi shows whether the driver works");
		add(rows, "nvml", "missing", answer.why.text, false);
	}
	for (unsigned i = 0; answer.result == 0 && i < answer.n; i++) {
		const struct gpu_description *gpu = &answer.gpus[i];
		char text[256];

		(void)snprintf(name, sizeof(name), "%u: %s", i, gpu->name);
		text_make_utf8(name);
		(void)snprintf(text, sizeof(text), "nvml: %s%s",
			       gpu->has_counter ? "its energy counter" : "its power over time",
			       gpu->is_split ? "; MIG instances by size" : "");
		add(rows, name, "ok", text, true);
	}
}

/* Lists GPUs with a meter. `used`: they would be read. */
static unsigned list_meters(const struct sensor_config *config, bool used, struct drm_meter *meters,
			    json_t *rows)
{
	const unsigned n = drm_meter_list(config->sysfs_root, meters, GPU_DEVICES_MAX);
	struct reason text;
	char name[64];

	for (unsigned i = 0; i < n; i++) {
		const char *file = strrchr(meters[i].file, '/');

		(void)snprintf(name, sizeof(name), "%u: %.*s", i, DRM_ADDRESS_MAX, meters[i].address);
		reason_set(&text, 0, "drm: %s, %s%s",
			   meters[i].power ? "its power over time" : "its energy counter",
			   file ? file + 1 : meters[i].file,
			   used ? "" : "; not read, because NVIDIA's GPUs are");
		if (!used)
			reason_advise(&text, "to read it instead of those, use --gpu drm");
		add(rows, used ? name : meters[i].address, used ? "ok" : "limited", text.text, used);
	}
	return n;
}

/* The last component of a link's target. */
static bool read_link_name(const char *path, char *ret, size_t size)
{
	char target[512];
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *slash;

	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	(void)snprintf(ret, size, "%.*s", (int)size - 1, slash ? slash + 1 : target);
	return true;
}

/* A card without a meter; cards of other vendors are only for display. */
static void list_other(const char *device, const char *address, bool nvml, json_t *rows)
{
	char path[1024], driver[64] = "", vendor[16] = "";
	const struct {
		const char *driver, *why;
	} known[] = {{"amdgpu", "no meter of its own: its energy is part of the package's"},
		     {"i915", "no meter of its own: its energy is part of the package's"},
		     {"xe", "no meter of its own: its energy is part of the package's"}};

	(void)snprintf(path, sizeof(path), "%s/driver", device);
	(void)read_link_name(path, driver, sizeof(driver));
	(void)text_read_file(vendor, sizeof(vendor), "%s/vendor", device);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(driver, known[i].driver) == 0)
			add(rows, address, "limited", known[i].why, false);
	if (strcmp(vendor, "0x10de") == 0 && !nvml) {
		struct reason why;

		reason_set(&why, 0, "NVIDIA, driver %s: no meter", driver[0] ? driver : "none");
		reason_advise(&why,
			      "install NVIDIA's driver with its management library; then use --gpu nvidia");
		add(rows, address, "missing", why.text, false);
	}
}

static void list_others(const struct sensor_config *config, const struct drm_meter *meters, unsigned n_meters,
			bool nvml, json_t *rows)
{
	char device[512], address[DRM_ADDRESS_MAX];

	for (unsigned number = 0; number < CARDS_MAX; number++) {
		bool is_listed = false;

		(void)snprintf(device, sizeof(device), "%s/class/drm/card%u/device", config->sysfs_root,
			       number);
		if (!read_link_name(device, address, sizeof(address)))
			continue;
		for (unsigned i = 0; i < n_meters; i++)
			is_listed = is_listed || strcmp(meters[i].address, address) == 0;
		if (!is_listed)
			list_other(device, address, nvml, rows);
	}
}

void check_gpu_list(const struct sensor_config *config, bool described, json_t *object)
{
	static struct drm_meter meters[GPU_DEVICES_MAX];
	struct sensor_config asked = *config;
	const char *source;
	json_t *rows = json_array();
	bool nvml;
	unsigned n;

	/* No sysfs file shows whether NVIDIA's driver is loaded there. */
	if (described && config->gpu == SENSOR_GPU_AUTO)
		asked.gpu = SENSOR_GPU_DRM;
	source = gpu_choose(&asked);
	nvml = source && strcmp(source, "nvml") == 0;
	if (nvml)
		list_nvml(&asked, rows);
	n = config->gpu == SENSOR_GPU_OFF ? 0 : list_meters(&asked, !nvml, meters, rows);
	if (config->gpu != SENSOR_GPU_OFF)
		list_others(&asked, meters, n, nvml, rows);
	if (json_array_size(rows) == 0 && config->gpu == SENSOR_GPU_DRM)
		add(rows, "drm", "missing",
		    "no amdgpu, i915 or xe GPU has a meter of its own" REASON_FIX
		    "load the GPU's driver; the energy of integrated GPUs is part of the package's",
		    false);
	if (json_array_size(rows) > 0)
		json_object_set_new(object, "gpus", rows);
	else
		json_decref(rows);
}
