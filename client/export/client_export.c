/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute export`: power reports of a store, as CSV or JSON lines, by time and target. Reads the store
 * itself; no server is needed. The rows are written by export_row.c.
 */
#include "client.h"
#include "base/printed.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "export/export_row.h"
#include "document/collections.h"
#include "document/report_bson.h"
#include "store/store.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum export_format { EXPORT_CSV, EXPORT_JSONL };
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
	if (!wrong && !options->store)
		options->store = client_default_store();
	if (!wrong)
		return options->store ? 0 : reason_set(why, -ENOMEM, "out of memory");
	return reason_set(
		why, -EINVAL,
		"'%s' is not a time; use 2026-01-31T12:00:00Z, epoch seconds, or -10m (ten minutes ago)",
		wrong);
}

#define OPTION(name, member, ...) CONFIG_OPTION(struct export_options, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	OPTION("store", store, CLIENT_ROW_STORE,
	       .help = "store with the power reports: sqlite:PATH, mongodb://HOST:PORT, bson:PATH; default: "
		       "the SQLite file in the state folder, as for the server"),
	OPTION("database", database, CLIENT_ROW_DATABASE,
	       .help = "database of the reports; default: the one in the URI, else rapls2"),
	OPTION("machine", machine, CLIENT_ROW_MACHINE, .help = "only reports of this sensor"),
	OPTION("target", target, .letter = 't', .placeholder = "NAME", .help = "only reports of this target"),
	OPTION("from", from, .letter = 'f', .placeholder = "TIME", .aliases = CONFIG_NAMES("since"),
	       .help = "only reports later than this; also --since"),
	OPTION("until", until, .letter = 'u', .placeholder = "TIME", .help = "only reports up to this time"),
	OPTION("format", format, .letter = 'F', .choices = CONFIG_NAMES("csv", "jsonl"), .fallback = "csv",
	       .help = "csv or jsonl"),
	OPTION("output", output, .letter = 'o', .placeholder = "FILE",
	       .help = "write to FILE instead of standard output"),
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
	bool shows_progress;       /* on a terminal, while the rows go elsewhere */
	int64_t first_ms, last_ms; /* of the collection's reports so far */
};

static void note_collection(void *data, const char *collection)
{
	struct export_job *job = data;
	char *copy = strdup(collection);

	if (copy && ARRAY_RESIZE(job->collections, job->n_collections + 1)) {
		job->collections[job->n_collections++] = copy;
		return;
	}
	job->failed = true;
	free(copy);
}

/* Stores do not know how many documents they have, so progress is measured by time. */
static void show_progress(const struct export_job *job, const char *collection)
{
	int64_t end_ms = job->options->until_ms, now_ms = clock_realtime_ms();
	double whole_ms;

	if (!job->shows_progress || job->written == 0)
		return;
	end_ms = end_ms < now_ms ? end_ms : now_ms;
	whole_ms = (double)(end_ms - job->first_ms);
	fprintf(stderr, "\r\033[K%s: %" PRIu64 " reports, %.0f %% of the time", collection, job->written,
		whole_ms > 0 ? 100 * fmin(1, (double)(job->last_ms - job->first_ms) / whole_ms) : 100);
	(void)fflush(stderr);
}

static void clear_progress(const struct export_job *job)
{
	if (job->shows_progress)
		fputs("\r\033[K", stderr);
}

static void write_documents(struct export_job *job)
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
		job->written++;
		job->first_ms = job->first_ms ? job->first_ms : power.time_ms;
		job->last_ms = power.time_ms;
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

	job->first_ms = 0;
	do {
		batch_clear(&job->documents);
		if (store_read(job->store, &query, &job->documents, &progress) != STORE_OK)
			return client_fail(CLIENT_EXIT_FAILURE, "cannot read '%s': %s", collection,
					   store_error(job->store));
		write_documents(job);
		show_progress(job, collection);
	} while (store_query_continue(&query, &progress, &job->documents));
	return CLIENT_EXIT_OK;
}

/* The machines of a store, as a list for people. */
struct machine_list {
	char text[400];
	size_t length;
};

static void list_machine(void *data, const char *collection)
{
	struct machine_list *list = data;
	const char *machine = collection_machine(COLLECTION_POWER, collection);

	if (machine && list->length + strlen(machine) + 3 < sizeof(list->text))
		list->length += (size_t)snprintf(list->text + list->length, sizeof(list->text) - list->length,
						 "%s%s", list->length ? ", " : "", machine);
}

static int fail_no_machine(const struct export_job *job)
{
	struct machine_list list = {.text = ""};

	(void)store_list(job->store, collection_prefix(COLLECTION_POWER), list_machine, &list);
	return client_fail(CLIENT_EXIT_FAILURE,
			   "no power reports of the machine '%s' in this store; it has those of: %s",
			   job->options->machine, list.length ? list.text : "none");
}

/* An empty export usually means a mistyped name; an unknown machine is an error. */
static int say_nothing_found(const struct export_job *job)
{
	const struct export_options *options = job->options;
	bool known = false;

	for (size_t i = 0; options->machine && i < job->n_collections; i++)
		known |= strcmp(collection_machine(COLLECTION_POWER, job->collections[i]),
				options->machine) == 0;
	if (options->machine && !known)
		return fail_no_machine(job);
	if (options->target)
		return client_fail(CLIENT_EXIT_OK, "no power reports of '%s' in this period",
				   options->target);
	return client_fail(CLIENT_EXIT_OK, "no power reports in this store and period");
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
	clear_progress(job);
	if (status == CLIENT_EXIT_OK && !job->written)
		status = say_nothing_found(job);
	if (job->skipped > 0)
		(void)client_fail(0, "%" PRIu64 " documents are not power reports and were skipped",
				  job->skipped);
	return status;
}

static int run(void *data, char *argv[])
{
	const struct export_options *options = data;
	struct store_options store_options = {.database = options->database, .flags = STORE_READ};
	struct export_job job = {.options = options, .out = stdout};
	const char *terminal = getenv("TERM");
	struct reason why = {""};
	int status, r;

	(void)argv;
	job.shows_progress = isatty(STDERR_FILENO) && (options->output || !isatty(STDOUT_FILENO)) &&
			     terminal && *terminal && strcmp(terminal, "dumb") != 0;
	if (store_open(options->store, &store_options, &job.store, &why) < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	if (options->output)
		job.out = fopen(options->output, "we");
	if (!job.out)
		status = client_fail(CLIENT_EXIT_FAILURE, "cannot write '%s': %s", options->output,
				     strerror(errno));
	else
		status = export_all(&job);
	if (job.out && (r = printed_close(job.out)) < 0)
		status = client_fail(CLIENT_EXIT_FAILURE, "cannot write the output: %s", strerror(-r));
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

	return client_main(&spec, &options, argc, argv, run);
}
