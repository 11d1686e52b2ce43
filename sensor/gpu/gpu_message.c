/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes and decodes the message of a sample, field by field. Called on both sides; the receiver validates
 * everything.
 */
#include "gpu/gpu_message.h"

#include "process/ipc.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NANOJOULES    1e-9
#define NOT_READ      UINT64_MAX
#define ENERGY_MOST_J 1e9

int gpu_message_put(struct batch *payload, const struct gpu_sample *sample)
{
	int r = 0;

	batch_clear(payload);
	r |= ipc_put_u64(payload, sample->from_ns) | ipc_put_u64(payload, sample->to_ns);
	r |= ipc_put_u64(payload, sample->n_gpus);
	for (unsigned i = 0; i < sample->n_gpus; i++)
		r |= ipc_put_u64(payload, isfinite(sample->energy_j[i]) && sample->energy_j[i] >= 0
						  ? (uint64_t)(sample->energy_j[i] / NANOJOULES)
						  : NOT_READ);
	r |= ipc_put_u64(payload, sample->n_works);
	for (unsigned i = 0; i < sample->n_works; i++) {
		const struct gpu_work *work = &sample->works[i];

		r |= ipc_put_u64(payload, work->gpu) | ipc_put_u64(payload, work->time_ns) |
		     ipc_put_string(payload, work->cgroup) | ipc_put_string(payload, work->cgroup_v1);
	}
	return r ? -ENOMEM : 0;
}

int gpu_message_get(const void *payload, size_t length, struct gpu_sample *ret_sample)
{
	struct ipc_cursor cursor = ipc_cursor_init(payload, length);
	struct gpu_sample *sample = ret_sample;
	uint64_t n;

	sample->from_ns = ipc_get_u64(&cursor);
	sample->to_ns = ipc_get_u64(&cursor);
	n = ipc_get_u64(&cursor);
	if (cursor.failed || n > GPU_DEVICES_MAX || sample->to_ns <= sample->from_ns)
		return -EBADMSG;
	sample->n_gpus = (unsigned)n;
	for (unsigned i = 0; i < sample->n_gpus; i++) {
		const uint64_t energy = ipc_get_u64(&cursor);

		sample->energy_j[i] = energy == NOT_READ ? NAN : (double)energy * NANOJOULES;
		if (sample->energy_j[i] > ENERGY_MOST_J)
			return -EBADMSG;
	}
	n = ipc_get_u64(&cursor);
	if (cursor.failed || n > GPU_WORKS_MAX)
		return -EBADMSG;
	sample->n_works = (unsigned)n;
	for (unsigned i = 0; i < sample->n_works; i++) {
		struct gpu_work *work = &sample->works[i];
		const uint64_t gpu = ipc_get_u64(&cursor);

		work->time_ns = ipc_get_u64(&cursor);
		work->cgroup = ipc_get_string(&cursor);
		work->cgroup_v1 = ipc_get_string(&cursor);
		if (cursor.failed || gpu >= sample->n_gpus)
			return -EBADMSG;
		work->gpu = (unsigned)gpu;
	}
	return cursor.failed || cursor.left ? -EBADMSG : 0;
}
