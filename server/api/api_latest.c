/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The present state, for the client and for pages: GET /api/latest and /api/sensors.
 */
#include "api/api_private.h"
#include "base/clock.h"

#include <math.h>

/* Watts of a target in a scope, its sockets added up; NAN: it has none in the last tick. */
static double sum_rows(const struct live_target *target, unsigned scope,
		       double (*pick)(const struct live_row *row), bool present)
{
	double sum = NAN;

	for (unsigned i = 0; i < target->n_sockets; i++) {
		const struct live_row *row = &target->rows[i * REPORT_SCOPES + scope];
		double value = pick(row);

		if ((!present || row->present) && isfinite(value))
			sum = isnan(sum) ? value : sum + value;
	}
	return sum;
}

static double pick_power(const struct live_row *row)
{
	return row->power_w;
}

static double pick_dynamic(const struct live_row *row)
{
	return row->dynamic_w;
}

static double pick_static(const struct live_row *row)
{
	return row->static_w;
}

static double pick_total(const struct live_row *row)
{
	return row->total_j > 0 ? row->total_j : NAN;
}

static double sum_scopes(const struct live_target *target, double (*pick)(const struct live_row *row),
			 bool present)
{
	double sum = NAN;

	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		double value = sum_rows(target, scope, pick, present);

		if (!isnan(value))
			sum = isnan(sum) ? value : sum + value;
	}
	return sum;
}

/* Standard deviation of all its watts together; sockets and scopes err independently. */
static double sd_of(const struct live_target *target)
{
	double sum = NAN;

	for (unsigned i = 0; i < target->n_sockets * REPORT_SCOPES; i++) {
		const struct live_row *row = &target->rows[i];

		if (row->present && isfinite(row->sd_w))
			sum = hypot(isnan(sum) ? 0 : sum, row->sd_w);
	}
	return sum;
}

static json_t *target_json(const struct machine *machine, const struct live_target *target)
{
	const struct known_target *known =
		known_find_container(&machine->known, target->name, target->container_id);
	const struct live *live = &machine->live;
	bool present = target->last_ms == live->time_ms;
	json_t *value = json_pack("{ss ss?}", "target", target->name, "container_id",
				  target->container_id[0] ? target->container_id : NULL);

	if (!value)
		return NULL;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		(void)json_object_set_new(
			value, report_scope_names[scope],
			api_number(present ? sum_rows(target, scope, pick_power, true) : NAN));
	(void)json_object_set_new(value, "dynamic",
				  api_number(present ? sum_scopes(target, pick_dynamic, true) : NAN));
	(void)json_object_set_new(value, "static",
				  api_number(present ? sum_scopes(target, pick_static, true) : NAN));
	(void)json_object_set_new(value, "sd", api_number(present ? sd_of(target) : NAN));
	(void)json_object_set_new(value, "energy_j", api_number(sum_scopes(target, pick_total, false)));
	(void)json_object_set_new(value, "age", api_number((double)(live->time_ms - target->last_ms) / 1000));
	if (known)
		(void)json_object_update_new(value, json_pack("{ss ss ss ss}", "runtime",
							      known_text(known, KNOWN_RUNTIME), "image",
							      known_text(known, KNOWN_IMAGE), "pod",
							      known_text(known, KNOWN_POD), "namespace",
							      known_text(known, KNOWN_NAMESPACE)));
	return value;
}

/* {"cpu": …, "dram": …}: a row's figure by scope. */
static json_t *scopes_json(const struct live_target *target)
{
	json_t *value = json_object();

	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		(void)json_object_set_new(
			value, report_scope_names[scope],
			api_number(target ? sum_rows(target, scope, pick_power, true) : NAN));
	return value;
}

/* Mean recent error by scope: the sockets' errors added up, as their watts are. */
static json_t *errors_json(const struct live *live)
{
	json_t *value = json_object();

	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		double sum = NAN;

		for (unsigned i = 0; i < live->n_sockets; i++) {
			double error_w = live->error_w[scope][i];

			if (isfinite(error_w))
				sum = isnan(sum) ? error_w : sum + error_w;
		}
		(void)json_object_set_new(value, report_scope_names[scope], api_number(sum));
	}
	return value;
}

static bool is_reserved(const char *name)
{
	return strcmp(name, REPORT_TARGET_RAPL) == 0 || strcmp(name, REPORT_TARGET_GLOBAL) == 0;
}

static json_t *targets_json(const struct machine *machine)
{
	json_t *targets = json_array();

	for (const struct live_target *target = machine->live.targets; target; target = target->hh.next) {
		if (!is_reserved(target->name))
			(void)json_array_append_new(targets, target_json(machine, target));
	}
	return targets;
}

static json_t *head_json(const struct machine *machine)
{
	struct formula_state state = {.error_w = NAN};
	int64_t now_ms = clock_realtime_ms();
	json_t *value;

	if (machine->config->ops->describe)
		machine->config->ops->describe(machine->formula, REPORT_SCOPE_CPU, 0, &state);
	value = json_pack("{ss ss ss ss ss sI}", "sensor", machine->name, "energy_source",
			  machine->energy_source, "activity_source", machine->activity_source, "formula",
			  machine->config->ops->name, "model", state.text, "samples",
			  (json_int_t)state.samples);
	if (!value)
		return NULL;
	(void)json_object_set_new(value, "timestamp", json_integer(machine->time_ms));
	(void)json_object_set_new(value, "age", api_number((double)(now_ms - machine->time_ms) / 1000));
	(void)json_object_set_new(value, "interval", api_number(machine->live.interval_s));
	(void)json_object_set_new(value, "estimated", json_boolean(machine->live.estimated));
	(void)json_object_set_new(value, "fitted", json_boolean(isfinite(state.error_w)));
	(void)json_object_set_new(value, "measured",
				  scopes_json(live_find(&machine->live, REPORT_TARGET_RAPL)));
	(void)json_object_set_new(value, "predicted",
				  scopes_json(live_find(&machine->live, REPORT_TARGET_GLOBAL)));
	(void)json_object_set_new(value, "error", errors_json(&machine->live));
	return value;
}

void api_get_latest(struct http_request *request, void *data)
{
	struct api *api = data;
	const char *wanted = http_request_parameter(request, "sensor");
	json_t *sensors = json_array();

	for (const struct machine *machine = api->server->machines; machine; machine = machine->hh.next) {
		json_t *value;

		if (machine->live.time_ms == 0 || (wanted && strcmp(wanted, machine->name) != 0))
			continue;
		value = head_json(machine);
		(void)json_object_set_new(value, "targets", targets_json(machine));
		(void)json_array_append_new(sensors, value);
	}
	api_answer_json(request, 200, json_pack("{so}", "sensors", sensors));
}

static json_t *counters_json(const struct machine *machine)
{
	const struct machine_counters *n = &machine->n;

	return json_pack("{sI sI sI sI sI sI sI sI sI sI sI sI si}", "reports", (json_int_t)n->documents,
			 "ticks", (json_int_t)n->ticks, "power_reports", (json_int_t)n->rows, "incomplete",
			 (json_int_t)n->incomplete, "missing", (json_int_t)n->missing, "late",
			 (json_int_t)n->late, "bad", (json_int_t)n->bad, "twice", (json_int_t)n->duplicates,
			 "unmeasured", (json_int_t)n->unmeasured, "bridged", (json_int_t)n->bridged,
			 "degraded", (json_int_t)n->degraded, "sensor_lost", (json_int_t)n->sensor_lost,
			 "waiting", (int)join_pending(machine->join));
}

void api_get_sensors(struct http_request *request, void *data)
{
	struct api *api = data;
	json_t *sensors = json_array();

	for (const struct machine *machine = api->server->machines; machine; machine = machine->hh.next) {
		bool any = machine->time_ms != INT64_MIN;
		int64_t now_ms = clock_realtime_ms();
		struct formula_state state = {.error_w = NAN};
		json_t *value;

		if (machine->config->ops->describe)
			machine->config->ops->describe(machine->formula, REPORT_SCOPE_CPU, 0, &state);
		value = json_pack("{ss ss ss ss so}", "sensor", machine->name, "collection", machine->reports,
				  "formula", machine->config->ops->name, "model", state.text, "counts",
				  counters_json(machine));
		(void)json_object_set_new(value, "error", api_number(state.error_w));
		(void)json_object_set_new(value, "timestamp",
					  any ? json_integer(machine->time_ms) : json_null());
		(void)json_object_set_new(value, "lag",
					  api_number(any ? (double)(now_ms - machine->time_ms) / 1000 : NAN));
		(void)json_array_append_new(sensors, value);
	}
	api_answer_json(request, 200, json_pack("{so}", "sensors", sensors));
}
