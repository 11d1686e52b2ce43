/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST of runs. The answer waits for the recap, but no longer than requested; the recap is written even if
 * the client is gone.
 */
#include "api/api_private.h"
#include "base/clock.h"
#include "recap/recap_query.h"
#include "recap/recaps.h"
#include "base/text.h"
#include "base/unit.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX     4096
#define WAIT_EXTRA_S 5.0  /* after --recap-timeout, for the store */
#define NOTE_S       20.0 /* for the store to accept a run without a waiting client */
#define RETRY_TEXT   "the recap will still be written; get it with GET /%s/%s/recaps?name=%s"

/* A client that waits for its recap or, if the run is only queued, until the store has saved the request. */
struct waiter {
	struct api *api;
	struct http_request *http;
	struct recaps_entry *entry; /* NULL once the recap is made */
	ev_timer timer;
	double timeout_s;
	bool async; /* the run is only queued */
	bool text;
};

static void waiter_free(struct waiter *waiter)
{
	ev_timer_stop(waiter->api->server->loop.ev, &waiter->timer);
	if (waiter->entry)
		recaps_forget(waiter->entry);
	free(waiter);
}

static void waiter_gone(struct http_request *http, void *data)
{
	(void)http;
	waiter_free(data);
}

static void waiter_made(void *data, const struct recap_request *request, const struct recap *recap,
			const bson_t *document, const char *error)
{
	struct waiter *waiter = data;
	char text[TEXT_MAX];
	size_t length;

	waiter->entry = NULL;
	if (error) {
		http_answer_error(waiter->http, 500, "there is no recap: %s", error);
	} else if (waiter->text) {
		length = recap_text(request, recap, text, sizeof(text));
		http_answer(waiter->http, 200, "text/plain; charset=utf-8", text,
			    length < sizeof(text) ? length : sizeof(text) - 1);
	} else {
		api_answer_json(waiter->http, 200, api_json_of_bson(document));
	}
	waiter_free(waiter);
}

static void waiter_noted(void *data, const char *error)
{
	struct waiter *waiter = data;

	if (error)
		http_answer_error(waiter->http, 503, "the store does not have the run yet: %s", error);
	else
		http_answer_json(waiter->http, 202, "{\"status\":\"the recap will be written\"}");
	waiter_free(waiter);
}

static void answer_no_reports(const struct waiter *waiter)
{
	const struct recap_request *request = recaps_request(waiter->entry);
	char *database = text_escape_url(waiter->api->server->config->database_name);
	char *machine = text_escape_url(request->machine), *name = text_escape_url(request->name);

	if (database && machine && name)
		http_answer_error(
			waiter->http, 504,
			"no report of %s that covers the end of the run arrived within %.3g s; " RETRY_TEXT,
			request->machine, waiter->timeout_s, database, machine, name);
	else
		http_answer_error(waiter->http, 500, "out of memory");
	free(database);
	free(machine);
	free(name);
}

static void waiter_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct waiter *waiter = timer->data;

	(void)loop, (void)events;
	if (waiter->async)
		http_answer_error(
			waiter->http, 503,
			"the store does not answer: the recap will be written unless the server exits before "
			"the run is in the store; post it again to be sure");
	else
		answer_no_reports(waiter);
	waiter_free(waiter);
}

static double timeout_s(const struct api *api, const struct recap_query *query)
{
	if (query->async)
		return NOTE_S;
	return isfinite(query->timeout_s)
		       ? query->timeout_s
		       : UNIT_S_OF_MS(api->server->config->recap_timeout_ms) + WAIT_EXTRA_S;
}

static void add_parameter(void *data, const char *name, const char *value)
{
	recap_query_add(data, name, value);
}

/* Queues the run; the list then owns the request. */
static void post_query(struct api *api, struct http_request *http, struct recap_query *query)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int r;

	if (!waiter) {
		http_answer_error(http, 500, "out of memory");
		return;
	}
	*waiter = (struct waiter){.api = api,
				  .http = http,
				  .timeout_s = timeout_s(api, query),
				  .async = query->async,
				  .text = query->text};
	ev_timer_init(&waiter->timer, waiter_timed_out, waiter->timeout_s, 0);
	waiter->timer.data = waiter;
	if (http_wait(http, waiter_gone, waiter) < 0) {
		free(waiter);
		return;
	}
	r = recaps_add(api->server->recaps, &query->request, query->async ? NULL : waiter_made, waiter,
		       &waiter->entry);
	if (r < 0) {
		http_answer_error(http, r == -EBUSY && query->async ? 429 : 503,
				  r == -EBUSY ? "too many recaps are pending; try again later"
					      : "out of memory");
		free(waiter);
		return;
	}
	memset(&query->request, 0, sizeof(query->request));
	if (waiter->async)
		recaps_when_noted(waiter->entry, waiter_noted, waiter);
	ev_timer_start(api->server->loop.ev, &waiter->timer);
}

struct machine *api_find_machine(struct api *api, struct http_request *request, const char *database,
				 const char *name)
{
	const struct server *server = api->server;
	struct machine *machine;
	const char *nearest;
	char known[512];

	if (database && strcmp(database, server->config->database_name) != 0) {
		http_answer_error(request, 403,
				  "the database '%.64s' is not served here; this server serves '%s' "
				  "(--database)",
				  database, server->config->database_name);
		return NULL;
	}
	if (server->standby) {
		http_answer_error(request, 503, "this server is a standby; ask the active one: %s",
				  server->writer);
		return NULL;
	}
	machine = server_find_host(server, name);
	if (machine)
		return machine;
	nearest = server_nearest_machine(server, name);
	api_list_machines(server, known, sizeof(known));
	http_answer_error(request, 404, "no sensor named '%.64s' has written here%s%s%s; known: %s", name,
			  nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "",
			  known);
	return NULL;
}

struct machine *api_find_parameter(struct api *api, struct http_request *request, const char *parameter,
				   const char *database)
{
	const char *name = http_request_parameter(request, parameter);

	if (name && name[0])
		return api_find_machine(api, request, database, name);
	http_answer_error(request, 400, "%s is missing: %s?%s=NAME; see /api/sensors", parameter,
			  http_request_path(request), parameter);
	return NULL;
}

/* One JSON object: text, numbers, true and false. False: an error has been sent. */
static bool add_json(struct http_request *request, const char *body, size_t length, struct recap_query *query)
{
	const char *key;
	json_error_t error;
	json_t *object = json_loadb(body, length, 0, &error), *value;

	if (!json_is_object(object)) {
		http_answer_error(request, 400, "the body is not a JSON object: %s",
				  object ? "it has another type" : error.text);
		json_decref(object);
		return false;
	}
	json_object_foreach(object, key, value)
	{
		char *text = json_is_string(value) ? strdup(json_string_value(value))
						   : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

		if (text && !json_is_null(value))
			recap_query_add(query, key, text);
		free(text);
	}
	json_decref(object);
	return true;
}

/* Adds the body's parameters to those of the URL. False: an error has been sent. */
static bool add_body(struct http_request *request, struct recap_query *query)
{
	const char *type = http_request_header(request, "Content-Type");
	size_t length;
	const char *body = http_request_body(request, &length);

	if (!length || http_request_has_form(request))
		return true;
	if (type && strncasecmp(type, "application/json", 16) == 0)
		return add_json(request, body, length, query);
	http_answer_error(
		request, 415,
		"a body of type '%.64s' is not supported; send the parameters in the URL, as a form "
		"(application/x-www-form-urlencoded, curl's -d) or as application/json",
		type ? type : "");
	return false;
}

void api_post_recap(struct http_request *request, void *data)
{
	struct api *api = data;
	const struct machine *machine =
		api_find_machine(api, request, http_request_part(request, 0), http_request_part(request, 1));
	const char *accept = http_request_header(request, "Accept");
	struct recap_query query;

	if (!machine)
		return;
	if (recap_query_init(&query, machine->name) < 0) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	query.text = accept && strncmp(accept, "text/plain", 10) == 0;
	http_request_each_parameter(request, add_parameter, &query);
	if (!add_body(request, &query))
		; /* answered */
	else if (recap_query_finish(&query, clock_realtime_ms()) < 0)
		http_answer_error(request, 400, "%s", query.error.text);
	else
		post_query(api, request, &query);
	recap_query_done(&query);
}
