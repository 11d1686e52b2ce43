/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the JSON files of container runtimes. They are untrusted: sizes are limited, types are checked, text
 * is sanitized. The parse functions are pure; container_info_read() selects the files, and opens none itself.
 */
#include "target/container_info.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256 /* limit on an image's name and a label's value */

/* The same value under each runtime's name for it; the first one found is used. */
static const char *const keys_pod[] = {"io.kubernetes.pod.name", "io.kubernetes.cri.sandbox-name", NULL};
static const char *const keys_namespace[] = {"io.kubernetes.pod.namespace",
					     "io.kubernetes.cri.sandbox-namespace", NULL};
static const char *const keys_uid[] = {"io.kubernetes.pod.uid", "io.kubernetes.cri.sandbox-uid", NULL};
static const char *const keys_container[] = {"io.kubernetes.container.name",
					     "io.kubernetes.cri.container-name", NULL};
static const char *const keys_type[] = {"io.kubernetes.docker.type", "io.kubernetes.cri-o.ContainerType",
					"io.kubernetes.cri.container-type", NULL};
static const char *const keys_image[] = {"io.kubernetes.cri-o.ImageName", "io.kubernetes.cri.image-name",
					 "io.kubernetes.cri-o.Image", "nerdctl/image-name", NULL};
static const char *const keys_name[] = {"nerdctl/name", "io.kubernetes.cri-o.Name", NULL};

void container_info_done(struct container_info *info)
{
	free(info->name);
	free(info->image);
	free(info->pod);
	free(info->pod_namespace);
	free(info->pod_uid);
	free(info->container_name);
	for (char **label = info->labels; label && *label; label++)
		free(*label);
	free(info->labels);
	memset(info, 0, sizeof(*info));
}

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

/* 0 also if there is nothing to copy; the pointer then stays NULL. */
static int copy_text(char **ret, const char *text, size_t max)
{
	char clean[TEXT_MAX + 1];
	if (!text || text[0] == '\0' || *ret)
		return 0;
	(void)text_escape(text, strlen(text), clean, max + 1);
	*ret = strdup(clean);
	return *ret ? 0 : -ENOMEM;
}

static const char *string_of(const json_t *object, const char *const *keys)
{
	for (; *keys; keys++) {
		const char *text = json_string_value(json_object_get(object, *keys));
		if (text && text[0])
			return text;
	}
	return NULL;
}

/* Skips a number outside of strings: none is needed, and some exceed the parser's range (an unlimited
 * rlimit). */
static char *pass_number(char *at, const char *end)
{
	*at++ = '0';
	while (at < end && strchr("0123456789+-.eE", *at) && *at)
		*at++ = ' ';
	return at;
}

/* The value of four hexadecimal digits, which need no terminator; -1: they are not hexadecimal. */
static long four_digits(const char *at)
{
	char digits[5] = "";

	memcpy(digits, at, 4);
	return strspn(digits, "0123456789abcdefABCDEF") == 4 ? strtol(digits, NULL, 16) : -1;
}

/*
 * An escape in a string; "\ud83d" without its second half is not a character, and the parser has no keys with
 * "\u0000". Returns its length.
 */
static size_t pass_escape(char *at, const char *end)
{
	long code, other;

	if (end - at < 6 || at[1] != 'u' || (code = four_digits(at + 2)) < 0)
		return end - at < 2 ? 1 : 2;
	if (code > 0 && (code < 0xd800 || code > 0xdfff))
		return 6;
	if (code > 0 && code < 0xdc00 && end - at >= 12 && at[6] == '\\' && at[7] == 'u' &&
	    (other = four_digits(at + 8)) >= 0xdc00 && other <= 0xdfff)
		return 12;
	memcpy(at + 2, "fffd", 4);
	return 6;
}

/* Skips a string, starting after its first quote. Returns the position after the last one. */
static char *pass_text(char *at, const char *end)
{
	while (at < end && *at != '"') {
		if (*at == '\\') {
			at += pass_escape(at, end);
			continue;
		}
		if ((unsigned char)*at < 0x20)
			*at = '?';
		at++;
	}
	return at < end ? at + 1 : at;
}

/*
 * The parser rejects a whole file because of one irrelevant value: a number that is too large, half a
 * surrogate pair, a raw control character. Such values are replaced in place.
 */
static void make_digestible(char *text, size_t length)
{
	char *const end = text + length;

	for (char *at = text; at < end;) {
		if (*at == '"') {
			at = pass_text(at + 1, end);
		} else if (*at == '-' || (*at >= '0' && *at <= '9')) {
			at = pass_number(at, end);
		} else {
			if ((unsigned char)*at >= 0x80 || *at == '\0') /* a byte order mark */
				*at = ' ';
			at++;
		}
	}
}

/*
 * A copy in which invalid UTF-8 bytes are escaped as by text_escape(), with the second backslash that JSON
 * needs. The file is first copied to the end of the buffer, so that writing never overtakes reading.
 */
static char *copy_escaped(const char *json, size_t *length)
{
	const size_t room = (TEXT_ESCAPED_MAX + 1) * *length;
	char *copy = malloc(room + *length + 1), *at = copy + room;
	size_t n = 0;

	if (!copy)
		return NULL;
	memcpy(at, json, *length);
	at[*length] = '\0';
	for (const char *end = at + *length; at < end;) {
		const size_t bytes = *at ? text_utf8_length(at) : 1;

		if (bytes) {
			memmove(copy + n, at, bytes);
			n += bytes;
			at += bytes;
		} else {
			copy[n++] = '\\';
			n += text_escape(at++, 1, copy + n, TEXT_ESCAPED_MAX + 1);
		}
	}
	*length = n;
	return copy;
}

static json_t *load(const char *json, size_t length)
{
	cleanup_(cleanup_free) char *copy = NULL;
	json_error_t error;

	if (length > CONTAINER_INFO_FILE_MAX || !(copy = copy_escaped(json, &length)))
		return NULL;
	make_digestible(copy, length);
	return json_loadb(copy, length, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &error);
}

static int copy_labels(json_t *object, struct container_info *info)
{
	const char *key;
	json_t *value;
	size_t n = 0;
	if (!json_is_object(object) || json_object_size(object) == 0 || info->labels)
		return 0;
	info->labels = calloc(2 * CONTAINER_INFO_LABELS_MAX + 1, sizeof(char *));
	if (!info->labels)
		return -ENOMEM;
	json_object_foreach(object, key, value)
	{
		char *pair[2] = {NULL, NULL};
		if (n == CONTAINER_INFO_LABELS_MAX || !json_is_string(value) || key[0] == '\0')
			continue;
		(void)copy_text(&pair[0], key, IDENTITY_NAME_MAX);
		(void)copy_text(&pair[1], json_string_value(value), TEXT_MAX);
		if (!pair[1])
			pair[1] = strdup("");
		info->labels[2 * n] = pair[0];
		info->labels[2 * n + 1] = pair[1];
		if (!pair[0] || !pair[1])
			return -ENOMEM;
		n++;
	}
	/* Unused memory is returned: there may be thousands of containers. */
	char **fitting = realloc(info->labels, (2 * n + 1) * sizeof(char *));
	if (fitting)
		info->labels = fitting;
	return 0;
}

static int name_by_pod(struct container_info *info)
{
	cleanup_(cleanup_free) char *full = NULL;
	if (asprintf(&full, "%s/%s/%s", info->pod_namespace ? info->pod_namespace : "default", info->pod,
		     info->container_name) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	return copy_text(&info->name, full, IDENTITY_NAME_MAX);
}

/* Takes the pod from labels or annotations, and derives the name of a pod's container from it. */
static int take_pod(const json_t *object, struct container_info *info)
{
	const char *type = string_of(object, keys_type);
	const char *container = string_of(object, keys_container);
	bool sandbox = type && strstr(type, "sandbox");
	int r = copy_text(&info->pod, string_of(object, keys_pod), IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&info->pod_namespace, string_of(object, keys_namespace), IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&info->pod_uid, string_of(object, keys_uid), IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&info->container_name, sandbox ? "POD" : container, IDENTITY_NAME_MAX);
	return r < 0 || !info->pod || !info->container_name ? r : name_by_pod(info);
}

static int finish(int r, struct container_info *info)
{
	if (r == 0 && !info->name)
		r = -ENOENT;
	if (r < 0)
		container_info_done(info);
	return r;
}

int container_info_parse_docker(const char *json, size_t length, struct container_info *ret_info)
{
	memset(ret_info, 0, sizeof(*ret_info));
	cleanup_(cleanup_json) json_t *root = load(json, length);
	if (!json_is_object(root))
		return -EBADMSG;
	const json_t *config = json_object_get(root, "Config");
	json_t *labels = json_object_get(config, "Labels");
	const char *name = json_string_value(json_object_get(root, "Name"));
	int r = take_pod(labels, ret_info);
	if (name && name[0] == '/')
		name++;
	r = r < 0 ? r : copy_text(&ret_info->name, name, IDENTITY_NAME_MAX);
	r = r < 0 ? r
		  : copy_text(&ret_info->image, json_string_value(json_object_get(config, "Image")),
			      TEXT_MAX);
	r = r < 0 ? r : copy_labels(labels, ret_info);
	return finish(r, ret_info);
}

static const json_t *find_entry(const json_t *list, const char *id)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *entry = json_array_get(list, i);
		const char *its = json_string_value(json_object_get(entry, "id"));
		if (its && strcmp(its, id) == 0)
			return entry;
	}
	return NULL;
}

int container_info_parse_podman(const char *json, size_t length, const char *id,
				struct container_info *ret_info)
{
	memset(ret_info, 0, sizeof(*ret_info));
	cleanup_(cleanup_json) json_t *root = load(json, length);
	if (!json_is_array(root))
		return -EBADMSG;
	const json_t *entry = find_entry(root, id);
	/* "metadata" is JSON in a string. */
	const char *text = json_string_value(json_object_get(entry, "metadata"));
	cleanup_(cleanup_json) json_t *metadata = text ? load(text, strlen(text)) : NULL;
	const char *name = json_string_value(json_array_get(json_object_get(entry, "names"), 0));
	if (!name)
		name = json_string_value(json_object_get(metadata, "name"));
	const char *image = json_string_value(json_object_get(metadata, "image-name"));
	if (!image || image[0] == '\0')
		image = json_string_value(json_object_get(entry, "image"));
	int r = copy_text(&ret_info->name, name, IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&ret_info->image, image, TEXT_MAX);
	return finish(r, ret_info);
}

int container_info_parse_oci(const char *json, size_t length, struct container_info *ret_info)
{
	memset(ret_info, 0, sizeof(*ret_info));
	cleanup_(cleanup_json) json_t *root = load(json, length);
	if (!json_is_object(root))
		return -EBADMSG;
	const json_t *annotations = json_object_get(root, "annotations");
	/* CRI-O keeps the labels as JSON in a string. */
	const char *text = json_string_value(json_object_get(annotations, "io.kubernetes.cri-o.Labels"));
	cleanup_(cleanup_json) json_t *labels = text ? load(text, strlen(text)) : NULL;
	int r = take_pod(annotations, ret_info);
	r = r < 0 ? r : copy_text(&ret_info->name, string_of(annotations, keys_name), IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&ret_info->image, string_of(annotations, keys_image), TEXT_MAX);
	r = r < 0 ? r : copy_labels(labels, ret_info);
	return finish(r, ret_info);
}

int container_info_parse_pod_log(const char *name, size_t length, struct container_info *ret_info)
{
	/* No part can contain an underscore; the container's name may contain dashes, so the id is removed
	 * from the end. */
	const size_t id_length = 1 + CONTAINER_FILE_ID_HEX + strlen(".log");
	char text[NAME_MAX + 1];
	char *rest = text;

	memset(ret_info, 0, sizeof(*ret_info));
	if (length <= id_length || length >= sizeof(text) || name[length - id_length] != '-')
		return -EBADMSG;
	memcpy(text, name, length - id_length);
	text[length - id_length] = '\0';
	const char *pod = strsep(&rest, "_");
	const char *name_space = strsep(&rest, "_");
	if (!rest || strchr(rest, '_') || !pod[0] || !name_space[0] || !rest[0])
		return -EBADMSG;
	int r = copy_text(&ret_info->pod, pod, IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&ret_info->pod_namespace, name_space, IDENTITY_NAME_MAX);
	r = r < 0 ? r : copy_text(&ret_info->container_name, rest, IDENTITY_NAME_MAX);
	r = r < 0 ? r : name_by_pod(ret_info);
	return finish(r, ret_info);
}

/* Which files of the runtimes are read for a container, and in what order. */
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
	case IDENTITY_KATA: /* the sandbox's id is a container id of the runtime */
		found = try_containerd(&reader, ret_info) || try_crio(&reader, ret_info) ||
			try_file(&reader, CONTAINER_FILE_DOCKER, "", ret_info);
		break;
	default:
		break;
	}
	/* If the runtime's files are elsewhere or unreadable, the kubelet's logs have at least the name. */
	if (!found && identity->pod_uid[0])
		found = try_file(&reader, CONTAINER_FILE_POD_LOG, "", ret_info);
	return found ? 0 : reader.error;
}
