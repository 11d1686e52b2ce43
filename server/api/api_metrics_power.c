/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of /metrics about power: joules (counters, whose rate() is watts) and watts of containers, images,
 * namespaces and machines. Scopes and sockets may be added up; scopes that overlap others have families of
 * their own. Joules of images and namespaces outlive their containers and continue after a restart.
 */
#include "api/api_private.h"
#include "base/cleanup.h"
#include "base/unit.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LABELS 24 /* names and values, and the end */

/* One family of samples with a row for each scope and socket of some targets. */
struct row_family {
	enum metrics_type type;
	const char *name;
	const char *help;
	size_t member;      /* of struct live_row */
	const char *target; /* a reserved one; NULL: containers */
	bool overlapping;   /* shows the scopes that include others or are part of another */
};

#define ROW(member) offsetof(struct live_row, member)

/* Overlapping scopes come last and are marked, so that a sum over a family counts nothing twice. */
static const struct row_family row_families[] = {
	{METRICS_COUNTER, "wattribute_container_joules_total",
	 "Energy of a container since the server's start or its own, with static power as set by --static.",
	 ROW(total_j), NULL, false},
	{METRICS_COUNTER, "wattribute_container_dynamic_joules_total", "The same without the static part.",
	 ROW(total_dynamic_j), NULL, false},
	{METRICS_GAUGE, "wattribute_container_watts", "Power of a container in the last tick.", ROW(power_w),
	 NULL, false},
	{METRICS_GAUGE, "wattribute_container_dynamic_watts",
	 "Power of a container in the last tick without the static part.", ROW(dynamic_w), NULL, false},
	{METRICS_GAUGE, "wattribute_container_sd_watts",
	 "Standard deviation of a container's power in the last tick, according to the model.", ROW(sd_w),
	 NULL, false},
	{METRICS_GAUGE, "wattribute_machine_watts", "Power of the machine in the last tick, as measured.",
	 ROW(power_w), REPORT_TARGET_RAPL, false},
	{METRICS_GAUGE, "wattribute_machine_active_watts",
	 "Power of the machine in the last tick above its idle power.", ROW(dynamic_w), REPORT_TARGET_RAPL,
	 false},
	{METRICS_GAUGE, "wattribute_machine_idle_watts",
	 "Power of the machine that does not depend on its load (static), as estimated by the model.",
	 ROW(static_w), REPORT_TARGET_RAPL, false},
	{METRICS_GAUGE, "wattribute_system_watts", "Power outside of containers in the last tick.",
	 ROW(power_w), REPORT_TARGET_SYSTEM, false},
	{METRICS_GAUGE, "wattribute_predicted_watts",
	 "The model's prediction for the last tick, made before its energy was seen.", ROW(power_w),
	 REPORT_TARGET_GLOBAL, false},
	{METRICS_GAUGE, "wattribute_overlapping_machine_watts",
	 "Power in the last tick that includes other scopes (platform) or is part of one (core, uncore).",
	 ROW(power_w), REPORT_TARGET_RAPL, true},
	{METRICS_COUNTER, "wattribute_overlapping_machine_joules_total",
	 "Energy since the server's start that includes other scopes (platform) or is part of one (core, "
	 "uncore).",
	 ROW(total_j), REPORT_TARGET_RAPL, true},
	{METRICS_COUNTER, "wattribute_overlapping_container_joules_total",
	 "A container's share of the platform's energy, which includes its other scopes.", ROW(total_j), NULL,
	 true},
};

/* True if the pod's name is a UID, as in documents of earlier sensors: 8-4-4-4-12 hex digits, or the 32 of a
 * static pod's hash. */
static bool is_uid(const char *text)
{
	size_t length = strlen(text), hex = 0;

	for (size_t i = 0; i < length; i++) {
		if (isxdigit((unsigned char)text[i]))
			hex++;
		else if (text[i] != '-' || (i != 8 && i != 13 && i != 18 && i != 23))
			return false;
	}
	return hex == 32 && (length == 32 || length == 36);
}

static void add_label(const char **labels, unsigned *n, const char *name, const char *value)
{
	labels[(*n)++] = name;
	labels[(*n)++] = value;
	labels[*n] = NULL;
}

/* Labels that identify a target; the writer leaves out empty values. */
static unsigned label_target(const char **labels, const struct machine *machine,
			     const struct live_target *target)
{
	const struct known_target *known =
		known_find_container(&machine->known, target->name, target->container_id);
	const char *pod = known_text(known, KNOWN_POD);
	unsigned n = 0;

	add_label(labels, &n, "machine", machine->name);
	add_label(labels, &n, "container", target->name);
	add_label(labels, &n, "container_id", target->container_id);
	add_label(labels, &n, "pod", is_uid(pod) ? "" : pod);
	add_label(labels, &n, "pod_uid", is_uid(pod) ? pod : known_text(known, KNOWN_POD_UID));
	add_label(labels, &n, "namespace", known_text(known, KNOWN_NAMESPACE));
	add_label(labels, &n, "image", known_text(known, KNOWN_IMAGE));
	add_label(labels, &n, "runtime", known_text(known, KNOWN_RUNTIME));
	return n;
}

static void write_rows(struct metrics_writer *writer, const struct row_family *family,
		       const struct machine *machine, const struct live_target *target, const char **labels,
		       unsigned n_labels)
{
	bool last = target->last_ms == machine->live.time_ms;

	for (unsigned i = 0; i < target->n_places * REPORT_SCOPES_ALL; i++) {
		const struct live_row *row = &target->rows[i];
		const unsigned scope = i % REPORT_SCOPES_ALL;
		const double value = live_value(row, family->member);
		const int number = live_number(&machine->live, i);
		unsigned n = n_labels;
		char package[12];

		if (family->type == METRICS_GAUGE ? !last || !row->present
						  : !row->present && !(row->total_j > 0))
			continue;
		if (number < 0 || (scope >= REPORT_SCOPES_ADDED) != family->overlapping || !isfinite(value))
			continue;
		(void)snprintf(package, sizeof(package), "%d", number);
		add_label(labels, &n, "scope", report_scope_names[scope]);
		add_label(labels, &n, "socket", package);
		metrics_counter(writer, labels, value,
				((double)target->first_ms - 1000 * machine->live.interval_s) / 1000);
	}
}

/* Calls `each`, if given, for the containers that are shown. Returns the number of those beyond the limit. */
static uint64_t each_container(const struct server *server,
			       void (*each)(struct metrics_writer *writer, const struct row_family *family,
					    const struct machine *machine, const struct live_target *target),
			       struct metrics_writer *writer, const struct row_family *family)
{
	uint64_t n = 0, limit = (uint64_t)server->config->metrics_limit;

	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const struct live_target *target = machine->live.targets;

		for (; target; target = target->hh.next) {
			if (report_target_is_row(target->name) || !machine_is_settled(machine, target))
				continue;
			if (n++ < limit && each)
				each(writer, family, machine, target);
		}
	}
	return n > limit ? n - limit : 0;
}

static void write_container(struct metrics_writer *writer, const struct row_family *family,
			    const struct machine *machine, const struct live_target *target)
{
	const char *labels[LABELS];
	unsigned n = label_target(labels, machine, target);

	write_rows(writer, family, machine, target, labels, n);
}

static void write_container_info(struct metrics_writer *writer, const struct row_family *family,
				 const struct machine *machine, const struct live_target *target)
{
	const char *labels[LABELS];

	(void)family;
	(void)label_target(labels, machine, target);
	if (known_find_container(&machine->known, target->name, target->container_id))
		metrics_sample(writer, labels, 1);
}

static void write_row_family(struct metrics_writer *writer, const struct row_family *family,
			     const struct server *server)
{
	metrics_family(writer, family->type, family->name, family->help);
	if (!family->target) {
		(void)each_container(server, write_container, writer, family);
		return;
	}
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const struct live_target *target = live_find(&machine->live, family->target);
		const char *labels[LABELS];
		unsigned n = 0;

		add_label(labels, &n, "machine", machine->name);
		if (target)
			write_rows(writer, family, machine, target, labels, n);
	}
}

/* Sums that outlive containers and the server. */
struct total_family {
	const char *name;
	const char *help;
	enum total_kind kind;
	const char *row;   /* of TOTAL_MACHINE */
	const char *label; /* of the others */
	enum { PART_ALL, PART_DYNAMIC, PART_STATIC } part;
};

static const struct total_family total_families[] = {
	{"wattribute_machine_joules_total", "Energy of the machine, as measured.", TOTAL_MACHINE,
	 REPORT_TARGET_RAPL, NULL, PART_ALL},
	{"wattribute_machine_active_joules_total", "Energy of the machine above its idle power.",
	 TOTAL_MACHINE, REPORT_TARGET_RAPL, NULL, PART_DYNAMIC},
	{"wattribute_machine_idle_joules_total",
	 "Energy of the machine that does not depend on its load (static), as estimated by the model.",
	 TOTAL_MACHINE, REPORT_TARGET_RAPL, NULL, PART_STATIC},
	{"wattribute_system_joules_total", "Energy outside of containers.", TOTAL_MACHINE,
	 REPORT_TARGET_SYSTEM, NULL, PART_ALL},
	{"wattribute_idle_joules_total", "Static energy that --static none assigns to no container.",
	 TOTAL_MACHINE, REPORT_TARGET_IDLE, NULL, PART_ALL},
	{"wattribute_image_joules_total",
	 "Energy of all containers of an image, including those that ended between two scrapes.", TOTAL_IMAGE,
	 NULL, "image", PART_ALL},
	{"wattribute_image_dynamic_joules_total", "The same without the static part.", TOTAL_IMAGE, NULL,
	 "image", PART_DYNAMIC},
	{"wattribute_namespace_joules_total",
	 "Energy of all containers of a Kubernetes namespace, including those that have ended.",
	 TOTAL_NAMESPACE, NULL, "namespace", PART_ALL},
	{"wattribute_namespace_dynamic_joules_total", "The same without the static part.", TOTAL_NAMESPACE,
	 NULL, "namespace", PART_DYNAMIC},
};

static void write_total(struct metrics_writer *writer, const struct total_family *family,
			const struct machine *machine, const struct total_addition *total)
{
	double value = family->part == PART_ALL       ? total->total_j
		       : family->part == PART_DYNAMIC ? total->dynamic_j
						      : total->total_j - total->dynamic_j;
	const char *labels[LABELS];
	char package[12];
	unsigned n = 0;

	(void)snprintf(package, sizeof(package), "%u", total->package);
	add_label(labels, &n, "machine", machine->name);
	if (family->label)
		add_label(labels, &n, family->label, total->name);
	add_label(labels, &n, "scope", report_scope_names[total->scope]);
	if (!family->label)
		add_label(labels, &n, "socket", package);
	metrics_counter(writer, labels, value > 0 ? value : 0, UNIT_S_OF_MS(total->time_ms));
}

static void write_total_family(struct metrics_writer *writer, const struct total_family *family,
			       const struct server *server)
{
	metrics_family(writer, METRICS_COUNTER, family->name, family->help);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		/* Totals of a sensor that has ended are kept, but shown only once it is back. */
		if (!machine->live.time_ms)
			continue;
		for (const struct total *total = machine->totals.entries; total; total = total->hh.next)
			if (total->sum.kind == family->kind && total->sum.scope < REPORT_SCOPES_ADDED &&
			    (!family->row || strcmp(total->sum.name, family->row) == 0))
				write_total(writer, family, machine, &total->sum);
	}
}

/* Counts of what was left out because of the limits on names. */
static void write_left_out(struct metrics_writer *writer, struct server *server)
{
	uint64_t names = 0;

	server->api->left_out += each_container(server, NULL, writer, NULL);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next)
		names += machine->totals.left_out;
	metrics_one(writer, METRICS_COUNTER, "wattribute_metrics_left_out_total",
		    "Containers left out of responses because of --metrics-limit, summed over all responses.",
		    (double)server->api->left_out);
	metrics_one(writer, METRICS_COUNTER, "wattribute_metrics_other_total",
		    "Additions to image and namespace totals that were counted under the name \"other\" "
		    "because a machine had too many names.",
		    (double)names);
}

void api_metrics_write_power(struct metrics_writer *writer, struct server *server)
{
	for (size_t i = 0; i < ARRAY_SIZE(total_families); i++)
		write_total_family(writer, &total_families[i], server);
	for (size_t i = 0; i < ARRAY_SIZE(row_families); i++)
		write_row_family(writer, &row_families[i], server);
	metrics_family(writer, METRICS_GAUGE, "wattribute_container_info",
		       "1; identifies a container by the labels that all container series have.");
	(void)each_container(server, write_container_info, writer, NULL);
	write_left_out(writer, server);
}
