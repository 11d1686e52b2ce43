/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run whose recap was requested, and its documents: the recap itself, and the request while it waits.
 */
#pragma once

#include "recap/recap.h"

#include <bson/bson.h>

#define RECAP_EXTRAS_MAX   32
#define RECAP_AHEAD_MAX_MS 3600000.0 /* limit on a run's end ahead of the server's clock */

/* Names of the window's times, in requests and recaps. */
extern const char *const recap_time_names[RECAP_TIMES];

/* A parameter of the request that is copied into the recap. */
struct recap_extra {
	char *name;
	char *value;
};

struct recap_request {
	char *machine;
	char *name; /* the target; "" where only `id` was given */
	char *id;   /* full container id, or "" */
	struct recap_window window;
	bool whole_life; /* see struct recap */
	struct recap_extra extras[RECAP_EXTRAS_MAX];
	unsigned n_extras;
};

void recap_request_done(struct recap_request *request);

/*
 * The recap: the old fields by their old names, and ours. 0 or -ENOMEM. A `coverage` below 1: some reports
 * did not arrive in time.
 */
int recap_bson_write(bson_t *document, const struct recap_request *request, const struct recap *recap);

/* Writes the request into the list of waiting ones, and reads it back. -EINVAL: malformed. */
int recap_bson_write_request(bson_t *list, unsigned index, const struct recap_request *request);
int recap_bson_read_request(const bson_iter_t *iterator, struct recap_request *ret_request);

/* The recap as text, as tester.sh prints it. Returns the length; writes at most size - 1 characters. */
size_t recap_text(const struct recap_request *request, const struct recap *recap, char *ret, size_t size);
