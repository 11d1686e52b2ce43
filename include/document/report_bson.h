/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents to and from BSON: the only file that knows field names. Encoders append to a batch and do not
 * allocate once it is warm. The decoder reads untrusted bytes and checks all of them.
 */
#pragma once

#include "document/batch.h"
#include "document/report.h"
#include "base/reason.h"

struct report_head {
	int64_t time_ms;
	const char *sensor;
	const char *target;
};

/*
 * `_id` from the tick's second and a 64-bit hash of (sensor, time, target[, scope, socket]); NULL parts are
 * skipped. Parts that many reports share are hashed once by report_id_begin().
 */
uint64_t report_id_begin(int64_t time_ms, const char *sensor);
void report_id_end(uint64_t begun, int64_t time_ms, const char *target, const char *scope, const char *socket,
		   uint8_t ret_id[REPORT_ID_BYTES]);
void report_make_id(int64_t time_ms, const char *sensor, const char *target, const char *scope,
		    const char *socket, uint8_t ret_id[REPORT_ID_BYTES]);

/* A container's report. 0 or -ENOMEM. */
int report_bson_add_target_counts(struct batch *batch, const struct report_head *head,
				  const struct report_counts *counts, unsigned n_counts,
				  const struct report_target_metadata *metadata);
/* The tick's `all` report; written last. */
int report_bson_add_all_counts(struct batch *batch, const struct report_head *head,
			       const struct report_counts *counts, unsigned n_counts,
			       const struct report_tick_metadata *metadata);
/* As above; -EINVAL if the power is not a finite number. Other fields that are NAN are omitted. */
int report_bson_add_power(struct batch *batch, const struct report_power *power);
/*
 * `_id` from sensor and target only, so that a later document of the same container replaces it (store put).
 */
int report_bson_add_target(struct batch *batch, const struct report_target *target);

/* One number of a decoded report. Names are indices into the reader's tables. */
struct report_value {
	uint16_t group;
	uint16_t event;
	uint16_t package; /* the key as a number */
	uint16_t cpu;
	double value;
};

/*
 * A decoded report of counts. Reused: arrays only grow. Strings point into the document. `time_enabled` and
 * `time_running` appear as events of those names.
 */
struct report_decoded {
	uint8_t id[REPORT_ID_BYTES];
	int64_t time_ms;
	const char *sensor;
	const char *target;
	const char *container_id;
	struct report_value *values;
	unsigned n_values;
	unsigned capacity;
	bool partial;
	double scaled;
	/* of `all` */
	const char *energy_source; /* NULL: not reported */
	const char *activity_source;
	const char *cpu_model;
	const char *version;
	struct report_tick said;
};

/*
 * Names of groups and events seen so far; at most 65,535 of each. Reports beyond this are rejected (-E2BIG).
 */
struct report_names;
struct report_names *report_names_new(void);
void report_names_free(struct report_names *names);
const char *report_names_group(const struct report_names *names, unsigned index);
const char *report_names_event(const struct report_names *names, unsigned index);
unsigned report_names_count_events(const struct report_names *names);

/*
 * Reads one document of a sensor collection (ours, hwpc-sensor's, or PowerAPI's). 0, -EBADMSG with a reason
 * in `why` (malformed BSON, a missing or mistyped field), -E2BIG, -ENOMEM. Integer types are accepted as
 * well.
 */
int report_bson_decode(const uint8_t *document, size_t length, struct report_names *names,
		       struct report_decoded *decoded, struct reason *why);
void report_decoded_done(struct report_decoded *decoded);
/* The sensor named by a document, or NULL. Points into the document. */
const char *report_bson_sensor(const uint8_t *document, size_t length);

/*
 * Reads one power report. Strings point into the document. -EBADMSG with a reason as above. PowerAPI's
 * documents lack dynamic, fixed, energy and interval: those are NAN then.
 */
int report_bson_decode_power(const uint8_t *document, size_t length, struct report_power *ret_power,
			     struct reason *why);
/* The next power report of a batch, from `offset`; other documents are skipped. False: there is none. */
bool report_bson_next_power(const struct batch *documents, size_t *offset, struct report_power *ret_power);
