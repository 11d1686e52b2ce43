/* SPDX-License-Identifier: Apache-2.0 */
/* container_file and container_info: paths that may be opened, and the contents of runtimes' files. */
#include "target/container_info.h"
#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define A    "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define B    "ffffffffeeeeeeeeddddddddcccccccc00000000111111112222222233333333"
#define TASK "io.containerd.runtime.v2.task/k8s.io/" B
#define POD  "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod8a7bf8a8.slice/"

static void test_paths(void **state)
{
	(void)state;
	static const struct {
		enum container_file kind;
		const char *root, *id, *extra, *path;
	} good[] = {
		{CONTAINER_FILE_DOCKER, "/d", A, "", "/d/" A "/config.v2.json"},
		{CONTAINER_FILE_PODMAN, "/s", NULL, NULL, "/s/overlay-containers/containers.json"},
		{CONTAINER_FILE_PODMAN_VFS_VOLATILE, "/s", "", "1",
		 "/s/vfs-containers/volatile-containers.json"},
		{CONTAINER_FILE_STORAGE_RUN_CONFIG, "/r", A, "",
		 "/r/overlay-containers/" A "/userdata/config.json"},
		{CONTAINER_FILE_CONTAINERD, "/c", A, "k8s.io", "/c/k8s.io/" A "/config.json"},
		{CONTAINER_FILE_CONTAINERD, "/c", "web-1", "default", "/c/default/web-1/config.json"},
	};
	static const struct {
		enum container_file kind;
		const char *root, *id, *extra;
	} bad[] = {
		{CONTAINER_FILE_DOCKER, "/d", "web", ""},
		{CONTAINER_FILE_DOCKER, "/d", NULL, ""},
		{CONTAINER_FILE_DOCKER, "/d", "../../../../etc/passwd", ""},
		{CONTAINER_FILE_DOCKER, "/d", A "/", ""},
		{CONTAINER_FILE_DOCKER, "d", A, ""},
		{CONTAINER_FILE_DOCKER, NULL, A, ""},
		{CONTAINER_FILE_CONTAINERD, "/c", A, ".."},
		{CONTAINER_FILE_CONTAINERD, "/c", A, "a/b"},
		{CONTAINER_FILE_CONTAINERD, "/c", A, ""},
		{CONTAINER_FILE_CONTAINERD, "/c", A, NULL},
		{CONTAINER_FILE_CONTAINERD, "/c", "..", "k8s.io"},
		{CONTAINER_FILE_CONTAINERD, "/c", "a/b", "k8s.io"},
		{CONTAINER_FILES, "/c", A, ""},
		{(enum container_file) - 1, "/c", A, ""},
	};
	char path[256];
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(container_file_path(good[i].kind, good[i].root, good[i].id, good[i].extra,
						     path, sizeof(path)),
				 0);
		assert_string_equal(path, good[i].path);
		assert_int_equal(
			container_file_path(good[i].kind, good[i].root, good[i].id, good[i].extra, path, 10),
			-ENAMETOOLONG);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(container_file_path(bad[i].kind, bad[i].root, bad[i].id, bad[i].extra, path,
						     sizeof(path)),
				 -EINVAL);
}

/* Names in labels, and where they appear. */
static const char docker_json[] =
	"{\"ID\":\"" A "\",\"Name\":\"/shop_web_1\",\"Config\":{\"Image\":\"nginx:1.25\",\"Labels\":{"
	"\"com.docker.compose.project\":\"shop\",\"com.docker.compose.service\":\"web\",\"empty\":\"\"}}}";
static const char docker_pod_json[] =
	"{\"Name\":\"/k8s_app_web-5d_prod_8a7b_0\",\"Config\":{\"Image\":\"sha256:abcd\",\"Labels\":{"
	"\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"web-5d\","
	"\"io.kubernetes.pod.namespace\":\"prod\",\"io.kubernetes.pod.uid\":\"8a7b\","
	"\"io.kubernetes.docker.type\":\"container\"}}}";
static const char podman_json[] =
	"[{\"id\":\"" B "\",\"names\":[\"other\"]},{\"id\":\"" A "\",\"names\":[\"db\"],\"image\":\"0123\","
	"\"metadata\":\"{\\\"image-name\\\":\\\"docker.io/library/redis:7\\\",\\\"name\\\":\\\"db\\\"}\"}]";
static const char containerd_json[] =
	"{\"ociVersion\":\"1.0.2\",\"annotations\":{\"io.kubernetes.cri.container-name\":\"app\","
	"\"io.kubernetes.cri.container-type\":\"container\",\"io.kubernetes.cri.image-name\":\"docker.io/"
	"x:1\","
	"\"io.kubernetes.cri.sandbox-name\":\"web-5d\",\"io.kubernetes.cri.sandbox-namespace\":\"prod\","
	"\"io.kubernetes.cri.sandbox-uid\":\"8a7b\"}}";
static const char containerd_pause_json[] =
	"{\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
	"\"io.kubernetes.cri.sandbox-name\":\"web-5d\",\"io.kubernetes.cri.sandbox-namespace\":\"prod\"}}";
static const char crio_json[] =
	"{\"annotations\":{\"io.kubernetes.container.name\":\"app\",\"io.kubernetes.pod.name\":\"web-5d\","
	"\"io.kubernetes.pod.namespace\":\"prod\",\"io.kubernetes.cri-o.ImageName\":\"quay.io/x:2\","
	"\"io.kubernetes.cri-o.ContainerType\":\"container\","
	"\"io.kubernetes.cri-o.Labels\":\"{\\\"app\\\":\\\"web\\\"}\"}}";

static void test_docker(void **state)
{
	(void)state;
	struct container_info info;
	assert_int_equal(container_info_parse_docker(docker_json, strlen(docker_json), &info), 0);
	assert_string_equal(info.name, "shop_web_1");
	assert_string_equal(info.image, "nginx:1.25");
	assert_null(info.pod);
	assert_string_equal(info.labels[0], "com.docker.compose.project");
	assert_string_equal(info.labels[1], "shop");
	assert_string_equal(info.labels[5], "");
	assert_null(info.labels[6]);
	container_info_done(&info);
	assert_int_equal(container_info_parse_docker(docker_pod_json, strlen(docker_pod_json), &info), 0);
	assert_string_equal(info.name, "prod/web-5d/app");
	assert_string_equal(info.pod, "web-5d");
	assert_string_equal(info.pod_namespace, "prod");
	assert_string_equal(info.pod_uid, "8a7b");
	assert_string_equal(info.container_name, "app");
	container_info_done(&info);
}

static void test_podman(void **state)
{
	(void)state;
	struct container_info info;
	assert_int_equal(container_info_parse_podman(podman_json, strlen(podman_json), A, &info), 0);
	assert_string_equal(info.name, "db");
	assert_string_equal(info.image, "docker.io/library/redis:7");
	container_info_done(&info);
	assert_int_equal(container_info_parse_podman(podman_json, strlen(podman_json), "none", &info),
			 -ENOENT);
	assert_int_equal(container_info_parse_podman("{}", 2, A, &info), -EBADMSG);
}

static void test_oci(void **state)
{
	(void)state;
	struct container_info info;
	assert_int_equal(container_info_parse_oci(containerd_json, strlen(containerd_json), &info), 0);
	assert_string_equal(info.name, "prod/web-5d/app");
	assert_string_equal(info.image, "docker.io/x:1");
	container_info_done(&info);
	assert_int_equal(
		container_info_parse_oci(containerd_pause_json, strlen(containerd_pause_json), &info), 0);
	assert_string_equal(info.name, "prod/web-5d/POD");
	container_info_done(&info);
	assert_int_equal(container_info_parse_oci(crio_json, strlen(crio_json), &info), 0);
	assert_string_equal(info.name, "prod/web-5d/app");
	assert_string_equal(info.image, "quay.io/x:2");
	assert_string_equal(info.labels[0], "app");
	container_info_done(&info);
	assert_int_equal(container_info_parse_oci("{\"annotations\":{}}", 18, &info), -ENOENT);
}

static void test_bad(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "{", "[]", "null", "\"x\"", "{\"Name\":", "\xff\xfe"};
	static const char *const nameless[] = {"{}",
					       "{\"Name\":1}",
					       "{\"Name\":\"\"}",
					       "{\"Name\":\"/\"}",
					       "{\"Name\":{},\"Config\":[]}",
					       "{\"Config\":{\"Labels\":null}}"};
	struct container_info info;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(container_info_parse_docker(bad[i], strlen(bad[i]), &info), -EBADMSG);
	for (size_t i = 0; i < ARRAY_SIZE(nameless); i++)
		assert_int_equal(container_info_parse_docker(nameless[i], strlen(nameless[i]), &info),
				 -ENOENT);
	/* A name with control characters and of excessive length. */
	char json[600] = "{\"Name\":\"/a\\u001b[1m\\n";
	size_t n = strlen(json);
	memset(json + n, 'x', 400);
	memcpy(json + n + 400, "\"}", 3);
	assert_int_equal(container_info_parse_docker(json, strlen(json), &info), 0);
	assert_int_equal(strncmp(info.name, "a\\x1B[1m\\x0Axxx", 15), 0);
	assert_int_equal(strlen(info.name), IDENTITY_NAME_MAX);
	container_info_done(&info);
	/* Names that differ only in a byte that is not UTF-8 stay distinct. */
	assert_int_equal(container_info_parse_docker("{\"Name\":\"/caf\xe9\"}", 16, &info), 0);
	assert_string_equal(info.name, "caf\\xE9");
	container_info_done(&info);
	assert_int_equal(container_info_parse_docker("{\"Name\":\"/caf\xe8\"}", 16, &info), 0);
	assert_string_equal(info.name, "caf\\xE8");
	container_info_done(&info);
}

static void test_many_labels(void **state)
{
	(void)state;
	char *json = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&json, &size);
	(void)fputs("{\"Name\":\"/a\",\"Config\":{\"Labels\":{\"number\":1", stream);
	for (int i = 0; i < 100; i++)
		(void)fprintf(stream, ",\"key%d\":\"value\"", i);
	(void)fputs("}}}", stream);
	(void)fclose(stream);
	struct container_info info;
	size_t n = 0;
	assert_int_equal(container_info_parse_docker(json, size, &info), 0);
	while (info.labels[n])
		n++;
	assert_int_equal(n, 2 * CONTAINER_INFO_LABELS_MAX);
	container_info_done(&info);
	free(json);
}

static void put(const char *base, const char *folders, const char *name, const char *text)
{
	char path[512], command[640];
	(void)snprintf(command, sizeof(command), "mkdir -p %s/%s", base, folders);
	assert_int_equal(system(command), 0);
	(void)snprintf(path, sizeof(path), "%s/%s/%s", base, folders, name);
	FILE *file = fopen(path, "we");
	assert_non_null(file);
	(void)fputs(text, file);
	(void)fclose(file);
}

/* Opens in this process; data is a const struct container_roots *. */
static int open_direct(void *data, enum container_file kind, const char *id, const char *extra)
{
	return container_file_open(data, kind, id, extra);
}

static void read_and_expect(const char *cgroup, struct container_roots *roots, const char *name)
{
	struct identity identity;
	struct container_info info;
	assert_int_equal(identity_parse(cgroup, 0, &identity), 0);
	int r = container_info_read(&identity, open_direct, roots, &info);
	if (!name) {
		assert_true(r < 0);
		return;
	}
	assert_int_equal(r, 0);
	assert_string_equal(info.name, name);
	container_info_done(&info);
}

/* Missing before Linux 5.6, and under tools and engines that do not know it. */
static bool has_openat2(void)
{
	const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_BENEATH};
	long fd = syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	if (fd < 0)
		return false;
	(void)close((int)fd);
	return true;
}

static void prepend(const char *prefix, const char **roots)
{
	for (; *roots; roots++) {
		char *path;

		assert_true(asprintf(&path, "%s%s", prefix, *roots) > 0);
		*roots = path;
	}
}

/* The default locations, below a folder. */
static void roots_below(const char *prefix, struct container_roots *ret_roots)
{
	container_roots_default(ret_roots);
	prepend(prefix, ret_roots->docker);
	prepend(prefix, ret_roots->storage);
	prepend(prefix, ret_roots->storage_run);
	prepend(prefix, ret_roots->containerd);
	prepend(prefix, ret_roots->pod_logs);
}

/* If the runtime's files are missing, the kubelet's link provides the name. */
static void test_pod_logs(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"",
		"-" A ".log",
		"web_prod-" A ".log",
		"web_prod_app_x-" A ".log",
		"web__app-" A ".log",
		"_prod_app-" A ".log",
		"web_prod_-" A ".log",
		"web_prod_app" A "..log",
	};
	struct container_roots roots;
	struct container_info info;
	char base[] = "/tmp/wattribute-info-XXXXXX", command[128], link[512];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(container_info_parse_pod_log(bad[i], strlen(bad[i]), &info), -EBADMSG);
	assert_non_null(mkdtemp(base));
	roots_below(base, &roots);
	read_and_expect("/kubepods/burstable/pod8a7bf8a8/" A, &roots, NULL);
	put(base, "var/log/containers", "other_prod_app-" B ".log", "");
	(void)snprintf(link, sizeof(link), "%s/var/log/containers/web-0_shop_side-car-" A ".log", base);
	assert_int_equal(symlink("/var/log/pods/gone", link), 0);
	read_and_expect("/kubepods/burstable/pod8a7bf8a8/" A, &roots, "shop/web-0/side-car");
	read_and_expect("/kubepods.slice/kubepods-pod8a7bf8a8.slice/crio-" A ".scope", &roots,
			"shop/web-0/side-car");
	read_and_expect("/kubepods.slice/kubepods-pod8a7bf8a8.slice/cri-containerd-" B ".scope", &roots,
			"prod/other/app");
	read_and_expect("/docker/" A, &roots, NULL); /* not in a pod */
	/* The runtime's own file has more information, above all the image. */
	put(base, "run/containerd/io.containerd.runtime.v2.task/k8s.io/" B, "config.json", containerd_json);
	read_and_expect("/kubepods/pod8a7bf8a8/" B, &roots, "prod/web-5d/app");
	assert_int_equal(container_file_open(&roots, CONTAINER_FILE_POD_LOG, "web", ""), -EINVAL);
	(void)snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
	for (unsigned i = 0; i < CONTAINER_ROOTS_MAX; i++) {
		free((char *)(uintptr_t)roots.docker[i]);
		free((char *)(uintptr_t)roots.storage[i]);
		free((char *)(uintptr_t)roots.storage_run[i]);
		free((char *)(uintptr_t)roots.containerd[i]);
		free((char *)(uintptr_t)roots.pod_logs[i]);
	}
}

static void test_read(void **state)
{
	(void)state;
	struct container_roots roots;
	char base[] = "/tmp/wattribute-info-XXXXXX", command[128];
	assert_non_null(mkdtemp(base));
	roots_below(base, &roots);
	read_and_expect("/docker/" A, &roots, NULL);
	put(base, "var/docker/containers/" A, "config.v2.json", docker_json); /* the mistyped location */
	put(base, "var/lib/containers/storage/overlay-containers", "containers.json", podman_json);
	put(base, "run/containers/storage/overlay-containers/" B "/userdata", "config.json", crio_json);
	put(base, "run/containerd/io.containerd.runtime.v2.task/k8s.io/" B, "config.json", containerd_json);
	read_and_expect("/docker/" A, &roots, "shop_web_1");
	read_and_expect("/machine.slice/libpod-" A ".scope/container", &roots, "db");
	read_and_expect("/machine.slice/libpod-" B ".scope", &roots, "other");
	read_and_expect("/kubepods.slice/kubepods-pod8a7bf8a8.slice/crio-" B ".scope", &roots,
			"prod/web-5d/app");
	read_and_expect("/kubepods/pod8a7bf8a8/" B, &roots, "prod/web-5d/app");
	read_and_expect("/docker/" B, &roots, NULL);
	/* Links and special files are not opened. */
	put(base, "secret", "file", docker_json);
	put(base, "var/lib/docker/containers/" B, "x", "");
	char link[512];
	(void)snprintf(link, sizeof(link), "%s/var/lib/docker/containers/" B "/config.v2.json", base);
	assert_int_equal(symlink("/etc/passwd", link), 0);
	assert_int_equal(container_file_open(&roots, CONTAINER_FILE_DOCKER, B, ""), -ELOOP);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(mkfifo(link, 0600), 0);
	assert_int_equal(container_file_open(&roots, CONTAINER_FILE_DOCKER, B, ""), -EACCES);
	/*
	 * Nor through a folder that is a link: a user's own root could point to root's files, or another
	 * user's.
	 */
	put(base, "elsewhere/userdata", "config.json", crio_json);
	char target[512];
	(void)snprintf(target, sizeof(target), "%s/elsewhere", base);
	(void)snprintf(link, sizeof(link), "%s/run/containers/storage/overlay-containers/" A, base);
	const char *const targets[] = {target, "../../../../elsewhere", B};
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		assert_int_equal(symlink(targets[i], link), 0);
		if (has_openat2())
			assert_int_equal(
				container_file_open(&roots, CONTAINER_FILE_STORAGE_RUN_CONFIG, A, ""),
				-ELOOP);
		assert_int_equal(unlink(link), 0);
	}
	assert_int_equal(container_file_open(&roots, CONTAINER_FILE_PODMAN, "", "8"), -EINVAL);
	assert_int_equal(container_file_open(&roots, CONTAINER_FILE_PODMAN, "", "x"), -EINVAL);
	/* Docker's data folder is also accepted as a root. */
	char docker[256];
	(void)snprintf(docker, sizeof(docker), "%s/var/docker", base);
	struct container_roots data = {.docker = {docker}};
	read_and_expect("/docker/" A, &data, "shop_web_1");
	(void)snprintf(command, sizeof(command), "rm -r %s", base);
	assert_int_equal(system(command), 0);
	for (unsigned i = 0; i < CONTAINER_ROOTS_MAX; i++) {
		free((char *)(uintptr_t)roots.docker[i]);
		free((char *)(uintptr_t)roots.storage[i]);
		free((char *)(uintptr_t)roots.storage_run[i]);
		free((char *)(uintptr_t)roots.containerd[i]);
		free((char *)(uintptr_t)roots.pod_logs[i]);
	}
}

/* Where Kubernetes distributions keep their containers' files, each on a machine of its own. */
static const struct {
	const char *distribution, *folder, *file, *cgroup;
} distributions[] = {
	{"kubeadm", "run/containerd/" TASK, "config.json", POD "cri-containerd-" B ".scope"},
	{"k3s", "run/k3s/containerd/" TASK, "config.json", "/kubepods/burstable/pod8a7bf8a8/" B},
	{"k3s, systemd driver", "run/k3s/containerd/" TASK, "config.json", POD "cri-containerd-" B ".scope"},
	{"RKE2", "run/k3s/containerd/" TASK, "config.json", POD "cri-containerd-" B ".scope"},
	{"k0s", "run/k0s/containerd/" TASK, "config.json", "/kubepods/besteffort/pod8a7bf8a8/" B},
	{"MicroK8s", "var/snap/microk8s/common/run/containerd/" TASK, "config.json",
	 "/kubepods/burstable/pod8a7bf8a8/" B},
	{"minikube, containerd", "run/containerd/" TASK, "config.json", POD "cri-containerd-" B ".scope"},
	{"minikube, CRI-O", "run/containers/storage/overlay-containers/" B "/userdata", "config.json",
	 POD "crio-" B ".scope"},
	{"OpenShift, after a restart", "var/lib/containers/storage/overlay-containers/" B "/userdata",
	 "config.json", POD "crio-" B ".scope"},
	{"minikube, Docker (cri-dockerd)", "var/lib/docker/containers/" B, "config.v2.json",
	 POD "docker-" B ".scope"},
	{"any of them, by the kubelet's link", "var/log/containers", "web-5d_prod_app-" B ".log",
	 "/kubepods/burstable/pod8a7bf8a8/" B},
};

static void free_roots(const char *const *roots)
{
	for (; *roots; roots++)
		free((char *)(uintptr_t)*roots);
}

static void test_distributions(void **state)
{
	char base[] = "/tmp/wattribute-info-XXXXXX", command[128];

	(void)state;
	assert_non_null(mkdtemp(base));
	for (size_t i = 0; i < ARRAY_SIZE(distributions); i++) {
		const char *file = distributions[i].file;
		const char *text = strcmp(file, "config.v2.json") == 0          ? docker_pod_json
				   : strstr(distributions[i].folder, "storage") ? crio_json
										: containerd_json;
		struct container_roots roots;

		print_message("# %s\n", distributions[i].distribution);
		roots_below(base, &roots);
		put(base, distributions[i].folder, file, text);
		read_and_expect(distributions[i].cgroup, &roots, "prod/web-5d/app");
		(void)snprintf(command, sizeof(command), "rm -r %s/*", base);
		assert_int_equal(system(command), 0);
		/* Without the file the name is unknown. */
		read_and_expect(distributions[i].cgroup, &roots, NULL);
		free_roots(roots.docker);
		free_roots(roots.storage);
		free_roots(roots.storage_run);
		free_roots(roots.containerd);
		free_roots(roots.pod_logs);
	}
	assert_int_equal(rmdir(base), 0);
}

/* An odd value in an unused field does not prevent reading the others. */
static void test_odd_fields(void **state)
{
	(void)state;
	static const char *const odd[] = {
		"18446744073709551615",
		"-99999999999999999999999999",
		"1e999",
		"-1.5E+4000",
		"\"half a pair \\ud83d of \\udc00 both\"",
		"\"\\ud83d\\ude00 is one\"",
		"\"a nul \\u0000 within\"",
		"{\"a nul \\u0000 in a key\": 1}",
		"\"a nul before half a pair \\u0000\\udc00\"",
		"\"not UTF-8: \xff\xfe \xc3\"",
		"\"a line\n and a tab\t raw\"",
		"\"\\\\\"",
		"{\"Name\":\"/other\",\"deep\":[[[{\"a\":[1e400]}]]]}",
	};
	static const char *const around[][2] = {
		{"{\"First\":%s,\"Name\":\"/w\\u00e4b\",\"Config\":{\"Image\":\"nginx:1.25\"}}", ""},
		{"{\"Name\":\"/w\\u00e4b\",\"Config\":{\"Image\":\"nginx:1.25\",\"x\":%s},\"Last\":-0.5e-3}",
		 ""},
		{"\xef\xbb\xbf{\"Name\":\"/"
		 "w\\u00e4b\",\"Name2\":%s,\"Config\":{\"Image\":\"nginx:1.25\"}}\n}rest",
		 ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		for (size_t k = 0; k < ARRAY_SIZE(around); k++) {
			const char *before = around[k][0], *at = strstr(before, "%s");
			struct container_info info;
			char text[1024];
			int n = snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - before), before, odd[i],
					 at + 2);
			int r = container_info_parse_docker(text, (size_t)n, &info);

			if (r != 0 ||
			    strcmp(info.name, "w\xc3\xa4"
					      "b") != 0 ||
			    strcmp(info.image, "nginx:1.25") != 0)
				fail_msg("%s: %d, '%s'", text, r, r == 0 ? info.name : "");
			container_info_done(&info);
		}
	/* Truncated anywhere, it is refused or read, without reading beyond the end. */
	for (size_t length = 0; length < strlen(around[0][0]); length++) {
		struct container_info info;

		(void)container_info_parse_docker(around[0][0], length, &info);
		container_info_done(&info);
	}
}

/*
 * A label of "<" as escaped by the engine: scanning the rest again for each one took 15 s for the largest
 * file.
 */
static void test_many_escapes(void **state)
{
	(void)state;
	static const char before[] = "{\"Name\":\"/web\",\"Config\":{\"Image\":\"", after[] = "\"}}";
	const size_t room = CONTAINER_INFO_FILE_MAX - 100;
	const clock_t began = clock();
	struct container_info info;
	char *text = malloc(CONTAINER_INFO_FILE_MAX);
	size_t n = 0;

	assert_non_null(text);
	memcpy(text, before, sizeof(before) - 1);
	for (n = sizeof(before) - 1; n < room; n += 6)
		memcpy(text + n, "\\u003c", 6);
	memcpy(text + n, after, sizeof(after) - 1);
	assert_int_equal(container_info_parse_docker(text, n + sizeof(after) - 1, &info), 0);
	assert_string_equal(info.name, "web");
	assert_int_equal(info.image[0], '<');
	assert_true(clock() - began < 5 * CLOCKS_PER_SEC);
	container_info_done(&info);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_escapes),  cmocka_unit_test(test_paths),
		cmocka_unit_test(test_docker),        cmocka_unit_test(test_podman),
		cmocka_unit_test(test_oci),           cmocka_unit_test(test_bad),
		cmocka_unit_test(test_many_labels),   cmocka_unit_test(test_read),
		cmocka_unit_test(test_pod_logs),      cmocka_unit_test(test_odd_fields),
		cmocka_unit_test(test_distributions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
