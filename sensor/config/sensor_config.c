/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's option table and the checks that concern several options: the destination of reports, the
 * names of collections, whether a spool is needed.
 */
#include "config/sensor_config.h"

#include "source/choose.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/machine_name.h"
#include "process/sandbox.h"
#include "config/sensor_groups.h"
#include "base/folder.h"
#include "document/collections.h"
#include "store/store.h"
#include "store/store_bounds.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SOCKET_PORT 9080 /* without -P, as in hwpc-sensor */

#define OPTION(name, member, ...) CONFIG_OPTION(struct sensor_config, name, member, __VA_ARGS__)
/* One of -s, -c, -o and -e, which together describe groups. */
#define GROUP_OPTION(name_, ...)                                                                             \
	{                                                                                                    \
		.name = (name_), .type = CONFIG_CALL, .reset = sensor_groups_reset, .flags = CONFIG_NO_FILE, \
		__VA_ARGS__                                                                                  \
	}

static const char *const gpu_words[] = {"auto", "off", "on", "nvidia", "drm", NULL}; /* enum sensor_gpu */
static const char *const resctrl_words[] = {"auto", "off", "on", NULL};              /* enum sensor_resctrl */

static const struct config_row rows[] = {
	{.type = CONFIG_TITLE, .help = "What to measure:"},
	OPTION("name", name, .letter = 'n', .placeholder = "NAME", .aliases = CONFIG_NAMES("sensor-name"),
	       .help = "name of this machine in reports; default: the host name without its domain"),
	OPTION("frequency", interval_ms, .letter = 'f', .placeholder = "INTERVAL", .fallback = "1s",
	       .min = 10, .max = 3600000, .flags = CONFIG_BARE,
	       .aliases = CONFIG_NAMES("perf-sampling-interval", "interval"),
	       .help = "time between two ticks, 10 ms to 1 h (an interval, despite the name)"),
	OPTION("edge-readings", edge_readings, .fallback = "2", .max = 50,
	       .help = "take an extra reading when a container starts or ends, at most N times a second on "
		       "average; 0: only ticks of equal length, which PowerAPI's formulas assume"),
	GROUP_OPTION("system-group", .letter = 's', .placeholder = "GROUP", .apply = sensor_groups_begin,
		     .help = "start a group of events that are counted for the whole machine"),
	GROUP_OPTION("container-group", .letter = 'c', .placeholder = "GROUP", .apply = sensor_groups_begin,
		     .help = "start a group of events that are counted for each container"),
	GROUP_OPTION("event", .letter = 'e', .placeholder = "EVENT", .apply = sensor_groups_event,
		     .help = "an event of the last group"),
	GROUP_OPTION("one-cpu-per-socket", .letter = 'o', .apply = sensor_groups_one_cpu,
		     .help = "count the last group on only one CPU of each socket"),
	{.name = "system",
	 .type = CONFIG_SECTION,
	 .section = sensor_groups_read_json,
	 .print = sensor_groups_print_json,
	 .reset = sensor_groups_reset,
	 .aliases = CONFIG_NAMES("global"),
	 .help = "groups for the whole machine"},
	{.name = "container",
	 .type = CONFIG_SECTION,
	 .section = sensor_groups_read_json,
	 .print = sensor_groups_print_json,
	 .reset = sensor_groups_reset,
	 .aliases = CONFIG_NAMES("cgroups"),
	 .help = "groups for each container"},
	OPTION("energy", energy, .fallback = "auto", .choices = choose_energy_names,
	       .help = "energy source; auto takes the first that works"),
	OPTION("activity", activity, .fallback = "auto", .choices = choose_activity_names,
	       .help = "activity source; auto takes the first that works"),
	OPTION("tdp", tdp_w, .placeholder = "W", .max = 10000,
	       .help = "thermal design power of one socket, for the estimate on machines without an energy "
		       "counter"),
	OPTION("gpu", gpu, .fallback = "auto", .choices = gpu_words,
	       .help = "GPUs: auto reads NVIDIA's where /dev/nvidiactl exists, else those of amdgpu, i915 "
		       "and xe that have a meter"),
	OPTION("gpu-library", gpu_library, .placeholder = "FILE", .fallback = "libnvidia-ml.so.1",
	       .help = "NVIDIA's management library, loaded in a separate process"),
	OPTION("resctrl", resctrl, .fallback = "auto", .choices = resctrl_words,
	       .help = "energy of the busiest containers' own cores, from resctrl monitoring groups (Intel, "
		       "Linux 7.0): auto uses them where resctrl is mounted; on exits if it cannot"),
	OPTION("per-cpu", per_cpu, .help = "report container groups by CPU instead of by socket"),
	OPTION("keep-idle", keep_idle, .help = "also report targets that counted nothing"),
	OPTION("strict", strict, .help = "exit if an event or source is not available"),
	OPTION("ticks", ticks, .placeholder = "N", .max = 1e15, .help = "exit after N ticks"),

	{.type = CONFIG_TITLE, .help = "Which containers:"},
	OPTION("cgroup-basepath", cgroup_base, .letter = 'p', .placeholder = "DIR",
	       .aliases = CONFIG_NAMES("cgroup_basepath"),
	       .help = "cgroup hierarchy to watch; default: the one that perf events use"),
	OPTION("cgroup-discovery-interval", discovery_ms, .fallback = "30s", .min = 100, .max = 86400000,
	       .flags = CONFIG_BARE, .aliases = CONFIG_NAMES("cgroup_discovery_interval"),
	       .help = "time between two rescans, which find cgroups that inotify did not report"),
	OPTION("include", include, .placeholder = "PATTERN",
	       .help = "include only targets whose name, cgroup path or ID matches"),
	OPTION("exclude", exclude, .placeholder = "PATTERN",
	       .help = "exclude targets whose name, cgroup path or ID matches"),
	OPTION("names", names, .fallback = "name", .choices = CONFIG_NAMES("name", "path"),
	       .help = "how targets are named in reports: by name, or by cgroup path as in hwpc-sensor since "
		       "2026"),
	OPTION("docker-root", docker_roots, .placeholder = "DIR",
	       .help = "Docker's data folders, for names; default: /var/lib/docker and other usual places"),
	OPTION("podman-root", podman_roots, .placeholder = "DIR",
	       .help = "storage folders of Podman and CRI-O, for names; default: "
		       "/var/lib/containers/storage"),
	OPTION("containerd-root", containerd_roots, .placeholder = "DIR",
	       .help = "containerd's state folders, for names; default: /run/containerd and those of k3s, "
		       "k0s, MicroK8s"),
	OPTION("pod-log-root", pod_log_roots, .placeholder = "DIR",
	       .help = "folder of the kubelet's log links, for the names of containers in pods; default: "
		       "/var/log/containers"),

	{.type = CONFIG_TITLE, .help = "Where reports go:"},
	OPTION("store", store, .placeholder = "URI", .flags = CONFIG_URI,
	       .help = "sqlite:FILE, mongodb://…, bson:FILE, jsonl:FILE, csv:DIR, socket:HOST:PORT or null:; "
		       "default: SQLite in the state folder"),
	OPTION("output-type", output_type, .letter = 'r', .placeholder = "TYPE",
	       .aliases = CONFIG_NAMES("output.type", "storage.type"),
	       .help = "null, csv, mongodb or socket, with -U -D -C -P"),
	OPTION("uri", uri, .letter = 'U', .placeholder = "URI", .flags = CONFIG_URI,
	       .aliases = CONFIG_NAMES("output.uri", "output.host", "output.directory", "output.outdir",
				       "storage.uri", "storage.host", "storage.directory", "storage.outdir"),
	       .help = "address (mongodb, socket) or folder (csv)"),
	OPTION("database", database, .letter = 'D', .placeholder = "NAME",
	       .aliases = CONFIG_NAMES("output.database", "storage.database"),
	       .help = "database; default: the one in the URI, else rapls2"),
	OPTION("collection", collection, .letter = 'C', .placeholder = "NAME",
	       .aliases = CONFIG_NAMES("output.collection", "storage.collection"),
	       .help = "collection of reports; default: sensorNAME"),
	OPTION("port", port, .letter = 'P', .placeholder = "PORT", .max = 65535,
	       .aliases = CONFIG_NAMES("output.port", "storage.port"), .help = "port of the socket output"),
	OPTION("store-timeout", store_timeout_ms, .fallback = "5s", .min = 100, .max = 600000,
	       .help = "how long to wait for the store before reports go to the spool"),
	OPTION("durable", durable,
	       .help = "SQLite: wait for the disk at each transaction, so that a power cut loses none"),
	OPTION("retention", retention_ms, .fallback = STORE_RETENTION_DEFAULT, .min = 1000,
	       .usual_min = 3600e3, .flags = CONFIG_OR_ZERO,
	       .help = "delete reports older than this; 0: keep all, the default for stores other than "
		       "SQLite"),
	{.name = "store-size",
	 CONFIG_FIELD_AS(CONFIG_SIZE, struct sensor_config, store_size),
	 .fallback = STORE_SIZE_DEFAULT,
	 .help = "size of the SQLite store above which its oldest ticks are deleted; 0: no limit"},
	OPTION("renew-damaged-store", renew_damaged,
	       .help = "at the start, rename a damaged SQLite file and begin a new one"),
	OPTION("state-dir", state_dir, .placeholder = "DIR",
	       .help = "folder of the spool and the default SQLite store"),
	{.name = "spool-size",
	 CONFIG_FIELD_AS(CONFIG_SIZE, struct sensor_config, spool_size),
	 .fallback = "256M",
	 .usual_min = 1048576,
	 .help = "maximum size of the spool; 0: no spool"},
	OPTION("spool-age", spool_age_ms, .fallback = "7d", .min = 1000, .usual_min = 3600e3,
	       .flags = CONFIG_OR_ZERO, .help = "maximum age of reports in the spool"),
	{.name = "backlog",
	 CONFIG_FIELD_AS(CONFIG_SIZE, struct sensor_config, backlog),
	 .fallback = "64M",
	 .usual_min = 1048576,
	 .help = "memory for reports that wait for the writer"},

	{.type = CONFIG_TITLE, .help = "Operation:"},
	OPTION("user", user, .placeholder = "USER",
	       .help = "user of the collecting and writing processes, when started as root; default: "
		       "wattribute if it exists, else nobody"),
	OPTION("sandbox", sandbox, .fallback = "errno", .choices = sandbox_mode_names,
	       .help = "what the seccomp filter does with a system call that the process does not need"),
	OPTION("fd-budget", fd_budget, .max = 1e9,
	       .help = "open at most N counters; further targets are counted by CPU time; default: as many "
		       "as RLIMIT_NOFILE allows"),
	OPTION("sysfs-root", sysfs_root, .placeholder = "DIR", .fallback = "/sys",
	       .help = "read the machine's description from this folder instead of /sys"),
	OPTION("procfs-root", procfs_root, .placeholder = "DIR", .fallback = "/proc",
	       .help = "read CPU times from this folder instead of /proc"),
	OPTION("resctrl-root", resctrl_root, .placeholder = "DIR",
	       .help = "where the resctrl file system is mounted; default: fs/resctrl below --sysfs-root"),
	OPTION("sim", sim, .placeholder = "FILE[,KEY=VALUE…]",
	       .help = "measure a simulated machine instead, as fast as the store accepts reports; keys: "
		       "seed, law, truth"),
	OPTION("verbose", verbose, .letter = 'v', .help = "log everything, like --log-level debug"),
	OPTION("log-level", log_level, .fallback = "info", .choices = log_level_names,
	       .help = "lowest severity that is logged"),
	OPTION("check-machine", check_machine, .flags = CONFIG_NO_FILE | CONFIG_NO_ENV,
	       .help = "print what this machine can measure, what it cannot, why, and how to fix it; then "
		       "exit"),
	OPTION("json", json, .flags = CONFIG_NO_FILE | CONFIG_NO_ENV,
	       .help = "with --check-machine: print JSON"),
};

static int default_name(struct sensor_config *config)
{
	char host[MACHINE_NAME_SIZE];

	if (config->name && config->name[0])
		return 0;
	free(config->name);
	config->name = strdup(machine_name_default(host, sizeof(host)));
	return config->name ? 0 : -ENOMEM;
}

/* Combines hwpc-sensor's -r, -U and -P into one URI. */
static int uri_of_type(struct sensor_config *config, struct reason *why)
{
	const char *scheme = store_scheme(config->output_type, why);
	const char *location = config->uri ? config->uri : "";
	char address[300];

	if (!scheme)
		return -EINVAL;
	if (location[0] && strcmp(scheme, "socket") == 0 && (config->port || !strchr(location, ':'))) {
		(void)snprintf(address, sizeof(address), "%s:%u", location,
			       config->port ? (unsigned)config->port : SOCKET_PORT);
		location = address;
	}
	config->store_uri = store_uri_join(scheme, location);
	if (config->store_uri && !location[0] && !store_uri_valid(config->store_uri, why))
		return reason_set(why, -EINVAL, "-r %s needs -U with an address or a path", scheme);
	return config->store_uri ? 0 : -ENOMEM;
}

static int settle_store(struct sensor_config *config, struct reason *why)
{
	int r = 0;

	if (config->store)
		config->store_uri = strdup(config->store);
	else if (config->output_type && config->output_type[0])
		r = uri_of_type(config, why);
	else if (config->uri && config->uri[0])
		config->store_uri = strdup(config->uri);
	else
		r = asprintf(&config->store_uri, "sqlite:%s/wattribute.db", config->state_dir) < 0 ? -ENOMEM
												   : 0;
	if (r < 0)
		return r;
	if (!config->store_uri)
		return -ENOMEM;
	return store_uri_valid(config->store_uri, why) ? 0 : -EINVAL;
}

/* Rejects names that cannot be a collection, a file or a database. */
static int check_names(const struct sensor_config *config, struct reason *why)
{
	const struct {
		const char *what, *text, *refused;
		size_t length;
	} names[] = {{"name", config->name, "/$", 100}, {"collection", config->collection, "/$", 120}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *at = names[i].text ? names[i].text : "";

		if (strlen(at) > names[i].length)
			return reason_set(why, -EINVAL, "the %s '%.20s…' is too long: %zu bytes at most",
					  names[i].what, at, names[i].length);
		while (*at && (unsigned char)*at >= ' ' && *at != 0x7f && !strchr(names[i].refused, *at) &&
		       text_utf8_length(at))
			at += text_utf8_length(at);
		if (*at)
			return reason_set(
				why, -EINVAL,
				"the %s '%s' must not contain %s or control characters, and must be "
				"UTF-8: collections and files are named after it",
				names[i].what, names[i].text, names[i].refused);
	}
	return store_check_database(config->database, why);
}

static int check_sources(const struct sensor_config *config, struct reason *why)
{
	const bool wants_sim = strcmp(choose_energy_names[config->energy], "sim") == 0 ||
			       strcmp(choose_activity_names[config->activity], "sim") == 0;

	if (!wants_sim || config->sim)
		return 0;
	return reason_set(why, -EINVAL, "the source 'sim' needs a simulated machine; add --sim FILE");
}

/* The processes that open files below these folders have another working directory than the sensor at its
 * start. */
static int check_folders(const struct sensor_config *config, struct reason *why)
{
	const struct {
		const char *option;
		const struct config_list *list;
	} roots[] = {
		{"docker-root", &config->docker_roots},
		{"podman-root", &config->podman_roots},
		{"containerd-root", &config->containerd_roots},
		{"pod-log-root", &config->pod_log_roots},
	};
	char here[512];

	for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++)
		for (unsigned k = 0; k < roots[i].list->n_items; k++) {
			const char *item = roots[i].list->items[k];

			if (item[0] == '/' || item[0] == '\0')
				continue;
			return reason_set(
				why, -EINVAL, "option '--%s': '%s' must be an absolute path, such as '%s/%s'",
				roots[i].option, item, getcwd(here, sizeof(here)) ? here : "", item);
		}
	return 0;
}

static int settle_resctrl(struct sensor_config *config)
{
	if (config->resctrl_root && config->resctrl_root[0])
		return 0;
	free(config->resctrl_root);
	return asprintf(&config->resctrl_root, "%s/fs/resctrl", config->sysfs_root) < 0 ? -ENOMEM : 0;
}

static int settle_names(struct sensor_config *config)
{
	config->reports = config->collection && config->collection[0]
				  ? strdup(config->collection)
				  : collection_name(COLLECTION_REPORTS, config->name);
	config->targets = collection_name(COLLECTION_TARGETS, config->name);
	if (!config->reports || !config->targets)
		return -ENOMEM;
	if (config->spool_size > 0 && !(store_uri_traits(config->store_uri) & STORE_LOCAL) &&
	    asprintf(&config->spool_path, "%s/spool/%s.db", config->state_dir, config->name) < 0)
		return -ENOMEM;
	return 0;
}

static int finish(void *target, const struct config *loaded, struct reason *why)
{
	struct sensor_config *config = target;
	int r;

	r = sensor_groups_check(config, why);
	if (r == 0)
		r = default_name(config);
	if (r == 0)
		r = check_names(config, why);
	if (r == 0)
		r = check_sources(config, why);
	if (r == 0)
		r = check_folders(config, why);
	if (r == 0)
		r = config->state_dir || (config->state_dir = folder_state_default()) ? 0 : -ENOMEM;
	if (r == 0)
		r = settle_resctrl(config);
	if (r == 0)
		r = settle_store(config, why);
	if (r == 0 && !(store_uri_traits(config->store_uri) & STORE_BOUNDED) &&
	    config_get_origin(loaded, "retention") == CONFIG_DEFAULT)
		config->retention_ms = 0;
	if (r == 0)
		r = store_bounds_check_size(config->store_size, why);
	if (r == 0)
		r = settle_names(config);
	return r;
}

const struct config_spec sensor_config_spec = {
	.program = "wattribute-sensor",
	.about = "Measures this machine's energy and the activity of each container and service, and writes "
		 "one report per target and tick.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct sensor_config),
	.daemon = true,
	.default_file = "/etc/wattribute/sensor.json",
	.finish = finish,
	.display_uri = store_uri_display,
};

void sensor_config_done(struct sensor_config *config)
{
	free(config->store_uri);
	free(config->reports);
	free(config->targets);
	free(config->spool_path);
	config->store_uri = config->reports = config->targets = config->spool_path = NULL;
	config_done(&sensor_config_spec, config);
}
