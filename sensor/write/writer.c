/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes documents from `collect` into the store. A tick is appended in one call; while the store does not
 * answer, ticks go through the spool in order. Without a spool, documents of a failing collection wait in
 * memory while others are stored; if all fail, the writer waits, and the link's bounded backlog fills.
 */
#include "write/writer.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/ipc.h"
#include "write/link.h"
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define WRITER_BACKOFF_FIRST_MS 250
#define WRITER_BACKOFF_MAX_MS   15000
#define WRITER_ENSURE_EVERY_MS  (600 * 1000)
#define WRITER_COLLECTIONS_MAX  8
#define WRITER_DRAIN_AT_ONCE    64 /* spooled batches between two reads of the link */
#define WRITER_LAST_TRIES       3  /* at the end, without a spool */
#define WRITER_TIDY_EVERY_MS    2000
#define WRITER_CALLS            3 /* multiple of the store's timeout that one batch may take */
#define WRITER_SPARE_MS         1000
#define WRITER_APART_BYTES      ((size_t)4 << 20) /* of a failing collection, while others are stored */
#define WRITER_SAY_EVERY_MS     (600 * 1000)      /* between messages about a lasting loss */

struct writer_collection {
	char name[128];
	uint64_t ensured_ms;
	bool ensured, failing;
	struct batch appends, puts;
};

struct writer {
	struct writer_config config;
	struct store *store;
	struct spool *spool;
	struct writer_collection collections[WRITER_COLLECTIONS_MAX];
	unsigned n_collections;
	struct spool_entry entry;
	bool failing;
	bool link_closed;
	uint64_t retry_at_ms, backoff_ms;
	bool spool_failing, spool_untidy;
	uint64_t tidy_at_ms, say_loss_at_ms;
	uint64_t ticks_done, refused, lost, delivered_late;
	uint64_t foreign;               /* documents that existed before they were first sent */
	struct writer_collection *tick; /* of the tick that has begun and not ended; NULL */
	struct {
		size_t length;
		unsigned n_documents;
	} before_tick; /* in its `appends` */
	bool in_step;  /* a tick has begun since the start: messages before belong to one that another writer
			  had begun */
	bool draining;
	bool late;     /* the spool holds documents that the store did not accept in time */
	bool answered; /* the store has answered once: ticks need not go through the spool */
	uint8_t receive[IPC_MESSAGE_MAX + 64];
};

static uint64_t now_ms(void)
{
	return clock_monotonic_ns() / CLOCK_NS_PER_MS;
}

static volatile sig_atomic_t hurry;

/* Without a spool, if the sensor ends while the store's file is locked or missing: calls no longer wait. */
static void note_hurry(int signal_number)
{
	(void)signal_number;
	hurry = 1;
}

int writer_open(const struct writer_config *config, struct writer **ret_writer, struct reason *why)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	int r;

	if (!writer)
		return -ENOMEM;
	writer->config = *config;
	if (!config->spool_path) {
		writer->config.options.hurry = &hurry;
		(void)signal(SIGALRM, note_hurry);
	}
	r = store_open(config->uri, &writer->config.options, &writer->store, why);
	if (r == 0 && store_error(writer->store)[0])
		log_warning("store", 0, "%s", store_error(writer->store));
	if (r == 0 && config->spool_path) {
		r = spool_open(config->spool_path, &config->spool_limits, &writer->spool, why);
		if (r == 0 && why->text[0])
			log_warning("spool", 0, "%s", why->text);
	}
	if (r < 0) {
		writer_close(writer);
		return r;
	}
	writer->late = writer->spool && !spool_is_empty(writer->spool);
	if (writer->late)
		log_notice("spool", 0, "%" PRIu64 " documents of an earlier run are waiting in '%s'",
			   spool_documents(writer->spool), config->spool_path);
	*ret_writer = writer;
	return 0;
}

void writer_close(struct writer *writer)
{
	if (!writer)
		return;
	for (unsigned i = 0; i < writer->n_collections; i++) {
		batch_done(&writer->collections[i].appends);
		batch_done(&writer->collections[i].puts);
	}
	batch_done(&writer->entry.documents);
	spool_close(writer->spool);
	store_close(writer->store);
	free(writer);
}

uint64_t writer_lost(const struct writer *writer)
{
	return writer->lost + writer->refused + (writer->spool ? spool_dropped(writer->spool) : 0);
}

static struct writer_collection *find_collection(struct writer *writer, const char *name)
{
	struct writer_collection *collection;

	for (unsigned i = 0; i < writer->n_collections; i++)
		if (strcmp(writer->collections[i].name, name) == 0)
			return &writer->collections[i];
	if (writer->n_collections == WRITER_COLLECTIONS_MAX || strlen(name) >= sizeof(collection->name))
		return NULL;
	collection = &writer->collections[writer->n_collections++];
	(void)snprintf(collection->name, sizeof(collection->name), "%s", name);
	return collection;
}

static unsigned count_failing(const struct writer *writer)
{
	unsigned n = 0;

	for (unsigned i = 0; i < writer->n_collections; i++)
		n += writer->collections[i].failing;
	return n;
}

static void note_result(struct writer *writer, struct writer_collection *collection, enum store_result result)
{
	if (result == STORE_RETRY) {
		writer->backoff_ms = writer->backoff_ms ? writer->backoff_ms * 2 : WRITER_BACKOFF_FIRST_MS;
		if (writer->backoff_ms > WRITER_BACKOFF_MAX_MS)
			writer->backoff_ms = WRITER_BACKOFF_MAX_MS;
		writer->retry_at_ms = now_ms() + writer->backoff_ms;
		if (!writer->failing)
			log_warning("store", 0, "the store does not accept documents; they wait in %s: %s",
				    writer->spool ? "the spool" : "memory, as long as there is room",
				    store_error(writer->store));
		else if (!writer->spool && collection && !collection->failing)
			log_warning("store", 0, "nor does it accept those of '%s': %s", collection->name,
				    store_error(writer->store));
		writer->failing = writer->late = true;
		if (collection)
			collection->failing = true;
		return;
	}
	if (result == STORE_DROP)
		log_warning("store", 0, "documents refused for good: %s", store_error(writer->store));
	if (collection)
		collection->failing = false;
	/* With a spool, documents are written in order, so this one was the first to fail. */
	if (writer->failing && (writer->spool || count_failing(writer) == 0)) {
		log_notice("store", 0, "the store accepts documents again");
		writer->failing = false;
	}
	writer->backoff_ms = 0;
	writer->refused = store_get_statistics(writer->store)->dropped;
}

/*
 * A document that is sent for the first time cannot exist yet, unless another sensor of this name creates the
 * same _id: its report stays, ours is lost.
 */
static void note_foreign(struct writer *writer, const char *name, uint64_t n)
{
	if (n > 0 && writer->foreign == 0)
		log_warning(
			"store", 0,
			"'%s' already has reports for the same time from another writer. Is a second sensor "
			"running with the same name? Give each sensor its own --name",
			name);
	writer->foreign += n;
	writer->lost += n;
}

/* Called in the middle of a call that does not return: the spool's content is safe. */
static void end_hung(int signal_number)
{
	static const char text[] =
		"wattribute-sensor write: error: store: the store does not answer, not even with "
		"an error: this process exits and another one continues; reports wait in the spool\n";
	ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

	(void)ignored, (void)signal_number;
	_exit(WRITER_EXIT_HUNG);
}

/* Sets the time limit for an answer; 0: answered. File stores have their own timeouts, and no spool. */
static void set_deadline(const struct writer *writer, uint64_t ms)
{
	const struct itimerval timer = {
		.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};

	if (writer->spool)
		(void)setitimer(ITIMER_REAL, &timer, NULL);
}

static enum store_result give_in_time(struct writer *writer, const char *name, bool put,
				      const struct batch *batch);

static enum store_result give(struct writer *writer, const char *name, bool put, const struct batch *batch)
{
	enum store_result result;

	set_deadline(writer, WRITER_CALLS * writer->config.options.timeout_ms + WRITER_SPARE_MS);
	result = give_in_time(writer, name, put, batch);
	set_deadline(writer, 0);
	writer->answered = writer->answered || result != STORE_RETRY;
	return result;
}

static enum store_result give_in_time(struct writer *writer, const char *name, bool put,
				      const struct batch *batch)
{
	struct writer_collection *collection = find_collection(writer, name);
	const bool failing = writer->spool || !collection ? writer->failing : collection->failing;
	const bool first_time = !put && !failing && !writer->draining;
	enum store_result result;
	uint64_t now = now_ms(), duplicates;

	if (collection && (!collection->ensured || now - collection->ensured_ms > WRITER_ENSURE_EVERY_MS)) {
		/* Retention applies to ticks; target descriptions have no `timestamp` for it. */
		result = store_ensure(writer->store, name, put ? 0 : writer->config.bounds.retention_s,
				      clock_realtime_ms());
		if (result == STORE_RETRY) {
			note_result(writer, collection, result);
			return result;
		}
		if (result == STORE_DROP)
			log_warning("store", 0, "no index or retention for '%s': %s", name,
				    store_error(writer->store));
		else if (store_error(writer->store)[0])
			log_info("store", 0, "%s", store_error(writer->store));
		collection->ensured = true;
		collection->ensured_ms = now;
	}
	duplicates = store_get_statistics(writer->store)->duplicates;
	result = put ? store_put(writer->store, name, batch) : store_append(writer->store, name, batch);
	if (first_time && result != STORE_RETRY)
		note_foreign(writer, name, store_get_statistics(writer->store)->duplicates - duplicates);
	note_result(writer, collection, result);
	return result;
}

/* Logs a loss when it begins, and from time to time while it lasts; metadata.lost counts every document. */
static void say_loss(struct writer *writer, int error, bool kept, const char *name)
{
	if (now_ms() < writer->say_loss_at_ms)
		return;
	writer->say_loss_at_ms = now_ms() + WRITER_SAY_EVERY_MS;
	if (kept)
		log_warning("spool", 0,
			    "size or age limit reached: the oldest documents are dropped, %" PRIu64
			    " so far; a larger "
			    "--spool-size keeps more",
			    spool_dropped(writer->spool));
	else
		log_warning("spool", error,
			    "cannot spool documents of '%s': %" PRIu64
			    " lost so far; check the free space in '%s'",
			    name, spool_dropped(writer->spool), writer->config.spool_path);
}

static void spool_or_lose(struct writer *writer, const char *name, bool put, const struct batch *batch)
{
	uint64_t before;
	int r;

	if (!writer->spool) {
		writer->lost += batch->n_documents;
		return;
	}
	before = spool_dropped(writer->spool);
	r = spool_push(writer->spool, name, put, batch, clock_realtime_ms());
	if (spool_dropped(writer->spool) > before)
		say_loss(writer, r, r == 0, name);
	if (r == 0 && writer->spool_failing) {
		log_notice("spool", 0, "spooling documents again; %" PRIu64 " were lost so far",
			   spool_dropped(writer->spool));
		writer->say_loss_at_ms = 0;
	}
	writer->spool_failing = r < 0;
}

/* Deletes delivered rows from the spool's file as soon as the disk allows it. */
static void tidy_spool(struct writer *writer)
{
	if (!writer->spool_untidy || now_ms() < writer->tidy_at_ms)
		return;
	writer->tidy_at_ms = now_ms() + WRITER_TIDY_EVERY_MS;
	writer->spool_untidy = spool_tidy(writer->spool) < 0;
}

/*
 * If the first process was killed, the next run waits for this process before it delivers anything: the rest
 * of the link goes into the spool, which is fast.
 */
static bool is_spool_only(const struct writer *writer)
{
	return writer->config.to_spool_only ||
	       (writer->spool && writer->config.parent && getppid() != writer->config.parent);
}

static void settle(struct writer *writer, const char *name, bool put, struct batch *batch)
{
	if (batch->n_documents == 0)
		return;
	if (is_spool_only(writer) || (writer->config.careful && !writer->answered) ||
	    !spool_is_empty(writer->spool) || (writer->failing && now_ms() < writer->retry_at_ms) ||
	    give(writer, name, put, batch) == STORE_RETRY)
		spool_or_lose(writer, name, put, batch);
	batch_clear(batch);
}

/*
 * With the first tick: logs what the limits mean for this machine, from the store's content, or else from the
 * number of reports in this tick.
 */
static void say_bounds(const struct writer *writer)
{
	const struct writer_config *config = &writer->config;
	unsigned n = 0;
	char uri[256], text[600];
	struct store_usage usage;
	double rate;

	if (!(store_uri_traits(config->uri) & STORE_BOUNDED) || !config->interval_ms ||
	    store_measure(writer->store, &usage) != STORE_OK)
		return;
	for (unsigned i = 0; i < writer->n_collections; i++)
		n += writer->collections[i].appends.n_documents;
	rate = store_bounds_rate(&usage);
	if (rate <= 0)
		rate = (double)n * STORE_TARGET_TICK_BYTES * 86400e3 / (double)config->interval_ms;
	log_info("store", 0, "%s (--retention, --store-size)",
		 store_bounds_text(&config->bounds, store_uri_display(config->uri, uri, sizeof(uri)), &usage,
				   rate, text, sizeof(text)));
}

/* Without a spool. True if the batch need not be retried. */
static bool give_local(struct writer *writer, struct writer_collection *collection, bool put)
{
	struct batch *batch = put ? &collection->puts : &collection->appends;

	if (batch->n_documents > 0 && give(writer, collection->name, put, batch) == STORE_RETRY)
		return false;
	batch_clear(batch);
	return true;
}

static void lose(struct writer *writer, const struct writer_collection *collection, struct batch *batch)
{
	if (batch->n_documents == 0)
		return;
	writer->lost += batch->n_documents;
	if (!hurry) /* their sum is logged at the end */
		log_error("store", 0, "%u documents of '%s' are lost: they could not be stored",
			  batch->n_documents, collection->name);
	batch_clear(batch);
}

/*
 * Without a spool: if no collection can be stored, retries until one can; only a few times near the end of
 * the process. A collection that fails alone (its file is damaged or foreign) waits while others are stored.
 */
static void settle_local(struct writer *writer, int link_socket)
{
	struct pollfd link = {.fd = link_socket, .events = 0};
	unsigned waiting;
	bool gives_up;
	int tries = 0;

	do {
		waiting = 0;
		for (unsigned i = 0; i < writer->n_collections; i++)
			waiting += !give_local(writer, &writer->collections[i], true);
		for (unsigned i = 0; i < writer->n_collections; i++)
			waiting += !give_local(writer, &writer->collections[i], false);
	} while (!hurry && waiting > 0 && count_failing(writer) == writer->n_collections &&
		 !(poll(&link, 1, (int)writer->backoff_ms) > 0 && (link.revents & (POLLHUP | POLLERR)) &&
		   ++tries >= WRITER_LAST_TRIES));
	gives_up = tries > 0 || writer->link_closed || hurry;
	for (unsigned i = 0; waiting > 0 && i < writer->n_collections; i++) {
		struct writer_collection *collection = &writer->collections[i];

		if (gives_up || collection->puts.length > WRITER_APART_BYTES)
			lose(writer, collection, &collection->puts);
		if (gives_up || collection->appends.length > WRITER_APART_BYTES)
			lose(writer, collection, &collection->appends);
	}
}

static void settle_tick(struct writer *writer, int link_socket)
{
	if (writer->ticks_done == 0)
		say_bounds(writer);
	/* Target descriptions go first, so that a reader of a report finds its target. */
	for (unsigned i = 0; writer->spool && i < writer->n_collections; i++)
		settle(writer, writer->collections[i].name, true, &writer->collections[i].puts);
	for (unsigned i = 0; writer->spool && i < writer->n_collections; i++)
		settle(writer, writer->collections[i].name, false, &writer->collections[i].appends);
	if (!writer->spool)
		settle_local(writer, link_socket);
	tidy_spool(writer);
	if (!store_bounds_keep(&writer->config.bounds, writer->store))
		log_warning("store", 0, "cannot delete old documents yet: %s", store_error(writer->store));
	writer->ticks_done++;
}

static void drain_spool(struct writer *writer)
{
	if (is_spool_only(writer))
		return;
	writer->draining = true;
	for (int i = 0; i < WRITER_DRAIN_AT_ONCE; i++) {
		int r = spool_peek(writer->spool, &writer->entry);

		if (r < 0) /* a spool that cannot be read is retried only after a pause */
			writer->retry_at_ms = now_ms() + WRITER_TIDY_EVERY_MS;
		if (r <= 0)
			break;
		if (give(writer, writer->entry.collection, writer->entry.put, &writer->entry.documents) ==
		    STORE_RETRY)
			break;
		writer->delivered_late += writer->late ? writer->entry.documents.n_documents : 0;
		r = spool_pop(writer->spool, writer->entry.sequence);
		if (r < 0 && !writer->spool_untidy)
			log_warning("spool", r,
				    "cannot remove delivered documents from '%s'; if the sensor exits now, "
				    "they will be delivered again",
				    writer->config.spool_path);
		writer->spool_untidy = r < 0;
	}
	writer->draining = false;
	if (spool_is_empty(writer->spool) && writer->delivered_late > 0) {
		log_notice("spool", 0, "empty again; %" PRIu64 " documents delivered late",
			   writer->delivered_late);
		writer->delivered_late = 0;
	}
	writer->late = writer->late && !spool_is_empty(writer->spool);
}

static void send_status(struct writer *writer, int link_socket)
{
	struct link_status status = {
		.ticks_done = writer->ticks_done,
		.dropped = writer->refused + writer->lost,
		.spool_dropped = writer->spool ? spool_dropped(writer->spool) : 0,
		.store_failing = writer->failing,
	};

	(void)ipc_send(link_socket, LINK_STATUS, 0, &status, sizeof(status), NULL, 0);
}

/* The rest of the tick does not come: its other reports would make an incomplete one. */
static void leave_tick_out(struct writer *writer)
{
	struct batch *appends = writer->tick ? &writer->tick->appends : NULL;

	if (!appends || appends->n_documents <= writer->before_tick.n_documents)
		return;
	writer->lost += appends->n_documents - writer->before_tick.n_documents;
	appends->length = writer->before_tick.length;
	appends->n_documents = writer->before_tick.n_documents;
	writer->tick = NULL;
}

/* Follows the ticks' first and last messages. False: the message is the rest of a tick that began elsewhere.
 */
static bool follow_ticks(struct writer *writer, struct writer_collection *collection,
			 const struct link_batch *batch)
{
	if (batch->first) {
		writer->in_step = true;
		writer->tick = collection;
		writer->before_tick.length = collection->appends.length;
		writer->before_tick.n_documents = collection->appends.n_documents;
	}
	if (!writer->in_step)
		writer->lost += batch->documents.n_documents;
	return writer->in_step;
}

static int take_message(struct writer *writer, const struct ipc_message *message, int link_socket)
{
	struct link_batch batch;
	struct writer_collection *collection;
	int r = link_parse(message, &batch);

	if (r < 0 || (message->type != LINK_APPEND && message->type != LINK_PUT))
		return log_error("link", r < 0 ? r : -EBADMSG, "message of type %u from collect is malformed",
				 message->type);
	collection = find_collection(writer, batch.collection);
	if (!collection)
		return log_error("link", -EBADMSG, "too many collections: '%s' is not accepted",
				 batch.collection);
	if (message->type == LINK_APPEND && !follow_ticks(writer, collection, &batch))
		return 0;
	r = batch_append_batch(message->type == LINK_PUT ? &collection->puts : &collection->appends,
			       &batch.documents);
	if (r < 0)
		return log_error("link", r, "out of memory for a batch");
	if (batch.last) {
		writer->tick = NULL;
		settle_tick(writer, link_socket);
		send_status(writer, link_socket);
	}
	return 0;
}

static int wait_ms(const struct writer *writer)
{
	uint64_t now = now_ms();

	if (!writer->spool || spool_is_empty(writer->spool) || is_spool_only(writer))
		return -1;
	return writer->retry_at_ms > now ? (int)(writer->retry_at_ms - now) : 0;
}

int writer_run(struct writer *writer, int link_socket)
{
	if (writer->spool)
		(void)signal(SIGALRM, end_hung);
	while (!writer->link_closed) {
		struct pollfd link = {.fd = link_socket, .events = POLLIN};
		struct ipc_message message;
		int r = poll(&link, 1, wait_ms(writer));

		if (r < 0 && errno != EINTR)
			return log_error("link", -errno, "cannot wait for messages from collect");
		if (r > 0) {
			r = ipc_receive(link_socket, writer->receive, sizeof(writer->receive), &message);
			if (r == 0)
				writer->link_closed = true;
			else if (r < 0 && r != -EAGAIN && r != -EINTR)
				return log_error("link", r, "malformed message from collect");
			else if (r > 0)
				r = take_message(writer, &message, link_socket);
			if (r == -EBADMSG)
				return r;
		}
		if (writer->spool && !spool_is_empty(writer->spool) && now_ms() >= writer->retry_at_ms)
			drain_spool(writer);
	}
	leave_tick_out(writer);
	settle_tick(writer, link_socket);
	return 0;
}
