/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of routes, the small handlers that need no file of their own, and conversion of documents and
 * numbers to JSON.
 */
#include "api/api_private.h"
#include "api/api.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/reason.h"
#include "document/bson_json.h"
#include "http/web_config.h"
#include "base/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API_CONNECTIONS  512
#define API_RESERVE      64 /* reserved for other requests */
#define API_SAY_LOGIN_NS (60 * CLOCK_NS_PER_S)

static void get_metrics(struct http_request *request, void *data)
{
	struct api *api = data;
	size_t length;
	enum metrics_format format = metrics_accepted(http_request_header(request, "Accept"));
	char *text = metrics_write(api->metrics, format, &length);

	if (text)
		http_answer(request, 200, metrics_content_type(format), text, length);
	else
		http_answer_error(request, 500, "out of memory for the metrics");
	free(text);
}

static void get_health(struct http_request *request, void *data)
{
	const struct server *server = ((struct api *)data)->server;

	if (server->standby && !server->away)
		api_answer_json(
			request, 200,
			json_pack("{ss ss ss}", "status", "ok", "role", "standby", "writer", server->writer));
	else if (server->away || !server->started)
		api_answer_json(
			request, 503,
			json_pack("{ss ss}", "status", "waiting for the store", "reason", server->away_why));
	else
		api_answer_json(request, 200,
				json_pack("{ss ss si}", "status", "ok", "role", "writer", "sensors",
					  (int)HASH_COUNT(server->machines)));
}

static const struct http_route routes[] = {
	{"GET", "/metrics", get_metrics},
	{"GET", "/healthz", get_health},
	{"GET", "/api/latest", api_get_latest},
	{"GET", "/api/sensors", api_get_sensors},
	{"GET", "/api/recaps", api_get_recaps},
	{"GET", "/api/machines", api_get_machines},
	{"GET", "/api/target", api_get_target},
	{"GET", "/api/live", api_get_live},
	{"GET", "/api/history", api_get_history},
	{"GET", "/", api_get_root},
	{"GET", "/page/{file}", api_get_page},
	/* The first match counts, so patterns with names come after fixed paths. */
	{"GET", "/{database}/{machine}/recaps", api_get_machine_recaps},
	{"GET", "/{database}/{machine}", api_get_machine},
	{"GET", "/*", api_get_root},
	{"POST", "/{database}/{machine}", api_post_recap},
};

/* Logs wrong logins with their total, at most once every API_SAY_LOGIN_NS. */
static void say_wrong_login(void *data, const char *user, uint64_t n)
{
	struct api *api = data;
	uint64_t now_ns = clock_monotonic_ns();

	if (now_ns < api->say_login_at_ns)
		return;
	api->say_login_at_ns = now_ns + API_SAY_LOGIN_NS;
	if (user)
		log_warning("http", 0,
			    "wrong password for user '%s'; %" PRIu64 " failed logins since the start", user,
			    n);
	else
		log_warning("http", 0, "wrong token; %" PRIu64 " failed logins since the start", n);
}

int api_start(struct server *server)
{
	/* The page itself asks for a token, so it is open; the browser asks for a password only if the page
	 * is refused. */
	static const char *const open_patterns_users[] = {"/healthz", NULL};
	static const char *const open_patterns[] = {"/healthz", "/", "/page/{file}", NULL};
	static const char *const slow_patterns[] = {"/metrics",     "/api/latest",   "/api/live",
						    "/api/sensors", "/api/machines", NULL};
	struct web_config *web = server->config->web;
	struct http_options options = {
		.address = server->config->address,
		.port = server->config->port,
		.token = server->config->token,
		.hosts = server->config->hosts,
		.web = web,
		.wrong_login = say_wrong_login,
		.open_patterns = web && web->n_users > 0 ? open_patterns_users : open_patterns,
		.slow_patterns = slow_patterns,
		/* Runs on many machines may wait at the same time, all from one address (a bridge, a
		   gateway). */
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
	api->statm = api_metrics_open_process();
	api->metrics = metrics_new();
	if (api->metrics)
		r = api_metrics_register(api->metrics, server);
	if (r == 0)
		r = http_start(server->loop.ev, &options, routes, ARRAY_SIZE(routes), api, &api->http, &why);
	if (r < 0) {
		log_error("http", why.text[0] ? 0 : r, "%s",
			  why.text[0] ? why.text : "cannot answer requests");
		return r;
	}
	log_info("http", 0, "listening on %s, port %u%s", server->config->address, http_port(api->http),
		 web && web->cert ? ", with TLS" : "");
	return 0;
}

void api_stop(struct server *server)
{
	if (!server->api)
		return;
	http_stop(server->api->http);
	api_free_listings(server->api);
	metrics_free(server->api->metrics);
	if (server->api->statm >= 0)
		(void)close(server->api->statm);
	free(server->api);
	server->api = NULL;
}

json_t *api_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

void api_set(json_t *object, const char *key, double value)
{
	(void)json_object_set_new(object, key, api_number(value));
}

double api_age_s(const struct machine *machine)
{
	return machine->time_ms == INT64_MIN ? NAN : UNIT_S_OF_MS(clock_realtime_ms() - machine->time_ms);
}

/* The part of the tree that a cgroup is in: "/system.slice/x.service" is in system.slice; "": unknown. */
static json_t *slice_of(const char *cgroup)
{
	size_t length;

	cgroup += strspn(cgroup, "/");
	length = strcspn(cgroup, "/");
	return json_stringn(cgroup, cgroup[length] ? length : 0);
}

void api_describe(json_t *value, const struct known_target *known)
{
	static const char *const keys[] = {"runtime", "image", "pod", "namespace"};
	static const unsigned texts[] = {KNOWN_RUNTIME, KNOWN_IMAGE, KNOWN_POD, KNOWN_NAMESPACE};

	for (size_t i = 0; known && i < ARRAY_SIZE(keys); i++)
		(void)json_object_set_new(value, keys[i], json_string(known_text(known, texts[i])));
	if (known)
		(void)json_object_set_new(value, "slice", slice_of(known_text(known, KNOWN_CGROUP)));
}

json_t *api_json_of_bson(const bson_t *document)
{
	struct batch text = {0};
	json_t *value = NULL;

	if (bson_json_append(&text, BSON_JSON_PLAIN, bson_get_data(document), document->len) == 0)
		value = json_loadb((const char *)text.data, text.length, 0, NULL);
	batch_done(&text);
	return value;
}

/* A client that waits for documents from the store. */
struct reading {
	struct http_request *http; /* NULL: gone */
	const char *failed;
	api_answer answer;
};

void api_gone(struct http_request *request, void *data)
{
	(void)request;
	*(struct http_request **)data = NULL;
}

static void reading_done(void *data, const struct db_answer *answer)
{
	struct reading *reading = data;

	if (reading->http && answer->result != STORE_OK)
		http_answer_error(reading->http, 503, "%s: %s", reading->failed, answer->error);
	else if (reading->http)
		reading->answer(reading->http, answer->documents);
	free(reading);
}

void api_read(struct api *api, struct http_request *request, const struct store_query *query,
	      const char *failed, api_answer answer)
{
	struct reading *reading = calloc(1, sizeof(*reading));

	if (!reading) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	*reading = (struct reading){request, failed, answer};
	if (http_wait(request, api_gone, &reading->http) < 0) {
		free(reading);
	} else if (db_client_read(api->server->output, query, reading_done, reading) < 0) {
		http_answer_error(request, 503, "the store does not answer");
		free(reading);
	}
}

void api_answer_json(struct http_request *request, unsigned status, json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12))
			   : NULL;

	if (text)
		http_answer_json(request, status, text);
	else
		http_answer_error(request, 500, "out of memory for the answer");
	free(text);
	json_decref(value);
}
