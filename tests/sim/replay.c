/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: replay [--static POLICY] [--strict] [--interval MS] [--load STATE] [--save STATE]
 * [--calibration STATE] FORMULA IN.bson OUT.bson. Passes recorded reports through the server's own join,
 * tick, formula and share to power reports; `-` as OUT writes nothing. Prints ticks, container-ticks and the
 * time they took. For work on the formulas, without other processes.
 */
#include "formula/formula.h"
#include "tick/join.h"
#include "machine/output.h"
#include "formula/conserve.h"
#include "tick/tick_make.h"
#include "base/reason.h"
#include "unit/formula_defaults.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct replay {
	const struct formula_ops *ops;
	void *formula;
	struct formula_config config;
	struct conserve_policy policy;
	struct conserve_output output;
	struct report_names *names;
	struct report_decoded decoded;
	struct join *join;
	struct tick_maker *maker;
	struct batch batch;
	char sensor[256];
	FILE *out;
	uint64_t n_ticks, n_targets;
	double formula_s;
};

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "replay: %s\n", what);
	exit(1);
}

static uint8_t *read_all(const char *path, size_t *ret_length)
{
	FILE *file = fopen(path, "rb");
	uint8_t *bytes;
	long length;

	if (!file || fseek(file, 0, SEEK_END) < 0)
		die("cannot read the input");
	length = ftell(file);
	rewind(file);
	bytes = malloc((size_t)length + 1);
	if (!bytes || fread(bytes, 1, (size_t)length, file) != (size_t)length)
		die("cannot read the input");
	(void)fclose(file);
	*ret_length = (size_t)length;
	return bytes;
}

static void write_rows(struct replay *r, const struct tick *tick, const struct formula_result *result)
{
	const struct output_options options = {.sensor = r->sensor, .label = result->label};

	batch_clear(&r->batch);
	if (output_add(&r->batch, tick, &r->output, &options) == -ENOMEM)
		die("no memory");
	if (r->out && fwrite(r->batch.data, 1, r->batch.length, r->out) != r->batch.length)
		die("cannot write the output");
}

static void take_ticks(struct replay *r, bool flush)
{
	struct join_slot *slot;

	while ((slot = join_take(r->join, 0, false, flush))) {
		struct formula_result result;
		const struct tick *tick;
		double start;
		if (slot->has_all && tick_make(r->maker, slot, &tick) == 0) {
			start = now_s();
			if (r->ops->run(r->formula, tick, &result) < 0 ||
			    conserve_apply(tick, &result, &r->policy, &r->output) < 0)
				die("no memory");
			r->formula_s += now_s() - start;
			r->n_ticks++;
			r->n_targets += tick->n_targets;
			write_rows(r, tick, &result);
		}
		join_release(r->join, slot);
	}
}

static void take_document(struct replay *r, const uint8_t *document, size_t length)
{
	enum join_fed fed;
	struct reason why;

	if (report_bson_decode(document, length, r->names, &r->decoded, &why) < 0)
		die(why.text);
	if (strcmp(r->sensor, r->decoded.sensor) != 0)
		(void)snprintf(r->sensor, sizeof(r->sensor), "%s", r->decoded.sensor);
	if (join_feed(r->join, &r->decoded, 0, &fed) < 0)
		die("no memory");
	take_ticks(r, false);
}

static void load(struct replay *r, const char *path, bool calibration)
{
	size_t length = 0;
	uint8_t *bytes = read_all(path, &length);
	struct reason why;
	bson_t document;

	if (!bson_init_static(&document, bytes, length))
		die("no state");
	if ((calibration ? r->ops->calibrate(r->formula, &document, false, &why)
			 : r->ops->load(r->formula, &document, &why)) < 0)
		die(why.text);
	free(bytes);
}

static void save(struct replay *r, const char *path)
{
	bson_t document = BSON_INITIALIZER;
	FILE *file = fopen(path, "wb");

	if (!file || r->ops->save(r->formula, &document) < 0 ||
	    fwrite(bson_get_data(&document), 1, document.len, file) != document.len || fclose(file) != 0)
		die("cannot save the state");
	bson_destroy(&document);
}

static void describe(const struct replay *r)
{
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		struct formula_state state;
		r->ops->describe(r->formula, (enum report_scope)scope, 0, &state);
		(void)fprintf(stderr, "%s: %" PRIu64 " samples, error %.3g W; %s\n",
			      report_scope_names[scope], state.samples, state.error_w, state.text);
	}
}

static void print_cost(const struct replay *r, double spent_s)
{
	(void)fprintf(stderr,
		      "%" PRIu64 " ticks, %" PRIu64
		      " container-ticks, %.3f s, of it formula and share %.3f s\n",
		      r->n_ticks, r->n_targets, spent_s, r->formula_s);
	(void)fprintf(stderr, "%.0f container-ticks per CPU-second, %.3f ms of formula a tick and scope\n",
		      (double)r->n_targets / spent_s,
		      r->formula_s * 1e3 / ((double)r->n_ticks * REPORT_SCOPES));
}

static enum conserve_static find_policy(const char *name)
{
	for (unsigned i = 0; i < CONSERVE_STATICS; i++)
		if (strcmp(name, conserve_static_names[i]) == 0)
			return (enum conserve_static)i;
	die("unknown policy");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"static", required_argument, NULL, 's'},
						{"strict", no_argument, NULL, 'x'},
						{"interval", required_argument, NULL, 'i'},
						{"load", required_argument, NULL, 'l'},
						{"save", required_argument, NULL, 'w'},
						{"calibration", required_argument, NULL, 'c'},
						{0}};
	struct replay r = {.policy = {.fixed = CONSERVE_STATIC_PROPORTIONAL}};
	const char *load_path = NULL, *save_path = NULL, *calibration_path = NULL;
	struct batch input = {0};
	const uint8_t *document;
	size_t offset = 0, length;
	double start;
	int option;

	formula_config_init(&r.config);
	while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (option == 's')
			r.policy.fixed = find_policy(optarg);
		r.config.strict_reference |= option == 'x';
		if (option == 'i')
			r.config.interval_ms = strtod(optarg, NULL);
		load_path = option == 'l' ? optarg : load_path;
		save_path = option == 'w' ? optarg : save_path;
		calibration_path = option == 'c' ? optarg : calibration_path;
		if (option == '?')
			die("unknown option");
	}
	if (argc - optind != 3 || !(r.ops = formula_find(argv[optind])))
		die("usage: replay [--static P] [--strict] [--interval MS] [--load S] [--save S] "
		    "[--calibration S] FORMULA "
		    "IN.bson OUT.bson");
	r.formula = r.ops->make(&r.config);
	r.names = report_names_new();
	r.join = join_new(1);
	r.maker = tick_maker_new(r.names, r.config.interval_ms / 1000);
	r.out = strcmp(argv[optind + 2], "-") ? fopen(argv[optind + 2], "wb") : NULL;
	input.data = read_all(argv[optind + 1], &input.length);
	if (load_path)
		load(&r, load_path, false);
	if (calibration_path && r.ops->calibrate)
		load(&r, calibration_path, true);
	start = now_s();
	while (batch_next(&input, &offset, &document, &length) > 0)
		take_document(&r, document, length);
	take_ticks(&r, true);
	print_cost(&r, now_s() - start);
	describe(&r);
	if (save_path)
		save(&r, save_path);
	if (r.out && fclose(r.out) != 0)
		die("cannot write the output");
	r.ops->free(r.formula);
	conserve_output_done(&r.output);
	join_free(r.join);
	tick_maker_free(r.maker);
	report_decoded_done(&r.decoded);
	report_names_free(r.names);
	batch_done(&r.batch);
	free(input.data);
	return 0;
}
