/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of /metrics: watts and joules of each target, and the server's own counters. Joules are
 * counters since the server's start (their rate() is watts); do not add up overlapping scopes.
 */
#include "api/api_private.h"
#include "base/clock.h"
#include "recap/recaps.h"

#include <math.h>
#include <stdio.h>

/* One family of samples with a row of some targets for each scope and socket. */
struct row_family {
	enum metrics_type type;
	const char *name;
	const char *help;
	double (*pick)(const struct live_row *row);
	bool current;       /* only rows of the last tick */
	const char *target; /* a reserved one; NULL: containers */
};

static double pick_total(const struct live_row *row)
{
	return row->total_j;
}

static double pick_dynamic_total(const struct live_row *row)
{
	return row->total_dynamic_j;
}

static double pick_power(const struct live_row *row)
{
	return row->power_w;
}

static double pick_dynamic(const struct live_row *row)
{
	return row->dynamic_w;
}

static double pick_sd(const struct live_row *row)
{
	return row->sd_w;
}

static const struct row_family row_families[] = {
	{METRICS_COUNTER, "wattribute_container_joules_total",
	 "Energy of a container since the server's start, static part as --static says.", pick_total, false,
	 NULL},
	{METRICS_COUNTER, "wattribute_container_dynamic_joules_total",
	 "Energy of a container since the server's start without the static part.", pick_dynamic_total, false,
	 NULL},
	{METRICS_GAUGE, "wattribute_container_watts", "Power of a container in the last tick.", pick_power,
	 true, NULL},
	{METRICS_GAUGE, "wattribute_container_dynamic_watts",
	 "Power of a container in the last tick without the static part.", pick_dynamic, true, NULL},
	{METRICS_GAUGE, "wattribute_container_sd_watts",
	 "How sure the model is of a container's power in the last tick: its standard deviation.", pick_sd,
	 true, NULL},
	{METRICS_COUNTER, "wattribute_machine_joules_total",
	 "Energy of the machine since the server's start, as measured.", pick_total, false,
	 REPORT_TARGET_RAPL},
	{METRICS_GAUGE, "wattribute_machine_watts", "Power of the machine in the last tick, as measured.",
	 pick_power, true, REPORT_TARGET_RAPL},
	{METRICS_COUNTER, "wattribute_system_joules_total",
	 "Energy outside of containers since the server's start.", pick_total, false, REPORT_TARGET_SYSTEM},
	{METRICS_GAUGE, "wattribute_system_watts", "Power outside of containers in the last tick.",
	 pick_power, true, REPORT_TARGET_SYSTEM},
	{METRICS_COUNTER, "wattribute_idle_joules_total", "Static energy that --static none gives to no one.",
	 pick_total, false, REPORT_TARGET_IDLE},
	{METRICS_GAUGE, "wattribute_predicted_watts",
	 "The model's prediction for the last tick, made before its energy was seen.", pick_power, true,
	 REPORT_TARGET_GLOBAL},
};

static void write_target(struct metrics_writer *writer, const struct row_family *family,
			 const struct machine *machine, const struct live_target *target)
{
	bool last = target->last_ms == machine->live.time_ms;

	for (unsigned i = 0; i < target->n_sockets * REPORT_SCOPES; i++) {
		const struct live_row *row = &target->rows[i];
		unsigned socket = i / REPORT_SCOPES;
		char package[12];
		const char *labels[] = {
			"sensor",
			machine->name,
			"scope",
			report_scope_names[i % REPORT_SCOPES],
			"socket",
			package,
			family->target ? NULL : "container_name",
			target->name,
			"container_id",
			target->container_id,
			NULL,
		};

		if (family->current ? !last || !row->present : !row->present && !(row->total_j > 0))
			continue;
		if (socket >= machine->live.n_sockets || !isfinite(family->pick(row)))
			continue;
		(void)snprintf(package, sizeof(package), "%u", machine->live.packages[socket]);
		metrics_sample(writer, labels, family->pick(row));
	}
}

static void write_family(struct metrics_writer *writer, const struct row_family *family,
			 const struct server *server)
{
	metrics_family(writer, family->type, family->name, family->help);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const struct live_target *target;

		if (family->target) {
			target = live_find(&machine->live, family->target);
			if (target)
				write_target(writer, family, machine, target);
			continue;
		}
		for (target = machine->live.targets; target; target = target->hh.next) {
			if (!report_target_is_row(target->name))
				write_target(writer, family, machine, target);
		}
	}
}

/* Who a container is, to be joined with by its name. */
static void write_info(struct metrics_writer *writer, const struct server *server)
{
	metrics_family(writer, METRICS_GAUGE, "wattribute_container_info",
		       "1; the properties of a container are in the labels.");
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const struct live_target *target = machine->live.targets;

		for (; target; target = target->hh.next) {
			const struct known_target *known =
				known_find_container(&machine->known, target->name, target->container_id);
			const char *labels[] = {"sensor",
						machine->name,
						"container_name",
						target->name,
						"container_id",
						target->container_id,
						"runtime",
						known_text(known, KNOWN_RUNTIME),
						"image",
						known_text(known, KNOWN_IMAGE),
						"pod",
						known_text(known, KNOWN_POD),
						"namespace",
						known_text(known, KNOWN_NAMESPACE),
						NULL};

			if (known)
				metrics_sample(writer, labels, 1);
		}
	}
}

struct counter_family {
	const char *name;
	const char *help;
	size_t offset; /* of a uint64_t in struct machine_counters */
};

#define COUNTER(name_, field, help_)                                                                         \
	{                                                                                                    \
		(name_), (help_), offsetof(struct machine_counters, field)                                   \
	}

static const struct counter_family counter_families[] = {
	COUNTER("wattribute_reports_total", documents, "Distinct reports received."),
	COUNTER("wattribute_reports_bad_total", bad, "Malformed documents."),
	COUNTER("wattribute_reports_late_total", late,
		"Reports that arrived after their tick was processed."),
	COUNTER("wattribute_reports_duplicate_total", duplicates, "Duplicate reports in a file."),
	COUNTER("wattribute_reports_renamed_total", renamed,
		"Reports of containers named rapl, global, system or idle, which get another name here."),
	COUNTER("wattribute_reports_missing_total", missing,
		"Reports that a tick announced but that did not arrive."),
	COUNTER("wattribute_ticks_total", ticks, "Ticks processed."),
	COUNTER("wattribute_ticks_incomplete_total", incomplete,
		"Ticks processed without all of their reports."),
	COUNTER("wattribute_ticks_skipped_total", skipped,
		"Ticks that the sensor numbered but that never arrived."),
	COUNTER("wattribute_ticks_overlapping_total", overlapping,
		"Ticks that overlap others: two sensors with one name, or a clock set back."),
	COUNTER("wattribute_ticks_unmeasured_total", unmeasured, "Ticks without any energy."),
	COUNTER("wattribute_ticks_bridged_total", bridged,
		"Ticks whose energy also covers earlier ticks without energy."),
	COUNTER("wattribute_power_reports_total", rows, "Power reports computed."),
	COUNTER("wattribute_power_reports_unwritable_total", unwritable,
		"Power reports that were not a number."),
	COUNTER("wattribute_degraded_total", degraded,
		"Times that modelled watts were unusable and a socket was divided by CPU time."),
};

static void write_counters(struct metrics_writer *writer, const struct server *server)
{
	for (size_t i = 0; i < sizeof(counter_families) / sizeof(counter_families[0]); i++) {
		const struct counter_family *family = &counter_families[i];

		metrics_family(writer, METRICS_COUNTER, family->name, family->help);
		for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
			const char *labels[] = {"sensor", machine->name, NULL};
			const uint64_t *value =
				(const uint64_t *)(const void *)((const char *)&machine->n + family->offset);

			metrics_sample(writer, labels, (double)*value);
		}
	}
}

static void write_models(struct metrics_writer *writer, const struct server *server, bool error)
{
	if (error)
		metrics_family(writer, METRICS_GAUGE, "wattribute_model_error_watts",
			       "Mean absolute error of the model's recent predictions.");
	else
		metrics_family(writer, METRICS_GAUGE, "wattribute_model_samples",
			       "Ticks that the model has learnt from.");
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		for (unsigned i = 0; i < machine->live.n_sockets * REPORT_SCOPES; i++) {
			struct formula_state state = {.error_w = NAN};
			unsigned socket = i / REPORT_SCOPES;
			char package[12];
			const char *labels[] = {
				"sensor", machine->name, "scope",   report_scope_names[i % REPORT_SCOPES],
				"socket", package,       "formula", machine->config->ops->name,
				NULL};

			(void)snprintf(package, sizeof(package), "%u", machine->live.packages[socket]);
			if (machine->config->ops->describe)
				machine->config->ops->describe(machine->formula,
							       (enum report_scope)(i % REPORT_SCOPES), socket,
							       &state);
			if (!error)
				metrics_sample(writer, labels, (double)state.samples);
			else if (isfinite(state.error_w))
				metrics_sample(writer, labels, state.error_w);
		}
	}
}

/* Metrics of the present state of each sensor. */
static void write_sensors(struct metrics_writer *writer, const struct server *server, int what)
{
	static const char *const names[][2] = {
		{"wattribute_lag_seconds", "Age of the last processed tick."},
		{"wattribute_ticks_waiting", "Ticks waiting for reports."},
		{"wattribute_sensor_lost",
		 "Losses since its start that the sensor itself reports, by cause."},
		{"wattribute_estimated", "1 if the machine's energy is modelled, not measured."},
	};
	int64_t now_ms = clock_realtime_ms();

	metrics_family(writer, METRICS_GAUGE, names[what][0], names[what][1]);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const char *labels[] = {"sensor", machine->name, NULL};
		const double values[] = {
			(double)(now_ms - machine->time_ms) / 1000,
			join_pending(machine->join),
			(double)machine->n.sensor_lost,
			machine->live.estimated,
		};

		if (what == 3 && !machine->live.time_ms)
			continue;
		if (machine->time_ms != INT64_MIN || what == 1)
			metrics_sample(writer, labels, values[what]);
	}
}

static void write_lost_time(struct metrics_writer *writer, const struct server *server)
{
	metrics_family(writer, METRICS_COUNTER, "wattribute_sensor_lost_cpu_seconds_total",
		       "CPU time that the sensor could attribute to no cgroup.");
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const char *labels[] = {"sensor", machine->name, NULL};

		metrics_sample(writer, labels, machine->n.lost_cpu_s);
	}
}

static void write_one(struct metrics_writer *writer, enum metrics_type type, const char *name,
		      const char *help, double value)
{
	metrics_family(writer, type, name, help);
	metrics_sample(writer, NULL, value);
}

static void write_store(struct metrics_writer *writer, const struct server *server)
{
	const struct store_statistics *statistics = db_client_statistics(server->output);
	const struct input_statistics *input = input_get_statistics(server->input);
	const struct recaps_statistics *recaps = recaps_get_statistics(server->recaps);

	write_one(writer, METRICS_COUNTER, "wattribute_store_written_total", "Documents stored.",
		  (double)statistics->appended);
	write_one(writer, METRICS_COUNTER, "wattribute_store_duplicates_total",
		  "Documents that were already stored.", (double)statistics->duplicates);
	write_one(writer, METRICS_COUNTER, "wattribute_store_dropped_total",
		  "Documents that the store refused for good.", (double)statistics->dropped);
	write_one(writer, METRICS_GAUGE, "wattribute_store_queue_bytes", "Bytes waiting to be written.",
		  (double)db_client_queued_bytes(server->output));
	write_one(writer, METRICS_GAUGE, "wattribute_store_waiting_requests",
		  "Requests waiting for the store's answer.", db_client_waiting(server->output));
	write_one(writer, METRICS_GAUGE, "wattribute_store_away", "1 while the store does not answer.",
		  server->away);
	write_one(writer, METRICS_COUNTER, "wattribute_store_troubles_total",
		  "Times that the store did not answer.", (double)server->n.troubles);
	write_one(writer, METRICS_COUNTER, "wattribute_reads_total", "Answers to requests for reports.",
		  (double)input->reads);
	write_one(writer, METRICS_COUNTER, "wattribute_reads_failed_total",
		  "Answers to requests for reports that were refusals.", (double)input->failed);
	write_one(writer, METRICS_COUNTER, "wattribute_lines_damaged_total",
		  "Malformed lines of files that were skipped.", (double)input->damaged);
	write_one(writer, METRICS_COUNTER, "wattribute_reads_paused_total",
		  "Reads postponed because writing lagged.", (double)input->paused);
	write_one(writer, METRICS_COUNTER, "wattribute_recaps_total", "Recaps written.",
		  (double)recaps->made);
	write_one(writer, METRICS_COUNTER, "wattribute_recaps_failed_total",
		  "Recaps that could not be written.", (double)recaps->failed);
	write_one(writer, METRICS_GAUGE, "wattribute_recaps_waiting", "Recaps waiting for their last tick.",
		  (double)recaps->waiting);
}

static void write_all(void *data, struct metrics_writer *writer)
{
	static const char *const build[] = {"version", WATTRIBUTE_VERSION, NULL};
	const struct server *server = data;
	const struct http_statistics *http = http_get_statistics(server->api->http);

	metrics_family(writer, METRICS_GAUGE, "wattribute_build_info", "1; the version is in the label.");
	metrics_sample(writer, build, 1);
	for (size_t i = 0; i < sizeof(row_families) / sizeof(row_families[0]); i++)
		write_family(writer, &row_families[i], server);
	write_info(writer, server);
	write_counters(writer, server);
	write_models(writer, server, true);
	write_models(writer, server, false);
	for (int what = 0; what < 4; what++)
		write_sensors(writer, server, what);
	write_lost_time(writer, server);
	write_store(writer, server);
	write_one(writer, METRICS_COUNTER, "wattribute_http_requests_total", "Requests.",
		  (double)http->requests);
}

int api_metrics_register(struct metrics *metrics, struct server *server)
{
	return metrics_collect(metrics, write_all, server);
}
