/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in MongoDB, or in what speaks its protocol: the connection, appending and replacing. A batch is
 * one unordered bulk write; what the server already has counts as stored. Nothing is assumed of the server:
 * what it refuses is told from what it cannot do just now. Called through store.c.
 */
#include "store_mongo.h"
#include "store_document.h"
#include "store_uri.h"
#include "bson_cursor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_DATABASE "rapls2"
#define CODE_DUPLICATE   11000

/* The driver's file of counters would stay where its process is killed, or has given up its user. */
__attribute__((constructor)) static void remove_counters(void)
{
	char path[48];

	(void)snprintf(path, sizeof(path), "/dev/shm/mongoc-%u", (unsigned)getpid());
	(void)unlink(path);
}

static void ignore_log(mongoc_log_level_t level, const char *domain, const char *message, void *data)
{
	(void)level;
	(void)domain;
	(void)message;
	(void)data;
}

static void set_unless_given(mongoc_uri_t *uri, const char *option, uint64_t timeout_ms)
{
	if (!mongoc_uri_has_option(uri, option))
		(void)mongoc_uri_set_option_as_int32(
			uri, option, (int32_t)(timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms));
}

/* Host names for messages: the URI itself may hold a password. */
static void name_hosts(const mongoc_uri_t *uri, char *ret, size_t size)
{
	size_t length = 0;

	ret[0] = '\0';
	for (const mongoc_host_list_t *host = mongoc_uri_get_hosts(uri); host && length < size;
	     host = host->next)
		length += (size_t)snprintf(ret + length, size - length, "%s%s", length ? "," : "",
					   host->host_and_port);
	if (!ret[0])
		(void)snprintf(ret, size, "the servers of its DNS record");
}

static int connect_client(struct store *store, mongoc_uri_t *uri, const struct store_options *options)
{
	struct mongo_store *own = store_mongo_of(store);
	const char *database = options->database ? options->database : mongoc_uri_get_database(uri);
	bson_error_t error;

	set_unless_given(uri, MONGOC_URI_CONNECTTIMEOUTMS, options->timeout_ms);
	set_unless_given(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, options->timeout_ms);
	set_unless_given(uri, MONGOC_URI_SOCKETTIMEOUTMS, options->timeout_ms);
	if (!mongoc_uri_get_appname(uri))
		(void)mongoc_uri_set_appname(uri, "wattribute " WATTRIBUTE_VERSION);
	name_hosts(uri, own->where, sizeof(own->where));
	own->database = strdup(database && database[0] ? database : DEFAULT_DATABASE);
	if (!own->database)
		return -ENOMEM;
	own->client = mongoc_client_new_from_uri_with_error(uri, &error);
	if (!own->client) {
		(void)store_mongo_fail(store, STORE_DROP, "use", &error);
		return -EINVAL;
	}
	(void)mongoc_client_set_error_api(own->client, MONGOC_ERROR_API_VERSION_2);
	return 0;
}

static void mongo_close(struct store *store)
{
	struct mongo_store *own = store_mongo_of(store);

	mongoc_collection_destroy(own->collection);
	mongoc_client_destroy(own->client);
	free(own->database);
	free(own);
}

static int mongo_open(struct store *store, const char *location, const struct store_options *options)
{
	struct mongo_store *own = calloc(1, sizeof(*own));
	mongoc_uri_t *uri;
	bson_error_t error;
	char shown[300];
	int r;

	store->private = own;
	if (!own)
		return -ENOMEM;
	mongoc_init();
	mongoc_log_set_handler(ignore_log, NULL);
	uri = mongoc_uri_new_with_error(location, &error);
	if (!uri) {
		(void)store_fail(store, STORE_DROP, "'%s' is no MongoDB URI: %s",
				 store_uri_display(location, shown, sizeof(shown)), error.message);
		free(own);
		return -EINVAL;
	}
	r = connect_client(store, uri, options);
	mongoc_uri_destroy(uri);
	if (r < 0)
		mongo_close(store);
	return r;
}

mongoc_collection_t *store_mongo_collection(struct store *store, const char *name)
{
	struct mongo_store *own = store_mongo_of(store);

	if (own->collection && strcmp(mongoc_collection_get_name(own->collection), name) == 0)
		return own->collection;
	mongoc_collection_destroy(own->collection);
	own->collection = mongoc_client_get_collection(own->client, own->database, name);
	return own->collection;
}

/*
 * Refusals of the server itself, which will not change by waiting: a bad value, a failed validation, too
 * large, an illegal name, an unknown command or option. Everything else (network, elections, rights, space)
 * may.
 */
bool store_mongo_may_retry(const bson_error_t *error)
{
	static const uint32_t refusals[] = {2,   9,   14,  22,   52,    59,    61,    67,    72,   73,
					    115, 121, 238, 8000, 10334, 17280, 17419, 40415, 17420};

	if (error->domain == MONGOC_ERROR_BSON || error->domain == MONGOC_ERROR_COMMAND)
		return false;
	if (error->domain != MONGOC_ERROR_SERVER && error->domain != MONGOC_ERROR_WRITE_CONCERN)
		return true;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (error->code == refusals[i])
			return false;
	return true;
}

enum store_result store_mongo_fail(struct store *store, enum store_result result, const char *doing,
				   const bson_error_t *error)
{
	const struct mongo_store *own = store_mongo_of(store);
	const char *remedy = "";

	if (error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
		remedy = "; check user, password and authSource in the URI";
	else if (error->domain == MONGOC_ERROR_SERVER_SELECTION || error->domain == MONGOC_ERROR_STREAM)
		remedy = "; is it running, and reachable from here?";
	else if (error->domain == MONGOC_ERROR_SERVER && error->code == 13)
		remedy = "; the user needs the role readWrite on this database";
	return store_fail(store, result, "cannot %s MongoDB at %s, database '%s': %.250s%s", doing,
			  own->where, own->database, error->message, remedy);
}

/* What a bulk write did not do. */
struct bulk_errors {
	unsigned duplicates;
	unsigned refused;
	unsigned later; /* may be tried again */
	bson_error_t first_refused;
	bson_error_t first_later;
};

static void note_error(struct bulk_errors *errors, const struct bson_cursor *outer)
{
	struct bson_cursor cursor;
	bson_error_t error = {.domain = MONGOC_ERROR_SERVER, .message = "unknown write error"};
	double code = 0;

	if (!bson_cursor_enter(outer, &cursor))
		return;
	while (bson_cursor_next(&cursor) > 0) {
		if (bson_cursor_is(&cursor, "code") && bson_cursor_number(&cursor, &code) && code > 0 &&
		    code < 1e9)
			error.code = (uint32_t)code;
		if (bson_cursor_is(&cursor, "errmsg") && bson_cursor_string(&cursor))
			(void)snprintf(error.message, sizeof(error.message), "%s",
				       bson_cursor_string(&cursor));
	}
	if (error.code == CODE_DUPLICATE || error.code == 11001 || error.code == 12582) {
		errors->duplicates++;
	} else if (store_mongo_may_retry(&error)) {
		if (!errors->later++)
			errors->first_later = error;
	} else if (!errors->refused++) {
		errors->first_refused = error;
	}
}

static void note_errors(const bson_t *reply, struct bulk_errors *errors)
{
	struct bson_cursor cursor;
	struct bson_cursor list;

	if (!bson_cursor_init(&cursor, bson_get_data(reply), reply->len))
		return;
	while (bson_cursor_next(&cursor) > 0) {
		if (!bson_cursor_is(&cursor, "writeErrors") || !bson_cursor_enter(&cursor, &list))
			continue;
		while (bson_cursor_next(&list) > 0)
			note_error(errors, &list);
	}
}

/*
 * Replacements are slow: a thousand at once may take a server longer than one call may last, and would be
 * tried again for ever.
 */
#define REPLACE_MAX 100

/* One part of a batch: `n` documents from `offset` on. */
struct part {
	const struct batch *batch;
	size_t offset;
	unsigned n;
	bool replace;
};

static bool add_replacement(mongoc_bulk_operation_t *bulk, const bson_t *bson, const bson_t *options)
{
	bson_t selector = BSON_INITIALIZER;
	bson_iter_t iter;
	bool good = bson_iter_init_find(&iter, bson, "_id") && bson_append_iter(&selector, "_id", 3, &iter) &&
		    mongoc_bulk_operation_replace_one_with_opts(bulk, &selector, bson, options, NULL);

	bson_destroy(&selector);
	return good;
}

/* Fills the bulk write; documents that the driver itself refuses are dropped. Returns how many went in. */
static unsigned fill_bulk(struct store *store, mongoc_bulk_operation_t *bulk, const struct part *part)
{
	bson_t *options = part->replace ? BCON_NEW("validate", BCON_BOOL(false), "upsert", BCON_BOOL(true))
					: BCON_NEW("validate", BCON_BOOL(false));
	size_t offset = part->offset;
	unsigned n = 0;

	for (unsigned i = 0; i < part->n; i++) {
		const uint8_t *document;
		size_t length;
		bson_t bson;

		if (batch_next(part->batch, &offset, &document, &length) <= 0)
			break;
		if (bson_init_static(&bson, document, length) &&
		    (part->replace ? add_replacement(bulk, &bson, options)
				   : mongoc_bulk_operation_insert_with_opts(bulk, &bson, options, NULL))) {
			n++;
			continue;
		}
		store->statistics.dropped++;
		(void)store_fail(store, STORE_DROP, "a document of %zu bytes is broken or has no _id",
				 length);
	}
	bson_destroy(options);
	return n;
}

static enum store_result write_part(struct store *store, mongoc_collection_t *collection,
				    const struct part *part);

static void skip_documents(struct part *part, unsigned n)
{
	const uint8_t *document;
	size_t length;

	for (unsigned i = 0; i < n; i++)
		(void)batch_next(part->batch, &part->offset, &document, &length);
}

/* The server refused the whole command: the halves will show which document it was. */
static enum store_result write_halves(struct store *store, mongoc_collection_t *collection,
				      const struct part *part)
{
	struct part first = *part;
	struct part second = *part;
	enum store_result results[2];

	first.n = part->n / 2;
	second.n = part->n - first.n;
	skip_documents(&second, first.n);
	results[0] = write_part(store, collection, &first);
	if (results[0] == STORE_RETRY)
		return STORE_RETRY;
	results[1] = write_part(store, collection, &second);
	return results[1] == STORE_OK ? results[0] : results[1];
}

static enum store_result judge(struct store *store, mongoc_collection_t *collection, const struct part *part,
			       const bson_t *reply, const bson_error_t *error)
{
	struct bulk_errors errors = {0};

	note_errors(reply, &errors);
	if (errors.duplicates + errors.refused + errors.later == 0) {
		if (store_mongo_may_retry(error))
			return store_mongo_fail(store, STORE_RETRY, "write to", error);
		if (part->n > 1)
			return write_halves(store, collection, part);
		errors.refused = 1;
		errors.first_refused = *error;
	}
	if (errors.later || (part->replace && errors.duplicates))
		return store_mongo_fail(store, STORE_RETRY, "write to",
					errors.later ? &errors.first_later : error);
	store->statistics.duplicates += errors.duplicates;
	store->statistics.dropped += errors.refused;
	store->statistics.appended += part->n - errors.duplicates - errors.refused;
	if (!errors.refused)
		return STORE_OK;
	return store_mongo_fail(store, STORE_DROP, "store a document in", &errors.first_refused);
}

static enum store_result write_part(struct store *store, mongoc_collection_t *collection,
				    const struct part *part)
{
	bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
	mongoc_bulk_operation_t *bulk =
		mongoc_collection_create_bulk_operation_with_opts(collection, options);
	uint64_t dropped = store->statistics.dropped;
	enum store_result result = STORE_OK;
	bson_error_t error = {0};
	bson_t reply = BSON_INITIALIZER;
	struct part sent = *part;

	bson_destroy(options);
	sent.n = fill_bulk(store, bulk, part);
	if (sent.n > 0) {
		bson_destroy(&reply);
		store->statistics.round_trips++;
		if (mongoc_bulk_operation_execute(bulk, &reply, &error))
			store->statistics.appended += sent.n;
		else
			result = judge(store, collection, &sent, &reply, &error);
	}
	bson_destroy(&reply);
	mongoc_bulk_operation_destroy(bulk);
	return result == STORE_OK && store->statistics.dropped > dropped ? STORE_DROP : result;
}

static enum store_result write_batch(struct store *store, const char *collection, const struct batch *batch,
				     bool replace)
{
	struct part part = {.batch = batch, .replace = replace};
	struct store_statistics before = store->statistics;
	unsigned left = batch->n_documents;
	enum store_result result = STORE_OK;

	while (left > 0 && result != STORE_RETRY) {
		enum store_result one;

		part.n = replace && left > REPLACE_MAX ? REPLACE_MAX : left;
		one = write_part(store, store_mongo_collection(store, collection), &part);
		result = one == STORE_OK ? result : one;
		skip_documents(&part, part.n);
		left -= part.n;
	}
	/* The caller gives the whole batch again: what was counted of it would be counted twice. */
	if (result == STORE_RETRY) {
		before.round_trips = store->statistics.round_trips;
		store->statistics = before;
	}
	return result;
}

static enum store_result mongo_append(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, collection, batch, false);
}

static enum store_result mongo_put(struct store *store, const char *collection, const struct batch *batch)
{
	return write_batch(store, collection, batch, true);
}

const struct store_backend store_backend_mongo = {
	.name = "mongodb",
	.open = mongo_open,
	.close = mongo_close,
	.ensure = store_mongo_ensure,
	.append = mongo_append,
	.read = store_mongo_read,
	.put = mongo_put,
	.get = store_mongo_get,
	.list = store_mongo_list,
};
