/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a cgroup path means: which container, pod's container, service, session or machine it belongs to, and
 * which of its ancestors is that target's own cgroup. Pure: no I/O, no clock, no log. Called by the target
 * table; does not depend on the names in runtimes' files (container_info.h) or on the table.
 */
#pragma once

#include "priv/container_file.h"

#include <stdbool.h>
#include <stddef.h>

enum identity_kind {
	IDENTITY_OTHER,  /* a cgroup that no rule recognises: named by its path */
	IDENTITY_DOCKER, /* also any 64-hex cgroup whose runtime the path does not name */
	IDENTITY_PODMAN,
	IDENTITY_CONTAINERD,
	IDENTITY_CRIO,
	IDENTITY_KUBEPODS, /* a pod's container whose runtime the path does not name */
	IDENTITY_LXC,
	IDENTITY_LIBVIRT,
	IDENTITY_QEMU,        /* a VM without libvirt (Proxmox) */
	IDENTITY_MACHINE,     /* registered with systemd-machined: nspawn etc. */
	IDENTITY_SLURM,       /* a job */
	IDENTITY_JOB,         /* a job of another batch system: OAR, PBS, LSF, HTCondor, Nomad, Mesos */
	IDENTITY_KATA,        /* a sandbox of Kata Containers: a VM in place of a pod */
	IDENTITY_FIRECRACKER, /* a microVM that Firecracker's jailer started */
	IDENTITY_GARDEN,      /* Cloud Foundry's containers */
	IDENTITY_FLATPAK,     /* an application, however often it was started */
	IDENTITY_SNAP,
	IDENTITY_RUN, /* `wattribute run`: /wattribute/<name> */
	IDENTITY_SERVICE,
	IDENTITY_SCOPE,
	IDENTITY_SLICE,   /* a folder of other cgroups: slices, pods, the runtimes' folders */
	IDENTITY_MONITOR, /* a runtime's helper for a container (conmon, lxc.monitor): counted as `system` */
	IDENTITY_KINDS
};
extern const char
	*const identity_kind_names[IDENTITY_KINDS]; /* "docker", "podman", ...; for report_target.runtime */

enum identity_role {
	IDENTITY_ROLE_NONE,   /* no target; its own processes belong to `system` */
	IDENTITY_ROLE_TARGET, /* the target's own cgroup */
	IDENTITY_ROLE_NESTED, /* somewhere below it: part of the target */
	IDENTITY_ROLE_LEAF,   /* a target as long as it contains no other cgroup */
};

#define IDENTITY_ID_HEX    CONTAINER_FILE_ID_HEX
#define IDENTITY_SHORT_HEX 12
#define IDENTITY_NAME_MAX  128 /* bytes of a target's name, without the NUL */

struct identity {
	enum identity_kind kind;
	enum identity_role role;
	size_t root_length; /* this many bytes of the path are the target's own cgroup; 0 without a target */
	char id[IDENTITY_NAME_MAX + 1];        /* 64 hex digits, or the runtime's name for it */
	char short_id[IDENTITY_SHORT_HEX + 1]; /* of a 64-hex id; "": none */
	char pod_uid[IDENTITY_ID_HEX + 1];     /* with dashes, as Kubernetes writes it; Podman's pod id; "" */
	char name_space[IDENTITY_NAME_MAX + 1]; /* containerd's namespace, if the path contains it */
	char name[IDENTITY_NAME_MAX + 1];       /* from the path if possible, else the short ID */
};

/*
 * `path` is below the hierarchy's mount point and starts with a slash; "/" is the machine (no target). The
 * first `prefix_length` bytes are skipped: the cgroup in which the sensor's view of the host starts. 0, or
 * -EINVAL for an invalid path (relative, "..", longer than 4096, prefix inside a component).
 */
int identity_parse(const char *path, size_t prefix_length, struct identity *ret_identity);

/* Undoes systemd's escapes in unit and machine names (\x2d is "-"); size includes the NUL. Returns the
 * length. */
size_t identity_unescape(const char *text, size_t length, char *ret, size_t size);
