/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serialises the requests: each has one description, by which the client writes it and the privileged process
 * reads and checks it. Called by priv_client.c and priv.c; executes nothing.
 */
#include "priv/priv_message.h"

#include "document/batch.h"
#include "process/ipc.h"

#include <errno.h>
#include <string.h>

struct codec {
	struct batch *out; /* NULL: reads */
	struct ipc_cursor cursor;
	struct priv_room *room;
	size_t used; /* of the room */
	int error;
};

static void fail_unless(struct codec *codec, bool good)
{
	if (!good && codec->error == 0)
		codec->error = codec->out ? -EINVAL : -EBADMSG;
}

static void written(struct codec *codec, int r)
{
	if (r < 0 && codec->error == 0)
		codec->error = r;
}

static void pass_number(struct codec *codec, unsigned *number, unsigned max)
{
	const uint64_t value = codec->out ? *number : ipc_get_u64(&codec->cursor);

	fail_unless(codec, value <= max);
	if (codec->out)
		written(codec, ipc_put_u64(codec->out, value));
	*number = (unsigned)value;
}

static void pass_text(struct codec *codec, const char **text, size_t max)
{
	if (!codec->out)
		*text = ipc_get_string(&codec->cursor);
	else if (!*text)
		*text = "";
	fail_unless(codec, strlen(*text) <= max);
	if (codec->out)
		written(codec, ipc_put_string(codec->out, *text));
}

/* An array of `n` elements, from `min` to `max` of them; an array that is read is copied because it may be
 * unaligned. */
static void pass_array(struct codec *codec, const void **array, unsigned *n, size_t size, unsigned min,
		       unsigned max)
{
	size_t length = *n * size;

	if (codec->out) {
		fail_unless(codec, *n >= min && *n <= max);
		written(codec, ipc_put_bytes(codec->out, *array, length));
		return;
	}
	const void *bytes = ipc_get_bytes(&codec->cursor, &length);

	*n = (unsigned)(length / size);
	*array = codec->room->bytes + codec->used;
	fail_unless(codec, length % size == 0 && length / size >= min && length / size <= max &&
				   length <= sizeof(codec->room->bytes) - codec->used);
	if (codec->error || length == 0)
		return;
	memcpy(codec->room->bytes + codec->used, bytes, length);
	codec->used += (length + 7) / 8 * 8;
}
#define PASS_ARRAY(codec, array, n, min, max)                                                                \
	do {                                                                                                 \
		const void *array_ = (array);                                                                \
		pass_array((codec), &array_, (n), sizeof(*(array)), (min), (max));                           \
		(array) = array_;                                                                            \
	} while (0)

static void pass_group(struct codec *codec, struct priv_message *message, bool of_bpf)
{
	struct priv_group *group = &message->group;
	unsigned n = group->n_events;

	pass_text(codec, &group->cgroup, of_bpf ? 0 : PRIV_CGROUP_PATH_MAX - 1);
	pass_number(codec, &group->cpu, INT32_MAX);
	PASS_ARRAY(codec, group->events, &group->n_events, 1, PRIV_GROUP_EVENTS_MAX);
	if (!of_bpf)
		return;
	PASS_ARRAY(codec, message->columns, &n, group->n_events, group->n_events);
	for (unsigned i = 0; codec->error == 0 && i < n; i++)
		fail_unless(codec, message->columns[i] < COUNT_EVENTS_MAX);
}

static void pass_shape(struct codec *codec, struct priv_bpf_shape *shape)
{
	unsigned n = shape->n_cpus;

	pass_number(codec, &shape->n_events, PRIV_BPF_SLOTS_MAX);
	pass_number(codec, &shape->n_cpus, COUNT_CPUS_MAX);
	pass_number(codec, &shape->n_places, PRIV_BPF_SLOTS_MAX);
	pass_number(codec, &shape->n_slots, PRIV_BPF_SLOTS_MAX);
	pass_number(codec, &shape->n_births, PRIV_BPF_SLOTS_MAX);
	PASS_ARRAY(codec, shape->place_of_cpu, &n, shape->n_cpus, shape->n_cpus);
	for (unsigned i = 0; codec->error == 0 && i < n; i++)
		fail_unless(codec, shape->place_of_cpu[i] < shape->n_places);
}

static void pass_resctrl(struct codec *codec, struct priv_resctrl_request *request)
{
	unsigned call = request->call;

	pass_number(codec, &call, PRIV_RESCTRL_CALLS - 1);
	pass_number(codec, &request->number, PRIV_RESCTRL_GROUPS_MAX - 1);
	pass_number(codec, &request->package, PRIV_RESCTRL_PACKAGES_MAX - 1);
	pass_text(codec, &request->cgroup, PRIV_CGROUP_PATH_MAX - 1);
	request->call = (enum priv_resctrl_call)call;
}

/* The status is shown on terminals: nothing but printable ASCII is passed on. */
static void pass_notice(struct codec *codec, struct priv_message *message)
{
	pass_number(codec, &message->kind, PRIV_NOTICES - 1);
	pass_text(codec, &message->id, PRIV_STATUS_MAX);
	for (const char *at = message->id; *at; at++)
		fail_unless(codec, *at >= ' ' && *at <= '~');
}

static void pass(struct codec *codec, struct priv_message *message)
{
	switch (message->type) {
	case PRIV_REQUEST_OPEN_GROUP:
	case PRIV_REQUEST_BPF_GROUP:
		pass_group(codec, message, message->type == PRIV_REQUEST_BPF_GROUP);
		break;
	case PRIV_REQUEST_OPEN_FILE:
		pass_number(codec, &message->kind, PRIV_FILES - 1);
		pass_text(codec, &message->id, PRIV_ID_MAX);
		break;
	case PRIV_REQUEST_OPEN_CONTAINER_FILE:
		pass_number(codec, &message->kind, CONTAINER_FILES - 1);
		pass_text(codec, &message->id, PRIV_ID_MAX);
		pass_text(codec, &message->extra, PRIV_ID_MAX);
		break;
	case PRIV_REQUEST_BPF_LOAD:
		pass_shape(codec, &message->shape);
		break;
	case PRIV_REQUEST_BPF_UPDATE:
		pass_number(codec, &message->flush, 1);
		PASS_ARRAY(codec, message->changes, &message->n_changes, 0, PRIV_BPF_CHANGES_MAX);
		break;
	case PRIV_REQUEST_RESCTRL:
		pass_resctrl(codec, &message->resctrl);
		break;
	case PRIV_REQUEST_NOTICE:
		pass_notice(codec, message);
		break;
	default: /* the others have nothing */
		break;
	}
}

int priv_message_write(const struct priv_message *message, struct batch *payload)
{
	struct priv_message copy = *message;
	struct codec codec = {.out = payload};

	batch_clear(payload);
	pass(&codec, &copy);
	return codec.error;
}

int priv_message_read(uint32_t type, const void *payload, size_t length, struct priv_room *room,
		      struct priv_message *ret_message)
{
	struct codec codec = {.cursor = ipc_cursor_init(payload, length), .room = room};

	*ret_message = (struct priv_message){.type = (enum priv_request)type};
	pass(&codec, ret_message);
	return codec.error || codec.cursor.failed || codec.cursor.left ? -EBADMSG : 0;
}

unsigned priv_message_n_fds(const struct priv_message *message)
{
	switch (message->type) {
	case PRIV_REQUEST_OPEN_GROUP:
		return message->group.n_events;
	case PRIV_REQUEST_OPEN_FILE:
	case PRIV_REQUEST_OPEN_CONTAINER_FILE:
	case PRIV_REQUEST_GPUS:
		return 1;
	case PRIV_REQUEST_BPF_ATTACH:
		return PRIV_BPF_MAPS;
	case PRIV_REQUEST_RESCTRL:
		return message->resctrl.call == PRIV_RESCTRL_OPEN;
	default:
		return 0;
	}
}
