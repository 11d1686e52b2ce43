/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The present state, for the client and for pages: GET /api/latest and /api/sensors.
 */
#include "api/api_private.h"
#include "base/unit.h"

#include <math.h>

/* "cpu" and "dram" always, other scopes if the machine has them; NULL: nothing is known. */
static void set_scopes(json_t *value, const struct live_target *target)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		const double watts = target ? LIVE_SUM(target, (int)scope, true, power_w) : NAN;

		if (scope < REPORT_SCOPES || !isnan(watts))
			api_set(value, report_scope_names[scope], watts);
	}
}

static json_t *target_json(const struct machine *machine, const struct live_target *target)
{
	const struct known_target *known =
		known_find_container(&machine->known, target->name, target->container_id);
	const struct live *live = &machine->live;
	bool present = target->last_ms == live->time_ms;
	double energy_j = LIVE_SUM(target, -1, false, total_j);
	json_t *value = json_pack("{ss ss?}", "target", target->name, "container_id",
				  target->container_id[0] ? target->container_id : NULL);

	if (!value)
		return NULL;
	set_scopes(value, present ? target : NULL);
	api_set(value, "dynamic", present ? LIVE_SUM(target, -1, true, dynamic_w) : NAN);
	api_set(value, "static", present ? LIVE_SUM(target, -1, true, static_w) : NAN);
	api_set(value, "sd", present ? live_sum_sd_w(target) : NAN);
	api_set(value, "energy_j", energy_j > 0 ? energy_j : NAN);
	api_set(value, "age", UNIT_S_OF_MS(live->time_ms - target->last_ms));
	api_describe(value, known);
	return value;
}

/* {"cpu": …, "dram": …}: a row's figure by scope. */
static json_t *scopes_json(const struct live_target *target)
{
	json_t *value = json_object();

	set_scopes(value, target);
	return value;
}

/* Mean recent error by scope. */
static json_t *errors_json(const struct live *live)
{
	json_t *value = json_object();

	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		api_set(value, report_scope_names[scope], live_sum_errors(live, scope));
	return value;
}

static json_t *targets_json(const struct machine *machine)
{
	json_t *targets = json_array();

	for (const struct live_target *target = machine->live.targets; target; target = target->hh.next) {
		if (!live_is_machine(target))
			(void)json_array_append_new(targets, target_json(machine, target));
	}
	return targets;
}

static json_t *head_json(const struct machine *machine)
{
	const struct formula_state state = machine_describe(machine, REPORT_SCOPE_CPU, 0);

	return json_pack("{ss ss ss ss ss sI sI so so sb sb so so so}", "sensor", machine->name,
			 "energy_source", machine->energy_source, "activity_source", machine->activity_source,
			 "formula", machine->config->ops->name, "model", state.text, "samples",
			 (json_int_t)state.samples, "timestamp", (json_int_t)machine->time_ms, "age",
			 api_number(api_age_s(machine)), "interval", api_number(machine->live.interval_s),
			 "estimated", machine->live.estimated, "fitted", isfinite(state.error_w) != 0,
			 "measured", scopes_json(live_find(&machine->live, REPORT_TARGET_RAPL)), "predicted",
			 scopes_json(live_find(&machine->live, REPORT_TARGET_GLOBAL)), "error",
			 errors_json(&machine->live));
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
		const struct formula_state state = machine_describe(machine, REPORT_SCOPE_CPU, 0);

		(void)json_array_append_new(
			sensors, json_pack("{ss ss ss ss so so so so}", "sensor", machine->name, "collection",
					   machine->reports, "formula", machine->config->ops->name, "model",
					   state.text, "counts", counters_json(machine), "error",
					   api_number(state.error_w), "timestamp",
					   any ? json_integer(machine->time_ms) : json_null(), "lag",
					   api_number(api_age_s(machine))));
	}
	api_answer_json(request, 200, json_pack("{so}", "sensors", sensors));
}
