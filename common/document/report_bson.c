/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The encoders: reports, power reports and targets into a batch, field by field as in docs/documents.md.
 * Order and types are those expected by PowerAPI's readers; our additions are under `metadata`. Called once
 * per target and tick, so nothing here allocates once the batch is warm.
 */
#include "document/report_bson.h"
#include "document/bson_encoder.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void begin_report(struct bson_encoder *encoder, struct batch *batch, const struct report_head *head)
{
	uint8_t id[REPORT_ID_BYTES];

	report_make_id(head->time_ms, head->sensor, head->target, NULL, NULL, id);
	bson_encoder_begin(encoder, batch);
	bson_encoder_object_id(encoder, "_id", id);
	bson_encoder_date(encoder, "timestamp", head->time_ms);
	bson_encoder_string(encoder, "sensor", head->sensor);
	bson_encoder_string(encoder, "target", head->target);
}

static bool has_value(const struct report_counts *counts, unsigned place)
{
	const uint64_t *values = counts->values + (size_t)place * counts->group->n_events;

	for (unsigned i = 0; i < counts->group->n_events; i++)
		if (values[i] != REPORT_COUNT_MISSING)
			return true;
	return false;
}

static void add_place(struct bson_encoder *encoder, const struct report_counts *counts, unsigned place)
{
	const struct report_group *group = counts->group;
	const uint64_t *values = counts->values + (size_t)place * group->n_events;

	bson_encoder_open_number(encoder, group->places[place].cpu);
	for (unsigned i = 0; i < group->n_events; i++)
		if (values[i] != REPORT_COUNT_MISSING)
			bson_encoder_double_named(encoder, group->events[i], (double)values[i]);
	if (counts->enabled_ns && counts->running_ns) {
		bson_encoder_double(encoder, "time_enabled", (double)counts->enabled_ns[place]);
		bson_encoder_double(encoder, "time_running", (double)counts->running_ns[place]);
	}
	bson_encoder_close(encoder);
}

/* Omits places without a reading, and groups that have no other places. */
static void add_group(struct bson_encoder *encoder, const struct report_counts *counts)
{
	const struct report_group *group = counts->group;
	const struct report_place *open = NULL;

	for (unsigned i = 0; i < group->n_places; i++) {
		const struct report_place *place = &group->places[i];

		if (!has_value(counts, i))
			continue;
		if (!open)
			bson_encoder_open_named(encoder, group->name);
		if (open && open->package != place->package)
			bson_encoder_close(encoder);
		if (!open || open->package != place->package)
			bson_encoder_open_number(encoder, place->package);
		add_place(encoder, counts, i);
		open = place;
	}
	if (!open)
		return;
	bson_encoder_close(encoder);
	bson_encoder_close(encoder);
}

static void add_groups(struct bson_encoder *encoder, const struct report_counts *counts, unsigned n_counts)
{
	bson_encoder_open(encoder, "groups");
	for (unsigned i = 0; i < n_counts; i++)
		add_group(encoder, &counts[i]);
	bson_encoder_close(encoder);
}

int report_bson_add_target_counts(struct batch *batch, const struct report_head *head,
				  const struct report_counts *counts, unsigned n_counts,
				  const struct report_target_metadata *metadata)
{
	struct bson_encoder encoder;

	begin_report(&encoder, batch, head);
	add_groups(&encoder, counts, n_counts);
	bson_encoder_open(&encoder, "metadata");
	bson_encoder_string(&encoder, "container_id", metadata->container_id);
	if (metadata->partial)
		bson_encoder_bool(&encoder, "partial", true);
	if (metadata->scaled < 1)
		bson_encoder_double(&encoder, "scaled", metadata->scaled);
	bson_encoder_close(&encoder);
	return bson_encoder_end(&encoder);
}

static void add_lost(struct bson_encoder *encoder, const uint64_t lost[REPORT_LOST_CAUSES])
{
	bool any = false;

	for (unsigned i = 0; i < REPORT_LOST_CAUSES; i++)
		any = any || lost[i];
	if (!any)
		return;
	bson_encoder_open(encoder, "lost");
	for (unsigned i = 0; i < REPORT_LOST_CAUSES; i++)
		if (lost[i])
			bson_encoder_i64(encoder, report_lost_names[i], (int64_t)lost[i]);
	bson_encoder_close(encoder);
}

static void add_word(struct bson_encoder *encoder, const char *name, const char *text)
{
	if (text && text[0])
		bson_encoder_string(encoder, name, text);
}

static void add_positive(struct bson_encoder *encoder, const char *name, double value)
{
	if (value > 0)
		bson_encoder_double(encoder, name, value);
}

static void add_machine(struct bson_encoder *encoder, const struct report_machine *machine)
{
	add_positive(encoder, "design_power", machine->design_w);
	add_positive(encoder, "power_limit", machine->limit_w);
	add_word(encoder, "idle_driver", machine->idle_driver);
	add_word(encoder, "idle_state", machine->idle_state);
	add_positive(encoder, "idle_latency", machine->idle_latency_us * 1e-6);
	add_word(encoder, "frequency_driver", machine->frequency_driver);
	add_word(encoder, "frequency_governor", machine->frequency_governor);
}

int report_bson_add_all_counts(struct batch *batch, const struct report_head *head,
			       const struct report_counts *counts, unsigned n_counts,
			       const struct report_tick_metadata *metadata)
{
	struct bson_encoder encoder;

	begin_report(&encoder, batch, head);
	add_groups(&encoder, counts, n_counts);
	bson_encoder_open(&encoder, "metadata");
	bson_encoder_i64(&encoder, "seq", (int64_t)metadata->seq);
	bson_encoder_double(&encoder, "interval", metadata->interval_s);
	bson_encoder_i32(&encoder, "targets", (int32_t)metadata->n_targets);
	bson_encoder_string(&encoder, "energy_source", metadata->energy_source);
	bson_encoder_string(&encoder, "activity_source", metadata->activity_source);
	add_word(&encoder, "cpu_model", metadata->cpu_model);
	if (metadata->estimated)
		bson_encoder_bool(&encoder, "estimated", true);
	if (metadata->energy_reset)
		bson_encoder_bool(&encoder, "energy_reset", true);
	add_positive(&encoder, "base_frequency", metadata->base_frequency_mhz);
	if (metadata->n_cores)
		bson_encoder_i32(&encoder, "cores", (int32_t)metadata->n_cores);
	if (metadata->machine)
		add_machine(&encoder, metadata->machine);
	if (metadata->skew_s >= 0)
		bson_encoder_double(&encoder, "skew", metadata->skew_s);
	add_positive(&encoder, "lost_cpu_time", metadata->lost_cpu_s);
	bson_encoder_string(&encoder, "boot_id", metadata->boot_id);
	bson_encoder_string(&encoder, "version", metadata->version);
	add_lost(&encoder, metadata->lost);
	bson_encoder_close(&encoder);
	return bson_encoder_end(&encoder);
}

#define POWER_SIZE 420 /* largest power report without its strings */

static size_t length_of(const char *text)
{
	return text ? strlen(text) : 0;
}

static uint8_t *put_power_metadata(uint8_t *at, const struct report_power *power, const char *scope,
				   size_t socket_length, size_t formula_length)
{
	const char *container_id = power->container_id;

	at = bson_put_string(at, "scope", scope, strlen(scope));
	at = bson_put_string(at, "socket", power->socket, socket_length);
	at = bson_put_string(at, "formula", power->formula, formula_length);
	at = bson_put_double(at, "ratio", power->ratio);
	at = bson_put_double(at, "interval", power->interval_s);
	at = bson_put_double(at, "energy", power->energy_j);
	at = bson_put_double(at, "dynamic", power->dynamic);
	at = bson_put_double(at, "static", power->fixed);
	at = bson_put_double(at, "error", power->error);
	at = bson_put_double(at, "sd", power->sd > 0 ? power->sd : NAN);
	at = bson_put(at, BSON_TYPE_BOOL, "estimated", &power->estimated, 1);
	if (power->calibrated)
		at = bson_put(at, BSON_TYPE_BOOL, "calibrated", &power->calibrated, 1);
	at = bson_put_double(at, "bridged", power->bridged_s > 0 ? power->bridged_s : NAN);
	if (container_id && container_id[0])
		at = bson_put_string(at, "container_id", container_id, strlen(container_id));
	return at;
}

/* Most of a server's documents are these, so the room is reserved once. */
int report_bson_add_power(struct batch *batch, const struct report_power *power)
{
	const size_t sensor = length_of(power->sensor), target = length_of(power->target),
		     socket = length_of(power->socket), formula = length_of(power->formula);
	uint8_t id[REPORT_ID_BYTES], *begin, *metadata, *at;
	const char *scope;

	if (!isfinite(power->power) || power->scope >= REPORT_SCOPES_ALL)
		return -EINVAL;
	if (batch_reserve(batch, POWER_SIZE + BSON_STRING_MAX(sensor + target + socket + formula +
							      length_of(power->container_id))) < 0)
		return -ENOMEM;
	scope = report_scope_names[power->scope];
	report_id_end(power->id_begun ? power->id_begun : report_id_begin(power->time_ms, power->sensor),
		      power->time_ms, power->target, scope, power->socket, id);
	begin = batch->data + batch->length;
	at = bson_put(begin + sizeof(uint32_t), BSON_TYPE_OID, "_id", id, sizeof(id));
	at = bson_put(at, BSON_TYPE_DATE_TIME, "timestamp", &power->time_ms, sizeof(power->time_ms));
	at = bson_put_string(at, "sensor", power->sensor, sensor);
	at = bson_put_string(at, "target", power->target, target);
	at = bson_put_double(at, "power", power->power);
	metadata = bson_put(at, BSON_TYPE_DOCUMENT, "metadata", &(uint32_t){0}, 0);
	at = put_power_metadata(metadata + sizeof(uint32_t), power, scope, socket, formula);
	at = bson_put_end(metadata, at);
	at = bson_put_end(begin, at);
	batch->length += (size_t)(at - begin);
	batch->n_documents++;
	return 0;
}

/* Label names contain dots, so labels are an array of "name=value" and not a document. */
static void add_labels(struct bson_encoder *encoder, const char *const *labels)
{
	char key[12];

	bson_encoder_open_array(encoder, "labels");
	for (unsigned i = 0; labels[2 * i] && labels[2 * i + 1]; i++) {
		(void)snprintf(key, sizeof(key), "%u", i);
		bson_encoder_pair(encoder, key, labels[2 * i], labels[2 * i + 1]);
	}
	bson_encoder_close(encoder);
}

int report_bson_add_target(struct batch *batch, const struct report_target *target)
{
	struct bson_encoder encoder;
	uint8_t id[REPORT_ID_BYTES];

	report_make_id(0, target->sensor, target->target, NULL, NULL, id);
	bson_encoder_begin(&encoder, batch);
	bson_encoder_object_id(&encoder, "_id", id);
	bson_encoder_date(&encoder, "timestamp", target->last_seen_ms);
	bson_encoder_string(&encoder, "sensor", target->sensor);
	bson_encoder_string(&encoder, "target", target->target);
	add_word(&encoder, "id", target->id);
	add_word(&encoder, "name", target->name);
	add_word(&encoder, "image", target->image);
	add_word(&encoder, "runtime", target->runtime);
	add_word(&encoder, "cgroup", target->cgroup);
	add_word(&encoder, "pod", target->pod);
	add_word(&encoder, "pod_uid", target->pod_uid);
	add_word(&encoder, "namespace", target->pod_namespace);
	add_word(&encoder, "container", target->container_name);
	if (target->labels && target->labels[0])
		add_labels(&encoder, target->labels);
	add_positive(&encoder, "cpu_quota", target->cpu_quota);
	bson_encoder_date(&encoder, "first_seen", target->first_seen_ms);
	bson_encoder_date(&encoder, "last_seen", target->last_seen_ms);
	return bson_encoder_end(&encoder);
}
