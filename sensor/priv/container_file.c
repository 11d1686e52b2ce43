/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds the paths of runtimes' files and opens them. The privileged process calls container_file_open() with
 * data from the unprivileged side, so everything that becomes part of a path is checked here first.
 */
#include "priv/container_file.h"
#include "base/cleanup.h"
#include "base/folder.h"
#include "base/text.h"
#include "priv/open_beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMESPACE_MAX 76

#define ROOTS(member) offsetof(struct container_roots, member)

static const struct {
	size_t roots;
	/* The parent folder is accepted as a root, too: Docker's data folder, /var/lib/containers,
	 * /run/containerd. */
	const char *below;
	bool by_id; /* otherwise a list at a fixed place */
	const char *before;
	const char *after;
} files[CONTAINER_FILES] = {
	[CONTAINER_FILE_DOCKER] = {ROOTS(docker), "/containers", true, "/", "/config.v2.json"},
	[CONTAINER_FILE_PODMAN] = {ROOTS(storage), "/storage", false, "/overlay-containers/containers.json",
				   ""},
	[CONTAINER_FILE_PODMAN_VOLATILE] = {ROOTS(storage), "/storage", false,
					    "/overlay-containers/volatile-containers.json", ""},
	[CONTAINER_FILE_PODMAN_VFS] = {ROOTS(storage), "/storage", false, "/vfs-containers/containers.json",
				       ""},
	[CONTAINER_FILE_PODMAN_VFS_VOLATILE] = {ROOTS(storage), "/storage", false,
						"/vfs-containers/volatile-containers.json", ""},
	[CONTAINER_FILE_STORAGE_CONFIG] = {ROOTS(storage), "/storage", true, "/overlay-containers/",
					   "/userdata/config.json"},
	[CONTAINER_FILE_STORAGE_RUN_CONFIG] = {ROOTS(storage_run), "/storage", true, "/overlay-containers/",
					       "/userdata/config.json"},
	[CONTAINER_FILE_CONTAINERD] = {ROOTS(containerd), "/io.containerd.runtime.v2.task", true, "/",
				       "/config.json"},
	[CONTAINER_FILE_POD_LOG] = {ROOTS(pod_logs), "", true, "-", ".log"},
};

void container_roots_default(struct container_roots *ret_roots)
{
	*ret_roots = (struct container_roots){
		/* The second one is the result of `-v /var/docker/containers:...`, a common mistake. */
		.docker = {"/var/lib/docker/containers", "/var/docker/containers",
			   "/var/snap/docker/common/var-lib-docker/containers"},
		.storage = {"/var/lib/containers/storage"},
		.storage_run = {"/run/containers/storage", "/var/run/containers/storage"},
		.containerd = {"/run/containerd/io.containerd.runtime.v2.task",
			       "/run/k3s/containerd/io.containerd.runtime.v2.task",
			       "/run/docker/containerd/daemon/io.containerd.runtime.v2.task",
			       "/run/k0s/containerd/io.containerd.runtime.v2.task",
			       "/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task"},
		.pod_logs = {"/var/log/containers"},
	};
}

bool container_file_is_id(const char *text, size_t length)
{
	if (length != CONTAINER_FILE_ID_HEX)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return true;
}

static bool is_namespace(const char *text)
{
	size_t n = text ? strlen(text) : 0;
	if (n == 0 || n > NAMESPACE_MAX || text[0] == '.')
		return false;
	return strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* containerd accepts names as IDs too; only those that cannot be a path are used. */
static bool is_file_id(enum container_file kind, const char *id)
{
	if (!id)
		return false;
	return container_file_is_id(id, strlen(id)) ||
	       (kind == CONTAINER_FILE_CONTAINERD && is_namespace(id));
}

int container_file_path(enum container_file kind, const char *root, const char *id, const char *extra,
			char *ret_path, size_t size)
{
	int n;
	if ((unsigned)kind >= CONTAINER_FILES || !root || root[0] != '/')
		return -EINVAL;
	if (files[kind].by_id && !is_file_id(kind, id))
		return -EINVAL;
	if (kind == CONTAINER_FILE_CONTAINERD) {
		if (!is_namespace(extra))
			return -EINVAL;
		n = snprintf(ret_path, size, "%s/%s/%s%s", root, extra, id, files[kind].after);
	} else {
		n = snprintf(ret_path, size, "%s%s%s%s", root, files[kind].before,
			     files[kind].by_id ? id : "", files[kind].after);
	}
	if (n < 0)
		return -EINVAL;
	return (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int open_regular(const char *root, const char *below)
{
	struct stat st;
	int fd = open_beneath(root, below, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)))
		return fd;
	(void)close(fd);
	return -EACCES;
}

static int open_below(enum container_file kind, const char *root, const char *id, const char *extra)
{
	char path[4096], folder[4096];
	int r = container_file_path(kind, root, id, extra, path, sizeof(path));

	if (r < 0)
		return r;
	r = open_regular(root, path + strlen(root) + 1);
	if (r != -ENOENT && r != -ENOTDIR)
		return r;
	int n = snprintf(folder, sizeof(folder), "%s%s", root, files[kind].below);
	if (n < 0 || (size_t)n >= sizeof(folder))
		return -ENAMETOOLONG;
	r = container_file_path(kind, folder, id, extra, path, sizeof(path));
	return r < 0 ? r : open_regular(root, path + strlen(root) + 1);
}

/* A pipe that holds `text`, passed instead of a file whose content is not needed. */
static int open_text(const char *text)
{
	int ends[2];
	size_t length = strlen(text);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ssize_t n = write(ends[1], text, length); /* no longer than a file name: fits, never blocks */
	(void)close(ends[1]);
	if (n == (ssize_t)length)
		return ends[0];
	(void)close(ends[0]);
	return -EIO;
}

/*
 * The kubelet links <pod>_<namespace>_<container>-<id>.log to each container's log. The link's name contains
 * what is needed from the runtime's files; the link is never followed.
 */
static int open_pod_log(const char *root, const char *id)
{
	char end[CONTAINER_FILE_ID_HEX + sizeof("-.log")];
	cleanup_(folder_close) DIR *folder = folder_open("%s", root);
	const struct dirent *entry;
	int r = -ENOENT;

	if (!folder)
		return -errno;
	int n = snprintf(end, sizeof(end), "%s%s%s", files[CONTAINER_FILE_POD_LOG].before, id,
			 files[CONTAINER_FILE_POD_LOG].after);
	while (r == -ENOENT && (entry = readdir(folder))) {
		size_t length = strlen(entry->d_name);
		if (length > (size_t)n && !strcmp(entry->d_name + length - (size_t)n, end))
			r = open_text(entry->d_name);
	}
	return r;
}

int container_file_open(const struct container_roots *roots, enum container_file kind, const char *id,
			const char *extra)
{
	uint64_t only = UINT64_MAX;
	if ((unsigned)kind >= CONTAINER_FILES || (files[kind].by_id && !is_file_id(kind, id)))
		return -EINVAL;
	if (!files[kind].by_id && extra && extra[0] &&
	    (text_parse_u64(extra, &only) < 0 || only >= CONTAINER_ROOTS_MAX))
		return -EINVAL;
	const char *const *list = (const void *)((const char *)roots + files[kind].roots);
	int last = -ENOENT;
	for (unsigned i = 0; i < CONTAINER_ROOTS_MAX && list[i]; i++) {
		if (only != UINT64_MAX && only != i)
			continue;
		int fd = kind == CONTAINER_FILE_POD_LOG ? open_pod_log(list[i], id)
							: open_below(kind, list[i], id, extra);
		if (fd >= 0)
			return fd;
		if (fd != -ENOENT && fd != -ENOTDIR)
			last = fd;
	}
	return last;
}
