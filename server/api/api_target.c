/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/target: what the sensor wrote of one target (collection target<machine>), labels included; and
 * GET /api/machines and GET /<database>/<machine>: which machines there are, and whether this is one.
 */
#include "api/api_private.h"
#include "base/clock.h"
#include "document/collections.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void asker_gone(struct http_request *http, void *data)
{
	(void)http;
	*(struct http_request **)data = NULL;
}

static void target_answered(void *data, const struct db_answer *answer)
{
	struct http_request **asker = data;
	const uint8_t *bytes;
	size_t offset = 0, length;
	bson_t document;

	if (*asker && answer->result != STORE_OK)
		http_answer_error(*asker, 503, "the store gives no description: %s", answer->error);
	else if (*asker && batch_next(answer->documents, &offset, &bytes, &length) == 1 &&
		 bson_init_static(&document, bytes, length))
		api_answer_json(*asker, 200, api_json_of_bson(&document));
	else if (*asker)
		http_answer_json(*asker, 200, "{}");
	free(asker);
}

void api_get_target(struct http_request *request, void *data)
{
	struct api *api = data;
	const char *sensor = http_request_parameter(request, "sensor");
	const char *target = http_request_parameter(request, "target");
	struct store_query query = {
		.after_ms = INT64_MIN, .until_ms = INT64_MAX, .newest_first = true, .limit = 1};
	struct http_request **asker;
	char collection[COLLECTION_SIZE];

	if (!sensor || !sensor[0] || !target || !target[0]) {
		http_answer_error(request, 400,
				  "sensor or target is missing: /api/target?sensor=NAME&target=NAME");
		return;
	}
	if (!api_find_machine(api, request, NULL, sensor))
		return;
	asker = calloc(1, sizeof(struct http_request *));
	if (!asker) {
		http_answer_error(request, 500, "no memory");
		return;
	}
	*asker = request;
	query.collection = collection_compose(COLLECTION_TARGETS, sensor, collection);
	query.target = target;
	if (http_wait(request, asker_gone, asker) < 0) {
		free(asker);
	} else if (db_client_read(api->server->output, &query, target_answered, asker) < 0) {
		http_answer_error(request, 503, "the store does not answer");
		free(asker);
	}
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
	api_answer_json(request, 200, json_pack("{so}", "machines", machines));
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

/* For tester.sh, before a run: is a run of this machine measured here, and how? */
void api_get_machine(struct http_request *request, void *data)
{
	const char *database = http_request_part(request, 0);
	const struct machine *machine;
	json_t *value;

	if (strcmp(database, "api") == 0 || strcmp(database, "page") == 0) {
		api_get_root(request, data);
		return;
	}
	machine = api_find_machine(data, request, database, http_request_part(request, 1));
	if (!machine)
		return;
	value = json_pack("{ss ss ss ss sb}", "database", database, "sensor", machine->name, "formula",
			  machine->config->ops->name, "energy_source", machine->energy_source, "estimated",
			  machine->live.estimated);
	api_set(value, "age", api_age_s(machine));
	api_set(value, "interval", machine->live.interval_s);
	api_answer_json(request, 200, value);
}
