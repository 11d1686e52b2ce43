/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/target: what the sensor wrote about one target (collection target<machine>), labels included; GET
 * /api/machines: the known machines; GET /<database>/<machine>: whether this is one of them.
 */
#include "api/api_private.h"
#include "document/collections.h"

#include <stdio.h>
#include <string.h>

static void answer_target(struct http_request *request, const struct batch *documents)
{
	size_t offset = 0;
	bson_t document;

	if (batch_next_bson(documents, &offset, &document))
		api_answer_json(request, 200, api_json_of_bson(&document));
	else
		http_answer_json(request, 200, "{}");
}

void api_get_target(struct http_request *request, void *data)
{
	const char *sensor = http_request_parameter(request, "sensor");
	char collection[COLLECTION_SIZE];
	struct store_query query = {.after_ms = INT64_MIN,
				    .until_ms = INT64_MAX,
				    .target = http_request_parameter(request, "target"),
				    .newest_first = true,
				    .limit = 1};

	if (!sensor || !sensor[0] || !query.target || !query.target[0]) {
		http_answer_error(request, 400,
				  "sensor or target is missing: /api/target?sensor=NAME&target=NAME");
		return;
	}
	if (!api_find_machine(data, request, NULL, sensor))
		return;
	query.collection = collection_compose(COLLECTION_TARGETS, sensor, collection);
	api_read(data, request, &query, "cannot read the description from the store", answer_target);
}

void api_get_machines(struct http_request *request, void *data)
{
	const struct server *server = ((struct api *)data)->server;
	json_t *machines = json_array();

	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next)
		(void)json_array_append_new(
			machines, json_pack("{ss ss sb sI}", "sensor", machine->name, "energy_source",
					    machine->energy_source, "estimated", machine->live.estimated,
					    "timestamp", (json_int_t)machine->live.time_ms));
	api_answer_json(request, 200,
			json_pack("{so sI}", "machines", machines, "retention",
				  (json_int_t)(server->config->retention_ms / 1000)));
}

void api_list_machines(const struct server *server, char *ret, size_t size)
{
	static const char more[] = " and 4294967295 more";
	size_t length = 0;
	unsigned n = 0, count = HASH_COUNT(server->machines);

	(void)snprintf(ret, size, "none yet");
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next, n++) {
		if (length + strlen(machine->name) + sizeof(more) + 2 > size)
			break;
		length += (size_t)snprintf(ret + length, size - length, "%s%s", n ? ", " : "", machine->name);
	}
	if (n < count)
		(void)snprintf(ret + length, size - length, "%s%u%s", n ? " and " : "", count - n,
			       n ? " more" : " with long names");
}

/* For tester.sh, before a run: is this machine measured here, and how? */
void api_get_machine(struct http_request *request, void *data)
{
	const char *database = http_request_part(request, 0);
	const struct machine *machine;

	if (strcmp(database, "api") == 0 || strcmp(database, "page") == 0) {
		api_get_root(request, data);
		return;
	}
	machine = api_find_machine(data, request, database, http_request_part(request, 1));
	if (!machine)
		return;
	api_answer_json(request, 200,
			json_pack("{ss ss ss ss sb so so}", "database", database, "sensor", machine->name,
				  "formula", machine->config->ops->name, "energy_source",
				  machine->energy_source, "estimated", machine->live.estimated, "age",
				  api_number(api_age_s(machine)), "interval",
				  api_number(machine->live.interval_s)));
}
