/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests through libcurl, with limits on time and on the size of the answer. Knows no URL of the
 * server.
 */
#include "fetch.h"
#include "client.h"
#include "base/cleanup.h"
#include "base/reason.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BODY_MAX           (64UL * 1024 * 1024)
#define FETCH_TIMEOUT_DEFAULT_MS 10000U

static size_t collect_body(char *data, size_t size, size_t count, void *user)
{
	struct fetch_answer *answer = user;
	size_t more = size * count;
	char *body;

	if (more > FETCH_BODY_MAX - answer->length)
		return 0;
	body = realloc(answer->body, answer->length + more + 1);
	if (!body)
		return 0;
	memcpy(body + answer->length, data, more);
	answer->body = body;
	answer->length += more;
	body[answer->length] = '\0';
	return more;
}

void fetch_answer_done(struct fetch_answer *answer)
{
	free(answer->body);
	*answer = (struct fetch_answer){0};
}

static void set_options(CURL *handle, const struct fetch_request *request, struct fetch_answer *answer)
{
	long timeout_ms = request->timeout_ms ? (long)request->timeout_ms : (long)FETCH_TIMEOUT_DEFAULT_MS;

	curl_easy_setopt(handle, CURLOPT_URL, request->url);
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, timeout_ms);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, "wattribute/" WATTRIBUTE_VERSION);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, collect_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, answer);
	if (request->post) {
		curl_easy_setopt(handle, CURLOPT_POST, 1L);
		curl_easy_setopt(handle, CURLOPT_POSTFIELDS, "");
		curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE, 0L);
	}
}

/* A proxy cannot reach a server that listens only on this machine. */
static void set_proxy(CURL *handle)
{
	const char *told = getenv("no_proxy");
	cleanup_(cleanup_free) char *direct = NULL;

	told = told ? told : getenv("NO_PROXY");
	if (told && strcmp(told, "*") == 0)
		return;
	if (asprintf(&direct, "%s%slocalhost,127.0.0.1,::1", told ? told : "", told && told[0] ? "," : "") <
	    0)
		direct = NULL;
	if (direct)
		curl_easy_setopt(handle, CURLOPT_NOPROXY, direct);
}

int fetch(const struct fetch_request *request, struct fetch_answer *ret_answer, struct reason *why)
{
	char accept[128];
	cleanup_(cleanup_free) char *token = NULL;
	char detail[CURL_ERROR_SIZE] = "";
	struct curl_slist *headers = NULL;
	CURL *handle = curl_easy_init();
	CURLcode code;

	*ret_answer = (struct fetch_answer){0};
	if (!handle)
		return -ENOMEM;
	set_options(handle, request, ret_answer);
	set_proxy(handle);
	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, detail);
	if (request->accept) {
		(void)snprintf(accept, sizeof(accept), "Accept: %s", request->accept);
		headers = curl_slist_append(NULL, accept);
	}
	if (request->token && request->token[0] &&
	    asprintf(&token, "Authorization: Bearer %s", request->token) >= 0)
		headers = curl_slist_append(headers, token);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(handle);
	if (code == CURLE_OK)
		curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &ret_answer->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(handle);
	if (code == CURLE_OK)
		return 0;
	reason_set(why, 0, "no answer from %s: %s", request->url,
		   *detail ? detail : curl_easy_strerror(code));
	fetch_answer_done(ret_answer);
	return code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED;
}

/* The server's own sentence from an error answer. */
static void explain(const struct fetch_answer *answer, struct reason *why)
{
	json_t *json = json_loads(answer->body ? answer->body : "", 0, NULL);
	const char *text = json_string_value(json_object_get(json, "error"));

	if (!text)
		text = answer->body ? answer->body : "";
	reason_set(why, 0, "the server answered %ld: %.*s%s", answer->status, (int)strcspn(text, "\r\n"),
		   text,
		   answer->status == 401 ? "; give the server's --token by --token or " CLIENT_TOKEN_VARIABLE
					 : "");
	json_decref(json);
}

int fetch_json(const char *url, const char *token, bool post, unsigned timeout_ms, json_t **ret_json,
	       struct reason *why)
{
	struct fetch_request request = {.url = url,
					.post = post,
					.accept = "application/json",
					.token = token,
					.timeout_ms = timeout_ms};
	struct fetch_answer answer;
	json_error_t error;
	int r = fetch(&request, &answer, why);

	if (r < 0)
		return r;
	if (answer.status != 200) {
		explain(&answer, why);
		r = -EPROTO;
	} else {
		*ret_json =
			json_loadb(answer.body ? answer.body : "", answer.length, JSON_DECODE_ANY, &error);
		if (!*ret_json) {
			reason_set(why, 0, "the answer from %s is not JSON: %s", url, error.text);
			r = -EPROTO;
		}
	}
	fetch_answer_done(&answer);
	return r;
}

char *fetch_make_url(const char *server, const char *path)
{
	const char *scheme = strstr(server, "://") ? "" : "http://";
	size_t length = strlen(server);
	char *url = NULL;

	while (length > 0 && server[length - 1] == '/')
		length--;
	if (asprintf(&url, "%s%.*s%s%s", scheme, (int)length, server, *path == '/' ? "" : "/", path) < 0)
		return NULL;
	return url;
}
