/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged or hostile stored states: any number may have another value or type, or be missing. Whatever is
 * loaded, each tick's rows add up to the measured power, and after a while no socket is still divided by CPU
 * time because of the state.
 */
#include "machine/machine.h"
#include "machine/state.h"
#include "unit/formula_defaults.h"
#include "unit/state_report.h"
#include "unit/random_seed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bson/bson.h>
#include <cmocka.h>

#define LEAVES_MAX 4096
#define LEARN      80
#define HEAL       400 /* ticks after which no damage may remain */

static struct server_config config;
static uint32_t random_state;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}

static void feed_one(struct machine *machine, unsigned tick, const char *target, double cycles)
{
	enum join_fed fed;
	bson_t document;

	assert_true(state_report_init(&document, tick, target, cycles));
	assert_int_equal(machine_feed(machine, bson_get_data(&document), document.len, 0, &fed), 0);
	bson_destroy(&document);
}

/* True if the rows add up to the 20 W measured for the tick's socket. */
static bool adds_up(const struct batch *batch)
{
	const uint8_t *document;
	size_t offset = 0, length;
	struct report_power row;
	struct reason why;
	double sum = 0;
	bool good = true;

	while (batch_next(batch, &offset, &document, &length) == 1) {
		assert_int_equal(report_bson_decode_power(document, length, &row, &why), 0);
		good &= isfinite(row.power) && row.power >= -1e-9;
		if (strcmp(row.target, "global") != 0 && strcmp(row.target, "rapl") != 0)
			sum += row.power;
	}
	return good && fabs(sum - 20) < 1e-3;
}

static void run_ticks(struct machine *machine, unsigned from, unsigned to, unsigned from_seed)
{
	for (unsigned tick = from; tick < to; tick++) {
		feed_one(machine, tick, "a", 1e9 + 1e8 * (tick % 7));
		feed_one(machine, tick, "b", 2e9 - 1e8 * (tick % 5));
		feed_one(machine, tick, "all", 3.3e9);
		batch_clear(&machine->out);
		assert_int_equal(machine_drain(machine, 0, false), 1);
		if (!adds_up(&machine->out))
			fail_msg("%s, seed %u, tick %u: the rows do not add up to 20 W", config.ops->name,
				 from_seed, tick);
	}
}

struct leaf {
	size_t at; /* offset of the value's type */
	size_t value;
	size_t size;
};

/* Finds the positions of all numbers and byte blocks. */
static void find_leaves(const uint8_t *base, const uint8_t *bytes, size_t length, struct leaf *leaves,
			unsigned *n)
{
	bson_t document;
	bson_iter_t each;

	assert_true(bson_init_static(&document, bytes, length) && bson_iter_init(&each, &document));
	while (bson_iter_next(&each)) {
		size_t at = (size_t)(each.raw + each.type - base);
		size_t value = (size_t)(each.raw + each.d1 - base);
		const uint8_t *inner;
		uint32_t size;

		if (BSON_ITER_HOLDS_DOCUMENT(&each) || BSON_ITER_HOLDS_ARRAY(&each)) {
			memcpy(&size, each.raw + each.d1, sizeof(size));
			find_leaves(base, each.raw + each.d1, size, leaves, n);
		} else if (*n < LEAVES_MAX && BSON_ITER_HOLDS_BINARY(&each)) {
			bson_iter_binary(&each, NULL, &size, &inner);
			leaves[(*n)++] = (struct leaf){at, (size_t)(inner - base), size};
		} else if (*n < LEAVES_MAX &&
			   (BSON_ITER_HOLDS_DOUBLE(&each) || BSON_ITER_HOLDS_INT64(&each))) {
			leaves[(*n)++] = (struct leaf){at, value, 8};
		} else if (*n < LEAVES_MAX && BSON_ITER_HOLDS_INT32(&each)) {
			leaves[(*n)++] = (struct leaf){at, value, 4};
		}
	}
}

static void spoil(uint8_t *bytes, const struct leaf *leaf)
{
	static const double numbers[] = {NAN,    INFINITY, -INFINITY, 1e308,        -1,      0,
					 1e-300, -1e12,    1e9,       4294967296.0, 1000000, -65536};
	static const int32_t words[] = {-1, INT32_MAX, INT32_MIN, 0, 65536};
	const double number = numbers[next_random() % 12];
	const int32_t word = words[next_random() % 5];

	if (leaf->size == 4) {
		memcpy(bytes + leaf->value, &word, sizeof(word));
	} else if (leaf->size == 8 && next_random() % 8 == 0) {
		bytes[leaf->at] = bytes[leaf->at] == 0x12 ? 0x01 : 0x12;
	} else if (leaf->size >= 8 && next_random() % 4) {
		size_t at = leaf->value + next_random() % (leaf->size / 8) * 8;

		memcpy(bytes + at, &number, sizeof(number));
	} else {
		for (size_t i = 0; i + 8 <= leaf->size; i += 8)
			memcpy(bytes + leaf->value + i, &number, sizeof(number));
	}
}

static void one_state(const struct batch *good, const struct leaf *leaves, unsigned n_leaves,
		      unsigned from_seed)
{
	struct machine *machine = machine_new(&config, "n1", "sensorn1");
	struct batch bad = {0};
	struct reason why = {""};
	uint64_t degraded;
	int r;

	random_state = from_seed;
	assert_int_equal(batch_append(&bad, good->data, good->length), 0);
	for (unsigned i = 0, n = 1 + next_random() % 4; i < n; i++)
		spoil(bad.data, &leaves[next_random() % n_leaves]);
	r = state_load(machine, &bad, 0, &why);
	assert_true(r == 1 || why.text[0]);
	/* The position may be damaged, too; it is not tested here. */
	join_set_position(machine->join, INT64_MIN);
	run_ticks(machine, 1000, 1000 + HEAL, from_seed);
	degraded = machine->n.degraded;
	run_ticks(machine, 1000 + HEAL, 1040 + HEAL, from_seed);
	if (machine->n.degraded != degraded)
		fail_msg("%s, seed %u: divided by CPU time for good (%s)", config.ops->name, from_seed,
			 why.text);
	machine->out.length = 0;
	batch_done(&bad);
	machine_free(machine);
}

static void spoilt_states(const char *formula)
{
	struct leaf *leaves = calloc(LEAVES_MAX, sizeof(*leaves));
	struct machine *machine;
	struct batch good = {0};
	const unsigned drawn = random_begin();
	unsigned n_leaves = 0;

	assert_non_null(leaves);
	memset(&config, 0, sizeof(config));
	formula_config_init(&config.formula);
	config.ops = formula_find(formula);
	config.grace_ms = 2000;
	config.expire_ms = 300000;
	machine = machine_new(&config, "n1", "sensorn1");
	run_ticks(machine, 0, LEARN, 0);
	assert_int_equal(state_add(&good, machine, 1), 0);
	machine_free(machine);
	find_leaves(good.data, good.data, good.length, leaves, &n_leaves);
	print_message("# %s: %u values in %zu bytes\n", formula, n_leaves, good.length);
	assert_true(n_leaves > 3);
	for (unsigned i = 0; i < 60; i++)
		one_state(&good, leaves, n_leaves, drawn + i);
	batch_done(&good);
	free(leaves);
}

static void pooled(void **state)
{
	(void)state;
	spoilt_states("pooled");
}

static void smartwatts(void **state)
{
	(void)state;
	spoilt_states("smartwatts");
}

static void share(void **state)
{
	(void)state;
	spoilt_states("share");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pooled),
		cmocka_unit_test(smartwatts),
		cmocka_unit_test(share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
