/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files of the runtimes are read for a container, and in what order. Called by the target table when a
 * container appears, not in the tick. Opens nothing itself.
 */
#include "target/container_info.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reader {
	const struct identity *identity;
	container_file_opener open_file;
	void *data;
	int error; /* of the last file that exists but could not be used */
};

static int parse(enum container_file kind, const char *text, size_t length, const char *id,
		 struct container_info *ret_info)
{
	switch (kind) {
	case CONTAINER_FILE_DOCKER:
		return container_info_parse_docker(text, length, ret_info);
	case CONTAINER_FILE_PODMAN:
	case CONTAINER_FILE_PODMAN_VOLATILE:
	case CONTAINER_FILE_PODMAN_VFS:
	case CONTAINER_FILE_PODMAN_VFS_VOLATILE:
		return container_info_parse_podman(text, length, id, ret_info);
	case CONTAINER_FILE_STORAGE_CONFIG:
	case CONTAINER_FILE_STORAGE_RUN_CONFIG:
	case CONTAINER_FILE_CONTAINERD:
		return container_info_parse_oci(text, length, ret_info);
	case CONTAINER_FILE_POD_LOG:
		return container_info_parse_pod_log(text, length, ret_info);
	case CONTAINER_FILES:
		break;
	}
	return -EINVAL;
}

/* True if this file has the name. */
static bool try_file(struct reader *reader, enum container_file kind, const char *extra,
		     struct container_info *ret_info)
{
	cleanup_(cleanup_free) char *text = NULL;
	size_t length = 0;
	cleanup_(cleanup_close) int fd = reader->open_file(reader->data, kind, reader->identity->id, extra);
	int r = fd < 0 ? fd : text_read_whole(fd, CONTAINER_INFO_FILE_MAX, &text, &length);
	if (r >= 0)
		r = parse(kind, text, length, reader->identity->id, ret_info);
	if (r < 0 && r != -ENOENT)
		reader->error = r;
	return r >= 0;
}

static bool try_podman(struct reader *reader, struct container_info *ret_info)
{
	static const enum container_file kinds[] = {CONTAINER_FILE_PODMAN, CONTAINER_FILE_PODMAN_VOLATILE,
						    CONTAINER_FILE_PODMAN_VFS,
						    CONTAINER_FILE_PODMAN_VFS_VOLATILE};
	char root[4];
	for (unsigned i = 0; i < CONTAINER_ROOTS_MAX; i++) {
		(void)snprintf(root, sizeof(root), "%u", i);
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			if (try_file(reader, kinds[k], root, ret_info))
				return true;
	}
	return false;
}

static bool try_crio(struct reader *reader, struct container_info *ret_info)
{
	return try_file(reader, CONTAINER_FILE_STORAGE_RUN_CONFIG, "", ret_info) ||
	       try_file(reader, CONTAINER_FILE_STORAGE_CONFIG, "", ret_info);
}

static bool try_containerd(struct reader *reader, struct container_info *ret_info)
{
	static const char *const usual[] = {"k8s.io", "default", "moby"};
	const char *known = reader->identity->name_space;
	if (known[0])
		return try_file(reader, CONTAINER_FILE_CONTAINERD, known, ret_info);
	for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
		if (try_file(reader, CONTAINER_FILE_CONTAINERD, usual[i], ret_info))
			return true;
	return false;
}

int container_info_read(const struct identity *identity, container_file_opener open_file, void *data,
			struct container_info *ret_info)
{
	struct reader reader = {identity, open_file, data, -ENOENT};
	bool found = false;
	memset(ret_info, 0, sizeof(*ret_info));
	switch (identity->kind) {
	case IDENTITY_DOCKER:
		found = try_file(&reader, CONTAINER_FILE_DOCKER, "", ret_info);
		break;
	case IDENTITY_PODMAN:
		found = try_podman(&reader, ret_info);
		break;
	case IDENTITY_CRIO:
		found = try_crio(&reader, ret_info);
		break;
	case IDENTITY_CONTAINERD:
		found = try_containerd(&reader, ret_info);
		break;
	case IDENTITY_KUBEPODS:
	case IDENTITY_KATA: /* the sandbox's id is one of the runtime's */
		found = try_containerd(&reader, ret_info) || try_crio(&reader, ret_info) ||
			try_file(&reader, CONTAINER_FILE_DOCKER, "", ret_info);
		break;
	default:
		break;
	}
	/* A runtime whose files are elsewhere or unreadable: kubelet logs have at least the name. */
	if (!found && identity->pod_uid[0])
		found = try_file(&reader, CONTAINER_FILE_POD_LOG, "", ret_info);
	return found ? 0 : reader.error;
}
