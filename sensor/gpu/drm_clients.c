/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known clients are read each time; all of /proc is searched for new ones less often, and these get all their
 * work since the last search. A client that several descriptors or processes share counts once, for the
 * process that was seen first. Called by drm.c.
 */
#include "gpu/drm_clients.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "gpu/gpu_message.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX  1024
#define SEARCH_EVERY 8 /* looks: two seconds */
#define INFO_MAX     8192

struct client {
	unsigned pid, fd, gpu;
	struct drm_info info;
};

struct drm_clients {
	const char *procfs_root;
	const struct drm_meter *meters;
	unsigned n_meters, n_looks;
	double searched_ns; /* time since the last search */
	unsigned n;
	struct client clients[CLIENTS_MAX];
	struct {
		unsigned pid, gpu;
		double time_ns;
	} pending[CLIENTS_MAX];
	unsigned n_pending;
};

static void take_key(struct drm_info *info, const char *key, char *value)
{
	char *end;
	const uint64_t number = strtoull(value, &end, 10);

	if (strcmp(key, "drm-pdev") == 0)
		(void)snprintf(info->address, sizeof(info->address), "%.*s", DRM_ADDRESS_MAX - 1, value);
	else if (end == value)
		return;
	else if (strcmp(key, "drm-client-id") == 0)
		info->id = number;
	else if (text_begins(key, "drm-engine-") && !text_begins(key, "drm-engine-capacity-") &&
		 strstr(end, "ns"))
		info->busy_ns += number;
	else if (text_begins(key, "drm-cycles-"))
		info->cycles += number;
	else if (text_begins(key, "drm-total-cycles-") && number > info->total_cycles)
		info->total_cycles = number;
}

bool drm_info_parse(char *text, struct drm_info *ret_info)
{
	bool has_id = false;

	*ret_info = (struct drm_info){0};
	for (char *line, *rest = text; (line = strsep(&rest, "\n"));) {
		char *value = strchr(line, ':');

		if (!value || !text_begins(line, "drm-"))
			continue;
		*value++ = '\0';
		value += strspn(value, " \t");
		has_id |= strcmp(line, "drm-client-id") == 0;
		take_key(ret_info, line, value);
	}
	return has_id && ret_info->address[0];
}

struct drm_clients *drm_clients_new(const char *procfs_root, const struct drm_meter *meters, unsigned n)
{
	struct drm_clients *clients = calloc(1, sizeof(*clients));

	if (!clients)
		return NULL;
	clients->procfs_root = procfs_root;
	clients->meters = meters;
	clients->n_meters = n;
	return clients;
}

void drm_clients_free(struct drm_clients *clients)
{
	free(clients);
}

/* Reads one file: the client's counts, and the GPU that they belong to. */
static bool read_client(const struct drm_clients *clients, struct client *client)
{
	char text[INFO_MAX];

	if (text_read_file(text, sizeof(text), "%s/%u/fdinfo/%u", clients->procfs_root, client->pid,
			   client->fd) <= 0 ||
	    !strstr(text, "drm-client-id") || !drm_info_parse(text, &client->info))
		return false;
	for (unsigned i = 0; i < clients->n_meters; i++)
		if (strcmp(clients->meters[i].address, client->info.address) == 0) {
			client->gpu = i;
			return true;
		}
	return false;
}

static void add_pending(struct drm_clients *clients, const struct client *client, double time_ns)
{
	if (!(time_ns >= 1) || clients->n_pending == CLIENTS_MAX)
		return;
	clients->pending[clients->n_pending].pid = client->pid;
	clients->pending[clients->n_pending].gpu = client->gpu;
	clients->pending[clients->n_pending++].time_ns = time_ns;
}

/* Time that its engines worked between two looks. */
static double busy_between(const struct drm_info *before, const struct drm_info *now, double time_ns)
{
	double busy_ns = 0;

	if (now->busy_ns > before->busy_ns)
		busy_ns += (double)(now->busy_ns - before->busy_ns);
	if (now->cycles > before->cycles && now->total_cycles > before->total_cycles)
		busy_ns += (double)(now->cycles - before->cycles) /
			   (double)(now->total_cycles - before->total_cycles) * time_ns;
	return busy_ns;
}

static void read_known(struct drm_clients *clients, double time_ns)
{
	for (unsigned i = 0; i < clients->n;) {
		struct client *client = &clients->clients[i], now = *client;

		if (!read_client(clients, &now) || now.info.id != client->info.id || now.gpu != client->gpu) {
			*client = clients->clients[--clients->n];
			continue;
		}
		add_pending(clients, &now, busy_between(&client->info, &now.info, time_ns));
		*client = now;
		i++;
	}
}

static bool is_known(const struct drm_clients *clients, const struct client *client)
{
	for (unsigned i = 0; i < clients->n; i++) {
		const struct client *known = &clients->clients[i];

		if (known->gpu == client->gpu && known->info.id == client->info.id)
			return true;
	}
	return false;
}

/* A new client: all its work counts as done since the last search, if that is possible. */
static void try_client(struct drm_clients *clients, unsigned pid, unsigned fd)
{
	struct client client = {.pid = pid, .fd = fd};

	if (clients->n == CLIENTS_MAX || !read_client(clients, &client) || is_known(clients, &client))
		return;
	clients->clients[clients->n++] = client;
	if (clients->n_looks > 0 && (double)client.info.busy_ns <= clients->searched_ns)
		add_pending(clients, &client, (double)client.info.busy_ns);
}

static void search_process(struct drm_clients *clients, unsigned pid)
{
	char folder[DRM_PATH_MAX];
	DIR *dir;
	uint64_t fd;

	(void)snprintf(folder, sizeof(folder), "%s/%u/fdinfo", clients->procfs_root, pid);
	dir = opendir(folder);
	if (!dir)
		return;
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (text_parse_u64(entry->d_name, &fd) == 0 && fd <= UINT32_MAX)
			try_client(clients, pid, (unsigned)fd);
	(void)closedir(dir);
}

static void search(struct drm_clients *clients)
{
	DIR *dir = opendir(clients->procfs_root);
	uint64_t pid;

	if (!dir)
		return;
	for (const struct dirent *entry; (entry = readdir(dir));)
		if (text_parse_u64(entry->d_name, &pid) == 0 && pid <= UINT32_MAX)
			search_process(clients, (unsigned)pid);
	(void)closedir(dir);
	clients->searched_ns = 0;
}

void drm_clients_look(struct drm_clients *clients, double time_ns, drm_work_taker *take, void *data)
{
	double all_ns[GPU_DEVICES_MAX] = {0};

	clients->n_pending = 0;
	clients->searched_ns += time_ns;
	read_known(clients, time_ns);
	if (clients->n_looks % SEARCH_EVERY == 0)
		search(clients);
	clients->n_looks++;
	for (unsigned i = 0; i < clients->n_pending; i++)
		all_ns[clients->pending[i].gpu] += clients->pending[i].time_ns;
	for (unsigned i = 0; i < clients->n_pending; i++) {
		const unsigned gpu = clients->pending[i].gpu;
		const double part = all_ns[gpu] > time_ns ? time_ns / all_ns[gpu] : 1;

		take(data, gpu, clients->pending[i].pid, clients->pending[i].time_ns * part);
	}
}
