/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: real cgroup paths, each with its source: runtime, own cgroup, name and pod. test_identity.c has
 * the forms and properties, docs/names.md describes them in prose.
 */
#include "cgroup/identity.h"
#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/*
 * Expected role: none without a runtime; nested if `below` is not empty; otherwise target ("cgroup": leaf).
 */
struct seen {
	const char *path;
	const char *below;   /* the end of the path, below the target's own cgroup */
	const char *runtime; /* NULL: no target; its processes are the system's */
	const char *name;
	const char *pod_uid;
};

#define ID_A   "10234c078fce6da0cb3e58c9da71a01852f0241bd5ce6b0e9fd19ec296e1aea0"
#define ID_B   "c7bcf94f6dff735d99a74161201bd7b9272f113188b22b93ad48cd853966a22d"
#define ID_C   "0ba8ac17e4e7a31fb82279503552fe94e64bab4745bf6fd2ff231e7c8ca8bed0"
#define NODE   "d6701ec289c56e4391acb11d07474b3139466857a305490575508a8b7a9fcf22"
#define USER   "/user.slice/user-1000.slice/user@1000.service"
#define NONE   NULL, "", ""
#define FOLDER NULL

/* clang-format off */
static const struct seen seen[] = {
	/* Docker: hashicorp/nomad#11289 (v1), docker/docs#14545 (rootless), docker's runmetrics page (systemd) */
	{"/docker/" ID_A, "", "docker", "10234c078fce", ""},
	{"/system.slice/docker-" ID_A ".scope", "", "docker", "10234c078fce", ""},
	{USER "/user.slice/docker-" ID_A ".scope", "", "docker", "10234c078fce", ""},
	{USER "/app.slice/docker.service", "", "systemd", "docker.service", ""},
	/* moby/moby#53531: a systemd instance below another cgroup (WSL 2.9) */
	{"/wsl-user/distro-1/systemd/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID_A ".scope", "", "docker", "10234c078fce", ""},
	/* BuildKit's steps, by driver, from tables of monitoring agents; the last is buildkitd's own */
	{"/system.slice/system.slice:docker:jvifp9a6b1lxa1kuw8bwfcovf", "", "docker", "buildkit", ""},
	{"/docker/jvifp9a6b1lxa1kuw8bwfcovf", "", "docker", "buildkit", ""},
	{"/docker/buildkit/jvifp9a6b1lxa1kuw8bwfcovf", "/jvifp9a6b1lxa1kuw8bwfcovf", "docker", "buildkit", ""},
	{"/buildkit/jvifp9a6b1lxa1kuw8bwfcovf", "", "docker", "buildkit", ""},
	/* Amazon ECS: aws/amazon-ecs-agent, agent/taskresource/cgroup (both forms) */
	{"/ecs/eb9d3d0c8936442d780d8f82b2f1a629/" ID_A, "", "docker", "10234c078fce", ""},
	{"/ecs/production/eb9d3d0c8936442d780d8f82b2f1a629/" ID_A, "", "docker", "10234c078fce", ""},
	{"/ecs/eb9d3d0c8936442d780d8f82b2f1a629", FOLDER, NONE},
	{"/ecstasks.slice/ecstasks-e95a40efbde84cbc8600660a109ec194.slice/docker-" ID_A ".scope", "", "docker", "10234c078fce", ""},
	{"/ecstasks.slice/ecstasks-e95a40efbde84cbc8600660a109ec194.slice", FOLDER, NONE},

	/* Podman: containers/crun#678 (rootful); podman#24942 (Quadlet, rootless); podman#6400 (pod, rootless);
	   podman#20910 (--cgroups=disabled); rootful Quadlet as documented in podman-systemd.unit(5) */
	{"/machine.slice/libpod-" ID_B ".scope", "", "podman", "c7bcf94f6dff", ""},
	{"/machine.slice/libpod-" ID_B ".scope/container", "/container", "podman", "c7bcf94f6dff", ""},
	{"/machine.slice/libpod-conmon-" ID_B ".scope", FOLDER, NONE},
	{USER "/app.slice/nextcloud.service/libpod-payload-" ID_B, "", "podman", "c7bcf94f6dff", ""},
	{USER "/app.slice/nextcloud.service/runtime", "/runtime", "systemd", "nextcloud.service", ""},
	{"/system.slice/nextcloud.service/libpod-payload-" ID_B, "", "podman", "c7bcf94f6dff", ""},
	{USER "/user.slice/user-libpod_pod_" ID_A ".slice/libpod-" ID_B ".scope/container", "/container", "podman", "c7bcf94f6dff", ID_A},
	{USER "/user.slice/libpod-" ID_B ".scope/container", "/container", "podman", "c7bcf94f6dff", ""},
	{USER "/user.slice/podman-239302.scope", "", "scope", "podman-239302.scope", ""},

	/*
	 * containerd: containerd/cri#290 (systemd), containerd/runwasi#821 (an untranslated path), "ctr run"
	 * and nerdctl: containerd's oci.WithNamespacedCgroup returns /<namespace>/<id>
	 */
	{"/system.slice/system-getty.slice/cri-containerd-" ID_C ".scope", "", "containerd", "0ba8ac17e4e7", ""},
	{"/kubepods-besteffort-podb7c2cbdb_9ab5_47ef_977e_97e39a73da6d.slice:cri-containerd:" ID_C, "", "containerd", "0ba8ac17e4e7", "b7c2cbdb-9ab5-47ef-977e-97e39a73da6d"},
	{"/system.slice/nerdctl-" ID_C ".scope", "", "containerd", "0ba8ac17e4e7", ""},
	{USER "/user.slice/nerdctl-" ID_C ".scope", "", "containerd", "0ba8ac17e4e7", ""},
	{"/default/redis-server", "", "containerd", "redis-server", ""},
	{"/k8s.io/" ID_C, "", "containerd", "0ba8ac17e4e7", ""},
	/* Talos: siderolabs/talos#3950; the path has no container name */
	{"/system/apid", "", "cgroup", "/system/apid", ""},
	{"/podruntime/kubelet", "", "cgroup", "/podruntime/kubelet", ""}, /* containerd#3133 */

	/* CRI-O: opencontainers/runc#4620 (systemd), kubernetes/minikube#11280, cri-o#812 (cgroupfs) */
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda5c1f8d5_1919_434d_add7_4afaafdaef89.slice/crio-" ID_C ".scope", "", "crio", "0ba8ac17e4e7", "a5c1f8d5-1919-434d-add7-4afaafdaef89"},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda5c1f8d5_1919_434d_add7_4afaafdaef89.slice/crio-" ID_C ".scope/container", "/container", "crio", "0ba8ac17e4e7", "a5c1f8d5-1919-434d-add7-4afaafdaef89"},
	{"/kubepods/besteffort/podb889ec29-d166-4ba6-b98c-bc56d99f2d69/crio-" ID_C, "", "crio", "0ba8ac17e4e7", "b889ec29-d166-4ba6-b98c-bc56d99f2d69"},
	{"/kubepods/besteffort/podb889ec29-d166-4ba6-b98c-bc56d99f2d69/crio-conmon-" ID_C, FOLDER, NONE},

	/*
	 * Kubernetes: rancher/k3k#792 (k3s, cgroupfs), kontena/pharos-cluster#440 (dockershim, systemd); a
	 * static pod's uid is the hash of its manifest: 32 digits; rootless k3s runs below its unit
	 */
	{"/kubepods/burstable/pod404bd273-57bc-4508-a386-e2b76d3c9cfe/" ID_C, "", "kubernetes", "0ba8ac17e4e7", "404bd273-57bc-4508-a386-e2b76d3c9cfe"},
	{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod9692aa0e_748e_11e8_8dfa_76d458035df6.slice/docker-" ID_C ".scope", "", "docker", "0ba8ac17e4e7", "9692aa0e-748e-11e8-8dfa-76d458035df6"},
	{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-poda5cc2c5ef0bb1c2fd4a39aa0b4d5d4b3.slice/cri-containerd-" ID_C ".scope", "", "containerd", "0ba8ac17e4e7", "a5cc2c5ef0bb1c2fd4a39aa0b4d5d4b3"},
	{USER "/app.slice/k3s-rootless.service/kubepods/besteffort/pod404bd273-57bc-4508-a386-e2b76d3c9cfe/" ID_C, "", "kubernetes", "0ba8ac17e4e7", "404bd273-57bc-4508-a386-e2b76d3c9cfe"},
	{"/k3s", "", "cgroup", "/k3s", ""},
	{"/systemd/system.slice/docker.service", "", "systemd", "docker.service", ""}, /* k3s-io/k3s#2587 */
	{"/system.slice/snap.microk8s.daemon-kubelite.service", "", "systemd", "snap.microk8s.daemon-kubelite.service", ""},
	/*
	 * kind and minikube: the node is a container, and everything in it is the node's: minikube#11280,
	 * kind's entrypoint (kubelet --cgroup-root=/kubelet)
	 */
	{"/docker/" NODE "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice/crio-" ID_C ".scope", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice/crio-" ID_C ".scope", "docker", "d6701ec289c5", ""},
	{"/system.slice/docker-" NODE ".scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice/cri-containerd-" ID_C ".scope", "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod2ca4a155_3599_498d_bb9d_4446693fa3ea.slice/cri-containerd-" ID_C ".scope", "docker", "d6701ec289c5", ""},
	/*
	 * Kata: kata-containers' docs/design/host-cgroups.md: the vCPUs' threads are the pod's, the rest is
	 * not
	 */
	{"/kubepods/besteffort/podb889ec29-d166-4ba6-b98c-bc56d99f2d69/kata_" ID_C, "", "kata", "0ba8ac17e4e7", "b889ec29-d166-4ba6-b98c-bc56d99f2d69"},
	{"/kata_overhead/" ID_C, "", "kata", "0ba8ac17e4e7", ""},
	{"/kata_overhead", FOLDER, NONE},
	{"/vc/kata_" ID_C, "", "kata", "0ba8ac17e4e7", ""},
	/* Firecracker: docs/jailer.md: <parent, else the program's name>/<id> */
	{"/firecracker/551e7604-e35c-42b3-b825-416853441234", "", "firecracker", "551e7604-e35c-42b3-b825-416853441234", ""},
	{"/firecracker", FOLDER, NONE},

	/*
	 * LXC, LXD, Incus: lxc/lxc#2782, lxd-pkg-snap#73 (.lxc), canonical/lxd#9134; the name includes the
	 * project; Waydroid is LXC
	 */
	{"/lxc.payload.ns2", "", "lxc", "ns2", ""},
	{"/lxc.payload.ns2/.lxc", "/.lxc", "lxc", "ns2", ""},
	{"/lxc.payload.user-1000_alpine/init.scope", "/init.scope", "lxc", "user-1000_alpine", ""},
	{"/lxc.payload/test", "", "lxc", "test", ""},
	{"/lxc.monitor/test", FOLDER, NONE}, /* canonical/lxd#6257 */
	{"/lxc.monitor.ns2", FOLDER, NONE},
	{"/lxc/101/ns/system.slice/cron.service", "/ns/system.slice/cron.service", "lxc", "101", ""}, /* Proxmox */
	{"/system.slice/run-rb1a5.scope/lxc.payload.web", "", "lxc", "web", ""},
	{"/lxc.payload.waydroid", "", "lxc", "waydroid", ""},
	{"/system.slice/snap.lxd.daemon.service", "", "systemd", "snap.lxd.daemon.service", ""},
	/*
	 * systemd-nspawn: systemd#18104 (manually), systemd's test TEST-13-NSPAWN (the template), a name with
	 * a dash
	 */
	{"/machine.slice/machine-arch.scope/payload/system.slice/sshd.service", "/payload/system.slice/sshd.service", "machine", "arch", ""},
	{"/machine.slice/systemd-nspawn@jammy.service", "", "machine", "jammy", ""},
	{"/machine.slice/systemd-nspawn@jammy.service/payload/init.scope", "/payload/init.scope", "machine", "jammy", ""},
	{"/machine.slice/systemd-nspawn@jammy.service/supervisor", "/supervisor", "machine", "jammy", ""},
	{"/machine.slice/systemd-nspawn@web\\x2d1.service", "", "machine", "web-1", ""},
	{USER "/machine.slice/systemd-nspawn@zurps.service/payload", "/payload", "machine", "zurps", ""},
	{"/machine.slice/systemd-vmspawn@fedora.service", "", "machine", "fedora", ""},
	/*
	 * libvirt: OpenStack's instances, a name with a dot, a machine in its own slice (from a mail about
	 * rq->leaf_cfs_rq_list), systemd#13629 (lxc, without machined)
	 */
	{"/machine.slice/machine-qemu\\x2d1\\x2dinstance\\x2d0000001d.scope/emulator", "/emulator", "libvirt", "instance-0000001d", ""},
	{"/machine.slice/machine-qemu\\x2d2\\x2dubuntu20.04.scope", "", "libvirt", "ubuntu20.04", ""},
	{"/machine.slice/machine-test.slice/machine-qemu\\x2d16\\x2dtest14.scope/libvirt/vcpu0", "/libvirt/vcpu0", "libvirt", "test14", ""},
	{"/machine/lxc-1268-sl.libvirt-lxc", "", "lxc", "sl", ""},
	{"/machine/qemu-3-win10.libvirt-qemu/vcpu1", "/vcpu1", "libvirt", "win10", ""},

	/*
	 * Slurm: a node of the cluster Fox 2025 (v2), of an older one (v1); cgroup_exporter#8 (several
	 * slurmd); slurmd itself on v1 with --enable-multiple-slurmd: cgroup.conf(5)
	 */
	{"/system.slice/slurmstepd.scope/job_1392969/step_0/user/task_0", "/step_0/user/task_0", "slurm", "job_1392969", ""},
	{"/system.slice/slurmstepd.scope/job_42/step_extern/user", "/step_extern/user", "slurm", "job_42", ""},
	{"/system.slice/slurmstepd.scope/job_42/step_batch/slurm", "/step_batch/slurm", "slurm", "job_42", ""},
	{"/system.slice/slurmstepd.scope/system", FOLDER, NONE},
	{"/system.slice/n17_slurmstepd.scope/job_7/step_batch/user/task_special", "/step_batch/user/task_special", "slurm", "job_7", ""},
	{"/slurm/uid_2101171/job_280678/step_interactive/task_0", "/step_interactive/task_0", "slurm", "job_280678", ""},
	{"/slurm_n17/uid_1000/job_5/step_0/task_1", "/step_0/task_1", "slurm", "job_5", ""},
	{"/slurm_n17/uid_1000", FOLDER, NONE},
	/* OAR 2.5 and 3, PBS Professional, LSF, HTCondor (v1; v2 below its service: HTCONDOR-3008) */
	{"/oar/rpasquier_2046211", "", "job", "rpasquier_2046211", ""},
	{"/oar.slice/oar-u20001.slice/oar-u20001-j2046211.slice/oar-u20001-j2046211-s1.scope", "/oar-u20001-j2046211-s1.scope", "job", "oar-u20001-j2046211", ""},
	{"/pbs_jobs.service/jobid/1021.pbs01", "", "job", "1021.pbs01", ""},
	{"/lsf/cluster1/job.1234.5678.1458149921", "", "job", "1234.5678.1458149921", ""},
	{"/htcondor/condor_var_lib_condor_execute_slot1_1@node17", "", "job", "var_lib_condor_execute_slot1_1@node17", ""},
	{"/system.slice/condor.service/htcondor/condor_var_lib_condor_execute_slot1_1@node17", "", "job", "var_lib_condor_execute_slot1_1@node17", ""},
	/* Nomad 1.7: hashicorp/nomad#19587 and its e2e tests; 1.3: nomad-driver-containerd#133; nomad#12274 */
	{"/nomad.slice/share.slice/287ab5b5-9cae-e32b-da88-8ac2be252fd3.web.scope", "", "job", "287ab5b5-9cae-e32b-da88-8ac2be252fd3.web", ""},
	{"/nomad.slice/reserve.slice/287ab5b5-9cae-e32b-da88-8ac2be252fd3.web.scope", "", "job", "287ab5b5-9cae-e32b-da88-8ac2be252fd3.web", ""},
	{"/nomad.slice/287ab5b5-9cae-e32b-da88-8ac2be252fd3.sleep3.scope", "", "job", "287ab5b5-9cae-e32b-da88-8ac2be252fd3.sleep3", ""},
	{"/nomad.slice/libpod-" ID_B ".scope", "", "podman", "c7bcf94f6dff", ""}, /* nomad-driver-podman#248 */
	{"/mesos/45be9f3b-ac4d-4eab-9b5e-55de8a9ae8f1", "", "job", "45be9f3b-ac4d-4eab-9b5e-55de8a9ae8f1", ""},
	/*
	 * Cloud Foundry's Garden: from tables of tracing agents; OpenJDK's CgroupV1SubsystemController test
	 * (good)
	 */
	{"/system.slice/garden.service/garden/016b5740-120b-42b7-562f-3c62", "", "garden", "016b5740-120b-42b7-562f-3c62", ""},
	{"/system.slice/garden.service/garden/c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0", "", "garden", "c034152c-80b0-4a44-70df-5c61-liveness-healthcheck-0", ""},
	{"/system.slice/garden.service/garden/good/2f57368b-0eda-4e52-64d8-af5c", "", "garden", "2f57368b-0eda-4e52-64d8-af5c", ""},
	{"/garden/6f265890-5165-7fab-6b52-18d1", "", "garden", "6f265890-5165-7fab-6b52-18d1", ""},

	/* Sessions and desktops: cosmic-app-library#242, xdg-desktop-portal-gtk#497, podman#20910 (vte) */
	{"/user.slice/user-1000.slice/session-3.scope", "", "scope", "session-3.scope", ""},
	{USER "/session.slice/xdg-desktop-portal.service", "", "systemd", "xdg-desktop-portal.service", ""},
	{USER "/app.slice/app-cosmic-com.system76.CosmicAppList-4376.scope", "", "scope", "app-cosmic-com.system76.CosmicAppList-4376.scope", ""},
	{USER "/app.slice/app-at\\x2dspi\\x2ddbus\\x2dbus@autostart.service", "", "systemd", "app-at-spi-dbus-bus@autostart.service", ""},
	{USER "/init.scope", FOLDER, NONE},
	/* Flatpak: scopes in journals; Steam's has no number. snapd: snapd#8863 (both forms, hooks) */
	{USER "/app.slice/app-flatpak-org.mozilla.firefox-2891.scope", "", "flatpak", "org.mozilla.firefox", ""},
	{USER "/app.slice/app-flatpak-md.obsidian.Obsidian-2751032070.scope", "", "flatpak", "md.obsidian.Obsidian", ""},
	{"/app.slice/app-flatpak-com.valvesoftware.Steam.scope", "", "flatpak", "com.valvesoftware.Steam", ""},
	{USER "/app.slice/snap.firefox.firefox-22f14d2a-3d44-4304-9879-3fdd0df7b08e.scope", "", "snap", "firefox.firefox", ""},
	{USER "/snap.test-snapd-policy-app-consumer.block-devices.f10f877c-1072-4caa-a0db-f095531d624f.scope", "", "snap", "test-snapd-policy-app-consumer.block-devices", ""},
	{"/system.slice/snap.jq.hook.configure.f10f877c-1072-4caa-a0db-f095531d624f.scope", "", "snap", "jq.hook.configure", ""},
};
/* clang-format on */

static void check(const struct seen *row)
{
	const size_t below = row->below ? strlen(row->below) : 0;
	struct identity id;

	print_message("# %s\n", row->path);
	assert_int_equal(identity_parse(row->path, 0, &id), 0);
	if (!row->runtime) {
		assert_int_equal(id.role, IDENTITY_ROLE_NONE);
		assert_int_equal(id.root_length, 0);
		return;
	}
	assert_string_equal(identity_kind_names[id.kind], row->runtime);
	assert_string_equal(id.name, row->name);
	assert_string_equal(id.pod_uid, row->pod_uid);
	assert_int_equal(id.root_length, strlen(row->path) - below);
	assert_string_equal(row->path + id.root_length, row->below);
	assert_int_equal(id.role, below > 0                        ? IDENTITY_ROLE_NESTED
				  : strcmp(row->runtime, "cgroup") ? IDENTITY_ROLE_TARGET
								   : IDENTITY_ROLE_LEAF);
}

static void test_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++)
		check(&seen[i]);
}

/* Paths that only resemble one of the forms keep their path as the name. */
static void test_likely(void **state)
{
	(void)state;
	static const char *const others[] = {
		"/docker/notanid",      "/mesos/45be9f3b",
		"/nomad/shared",        "/garden/x",
		"/kata_overhead/x",     "/nomad.slice/share.slice/web",
		"/slurmed/uid_1/job_2", "/firecrackers/a",
	};
	struct identity id;

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		print_message("# %s\n", others[i]);
		assert_int_equal(identity_parse(others[i], 0, &id), 0);
		assert_int_equal(id.kind, IDENTITY_OTHER);
		assert_string_equal(id.name, others[i]);
	}
	/* Removing the digits would leave an empty name: it is kept. */
	assert_int_equal(identity_parse("/app.slice/app-flatpak-7.scope", 0, &id), 0);
	assert_string_equal(id.name, "7");
	assert_int_equal(identity_parse("/app.slice/snap.-7.scope", 0, &id), 0);
	assert_string_equal(id.name, "-7");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_seen), cmocka_unit_test(test_likely)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
