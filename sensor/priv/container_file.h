/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closed list of files in which container runtimes keep names and images, with their paths. The
 * unprivileged process asks for one by (kind, id, extra); the privileged one opens it with
 * container_file_open(). No name from the other process becomes part of a path without validation here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum container_file {
	CONTAINER_FILE_DOCKER, /* <docker root>/<id>/config.v2.json */
	CONTAINER_FILE_PODMAN, /* <storage root>/overlay-containers/containers.json; extra: number of root */
	CONTAINER_FILE_PODMAN_VOLATILE, /* <storage root>/overlay-containers/volatile-containers.json */
	CONTAINER_FILE_PODMAN_VFS,      /* <storage root>/vfs-containers/containers.json */
	CONTAINER_FILE_PODMAN_VFS_VOLATILE,
	CONTAINER_FILE_STORAGE_CONFIG, /* <storage root>/overlay-containers/<id>/userdata/config.json: CRI-O
					*/
	CONTAINER_FILE_STORAGE_RUN_CONFIG, /* <storage run root>/overlay-containers/<id>/userdata/config.json
					    */
	CONTAINER_FILE_CONTAINERD,         /* <containerd root>/<extra: namespace>/<id>/config.json */
	CONTAINER_FILE_POD_LOG, /* not a file but the name of the link in <pod log root> that ends in
				   "-<id>.log" */
	CONTAINER_FILES
};

#define CONTAINER_ROOTS_MAX   8
#define CONTAINER_FILE_ID_HEX 64

/* Directories by runtime, NULL-terminated; the strings belong to the configuration, which outlives this. */
struct container_roots {
	const char *docker[CONTAINER_ROOTS_MAX + 1];  /* of the containers, "/var/lib/docker/containers" */
	const char *storage[CONTAINER_ROOTS_MAX + 1]; /* Podman and CRI-O, "/var/lib/containers/storage" */
	const char *storage_run[CONTAINER_ROOTS_MAX + 1]; /* "/run/containers/storage" */
	const char *containerd[CONTAINER_ROOTS_MAX + 1]; /* "/run/containerd/io.containerd.runtime.v2.task" */
	const char *pod_logs[CONTAINER_ROOTS_MAX + 1];   /* the kubelet's links, "/var/log/containers" */
};

/* True for exactly 64 lower-case hex digits: the only ids that become part of a file name. */
bool container_file_is_id(const char *text, size_t length);
/* The default folders, including the result of a mistyped volume (/var/docker/containers). */
void container_roots_default(struct container_roots *ret_roots);
/*
 * The path of one file below `root`. Pure. id: 64 lower-case hex digits (not used by the lists); extra: for
 * containerd a namespace of [A-Za-z0-9._-]{1,76} that does not start with a dot. -EINVAL for anything else,
 * -ENAMETOOLONG.
 */
int container_file_path(enum container_file kind, const char *root, const char *id, const char *extra,
			char *ret_path, size_t size);
/*
 * Opens it below the first root that has it (lists: below root number `extra`, decimal), read-only,
 * close-on-exec; regular files only, the last component is not followed. The descriptor, or a negative errno
 * (-ENOENT: no root has it; -EINVAL: refused before any open). id and extra may be NULL or "" if they are not
 * used.
 */
int container_file_open(const struct container_roots *roots, enum container_file kind, const char *id,
			const char *extra);

/* Function with which the unprivileged process opens them: priv_client's. */
typedef int (*container_file_opener)(void *data, enum container_file kind, const char *id, const char *extra);
