/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /: the live page for browsers, three lines of text for other clients. The page's files are public
 * because they contain no data; the requests that the page makes need the token, if one is set.
 */
#include "api/api_private.h"
#include "page/page.h"

#include <string.h>

/* Nothing inline, nothing from other origins, no framing. */
#define POLICY                                                                                               \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "      \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const char greeting[] =
	"This is the wattribute server.\n"
	"POST /DATABASE/MACHINE?name=&begin=&beginwarmup=&beginexecution=&end=&id=  writes the recap of a "
	"run\n"
	"GET  /DATABASE/MACHINE/recaps  /api/latest  /api/sensors  /api/history  /metrics  /healthz\n";

static void answer_file(struct http_request *request, const struct page_file *file)
{
	http_answer(request, 200, file->content_type, file->begin, (size_t)(file->end - file->begin));
	http_answer_header(request, "Content-Security-Policy", POLICY);
	http_answer_header(request, "X-Content-Type-Options", "nosniff");
	http_answer_header(request, "Referrer-Policy", "no-referrer");
}

void api_get_root(struct http_request *request, void *data)
{
	const char *accept = http_request_header(request, "Accept");

	(void)data;
	if (accept && strstr(accept, "text/html") && strcmp(http_request_path(request), "/") == 0)
		answer_file(request, page_find("index.html"));
	else
		http_answer(request, 200, "text/plain; charset=utf-8", greeting, sizeof(greeting) - 1);
	http_answer_header(request, "Vary", "Accept");
}

void api_get_page(struct http_request *request, void *data)
{
	const char *name = http_request_part(request, 0);
	const struct page_file *file = page_find(name);

	(void)data;
	if (file)
		answer_file(request, file);
	else
		http_answer_error(request, 404, "the page has no file '%.64s'", name);
}
