/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP requests through libcurl, with limits on time and on the size of the answer. Knows no URL of the
 * server.
 */
#include "fetch.h"
#include "client.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/reason.h"
#include "base/text.h"
#include "store/store.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FETCH_BODY_MAX           (64UL * 1024 * 1024)
#define FETCH_TIMEOUT_DEFAULT_MS 10000L

struct answer {
	char *body; /* NULL or NUL-terminated; owned */
	size_t length;
	long status; /* of HTTP */
	char error[CURL_ERROR_SIZE];
};

static size_t collect_body(char *data, size_t size, size_t count, void *user)
{
	struct answer *answer = user;
	size_t more = size * count;

	if (more > FETCH_BODY_MAX - answer->length || !ARRAY_RESIZE(answer->body, answer->length + more + 1))
		return 0;
	memcpy(answer->body + answer->length, data, more);
	answer->length += more;
	answer->body[answer->length] = '\0';
	return more;
}

static void set_options(CURL *handle, const char *url, bool post, unsigned timeout_ms, struct answer *answer)
{
	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS,
			 timeout_ms ? (long)timeout_ms : FETCH_TIMEOUT_DEFAULT_MS);
	curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(handle, CURLOPT_USERAGENT, "wattribute/" WATTRIBUTE_VERSION);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, collect_body);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, answer);
	if (post) {
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

/* Fixes for failures that new users meet. */
static const char *hint_of(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return "; is wattribute-server running there? Another address: --server URL";
	case CURLE_COULDNT_RESOLVE_HOST:
		return "; check the name in --server URL";
	case CURLE_PEER_FAILED_VERIFICATION:
		return "; for a private certificate authority: CURL_CA_BUNDLE=FILE";
	case CURLE_SSL_CONNECT_ERROR:
		return "; does it speak TLS? If not: --server http://HOST:PORT";
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
		return "; does it speak TLS? Then: --server https://HOST:PORT";
	default:
		return "";
	}
}

static int perform(CURL *handle, const char *url, const char *token, struct answer *answer,
		   struct reason *why)
{
	cleanup_(cleanup_free) char *bearer = NULL;
	struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
	char shown[512];
	CURLcode code;

	const char *trusted = getenv("CURL_CA_BUNDLE"); /* as curl itself does */

	curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, answer->error);
	trusted = trusted ? trusted : getenv("SSL_CERT_FILE");
	if (trusted && trusted[0])
		curl_easy_setopt(handle, CURLOPT_CAINFO, trusted);
	if (token && token[0] && asprintf(&bearer, "Authorization: Bearer %s", token) >= 0)
		headers = curl_slist_append(headers, bearer);
	curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
	code = curl_easy_perform(handle);
	curl_slist_free_all(headers);
	if (code == CURLE_OK) {
		curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &answer->status);
		return 0;
	}
	return reason_set(why, code == CURLE_OPERATION_TIMEDOUT ? -ETIMEDOUT : -ECONNREFUSED,
			  "no answer from %s: %s%s", store_uri_display(url, shown, sizeof(shown)),
			  answer->error[0] ? answer->error : curl_easy_strerror(code), hint_of(code));
}

/* The JSON of an answer, or the server's own sentence if it is an error. */
static int judge(const struct answer *answer, const char *url, json_t **ret_json, struct reason *why)
{
	const char *body = answer->body ? answer->body : "", *text;
	json_error_t error;
	json_t *json = json_loadb(body, answer->length, JSON_DECODE_ANY, &error);
	char line[512];

	if (answer->status == 200 && json) {
		*ret_json = json;
		return 0;
	}
	(void)store_uri_display(url, line, sizeof(line));
	if (body[0] == '<') { /* an HTML page instead of the API's answer */
		reason_set(
			why, 0,
			"the program at %s is not a wattribute-server (HTTP %ld); another address: --server "
			"URL",
			line, answer->status);
	} else if (answer->status == 200) {
		reason_set(why, 0, "the answer from %s is not JSON: %s", line, error.text);
	} else {
		text = json_string_value(json_object_get(json, "error"));
		text = text ? text : body;
		(void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\r\n"), text);
		text_make_plain(line, '?');
		reason_set(why, 0, "the server answered %ld: %s%s", answer->status, line,
			   answer->status == 401
				   ? "; give the server's --token with --token or " CLIENT_TOKEN_VARIABLE
				   : "");
	}
	json_decref(json);
	return -EPROTO;
}

const char *fetch_display(const char *url, char *ret, size_t size)
{
	return store_uri_display(url, ret, size);
}

int fetch_check_url(const char *url, struct reason *why)
{
	const char *query = strchr(url, '?');
	CURLU *parts = curl_url();
	char *scheme = NULL, shown[512];
	CURLUcode code;
	int r = 0;

	if (!parts)
		return -ENOMEM;
	code = curl_url_set(parts, CURLUPART_URL, url, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
	/*
	 * curl would take the path's first part for a missing host's name. A server's address with a query or
	 * a fragment leaves no path; our own queries have no slash.
	 */
	if (code != CURLUE_OK || strstr(url, ":///") || strchr(url, '#') || (query && strchr(query, '/')) ||
	    (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
		r = reason_set(why, -EINVAL,
			       "'%s' is not a server address: give --server HOST:PORT, http://HOST:PORT or "
			       "https://HOST:PORT",
			       store_uri_display(url, shown, sizeof(shown)));
	curl_free(scheme);
	curl_url_cleanup(parts);
	return r;
}

int fetch_json(const char *url, const char *token, bool post, unsigned timeout_ms, json_t **ret_json,
	       struct reason *why)
{
	struct answer answer = {.body = NULL};
	CURL *handle = curl_easy_init();
	int r = fetch_check_url(url, why);

	if (!handle)
		return -ENOMEM;
	set_options(handle, url, post, timeout_ms, &answer);
	set_proxy(handle);
	if (r == 0)
		r = perform(handle, url, token, &answer, why);
	curl_easy_cleanup(handle);
	if (r == 0)
		r = judge(&answer, url, ret_json, why);
	free(answer.body);
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
