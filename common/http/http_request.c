/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: its body, its route, its answer now or later. Called by libmicrohttpd through http.c, and by
 * handlers.
 */
#include "http/http_private.h"

#include "http/http_origin.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

#define LARGE      ((size_t)64 << 10)
#define UNSENT_MAX ((size_t)128 << 20) /* of unread answers */

#define CONTENT_TYPE_JSON "application/json; charset=utf-8"

void *http_request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct http_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = cls;
	request->connection = connection;
	request->parse_result = http_target_parse(uri, &request->target);
	return request;
}

static void unlink_waiting(struct http_request *request)
{
	if (!request->waits)
		return;
	DL_DELETE(request->http->waiting, request);
	request->waits = false;
	request->http->statistics.waiting--;
}

void http_request_end(void *cls, struct MHD_Connection *connection, void **con_cls,
		      enum MHD_RequestTerminationCode toe)
{
	struct http_request *request = *con_cls;

	(void)toe;
	http_connection_idle(cls, connection);
	if (!request)
		return;
	if (request->waits) {
		unlink_waiting(request);
		if (request->gone)
			request->gone(request, request->gone_data);
	}
	http_turn_leave(request);
	http_pause_leave(request);
	request->http->unsent -= request->length;
	if (request->response)
		MHD_destroy_response(request->response);
	batch_done(&request->body);
	free(request);
	*con_cls = NULL;
}

static void count_answer(struct http_statistics *statistics, unsigned status)
{
	if (status < 400)
		statistics->answers_2xx++;
	else if (status < 500)
		statistics->answers_4xx++;
	else
		statistics->answers_5xx++;
}

void http_answer(struct http_request *request, unsigned status, const char *content_type, const char *body,
		 size_t length)
{
	const struct web_config *web = request->http->options.web;

	if (request->answered)
		return;
	if (length > LARGE && request->http->unsent + length > UNSENT_MAX) {
		http_answer_error(request, 503, "too many answers have not been read yet; try again later");
		return;
	}
	unlink_waiting(request);
	http_turn_leave(request);
	http_pause_leave(request);
	request->answered = true;
	request->length = length;
	request->http->unsent += length;
	request->status = status;
	request->response =
		MHD_create_response_from_buffer(length, (void *)(uintptr_t)body, MHD_RESPMEM_MUST_COPY);
	if (request->response) {
		(void)MHD_add_response_header(request->response, "Content-Type", content_type);
		(void)MHD_add_response_header(request->response, "Cache-Control", "no-store");
		for (size_t i = 0; web && i < web->n_headers; i++)
			(void)MHD_add_response_header(request->response, web->headers[i].name,
						      web->headers[i].value);
	}
	count_answer(&request->http->statistics, status);
	if (!request->suspended)
		return;
	request->suspended = false;
	MHD_resume_connection(request->connection);
	http_wake(request->http);
}

void http_answer_header(struct http_request *request, const char *name, const char *value)
{
	if (request->response)
		(void)MHD_add_response_header(request->response, name, value);
}

void http_answer_json(struct http_request *request, unsigned status, const char *json)
{
	http_answer(request, status, CONTENT_TYPE_JSON, json, strlen(json));
}

void http_answer_error(struct http_request *request, unsigned status, const char *format, ...)
{
	char reason[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(reason, sizeof(reason), format, arguments);
	va_end(arguments);
	text_make_utf8(reason); /* it may be truncated within a character */
	json_t *object = json_pack("{s:s}", "error", reason);
	cleanup_(cleanup_free) char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	http_answer_json(request, status, text ? text : "{\"error\":\"out of memory\"}");
}

int http_wait(struct http_request *request, void (*gone)(struct http_request *request, void *data),
	      void *data)
{
	struct http *http = request->http;

	if (request->answered || request->waits)
		return -EALREADY;
	if (http->statistics.waiting >= http->options.waiting) {
		http_answer_error(request, 503, "too many requests are waiting; try again later");
		return -EBUSY;
	}
	request->waits = true;
	request->gone = gone;
	request->gone_data = data;
	request->deadline_ns = clock_monotonic_ns() + http->options.waiting_ms * CLOCK_NS_PER_MS;
	DL_PREPEND(http->waiting, request);
	http->statistics.waiting++;
	return 0;
}

void http_request_give_up(struct http_request *request, const char *reason)
{
	void (*gone)(struct http_request *, void *) = request->gone;

	unlink_waiting(request);
	if (gone)
		gone(request, request->gone_data);
	http_answer_error(request, 503, "%s", reason);
}

static bool method_fits(const char *method, const char *wanted)
{
	return strcmp(method, wanted) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(wanted, "GET") == 0);
}

/* Finds the route; false: `allow` has the methods that exist for this path, or "". */
static bool find_route(struct http_request *request, char *allow, size_t size)
{
	const struct http *http = request->http;

	allow[0] = '\0';
	for (size_t i = 0; i < http->n_routes; i++) {
		const struct http_route *route = &http->routes[i];
		size_t length = strlen(allow);
		if (!http_target_match(&request->target, route->pattern, request->parts, &request->n_parts))
			continue;
		if (method_fits(request->method, route->method)) {
			request->route = route;
			return true;
		}
		if (!strstr(allow, route->method))
			(void)snprintf(allow + length, size - length, "%s%s", length ? ", " : "",
				       route->method);
	}
	return false;
}

bool http_request_is_listed(const struct http_request *request, const char *const *patterns)
{
	for (; patterns && *patterns; patterns++) {
		if (request->route && strcmp(*patterns, request->route->pattern) == 0)
			return true;
	}
	return false;
}

static bool announced_too_large(const struct http_request *request)
{
	const char *text =
		MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Content-Length");
	uint64_t length;

	return text && text_parse_u64(text, &length) == 0 && length > request->http->options.body_max;
}

static void answer_too_large(struct http_request *request)
{
	http_answer_error(request, 413, "the body is larger than %zu bytes", request->http->options.body_max);
}

static void answer_unrouted(struct http_request *request, const char *allow)
{
	if (!*allow) {
		http_answer_error(request, 404, "there is nothing at '%s'", request->target.path);
		return;
	}
	http_answer_error(request, 405, "'%s' takes %s only", request->target.path, allow);
	if (request->response)
		(void)MHD_add_response_header(request->response, "Allow", allow);
}

/* Refuses requests of a foreign page in the browser of somebody who can reach this server. */
static bool refuse_stranger(struct http_request *request)
{
	const char *host = http_request_header(request, "Host");
	const char *origin = http_request_header(request, "Origin");
	const bool reads = method_fits(request->method, "GET");
	const bool proven = http_login(request) == HTTP_LOGIN_PROVEN;

	if (!proven && !http_host_allowed(host, request->http->options.hosts))
		http_answer_error(request, 421,
				  "requests for the host name '%.64s' are refused, as it may belong to "
				  "anyone; use an IP address, or allow it with --allow-host",
				  host);
	else if (!reads && !http_origin_allowed(origin, host))
		http_answer_error(request, 403, "a page from '%.64s' may not change anything here", origin);
	return request->answered;
}

/* All checks that are possible before the body has arrived. */
static void check_head(struct http_request *request)
{
	char allow[64];

	if (!http_login_certified(request)) {
		http_answer_error(request, 403, "a client certificate that this server trusts is required");
		return;
	}
	if (http_login(request) == HTTP_LOGIN_LATER || refuse_stranger(request))
		return;
	if (request->parse_result == -E2BIG)
		http_answer_error(request, 414,
				  "the address is too long, or has too many parts or parameters");
	else if (request->parse_result < 0)
		http_answer_error(request, 400, "the address is malformed");
	else if (!find_route(request, allow, sizeof(allow)) && http_login_allows(request))
		answer_unrouted(request, allow);
	else if (!http_login_allows(request))
		http_login_refuse(request);
	else if (announced_too_large(request))
		answer_too_large(request);
}

/*
 * Bytes beyond the limit are read and discarded, so that the client can read the answer; false: too many.
 */
static bool take_body(struct http_request *request, const char *data, size_t length)
{
	struct batch *body = &request->body;

	if (request->too_large) {
		request->n_ignored += length;
		return request->n_ignored <= request->http->options.body_max;
	}
	request->too_large = length > request->http->options.body_max - body->length ||
			     batch_reserve(body, length + 1) < 0 || batch_add_bytes(body, data, length) < 0;
	return true;
}

bool http_request_has_form(const struct http_request *request)
{
	static const char form[] = "application/x-www-form-urlencoded";
	const char *type = http_request_header(request, "Content-Type");

	return request->body.length > 0 && type && strncasecmp(type, form, sizeof(form) - 1) == 0;
}

/* Parameters in the body count like those in the URL. False: an error was answered. */
static bool take_form(struct http_request *request)
{
	size_t length;
	int r;

	if (!http_request_has_form(request))
		return true;
	r = http_target_add_form(&request->target, http_request_body(request, &length));
	if (r == 0 && strlen((const char *)request->body.data) == length)
		return true;
	http_answer_error(request, r == -E2BIG ? 413 : 400, "the form in the body %s",
			  r == -E2BIG ? "is too long, or has too many parameters" : "is malformed");
	return false;
}

static void dispatch(struct http_request *request)
{
	request->dispatched = true;
	if (request->too_large) {
		answer_too_large(request);
		return;
	}
	if (!take_form(request))
		return;
	request->route->handler(request, request->http->data);
	if (!request->answered && !request->waits)
		http_answer_error(request, 500, "the request was not answered");
}

static enum MHD_Result queue_answer(struct http_request *request)
{
	if (!request->response)
		return MHD_NO; /* out of memory: the connection is closed */
	http_connection_answers(request->http, request->connection, request->length);
	enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
	MHD_destroy_response(request->response);
	request->response = NULL;
	return result;
}

/*
 * The head is here: the first call, and the one after a pause, which comes in the same state of
 * libmicrohttpd.
 */
static enum MHD_Result begin(struct http_request *request, const char *method)
{
	if (!request->had_pause)
		request->http->statistics.requests++;
	request->method = method;
	if (!request->answered)
		check_head(request);
	if (request->answered)
		return queue_answer(request);
	request->started = request->login != HTTP_LOGIN_LATER;
	if (!request->started)
		http_pause_begin(request);
	return MHD_YES;
}

enum MHD_Result http_request_access(void *cls, struct MHD_Connection *connection, const char *url,
				    const char *method, const char *version, const char *upload_data,
				    size_t *upload_data_size, void **con_cls)
{
	struct http_request *request = *con_cls;

	(void)cls, (void)connection, (void)url, (void)version;
	if (!request)
		return MHD_NO;
	if (!request->started)
		return begin(request, method);
	if (*upload_data_size) {
		bool go_on = take_body(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return go_on ? MHD_YES : MHD_NO;
	}
	if (!request->dispatched && http_turn_take(request))
		dispatch(request);
	if (request->answered)
		return queue_answer(request);
	if (!request->suspended) {
		request->suspended = true;
		http_connection_waits(connection);
		MHD_suspend_connection(connection);
	}
	return MHD_YES;
}

const char *http_request_method(const struct http_request *request)
{
	return request->method;
}

const char *http_request_path(const struct http_request *request)
{
	return request->target.path;
}

const char *http_request_part(const struct http_request *request, unsigned index)
{
	return index < request->n_parts ? request->parts[index] : NULL;
}

const char *http_request_parameter(const struct http_request *request, const char *name)
{
	for (unsigned i = 0; i < request->target.n_parameters; i++) {
		if (strcmp(request->target.parameters[i].name, name) == 0)
			return request->target.parameters[i].value;
	}
	return NULL;
}

void http_request_each_parameter(const struct http_request *request,
				 void (*each)(void *data, const char *name, const char *value), void *data)
{
	for (unsigned i = 0; i < request->target.n_parameters; i++)
		each(data, request->target.parameters[i].name, request->target.parameters[i].value);
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *http_request_body(const struct http_request *request, size_t *ret_length)
{
	*ret_length = request->body.length;
	if (!request->body.length)
		return "";
	request->body.data[request->body.length] = '\0'; /* take_body() left room */
	return (const char *)request->body.data;
}
