/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of pending recaps. A recap is written when the machine's last tick reaches its end. If nothing
 * newer arrives for --recap-timeout, it is written from the available reports, its coverage shows what is
 * missing, and it stays pending: a sensor whose store was unavailable delivers later, and the recap is then
 * written again. Called by the API and by the loop. Many requests must not delay the ticks: few recaps are
 * read at once, those with a waiting client first, and the list is written by one request at a time.
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
#define RECAPS_BYTES    ((size_t)4 << 20) /* of all their parameters: the list is one document */
#define RECAPS_UNWAITED 0.8               /* of both, without a waiting client */
#define RECAPS_AT_ONCE  2                 /* jobs that read */
#define RECAPS_LOOK_S   0.25
#define RECAPS_KEEP_MS  (7 * 24 * INT64_C(3600000)) /* the default age limit of a sensor's spool */
#define RECAPS_STATE_ID "recaps"
#define RECAPS_TOKEN    "recap"

struct recaps_entry {
	struct recaps_entry *next, *prev;
	struct recaps *recaps;
	struct recap_request request;
	int64_t asked_ms;
	int64_t waiting_ms; /* time since which the store has answered without new reports */
	char power[COLLECTION_SIZE];
	size_t bytes;              /* of the request's text */
	struct recap_job *job;     /* NULL while it waits */
	const struct recap *recap; /* the job's finished recap, being written to the store */
	bson_t *document;          /* its document */
	bool job_done;             /* free the job at the next check */
	bool finished;             /* free this at the next check */
	bool early;                /* recap was written before the machine's ticks reached the run's end */
	bool in_note;              /* on the list that is being written */
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
	bool far_ahead_logged;
	bool urgent;     /* a client waits until its run is on the stored list */
	ev_tstamp noted; /* when the list was last written */
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
	if (entry->document)
		bson_destroy(entry->document);
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
	if (recaps->urgent)
		note(recaps);
}

/* Writes the list of waiting requests. */
static void note(struct recaps *recaps)
{
	bson_t document = BSON_INITIALIZER, list;
	unsigned n = 0;
	int r;

	recaps->noting = true;
	recaps->changed = recaps->urgent = false;
	recaps->noted = ev_now(recaps->setup.loop);
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
	recaps->changed = recaps->urgent = true; /* retried at the next check */
}

/*
 * The list has changed. An urgent change is written now, or as soon as the write in progress has finished;
 * others, which a crash would only repeat, at most once in RECAPS_LOOK_S.
 */
static void save(struct recaps *recaps, bool urgent)
{
	unsigned n = 0;

	for (const struct recaps_entry *entry = recaps->entries; entry; entry = entry->next)
		n += !entry->finished;
	recaps->statistics.waiting = n;
	recaps->changed = true;
	recaps->urgent |= urgent;
	if (urgent && !recaps->noting)
		note(recaps);
}

static void look_soon(struct recaps *recaps)
{
	ev_timer_stop(recaps->setup.loop, &recaps->look);
	ev_timer_set(&recaps->look, 0, RECAPS_LOOK_S);
	ev_timer_start(recaps->setup.loop, &recaps->look);
}

/* Have the machine's ticks reached the end of the run? */
static bool reached(const struct recaps_entry *entry)
{
	const struct machine *machine = machine_of(entry);

	return machine && (double)machine->time_ms >= entry->request.window.end_ms;
}

/* The recap is in the store, or there will be none. */
static void finish(struct recaps_entry *entry, const char *error)
{
	struct recaps *recaps = entry->recaps;

	if (!error) {
		recaps->statistics.made += !entry->early;
		entry->early = entry->job_done = !reached(entry);
		entry->finished = !entry->early;
	} else {
		recaps->statistics.failed++;
		log_warning(RECAPS_TOKEN, 0, "no recap of '%s' on %s: %s", entry->request.name,
			    entry->request.machine, error);
		entry->finished = true;
	}
	if (entry->done)
		entry->done(entry->data, &entry->request, entry->recap, entry->document, error);
	entry->done = NULL;
	if (entry->document)
		bson_destroy(entry->document);
	entry->document = NULL;
	recaps->n_jobs--;
	look_soon(recaps); /* for the next recap */
	save(recaps, false);
}

static void stored(void *data, const struct db_answer *answer)
{
	finish(data, answer->result == STORE_OK ? NULL : answer->error);
}

/* A recap is counted and answered once the store has it. */
static void made(void *data, const struct recap *recap, const char *error)
{
	struct recaps_entry *entry = data;
	char collection[COLLECTION_SIZE];

	if (error) {
		finish(entry, error);
		return;
	}
	entry->recap = recap;
	entry->document = bson_new();
	if (recap_bson_write(entry->document, &entry->request, recap) < 0)
		finish(entry, "out of memory for the recap");
	else if (put(entry->recaps, collection_compose(COLLECTION_RECAPS, entry->request.machine, collection),
		     entry->document, stored, entry) < 0)
		finish(entry, "out of memory, or the store's process has exited");
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
		finish(entry, "out of memory");
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
	if (recaps->changed && !recaps->noting &&
	    (recaps->urgent || ev_now(loop) - recaps->noted >= RECAPS_LOOK_S))
		note(recaps);
	if (!recaps->entries && !recaps->changed)
		ev_timer_stop(loop, timer);
}

/*
 * For a list read back from the store: if the clock was set back since, or somebody else wrote the list, an
 * entry would wait for longer than any request may.
 */
static bool is_far_ahead(const struct recaps_entry *entry, int64_t now_ms)
{
	return !entry->done && !entry->job &&
	       entry->request.window.end_ms > (double)now_ms + RECAP_AHEAD_MAX_MS;
}

static bool drop_far_ahead(struct recaps *recaps)
{
	int64_t now_ms = clock_realtime_ms();

	for (struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		if (entry->finished || !is_far_ahead(entry, now_ms))
			continue;
		if (!recaps->far_ahead_logged)
			log_warning(
				RECAPS_TOKEN, 0,
				"recaps in the list in `state` that end more than an hour ahead of this "
				"server's clock are dropped to make room for new ones; the first was for %s",
				entry->request.machine);
		recaps->far_ahead_logged = true;
		entry->finished = true;
		return true;
	}
	return false;
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

static size_t bytes_of(const struct recap_request *request)
{
	size_t bytes =
		sizeof(*request) + strlen(request->machine) + strlen(request->name) + strlen(request->id);

	for (unsigned i = 0; i < request->n_extras; i++)
		bytes += strlen(request->extras[i].name) + strlen(request->extras[i].value) + 8;
	return bytes;
}

/* Is there room for one more of this size within this part (1: all) of the limits? */
static bool has_room(const struct recaps *recaps, size_t bytes, double part)
{
	unsigned n = 0;

	for (const struct recaps_entry *entry = recaps->entries; entry; entry = entry->next) {
		n += !entry->finished;
		bytes += entry->finished ? 0 : entry->bytes;
	}
	return n < part * RECAPS_MAX && (double)bytes <= part * (double)RECAPS_BYTES;
}

static int add_entry(struct recaps *recaps, const struct recap_request *request, double part,
		     struct recaps_entry **ret_entry)
{
	const size_t bytes = bytes_of(request);
	struct recaps_entry *entry;

	while (!has_room(recaps, bytes, part)) {
		if (!drop_early(recaps) && !drop_far_ahead(recaps))
			return -EBUSY;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	(void)collection_compose(COLLECTION_POWER, request->machine, entry->power);
	entry->recaps = recaps;
	entry->request = *request;
	entry->bytes = bytes;
	entry->asked_ms = entry->waiting_ms = clock_realtime_ms();
	DL_APPEND(recaps->entries, entry);
	*ret_entry = entry;
	return 0;
}

int recaps_add(struct recaps *recaps, const struct recap_request *request, recaps_done done, void *data,
	       struct recaps_entry **ret_entry)
{
	struct recaps_entry *entry;
	int r = add_entry(recaps, request, done ? 1 : RECAPS_UNWAITED, &entry);

	if (r < 0)
		return r;
	entry->done = done;
	entry->data = data;
	save(recaps, true);
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

/* Takes up all entries that fitted in before, also those whose clients waited. */
static void load_list(struct recaps *recaps, bson_iter_t *each)
{
	struct recap_request request;
	struct recaps_entry *entry;

	while (bson_iter_next(each)) {
		int r = recap_bson_read_request(each, &request);

		if (r == 0) {
			r = add_entry(recaps, &request, 1, &entry);
			if (r < 0)
				recap_request_done(&request);
		}
		if (r < 0)
			log_warning(RECAPS_TOKEN, r, "a pending recap could not be restored");
	}
	if (!recaps->entries)
		return;
	save(recaps, false);
	look_soon(recaps);
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
