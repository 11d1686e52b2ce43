/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stretches of GPU time from the process `gpu`, and their parts that belong to a tick. Called by collect once
 * per tick, without allocating.
 */
#include "collect/collect_gpu.h"

#include "base/clock.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "gpu/gpu_message.h"
#include "process/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Stretches are reported after they end, so a tick takes those that ended this long before it. */
#define GPU_LAG_NS    (UINT64_C(2) * GPU_PERIOD_MS * CLOCK_NS_PER_MS)
#define GPU_HELLO_MS  10000
#define STRETCHES_MAX 64
#define TARGETS_MAX   256 /* with work in one tick; further ones count as the system's */
#define SILENCE_NS    (5 * CLOCK_NS_PER_S)

struct stretch {
	uint64_t from_ns, to_ns; /* its remaining part */
	double energy_j[GPU_DEVICES_MAX];
	double all_ns[GPU_DEVICES_MAX]; /* total work */
	unsigned n;
	struct {
		unsigned slot, gpu;
		double time_ns;
	} works[TARGETS_MAX];
};

struct collect_gpu {
	struct system_source source; /* first: the tick sees only this */
	int socket;
	collect_gpu_finder *find;
	void *data;
	void *buffer;
	struct gpu_sample *sample;
	unsigned n_gpus;
	struct report_place places[GPU_DEVICES_MAX];
	struct stretch *stretches; /* [STRETCHES_MAX], the oldest first */
	unsigned n_stretches;
	uint64_t heard_ns; /* end of the newest stretch */
	uint64_t end_ns;   /* end of the last tick for the GPUs */
	bool told_silence;
	struct target_counts targets;
	unsigned slots[TARGETS_MAX];
	uint64_t *work_ns; /* [TARGETS_MAX][n_gpus] */
};

static const char *const all_events[] = {REPORT_EVENT_GPU_ENERGY, REPORT_EVENT_GPU_TIME};

/* The slot of the nearest cgroup above the process that is counted. */
static unsigned find_slot(const struct collect_gpu *gpu, const char *cgroup)
{
	char path[GPU_CGROUP_MAX];

	if (cgroup[0] != '/' || strlen(cgroup) >= sizeof(path))
		return 0;
	memcpy(path, cgroup, strlen(cgroup) + 1);
	for (char *slash; path[1]; *slash = '\0') {
		const unsigned slot = gpu->find(gpu->data, path);

		if (slot > 0)
			return slot;
		slash = strrchr(path, '/');
		if (!slash || slash == path)
			return 0;
	}
	return 0;
}

/* Keeps a message as a stretch. If there is no room, the oldest one is dropped and counted as a failure. */
static void keep(struct collect_gpu *gpu, const struct gpu_sample *sample)
{
	struct stretch *stretch;

	if (gpu->n_stretches == STRETCHES_MAX) {
		memmove(gpu->stretches, gpu->stretches + 1, (STRETCHES_MAX - 1) * sizeof(*gpu->stretches));
		gpu->n_stretches--;
		gpu->source.read_failures++;
	}
	stretch = &gpu->stretches[gpu->n_stretches++];
	*stretch = (struct stretch){.from_ns = sample->from_ns, .to_ns = sample->to_ns};
	for (unsigned i = 0; i < gpu->n_gpus; i++)
		stretch->energy_j[i] = i < sample->n_gpus ? sample->energy_j[i] : NAN;
	for (unsigned i = 0; i < sample->n_works; i++) {
		const struct gpu_work *work = &sample->works[i];
		unsigned slot = find_slot(gpu, work->cgroup);

		if (work->gpu >= gpu->n_gpus)
			continue;
		stretch->all_ns[work->gpu] += (double)work->time_ns;
		if (slot == 0)
			slot = find_slot(gpu, work->cgroup_v1);
		if (slot == 0 || stretch->n == TARGETS_MAX)
			continue;
		stretch->works[stretch->n].slot = slot;
		stretch->works[stretch->n].gpu = work->gpu;
		stretch->works[stretch->n++].time_ns = (double)work->time_ns;
	}
	gpu->heard_ns = sample->to_ns;
}

static void receive(struct collect_gpu *gpu)
{
	struct ipc_message message;

	while (gpu->socket >= 0) {
		const int r = ipc_receive(gpu->socket, gpu->buffer, IPC_MESSAGE_MAX + 16, &message);

		if (r == -EAGAIN)
			return;
		if (r == 1) {
			ipc_close_fds(&message);
			if (message.type == GPU_MESSAGE_SAMPLE &&
			    gpu_message_get(message.payload, message.length, gpu->sample) == 0) {
				keep(gpu, gpu->sample);
				continue;
			}
		}
		log_warning("gpu", 0, "the process that reads the GPUs has exited: their energy is missing");
		(void)close(gpu->socket);
		gpu->socket = -1;
	}
}

static void add_work(struct collect_gpu *gpu, unsigned slot, unsigned device, double time_ns)
{
	struct target_counts *targets = &gpu->targets;
	unsigned i = 0;

	while (i < targets->n && gpu->slots[i] != slot)
		i++;
	if (i == TARGETS_MAX)
		return;
	if (i == targets->n) {
		gpu->slots[targets->n++] = slot;
		memset(gpu->work_ns + (size_t)i * gpu->n_gpus, 0, gpu->n_gpus * sizeof(*gpu->work_ns));
	}
	gpu->work_ns[(size_t)i * gpu->n_gpus + device] += (uint64_t)time_ns;
}

/* Moves `part` of a stretch's remainder into the tick. */
static void take(struct collect_gpu *gpu, struct stretch *stretch, double part, double *energy_j,
		 double *all_ns)
{
	for (unsigned i = 0; i < gpu->n_gpus; i++) {
		energy_j[i] += stretch->energy_j[i] * part; /* NAN: the tick has none */
		all_ns[i] += stretch->all_ns[i] * part;
		stretch->energy_j[i] *= 1 - part;
		stretch->all_ns[i] *= 1 - part;
	}
	for (unsigned i = 0; i < stretch->n; i++) {
		add_work(gpu, stretch->works[i].slot, stretch->works[i].gpu,
			 stretch->works[i].time_ns * part);
		stretch->works[i].time_ns *= 1 - part;
	}
}

/* False for the first tick: the first stretch begins within it, so it is incomplete and unknown. */
static bool is_whole(const struct collect_gpu *gpu, uint64_t end_ns)
{
	const uint64_t from_ns = gpu->n_stretches ? gpu->stretches[0].from_ns : end_ns;

	return from_ns <= gpu->end_ns || (from_ns - gpu->end_ns) * 10 < end_ns - gpu->end_ns;
}

/* Fills the tick that ends at `end_ns`. False: no stretch has a part in it. */
static bool fill(struct collect_gpu *gpu, uint64_t end_ns, double *energy_j, double *all_ns)
{
	unsigned n_done = 0;
	bool any = false;

	for (unsigned i = 0; i < gpu->n_stretches; i++) {
		struct stretch *stretch = &gpu->stretches[i];
		const uint64_t to_ns = stretch->to_ns < end_ns ? stretch->to_ns : end_ns;

		if (stretch->from_ns >= end_ns)
			break;
		take(gpu, stretch,
		     (double)(to_ns - stretch->from_ns) / (double)(stretch->to_ns - stretch->from_ns),
		     energy_j, all_ns);
		stretch->from_ns = to_ns;
		n_done += to_ns == stretch->to_ns;
		any = true;
	}
	gpu->n_stretches -= n_done;
	memmove(gpu->stretches, gpu->stretches + n_done, gpu->n_stretches * sizeof(*gpu->stretches));
	return any;
}

static void say_silence(struct collect_gpu *gpu, uint64_t now_ns)
{
	const bool silent = gpu->socket >= 0 && gpu->heard_ns > 0 && now_ns > gpu->heard_ns + SILENCE_NS;

	if (silent && !gpu->told_silence)
		log_warning("gpu", 0,
			    "the GPU driver does not answer: the GPUs' energy is missing until it does");
	gpu->told_silence = silent;
}

static int gpu_read(struct system_source *source, uint64_t interval_ns)
{
	struct collect_gpu *gpu = (struct collect_gpu *)source;
	const uint64_t now_ns = clock_monotonic_ns(), end_ns = now_ns - GPU_LAG_NS;
	double energy_j[GPU_DEVICES_MAX] = {0}, all_ns[GPU_DEVICES_MAX] = {0};
	bool any, whole;

	(void)interval_ns;
	receive(gpu);
	say_silence(gpu, now_ns);
	gpu->targets.n = 0;
	whole = is_whole(gpu, end_ns);
	any = fill(gpu, end_ns, energy_j, all_ns);
	gpu->end_ns = end_ns;
	if (!whole)
		gpu->targets.n = 0;
	for (unsigned i = 0; i < gpu->n_gpus; i++) {
		const bool known = any && whole && energy_j[i] >= 0;

		source->values[2 * i] =
			known ? (uint64_t)ldexp(energy_j[i], -REPORT_RAPL_EXPONENT) : REPORT_COUNT_MISSING;
		source->values[2 * i + 1] = known ? (uint64_t)all_ns[i] : REPORT_COUNT_MISSING;
		source->read_failures += any && whole && !known;
	}
	return 0;
}

static void gpu_keep(struct system_source *source)
{
	receive((struct collect_gpu *)source);
}

/* If ticks are long, it is also read between them. */
static uint64_t gpu_period(const struct system_source *source)
{
	(void)source;
	return 8 * CLOCK_NS_PER_S;
}

/* The process lives on when sources are opened again; collect_gpu_close() ends it. */
static void gpu_source_close(struct system_source *source)
{
	(void)source;
}

#define GPU_OPS(source_name)                                                                                 \
	{                                                                                                    \
		.name = (source_name), .read = gpu_read, .period_ns = gpu_period, .keep = gpu_keep,          \
		.close = gpu_source_close                                                                    \
	}
static const struct system_source_ops source_nvml = GPU_OPS("nvml"), source_drm = GPU_OPS("drm");

/* Receives the number of GPUs. */
static int hear_hello(struct collect_gpu *gpu, struct reason *why)
{
	struct pollfd socket = {.fd = gpu->socket, .events = POLLIN};
	struct ipc_message message;
	struct ipc_cursor cursor;
	uint64_t n;

	if (poll(&socket, 1, GPU_HELLO_MS) <= 0 ||
	    ipc_receive(gpu->socket, gpu->buffer, IPC_MESSAGE_MAX + 16, &message) != 1)
		return reason_set(why, -ETIMEDOUT, "the GPU driver does not answer");
	ipc_close_fds(&message);
	cursor = ipc_cursor_init(message.payload, message.length);
	n = ipc_get_u64(&cursor);
	if (message.type != GPU_MESSAGE_HELLO || cursor.failed || n > GPU_DEVICES_MAX)
		return reason_set(why, -EBADMSG, "the process that reads the GPUs sent a malformed message");
	if (n == 0)
		return reason_set(why, -ENODEV, "%s", ipc_get_string(&cursor));
	gpu->n_gpus = (unsigned)n;
	gpu->source.ops = strcmp(ipc_get_string(&cursor), source_drm.name) == 0 ? &source_drm : &source_nvml;
	return 0;
}

static int prepare(struct collect_gpu *gpu)
{
	for (unsigned i = 0; i < gpu->n_gpus; i++)
		gpu->places[i] = (struct report_place){.package = i};
	gpu->source.values = calloc((size_t)gpu->n_gpus * 2, sizeof(*gpu->source.values));
	gpu->work_ns = calloc((size_t)gpu->n_gpus * TARGETS_MAX, sizeof(*gpu->work_ns));
	gpu->stretches = calloc(STRETCHES_MAX, sizeof(*gpu->stretches));
	if (!gpu->source.values || !gpu->work_ns || !gpu->stretches)
		return -ENOMEM;
	gpu->source.group = (struct report_group){.name = REPORT_GROUP_GPU,
						  .n_events = 2,
						  .events = all_events,
						  .n_places = gpu->n_gpus,
						  .places = gpu->places};
	gpu->targets = (struct target_counts){
		.group = gpu->source.group, .slots = gpu->slots, .values = gpu->work_ns};
	gpu->targets.group.n_events = 1;
	gpu->targets.group.events = all_events + 1;
	return fcntl(gpu->socket, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int collect_gpu_open(int socket, collect_gpu_finder *find, void *data, struct collect_gpu **ret_gpu,
		     struct reason *why)
{
	struct collect_gpu *gpu = calloc(1, sizeof(*gpu));
	int r;

	if (!gpu) {
		(void)close(socket);
		return -ENOMEM;
	}
	gpu->socket = socket;
	gpu->find = find;
	gpu->data = data;
	gpu->buffer = malloc(IPC_MESSAGE_MAX + 16);
	gpu->sample = malloc(sizeof(*gpu->sample));
	r = gpu->buffer && gpu->sample ? hear_hello(gpu, why) : -ENOMEM;
	if (r == 0)
		r = prepare(gpu);
	if (r < 0) {
		if (!why->text[0])
			reason_set(why, 0, "%s", strerror(-r));
		collect_gpu_close(gpu);
		return r;
	}
	*ret_gpu = gpu;
	return 0;
}

void collect_gpu_close(struct collect_gpu *gpu)
{
	if (!gpu)
		return;
	if (gpu->socket >= 0)
		(void)close(gpu->socket);
	free(gpu->buffer);
	free(gpu->sample);
	free(gpu->source.values);
	free(gpu->work_ns);
	free(gpu->stretches);
	free(gpu);
}

struct system_source *collect_gpu_source(struct collect_gpu *gpu)
{
	return &gpu->source;
}

const struct target_counts *collect_gpu_targets(const struct collect_gpu *gpu)
{
	return &gpu->targets;
}
