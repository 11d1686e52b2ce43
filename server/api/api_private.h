/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Declarations private to the API.
 */
#pragma once

#include "http/http.h"
#include "http/metrics.h"
#include "server.h"

#include <bson/bson.h>
#include <jansson.h>

struct api {
	struct server *server;
	struct http *http;
	struct metrics *metrics;
	unsigned n_history_jobs;
	struct api_listing *listings; /* requests for recaps that wait for their turn */
	unsigned n_listings;          /* that are being read */
	uint64_t say_login_at_ns;     /* the next warning of a wrong password */
	uint64_t left_out;            /* of /metrics */
	int statm;                    /* of /proc; -1: none */
};

/* Handlers of the routes; `data` is the struct api. */
void api_post_recap(struct http_request *request, void *data);
void api_get_recaps(struct http_request *request, void *data);
void api_get_machine_recaps(struct http_request *request, void *data);
void api_get_latest(struct http_request *request, void *data);
void api_get_sensors(struct http_request *request, void *data);
void api_get_machine(struct http_request *request, void *data);
void api_get_machines(struct http_request *request, void *data);
void api_get_target(struct http_request *request, void *data);
void api_get_live(struct http_request *request, void *data);
void api_get_history(struct http_request *request, void *data);
void api_get_root(struct http_request *request, void *data);
void api_get_page(struct http_request *request, void *data);

/* "a, b, c and 12 more", or "none yet"; as many names as fit. */
void api_list_machines(const struct server *server, char *ret, size_t size);
/* Frees the requests that still wait in api->listings, without answering them. */
void api_free_listings(struct api *api);
/* A number, or null if it is not finite. New reference. */
json_t *api_number(double value);
void api_set(json_t *object, const char *key, double value);
/* Age of the machine's last tick; NAN: there is none. */
double api_age_s(const struct machine *machine);
/* Adds a container's description to its JSON; NULL: unknown. */
void api_describe(json_t *value, const struct known_target *known);
/* A document as plain JSON: dates in ISO 8601, ids in hex. New reference, NULL if out of memory. */
json_t *api_json_of_bson(const bson_t *document);
/* Answers with the value and releases it; NULL: 500. */
void api_answer_json(struct http_request *request, unsigned status, json_t *value);
/* For http_wait(): `data` is the pointer to the request, which becomes NULL. */
void api_gone(struct http_request *request, void *data);
/*
 * Reads once for a waiting client: `answer` gets the documents, unless the client is gone. `failed`: the
 * start of the 503's text if the store does not return them; the reason follows.
 */
typedef void (*api_answer)(struct http_request *request, const struct batch *documents);
void api_read(struct api *api, struct http_request *request, const struct store_query *query,
	      const char *failed, api_answer answer);
/*
 * The machine that `database` and `machine` name; NULL: a 403 or 404 that lists the known names has been
 * sent.
 */
struct machine *api_find_machine(struct api *api, struct http_request *request, const char *database,
				 const char *machine);
/* The same for a name in a parameter; 400 if that is missing. */
struct machine *api_find_parameter(struct api *api, struct http_request *request, const char *parameter,
				   const char *database);

/* Registers the content of /metrics. 0 or a negative errno. */
int api_metrics_register(struct metrics *metrics, struct server *server);
/* Parts of /metrics: power; the process, whose file is opened while the privileges are still there. */
void api_metrics_write_power(struct metrics_writer *writer, struct server *server);
void api_metrics_write_process(struct metrics_writer *writer, const struct server *server);
int api_metrics_open_process(void);
