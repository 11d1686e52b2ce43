/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tick's path through the server process: its rows are exactly the bytes of the plain encoder, and a warm
 * machine does not allocate.
 */
#include "machine/machine.h"
#include "unit/count_allocations.h"
#include "unit/formula_defaults.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define N_TARGETS 80
#define N_SOCKETS 2

static struct tick_target targets[] = {
	{.name = "redis", .container_id = "0123456789ab"},
	{.name = "", .container_id = ""},
	{.name = "gr\xc3\xbc\xc3\x9f", .container_id = "abcdefabcdef"},
	{.name = "broken\xff", .container_id = "abcdefabcdef"},
	{.name = "odd id", .container_id = "\xffoo"},
};
static const struct tick tick = {
	.time_ms = 1700000000123,
	.interval_s = 1.01,
	.said = {.estimated = true},
	.n_sockets = N_SOCKETS,
	.sockets = {{.package = 0}, {.package = 11}},
	.n_targets = 5,
	.targets = targets,
};

static struct conserve_row a_row(int target, unsigned cell)
{
	struct conserve_row row = {
		.target = target,
		.scope = cell % 2 ? REPORT_SCOPE_DRAM : REPORT_SCOPE_CPU,
		.socket = cell / 2,
		.power_w = 10.5 + target,
		.dynamic_w = 10,
		.static_w = 0.5 + target,
		.ratio = 0.25,
		.energy_j = 10.4,
		.error_w = cell == 1 ? NAN : 0.5,
	};

	if (target == 1)
		row.dynamic_w = NAN;
	if (target == 2 && cell == 2)
		row.energy_j = INFINITY;
	return row;
}

static int add_plainly(struct batch *batch, const struct conserve_row *row)
{
	const char *container_id = row->target < 0 ? "" : targets[row->target].container_id;
	const struct report_power power = {
		.time_ms = tick.time_ms,
		.sensor = "node \xc3\xa4",
		.target = conserve_row_name(&tick, row),
		.socket = row->socket ? "11" : "0",
		.scope = row->scope,
		.formula = row->target != CONSERVE_RAPL     ? "pooled"
			   : row->scope == REPORT_SCOPE_CPU ? REPORT_EVENT_PKG
							    : REPORT_EVENT_DRAM,
		.ratio = row->ratio,
		.power = row->power_w,
		.dynamic = row->dynamic_w,
		.fixed = row->static_w,
		.energy_j = row->energy_j,
		.interval_s = tick.interval_s,
		.error = row->error_w,
		.estimated = true,
		.container_id = container_id[0] ? container_id : NULL,
	};

	return report_bson_add_power(batch, &power);
}

static void rows_match_the_plain_encoder(void **state)
{
	const struct output_options options = {.sensor = "node \xc3\xa4", .label = "pooled"};
	struct conserve_row rows[64];
	struct conserve_output conserved = {.rows = rows};
	struct batch batch = {0}, plain = {0};

	(void)state;
	for (unsigned cell = 0; cell < 4; cell++)
		for (int target = CONSERVE_GLOBAL; target < 5; target++)
			rows[conserved.n_rows++] = a_row(target, cell);
	for (unsigned i = 0; i < conserved.n_rows; i++)
		assert_int_equal(add_plainly(&plain, &rows[i]), 0);
	assert_int_equal(output_add(&batch, &tick, &conserved, &options), 0);
	assert_int_equal(batch.n_documents, plain.n_documents);
	assert_int_equal(batch.length, plain.length);
	assert_memory_equal(batch.data, plain.data, batch.length);
	rows[7].power_w = NAN;
	assert_int_equal(output_add(&batch, &tick, &conserved, &options), 1);
	batch_done(&batch);
	batch_done(&plain);
}

static const char *const events[] = {"CPU_CLK_THREAD_UNHALTED:REF_P", "CPU_CLK_THREAD_UNHALTED:THREAD_P",
				     "INSTRUCTIONS_RETIRED", "LLC_MISSES"};
static const char *const energies[] = {REPORT_EVENT_PKG, REPORT_EVENT_DRAM};
static const struct report_place places[] = {{0, 0}, {1, 4}};
static const struct report_group core = {"core", 4, events, 2, places};
static const struct report_group rapl = {"rapl", 2, energies, 2, places};

/* All reports of a sensor for one tick. */
static void add_tick(struct batch *batch, unsigned number)
{
	struct report_head head = {.time_ms = 1000000 + number * 1000, .sensor = "n1", .target = "all"};
	uint64_t values[8], sums[8] = {0}, joules[4];
	const struct report_counts all[] = {{.group = &core, .values = sums},
					    {.group = &rapl, .values = joules}};
	const struct report_counts counts = {.group = &core, .values = values};
	const struct report_target_metadata known = {.container_id = "0123456789ab", .scaled = 1};
	const struct report_tick_metadata metadata = {.interval_s = 1, .n_targets = N_TARGETS, .skew_s = -1};
	char name[16];

	batch_clear(batch);
	for (unsigned i = 0; i < N_TARGETS; i++) {
		for (unsigned j = 0; j < 8; j++) {
			values[j] = (uint64_t)1000000 * (1 + (i * 7 + j * 3 + number * 5) % 97);
			sums[j] += values[j];
		}
		(void)snprintf(name, sizeof(name), "t%u", i);
		head.target = name;
		assert_int_equal(report_bson_add_target_counts(batch, &head, &counts, 1, &known), 0);
	}
	for (unsigned j = 0; j < 4; j++)
		joules[j] = (uint64_t)(20 + number % 3) << 32;
	head.target = "all";
	assert_int_equal(report_bson_add_all_counts(batch, &head, all, 2, &metadata), 0);
}

static void run_tick(struct machine *machine, const struct batch *batch)
{
	const uint8_t *document;
	size_t offset = 0, length;
	enum join_fed fed;

	while (batch_next(batch, &offset, &document, &length) == 1)
		assert_int_equal(machine_feed(machine, document, length, 0, &fed), 0);
	assert_int_equal(machine_drain(machine, 0, false), 1);
	assert_true(machine->out.n_documents >= N_SOCKETS * REPORT_SCOPES * (N_TARGETS + 2));
	batch_clear(&machine->out);
}

static void a_warm_machine_does_not_allocate(void **state)
{
#ifdef COUNTS_ALLOCATIONS
	struct server_config config = {.grace_ms = 2000, .expire_ms = 300000};
	struct batch batch = {0};
	struct machine *machine;
	unsigned long before;

	(void)state;
	formula_config_init(&config.formula);
	config.ops = formula_find("pooled");
	machine = machine_new(&config, "n1", "sensorn1");
	for (unsigned number = 0; number < 70; number++) {
		add_tick(&batch, number);
		before = n_allocations;
		run_tick(machine, &batch);
		if (number >= 40)
			assert_int_equal(n_allocations, before);
	}
	machine_free(machine);
	batch_done(&batch);
#else
	(void)state;
	(void)add_tick;
	(void)run_tick;
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_match_the_plain_encoder),
		cmocka_unit_test(a_warm_machine_does_not_allocate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
