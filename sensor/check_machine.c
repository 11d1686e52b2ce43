/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --check-machine: every source is probed as the sensor would at start, and every result is kept with its
 * reason. `wattribute check` shows the JSON object; the text is made from the same object.
 */
#include "check_machine.h"

#include "check_parts.h"
#include "cgroup/cgroup.h"
#include "cgroup/cgroup_find.h"
#include "source/choose.h"
#include "base/cleanup.h"
#include "collect/collect.h"
#include "config/defaults.h"
#include "machine/procstat.h"
#include "event/event.h"
#include "machine/fd_budget.h"
#include "source/resctrl/resctrl_info.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "base/text.h"
#include "base/text_fold.h"
#include "collect/machine_facts.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define CHECK_INDENT 11 /* of the second line of an entry */

struct check {
	struct sensor_config *config;
	struct source_context context;
	struct topology topology;
	struct cgroup_layout layout;
	struct container_roots roots;
	struct priv_config priv;
	bool described; /* another machine, of which only the files are here: nothing on it can be opened */
	json_t *object;
	const char *energy, *activity;
	bool estimated;
};

/* Adds a fix for missing counters that have none of their own. */
static void add_remedy(const struct check *check, json_t *entry)
{
	if (!entry || json_string_length(json_object_get(entry, "remedy")) > 0 ||
	    strcmp(json_string_value(json_object_get(entry, "status")), "missing") != 0)
		return;
	json_object_set_new(
		entry, "remedy",
		json_string(check->topology.virtual_machine
				    ? "ask the host for a virtual performance monitoring unit (KVM: -cpu "
				      "host,pmu=on); until then CPU time is counted instead"
				    : "choose another event (perf list shows them); without any, CPU time is "
				      "counted"));
}

/* If all default events are missing, they are reported as one entry, not four. */
static void fold_events(struct check *check)
{
	json_t *events = json_object_get(check->object, "events");
	size_t index;
	json_t *entry;

	if (check->config->n_groups == 0 || !check->config->groups[0].by_default ||
	    json_array_size(events) == 0)
		return;
	json_array_foreach(events, index, entry)
	{
		if (strcmp(json_string_value(json_object_get(entry, "status")), "ok") == 0)
			return;
	}
	entry = json_incref(json_array_get(events, 0));
	json_object_set_new(entry, "event", json_string("hardware counters"));
	add_remedy(check, entry);
	json_array_clear(events);
	json_array_append_new(events, entry);
}

static void add(struct check *check, const char *list, json_t *value)
{
	json_t *array = json_object_get(check->object, list);

	if (!array) {
		array = json_array();
		json_object_set_new(check->object, list, array);
	}
	json_array_append_new(array, value);
}

static void read_word(const struct check *check, const char *name, char *ret, size_t size)
{
	if (text_read_file(ret, size, "%s/%s", check->config->procfs_root, name) <= 0)
		(void)snprintf(ret, size, "unknown");
}

/* Facts with which the server's model starts. */
static void add_facts(const struct check *check, json_t *machine)
{
	struct machine_facts facts;

	machine_facts_read(check->config->sysfs_root, &check->topology, &facts);
	if (facts.report.design_w > 0)
		json_object_set_new(machine, "design_power", json_real(facts.report.design_w));
	if (facts.report.limit_w > 0)
		json_object_set_new(machine, "power_limit", json_real(facts.report.limit_w));
	if (facts.idle_state[0])
		json_object_set_new(machine, "idle_state", json_string(facts.idle_state));
	if (facts.frequency_driver[0])
		json_object_set_new(machine, "frequency_driver", json_string(facts.frequency_driver));
}

static void check_host(struct check *check)
{
	struct utsname host;

	if (uname(&host) < 0)
		return;
	if (check->described) {
		read_word(check, "sys/kernel/hostname", host.nodename, sizeof(host.nodename));
		read_word(check, "sys/kernel/osrelease", host.release, sizeof(host.release));
	}
	json_object_set_new(check->object, "version", json_string(WATTRIBUTE_VERSION));
	json_object_set_new(check->object, "machine",
			    json_pack("{s:s, s:s, s:s, s:i, s:i, s:f, s:b}", "hostname", host.nodename,
				      "kernel", host.release, "cpu", check->topology.model_name, "sockets",
				      (int)check->topology.n_packages, "cpus", (int)check->topology.n_cpus,
				      "base_mhz", check->topology.base_frequency_mhz, "virtual",
				      check->topology.virtual_machine));
	add_facts(check, json_object_get(check->object, "machine"));
}

/* Do the options select this source, or leave the choice open? */
static bool is_wanted(const char *wanted, const char *source)
{
	return strcmp(wanted, "auto") == 0 || strcmp(wanted, source) == 0;
}

/* Lists the energy that a source would measure, and the sockets. */
static void say_domains(struct check *check, const struct system_source_ops *ops,
			const struct event_group_request *request, json_t *entry)
{
	struct system_source *source = NULL;
	char text[512] = "";
	size_t n = 0;

	if (ops->open(&check->context, request, &source) < 0)
		return;
	for (unsigned i = 0; i < source->group.n_events && n < sizeof(text); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? ", " : "",
				      source->group.events[i]);
	for (unsigned i = 0; i < source->group.n_places && n < sizeof(text); i++) {
		const char *separator = i                            ? ", "
					: source->group.n_places > 1 ? " of sockets "
								     : " of socket ";

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u", separator,
				      source->group.places[i].package);
	}
	json_object_set_new(entry, "why", json_string(text));
	ops->close(source);
}

static void check_energy(struct check *check)
{
	const struct system_source_ops *const *all = choose_energy_sources;
	char *events[] = {(char[]){"RAPL_ENERGY_PKG"}, (char[]){"RAPL_ENERGY_DRAM"}};
	struct event_group_request request = {
		.name = (char[]){"rapl"},
		.one_cpu_per_socket = true,
		.events = events,
		.n_events = 2,
		.by_default = true /* the events need not be named */
	};

	/* The events that the options name, else the default ones. */
	for (unsigned g = 0; g < check->config->n_groups; g++)
		if (!check->config->groups[g].by_default && choose_is_energy(&check->config->groups[g]))
			request = check->config->groups[g];
	for (size_t i = 0; all[i]; i++) {
		struct reason why = {""};
		const bool works = all[i]->probe(&check->context, &request, &why) == 0;

		if (works && all[i]->estimated && !why.text[0])
			reason_set(&why, 0, "a model based on CPU use and design power, not a measurement");
		if (works && all[i]->estimated && !(check->config->tdp_w > 0))
			reason_advise(&why, "set the right design power with --tdp");
		json_t *entry = check_text_item("source", all[i]->name, works ? "ok" : "missing", why.text);

		add(check, "energy", entry);
		if (works && !check->energy &&
		    is_wanted(choose_energy_names[check->config->energy], all[i]->name)) {
			json_object_set_new(entry, "used", json_true());
			check->energy = all[i]->name;
			check->estimated = all[i]->estimated;
			if (check->described && !all[i]->estimated)
				say_domains(check, all[i], &request, entry);
		}
	}
}

static bool can_open(struct check *check, const struct event_encoding *encoding, struct reason *why)
{
	const struct event_box *box = &encoding->boxes[0];
	struct priv_group group = {.cgroup = "", .n_events = 1, .events = &box->attr};
	int fd = -1, r;

	group.cpu = box->n_cpus > 0 ? box->cpus[0] : check->topology.cpus[0].id;
	r = priv_client_open_group(check->context.priv, &group, &fd);
	if (r < 0) {
		(void)event_explain_open(r, box->pmu, false, NULL, why);
		return false;
	}
	(void)close(fd);
	return true;
}

/* Descriptors of one target: each event that can be counted, on each CPU. */
static unsigned fds_of_one(struct check *check)
{
	unsigned n_fds = 0;

	for (unsigned g = 0; g < check->config->n_groups; g++) {
		const struct event_group_request *group = &check->config->groups[g];

		for (unsigned e = 0; group->of_containers && e < group->n_events; e++) {
			struct event_encoding encoding = {0};
			struct reason why;

			if (event_encode(check->config->sysfs_root, group->events[e], &encoding, &why) == 0 &&
			    encoding.n_boxes > 0 && can_open(check, &encoding, &why))
				for (unsigned b = 0; b < encoding.n_boxes; b++)
					n_fds += encoding.boxes[b].n_cpus ? encoding.boxes[b].n_cpus
									  : check->topology.n_cpus;
			event_encoding_done(&encoding);
		}
	}
	return n_fds;
}

static json_t *costs_of(const struct check *check, const char *source, unsigned fds_each)
{
	static const unsigned numbers[] = {100, 1000, 10000};
	const double ticks_per_s = 1000.0 / (double)check->config->interval_ms;
	json_t *costs = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		const struct check_cost cost = check_cost_estimate(source, fds_each, check->context.fd_budget,
								   ticks_per_s, numbers[i]);

		json_array_append_new(costs,
				      json_pack("{s:i, s:i, s:i, s:f}", "containers", (int)cost.containers,
						"descriptors", (int)cost.fds, "by_cpustat",
						(int)cost.by_cpustat, "cpu_ms_per_s", cost.cpu_ms_per_s));
	}
	return costs;
}

static void check_activity(struct check *check)
{
	static const struct activity_source_ops *const all[] = {&source_bpf, &source_perf, &source_cpustat};
	struct event_group_request requests[SENSOR_GROUPS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < check->config->n_groups; i++)
		if (check->config->groups[i].of_containers)
			requests[n++] = check->config->groups[i], requests[n - 1].by_default = true;
	const unsigned fds_each = fds_of_one(check);

	for (size_t i = 0; n > 0 && i < ARRAY_SIZE(all); i++) {
		struct reason why = {""};
		bool works;

		/* No file shows whether that machine's kernel accepts a BPF program. */
		if (check->described && all[i] == &source_bpf)
			continue;
		works = all[i]->probe(&check->context, requests, n, &why) == 0;
		json_t *entry = check_text_item("source", all[i]->name, works ? "ok" : "missing", why.text);

		add_remedy(check, entry);
		add(check, "activity", entry);
		if (works && !check->activity &&
		    is_wanted(choose_activity_names[check->config->activity], all[i]->name)) {
			check->activity = all[i]->name;
			json_object_set_new(entry, "used", json_true());
		}
		if (works && !check->described)
			json_object_set_new(entry, "cost", costs_of(check, all[i]->name, fds_each));
	}
}

static void check_events(struct check *check)
{
	for (unsigned g = 0; g < check->config->n_groups; g++) {
		const struct event_group_request *group = &check->config->groups[g];

		for (unsigned e = 0; !choose_is_energy(group) && e < group->n_events; e++) {
			struct event_encoding encoding = {0};
			struct reason why = {""};
			bool works = event_encode(check->config->sysfs_root, group->events[e], &encoding,
						  &why) == 0;

			works = works && encoding.n_boxes > 0 && can_open(check, &encoding, &why);
			event_encoding_done(&encoding);
			json_t *entry = check_text_item("event", group->events[e], works ? "ok" : "missing",
							why.text);

			add_remedy(check, entry);
			add(check, "events", entry);
		}
	}
}

/* Called after all events: the watchdog is not one of them but takes a counter from them. */
static void check_watchdog(struct check *check)
{
	if (procstat_has_watchdog(check->config->procfs_root))
		add(check, "events",
		    check_text_item(
			    "name", "NMI watchdog", "ok",
			    "takes one counter of each CPU; events may have to share the rest" REASON_FIX
			    "sysctl kernel.nmi_watchdog=0 (the kernel then no longer reports CPUs that "
			    "hang)"));
}

static void count_cgroup(void *data, const char *path, uint64_t id)
{
	(void)path, (void)id;
	++*(unsigned *)data;
}

/* Energy that the hardware counts per container; it has no substitute, and nothing requires it. */
static void check_measured(struct check *check)
{
	struct resctrl_info info;
	struct reason why = {""};
	const bool works = resctrl_read_info(check->config->resctrl_root, &info, &why) == 0;
	json_t *entry;

	if (!works && check->described)
		return;
	if (works)
		reason_set(&why, 0, "energy of %u package%s, %u containers at a time", info.n_packages,
			   info.n_packages == 1 ? "" : "s", info.n_rmids - 1);
	entry = check_text_item("source", "resctrl", works ? "ok" : "missing", why.text);
	if (works && check->config->resctrl != SENSOR_RESCTRL_OFF)
		json_object_set_new(entry, "used", json_true());
	/* Most machines lack it, which is not a fault. */
	if (!works && check->config->resctrl != SENSOR_RESCTRL_ON)
		json_object_set_new(entry, "remedy", json_string(""));
	add(check, "measured", entry);
}

static void check_cgroups(struct check *check)
{
	static const char *const versions[] = {"none", "v1", "v2"};
	unsigned n = 0;
	const struct cgroup_watch_events events = {
		.created = count_cgroup, .removed = count_cgroup, .data = &n};
	struct cgroup_watch *watch = NULL;
	char path[CGROUP_PATH_MAX];
	struct reason why = {""};
	unsigned n_unseen;
	const bool found = check->layout.mount[0] && cgroup_watch_open(&check->layout, &events, &watch) == 0;

	cgroup_watch_close(watch);
	n_unseen = cgroup_find_unseen(&check->layout, path, sizeof(path));
	if (n_unseen > 0)
		reason_set(&why, 0,
			   "%.600s; %u containers are in another hierarchy and are not counted, such as "
			   "'%.250s'",
			   check->layout.text, n_unseen, path);
	json_object_set_new(check->object, "cgroups",
			    json_pack("{s:s, s:s, s:s, s:i, s:s, s:s}", "version",
				      check->layout.hybrid ? "hybrid" : versions[check->layout.version],
				      "status",
				      !found         ? "missing"
				      : n_unseen > 0 ? "limited"
						     : "ok",
				      "base", check->layout.mount, "cgroups", (int)n, "why",
				      n_unseen > 0 ? why.text : check->layout.text, "remedy",
				      n_unseen > 0 ? "choose the hierarchy of the containers with -p" : ""));
}

static void check_rights(struct check *check)
{
	char value[64] = "", text[256];
	int64_t paranoid = 0;
	bool limits;

	add(check, "rights",
	    check_text_item("right", "root or CAP_PERFMON", geteuid() == 0 ? "ok" : "limited",
			    geteuid() == 0 ? ""
					   : "not root" REASON_FIX
					     "start as root, or with CAP_PERFMON, CAP_BPF and "
					     "CAP_DAC_READ_SEARCH"));
	(void)text_read_file(value, sizeof(value), "%s/sys/kernel/perf_event_paranoid",
			     check->config->procfs_root);
	(void)text_parse_i64(value, &paranoid);
	limits = geteuid() != 0 && paranoid > 0;
	(void)snprintf(text, sizeof(text), "value %s%s", value[0] ? value : "unknown",
		       limits ? ", which does not let this user count whole CPUs" REASON_FIX
				"start as root, or run as root: sysctl kernel.perf_event_paranoid=0"
			      : "");
	add(check, "rights",
	    check_text_item("right", "perf_event_paranoid", limits ? "limited" : "ok", text));
	(void)snprintf(text, sizeof(text), "%u counters can be open at once", fd_budget_raise());
	add(check, "rights", check_text_item("right", "open files", "ok", text));
}

static void check_runtimes(struct check *check)
{
	const struct {
		const char *name;
		const char *const *roots;
	} runtimes[] = {{"docker", check->roots.docker},
			{"podman, cri-o", check->roots.storage},
			{"containerd", check->roots.containerd},
			{"kubelet's logs", check->roots.pod_logs}};

	for (size_t i = 0; i < ARRAY_SIZE(runtimes); i++) {
		const char *found = NULL;
		bool closed = false;

		for (unsigned k = 0; runtimes[i].roots[k] && !found; k++) {
			if (access(runtimes[i].roots[k], R_OK | X_OK) == 0)
				found = runtimes[i].roots[k];
			else if (errno == EACCES)
				closed = true;
		}
		json_t *entry = check_text_item(
			"runtime", runtimes[i].name, found ? "ok" : "missing",
			found    ? ""
			: closed ? "this user may not read its folder" REASON_FIX "start as root; "
				   "otherwise containers are named by their short ID"
				 : "its folder is missing (not installed, or not mounted)" REASON_FIX
				   "if it is installed, mount its folder, or set --docker-root, "
				   "--podman-root, "
				   "--containerd-root or --pod-log-root; "
				   "otherwise containers are named by their short ID");
		json_object_set_new(entry, "path", json_string(found ? found : ""));
		add(check, "runtimes", entry);
	}
}

static int find_cgroups(struct check *check)
{
	const struct sensor_config *config = check->config;

	return check->described && !config->cgroup_base
		       ? cgroup_layout_describe(config->sysfs_root, config->procfs_root, &check->layout)
		       : cgroup_layout_detect(config->cgroup_base, &check->layout);
}

static int prepare(struct check *check)
{
	struct sensor_config *config = check->config;

	check->described =
		strcmp(config->sysfs_root, "/sys") != 0 && strcmp(config->procfs_root, "/proc") != 0;
	if (topology_read(config->sysfs_root, config->procfs_root, &check->topology) < 0)
		return log_error("topology", -ENOENT, "no CPU found below '%s'", config->sysfs_root);
	collect_container_roots(config, &check->roots);
	check->priv = (struct priv_config){.sysfs_root = config->sysfs_root, .containers = &check->roots};
	if (find_cgroups(check) == 0 && check->layout.perf)
		check->priv.perf_root = check->layout.mount;
	check->context = (struct source_context){
		.sysfs_root = config->sysfs_root,
		.procfs_root = config->procfs_root,
		.topology = &check->topology,
		.tdp_w = config->tdp_w,
		.fd_budget = fd_budget_raise(),
	};
	check->context.cgroups_without_perf = !check->layout.perf;
	if (check->layout.cpu_time[0]) {
		check->context.cpu_root = check->layout.cpu_time;
		check->context.cpu_root_v2 = check->layout.cpu_time_version == CGROUP_VERSION_2;
	}
	if ((check->described ? priv_client_describe(&check->priv, &check->context.priv)
			      : priv_client_direct(&check->priv, &check->context.priv)) < 0)
		return -ENOMEM;
	log_set_level(LOG_LEVEL_ERROR); /* the results are in the object; the log would repeat them */
	return defaults_apply(config);
}

/* Prints the text, folded to the width of a terminal. */
static int print_text(const json_t *object)
{
	cleanup_(cleanup_free) char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return -errno;
	check_text_print(out, object);
	if (fclose(out) != 0)
		return -errno;
	text_fold_print(stdout, text, CHECK_INDENT);
	return 0;
}

int check_machine_main(struct sensor_config *config)
{
	struct check check = {.config = config, .object = json_object()};
	char note[256] = "";

	if (!check.object || prepare(&check) < 0) {
		json_decref(check.object);
		return 1;
	}
	check_host(&check);
	check_energy(&check);
	check_activity(&check);
	check_events(&check);
	fold_events(&check);
	check_watchdog(&check);
	check_measured(&check);
	check_gpu_list(config, check.described, check.object);
	check_cgroups(&check);
	if (check.described) {
		check_perf_list(config, &check.context, check.object);
	} else {
		check_rights(&check);
		check_runtimes(&check);
	}
	if (check.estimated)
		(void)snprintf(note, sizeof(note),
			       "watts are estimated from CPU use and the processor's design power");
	json_object_set_new(check.object, "choice",
			    json_pack("{s:s, s:s, s:b, s:s}", "energy", check.energy ? check.energy : "none",
				      "activity", check.activity ? check.activity : "none", "estimated",
				      check.estimated, "note", note));
	if (config->json) {
		json_dumpf(check.object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		printf("\n");
	} else {
		(void)print_text(check.object);
	}
	json_decref(check.object);
	priv_client_free(check.context.priv);
	topology_done(&check.topology);
	return check.energy || check.activity ? 0 : 1;
}
