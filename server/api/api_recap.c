/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST of runs and GET of recaps. The answer waits for the recap, but no longer than requested; the recap is
 * written even if the client has gone.
 */
#include "api/api_private.h"
#include "base/bson_get.h"
#include "document/collections.h"
#include "base/clock.h"
#include "recap/recap_query.h"
#include "recap/recaps.h"
#include "base/text.h"
#include "base/unit.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TEXT_MAX       4096
#define WAIT_EXTRA_S   5.0  /* after --recap-timeout, for the store */
#define NOTE_S         20.0 /* for the store to accept a run that nobody waits for */
#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 10000
#define RETRY_TEXT     "the recap will still be written; get it with GET /%s/%s/recaps?name=%s"

/* A client that waits for a recap. */
struct waiter {
	struct api *api;
	struct http_request *http;
	struct recaps_entry *entry; /* NULL once the recap is made */
	ev_timer timer;
	double timeout_s;
	bool text;
	char *name;
	char *database;
	char *machine;
};

static void waiter_free(struct waiter *waiter)
{
	ev_timer_stop(waiter->api->server->loop.ev, &waiter->timer);
	if (waiter->entry)
		recaps_forget(waiter->entry);
	free(waiter->name);
	free(waiter->database);
	free(waiter->machine);
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
		http_answer_error(waiter->http, 500, "cannot compute the recap: %s", error);
	} else if (waiter->text) {
		length = recap_text(request, recap, text, sizeof(text));
		http_answer(waiter->http, 200, "text/plain; charset=utf-8", text,
			    length < sizeof(text) ? length : sizeof(text) - 1);
	} else {
		api_answer_json(waiter->http, 200, api_json_of_bson(document));
	}
	waiter_free(waiter);
}

static void waiter_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct waiter *waiter = timer->data;
	char *database = text_escape_url(waiter->database), *machine = text_escape_url(waiter->machine);
	char *name = text_escape_url(waiter->name);

	(void)loop, (void)events;
	if (database && machine && name)
		http_answer_error(
			waiter->http, 504,
			"no report of %s that covers the end of the run arrived within %.3g s; " RETRY_TEXT,
			waiter->machine, waiter->timeout_s, database, machine, name);
	else
		http_answer_error(waiter->http, 500, "out of memory");
	free(database);
	free(machine);
	free(name);
	waiter_free(waiter);
}

static struct waiter *waiter_new(struct api *api, struct http_request *http, const struct recap_query *query)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));

	if (!waiter)
		return NULL;
	waiter->api = api;
	waiter->http = http;
	waiter->text = query->text;
	waiter->timeout_s = isfinite(query->timeout_s)
				    ? query->timeout_s
				    : UNIT_S_OF_MS(api->server->config->recap_timeout_ms) + WAIT_EXTRA_S;
	waiter->name = strdup(query->request.name);
	waiter->machine = strdup(query->request.machine);
	waiter->database = strdup(api->server->config->database_name);
	ev_timer_init(&waiter->timer, waiter_timed_out, waiter->timeout_s, 0);
	waiter->timer.data = waiter;
	if (waiter->name && waiter->machine && waiter->database)
		return waiter;
	waiter_free(waiter);
	return NULL;
}

/* A client that waits until the store has saved a run for later processing. */
struct noter {
	struct http_request *http;
	struct recaps_entry *entry;
	struct ev_loop *loop;
	ev_timer timer;
};

static void noter_free(struct noter *noter)
{
	ev_timer_stop(noter->loop, &noter->timer);
	free(noter);
}

static void noter_gone(struct http_request *http, void *data)
{
	struct noter *noter = data;

	(void)http;
	if (noter->entry)
		recaps_forget(noter->entry);
	noter_free(noter);
}

static void noter_noted(void *data, const char *error)
{
	struct noter *noter = data;

	if (error)
		http_answer_error(noter->http, 503, "the store does not have the run yet: %s", error);
	else
		http_answer_json(noter->http, 202, "{\"status\":\"the recap will be written\"}");
	noter_free(noter);
}

static void noter_timed_out(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct noter *noter = timer->data;

	(void)loop, (void)events;
	recaps_forget(noter->entry);
	http_answer_error(
		noter->http, 503,
		"the store does not answer: the recap will be written unless the server ends before "
		"the store has the run; post it again to be sure");
	noter_free(noter);
}

/* Queues a run that nobody waits for; the answer confirms that the store has it. */
static void post_async(struct api *api, struct http_request *http, struct recap_query *query)
{
	struct noter *noter = calloc(1, sizeof(*noter));
	int r;

	if (!noter) {
		http_answer_error(http, 500, "out of memory");
		return;
	}
	noter->http = http;
	noter->loop = api->server->loop.ev;
	ev_timer_init(&noter->timer, noter_timed_out, NOTE_S, 0);
	noter->timer.data = noter;
	if (http_wait(http, noter_gone, noter) < 0) {
		free(noter);
		return;
	}
	r = recaps_add(api->server->recaps, &query->request, NULL, NULL, &noter->entry);
	if (r < 0) {
		http_answer_error(http, r == -EBUSY ? 429 : 503,
				  r == -EBUSY ? "too many recaps are pending; try again later"
					      : "out of memory");
		free(noter);
		return;
	}
	memset(&query->request, 0, sizeof(query->request));
	recaps_when_noted(noter->entry, noter_noted, noter);
	ev_timer_start(noter->loop, &noter->timer);
}

static void add_parameter(void *data, const char *name, const char *value)
{
	recap_query_add(data, name, value);
}

/* Queues the run; the list then owns the request. */
static void post_query(struct api *api, struct http_request *http, struct recap_query *query)
{
	struct waiter *waiter = waiter_new(api, http, query);
	int r;

	if (!waiter) {
		http_answer_error(http, 500, "out of memory");
		return;
	}
	if (http_wait(http, waiter_gone, waiter) < 0) {
		waiter_free(waiter);
		return;
	}
	r = recaps_add(api->server->recaps, &query->request, waiter_made, waiter, &waiter->entry);
	if (r < 0) {
		http_answer_error(http, 503,
				  r == -EBUSY ? "too many recaps are pending; try again later"
					      : "out of memory");
		waiter_free(waiter);
		return;
	}
	memset(&query->request, 0, sizeof(query->request));
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
				  "the database '%.64s' is not served here; this server's is '%s' "
				  "(--database)",
				  database, server->config->database_name);
		return NULL;
	}
	if (server->standby) {
		http_answer_error(request, 503, "this server is a standby; ask the one that computes: %s",
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
				  object ? "no object" : error.text);
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

/* The body's parameters beside those of the address. False: an error has been sent. */
static bool add_body(struct http_request *request, struct recap_query *query)
{
	const char *type = http_request_header(request, "Content-Type");
	size_t length;
	const char *body = http_request_body(request, &length);

	if (!length || http_request_has_form(request))
		return true;
	if (type && strncasecmp(type, "application/json", 16) == 0)
		return add_json(request, body, length, query);
	http_answer_error(request, 415,
			  "a body of type '%.64s' is not read; send the parameters in the address, as a form "
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
		http_answer_error(request, 400, "%s", query.error);
	else if (query.async)
		post_async(api, request, &query);
	else
		post_query(api, request, &query);
	recap_query_done(&query);
}

/* A client that waits for a list of recaps. */
struct lister {
	struct http_request *http; /* NULL: gone */
	char *name;                /* NULL: all */
	unsigned limit;
};

static void lister_gone(struct http_request *http, void *data)
{
	(void)http;
	((struct lister *)data)->http = NULL;
}

static void lister_answered(void *data, const struct db_answer *answer)
{
	struct lister *lister = data;
	json_t *list = json_array();
	const uint8_t *bytes;
	size_t offset = 0, length;
	bson_t document;

	while (answer->result == STORE_OK && json_array_size(list) < lister->limit &&
	       batch_next(answer->documents, &offset, &bytes, &length) == 1) {
		if (bson_init_static(&document, bytes, length) &&
		    (!lister->name || bson_has_text(&document, "name", lister->name)))
			(void)json_array_append_new(list, api_json_of_bson(&document));
	}
	if (lister->http && answer->result != STORE_OK) {
		http_answer_error(lister->http, 503, "cannot read recaps from the store: %s", answer->error);
		json_decref(list);
	} else if (lister->http) {
		api_answer_json(lister->http, 200, json_pack("{so}", "recaps", list));
	} else {
		json_decref(list);
	}
	free(lister->name);
	free(lister);
}

static void list_recaps(struct api *api, struct http_request *request, const char *machine)
{
	const char *name = http_request_parameter(request, "name");
	const char *limit_text = http_request_parameter(request, "limit");
	struct store_query query = {.after_ms = INT64_MIN, .until_ms = INT64_MAX, .newest_first = true};
	struct lister *lister;
	uint64_t limit = LIST_LIMIT;
	char collection[COLLECTION_SIZE];

	if (limit_text && (text_parse_u64(limit_text, &limit) < 0 || limit < 1 || limit > LIST_LIMIT_MAX)) {
		http_answer_error(request, 400, "limit='%.32s': give a number from 1 to %d", limit_text,
				  LIST_LIMIT_MAX);
		return;
	}
	lister = calloc(1, sizeof(*lister));
	if (!lister) {
		http_answer_error(request, 500, "out of memory");
		return;
	}
	lister->http = request;
	lister->limit = (unsigned)limit;
	lister->name = name && name[0] ? strdup(name) : NULL;
	query.collection = collection_compose(COLLECTION_RECAPS, machine, collection);
	query.limit = lister->name ? LIST_LIMIT_MAX : lister->limit;
	if (http_wait(request, lister_gone, lister) < 0 ||
	    db_client_read(api->server->output, &query, lister_answered, lister) < 0) {
		http_answer_error(request, 503, "the store does not answer");
		free(lister->name);
		free(lister);
	}
}

void api_get_machine_recaps(struct http_request *request, void *data)
{
	const struct machine *machine =
		api_find_machine(data, request, http_request_part(request, 0), http_request_part(request, 1));

	if (machine)
		list_recaps(data, request, machine->name);
}

void api_get_recaps(struct http_request *request, void *data)
{
	const struct machine *machine =
		api_find_parameter(data, request, "machine", http_request_parameter(request, "database"));

	if (machine)
		list_recaps(data, request, machine->name);
}
