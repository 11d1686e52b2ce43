/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents in MongoDB, or a database with its protocol: the connection, indexes and retention, and the
 * meaning of errors. Nothing is assumed about the server: refusals and temporary failures are distinguished.
 * Some servers refuse an expiring index, some accept it but never expire anything: so the index is tried, and
 * documents that are too old are also deleted at each call. Called through store.c.
 */
#include "store/mongo/store_mongo.h"
#include "store/store_uri.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BY_TIME               "timestamp_1"
#define CODE_UNAUTHORIZED     13
#define CODE_OPTIONS_CONFLICT 85 /* the index exists with another expiry */
#define CODE_KEYS_CONFLICT    86

/*
 * The driver's file of counters would remain if its process is killed or changes its user. Older drivers
 * create it while they are loaded, before any code here runs; later ones in mongoc_init(), unless this
 * variable is set.
 */
__attribute__((constructor)) static void refuse_counters_file(void)
{
	char path[48];

	(void)setenv("MONGOC_DISABLE_SHM", "1", 0);
	(void)snprintf(path, sizeof(path), "/dev/shm/mongoc-%u", (unsigned)getpid());
	(void)unlink(path);
}

static void set_unless_given(mongoc_uri_t *uri, const char *option, uint64_t timeout_ms)
{
	if (!mongoc_uri_has_option(uri, option))
		(void)mongoc_uri_set_option_as_int32(
			uri, option, (int32_t)(timeout_ms > INT32_MAX ? INT32_MAX : timeout_ms));
}

/* Host names for messages: the URI itself may contain a password. */
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
	own->database = strdup(database && database[0] ? database : STORE_DATABASE_DEFAULT);
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

/* Did this process create the expiring index of this collection? `made`: record that it did. */
static bool has_made_index(struct mongo_store *own, const char *collection, bool made)
{
	struct mongo_made *entry;

	HASH_FIND_STR(own->made, collection, entry);
	if (entry || !made)
		return entry != NULL;
	entry = calloc(1, sizeof(*entry) + strlen(collection) + 1);
	if (!entry)
		return false; /* the next call creates it again */
	memcpy(entry->collection, collection, strlen(collection) + 1);
	HASH_ADD_STR(own->made, collection, entry);
	return true;
}

static void forget_made(struct mongo_store *own)
{
	struct mongo_made *entry, *next;

	HASH_ITER(hh, own->made, entry, next)
	{
		HASH_DEL(own->made, entry);
		free(entry);
	}
}

static void close_store(struct store *store)
{
	struct mongo_store *own = store_mongo_of(store);

	mongoc_collection_destroy(own->collection);
	mongoc_client_destroy(own->client);
	forget_made(own);
	free(own->listed);
	free(own->list);
	free(own->database);
}

static int open_store(struct store *store, const char *location, const struct store_options *options)
{
	mongoc_uri_t *uri;
	struct reason why = {""};
	int r = -EINVAL;

	mongoc_init();
	uri = store_mongo_parse(location, &why);
	if (uri)
		r = store_mongo_check(location, &why);
	if (r < 0)
		(void)store_fail(store, STORE_DROP, "%s", why.text);
	else
		r = connect_client(store, uri, options);
	mongoc_uri_destroy(uri);
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
 * False for permanent refusals by the server: a bad value, a failed validation, too large, an illegal name,
 * an unknown command or option, a foreign unique index. Everything else (network, elections, privileges,
 * space) may change.
 */
bool store_mongo_may_retry(const bson_error_t *error)
{
	static const uint32_t refusals[] = {2,     9,     14,    22,    52,    59,   61,    67,
					    72,    73,    115,   121,   238,   8000, 10334, 17280,
					    17419, 40415, 17420, 11000, 11001, 12582};

	if (error->domain == MONGOC_ERROR_BSON || error->domain == MONGOC_ERROR_COMMAND)
		return false;
	if (error->domain != MONGOC_ERROR_SERVER && error->domain != MONGOC_ERROR_WRITE_CONCERN)
		return true;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if (error->code == refusals[i])
			return false;
	return true;
}

static bool is_unauthorized(const bson_error_t *error)
{
	return error->domain == MONGOC_ERROR_SERVER && error->code == CODE_UNAUTHORIZED;
}

enum store_result store_mongo_fail(struct store *store, enum store_result result, const char *doing,
				   const bson_error_t *error)
{
	const struct mongo_store *own = store_mongo_of(store);
	const bool is_unknown =
		error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
	const char *hint = "";

	if (is_unknown)
		hint = "; check user, password and authSource in the URI";
	else if (error->domain == MONGOC_ERROR_SERVER_SELECTION || error->domain == MONGOC_ERROR_STREAM)
		hint = "; is it running, and reachable from here?";
	else if (is_unauthorized(error))
		hint = "; the user needs this program's role from docs/many-machines.md on this database, or "
		       "readWrite";
	(void)store_fail(store, result, "cannot %s MongoDB at %s, database '%s': %.250s%s", doing, own->where,
			 own->database, error->message, hint);
	store->denied = is_unknown || is_unauthorized(error);
	return result;
}

static bool run_command(struct store *store, bson_t *command, bson_error_t *error)
{
	struct mongo_store *own = store_mongo_of(store);
	bool good;

	good = mongoc_client_command_simple(own->client, own->database, command, NULL, NULL, error);
	store->statistics.round_trips++;
	bson_destroy(command);
	return good;
}

static bool make_time_index(struct store *store, const char *collection, uint64_t expire_s,
			    bson_error_t *error)
{
	bson_t *command;

	if (expire_s)
		command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				   "timestamp", BCON_INT32(1), "}", "name", BCON_UTF8(BY_TIME),
				   "expireAfterSeconds", BCON_INT64((int64_t)expire_s), "}", "]");
	else
		command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				   "timestamp", BCON_INT32(1), "}", "name", BCON_UTF8(BY_TIME), "}", "]");
	return run_command(store, command, error);
}

static bool make_target_index(struct store *store, const char *collection, bson_error_t *error)
{
	return run_command(store,
			   BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
				    "target", BCON_INT32(1), "timestamp", BCON_INT32(1), "}", "name",
				    BCON_UTF8("target_1_timestamp_1"), "}", "]"),
			   error);
}

static bool drop_time_index(struct store *store, const char *collection, bson_error_t *error)
{
	return run_command(store, BCON_NEW("dropIndexes", BCON_UTF8(collection), "index", BCON_UTF8(BY_TIME)),
			   error);
}

static bool is_conflict(const bson_error_t *error)
{
	return error->code == CODE_OPTIONS_CONFLICT || error->code == CODE_KEYS_CONFLICT;
}

/*
 * If the expiring index is refused for any reason, the plain one is created, and we delete old documents. An
 * index with another age is replaced once, so that a new value takes effect at a start; later it belongs to
 * another process, and is kept, since we delete what is too old for us in any case. Without a retention it
 * stays.
 */
static bool ensure_time_index(struct store *store, const char *collection, uint64_t retention_s,
			      bson_error_t *error)
{
	struct mongo_store *own = store_mongo_of(store);
	bool made = make_time_index(store, collection, retention_s, error);

	if (!made && is_conflict(error)) {
		if (!retention_s || has_made_index(own, collection, false))
			return own->left_index = true;
		if (drop_time_index(store, collection, error))
			made = make_time_index(store, collection, retention_s, error);
		else if (is_unauthorized(error))
			return own->left_index = true;
	}
	if (made && retention_s)
		(void)has_made_index(own, collection, true);
	return made || (retention_s && error->domain == MONGOC_ERROR_SERVER &&
			make_time_index(store, collection, 0, error));
}

static bool delete_old(struct store *store, const char *collection, int64_t before_ms, bson_error_t *error)
{
	bson_t *filter = BCON_NEW("timestamp", "{", "$lt", BCON_DATE_TIME(before_ms), "}");
	bool good = mongoc_collection_delete_many(store_mongo_collection(store, collection), filter, NULL,
						  NULL, error);

	store->statistics.round_trips++;
	bson_destroy(filter);
	return good;
}

/* Logged once: another process's expiring index is kept. */
static enum store_result remark_retention(struct store *store, const char *collection, uint64_t retention_s)
{
	struct mongo_store *own = store_mongo_of(store);

	if (own->said_retention)
		return STORE_OK;
	own->said_retention = true;
	return store_fail(
		store, STORE_OK,
		retention_s ? "'%s' has a different --retention from another process: the shorter one applies"
			    : "'%s' expires by the --retention of another process or an earlier start "
			      "(index " BY_TIME "); without --retention here, it is left unchanged",
		collection);
}

static enum store_result ensure(struct store *store, const char *collection, uint64_t retention_s,
				int64_t now_ms)
{
	struct mongo_store *own = store_mongo_of(store);
	bson_error_t error = {0};

	own->left_index = false;
	if (!ensure_time_index(store, collection, retention_s, &error) ||
	    !make_target_index(store, collection, &error))
		return store_mongo_fail(store, STORE_RETRY, "create indexes in", &error);
	if (retention_s && !delete_old(store, collection, now_ms - (int64_t)retention_s * 1000, &error))
		return store_mongo_fail(store, STORE_RETRY, "delete old documents from", &error);
	return own->left_index ? remark_retention(store, collection, retention_s) : STORE_OK;
}

const struct store_backend store_backend_mongo = {
	.name = "mongodb",
	.form = "mongodb://HOST, HOST:PORT",
	.check = store_mongo_check,
	.database = store_mongo_database,
	.size = sizeof(struct mongo_store),
	.open = open_store,
	.close = close_store,
	.ensure = ensure,
	.append = store_mongo_append,
	.read = store_mongo_read,
	.put = store_mongo_put,
	.get = store_mongo_get,
	.list = store_mongo_list,
	.claim = store_mongo_claim,
};
