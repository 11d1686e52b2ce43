/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor's option table and the checks that concern several options: where reports go, what the
 * collections are called, whether a spool is needed.
 */
#include "config/sensor_config.h"

#include "source/choose.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/machine_name.h"
#include "process/sandbox.h"
#include "config/sensor_groups.h"
#include "base/state_dir.h"
#include "document/collections.h"
#include "store/store.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define FIELD(member) offsetof(struct sensor_config, member)

static const char *const names_of_output[] = {"output.type", "storage.type", NULL};
static const char *const names_of_uri[] = {"output.uri",        "output.host",    "output.directory",
					   "output.outdir",     "storage.uri",    "storage.host",
					   "storage.directory", "storage.outdir", NULL};
static const char *const names_of_database[] = {"output.database", "storage.database", NULL};
static const char *const names_of_collection[] = {"output.collection", "storage.collection", NULL};
static const char *const names_of_port[] = {"output.port", "storage.port", NULL};
static const char *const names_of_name[] = {"sensor-name", NULL};
static const char *const names_of_interval[] = {"perf-sampling-interval", "interval", NULL};
static const char *const names_of_discovery[] = {"cgroup_discovery_interval", NULL};
static const char *const names_of_base[] = {"cgroup_basepath", NULL};
static const char *const names_of_system[] = {"global", NULL};
static const char *const names_of_container[] = {"cgroups", NULL};
static const char *const names_words[] = {"name", "path", NULL};
static const char *const log_level_words[] = {"error", "warning", "notice", "info", "debug", NULL};

static const struct config_row rows[] = {
	{.type = CONFIG_TITLE, .help = "What to measure:"},
	{.name = "name",
	 .letter = 'n',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = FIELD(name),
	 .aliases = names_of_name,
	 .help = "name of this machine in reports; default: the host name"},
	{.name = "frequency",
	 .letter = 'f',
	 .type = CONFIG_DURATION_MS,
	 .placeholder = "INTERVAL",
	 .fallback = "1s",
	 .min = 10,
	 .max = 3600000,
	 .offset = FIELD(interval_ms),
	 .aliases = names_of_interval,
	 .help = "time between two ticks, 10 ms to 1 h (an interval, despite the name)"},
	{.name = "edge-readings",
	 .type = CONFIG_INT,
	 .placeholder = "N",
	 .fallback = "2",
	 .max = 50,
	 .offset = FIELD(edge_readings),
	 .help = "read once more when a container is born or ends, N times a second on average at most; 0: "
		 "only ticks of equal length, which PowerAPI's formulas assume"},
	{.name = "system-group",
	 .letter = 's',
	 .type = CONFIG_CALL,
	 .placeholder = "GROUP",
	 .apply = sensor_groups_begin,
	 .reset = sensor_groups_reset,
	 .flags = CONFIG_NO_FILE,
	 .help = "start a group of events that are counted for the whole machine"},
	{.name = "container-group",
	 .letter = 'c',
	 .type = CONFIG_CALL,
	 .placeholder = "GROUP",
	 .apply = sensor_groups_begin,
	 .reset = sensor_groups_reset,
	 .flags = CONFIG_NO_FILE,
	 .help = "start a group of events that are counted for each container"},
	{.name = "event",
	 .letter = 'e',
	 .type = CONFIG_CALL,
	 .placeholder = "EVENT",
	 .apply = sensor_groups_event,
	 .reset = sensor_groups_reset,
	 .flags = CONFIG_NO_FILE,
	 .help = "an event of the last group"},
	{.name = "one-cpu-per-socket",
	 .letter = 'o',
	 .type = CONFIG_CALL,
	 .apply = sensor_groups_one_cpu,
	 .reset = sensor_groups_reset,
	 .flags = CONFIG_NO_FILE,
	 .help = "count the last group on only one CPU of each socket"},
	{.name = "system",
	 .type = CONFIG_SECTION,
	 .section = sensor_groups_read_json,
	 .print = sensor_groups_print_json,
	 .reset = sensor_groups_reset,
	 .aliases = names_of_system,
	 .help = "groups for the whole machine"},
	{.name = "container",
	 .type = CONFIG_SECTION,
	 .section = sensor_groups_read_json,
	 .print = sensor_groups_print_json,
	 .reset = sensor_groups_reset,
	 .aliases = names_of_container,
	 .help = "groups for each container"},
	{.name = "energy",
	 .type = CONFIG_CHOICE,
	 .fallback = "auto",
	 .choices = choose_energy_names,
	 .offset = FIELD(energy),
	 .help = "energy source; auto takes the first that works"},
	{.name = "activity",
	 .type = CONFIG_CHOICE,
	 .fallback = "auto",
	 .choices = choose_activity_names,
	 .offset = FIELD(activity),
	 .help = "activity source; auto takes the first that works"},
	{.name = "tdp",
	 .type = CONFIG_DOUBLE,
	 .placeholder = "W",
	 .max = 10000,
	 .offset = FIELD(tdp_w),
	 .help = "thermal design power of one socket, for the estimate on machines without an energy "
		 "counter"},
	{.name = "per-cpu",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(per_cpu),
	 .help = "report container groups by CPU instead of by socket"},
	{.name = "keep-idle",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(keep_idle),
	 .help = "also report targets that counted nothing"},
	{.name = "strict",
	 .type = CONFIG_BOOL,
	 .offset = FIELD(strict),
	 .help = "exit if an event or source is not available"},
	{.name = "ticks",
	 .type = CONFIG_INT,
	 .placeholder = "N",
	 .max = 1e15,
	 .offset = FIELD(ticks),
	 .help = "exit after N ticks"},

	{.type = CONFIG_TITLE, .help = "Which containers:"},
	{.name = "cgroup-basepath",
	 .letter = 'p',
	 .type = CONFIG_STRING,
	 .placeholder = "DIR",
	 .offset = FIELD(cgroup_base),
	 .aliases = names_of_base,
	 .help = "cgroup hierarchy to watch; default: the one that perf events use"},
	{.name = "cgroup-discovery-interval",
	 .type = CONFIG_DURATION_MS,
	 .fallback = "30s",
	 .min = 100,
	 .max = 86400000,
	 .offset = FIELD(discovery_ms),
	 .aliases = names_of_discovery,
	 .help = "time between two rescans, which find cgroups that inotify did not report"},
	{.name = "include",
	 .type = CONFIG_LIST,
	 .placeholder = "PATTERN",
	 .offset = FIELD(include),
	 .help = "include only targets whose name, cgroup path or ID matches"},
	{.name = "exclude",
	 .type = CONFIG_LIST,
	 .placeholder = "PATTERN",
	 .offset = FIELD(exclude),
	 .help = "exclude targets whose name, cgroup path or ID matches"},
	{.name = "names",
	 .type = CONFIG_CHOICE,
	 .fallback = "name",
	 .choices = names_words,
	 .offset = FIELD(names),
	 .help = "how targets are named in reports: by name, or by cgroup path as in hwpc-sensor since 2026"},
	{.name = "docker-root",
	 .type = CONFIG_LIST,
	 .placeholder = "DIR",
	 .offset = FIELD(docker_roots),
	 .help = "Docker's data folders, for names; default: /var/lib/docker and other usual places"},
	{.name = "podman-root",
	 .type = CONFIG_LIST,
	 .placeholder = "DIR",
	 .offset = FIELD(podman_roots),
	 .help = "storage folders of Podman and CRI-O, for names; default: /var/lib/containers/storage"},
	{.name = "containerd-root",
	 .type = CONFIG_LIST,
	 .placeholder = "DIR",
	 .offset = FIELD(containerd_roots),
	 .help = "containerd's state folders, for names; default: /run/containerd and those of k3s, k0s, "
		 "MicroK8s"},

	{.type = CONFIG_TITLE, .help = "Where reports go:"},
	{.name = "store",
	 .type = CONFIG_STRING,
	 .placeholder = "URI",
	 .flags = CONFIG_URI,
	 .offset = FIELD(store),
	 .help = "sqlite:FILE, mongodb://…, bson:FILE, jsonl:FILE, csv:DIR, socket:HOST:PORT or null:; "
		 "default: "
		 "SQLite in the state folder"},
	{.name = "output-type",
	 .letter = 'r',
	 .type = CONFIG_STRING,
	 .placeholder = "TYPE",
	 .offset = FIELD(output_type),
	 .aliases = names_of_output,
	 .help = "null, csv, mongodb or socket, with -U -D -C -P"},
	{.name = "uri",
	 .letter = 'U',
	 .type = CONFIG_STRING,
	 .placeholder = "URI",
	 .flags = CONFIG_URI,
	 .offset = FIELD(uri),
	 .aliases = names_of_uri,
	 .help = "address (mongodb, socket) or folder (csv)"},
	{.name = "database",
	 .letter = 'D',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = FIELD(database),
	 .aliases = names_of_database,
	 .help = "database; default: the one in the URI, else rapls2"},
	{.name = "collection",
	 .letter = 'C',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = FIELD(collection),
	 .aliases = names_of_collection,
	 .help = "collection of reports; default: sensorNAME"},
	{.name = "port",
	 .letter = 'P',
	 .type = CONFIG_INT,
	 .placeholder = "PORT",
	 .max = 65535,
	 .offset = FIELD(port),
	 .aliases = names_of_port,
	 .help = "port of the socket output"},
	{.name = "store-timeout",
	 .type = CONFIG_DURATION_MS,
	 .fallback = "5s",
	 .min = 100,
	 .max = 600000,
	 .offset = FIELD(store_timeout_ms),
	 .help = "how long to wait for the store before reports go to the spool"},
	{.name = "retention",
	 .type = CONFIG_DURATION_MS,
	 .offset = FIELD(retention_ms),
	 .help = "delete reports older than this; default: keep all"},
	{.name = "state-dir",
	 .type = CONFIG_STRING,
	 .placeholder = "DIR",
	 .offset = FIELD(state_dir),
	 .help = "folder of the spool and the default SQLite store"},
	{.name = "spool-size",
	 .type = CONFIG_SIZE,
	 .fallback = "256M",
	 .offset = FIELD(spool_size),
	 .help = "maximum size of the spool; 0: no spool"},
	{.name = "spool-age",
	 .type = CONFIG_DURATION_MS,
	 .fallback = "7d",
	 .offset = FIELD(spool_age_ms),
	 .help = "maximum age of reports in the spool"},
	{.name = "backlog",
	 .type = CONFIG_SIZE,
	 .fallback = "64M",
	 .offset = FIELD(backlog),
	 .help = "memory for reports that wait for the writer"},

	{.type = CONFIG_TITLE, .help = "Operation:"},
	{.name = "user",
	 .type = CONFIG_STRING,
	 .placeholder = "USER",
	 .fallback = "nobody",
	 .offset = FIELD(user),
	 .help = "user of the collecting and writing processes, when started as root"},
	{.name = "sandbox",
	 .type = CONFIG_CHOICE,
	 .fallback = "errno",
	 .choices = sandbox_mode_names,
	 .offset = FIELD(sandbox),
	 .help = "what the seccomp filter does with a system call that the process does not need"},
	{.name = "fd-budget",
	 .type = CONFIG_INT,
	 .placeholder = "N",
	 .max = 1e9,
	 .offset = FIELD(fd_budget),
	 .help = "open at most N counters; further targets are counted by CPU time; default: as many as "
		 "RLIMIT_NOFILE allows"},
	{.name = "sysfs-root",
	 .type = CONFIG_STRING,
	 .placeholder = "DIR",
	 .fallback = "/sys",
	 .offset = FIELD(sysfs_root),
	 .help = "read the machine's description from this folder instead of /sys"},
	{.name = "procfs-root",
	 .type = CONFIG_STRING,
	 .placeholder = "DIR",
	 .fallback = "/proc",
	 .offset = FIELD(procfs_root),
	 .help = "read CPU times from this folder instead of /proc"},
	{.name = "sim",
	 .type = CONFIG_STRING,
	 .placeholder = "FILE[,KEY=VALUE…]",
	 .offset = FIELD(sim),
	 .help = "measure a simulated machine instead, as fast as the store accepts reports; keys: seed, "
		 "law, truth"},
	{.name = "verbose",
	 .letter = 'v',
	 .type = CONFIG_COUNT,
	 .offset = FIELD(verbose),
	 .help = "log everything, as --log-level debug"},
	{.name = "log-level",
	 .type = CONFIG_CHOICE,
	 .fallback = "info",
	 .choices = log_level_words,
	 .offset = FIELD(log_level),
	 .help = "error, warning, notice, info or debug"},
	{.name = "check-machine",
	 .type = CONFIG_BOOL,
	 .flags = CONFIG_NO_FILE | CONFIG_NO_ENV,
	 .offset = FIELD(check_machine),
	 .help = "print what this machine can measure, what it cannot, why, and how to fix it; then exit"},
	{.name = "json",
	 .type = CONFIG_BOOL,
	 .flags = CONFIG_NO_FILE | CONFIG_NO_ENV,
	 .offset = FIELD(json),
	 .help = "with --check-machine: print JSON"},
};

static char *join(const char *first, const char *second)
{
	char *joined = NULL;

	return asprintf(&joined, "%s%s", first, second) < 0 ? NULL : joined;
}

static int default_name(struct sensor_config *config)
{
	char host[MACHINE_NAME_SIZE];

	if (config->name && config->name[0])
		return 0;
	free(config->name);
	config->name = strdup(machine_name_default(host, sizeof(host)));
	return config->name ? 0 : -ENOMEM;
}

/* -r with -U and -P as hwpc-sensor has them, into one URI. */
static int uri_of_type(struct sensor_config *config, struct reason *why)
{
	static const char *const known[] = {"null", "csv", "mongodb", "socket", "sqlite", "bson", "jsonl"};
	const char *type = config->output_type, *uri = config->uri;
	const char *nearest;
	char all[80];

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcasecmp(type, known[i]) == 0)
			type = known[i];
	if (strcmp(type, "null") == 0) {
		config->store_uri = strdup("null:");
		return config->store_uri ? 0 : -ENOMEM;
	}
	if (!uri || !uri[0])
		return reason_set(why, -EINVAL, "-r %s needs -U with %s", type,
				  strcmp(type, "csv") == 0 ? "a folder" : "an address");
	if (strcmp(type, "mongodb") == 0) {
		config->store_uri = strncmp(uri, "mongodb", 7) == 0 ? strdup(uri) : join("mongodb:", uri);
	} else if (strcmp(type, "socket") == 0) {
		if (strchr(uri, ':') && config->port == 0)
			config->store_uri = join("socket:", uri);
		else if (asprintf(&config->store_uri, "socket:%s:%u", uri,
				  config->port ? (unsigned)config->port : 9080) < 0)
			config->store_uri = NULL;
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			if (strcmp(type, known[i]) == 0 &&
			    asprintf(&config->store_uri, "%s:%s", type, uri) >= 0)
				return 0;
		nearest = text_nearest(type, known, ARRAY_SIZE(known));
		return reason_set(why, -EINVAL, "unknown output type '%s' (-r)%s%s%s; known: %s", type,
				  nearest ? ", did you mean '" : "", nearest ? nearest : "",
				  nearest ? "'" : "", text_join(known, ARRAY_SIZE(known), all, sizeof(all)));
	}
	return config->store_uri ? 0 : -ENOMEM;
}

static int settle_store(struct sensor_config *config, struct reason *why)
{
	int r = 0;

	if (config->store && config->store[0])
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

/* What no store could take as the name of a collection, a file or a database. */
static int check_names(const struct sensor_config *config, struct reason *why)
{
	const struct {
		const char *what, *text, *refused;
		size_t length;
	} names[] = {{"name", config->name, "/$", 100},
		     {"collection", config->collection, "/$", 120},
		     {"database", config->database, "/\\. \"$*<>:|?", 63}};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *at = names[i].text ? names[i].text : "";

		if (strlen(at) > names[i].length)
			return reason_set(why, -EINVAL, "the %s '%.20s…' is too long: %zu bytes at most",
					  names[i].what, at, names[i].length);
		while (*at && (unsigned char)*at >= ' ' && *at != 0x7f && !strchr(names[i].refused, *at))
			at++;
		if (*at)
			return reason_set(why, -EINVAL,
					  "the %s '%s' must not contain %s or control characters: "
					  "collections and files are named after it",
					  names[i].what, names[i].text, names[i].refused);
	}
	return 0;
}

static int check_sources(const struct sensor_config *config, struct reason *why)
{
	const bool wants_sim = strcmp(choose_energy_names[config->energy], "sim") == 0 ||
			       strcmp(choose_activity_names[config->activity], "sim") == 0;

	if (!wants_sim || config->sim)
		return 0;
	return reason_set(why, -EINVAL, "the source 'sim' needs a simulated machine; add --sim FILE");
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

	(void)loaded;
	r = sensor_groups_check(config, why);
	if (r == 0)
		r = default_name(config);
	if (r == 0)
		r = check_names(config, why);
	if (r == 0)
		r = check_sources(config, why);
	if (r == 0)
		r = config->state_dir || (config->state_dir = state_dir_default()) ? 0 : -ENOMEM;
	if (r == 0)
		r = settle_store(config, why);
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
