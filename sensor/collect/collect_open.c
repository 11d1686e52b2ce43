/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens, in this order, the machine's description, the sources and the targets. All of it happens before
 * privileges are dropped, so that descriptions in private folders can be read; later files are opened through
 * `priv`.
 */
#include "collect/collect.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "priv/container_file.h"
#include "config/defaults.h"
#include "machine/procstat.h"
#include "gpu/gpu_main.h"
#include "process/duty.h"
#include "machine/fd_budget.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int check_root(const char *path, const char *option)
{
	if (access(path, X_OK) == 0)
		return 0;
	return log_error("topology", -errno, "cannot read '%s'; check %s", path, option);
}

static int open_machine(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	struct source_context *context = &collect->context;
	int r;

	r = check_root(config->sysfs_root, "--sysfs-root");
	if (r == 0)
		r = check_root(config->procfs_root, "--procfs-root");
	if (r < 0)
		return r;
	r = topology_read(config->sysfs_root, config->procfs_root, &collect->topology);
	if (r < 0)
		return log_error("topology", r, "no CPU found below '%s'; check --sysfs-root",
				 config->sysfs_root);
	machine_facts_read(config->sysfs_root, &collect->topology, &collect->facts);
	collect_open_cpus(collect);
	if (text_read_file(collect->boot_id, sizeof(collect->boot_id), "%s/sys/kernel/random/boot_id",
			   config->procfs_root) < 0)
		collect->boot_id[0] = '\0';
	*context = (struct source_context){
		.sysfs_root = config->sysfs_root,
		.procfs_root = config->procfs_root,
		.resctrl_root = config->resctrl_root,
		.topology = &collect->topology,
		.online = &collect->online,
		.gaps = &collect->gaps,
		.tdp_w = config->tdp_w,
		.package_w = fmax(collect->facts.report.design_w, collect->facts.report.limit_w),
		.per_cpu = config->per_cpu,
		.strict = config->strict,
		.fd_budget = fd_budget_raise(),
	};
	if (config->fd_budget > 0 && (unsigned)config->fd_budget < context->fd_budget)
		context->fd_budget = (unsigned)config->fd_budget;
	r = priv_client_connect(DUTY_SOCKET_FD, &context->priv);
	collect->open_file = priv_client_open_container_file;
	collect->open_data = context->priv;
	return r;
}

static int open_cgroups(struct collect *collect)
{
	int r = cgroup_layout_detect(collect->config->cgroup_base, &collect->layout);

	if (r < 0) {
		log_error("cgroup", 0, "%s", collect->layout.text);
		return r;
	}
	if (collect->layout.version == CGROUP_VERSION_NONE)
		log_warning("cgroup", 0, "%s; check -p, or omit it to use the machine's own hierarchy",
			    collect->layout.text);
	else
		log_info("cgroup", 0, "%s", collect->layout.text);
	collect->context.cgroups_without_perf = !collect->layout.perf;
	if (collect->layout.cpu_time[0]) {
		collect->context.cpu_root = collect->layout.cpu_time;
		collect->context.cpu_root_v2 = collect->layout.cpu_time_version == CGROUP_VERSION_2;
	}
	return 0;
}

/* Is a machine group of this name already counted with the containers? */
static bool is_counted(const struct collect *collect, const char *name)
{
	const struct activity_frame *frame = collect->activity ? &collect->activity->frame : NULL;

	for (unsigned i = 0; frame && i < frame->n_groups; i++)
		if (strcmp(frame->groups[i].name, name) == 0)
			return true;
	return false;
}

/* doubles: groups that may also be counted by container groups, after these were opened; else all others. */
static int open_systems(struct collect *collect, bool doubles)
{
	struct sensor_config *config = collect->config;

	for (unsigned i = 0; i < config->n_groups; i++) {
		struct event_group_request *group = &config->groups[i];
		struct system_source *source;
		int r;

		if (group->of_containers || group->is_double != doubles)
			continue;
		if (doubles && is_counted(collect, group->name)) {
			log_notice("source", 0,
				   "group '%s' is given with both -s and -c: the machine is counted once, "
				   "with the containers",
				   group->name);
			continue;
		}
		source = choose_system(&collect->context, group, choose_energy_names[config->energy], &r);
		if (!source) {
			if (config->strict) {
				log_error("source", 0,
					  "group '%s' cannot be measured; exiting because of --strict",
					  group->name);
				return r;
			}
			log_write(group->by_default && !choose_is_socket_energy(group) ? LOG_LEVEL_NOTICE
										       : LOG_LEVEL_WARNING,
				  "source", 0, "group '%s' is skipped; the others are measured", group->name);
			continue;
		}
		collect->requests[collect->n_systems] = group;
		collect->systems[collect->n_systems++] = source;
		if (source->ops->energy && (!collect->energy_source || choose_is_socket_energy(group)))
			collect->energy_source = source->ops;
	}
	return 0;
}

static int open_activity(struct collect *collect)
{
	struct sensor_config *config = collect->config;
	struct event_group_request requests[SENSOR_GROUPS_MAX];
	unsigned n = 0;
	int r;

	for (unsigned i = 0; i < config->n_groups; i++)
		if (config->groups[i].of_containers)
			requests[n++] = config->groups[i];
	if (n == 0)
		return 0; /* the user asked for the machine only */
	collect->activity = choose_activity(&collect->context, requests, n, 64,
					    choose_activity_names[config->activity], &r);
	if (!collect->activity && config->strict) {
		log_error("source", 0, "containers cannot be counted; exiting because of --strict");
		return r;
	}
	if (!collect->activity)
		log_warning("source", 0, "containers cannot be counted%s; only the machine is reported",
			    config->activity ? " with the given --activity" : "");
	if (collect->activity && collect->activity->ops != &source_cpustat &&
	    procstat_has_watchdog(config->procfs_root))
		log_info("source", 0,
			 "the NMI watchdog takes one counter of each CPU; events may have to share the "
			 "rest" REASON_FIX "sysctl kernel.nmi_watchdog=0");
	collect_overflow_open(collect);
	return 0;
}

/* Users specify the runtime's folder, the folder that contains the containers, or one level too deep. */
static void add_roots(const char **roots, const struct config_list *list)
{
	static const char *const too_deep[] = {"/overlay-containers", "/vfs-containers"};

	for (unsigned i = 0, n = 0; i < list->n_items && n < CONTAINER_ROOTS_MAX; i++) {
		char *path = strdup(list->items[i]);
		size_t length = path ? strlen(path) : 0;

		if (!path)
			return;
		while (length > 1 && path[length - 1] == '/')
			path[--length] = '\0';
		for (size_t k = 0; k < ARRAY_SIZE(too_deep); k++) {
			const size_t end = strlen(too_deep[k]);

			if (length > end && strcmp(path + length - end, too_deep[k]) == 0)
				path[length -= end] = '\0';
		}
		roots[n++] = path; /* for the life of the process */
		roots[n] = NULL;
	}
}

/* Does the path end with one of these, i.e. is it the inner folder itself? */
static bool is_part_of(const char *path, const char *const *below)
{
	const char *last = strrchr(path, '/');

	for (unsigned k = 0; last && below[k]; k++)
		if (strcmp(last + 1, below[k]) == 0)
			return true;
	return false;
}

/* Warns about a useless folder given by the user; default folders may be missing. */
static void check_roots(const struct config_list *list, const char *option, const char *const *below,
			const char *meant)
{
	for (unsigned i = 0; i < list->n_items; i++) {
		bool found = false;
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/.", list->items[i]);
		if (access(path, X_OK) < 0) {
			log_warning("target", -errno,
				    "--%s '%s' cannot be read: containers may be reported by ID", option,
				    list->items[i]);
			continue;
		}
		for (unsigned k = 0; below[k] && !found; k++) {
			(void)snprintf(path, sizeof(path), "%s/%s", list->items[i], below[k]);
			found = access(path, F_OK) == 0;
		}
		if (!found && !is_part_of(list->items[i], below))
			log_warning("target", 0, "--%s '%s' is not %s: containers may be reported by ID",
				    option, list->items[i], meant);
	}
}

void collect_container_roots(const struct sensor_config *config, struct container_roots *ret_roots)
{
	container_roots_default(ret_roots);
	add_roots(ret_roots->docker, &config->docker_roots);
	add_roots(ret_roots->storage, &config->podman_roots);
	add_roots(ret_roots->containerd, &config->containerd_roots);
	add_roots(ret_roots->pod_logs, &config->pod_log_roots);
}

static void on_created(void *data, const char *path, uint64_t id)
{
	(void)target_table_cgroup_created(data, path, id, clock_realtime_ms());
}

static void on_removed(void *data, const char *path, uint64_t id)
{
	(void)target_table_cgroup_removed(data, path, id, clock_realtime_ms());
}

static void check_container_roots(const struct sensor_config *config)
{
	static const char *const docker[] = {"containers", NULL},
				 *const storage[] = {"overlay-containers", "vfs-containers", "storage", NULL},
				 *const containerd[] = {"io.containerd.runtime.v2.task", "k8s.io", "default",
							"moby", NULL},
				 *const any[] = {".", NULL};

	check_roots(&config->docker_roots, "docker-root", docker,
		    "Docker's data folder ('docker info' shows it as Docker Root Dir) or its folder "
		    "'containers'");
	check_roots(&config->podman_roots, "podman-root", storage,
		    "a storage folder of Podman or CRI-O ('podman info' shows it as graphRoot)");
	check_roots(&config->containerd_roots, "containerd-root", containerd,
		    "containerd's state folder (/run/containerd, 'state' in its config.toml)");
	check_roots(&config->pod_log_roots, "pod-log-root", any, "a folder");
}

static int open_targets(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	struct target_options options = {
		.open_file = collect->open_file,
		.open_data = collect->open_data,
		.layout = collect->simulated ? NULL : &collect->layout,
		.include = (const char *const *)config->include.items,
		.n_include = config->include.n_items,
		.exclude = (const char *const *)config->exclude.items,
		.n_exclude = config->exclude.n_items,
		.names_are_paths = config->names == 1,
		.brief = collect->activity && collect->activity->ops->births,
	};
	struct target_events events;
	int r;

	if (!collect->simulated)
		check_container_roots(config);
	collect_target_events(collect, &events);
	r = target_table_new(&options, &events, &collect->table);
	if (r < 0 || collect->simulated)
		return r;
	const struct cgroup_watch_events watch_events = {on_created, on_removed, collect->table};

	r = cgroup_watch_open(&collect->layout, &watch_events, &collect->watch);
	if (r < 0)
		return log_error("cgroup", r, "cannot watch '%s'", collect->layout.mount);
	target_table_settle(collect->table, clock_realtime_ms());
	log_info("target", 0, "%u targets in %u cgroups", target_table_view(collect->table)->n_live,
		 cgroup_watch_get_statistics(collect->watch)->n_cgroups);
	return 0;
}

static unsigned find_cgroup(void *data, const char *cgroup)
{
	const struct collect *collect = data;

	return target_table_find_cgroup(collect->table, cgroup);
}

/* Done once, however often the other sources are reopened. */
static void start_gpus(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	struct reason why = {""};
	int r;

	if (collect->gpu || collect->simulated || !gpu_choose(config))
		return;
	r = priv_client_start_gpus(collect->context.priv);
	if (r >= 0)
		r = collect_gpu_open(r, find_cgroup, collect, &collect->gpu, &why);
	if (r < 0)
		log_warning("gpu", why.text[0] ? 0 : r, "GPUs are not measured: %s",
			    why.text[0] ? why.text : "the process that reads them cannot be started");
}

static void open_gpus(struct collect *collect)
{
	static const struct event_group_request of_gpus = {.name = (char *)(uintptr_t)REPORT_GROUP_GPU};

	start_gpus(collect);
	if (!collect->gpu)
		return;
	collect->requests[collect->n_systems] = &of_gpus;
	collect->systems[collect->n_systems++] = collect_gpu_source(collect->gpu);
	log_info("source", 0, "group '" REPORT_GROUP_GPU "': %s, %u GPU%s",
		 collect_gpu_source(collect->gpu)->ops->name,
		 collect_gpu_source(collect->gpu)->group.n_places,
		 collect_gpu_source(collect->gpu)->group.n_places == 1 ? "" : "s");
}

static int open_sources(struct collect *collect)
{
	int r;

	collect_note_energy(collect); /* first, so that counters that appear meanwhile are noticed later */
	r = open_systems(collect, false);
	if (r == 0)
		r = open_activity(collect);
	if (r == 0)
		r = open_systems(collect, true);
	if (r == 0)
		open_gpus(collect);
	return r;
}

struct encoder *collect_new_encoder(struct collect *collect)
{
	return encoder_new(collect->activity ? &collect->activity->frame : NULL,
			   collect->overflow.source ? &collect->overflow.source->frame : NULL,
			   collect->systems, collect->n_systems);
}

int collect_open(struct collect *collect)
{
	int r = open_machine(collect);

	if (r == 0 && collect->simulated)
		r = collect->simulated->open(collect);
	else if (r == 0)
		r = open_cgroups(collect);
	if (r == 0)
		r = defaults_apply(collect->config);
	if (r == 0)
		r = open_sources(collect);
	if (r == 0 && collect->n_systems == 0 && !collect->activity) {
		log_error("source", 0, "nothing can be measured here; see wattribute-sensor --check-machine");
		r = -ENODEV;
	}
	if (r == 0)
		r = collect_measured_open(collect);
	if (r == 0)
		r = open_targets(collect);
	if (r < 0)
		return r;
	collect->encoder = collect_new_encoder(collect);
	return collect->encoder ? 0 : -ENOMEM;
}

static void close_sources(struct collect *collect)
{
	encoder_free(collect->encoder);
	collect->encoder = NULL;
	collect_overflow_close(&collect->overflow);
	if (collect->activity)
		collect->activity->ops->close(collect->activity);
	collect->activity = NULL;
	for (unsigned i = 0; i < collect->n_systems; i++)
		collect->systems[i]->ops->close(collect->systems[i]);
	collect->n_systems = 0;
}

void collect_reopen_sources(struct collect *collect)
{
	struct topology topology;
	int r = topology_read(collect->config->sysfs_root, collect->config->procfs_root, &topology);

	if (r < 0) {
		log_warning("topology", r, "cannot read the list of CPUs again; new CPUs are not counted");
		return;
	}
	close_sources(collect);
	topology_done(&collect->topology);
	collect->topology = topology;
	r = open_sources(collect);
	if (r == 0)
		r = (collect->encoder = collect_new_encoder(collect)) ? 0 : -ENOMEM;
	if (r < 0) {
		log_error("source", r, "cannot reopen the sources; exiting");
		collect->result = 1;
		loop_stop(&collect->loop);
		return;
	}
	target_table_join_all(collect->table);
	collect_read_baseline(collect);
	collect_keep_energy(collect);
}

void collect_close(struct collect *collect)
{
	close_sources(collect);
	collect_measured_close(collect);
	cgroup_watch_close(collect->watch);
	target_table_free(collect->table);
	collect_gpu_close(collect->gpu);
	if (collect->simulated)
		collect->simulated->close(collect);
	priv_client_free(collect->context.priv);
	topology_done(&collect->topology);
	cpu_online_close(&collect->online);
	link_sender_done(&collect->link);
	batch_done(&collect->reports);
	batch_done(&collect->documents);
	free(collect->receive);
	free(collect->first);
}
