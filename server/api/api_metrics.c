/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The content of /metrics: power (api_metrics_power.c), state of sensors and models, and the server's own
 * counters. docs/metrics.md is generated from it (scripts/metrics-doc.sh).
 */
#include "api/api_private.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "recap/recaps.h"
#include "base/unit.h"

#include <math.h>
#include <stdio.h>

struct counter_family {
	const char *name;
	const char *help;
	size_t offset; /* of a uint64_t in struct machine_counters */
};

#define N(field) offsetof(struct machine_counters, field)

static const struct counter_family counter_families[] = {
	{"wattribute_reports_total", "Distinct reports received.", N(documents)},
	{"wattribute_reports_bad_total", "Malformed documents.", N(bad)},
	{"wattribute_reports_late_total", "Reports that arrived after their tick was processed.", N(late)},
	{"wattribute_reports_duplicate_total", "Duplicate reports in a file.", N(duplicates)},
	{"wattribute_reports_renamed_total",
	 "Reports of containers named rapl, global, system or idle, which are renamed.", N(renamed)},
	{"wattribute_reports_missing_total", "Reports that a tick announced but that did not arrive.",
	 N(missing)},
	{"wattribute_ticks_total", "Ticks processed.", N(ticks)},
	{"wattribute_ticks_incomplete_total", "Ticks processed without all of their reports.", N(incomplete)},
	{"wattribute_ticks_skipped_total", "Ticks that the sensor numbered but that never arrived.",
	 N(skipped)},
	{"wattribute_ticks_overlapping_total",
	 "Ticks that overlap others: two sensors with one name, or a clock set back.", N(overlapping)},
	{"wattribute_ticks_unmeasured_total", "Ticks without any energy.", N(unmeasured)},
	{"wattribute_ticks_bridged_total", "Ticks whose energy also covers earlier ticks without energy.",
	 N(bridged)},
	{"wattribute_power_reports_total", "Power reports computed.", N(rows)},
	{"wattribute_power_reports_unwritable_total", "Power reports that were not a number.", N(unwritable)},
	{"wattribute_degraded_total",
	 "Times that modelled watts were unusable and a socket's power was divided by CPU time.",
	 N(degraded)},
};

static void write_counters(struct metrics_writer *writer, const struct server *server)
{
	for (size_t i = 0; i < ARRAY_SIZE(counter_families); i++) {
		const struct counter_family *family = &counter_families[i];

		metrics_family(writer, METRICS_COUNTER, family->name, family->help);
		for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
			const char *labels[] = {"machine", machine->name, NULL};
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
			unsigned socket = i / REPORT_SCOPES;
			const struct formula_state state =
				machine_describe(machine, (enum report_scope)(i % REPORT_SCOPES), socket);
			char package[12];
			const char *labels[] = {
				"machine", machine->name, "scope",   report_scope_names[i % REPORT_SCOPES],
				"socket",  package,       "formula", machine->config->ops->name,
				NULL};

			(void)snprintf(package, sizeof(package), "%u", machine->live.packages[socket]);
			if (!error)
				metrics_sample(writer, labels, (double)state.samples);
			else if (isfinite(state.error_w))
				metrics_sample(writer, labels, state.error_w);
		}
	}
}

/* What is known of each sensor at present. */
static void write_sensors(struct metrics_writer *writer, const struct server *server)
{
	static const struct {
		enum metrics_type type;
		const char *name, *help;
	} families[] = {
		{METRICS_GAUGE, "wattribute_lag_seconds", "Age of the last processed tick."},
		{METRICS_GAUGE, "wattribute_ticks_waiting", "Ticks waiting for reports."},
		{METRICS_GAUGE, "wattribute_sensor_lost",
		 "Losses that the sensor has reported since its start, by cause."},
		{METRICS_GAUGE, "wattribute_estimated",
		 "1 if the machine's energy is modelled, not measured."},
		{METRICS_COUNTER, "wattribute_sensor_lost_cpu_seconds_total",
		 "CPU time that the sensor could not attribute to any cgroup."},
	};

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		metrics_family(writer, families[i].type, families[i].name, families[i].help);
		for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
			const char *labels[] = {"machine", machine->name, NULL};
			const double values[ARRAY_SIZE(families)] = {
				api_age_s(machine),
				join_pending(machine->join),
				machine->time_ms == INT64_MIN ? NAN : (double)machine->n.sensor_lost,
				machine->live.time_ms ? machine->live.estimated : NAN,
				machine->n.lost_cpu_s,
			};

			if (!isnan(values[i]))
				metrics_sample(writer, labels, values[i]);
		}
	}
}

static void write_store(struct metrics_writer *writer, const struct server *server)
{
	const struct store_statistics *statistics = db_client_statistics(server->output);
	const struct input_statistics *input = input_get_statistics(server->input);
	const struct recaps_statistics *recaps = recaps_get_statistics(server->recaps);

	metrics_one(writer, METRICS_COUNTER, "wattribute_store_written_total", "Documents stored.",
		    (double)statistics->appended);
	metrics_one(writer, METRICS_COUNTER, "wattribute_store_duplicates_total",
		    "Documents that were already stored.", (double)statistics->duplicates);
	metrics_one(writer, METRICS_COUNTER, "wattribute_store_dropped_total",
		    "Documents that the store refused permanently.", (double)statistics->dropped);
	metrics_one(writer, METRICS_GAUGE, "wattribute_store_queue_bytes", "Bytes waiting to be written.",
		    (double)db_client_queued_bytes(server->output));
	metrics_one(writer, METRICS_GAUGE, "wattribute_store_waiting_requests",
		    "Requests waiting for the store's answer.", db_client_waiting(server->output));
	metrics_one(writer, METRICS_GAUGE, "wattribute_store_away", "1 while the store does not answer.",
		    server->away);
	metrics_one(writer, METRICS_GAUGE, "wattribute_standby",
		    "1 while another server writes to the store and this one waits.", server->standby);
	metrics_one(writer, METRICS_COUNTER, "wattribute_store_troubles_total",
		    "Times that the store did not answer.", (double)server->n.troubles);
	metrics_one(writer, METRICS_COUNTER, "wattribute_reads_total", "Answers to requests for reports.",
		    (double)input->reads);
	metrics_one(writer, METRICS_COUNTER, "wattribute_reads_failed_total",
		    "Requests for reports that were answered with an error.", (double)input->failed);
	metrics_one(writer, METRICS_COUNTER, "wattribute_lines_damaged_total",
		    "Malformed lines skipped in files.", (double)input->damaged);
	metrics_one(writer, METRICS_COUNTER, "wattribute_reads_paused_total",
		    "Reads postponed because writing lagged.", (double)input->paused);
	metrics_one(writer, METRICS_COUNTER, "wattribute_recaps_total", "Recaps written.",
		    (double)recaps->made);
	metrics_one(writer, METRICS_COUNTER, "wattribute_recaps_failed_total",
		    "Recaps that could not be written.", (double)recaps->failed);
	metrics_one(writer, METRICS_GAUGE, "wattribute_recaps_waiting", "Recaps waiting for their last tick.",
		    (double)recaps->waiting);
}

static void write_infos(struct metrics_writer *writer, const struct server *server)
{
	const char *const build[] = {"version", WATTRIBUTE_VERSION, "formula", server->config->ops->name,
				     NULL};

	metrics_family(writer, METRICS_GAUGE, "wattribute_build_info",
		       "1; the server's version and formula are in the labels.");
	metrics_sample(writer, build, 1);
	metrics_family(writer, METRICS_GAUGE, "wattribute_sensor_info",
		       "1; a machine's measurement sources, sensor version and processor are in the labels.");
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		const char *labels[] = {"machine",
					machine->name,
					"sensor",
					machine->sensor,
					"energy_source",
					machine->energy_source,
					"activity_source",
					machine->activity_source,
					"cpu_model",
					machine->cpu_model,
					"sensor_version",
					machine->version,
					NULL};

		metrics_sample(writer, labels, 1);
	}
}

static void write_all(void *data, struct metrics_writer *writer)
{
	const uint64_t begun_ns = clock_monotonic_ns();
	struct server *server = data;
	const struct http_statistics *http = http_get_statistics(server->api->http);

	write_infos(writer, server);
	api_metrics_write_power(writer, server);
	write_counters(writer, server);
	write_models(writer, server, true);
	write_models(writer, server, false);
	write_sensors(writer, server);
	write_store(writer, server);
	metrics_one(writer, METRICS_COUNTER, "wattribute_http_requests_total", "Requests.",
		    (double)http->requests);
	metrics_one(writer, METRICS_COUNTER, "wattribute_http_crowded_total",
		    "Connections closed because too many sent no complete request or left answers unread.",
		    (double)http->crowded);
	api_metrics_write_process(writer, server);
	metrics_one(writer, METRICS_GAUGE, "wattribute_scrape_duration_seconds",
		    "Time taken to produce this response.", UNIT_S_OF_NS(clock_monotonic_ns() - begun_ns));
}

int api_metrics_register(struct metrics *metrics, struct server *server)
{
	return metrics_collect(metrics, write_all, server);
}
