/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which collection lives in which file, and the other way round. The rule is in store_file.h.
 */
#include "store/file/store_file_private.h"
#include "document/bson_cursor.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

/* Collections that go beside a single file instead of into it. */
static const char *const beside[] = {"target", "recap", "state"};

static bool begins(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool goes_beside(const char *collection)
{
	for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++)
		if (begins(collection, beside[i]))
			return true;
	return false;
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

	if (!collection[0] || strchr(collection, '/') || collection[0] == '.')
		return false;
	if (file->directory)
		length = snprintf(ret_path, PATH_MAX, "%s/%s%s", file->location, collection, suffix);
	else if (goes_beside(collection) && strcmp(file->location, "-") != 0)
		length = snprintf(ret_path, PATH_MAX, "%.*s.%s%s", (int)stem_length(file), file->location,
				  collection, suffix);
	else
		length = snprintf(ret_path, PATH_MAX, "%s", file->location);
	return length > 0 && length < PATH_MAX;
}

/* Reports every file NAME of `directory` that is before + COLLECTION + suffix, where the collection has the
 * prefix. */
static void list_directory(const struct store_file *file, const char *directory, const char *before,
			   const char *prefix, void (*each)(void *data, const char *collection), void *data)
{
	DIR *entries = opendir(directory);
	const struct dirent *entry;
	char name[NAME_MAX + 1];

	while (entries && (entry = readdir(entries))) {
		if (!begins(entry->d_name, before) ||
		    !ends(entry->d_name + strlen(before), file->codec->suffix))
			continue;
		(void)snprintf(name, sizeof(name), "%s", entry->d_name + strlen(before));
		name[strlen(name) - strlen(file->codec->suffix)] = '\0';
		if (begins(name, prefix))
			each(data, name);
	}
	if (entries)
		(void)closedir(entries);
}

/* The prefix and the sensor of the file's first document. */
static bool first_sensor(struct store *store, const char *prefix, char *ret, size_t size)
{
	struct store_query query = {
		.collection = "sensor", .after_ms = INT64_MIN, .until_ms = INT64_MAX, .limit = 1};
	struct batch first = {0};
	struct store_read read = {0};
	struct bson_cursor cursor;
	const char *sensor = NULL;

	if (store_file_read(store, &query, &first, &read) == STORE_OK && first.length > 0 &&
	    bson_cursor_init(&cursor, first.data, first.length))
		while (!sensor && bson_cursor_next(&cursor) > 0)
			sensor = bson_cursor_is(&cursor, "sensor") ? bson_cursor_string(&cursor) : NULL;
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
	char text[PATH_MAX];
	char directory[PATH_MAX];

	if (file->directory) {
		list_directory(file, file->location, "", prefix, each, data);
		return STORE_OK;
	}
	if (goes_beside(prefix)) {
		(void)snprintf(directory, sizeof(directory), "%.*s",
			       slash ? (int)(slash - file->location + 1) : 1, slash ? file->location : ".");
		(void)snprintf(text, sizeof(text), "%.*s.", (int)length, name);
		list_directory(file, directory, text, prefix, each, data);
		return STORE_OK;
	}
	/* The one file answers to any name; its own is the stem, or what was asked and the sensor found in
	 * it. */
	if (begins(name, prefix) || !first_sensor(store, prefix, text, sizeof(text)))
		(void)snprintf(text, sizeof(text), "%s%.*s", begins(name, prefix) ? "" : prefix, (int)length,
			       name);
	each(data, text);
	return STORE_OK;
}
