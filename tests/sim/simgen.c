/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the stream of a simulated machine and its truth without a sensor: what accuracy work reads.
 * usage: simgen SCENARIO SEED OUT.bson TRUTH.bson [--law N] [--ticks N] [--step static|shared]
 */
#include "batch.h"
#include "sim.h"
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int write_batch(FILE *file, struct batch *batch)
{
	size_t done = fwrite(batch->data, 1, batch->length, file);
	int r = done == batch->length ? 0 : -EIO;

	batch_clear(batch);
	return r;
}

static int generate(struct sim *sim, FILE *out, FILE *truth, uint64_t *ret_rows)
{
	struct batch batch = {0};
	int r = 0;

	while (r >= 0 && sim_step(sim) > 0) {
		r = sim_add_reports(sim, "sim", &batch);
		*ret_rows += batch.n_documents - 1;
		if (r >= 0)
			r = write_batch(out, &batch);
		if (r >= 0 && truth)
			r = sim_add_truth(sim, "sim", &batch);
		if (r >= 0 && truth)
			r = write_batch(truth, &batch);
	}
	batch_done(&batch);
	return r;
}

static int parse_options(int argc, char **argv, struct sim_options *options)
{
	uint64_t number = 0;

	for (int i = 5; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--step") == 0) {
			options->step_is_shared = strcmp(argv[i + 1], "shared") == 0;
			continue;
		}
		if (text_parse_u64(argv[i + 1], &number) < 0)
			return -EINVAL;
		if (strcmp(argv[i], "--law") == 0 && number <= 2)
			options->law = (unsigned)number;
		else if (strcmp(argv[i], "--ticks") == 0)
			options->ticks = number;
		else
			return -EINVAL;
	}
	return argc % 2 ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct sim_options options = {0};
	struct sim *sim = NULL;
	char why[256] = "out of memory";
	FILE *out, *truth;
	uint64_t rows = 0;
	double seconds;
	clock_t start;
	int r;

	if (argc < 5 || text_parse_u64(argv[2], &options.seed) < 0 ||
	    parse_options(argc, argv, &options) < 0) {
		fprintf(stderr, "usage: simgen SCENARIO SEED OUT.bson TRUTH.bson [--law N] [--ticks N] "
				"[--step static|shared]\n");
		return 2;
	}
	options.scenario = argv[1];
	r = sim_new(&options, &sim, why, sizeof(why));
	if (r < 0) {
		fprintf(stderr, "simgen: %s\n", why);
		return 1;
	}
	out = fopen(argv[3], "wb");
	truth = fopen(argv[4], "wb");
	start = clock();
	r = out && truth ? generate(sim, out, truth, &rows) : -errno;
	seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
	if ((out && fclose(out) != 0) || (truth && fclose(truth) != 0))
		r = r < 0 ? r : -EIO;
	sim_free(sim);
	if (r < 0) {
		fprintf(stderr, "simgen: cannot write '%s' and '%s': %s\n", argv[3], argv[4], strerror(-r));
		return 1;
	}
	fprintf(stderr, "%llu container-ticks in %.2f s: %.0f/s\n", (unsigned long long)rows, seconds,
		(double)rows / (seconds > 0 ? seconds : 1e-9));
	return 0;
}
