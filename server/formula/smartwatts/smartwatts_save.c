/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State of formula `smartwatts` as a document and back: each layer with its windows and its model. State of
 * other window sizes, of another formula or version is refused.
 */
#include "formula/smartwatts/smartwatts.h"
#include "base/reason.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define STATE_VERSION 1

static bool append_layer(bson_t *list, char key[16], unsigned position[3], const struct layer *layer)
{
	uint32_t bytes = (uint32_t)(((size_t)layer->history * (layer->n_features + 1) + layer->error_window) *
				    sizeof(double));
	bson_t child;

	return BSON_APPEND_DOCUMENT_BEGIN(list, key, &child) &&
	       BSON_APPEND_INT32(&child, "scope", (int32_t)position[0]) &&
	       BSON_APPEND_INT32(&child, "socket", (int32_t)position[1]) &&
	       BSON_APPEND_INT32(&child, "layer", (int32_t)position[2]) &&
	       BSON_APPEND_INT32(&child, "features", (int32_t)layer->n_features) &&
	       BSON_APPEND_INT32(&child, "samples", (int32_t)layer->n_samples) &&
	       BSON_APPEND_INT32(&child, "errors", (int32_t)layer->n_errors) &&
	       BSON_APPEND_BOOL(&child, "fitted", layer->fitted) &&
	       BSON_APPEND_BINARY(&child, "model", BSON_SUBTYPE_BINARY, (const uint8_t *)&layer->model,
				  sizeof(layer->model)) &&
	       BSON_APPEND_BINARY(&child, "window", BSON_SUBTYPE_BINARY, (const uint8_t *)layer->x, bytes) &&
	       bson_append_document_end(list, &child);
}

int formula_smartwatts_save(const void *opaque, bson_t *document)
{
	const struct smartwatts *smartwatts = opaque;
	unsigned n = 0;
	bson_t list;
	bool ok =
		BSON_APPEND_UTF8(document, "formula", "smartwatts") &&
		BSON_APPEND_INT32(document, "version", STATE_VERSION) &&
		BSON_APPEND_INT32(document, "history", (int32_t)smartwatts->config.learn_history) &&
		BSON_APPEND_INT32(document, "error_window", (int32_t)smartwatts->config.learn_error_window) &&
		BSON_APPEND_ARRAY_BEGIN(document, "layers", &list);

	for (unsigned i = 0; ok && i < REPORT_SCOPES * TICK_SOCKETS_MAX * SMARTWATTS_LAYERS; i++) {
		unsigned position[3] = {i / (TICK_SOCKETS_MAX * SMARTWATTS_LAYERS),
					i / SMARTWATTS_LAYERS % TICK_SOCKETS_MAX, i % SMARTWATTS_LAYERS};
		const struct layer *layer = smartwatts->layers[position[0]][position[1]][position[2]];
		char key[16];
		if (!layer)
			continue;
		(void)snprintf(key, sizeof(key), "%u", n++);
		ok = append_layer(&list, key, position, layer);
	}
	ok = ok && bson_append_array_end(document, &list);
	return ok ? 0 : -ENOMEM;
}

static int64_t get_number(const bson_t *document, const char *name, int64_t most)
{
	bson_iter_t it;
	int64_t value;

	if (!bson_iter_init_find(&it, document, name) || !BSON_ITER_HOLDS_INT32(&it))
		return -1;
	value = bson_iter_int32(&it);
	return value >= 0 && value <= most ? value : -1;
}

static bool get_doubles(const bson_t *document, const char *name, void *ret_values, size_t bytes)
{
	const uint8_t *data = NULL;
	bson_subtype_t subtype;
	uint32_t length = 0;
	bson_iter_t it;

	if (!bson_iter_init_find(&it, document, name) || !BSON_ITER_HOLDS_BINARY(&it))
		return false;
	bson_iter_binary(&it, &subtype, &length, &data);
	if (length != bytes)
		return false;
	memcpy(ret_values, data, bytes);
	for (size_t i = 0; i < bytes / sizeof(double); i++) {
		if (!isfinite(((const double *)ret_values)[i]))
			return false;
	}
	return true;
}

static bool load_layer(struct smartwatts *smartwatts, const bson_t *document)
{
	const struct formula_config *config = &smartwatts->config;
	int64_t scope = get_number(document, "scope", REPORT_SCOPES - 1), features;
	int64_t socket = get_number(document, "socket", TICK_SOCKETS_MAX - 1);
	int64_t index = get_number(document, "layer", SMARTWATTS_LAYERS - 1), samples, errors;
	struct layer *layer;
	bson_iter_t it;

	features = get_number(document, "features", FIT_FEATURES);
	samples = get_number(document, "samples", config->learn_history);
	errors = get_number(document, "errors", config->learn_error_window);
	if (scope < 0 || socket < 0 || index < 0 || features < 1 || samples < 0 || errors < 0 ||
	    smartwatts->layers[scope][socket][index])
		return false;
	layer = layer_new(config, (unsigned)features);
	if (!layer)
		return false;
	smartwatts->layers[scope][socket][index] = layer;
	layer->n_samples = (unsigned)samples;
	layer->n_errors = (unsigned)errors;
	layer->fitted = bson_iter_init_find(&it, document, "fitted") && bson_iter_as_bool(&it);
	return get_doubles(document, "model", &layer->model, sizeof(layer->model)) &&
	       get_doubles(document, "window", layer->x,
			   ((size_t)layer->history * ((size_t)features + 1) + layer->error_window) *
				   sizeof(double));
}

static bool load_layers(struct smartwatts *smartwatts, const bson_t *document)
{
	bson_iter_t it, item;

	if (!bson_iter_init_find(&it, document, "layers") || !BSON_ITER_HOLDS_ARRAY(&it) ||
	    !bson_iter_recurse(&it, &item))
		return false;
	while (bson_iter_next(&item)) {
		const uint8_t *data;
		uint32_t length;
		bson_t child;
		if (!BSON_ITER_HOLDS_DOCUMENT(&item))
			return false;
		bson_iter_document(&item, &length, &data);
		if (!bson_init_static(&child, data, length) || !load_layer(smartwatts, &child))
			return false;
	}
	return true;
}

static int refuse(struct reason *why, const char *reason)
{
	return reason_set(why, -EINVAL, "state of formula smartwatts: %s; it is learnt anew", reason);
}

int formula_smartwatts_load(void *opaque, const bson_t *document, struct reason *why)
{
	struct smartwatts *smartwatts = opaque, *fresh;
	bson_iter_t it;
	bool ok;

	if (!bson_iter_init_find(&it, document, "formula") || !BSON_ITER_HOLDS_UTF8(&it) ||
	    strcmp(bson_iter_utf8(&it, NULL), "smartwatts") != 0)
		return refuse(why, "it is another formula's");
	if (get_number(document, "version", STATE_VERSION) != STATE_VERSION)
		return refuse(why, "unknown version");
	if (get_number(document, "history", INT32_MAX) != smartwatts->config.learn_history ||
	    get_number(document, "error_window", INT32_MAX) != smartwatts->config.learn_error_window)
		return refuse(why, "other window sizes");
	fresh = formula_smartwatts.make(&smartwatts->config);
	ok = fresh && load_layers(fresh, document);
	if (ok) {
		struct smartwatts swap = *smartwatts;
		*smartwatts = *fresh;
		*fresh = swap;
	}
	formula_smartwatts.free(fresh);
	return ok ? 0 : refuse(why, "broken");
}
