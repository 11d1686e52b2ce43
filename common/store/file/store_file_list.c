/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collections of a file store: maps them to files and back, by the rule in store_file.h, and lists those
 * that exist. Called through store.c and by the other files of this folder.
 */
#include "store/file/store_file.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "document/collections.h"
#include "document/report_bson.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_LONGEST (NAME_MAX - 4) /* with ".new" after it */

/* Collections that are stored next to a single file instead of in it. */
static const enum collection_kind beside[] = {COLLECTION_TARGETS, COLLECTION_RECAPS, COLLECTION_STATE};

static bool goes_beside(const char *collection)
{
	for (size_t i = 0; i < ARRAY_SIZE(beside); i++)
		if (collection_machine(beside[i], collection))
			return true;
	return false;
}

enum store_result store_file_refuse_name(struct store *store, const char *collection, unsigned n_documents)
{
	store->statistics.dropped += n_documents;
	return store_fail(store, STORE_DROP, "collection '%.100s' cannot be used as a file name", collection);
}

static bool ends(const char *text, const char *suffix)
{
	size_t length = strlen(text);

	return length > strlen(suffix) && strcmp(text + length - strlen(suffix), suffix) == 0;
}

/* Length of the path without its suffix. */
static size_t stem_length(const struct store_file *file)
{
	size_t length = strlen(file->location);

	return ends(file->location, file->codec->suffix) ? length - strlen(file->codec->suffix) : length;
}

bool store_file_path(const struct store_file *file, const char *collection, char ret_path[PATH_MAX])
{
	const char *suffix = file->codec->suffix;
	int length;

	if (!file->directory && (!goes_beside(collection) || file->stream)) {
		length = snprintf(ret_path, PATH_MAX, "%s", file->location);
		return length > 0 && length < PATH_MAX;
	}
	/* Machine names are untrusted: none may lead into another folder. */
	if (!collection[0] || strchr(collection, '/') || collection[0] == '.')
		return false;
	if (file->directory)
		length = snprintf(ret_path, PATH_MAX, "%s/%s%s", file->location, collection, suffix);
	else
		length = snprintf(ret_path, PATH_MAX, "%.*s.%s%s", (int)stem_length(file), file->location,
				  collection, suffix);
	return length > 0 && length < PATH_MAX &&
	       strlen(strrchr(ret_path, '/') ? strrchr(ret_path, '/') + 1 : ret_path) <= NAME_LONGEST;
}

/* Length of the name without the suffix of a supported form; 0: it has none. */
static size_t name_length(const struct store_file *file, const char *name)
{
	size_t length = strlen(name);

	/* Written by mongodump next to its files. */
	if (ends(name, ".metadata.json") || ends(name, ".metadata.json.gz"))
		return 0;
	if (ends(name, file->codec->suffix))
		return length - strlen(file->codec->suffix);
	for (const char *const *also = file->codec->also; also && *also; also++) {
		if (ends(name, *also))
			return length - strlen(*also);
	}
	return 0;
}

static bool is_asked_for(const char *collection, const char *prefix)
{
	return text_begins(collection, prefix) ||
	       (prefix[0] && strcmp(prefix, collection_prefix(COLLECTION_REPORTS)) == 0 &&
		collection_machine(COLLECTION_REPORTS, collection));
}

/* Contents of a folder. */
struct listing {
	const char *before, *prefix; /* of the requested names */
	unsigned n_taken, n_left;    /* files that are read; files that seem to be meant for reading */
	char left[NAME_MAX + 1];     /* one of them */
};

static bool take_entry(const struct store_file *file, struct listing *listing, const char *entry,
		       char ret_collection[NAME_MAX + 1])
{
	const char *name = text_begins(entry, listing->before) ? entry + strlen(listing->before) : "";
	size_t length = name_length(file, name);

	(void)snprintf(ret_collection, NAME_MAX + 1, "%.*s", (int)length, name);
	if (length > 0 && is_asked_for(ret_collection, listing->prefix))
		return true;
	if (length == 0 && strchr(name, '.') && text_begins(name, listing->prefix) &&
	    !strstr(name, ".metadata.json") && !listing->n_left++)
		(void)snprintf(listing->left, sizeof(listing->left), "%s", entry);
	return false;
}

/*
 * Reports the collection of every file in `directory` named before + COLLECTION + suffix. If a file exists in
 * several forms, the plain one counts, as when it is opened.
 */
static enum store_result list_directory(struct store *store, const char *directory, struct listing *listing,
					void (*each)(void *data, const char *collection), void *data)
{
	const struct store_file *file = store_file_of(store);
	struct dirent **entries = NULL;
	char name[NAME_MAX + 1], last[NAME_MAX + 1] = "";
	int n = scandir(directory, &entries, NULL, alphasort);

	/* A folder that is not there yet has no files; one that cannot be read may have. */
	if (n < 0 && errno != ENOENT)
		return store_fail(store, STORE_RETRY, "cannot read '%s': %s", directory, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (take_entry(file, listing, entries[i]->d_name, name)) {
			if (strcmp(name, last) == 0 && !listing->n_left++)
				(void)snprintf(listing->left, sizeof(listing->left), "%s",
					       entries[i]->d_name);
			if (strcmp(name, last) != 0)
				each(data, name);
			listing->n_taken++;
			(void)snprintf(last, sizeof(last), "%s", name);
		}
		free(entries[i]);
	}
	free(entries);
	return STORE_OK;
}

static void say_left(struct store *store, const struct listing *listing)
{
	const struct store_file *file = store_file_of(store);

	if (listing->n_left)
		(void)store_fail(store, STORE_OK,
				 "'%s': %u files were skipped: '%s' is not NAME%s (unpack or rename it), or "
				 "exists in a second form",
				 file->location, listing->n_left, listing->left, file->codec->suffix);
}

/* The prefix and the sensor of the file's first document. */
static bool first_sensor(struct store *store, const char *prefix, char *ret, size_t size)
{
	struct store_query query = {.collection = collection_prefix(COLLECTION_REPORTS),
				    .after_ms = INT64_MIN,
				    .until_ms = INT64_MAX,
				    .limit = 1};
	struct batch first = {0};
	struct store_read read = {0};
	const char *sensor = NULL;

	if (store_file_read(store, &query, &first, &read) == STORE_OK && first.length > 0)
		sensor = report_bson_sensor(first.data, first.length);
	if (sensor)
		(void)snprintf(ret, size, "%s%s", prefix, sensor);
	batch_done(&first);
	return sensor != NULL;
}

enum store_result store_file_list(struct store *store, const char *prefix,
				  void (*each)(void *data, const char *collection), void *data)
{
	const struct store_file *file = store_file_of(store);
	const char *slash = strrchr(file->location, '/');
	const char *name = slash ? slash + 1 : file->location;
	size_t length = stem_length(file) - (size_t)(name - file->location);
	struct listing listing = {.before = "", .prefix = prefix};
	char text[PATH_MAX];
	char directory[PATH_MAX];

	if (file->directory) {
		if (list_directory(store, file->location, &listing, each, data) != STORE_OK)
			return STORE_RETRY;
		if (prefix[0] && strcmp(prefix, collection_prefix(COLLECTION_REPORTS)) == 0)
			say_left(store, &listing);
		return STORE_OK;
	}
	if (goes_beside(prefix)) {
		(void)snprintf(directory, sizeof(directory), "%.*s",
			       slash ? (int)(slash - file->location + 1) : 1, slash ? file->location : ".");
		(void)snprintf(text, sizeof(text), "%.*s.", (int)length, name);
		listing.before = text;
		return list_directory(store, directory, &listing, each, data);
	}
	/* A single file answers to any name; its own is the stem, or the requested prefix and the sensor in
	 * it. */
	if (text_begins(name, prefix) || !first_sensor(store, prefix, text, sizeof(text)))
		(void)snprintf(text, sizeof(text), "%s%.*s", text_begins(name, prefix) ? "" : prefix,
			       (int)length, name);
	/* An error in the first document is reported when the file is read. */
	store->error[0] = '\0';
	each(data, text);
	return STORE_OK;
}
