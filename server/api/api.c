/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes, and the answers that need no file of their own.
 */
#include "api/api_private.h"

#include "api/api.h"
#include "base/log.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define API_CONNECTIONS 512
#define API_RESERVE     64 /* left for others, and for those that do not wait */

static void get_metrics(struct http_request *request, void *data)
{
	struct api *api = data;
	size_t length;
	char *text = metrics_write(api->metrics, &length);

	if (text)
		http_answer(request, 200, METRICS_CONTENT_TYPE, text, length);
	else
		http_answer_error(request, 500, "out of memory for the metrics");
	free(text);
}

static void get_health(struct http_request *request, void *data)
{
	const struct server *server = ((struct api *)data)->server;
	json_t *value;

	if (server->away || !server->started) {
		value = json_pack("{ss ss}", "status", "waiting for the store", "reason", server->away_why);
		api_answer_json(request, 503, value);
		return;
	}
	value = json_pack("{ss si}", "status", "ok", "sensors", (int)HASH_COUNT(server->machines));
	api_answer_json(request, 200, value);
}

static const struct http_route routes[] = {
	{"GET", "/metrics", get_metrics},
	{"GET", "/healthz", get_health},
	{"GET", "/api/latest", api_get_latest},
	{"GET", "/api/sensors", api_get_sensors},
	{"GET", "/api/recaps", api_get_recaps},
	{"GET", "/{database}/{machine}/recaps", api_get_machine_recaps},
	{"GET", "/api/machines", api_get_machines},
	{"GET", "/api/target", api_get_target},
	{"GET", "/api/live", api_get_live},
	{"GET", "/api/history", api_get_history},
	{"GET", "/", api_get_root},
	{"GET", "/page/{file}", api_get_page},
	{"GET", "/*", api_get_root},
	{"POST", "/{database}/{machine}", api_post_recap},
};

int api_start(struct server *server)
{
	static const char *const open_patterns[] = {"/healthz", "/", "/page/{file}", NULL};
	struct http_options options = {
		.address = server->config->address,
		.port = server->config->port,
		.token = server->config->token,
		.hosts = server->config->hosts,
		.open_patterns = open_patterns,
		/* Many machines' runs may wait at once, all behind one address (a bridge, a gateway). */
		.connections = API_CONNECTIONS,
		.per_address = API_CONNECTIONS - API_RESERVE,
		.waiting = API_CONNECTIONS - 2 * API_RESERVE,
	};
	struct api *api = calloc(1, sizeof(*api));
	struct reason why = {""};
	int r = -ENOMEM;

	if (!api)
		return r;
	server->api = api;
	api->server = server;
	api->metrics = metrics_new();
	if (api->metrics)
		r = api_metrics_register(api->metrics, server);
	if (r == 0)
		r = http_start(server->loop.ev, &options, routes, sizeof(routes) / sizeof(routes[0]), api,
			       &api->http, &why);
	if (r < 0) {
		log_error("http", why.text[0] ? 0 : r, "%s",
			  why.text[0] ? why.text : "cannot answer requests");
		return r;
	}
	log_info("http", 0, "listening on %s, port %u", server->config->address, http_port(api->http));
	return 0;
}

void api_stop(struct server *server)
{
	if (!server->api)
		return;
	http_stop(server->api->http);
	metrics_free(server->api->metrics);
	free(server->api);
	server->api = NULL;
}
