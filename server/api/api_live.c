/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/live: one machine's last tick in few bytes, for a page that polls every second. Targets are sent
 * as numbers; each client gets the meaning of a number once.
 */
#include "api/api_private.h"
#include "base/text.h"

#include <math.h>

/* Watts and joules of a target in one row of numbers: 0.1 mW and 1 mJ are precise enough for readers. */
static json_t *rounded(double value, double unit)
{
	return isfinite(value) ? json_real(round(value / unit) * unit) : json_null();
}

static double or_zero(double value)
{
	return isnan(value) ? 0 : value;
}

/* Only scopes that add up are shown: GPUs only if there are any. */
static int n_shown(const struct live *live)
{
	return live->has_gpus ? REPORT_SCOPES_ADDED : REPORT_SCOPES;
}

static json_t *numbers_json(const struct live *live, const struct live_target *target)
{
	json_t *list = json_array();

	(void)json_array_append_new(list, json_integer((json_int_t)target->number));
	(void)json_array_append_new(list, rounded(or_zero(LIVE_SUM(target, -1, true, dynamic_w)), 1e-4));
	(void)json_array_append_new(list, rounded(or_zero(LIVE_SUM(target, -1, true, static_w)), 1e-4));
	(void)json_array_append_new(list, rounded(or_zero(LIVE_SUM(target, -1, false, total_j)), 1e-3));
	for (int scope = 0; scope < n_shown(live); scope++)
		(void)json_array_append_new(list, rounded(LIVE_SUM(target, scope, true, power_w), 1e-4));
	return list;
}

static json_t *description_json(const struct machine *machine, const struct live_target *target)
{
	const struct known_target *known = known_find(&machine->known, target->name);
	json_t *value = json_pack("{sI ss ss}", "number", (json_int_t)target->number, "target", target->name,
				  "container_id", target->container_id);

	api_describe(value, known);
	return value;
}

/* The sums of measured watts or of errors, by scope. */
static json_t *machine_json(const struct live *live, const struct live_target *target)
{
	json_t *value = json_object();

	for (int scope = 0; scope < (target ? n_shown(live) : REPORT_SCOPES); scope++) {
		double watts = target ? LIVE_SUM(target, scope, true, power_w)
				      : live_sum_errors(live, (unsigned)scope);

		(void)json_object_set_new(value, report_scope_names[scope], rounded(watts, 1e-4));
	}
	return value;
}

static void add_targets(json_t *value, const struct machine *machine, uint64_t known_number)
{
	json_t *rows = json_array(), *descriptions = json_array(), *errors = json_array();

	for (const struct live_target *target = machine->live.targets; target; target = target->hh.next) {
		if (target->last_ms != machine->live.time_ms || live_is_machine(target))
			continue;
		(void)json_array_append_new(rows, numbers_json(&machine->live, target));
		(void)json_array_append_new(errors, rounded(live_sum_sd_w(target), 1e-4));
		if (target->number > known_number)
			(void)json_array_append_new(descriptions, description_json(machine, target));
	}
	(void)json_object_set_new(value, "targets", rows);
	(void)json_object_set_new(value, "sd", errors);
	(void)json_object_set_new(value, "descriptions", descriptions);
	(void)json_object_set_new(value, "known", json_integer((json_int_t)machine->live.n_added));
}

static uint64_t number_parameter(struct http_request *request, const char *name)
{
	const char *text = http_request_parameter(request, name);
	uint64_t number = 0;

	return text && text_parse_u64(text, &number) == 0 ? number : 0;
}

void api_get_live(struct http_request *request, void *data)
{
	const struct machine *machine = api_find_parameter(data, request, "sensor", NULL);
	const struct live *live;
	const struct live_target *measured;
	json_t *value, *scopes;

	if (!machine)
		return;
	scopes = json_array();
	live = &machine->live;
	for (int scope = 0; scope < n_shown(live); scope++)
		(void)json_array_append_new(scopes, json_string(report_scope_names[scope]));
	value = json_pack("{ss so sI sf sb ss}", "sensor", machine->name, "scopes", scopes, "timestamp",
			  (json_int_t)live->time_ms, "interval",
			  isfinite(live->interval_s) ? live->interval_s : 0, "estimated", live->estimated,
			  "energy_source", machine->energy_source);
	measured = live_find(live, REPORT_TARGET_RAPL);
	if (value && live->time_ms != 0 && (uint64_t)live->time_ms != number_parameter(request, "since")) {
		(void)json_object_set_new(value, "measured",
					  measured ? machine_json(live, measured) : json_object());
		(void)json_object_set_new(value, "error", machine_json(live, NULL));
		add_targets(value, machine, number_parameter(request, "known"));
	}
	api_answer_json(request, 200, value);
}
