/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to the API.
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
};

/* Routes' handlers; `data` is the api. */
void api_post_recap(struct http_request *request, void *data);
void api_get_recaps(struct http_request *request, void *data);
void api_get_machine_recaps(struct http_request *request, void *data);
void api_get_latest(struct http_request *request, void *data);
void api_get_sensors(struct http_request *request, void *data);
void api_get_machines(struct http_request *request, void *data);
void api_get_target(struct http_request *request, void *data);
void api_get_live(struct http_request *request, void *data);
void api_get_history(struct http_request *request, void *data);
void api_get_root(struct http_request *request, void *data);
void api_get_page(struct http_request *request, void *data);

/* A number, or null if it is not finite. New reference. */
json_t *api_number(double value);
/* A document as plain JSON: dates in ISO 8601, ids in hex. New reference, NULL if out of memory. */
json_t *api_json_of_bson(const bson_t *document);
/* Answers with the value and releases it; NULL: 500. */
void api_answer_json(struct http_request *request, unsigned status, json_t *value);
/*
 * The machine that `database` and `machine` name; NULL after having answered 403 or 404 with what is known
 * instead.
 */
struct machine *api_find_machine(struct api *api, struct http_request *request, const char *database,
				 const char *machine);

/* Registers what /metrics shows. 0 or a negative errno. */
int api_metrics_register(struct metrics *metrics, struct server *server);
