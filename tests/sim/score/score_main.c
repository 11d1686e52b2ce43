/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-score: reads two files of power reports (concatenated BSON documents), the truth of a simulated
 * machine and a formula's answer, and prints their differences.
 */
#include "sim/score/score.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "document/report_bson.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct mapped {
	const uint8_t *data;
	size_t length;
};

static int map_file(const char *path, struct mapped *ret)
{
	cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	void *data;

	if (fd < 0 || fstat(fd, &info) < 0)
		return log_error("score", -errno, "cannot read '%s'", path);
	if (info.st_size <= 0)
		return log_error("score", -ENODATA, "'%s' is empty", path);
	data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return log_error("score", -errno, "cannot map '%s'", path);
	*ret = (struct mapped){data, (size_t)info.st_size};
	return 0;
}

typedef int (*score_adder)(struct score *score, const struct report_power *power);

static int read_reports(const char *path, struct score *score, score_adder add)
{
	struct mapped mapped = {0};
	struct batch batch;
	const uint8_t *document;
	size_t offset = 0, length;
	int r = map_file(path, &mapped);

	if (r < 0)
		return r;
	batch = (struct batch){.data = (uint8_t *)(uintptr_t)mapped.data, .length = mapped.length};
	while ((r = batch_next(&batch, &offset, &document, &length)) > 0) {
		struct report_power power;
		struct reason why;

		r = report_bson_decode_power(document, length, &power, &why);
		if (r < 0) {
			log_error("score", 0, "'%s', byte %zu: %s", path, offset - length, why.text);
			break;
		}
		r = add(score, &power);
		if (r < 0)
			break;
	}
	if (r < 0)
		log_error("score", r, "cannot read the power reports of '%s'", path);
	munmap((void *)(uintptr_t)mapped.data, mapped.length);
	return r;
}

/* The load of one decoded report: cycles, or CPU time if nothing else is counted. */
static int take_load(const struct report_decoded *decoded, const struct report_names *names,
		     struct score *score)
{
	static const char cycles[] = "CPU_CLK_THREAD_UNHALTED:THREAD_P";
	int r = 0;

	for (unsigned i = 0; i < decoded->n_values && r >= 0; i++) {
		const struct report_value *value = &decoded->values[i];
		const char *event = report_names_event(names, value->event);

		if (strcmp(event, cycles) == 0 || strcmp(event, REPORT_EVENT_CPU_TIME) == 0)
			r = score_add_load(score, decoded->time_ms, decoded->target, value->package,
					   value->value * 1e-9);
	}
	return r;
}

/* The counts that the formula saw. Ticks of a stream have equal length, so counts serve as rates. */
static int read_stream(const char *path, struct score *score)
{
	struct report_names *names = report_names_new();
	struct report_decoded decoded = {0};
	struct mapped mapped = {0};
	struct batch batch;
	const uint8_t *document;
	size_t offset = 0, length;
	struct reason why = {""};
	int r = names ? map_file(path, &mapped) : -ENOMEM;

	batch = (struct batch){.data = (uint8_t *)(uintptr_t)mapped.data, .length = mapped.length};
	while (r >= 0 && (r = batch_next(&batch, &offset, &document, &length)) > 0) {
		r = report_bson_decode(document, length, names, &decoded, &why);
		if (r >= 0)
			r = take_load(&decoded, names, score);
	}
	if (r < 0)
		log_error("score", r, "cannot read the reports of '%s': %s", path, why.text);
	report_decoded_done(&decoded);
	report_names_free(names);
	if (mapped.data)
		munmap((void *)(uintptr_t)mapped.data, mapped.length);
	return r;
}

struct score_arguments {
	bool json;
	const char *label, *rows, *stream, *truth, *reports;
};

static const char usage[] =
	"usage: wattribute-score [--json] [--label TEXT] [--rows FILE] [--stream FILE] TRUTH.bson "
	"REPORTS.bson\nCompares "
	"power reports with the truth of a simulated machine.\n  --json        one line of JSON instead of "
	"the table\n  --label TEXT  label of the first line (default: the name of REPORTS)\n  --rows FILE   "
	"every container-tick as CSV, for plots\n  --stream FILE the reports that the formula saw, for "
	"predictions "
	"beside the load's rise\n";

static int parse_arguments(int argc, char **argv, struct score_arguments *arguments)
{
	static const struct option options[] = {
		{"json", no_argument, NULL, 'j'},       {"label", required_argument, NULL, 'l'},
		{"rows", required_argument, NULL, 'r'}, {"stream", required_argument, NULL, 's'},
		{"help", no_argument, NULL, 'h'},       {0}};
	int option;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (option) {
		case 'j':
			arguments->json = true;
			break;
		case 'l':
			arguments->label = optarg;
			break;
		case 'r':
			arguments->rows = optarg;
			break;
		case 's':
			arguments->stream = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			return 1;
		default:
			return -EINVAL;
		}
	}
	if (argc - optind != 2)
		return -EINVAL;
	arguments->truth = argv[optind];
	arguments->reports = argv[optind + 1];
	if (!arguments->label)
		arguments->label = arguments->reports;
	return 0;
}

static int run(const struct score_arguments *arguments, struct score *score)
{
	cleanup_(cleanup_fclose) FILE *rows = NULL;
	struct score_result result;
	int r;

	if (arguments->rows) {
		rows = fopen(arguments->rows, "we");
		if (!rows)
			return log_error("score", -errno, "cannot write '%s'", arguments->rows);
	}
	r = read_reports(arguments->truth, score, score_add_truth);
	if (r >= 0)
		r = read_reports(arguments->reports, score, score_add_report);
	if (r >= 0 && arguments->stream)
		r = read_stream(arguments->stream, score);
	if (r >= 0 && score_repeated(score))
		return log_error("score", 0,
				 "'%s' has the power reports of %" PRIu64
				 " ticks and sockets more than once, as where --once appended a second run: "
				 "compare each run by itself",
				 arguments->reports, score_repeated(score)),
		       -EEXIST;
	if (r >= 0)
		r = score_compute(score, rows, &result);
	if (r < 0)
		return r;
	if (arguments->json)
		score_print_json(&result, arguments->label, stdout);
	else
		score_print_table(&result, arguments->label, stdout);
	score_result_done(&result);
	return 0;
}

int score_main(int argc, char **argv)
{
	struct score_arguments arguments = {0};
	struct score *score;
	int r = parse_arguments(argc, argv, &arguments);

	if (r < 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (r > 0)
		return 0;
	score = score_new();
	r = score ? run(&arguments, score) : -ENOMEM;
	score_free(score);
	return r < 0 ? 1 : 0;
}
