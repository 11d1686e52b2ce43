/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the stream of a simulated machine and its truth without a sensor, as input for accuracy work.
 * usage: simgen SCENARIO SEED OUT.bson TRUTH.bson [--law N] [--ticks N] [--step static|shared] [--floor FILE]
 *   [--vector FILE]: the same stream with vector instructions counted as a fifth event
 */
#include "document/batch.h"
#include "base/cleanup.h"
#include "sim/sim_stream.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SIMGEN_STREAM, SIMGEN_TRUTH, SIMGEN_FLOOR, SIMGEN_VECTOR, SIMGEN_FILES };

struct simgen {
	struct sim_options options;
	const char *paths[SIMGEN_FILES]; /* NULL: not wanted */
	struct sim *sim;
	uint64_t rows;
};

static const char usage[] = "usage: simgen SCENARIO SEED OUT.bson TRUTH.bson [--law N] [--ticks N] "
			    "[--step static|shared] [--floor FILE] [--vector FILE]\n";

typedef int (*adder)(const struct sim *sim, const char *sensor, struct batch *batch);

static int write_part(const struct simgen *simgen, FILE *file, adder add, struct batch *batch)
{
	int r;

	if (!file)
		return 0;
	batch_clear(batch);
	r = add(simgen->sim, "sim", batch);
	if (r >= 0 && fwrite(batch->data, 1, batch->length, file) != batch->length)
		r = -EIO;
	return r;
}

static int generate(struct simgen *simgen, FILE *const files[SIMGEN_FILES])
{
	struct batch batch = {0};
	int r = 0;

	while (r >= 0 && sim_step(simgen->sim) > 0) {
		r = write_part(simgen, files[SIMGEN_STREAM], sim_add_reports, &batch);
		simgen->rows += batch.n_documents - 1;
		if (r >= 0)
			r = write_part(simgen, files[SIMGEN_TRUTH], sim_add_truth, &batch);
		if (r >= 0)
			r = write_part(simgen, files[SIMGEN_FLOOR], sim_add_floor, &batch);
		if (r >= 0)
			r = write_part(simgen, files[SIMGEN_VECTOR], sim_add_reports_vector, &batch);
	}
	batch_done(&batch);
	return r;
}

static int parse_option(struct simgen *simgen, const char *key, const char *value)
{
	uint64_t number = 0;

	if (strcmp(key, "--floor") == 0 || strcmp(key, "--vector") == 0) {
		simgen->paths[strcmp(key, "--floor") == 0 ? SIMGEN_FLOOR : SIMGEN_VECTOR] = value;
		return 0;
	}
	if (strcmp(key, "--step") == 0) {
		simgen->options.step_is_shared = strcmp(value, "shared") == 0;
		return simgen->options.step_is_shared || strcmp(value, "static") == 0 ? 0 : -EINVAL;
	}
	if (text_parse_u64(value, &number) < 0)
		return -EINVAL;
	if (strcmp(key, "--law") == 0 && number <= 2)
		simgen->options.law = (unsigned)number;
	else if (strcmp(key, "--ticks") == 0)
		simgen->options.ticks = number;
	else
		return -EINVAL;
	return 0;
}

static int parse(int argc, char **argv, struct simgen *simgen)
{
	if (argc < 5 || argc % 2 == 0 || text_parse_u64(argv[2], &simgen->options.seed) < 0)
		return -EINVAL;
	simgen->options.scenario = argv[1];
	simgen->paths[SIMGEN_STREAM] = argv[3];
	simgen->paths[SIMGEN_TRUTH] = argv[4];
	for (int i = 5; i + 1 < argc; i += 2) {
		if (parse_option(simgen, argv[i], argv[i + 1]) < 0)
			return -EINVAL;
	}
	return 0;
}

static int run(struct simgen *simgen)
{
	FILE *files[SIMGEN_FILES] = {NULL};
	int r = 0;

	for (unsigned i = 0; i < SIMGEN_FILES && r >= 0; i++) {
		files[i] = simgen->paths[i] ? fopen(simgen->paths[i], "wb") : NULL;
		if (simgen->paths[i] && !files[i])
			r = -errno;
	}
	if (r >= 0)
		r = generate(simgen, files);
	for (unsigned i = 0; i < SIMGEN_FILES; i++) {
		if (files[i] && fclose(files[i]) != 0 && r >= 0)
			r = -EIO;
	}
	return r;
}

int main(int argc, char **argv)
{
	struct simgen simgen = {0};
	struct reason why = {"out of memory"};
	clock_t start;
	double seconds;
	int r;

	if (parse(argc, argv, &simgen) < 0) {
		fputs(usage, stderr);
		return 2;
	}
	if (sim_new(&simgen.options, &simgen.sim, &why) < 0) {
		fprintf(stderr, "simgen: %s\n", why.text);
		return 1;
	}
	start = clock();
	r = run(&simgen);
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	sim_free(simgen.sim);
	if (r < 0) {
		fprintf(stderr, "simgen: cannot write '%s' and '%s': %s\n", simgen.paths[0], simgen.paths[1],
			strerror(-r));
		return 1;
	}
	fprintf(stderr, "%" PRIu64 " container-ticks in %.2f s: %.0f/s\n", simgen.rows, seconds,
		(double)simgen.rows / (seconds > 0 ? seconds : 1e-9));
	return 0;
}
