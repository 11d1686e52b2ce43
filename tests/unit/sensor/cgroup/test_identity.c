/* SPDX-License-Identifier: Apache-2.0 */
/* identity: all forms of cgroup paths of runtimes and service managers, then properties of random paths. */
#include "cgroup/identity.h"
#include "base/text.h"
#include "base/cleanup.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define H1         "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define S1         "0a1b2c3d4e5f"
#define H2         "ffffffffeeeeeeeeddddddddcccccccc00000000111111112222222233333333"
#define S2         "ffffffffeeee"
#define UID        "8a7bf8a8-6b1b-4f4d-9a53-2d6c1f0e9a11"
#define UID_       "8a7bf8a8_6b1b_4f4d_9a53_2d6c1f0e9a11"
#define STATIC_UID "a5cc2c5ef0bb1c2fd4a39aa0b4d5d4b3"

struct sample {
	const char *path;
	enum identity_kind kind;
	enum identity_role role;
	const char *root; /* NULL: none */
	const char *name;
	const char *pod_uid;
	const char *name_space;
};

#define T        IDENTITY_ROLE_TARGET
#define N        IDENTITY_ROLE_NESTED
#define L        IDENTITY_ROLE_LEAF
#define O        IDENTITY_ROLE_NONE
#define KUBE     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" UID_ ".slice"
#define USER1000 "/user.slice/user-1000.slice/user@1000.service"

/* clang-format off */
static const struct sample samples[] = {
	/* Docker */
	{"/docker/" H1, IDENTITY_DOCKER, T, "/docker/" H1, S1, "", ""},
	{"/docker/" H1 "/init", IDENTITY_DOCKER, N, "/docker/" H1, S1, "", ""},
	{"/docker/" H1 "/system.slice/ssh.service", IDENTITY_DOCKER, N, "/docker/" H1, S1, "", ""},
	{"/docker/" H1 "/docker/" H2, IDENTITY_DOCKER, N, "/docker/" H1, S1, "", ""},
	{"/docker/" H1 "/kubelet/kubepods/besteffort/pod" UID "/" H2, IDENTITY_DOCKER, N, "/docker/" H1, S1, "", ""},
	{"/system.slice/docker-" H1 ".scope", IDENTITY_DOCKER, T, "/system.slice/docker-" H1 ".scope", S1, "", ""},
	{"/system.slice/docker-" H1 ".scope/init.scope", IDENTITY_DOCKER, N, "/system.slice/docker-" H1 ".scope", S1, "", ""},
	{"/custom/par/" H1, IDENTITY_DOCKER, T, "/custom/par/" H1, S1, "", ""},
	{USER1000 "/user.slice/docker-" H1 ".scope", IDENTITY_DOCKER, T, USER1000 "/user.slice/docker-" H1 ".scope", S1, "", ""},
	{"/docker/buildkit", IDENTITY_DOCKER, T, "/docker/buildkit", "buildkit", "", ""},
	{"/docker/buildkit/r7jl3a8u0e8zgm1zz1fgyr0r4", IDENTITY_DOCKER, N, "/docker/buildkit", "buildkit", "", ""},
	{"/docker/" H1 "/buildkit/abc", IDENTITY_DOCKER, N, "/docker/" H1, S1, "", ""},
	{"/system.slice:docker:" H1, IDENTITY_DOCKER, T, "/system.slice:docker:" H1, S1, "", ""},
	{"/docker", IDENTITY_SLICE, O, NULL, "", "", ""},
	/* Kubernetes */
	{"/kubepods/burstable/pod" UID "/" H1, IDENTITY_KUBEPODS, T, "/kubepods/burstable/pod" UID "/" H1, S1, UID, ""},
	{"/kubepods/pod" UID "/" H1 "/nested/x", IDENTITY_KUBEPODS, N, "/kubepods/pod" UID "/" H1, S1, UID, ""},
	{"/kubepods/burstable/pod" STATIC_UID "/" H1, IDENTITY_KUBEPODS, T, "/kubepods/burstable/pod" STATIC_UID "/" H1, S1, STATIC_UID, ""},
	{KUBE "/docker-" H1 ".scope", IDENTITY_DOCKER, T, KUBE "/docker-" H1 ".scope", S1, UID, ""},
	{KUBE "/cri-containerd-" H1 ".scope", IDENTITY_CONTAINERD, T, KUBE "/cri-containerd-" H1 ".scope", S1, UID, "k8s.io"},
	{KUBE "/crio-" H1 ".scope", IDENTITY_CRIO, T, KUBE "/crio-" H1 ".scope", S1, UID, ""},
	{KUBE "/crio-" H1 ".scope/container", IDENTITY_CRIO, N, KUBE "/crio-" H1 ".scope", S1, UID, ""},
	{KUBE "/crio-conmon-" H1 ".scope", IDENTITY_MONITOR, O, NULL, S1, UID, ""},
	{"/kubepods/burstable/pod" UID "/crio-" H1, IDENTITY_CRIO, T, "/kubepods/burstable/pod" UID "/crio-" H1, S1, UID, ""},
	{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/cri-containerd-" H1 ".scope", IDENTITY_CONTAINERD, T,
	 "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" UID_ ".slice/cri-containerd-" H1 ".scope", S1, UID, "k8s.io"},
	{"/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" H1, IDENTITY_CONTAINERD, T,
	 "/system.slice/containerd.service/kubepods-burstable-pod" UID_ ".slice:cri-containerd:" H1, S1, UID, "k8s.io"},
	{"/kubepods", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/kubepods/besteffort", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/kubepods/besteffort/pod" UID, IDENTITY_SLICE, O, NULL, "", UID, ""},
	{KUBE, IDENTITY_SLICE, O, NULL, "", UID, ""},
	/* Podman */
	{"/libpod_parent/libpod-" H1, IDENTITY_PODMAN, T, "/libpod_parent/libpod-" H1, S1, "", ""},
	{"/libpod_parent/conmon", IDENTITY_MONITOR, O, NULL, "conmon", "", ""},
	{"/libpod_parent/libpod-conmon-" H1, IDENTITY_MONITOR, O, NULL, S1, "", ""},
	{"/libpod_parent", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/libpod_parent/" H2, IDENTITY_SLICE, O, NULL, "", H2, ""},
	{"/libpod_parent/" H2 "/libpod-" H1, IDENTITY_PODMAN, T, "/libpod_parent/" H2 "/libpod-" H1, S1, H2, ""},
	{"/machine.slice/libpod-" H1 ".scope", IDENTITY_PODMAN, T, "/machine.slice/libpod-" H1 ".scope", S1, "", ""},
	{"/machine.slice/libpod-" H1 ".scope/container", IDENTITY_PODMAN, N, "/machine.slice/libpod-" H1 ".scope", S1, "", ""},
	{"/machine.slice/libpod-" H1 ".scope/libpod-payload-" H1, IDENTITY_PODMAN, N, "/machine.slice/libpod-" H1 ".scope", S1, "", ""},
	{"/machine.slice/libpod-conmon-" H1 ".scope", IDENTITY_MONITOR, O, NULL, S1, "", ""},
	{"/machine.slice/machine-libpod_pod_" H2 ".slice", IDENTITY_SLICE, O, NULL, "", H2, ""},
	{"/machine.slice/machine-libpod_pod_" H2 ".slice/libpod-" H1 ".scope/container", IDENTITY_PODMAN, N,
	 "/machine.slice/machine-libpod_pod_" H2 ".slice/libpod-" H1 ".scope", S1, H2, ""},
	{USER1000 "/user.slice/libpod-" H1 ".scope/container", IDENTITY_PODMAN, N, USER1000 "/user.slice/libpod-" H1 ".scope", S1, "", ""},
	{"/system.slice/web.service/libpod-payload-" H1, IDENTITY_PODMAN, T, "/system.slice/web.service/libpod-payload-" H1, S1, "", ""},
	{"/system.slice/web.service/libpod-payload-" H1 "/init.scope", IDENTITY_PODMAN, N, "/system.slice/web.service/libpod-payload-" H1, S1, "", ""},
	{"/system.slice/web.service/runtime", IDENTITY_SERVICE, N, "/system.slice/web.service", "web.service", "", ""},
	{USER1000 "/app.slice/web.service/libpod-payload-" H1, IDENTITY_PODMAN, T, USER1000 "/app.slice/web.service/libpod-payload-" H1, S1, "", ""},
	/* containerd by itself */
	{"/default/web", IDENTITY_CONTAINERD, T, "/default/web", "web", "", "default"},
	{"/default/" H1, IDENTITY_CONTAINERD, T, "/default/" H1, S1, "", "default"},
	{"/k8s.io/" H1, IDENTITY_CONTAINERD, T, "/k8s.io/" H1, S1, "", "k8s.io"},
	{"/default", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/system.slice/nerdctl-" H1 ".scope", IDENTITY_CONTAINERD, T, "/system.slice/nerdctl-" H1 ".scope", S1, "", "default"},
	/* LXC */
	{"/lxc.payload.web", IDENTITY_LXC, T, "/lxc.payload.web", "web", "", ""},
	{"/lxc.payload.web/system.slice/cron.service", IDENTITY_LXC, N, "/lxc.payload.web", "web", "", ""},
	{"/lxc.payload/web", IDENTITY_LXC, T, "/lxc.payload/web", "web", "", ""},
	{"/lxc.monitor.web", IDENTITY_MONITOR, O, NULL, "web", "", ""},
	{"/lxc.monitor/web", IDENTITY_MONITOR, O, NULL, "web", "", ""},
	{"/lxc.pivot", IDENTITY_MONITOR, O, NULL, "lxc.pivot", "", ""},
	{"/lxc/101", IDENTITY_LXC, T, "/lxc/101", "101", "", ""},
	{"/lxc/101/ns/init.scope", IDENTITY_LXC, N, "/lxc/101", "101", "", ""},
	{"/lxc", IDENTITY_SLICE, O, NULL, "", "", ""},
	/* virtual machines */
	{"/machine.slice/machine-qemu\\x2d1\\x2dfedora\\x2d38.scope", IDENTITY_LIBVIRT, T, "/machine.slice/machine-qemu\\x2d1\\x2dfedora\\x2d38.scope", "fedora-38", "", ""},
	{"/machine.slice/machine-qemu\\x2d1\\x2ddb.scope/libvirt/vcpu0", IDENTITY_LIBVIRT, N, "/machine.slice/machine-qemu\\x2d1\\x2ddb.scope", "db", "", ""},
	{"/machine/qemu-2-db.libvirt-qemu/emulator", IDENTITY_LIBVIRT, N, "/machine/qemu-2-db.libvirt-qemu", "db", "", ""},
	{"/machine/db.libvirt-qemu", IDENTITY_LIBVIRT, T, "/machine/db.libvirt-qemu", "db", "", ""},
	{"/machine.slice/machine-lxc\\x2d77\\x2dbox.scope", IDENTITY_LXC, T, "/machine.slice/machine-lxc\\x2d77\\x2dbox.scope", "box", "", ""},
	{"/machine.slice/machine-arch.scope/payload", IDENTITY_MACHINE, N, "/machine.slice/machine-arch.scope", "arch", "", ""},
	{"/qemu.slice/100.scope", IDENTITY_QEMU, T, "/qemu.slice/100.scope", "100", "", ""},
	/* jobs and runs */
	/* OAR 3 and 2, PBS, Torque, LSF, HTCondor: the job with all its processes */
	{"/oar.slice", IDENTITY_SLICE, O, "", "", "", ""},
	{"/oar.slice/oar-u1000.slice", IDENTITY_SLICE, O, "", "", "", ""},
	{"/oar.slice/oar-u1000.slice/oar-u1000-j55.slice", IDENTITY_JOB, T, "/oar.slice/oar-u1000.slice/oar-u1000-j55.slice", "oar-u1000-j55", "", ""},
	{"/oar.slice/oar-u1000.slice/oar-u1000-j55.slice/oar-u1000-j55-s1.scope", IDENTITY_JOB, N, "/oar.slice/oar-u1000.slice/oar-u1000-j55.slice", "oar-u1000-j55", "", ""},
	{"/oar.slice/oar-u1000.slice/oar-u1000-j55.slice/docker-" H1 ".scope", IDENTITY_JOB, N, "/oar.slice/oar-u1000.slice/oar-u1000-j55.slice", "oar-u1000-j55", "", ""},
	{"/x.slice/oar-u1000-jx.slice/a.scope", IDENTITY_SCOPE, T, "/x.slice/oar-u1000-jx.slice/a.scope", "a.scope", "", ""},
	{"/x.slice/oar-u-j5.slice/a.scope", IDENTITY_SCOPE, T, "/x.slice/oar-u-j5.slice/a.scope", "a.scope", "", ""},
	{"/oar/alice_55", IDENTITY_JOB, T, "/oar/alice_55", "alice_55", "", ""},
	{"/oar/alice_55/sub", IDENTITY_JOB, N, "/oar/alice_55", "alice_55", "", ""},
	{"/pbs_jobs.service/jobid/12.head/mom", IDENTITY_JOB, N, "/pbs_jobs.service/jobid/12.head", "12.head", "", ""},
	{"/pbspro.slice/pbspro-12.head.slice/x", IDENTITY_JOB, N, "/pbspro.slice/pbspro-12.head.slice", "12.head", "", ""},
	{"/torque/7.head", IDENTITY_JOB, T, "/torque/7.head", "7.head", "", ""},
	{"/lsf/site/job.12.345.678/task", IDENTITY_JOB, N, "/lsf/site/job.12.345.678", "12.345.678", "", ""},
	{"/lsf/site/job.x", IDENTITY_OTHER, L, "/lsf/site/job.x", "/lsf/site/job.x", "", ""},
	{"/htcondor/condor_var_lib_slot1_1@n1/a", IDENTITY_JOB, N, "/htcondor/condor_var_lib_slot1_1@n1", "var_lib_slot1_1@n1", "", ""},
	{"/slurm/uid_1000/job_42/step_0/task_1", IDENTITY_SLURM, N, "/slurm/uid_1000/job_42", "job_42", "", ""},
	{"/system.slice/slurmstepd.scope/job_42/step_batch/user", IDENTITY_SLURM, N, "/system.slice/slurmstepd.scope/job_42", "job_42", "", ""},
	{"/slurm/uid_1000", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/wattribute/bench-1", IDENTITY_RUN, T, "/wattribute/bench-1", "bench-1", "", ""},
	/* systemd */
	{"/system.slice/foo.service", IDENTITY_SERVICE, T, "/system.slice/foo.service", "foo.service", "", ""},
	{"/system.slice/system-foo.slice/foo@bar.service", IDENTITY_SERVICE, T, "/system.slice/system-foo.slice/foo@bar.service", "foo@bar.service", "", ""},
	{"/system.slice/my\\x2dapp.service", IDENTITY_SERVICE, T, "/system.slice/my\\x2dapp.service", "my-app.service", "", ""},
	{"/system.slice/docker.service", IDENTITY_SERVICE, T, "/system.slice/docker.service", "docker.service", "", ""},
	{"/system.slice/foo.service/worker/1", IDENTITY_SERVICE, N, "/system.slice/foo.service", "foo.service", "", ""},
	{"/system.slice/systemd-udevd.service/udev", IDENTITY_SERVICE, N, "/system.slice/systemd-udevd.service", "systemd-udevd.service", "", ""},
	{USER1000 "/app.slice/x.scope", IDENTITY_SCOPE, T, USER1000 "/app.slice/x.scope", "x.scope", "", ""},
	{USER1000 "/app.slice/x.service", IDENTITY_SERVICE, T, USER1000 "/app.slice/x.service", "x.service", "", ""},
	{USER1000 "/init.scope", IDENTITY_SLICE, O, NULL, "", "", ""},
	{USER1000, IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/user.slice/user-1000.slice/session-3.scope", IDENTITY_SCOPE, T, "/user.slice/user-1000.slice/session-3.scope", "session-3.scope", "", ""},
	{"/user.slice/user-1000.slice", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/init.scope", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/system.slice", IDENTITY_SLICE, O, NULL, "", "", ""},
	{"/", IDENTITY_SLICE, O, NULL, "", "", ""},
	/* anything else */
	{"/custom/par", IDENTITY_OTHER, L, "/custom/par", "/custom/par", "", ""},
	{"/docker/notanid", IDENTITY_OTHER, L, "/docker/notanid", "/docker/notanid", "", ""},
	{"/docker/0A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F9", IDENTITY_OTHER, L,
	 "/docker/0A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F9",
	 "/docker/0A1B2C3D4E5F60718293A4B5C6D7E8F90A1B2C3D4E5F60718293A4B5C6D7E8F9", "", ""},
};
/* clang-format on */

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct sample *s = &samples[i];
		struct identity id;
		print_message("# %s\n", s->path);
		assert_int_equal(identity_parse(s->path, 0, &id), 0);
		assert_string_equal(identity_kind_names[id.kind], identity_kind_names[s->kind]);
		assert_int_equal(id.role, s->role);
		assert_int_equal(id.root_length, s->root ? strlen(s->root) : 0);
		assert_int_equal(strncmp(s->path, s->root ? s->root : "", id.root_length), 0);
		assert_string_equal(id.name, s->name);
		assert_string_equal(id.pod_uid, s->pod_uid);
		assert_string_equal(id.name_space, s->name_space);
	}
}

static void test_ids(void **state)
{
	(void)state;
	struct identity id;
	assert_int_equal(identity_parse("/docker/" H1 "/x", 0, &id), 0);
	assert_string_equal(id.id, H1);
	assert_string_equal(id.short_id, S1);
	assert_int_equal(identity_parse("/system.slice/my\\x2dapp.service", 0, &id), 0);
	assert_string_equal(id.id, "my\\x2dapp.service");
	assert_string_equal(id.short_id, "");
	assert_true(container_file_is_id(H2, 64));
	assert_false(container_file_is_id(H2, 63));
	assert_false(container_file_is_id("../../../../../../../../../../../../../../../../../../../../../x.",
					  64));
}

/* The sensor measures the inside of a container, or a host below a prefix. */
static void test_prefix(void **state)
{
	(void)state;
	struct identity id;
	const char *path = "/docker/" H1 "/system.slice/docker-" H2 ".scope";
	size_t prefix = strlen("/docker/" H1);
	assert_int_equal(identity_parse(path, prefix, &id), 0);
	assert_int_equal(id.kind, IDENTITY_DOCKER);
	assert_int_equal(id.role, IDENTITY_ROLE_TARGET);
	assert_int_equal(id.root_length, strlen(path));
	assert_string_equal(id.short_id, S2);
	assert_int_equal(identity_parse("/docker/" H1 "/lxc/a", prefix, &id), 0);
	assert_int_equal(id.kind, IDENTITY_LXC);
	assert_int_equal(identity_parse("/docker/" H1, prefix, &id), 0);
	assert_int_equal(id.role, IDENTITY_ROLE_NONE);
	assert_int_equal(identity_parse("/docker/" H1 "/some/group", prefix, &id), 0);
	assert_string_equal(id.name, "/some/group");
	assert_int_equal(identity_parse("/docker/" H1, 3, &id), -EINVAL);
	assert_int_equal(identity_parse("/docker", 30, &id), -EINVAL);
}

static void test_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"",    "docker/x", "/../x", "/a/../b", "/a/.",
					  "//a", "/a//b",    "/a/",   "/a/..",   "/./a"};
	struct identity id;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(identity_parse(bad[i], 0, &id), -EINVAL);
	char *longer = malloc(5002);
	memset(longer, 'a', 5000);
	longer[0] = '/';
	longer[5000] = '\0';
	assert_int_equal(identity_parse(longer, 0, &id), -EINVAL);
	longer[4096] = '\0';
	assert_int_equal(identity_parse(longer, 0, &id), 0);
	assert_int_equal(strlen(id.name), IDENTITY_NAME_MAX);
	free(longer);
}

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *in, *out;
	} names[] = {
		{"web", "web"},
		{"a\nb", "a\\x0Ab"},
		{"\x1b[31m", "\\x1B[31m"},
		{"\xff\xfe", "\\xFF\\xFE"},
		{"caf\xc3\xa9", "caf\xc3\xa9"},
		{"\xc2\x85x", "\\xC2\\x85x"},
		{"\xed\xa0\x80", "\\xED\\xA0\\x80"},
		{"\xc0\x80", "\\xC0\\x80"},
		{"\xe2\x82", "\\xE2\\x82"},
		{"\xf0\x9f\x90\xb3", "\xf0\x9f\x90\xb3"},
	};
	char out[IDENTITY_NAME_MAX + 1];
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)text_escape(names[i].in, strlen(names[i].in), out, sizeof(out));
		assert_string_equal(out, names[i].out);
	}
	/* Two names stay distinct, whatever their bytes; an escape sequence is not split. */
	assert_int_equal(text_escape("caf\xe9", 4, out, 8), 7);
	assert_string_equal(out, "caf\\xE9");
	assert_int_equal(text_escape("caf\xe8", 4, out, 8), 7);
	assert_string_equal(out, "caf\\xE8");
	assert_int_equal(text_escape("caf\xe9", 4, out, 7), 3);
	/* Truncated between characters, not inside one. */
	char many[300];
	for (size_t i = 0; i + 3 < sizeof(many); i += 3)
		memcpy(many + i, "\xe2\x82\xac", 3);
	assert_int_equal(text_escape(many, 297, out, sizeof(out)), 126);
	assert_int_equal(identity_unescape("a\\x2db\\x", 8, out, sizeof(out)), 5);
	assert_string_equal(out, "a-b\\x");
	assert_int_equal(identity_unescape("\\x00", 4, out, sizeof(out)), 4);
}

/*
 * Random paths of real components: the root is a prefix that ends at a component, and everything below
 * belongs to it.
 */
static void test_properties(void **state)
{
	(void)state;
	static const char *const words[] = {"docker",
					    H1,
					    "system.slice",
					    "docker-" H2 ".scope",
					    "foo.service",
					    "kubepods",
					    "pod" UID,
					    "lxc",
					    "lxc.payload.x",
					    "init.scope",
					    "a",
					    "x.scope",
					    "user@1.service",
					    "machine-qemu\\x2d1\\x2da.scope",
					    "default",
					    "job_1",
					    "slurm",
					    "libpod_parent",
					    "libpod-" H1,
					    "crio-conmon-" H1 ".scope"};
	srand(random_begin());
	for (int round = 0; round < 20000; round++) {
		char path[1024] = "";
		for (int n = rand() % 7 + 1; n > 0; n--) {
			strcat(path, "/");
			strcat(path, words[(size_t)rand() % ARRAY_SIZE(words)]);
		}
		struct identity id, root;
		assert_int_equal(identity_parse(path, 0, &id), 0);
		assert_true(id.root_length <= strlen(path));
		assert_int_equal(id.root_length > 0, id.role != IDENTITY_ROLE_NONE);
		if (id.root_length == 0)
			continue;
		assert_true(path[id.root_length] == '\0' || path[id.root_length] == '/');
		char own[1024];
		memcpy(own, path, id.root_length);
		own[id.root_length] = '\0';
		assert_int_equal(identity_parse(own, 0, &root), 0);
		assert_string_equal(root.name, id.name);
		assert_string_equal(root.id, id.id);
		assert_int_equal(root.kind, id.kind);
		assert_int_equal(root.root_length, id.root_length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),  cmocka_unit_test(test_ids),
		cmocka_unit_test(test_prefix), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_names),  cmocka_unit_test(test_properties),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
