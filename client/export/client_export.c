/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute export`: power reports of a store, as CSV or JSON lines, by time and target. Reads the store
 * itself; no server is needed. The rows are written by export_row.c.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "export/export_row.h"
#include "document/collections.h"
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum export_format { EXPORT_CSV, EXPORT_JSONL };
static const char *const formats[] = {"csv", "jsonl", NULL};
#define EXPORT_READ_DOCUMENTS 5000

struct export_options {
	char *store;
	char *database;
	char *machine;
	char *target;
	char *from;
	char *until;
	char *output;
	int format;
	/* from `from` and `until` */
	int64_t from_ms;
	int64_t until_ms;
};

static int finish(void *target, const struct config *config, struct reason *why)
{
	struct export_options *options = target;
	int64_t now_ms = clock_realtime_ms();
	const char *wrong = NULL;

	(void)config;
	options->from_ms = INT64_MIN;
	options->until_ms = INT64_MAX;
	if (options->from && export_parse_time(options->from, now_ms, &options->from_ms) < 0)
		wrong = options->from;
	if (options->until && export_parse_time(options->until, now_ms, &options->until_ms) < 0)
		wrong = options->until;
	if (!wrong)
		return 0;
	return reason_set(
		why, -EINVAL,
		"'%s' is not a time; use 2026-01-31T12:00:00Z, epoch seconds, or -10m (ten minutes ago)",
		wrong);
}

static const struct config_row rows[] = {
	{.name = "store",
	 .letter = 'S',
	 .type = CONFIG_STRING,
	 .flags = CONFIG_URI,
	 .placeholder = "URI",
	 .offset = offsetof(struct export_options, store),
	 .help = "store with the power reports: sqlite:PATH, mongodb://HOST:PORT, bson:PATH"},
	{.name = "database",
	 .letter = 'd',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = offsetof(struct export_options, database),
	 .help = "database of the reports; default: the one in the URI, else rapls2"},
	{.name = "machine",
	 .letter = 'm',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = offsetof(struct export_options, machine),
	 .help = "only reports of this sensor"},
	{.name = "target",
	 .letter = 't',
	 .type = CONFIG_STRING,
	 .placeholder = "NAME",
	 .offset = offsetof(struct export_options, target),
	 .help = "only reports of this target"},
	{.name = "from",
	 .letter = 'f',
	 .type = CONFIG_STRING,
	 .placeholder = "TIME",
	 .offset = offsetof(struct export_options, from),
	 .help = "only reports later than this"},
	{.name = "until",
	 .letter = 'u',
	 .type = CONFIG_STRING,
	 .placeholder = "TIME",
	 .offset = offsetof(struct export_options, until),
	 .help = "only reports up to this time"},
	{.name = "format",
	 .letter = 'F',
	 .type = CONFIG_CHOICE,
	 .choices = formats,
	 .fallback = "csv",
	 .offset = offsetof(struct export_options, format),
	 .help = "csv or jsonl"},
	{.name = "output",
	 .letter = 'o',
	 .type = CONFIG_STRING,
	 .placeholder = "FILE",
	 .offset = offsetof(struct export_options, output),
	 .help = "write to FILE instead of standard output"},
};

static const struct config_spec spec = {
	.program = "wattribute export",
	.about = "Writes the power reports of a store as CSV or JSON lines, oldest first.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct export_options),
	.finish = finish,
	.display_uri = store_uri_display,
};

struct export_job {
	const struct export_options *options;
	struct store *store;
	FILE *out;
	struct batch documents;
	char **collections;
	size_t n_collections;
	uint64_t written;
	uint64_t skipped; /* documents that are not power reports */
	bool failed;
};

static void note_collection(void *data, const char *collection)
{
	struct export_job *job = data;
	char **more = realloc(job->collections, (job->n_collections + 1) * sizeof(*more));

	if (!more) {
		job->failed = true;
		return;
	}
	job->collections = more;
	more[job->n_collections] = strdup(collection);
	if (more[job->n_collections])
		job->n_collections++;
	else
		job->failed = true;
}

/* Sets `last_ms` to the time of the last report. */
static void write_documents(struct export_job *job, int64_t *last_ms)
{
	const uint8_t *document;
	size_t length, offset = 0;
	struct report_power power;
	struct reason why;

	while (batch_next(&job->documents, &offset, &document, &length) == 1) {
		if (report_bson_decode_power(document, length, &power, &why) < 0) {
			job->skipped++;
			continue;
		}
		*last_ms = power.time_ms;
		job->written++;
		if (job->options->format == EXPORT_CSV)
			export_write_csv(job->out, &power);
		else
			export_write_json(job->out, &power);
	}
}

static int export_collection(struct export_job *job, const char *collection)
{
	struct store_query query = {.collection = collection,
				    .after_ms = job->options->from_ms,
				    .until_ms = job->options->until_ms,
				    .target = job->options->target,
				    .limit = EXPORT_READ_DOCUMENTS};
	struct store_read progress = {0};

	/* A store's limit never separates documents of the same time. */
	do {
		batch_clear(&job->documents);
		if (store_read(job->store, &query, &job->documents, &progress) != STORE_OK)
			return client_fail(CLIENT_EXIT_FAILURE, "cannot read '%s': %s", collection,
					   store_error(job->store));
		write_documents(job, &query.after_ms);
		query.offset = progress.offset;
	} while (job->documents.n_documents > 0 && !progress.end);
	return CLIENT_EXIT_OK;
}

/* An empty export usually means a mistyped name. */
static void say_nothing_found(const struct export_job *job)
{
	const struct export_options *options = job->options;
	bool known = false;

	for (size_t i = 0; options->machine && i < job->n_collections; i++)
		known |= strcmp(collection_machine(COLLECTION_POWER, job->collections[i]),
				options->machine) == 0;
	if (options->machine && !known)
		(void)client_fail(0, "no power reports of the machine '%s' in this store", options->machine);
	else if (options->target)
		(void)client_fail(0, "no power reports of '%s' in this period", options->target);
	else
		(void)client_fail(0, "no power reports in this store and period");
}

static int export_all(struct export_job *job)
{
	const char *machine = job->options->machine ? job->options->machine : "";
	char buffer[COLLECTION_SIZE];
	const char *prefix = collection_compose(COLLECTION_POWER, machine, buffer);
	int status = CLIENT_EXIT_OK;

	if (store_list(job->store, prefix, note_collection, job) != STORE_OK || job->failed)
		return client_fail(CLIENT_EXIT_FAILURE, "cannot list the collections: %s",
				   store_error(job->store));
	if (job->options->format == EXPORT_CSV)
		export_write_csv_head(job->out);
	for (size_t i = 0; i < job->n_collections && status == CLIENT_EXIT_OK; i++)
		if (!job->options->machine || !strcmp(job->collections[i], prefix))
			status = export_collection(job, job->collections[i]);
	if (status == CLIENT_EXIT_OK && !job->written)
		say_nothing_found(job);
	if (job->skipped > 0)
		(void)client_fail(0, "%" PRIu64 " documents are not power reports and were skipped",
				  job->skipped);
	return status;
}

static int run(const struct export_options *options)
{
	struct store_options store_options = {.database = options->database, .flags = STORE_READ};
	struct export_job job = {.options = options, .out = stdout};
	struct reason why = {""};
	int status;

	if (!options->store)
		return client_fail(CLIENT_EXIT_USAGE,
				   "export: no store given; add --store URI, as in the server's --output");
	if (store_open(options->store, &store_options, &job.store, &why) < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	if (options->output)
		job.out = fopen(options->output, "we");
	if (!job.out)
		status = client_fail(CLIENT_EXIT_FAILURE, "cannot write '%s': %s", options->output,
				     strerror(errno));
	else
		status = export_all(&job);
	if (job.out && (fflush(job.out) != 0 || ferror(job.out)))
		status = client_fail(CLIENT_EXIT_FAILURE, "cannot write the output: %s", strerror(errno));
	if (job.out && job.out != stdout)
		(void)fclose(job.out);
	for (size_t i = 0; i < job.n_collections; i++)
		free(job.collections[i]);
	free(job.collections);
	batch_done(&job.documents);
	store_close(job.store);
	return status;
}

int client_export_main(int argc, char *argv[])
{
	struct export_options options;
	struct config *config = NULL;
	int status = client_load_options(&spec, &options, argc, argv, &config);

	if (status == CLIENT_GO_ON)
		status = run(&options);
	config_free(config);
	config_done(&spec, &options);
	return status;
}
