/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A container's name, image, pod and labels from its runtime's own files. The parse functions read untrusted
 * bytes and are pure; container_info_read() reads the right files for an identity through an opener.
 */
#pragma once

#include "priv/container_file.h"
#include "cgroup/identity.h"

#include <stddef.h>

#define CONTAINER_INFO_FILE_MAX   (4 * 1024 * 1024) /* bytes; a larger file is refused */
#define CONTAINER_INFO_LABELS_MAX 32

/* Strings are allocated, sanitised and bounded; NULL if the file lacks them. */
struct container_info {
	char *name; /* without Docker's leading slash; <namespace>/<pod>/<container> for a pod's container */
	char *image;
	char *pod;
	char *pod_namespace;
	char *pod_uid;
	char *container_name; /* within the pod */
	char **labels;        /* key, value, key, value, ..., NULL; at most CONTAINER_INFO_LABELS_MAX pairs */
};

void container_info_done(struct container_info *info);

/* Each: 0; -EBADMSG for malformed JSON; -ENOENT if it contains no name; -ENOMEM. */
/* Docker's config.v2.json. */
int container_info_parse_docker(const char *json, size_t length, struct container_info *ret_info);
/* containers/storage's containers.json: the entry with this id. */
int container_info_parse_podman(const char *json, size_t length, const char *id,
				struct container_info *ret_info);
/* An OCI config.json: annotations of CRI-O, of containerd's CRI plugin and of nerdctl. */
int container_info_parse_oci(const char *json, size_t length, struct container_info *ret_info);
/* The name of the kubelet's link to a container's log: <pod>_<namespace>_<container>-<id>.log. */
int container_info_parse_pod_log(const char *name, size_t length, struct container_info *ret_info);

/*
 * Reads the files for the identity's kind. 0; -ENOENT if none exists (yet) or none has the name; else the
 * errno of the last file that could not be used.
 */
int container_info_read(const struct identity *identity, container_file_opener open_file, void *data,
			struct container_info *ret_info);
