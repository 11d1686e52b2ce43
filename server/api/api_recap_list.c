/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET of recaps, latest first. Lists are read in pages, few at a time, and their length is limited: a request
 * by a stranger delays a tick by no more than one page.
 */
#include "api/api_private.h"
#include "base/bson_get.h"
#include "base/text.h"
#include "document/collections.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 10000
#define LIST_BYTES_MAX ((size_t)16 << 20) /* of documents in one answer */
#define PAGE           100                /* documents */
#define READ_AT_ONCE   2

struct api_listing {
	struct api_listing *next, *prev; /* in api->listings, while it waits for its turn */
	struct api *api;
	struct http_request *http; /* NULL: the client is gone */
	char collection[COLLECTION_SIZE];
	char *name; /* of the requested recaps; NULL: all */
	unsigned limit;
	struct store_query query; /* of the next page */
	unsigned n_taken;         /* documents with the time until_ms in earlier pages */
	unsigned n_read;
	size_t bytes;
	json_t *list;
};

static void listing_free(struct api_listing *listing)
{
	json_decref(listing->list);
	free(listing->name);
	free(listing);
}

static void read_page(struct api_listing *listing);

/* Ends this listing; the next one gets its turn. */
static void leave(struct api_listing *listing)
{
	struct api *api = listing->api;
	struct api_listing *next;

	listing_free(listing);
	api->n_listings--;
	while (api->n_listings < READ_AT_ONCE && (next = api->listings)) {
		DL_DELETE(api->listings, next);
		api->n_listings++;
		read_page(next);
	}
}

static void finish(struct api_listing *listing, bool more, const char *error)
{
	json_t *value;

	if (listing->http && error) {
		http_answer_error(listing->http, 503, "cannot read recaps from the store: %s", error);
	} else if (listing->http) {
		value = json_pack("{sO}", "recaps", listing->list);
		if (more)
			(void)json_object_set_new(value, "more", json_true());
		api_answer_json(listing->http, 200, value);
	}
	leave(listing);
}

/* True once the answer has reached its limit in size or in documents examined. */
static bool is_cut(const struct api_listing *listing)
{
	return listing->bytes >= LIST_BYTES_MAX || listing->n_read >= LIST_LIMIT_MAX;
}

static bool is_full(const struct api_listing *listing)
{
	return json_array_size(listing->list) >= listing->limit || is_cut(listing);
}

/* Documents with the time at which the previous page ended are returned again, in the same order. */
static bool is_taken(const struct api_listing *listing, int64_t time_ms, unsigned *n_same)
{
	return listing->query.until_ms != INT64_MAX && time_ms == listing->query.until_ms &&
	       (*n_same)++ < listing->n_taken;
}

/* True: there may be more. */
static bool add_page(struct api_listing *listing, const struct batch *documents)
{
	int64_t time_ms, last_ms = listing->query.until_ms;
	unsigned n_last = listing->n_taken, n_same = 0, n_new = 0;
	size_t offset = 0;
	bson_t document;

	while (!is_full(listing) && batch_next_bson(documents, &offset, &document)) {
		if (!bson_get_date(&document, "timestamp", &time_ms))
			time_ms = 0;
		if (is_taken(listing, time_ms, &n_same))
			continue;
		n_last = time_ms == last_ms ? n_last + 1 : 1;
		last_ms = time_ms;
		n_new++;
		listing->n_read++;
		if (listing->name && !bson_has_text(&document, "name", listing->name))
			continue;
		listing->bytes += document.len;
		(void)json_array_append_new(listing->list, api_json_of_bson(&document));
	}
	listing->query.until_ms = last_ms;
	listing->n_taken = n_last;
	return n_new > 0;
}

static void answered(void *data, const struct db_answer *answer)
{
	struct api_listing *listing = data;
	bool more;

	if (!listing->http || answer->result != STORE_OK) {
		finish(listing, false, answer->error);
		return;
	}
	more = add_page(listing, answer->documents) && !answer->read.end;
	if (more && !is_full(listing))
		read_page(listing);
	else
		finish(listing, more && is_cut(listing), NULL);
}

static void read_page(struct api_listing *listing)
{
	listing->query.limit = listing->n_taken + PAGE;
	if (!listing->http)
		leave(listing);
	else if (db_client_read(listing->api->server->output, &listing->query, answered, listing) < 0)
		finish(listing, false, "its process has exited");
}

/* The limit, or 0: a 400 has been sent. */
static unsigned take_limit(struct http_request *request)
{
	const char *text = http_request_parameter(request, "limit");
	uint64_t limit = LIST_LIMIT;

	if (!text || (text_parse_u64(text, &limit) == 0 && limit >= 1 && limit <= LIST_LIMIT_MAX))
		return (unsigned)limit;
	http_answer_error(request, 400, "limit='%.32s': give a number from 1 to %d", text, LIST_LIMIT_MAX);
	return 0;
}

static struct api_listing *listing_new(struct api *api, struct http_request *request, const char *machine,
				       unsigned limit)
{
	struct api_listing *listing = calloc(1, sizeof(*listing));
	const char *name = http_request_parameter(request, "name");

	if (!listing)
		return NULL;
	listing->api = api;
	listing->http = request;
	listing->limit = limit;
	listing->list = json_array();
	listing->name = name && name[0] ? strdup(name) : NULL;
	listing->query = (struct store_query){
		.collection = collection_compose(COLLECTION_RECAPS, machine, listing->collection),
		.after_ms = INT64_MIN,
		.until_ms = INT64_MAX,
		.newest_first = true,
	};
	if (listing->list && (listing->name || !name || !name[0]))
		return listing;
	listing_free(listing);
	return NULL;
}

static void list_recaps(struct api *api, struct http_request *request, const char *machine)
{
	const unsigned limit = take_limit(request);
	struct api_listing *listing = limit ? listing_new(api, request, machine, limit) : NULL;

	if (!listing) {
		http_answer_error(request, 500, "out of memory"); /* not after a 400 */
		return;
	}
	if (http_wait(request, api_gone, &listing->http) < 0) {
		listing_free(listing);
		return;
	}
	DL_APPEND(api->listings, listing);
	if (api->n_listings >= READ_AT_ONCE)
		return;
	DL_DELETE(api->listings, listing);
	api->n_listings++;
	read_page(listing);
}

void api_free_listings(struct api *api)
{
	struct api_listing *listing, *next;

	DL_FOREACH_SAFE(api->listings, listing, next)
	{
		listing_free(listing);
	}
	api->listings = NULL;
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
