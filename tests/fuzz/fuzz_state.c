/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Complete stored states of machines: position, model, totals. The input damages a saved one: the first byte
 * selects the formula and how far it goes, then every eleven bytes are one change. A loaded state divides the
 * next tick so that its rows add up to the measured power. Every eighth machine, including those that refused
 * the state with a reason, divides one more tick and is saved again.
 */
#include "base/log.h"
#include "machine/machine.h"
#include "machine/state.h"
#include "unit/formula_defaults.h"
#include "unit/state_report.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FORMULAS     3
#define CHANGES_MAX  8
#define CHANGE_SIZE  11
#define LEARN        20
#define TICKS        2
#define TICK_TARGETS 3
#define LEAVES_MAX   1024

struct leaf {
	size_t type, value, size;
};

struct saved {
	struct server_config config;
	struct batch state;
	struct leaf leaves[LEAVES_MAX];
	unsigned n_leaves;
};

static struct saved saved[FORMULAS];
static bson_t reports[LEARN + TICKS][TICK_TARGETS];

static void must(bool good)
{
	if (!good)
		abort();
}

/* The rows of a tick of 20 W. */
static void check_rows(const struct batch *batch)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	struct reason why;
	double sum = 0;

	while (batch_next(batch, &offset, &document, &length) == 1) {
		must(report_bson_decode_power(document, length, &row, &why) == 0);
		must(isfinite(row.power) && row.power >= -1e-9);
		if (strcmp(row.target, "global") != 0 && strcmp(row.target, "rapl") != 0)
			sum += row.power;
	}
	must(fabs(sum - 20) < 1e-3);
}

static void run_tick(struct machine *machine, unsigned tick)
{
	enum join_fed fed;

	for (unsigned i = 0; i < TICK_TARGETS; i++)
		must(machine_feed(machine, bson_get_data(&reports[tick][i]), reports[tick][i].len, 0, &fed) ==
		     0);
	batch_clear(&machine->out);
	must(machine_drain(machine, 0, false) == 1);
	check_rows(&machine->out);
	batch_clear(&machine->out);
}

/* The places of all values of the document at `bytes`, within the state. */
static void find_leaves(struct saved *to, const uint8_t *bytes, size_t length)
{
	bson_t document;
	bson_iter_t each;

	must(bson_init_static(&document, bytes, length) && bson_iter_init(&each, &document));
	while (bson_iter_next(&each)) {
		const size_t at = (size_t)(each.raw - to->state.data);
		uint32_t inner = 0;

		if (BSON_ITER_HOLDS_DOCUMENT(&each) || BSON_ITER_HOLDS_ARRAY(&each)) {
			memcpy(&inner, each.raw + each.d1, sizeof(inner));
			find_leaves(to, each.raw + each.d1, inner);
		} else if (to->n_leaves < LEAVES_MAX) {
			to->leaves[to->n_leaves++] =
				(struct leaf){at + each.type, at + each.d1, each.next_off - each.d1};
		}
	}
}

static void make_saved(struct saved *to, const char *formula)
{
	struct machine *machine;

	to->config = (struct server_config){.grace_ms = 2000, .expire_ms = 300000};
	formula_config_init(&to->config.formula);
	to->config.formula.learn_history = 12;
	to->config.formula.learn_error_window = 6;
	to->config.ops = formula_find(formula);
	machine = machine_new(&to->config, "n1", "sensorn1");
	must(machine != NULL);
	for (unsigned tick = 0; tick < LEARN; tick++)
		run_tick(machine, tick);
	must(state_add(&to->state, machine, 1) == 0);
	machine_free(machine);
	find_leaves(to, to->state.data, to->state.length);
	must(to->n_leaves > 3);
}

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

static void prepare(void)
{
	static const char *const names[FORMULAS] = {"pooled", "smartwatts", "share"};

	log_set_sink(ignore, NULL);
	for (unsigned tick = 0; tick < LEARN + TICKS; tick++) {
		must(state_report_init(&reports[tick][0], tick, "a", 1e9 + 1e8 * (tick % 7)));
		must(state_report_init(&reports[tick][1], tick, "b", 2e9 - 1e8 * (tick % 5)));
		must(state_report_init(&reports[tick][2], tick, "all", 3.3e9));
	}
	for (unsigned i = 0; i < FORMULAS; i++)
		make_saved(&saved[i], names[i]);
}

/* One change: a place (two bytes, whose upper bits select the operation), and a value of eight bytes. */
static void change(const struct saved *from, struct batch *state, const uint8_t *how)
{
	const unsigned place = how[0] | (how[1] & 0x0fu) << 8;
	const struct leaf *leaf = &from->leaves[place % from->n_leaves];
	const size_t n = leaf->size < 8 ? leaf->size : 8;

	switch (how[1] >> 4) {
	case 0: /* any byte, which may break the structure */
		state->data[(place << 3 | (how[2] & 7)) % state->length] = how[3];
		break;
	case 1: /* another type of the same length */
		state->data[leaf->type] = how[2];
		break;
	case 2: /* all of a block */
		for (size_t i = 0; i + 8 <= leaf->size; i += 8)
			memcpy(state->data + leaf->value + i, how + 3, 8);
		break;
	case 3: /* one number of a block */
		if (leaf->size >= 8)
			memcpy(state->data + leaf->value + how[2] % (leaf->size / 8) * 8, how + 3, 8);
		break;
	case 4: /* its end: the state is truncated */
		state->length = state->length * how[2] / 256;
		break;
	default:
		memcpy(state->data + leaf->value, how + 3, n);
	}
}

static void use(const struct saved *from, const struct batch *state, bool on)
{
	struct machine *machine = machine_new(&from->config, "n1", "sensorn1");
	struct batch again = {0};
	struct reason why = {""};
	int r;

	must(machine != NULL);
	r = state_load(machine, state, 0, &why);
	must(r >= 0 || why.text[0]);
	(void)state_count(state, from->config.ops->name);
	/* The position is not tested here. */
	join_set_position(machine->join, INT64_MIN);
	/* A refusal leaves a machine in its initial state, which the next tick shows for every eighth. */
	for (unsigned tick = 0; tick < (r > 0) + (unsigned)on; tick++)
		run_tick(machine, LEARN + tick);
	if (on)
		must(state_add(&again, machine, 1) == 0);
	batch_done(&again);
	machine_free(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct saved *from;
	struct batch state = {0};

	if (!saved[0].n_leaves)
		prepare();
	if (size == 0)
		return 0;
	from = &saved[data[0] % FORMULAS];
	must(batch_append(&state, from->state.data, from->state.length) == 0);
	for (size_t i = 1; i + CHANGE_SIZE <= size && i < 1 + CHANGES_MAX * CHANGE_SIZE && state.length;
	     i += CHANGE_SIZE)
		change(from, &state, data + i);
	use(from, &state, data[0] / FORMULAS % 8 == 0);
	batch_done(&state);
	return 0;
}
