/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of pending recaps. A recap is written when the machine's last tick reaches its end. If nothing
 * newer arrives for --recap-timeout, it is written from the available reports, its coverage shows what is
 * missing, and it stays pending: a sensor whose store was away delivers later, and the recap is written
 * again. Called by the API and by the loop. Many requests must not delay the ticks: few recaps are read at
 * once, those with a waiting client first, and the list is written by one request at a time.
 */
#include "recap/recaps.h"
#include "base/bson_get.h"

#include "base/bson_driver.h"
#include "base/clock.h"
#include "base/log.h"
#include "recap/recap_job.h"
#include "document/collections.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define RECAPS_MAX      1000
#define RECAPS_UNWAITED 800 /* of these, without a waiting client */
#define RECAPS_AT_ONCE  2   /* jobs that read */
#define RECAPS_LOOK_S   0.25
#define RECAPS_KEEP_MS  (7 * 24 * INT64_C(3600000)) /* the default age limit of a sensor's spool */
#define RECAPS_STATE_ID "recaps"
#define RECAPS_TOKEN    "recap"

struct recaps_entry {
	struct recaps_entry *next, *prev;
	struct recaps *recaps;
	struct recap_request request;
	int64_t asked_ms;
	int64_t waiting_ms; /* since when the store has answered without new reports */
	char power[COLLECTION_SIZE];
	struct recap_job *job; /* NULL while it waits */
	bool job_done;         /* free the job at the next check */
	bool finished;         /* free this at the next check */
	bool early;            /* written before the machine's ticks reached its end */
	bool in_note;          /* on the list that is being written */
	recaps_done done;
	void *data;
	recaps_noted noted;
	void *noted_data;
};

struct recaps {
	struct recaps_setup setup;
	struct batch buffer;          /* the document to be written */
	struct recaps_entry *entries; /* the oldest first */
	unsigned n_jobs;
	bool noting;  /* the list is being written */
	bool changed; /* since then */
	struct recaps_statistics statistics;
	ev_timer look;
};

static void look_after(struct ev_loop *loop, ev_timer *timer, int events);

struct recaps *recaps_new(const struct recaps_setup *setup)
{
	struct recaps *recaps = calloc(1, sizeof(*recaps));

	if (!recaps)
		return NULL;
	recaps->setup = *setup;
	ev_timer_init(&recaps->look, look_after, RECAPS_LOOK_S, RECAPS_LOOK_S);
	recaps->look.data = recaps;
	return recaps;
}

static void entry_free(struct recaps_entry *entry)
{
	recap_job_free(entry->job);
	recap_request_done(&entry->request);
	free(entry);
}

void recaps_free(struct recaps *recaps)
{
	struct recaps_entry *entry, *next;

	if (!recaps)
		return;
	ev_timer_stop(recaps->setup.loop, &recaps->look);
	batch_done(&recaps->buffer);
	DL_FOREACH_SAFE(recaps->entries, entry, next)
	{
		entry_free(entry);
	}
	free(recaps);
}

static void put_done(void *data, const struct db_answer *answer)
{
	(void)data;
	if (answer->result != STORE_OK)
		log_warning(RECAPS_TOKEN, 0, "cannot store a recap: %s", answer->error);
}

static int put(struct recaps *recaps, const char *collection, const bson_t *document, db_done done,
	       void *data)
{
	batch_clear(&recaps->buffer);
	if (batch_append(&recaps->buffer, bson_get_data(document), document->len) < 0)
		return -ENOMEM;
	return db_client_put(recaps->setup.client, collection, &recaps->buffer, done, data);
}

static const struct machine *machine_of(const struct recaps_entry *entry)
{
	const char *name = entry->request.machine;
	struct machine *machine;

	HASH_FIND(hh, *entry->recaps->setup.machines, name, strlen(name), machine);
	return machine;
}

static void note(struct recaps *recaps);

/* Notifies the clients whose runs were on the list that was written. */
static void tell_noted(struct recaps *recaps, const char *error)
{
	recaps->noting = false;
	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		recaps_noted noted = entry->in_note ? entry->noted : NULL;

		if (noted)
			entry->noted = NULL;
		entry->in_note = false;
		if (noted)
			noted(entry->noted_data, error);
	}
}

static void note_done(void *data, const struct db_answer *answer)
{
	struct recaps *recaps = data;
	const char *error = answer->result == STORE_OK ? NULL : answer->error;

	if (error)
		log_warning(RECAPS_TOKEN, 0, "cannot store the list of pending recaps: %s", error);
	tell_noted(recaps, error);
	if (recaps->changed)
		note(recaps);
}

/* Writes the list of waiting requests. */
static void note(struct recaps *recaps)
{
	bson_t document = BSON_INITIALIZER, list;
	unsigned n = 0;
	int r;

	recaps->noting = true;
	recaps->changed = false;
	bson_append_utf8(&document, "_id", -1, RECAPS_STATE_ID, -1);
	bson_append_date_time(&document, "timestamp", -1, clock_realtime_ms());
	bson_append_array_unsafe_begin(&document, "list", -1, &list);
	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		entry->in_note = true;
		if (!entry->finished)
			(void)recap_bson_write_request(&list, n++, &entry->request);
	}
	bson_append_array_end(&document, &list);
	r = put(recaps, collection_prefix(COLLECTION_STATE), &document, note_done, recaps);
	bson_destroy(&document);
	if (r == 0)
		return;
	tell_noted(recaps, "out of memory, or the store's process has exited");
	recaps->changed = true; /* retried at the next check */
}

/* Writes the changed list now, or as soon as the write in progress has finished. */
static void save(struct recaps *recaps)
{
	unsigned n = 0;

	for (const struct recaps_entry *entry = recaps->entries; entry; entry = entry->next)
		n += !entry->finished;
	recaps->statistics.waiting = n;
	recaps->changed = true;
	if (!recaps->noting)
		note(recaps);
}

static void look_soon(struct recaps *recaps)
{
	ev_timer_stop(recaps->setup.loop, &recaps->look);
	ev_timer_set(&recaps->look, 0, RECAPS_LOOK_S);
	ev_timer_start(recaps->setup.loop, &recaps->look);
}

static void store(struct recaps_entry *entry, const bson_t *document)
{
	char collection[COLLECTION_SIZE];

	if (put(entry->recaps, collection_compose(COLLECTION_RECAPS, entry->request.machine, collection),
		document, put_done, NULL) < 0)
		log_warning(RECAPS_TOKEN, 0, "the recap of '%s' on %s was lost", entry->request.name,
			    entry->request.machine);
}

/* Have the machine's ticks reached the end of the run? */
static bool reached(const struct recaps_entry *entry)
{
	const struct machine *machine = machine_of(entry);

	return machine && (double)machine->time_ms >= entry->request.window.end_ms;
}

static void made(void *data, const struct recap *recap, const char *error)
{
	struct recaps_entry *entry = data;
	struct recaps *recaps = entry->recaps;
	bson_t document = BSON_INITIALIZER;

	if (!error && recap_bson_write(&document, &entry->request, recap) < 0)
		error = "out of memory for the recap";
	if (!error) {
		store(entry, &document);
		recaps->statistics.made += !entry->early;
		entry->early = entry->job_done = !reached(entry);
		entry->finished = !entry->early;
	} else {
		recaps->statistics.failed++;
		log_warning(RECAPS_TOKEN, 0, "cannot compute the recap of '%s' on %s: %s",
			    entry->request.name, entry->request.machine, error);
		entry->finished = true;
	}
	if (entry->done)
		entry->done(entry->data, &entry->request, recap, &document, error);
	entry->done = NULL;
	bson_destroy(&document);
	recaps->n_jobs--;
	look_soon(recaps); /* the next one's turn */
	save(recaps);
}

static void begin(struct recaps_entry *entry, const struct machine *machine)
{
	const struct recaps_setup *setup = &entry->recaps->setup;
	struct recap_job_options options = {
		.client = setup->client,
		.power = entry->power,
		.interval_s = machine ? machine_interval_s(machine) : setup->interval_s,
		.formula = machine ? machine->config->ops->name : NULL,
		.done = made,
		.data = entry,
	};

	entry->recaps->n_jobs++;
	entry->job = recap_job_new(&entry->request, &options);
	if (entry->job)
		recap_job_begin(entry->job);
	else
		made(entry, NULL, "out of memory");
}

void recaps_tick(struct recaps *recaps, const struct machine *machine)
{
	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		if (!entry->job && !entry->finished &&
		    (double)machine->time_ms >= entry->request.window.end_ms &&
		    strcmp(entry->request.machine, machine->name) == 0) {
			look_soon(recaps);
			return;
		}
	}
}

/* Nothing newer has arrived for --recap-timeout: nothing more is expected. */
static bool waited_enough(struct recaps_entry *entry, const struct machine *machine, int64_t now_ms)
{
	const struct recaps_setup *setup = &entry->recaps->setup;
	int64_t timeout_ms = (int64_t)setup->timeout_ms;

	/* A clock that was set back must not lengthen the wait. */
	if (*setup->away || now_ms < entry->waiting_ms)
		entry->waiting_ms = now_ms;
	if (entry->early || (double)now_ms < entry->request.window.end_ms)
		return false;
	if (now_ms - entry->waiting_ms < timeout_ms)
		return false;
	return !machine || now_ms < machine->fed_ms || now_ms - machine->fed_ms >= timeout_ms;
}

/* Frees finished entries, and jobs that will be started again. */
static void clear_away(struct recaps *recaps, int64_t now_ms)
{
	struct recaps_entry *entry, *next;

	DL_FOREACH_SAFE(recaps->entries, entry, next)
	{
		if (entry->finished && !entry->noted) {
			DL_DELETE(recaps->entries, entry);
			entry_free(entry);
			continue;
		}
		if (entry->early && entry->job_done) {
			recap_job_free(entry->job);
			entry->job = NULL;
			entry->job_done = false;
		}
		if (!entry->job && entry->early && !reached(entry) &&
		    now_ms - entry->asked_ms > RECAPS_KEEP_MS)
			entry->finished = true;
	}
}

/* Starts entries with a waiting client, or the others. */
static void begin_some(struct recaps *recaps, bool waited_for, int64_t now_ms)
{
	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		const struct machine *machine = machine_of(entry);

		if (recaps->n_jobs >= RECAPS_AT_ONCE)
			return;
		if (!entry->job && !entry->finished && (entry->done != NULL) == waited_for &&
		    (reached(entry) || waited_enough(entry, machine, now_ms)))
			begin(entry, machine);
	}
}

static void look_after(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct recaps *recaps = timer->data;
	int64_t now_ms = clock_realtime_ms();

	(void)events;
	clear_away(recaps, now_ms);
	begin_some(recaps, true, now_ms);
	begin_some(recaps, false, now_ms);
	if (recaps->changed && !recaps->noting)
		note(recaps);
	if (!recaps->entries)
		ev_timer_stop(loop, timer);
}

/* Makes room: the oldest entry whose recap was already written from incomplete reports is not rewritten. */
static bool drop_early(struct recaps *recaps)
{
	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		if (entry->early && !entry->finished && (!entry->job || entry->job_done)) {
			entry->finished = true;
			return true;
		}
	}
	return false;
}

int recaps_add(struct recaps *recaps, const struct recap_request *request, recaps_done done, void *data,
	       struct recaps_entry **ret_entry)
{
	struct recaps_entry *entry;

	if (recaps->statistics.waiting >= (done ? RECAPS_MAX : RECAPS_UNWAITED) && !drop_early(recaps))
		return -EBUSY;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	(void)collection_compose(COLLECTION_POWER, request->machine, entry->power);
	entry->recaps = recaps;
	entry->request = *request;
	entry->asked_ms = entry->waiting_ms = clock_realtime_ms();
	entry->done = done;
	entry->data = data;
	DL_APPEND(recaps->entries, entry);
	save(recaps);
	look_soon(recaps);
	if (ret_entry)
		*ret_entry = entry;
	return 0;
}

const struct recap_request *recaps_request(const struct recaps_entry *entry)
{
	return &entry->request;
}

void recaps_forget(struct recaps_entry *entry)
{
	entry->done = NULL;
	entry->noted = NULL;
}

void recaps_when_noted(struct recaps_entry *entry, recaps_noted noted, void *data)
{
	entry->noted = noted;
	entry->noted_data = data;
}

static void load_list(struct recaps *recaps, bson_iter_t *each)
{
	struct recap_request request;

	while (bson_iter_next(each)) {
		if (recap_bson_read_request(each, &request) < 0)
			log_warning(RECAPS_TOKEN, 0, "a pending recap could not be restored");
		else if (recaps_add(recaps, &request, NULL, NULL, NULL) < 0)
			recap_request_done(&request);
	}
}

void recaps_load(struct recaps *recaps, const struct batch *states)
{
	bson_iter_t list;
	bson_t document;

	if (batch_find_bson(states, RECAPS_STATE_ID, &document) && bson_get_array(&document, "list", &list))
		load_list(recaps, &list);
}

const struct recaps_statistics *recaps_get_statistics(const struct recaps *recaps)
{
	return &recaps->statistics;
}
