/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Meaning of the components of cgroup paths: data only, read by identity.c. The first match wins, so the
 * order matters.
 */
#include "cgroup/identity_rules.h"

const char *const identity_kind_names[IDENTITY_KINDS] = {
	[IDENTITY_OTHER] = "cgroup",  [IDENTITY_DOCKER] = "docker",
	[IDENTITY_PODMAN] = "podman", [IDENTITY_CONTAINERD] = "containerd",
	[IDENTITY_CRIO] = "crio",     [IDENTITY_KUBEPODS] = "kubernetes",
	[IDENTITY_LXC] = "lxc",       [IDENTITY_LIBVIRT] = "libvirt",
	[IDENTITY_QEMU] = "qemu",     [IDENTITY_MACHINE] = "machine",
	[IDENTITY_SLURM] = "slurm",   [IDENTITY_RUN] = "run",
	[IDENTITY_JOB] = "job",       [IDENTITY_SERVICE] = "systemd",
	[IDENTITY_KATA] = "kata",     [IDENTITY_FIRECRACKER] = "firecracker",
	[IDENTITY_GARDEN] = "garden", [IDENTITY_FLATPAK] = "flatpak",
	[IDENTITY_SNAP] = "snap",     [IDENTITY_SCOPE] = "scope",
	[IDENTITY_SLICE] = "slice",   [IDENTITY_MONITOR] = "monitor",
};

const struct identity_rule identity_container_rules[] = {
	/* systemd drivers: one scope per container */
	{NULL, "docker-", ".scope", ID_HEX, IDENTITY_DOCKER, NULL},
	{NULL, "cri-containerd-", ".scope", ID_HEX, IDENTITY_CONTAINERD, "k8s.io"},
	{NULL, "containerd-", ".scope", ID_HEX, IDENTITY_CONTAINERD, NULL},
	{NULL, "nerdctl-", ".scope", ID_HEX, IDENTITY_CONTAINERD, "default"},
	{NULL, "crio-conmon-", ".scope", ID_HEX, IDENTITY_MONITOR, NULL},
	{NULL, "crio-conmon-", "", ID_HEX, IDENTITY_MONITOR, NULL},
	{NULL, "crio-", ".scope", ID_HEX, IDENTITY_CRIO, NULL},
	{NULL, "crio-", "", ID_HEX, IDENTITY_CRIO, NULL},
	{NULL, "libpod-conmon-", ".scope", ID_HEX, IDENTITY_MONITOR, NULL},
	{NULL, "libpod-conmon-", "", ID_HEX, IDENTITY_MONITOR, NULL},
	{"libpod_parent", "conmon", "", ID_NONE, IDENTITY_MONITOR, NULL},
	/* --cgroups=split, so every unit of Quadlet: the container is a folder within its service's */
	{NULL, "libpod-payload-", "", ID_HEX, IDENTITY_PODMAN, NULL},
	{NULL, "libpod-", ".scope", ID_HEX, IDENTITY_PODMAN, NULL},
	{NULL, "libpod-", "", ID_HEX, IDENTITY_PODMAN, NULL},
	/* Podman's pods: the pod is a folder, its containers are the targets */
	{"libpod_parent", "", "", ID_HEX, IDENTITY_SLICE, NULL},
	{NULL, "machine-libpod_pod_", ".slice", ID_HEX, IDENTITY_SLICE, NULL},
	{NULL, "user-libpod_pod_", ".slice", ID_HEX, IDENTITY_SLICE, NULL},
	/* Kata Containers: a pod's VM; processes outside the pod's own cgroup are in kata_overhead */
	{NULL, "kata_", "", ID_HEX, IDENTITY_KATA, NULL},
	{"/kata_overhead", "", "", ID_HEX, IDENTITY_KATA, NULL},
	/* BuildKit's steps: the systemd driver uses the plain OCI path, the cgroupfs driver the bare id */
	{NULL, "system.slice:docker:", "", ID_BUILD, IDENTITY_DOCKER, NULL},
	{"docker", "", "", ID_BUILD, IDENTITY_DOCKER, NULL},
	{"/buildkit", "", "", ID_BUILD, IDENTITY_DOCKER, NULL},
	/* cgroupfs drivers: the bare id */
	{"k8s.io", "", "", ID_HEX, IDENTITY_CONTAINERD, "k8s.io"},
	{"default", "", "", ID_HEX, IDENTITY_CONTAINERD, "default"},
	{NULL, "", "", ID_HEX, IDENTITY_DOCKER, NULL},
	{"docker", "buildkit", "", ID_NONE, IDENTITY_DOCKER, NULL},
	{NULL, "lxc.payload.", "", ID_NAME, IDENTITY_LXC, NULL},
	{"lxc.payload", "", "", ID_NAME, IDENTITY_LXC, NULL},
	{NULL, "lxc.monitor.", "", ID_NAME, IDENTITY_MONITOR, NULL},
	{"lxc.monitor", "", "", ID_NAME, IDENTITY_MONITOR, NULL},
	{NULL, "lxc.pivot", "", ID_NONE, IDENTITY_MONITOR, NULL},
	{"/lxc", "", "", ID_NAME, IDENTITY_LXC, NULL},
	/* virtual machines */
	{NULL, "machine-qemu\\x2d", ".scope", ID_NAME, IDENTITY_LIBVIRT, NULL},
	{NULL, "machine-lxc\\x2d", ".scope", ID_NAME, IDENTITY_LXC, NULL},
	{NULL, "machine-", ".scope", ID_NAME, IDENTITY_MACHINE, NULL},
	{NULL, "systemd-nspawn@", ".service", ID_NAME, IDENTITY_MACHINE, NULL},
	{NULL, "systemd-vmspawn@", ".service", ID_NAME, IDENTITY_MACHINE, NULL},
	{"firecracker", "", "", ID_NAME, IDENTITY_FIRECRACKER, NULL}, /* <name of the program>/<--id> */
	{NULL, "", ".libvirt-qemu", ID_NAME, IDENTITY_LIBVIRT, NULL},
	{NULL, "", ".libvirt-lxc", ID_NAME, IDENTITY_LXC, NULL},
	{"qemu.slice", "", ".scope", ID_NAME, IDENTITY_QEMU, NULL},
	/* batch systems: a job with its shells, tasks and steps below it; Slurm's are found by
	   match_container() */
	{NULL, "", ".slice", ID_JOB, IDENTITY_JOB, NULL}, /* OAR on cgroup v2: oar-u1000-j55.slice */
	{"/oar", "", "", ID_NAME, IDENTITY_JOB, NULL},    /* OAR on v1: /oar/alice_55 */
	{"jobid", "", "", ID_NAME, IDENTITY_JOB, NULL},   /* PBS: pbs_jobs.service/jobid/12.host */
	{"/pbspro", "", "", ID_NAME, IDENTITY_JOB, NULL},
	{"pbspro.slice", "pbspro-", ".slice", ID_NAME, IDENTITY_JOB, NULL},
	{"/torque", "", "", ID_NAME, IDENTITY_JOB, NULL},
	{NULL, "job.", "", ID_NUMBERS, IDENTITY_JOB, NULL}, /* LSF: /lsf/CLUSTER/job.12.345.678 */
	{"htcondor", "condor_", "", ID_NAME, IDENTITY_JOB, NULL},
	{"share.slice", "", ".scope", ID_GUID, IDENTITY_JOB, NULL}, /* Nomad: <allocation>.<task> */
	{"reserve.slice", "", ".scope", ID_GUID, IDENTITY_JOB, NULL},
	{"nomad.slice", "", ".scope", ID_GUID, IDENTITY_JOB, NULL}, /* before Nomad 1.7 */
	{"/nomad", "", "", ID_GUID, IDENTITY_JOB, NULL},
	{"/mesos", "", "", ID_GUID, IDENTITY_JOB, NULL},
	{"garden", "", "", ID_GUID, IDENTITY_GARDEN, NULL},
	{"good", "", "", ID_GUID, IDENTITY_GARDEN, NULL}, /* its shares of the CPU */
	{"bad", "", "", ID_GUID, IDENTITY_GARDEN, NULL},
	{"/default", "", "", ID_NAME, IDENTITY_CONTAINERD, "default"},
	{"/wattribute", "", "", ID_NAME, IDENTITY_RUN, NULL},
	{NULL, NULL, NULL, ID_NONE, IDENTITY_OTHER, NULL},
};

const struct identity_rule identity_unit_rules[] = {
	{NULL, "pbs_jobs.service", "", ID_NONE, IDENTITY_SLICE, NULL},
	{NULL, "user@", ".service", ID_NAME, IDENTITY_SLICE,
	 NULL},                                                  /* the user's manager: a folder of units */
	{NULL, "init.scope", "", ID_NONE, IDENTITY_SLICE, NULL}, /* systemd itself: counted as `system` */
	{NULL, "", ".service", ID_NAME, IDENTITY_SERVICE, NULL},
	{NULL, "app-flatpak-", ".scope", ID_RANDOM, IDENTITY_FLATPAK, NULL},
	{NULL, "snap.", ".scope", ID_RANDOM, IDENTITY_SNAP, NULL},
	{NULL, "", ".scope", ID_NAME, IDENTITY_SCOPE, NULL},
	{NULL, "", ".mount", ID_NAME, IDENTITY_SERVICE, NULL},
	{NULL, "", ".socket", ID_NAME, IDENTITY_SERVICE, NULL},
	{NULL, "", ".swap", ID_NAME, IDENTITY_SERVICE, NULL},
	{NULL, "", ".slice", ID_NAME, IDENTITY_SLICE, NULL},
	{"/", "docker", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "buildkit", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "firecracker", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "kata_overhead", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "nomad", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "mesos", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "garden", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"garden", "good", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"garden", "bad", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "ecs", "", ID_NONE, IDENTITY_SLICE, NULL}, /* Amazon's agent: the task, its containers */
	{"ecs", "", "", ID_NAME, IDENTITY_SLICE, NULL},
	{"/", "oar", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "pbspro", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "torque", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "lsf", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"lsf", "", "", ID_NAME, IDENTITY_SLICE, NULL}, /* the cluster */
	{NULL, "htcondor", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "lxc", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "lxc.payload", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "lxc.monitor", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "libpod_parent", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "machine", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "default", "", ID_NONE, IDENTITY_SLICE, NULL},
	{"/", "wattribute", "", ID_NONE, IDENTITY_SLICE, NULL},
	{NULL, "kubepods", "", ID_NONE, IDENTITY_SLICE, NULL},
	{NULL, NULL, NULL, ID_NONE, IDENTITY_OTHER, NULL},
};

const struct identity_colon_rule identity_colon_rules[] = {
	{"docker", IDENTITY_DOCKER, NULL},
	{"cri-containerd", IDENTITY_CONTAINERD, "k8s.io"},
	{"containerd", IDENTITY_CONTAINERD, NULL},
	{"nerdctl", IDENTITY_CONTAINERD, "default"},
	{"crio", IDENTITY_CRIO, NULL},
	{"libpod", IDENTITY_PODMAN, NULL},
	{"crio-conmon", IDENTITY_MONITOR, NULL},
	{"libpod-conmon", IDENTITY_MONITOR, NULL},
	{NULL, IDENTITY_OTHER, NULL},
};
