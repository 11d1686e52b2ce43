/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The messages of the process `gpu` and what `collect` makes of them: malformed messages, stretches that
 * cross the end of a tick, cgroups below a target's own, energy that was not read. Whatever the stretches,
 * the ticks contain all of their energy and work.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "collect/collect_gpu.h"
#include "gpu/gpu_message.h"
#include "process/ipc.h"
#include "unit/random_seed.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

static struct {
	int peer;
	struct collect_gpu *gpu;
	struct system_source *source;
	struct batch payload;
	struct gpu_sample sample;
} fixture;

static uint64_t clock_ns;

static uint64_t read_clock(void *data)
{
	(void)data;
	return clock_ns;
}

static int64_t read_time(void *data)
{
	(void)data;
	return (int64_t)(clock_ns / MS);
}

static const struct clock_source fake_clock = {read_clock, read_time, NULL};

static unsigned find(void *data, const char *cgroup)
{
	(void)data;
	return strcmp(cgroup, "/docker/a") == 0 ? 3 : strcmp(cgroup, "/docker/b") == 0 ? 5 : 0;
}

static void hello(unsigned n, const char *text)
{
	batch_clear(&fixture.payload);
	assert_int_equal(ipc_put_u64(&fixture.payload, n), 0);
	assert_int_equal(ipc_put_string(&fixture.payload, text), 0);
	assert_int_equal(ipc_send(fixture.peer, GPU_MESSAGE_HELLO, 0, fixture.payload.data,
				  fixture.payload.length, NULL, 0),
			 0);
}

static void send_sample(void)
{
	assert_int_equal(gpu_message_put(&fixture.payload, &fixture.sample), 0);
	assert_int_equal(ipc_send(fixture.peer, GPU_MESSAGE_SAMPLE, 0, fixture.payload.data,
				  fixture.payload.length, NULL, 0),
			 0);
}

static int open_with(unsigned n, const char *text, struct reason *why)
{
	int pair[2];

	assert_int_equal(ipc_pair(pair), 0);
	fixture.peer = pair[1];
	hello(n, text);
	return collect_gpu_open(pair[0], find, NULL, &fixture.gpu, why);
}

static int set_up(void **state)
{
	struct reason why = {""};

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	clock_ns = 1000000 * MS;
	clock_replace(&fake_clock);
	assert_int_equal(open_with(2, "", &why), 0);
	fixture.source = collect_gpu_source(fixture.gpu);
	assert_int_equal(fixture.source->ops->read(fixture.source, 0), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	collect_gpu_close(fixture.gpu);
	(void)close(fixture.peer);
	batch_done(&fixture.payload);
	clock_replace(NULL);
	return 0;
}

/* A stretch that ends now: joules of GPU 0 and 1, work of a on GPU 0 and of b on GPU 1. */
static void stretch(uint64_t length_ns, double first_j, double second_j, uint64_t a_ns, uint64_t b_ns)
{
	fixture.sample = (struct gpu_sample){
		.from_ns = clock_ns - length_ns, .to_ns = clock_ns, .n_gpus = 2, .n_works = 2};
	fixture.sample.energy_j[0] = first_j;
	fixture.sample.energy_j[1] = second_j;
	fixture.sample.works[0] =
		(struct gpu_work){.gpu = 0, .time_ns = a_ns, .cgroup = "/docker/a/deep/er", .cgroup_v1 = ""};
	fixture.sample.works[1] = (struct gpu_work){
		.gpu = 1, .time_ns = b_ns, .cgroup = "/elsewhere", .cgroup_v1 = "/docker/b"};
	send_sample();
}

static double joules(unsigned gpu)
{
	const uint64_t value = fixture.source->values[2 * gpu];

	return value == REPORT_COUNT_MISSING ? NAN : ldexp((double)value, REPORT_RAPL_EXPONENT);
}

static uint64_t work_of(unsigned slot, unsigned gpu)
{
	const struct target_counts *targets = collect_gpu_targets(fixture.gpu);

	for (unsigned i = 0; i < targets->n; i++)
		if (targets->slots[i] == slot)
			return targets->values[i * targets->group.n_places + gpu];
	return 0;
}

static void tick(uint64_t length_ns)
{
	assert_int_equal(fixture.source->ops->read(fixture.source, length_ns), 0);
}

static void test_stretches(void **state)
{
	(void)state;
	tick(1000 * MS);
	assert_true(isnan(joules(0))); /* nothing received yet */
	for (unsigned i = 0; i < 8; i++) {
		clock_ns += 250 * MS;
		stretch(250 * MS, 50, 25, 100 * MS, 200 * MS);
		if (i % 4 == 3)
			tick(1000 * MS);
	}
	/* Half a second late, but complete: four stretches of 50 J. */
	assert_true(fabs(joules(0) - 200) < 1e-6 && fabs(joules(1) - 100) < 1e-6);
	assert_int_equal(work_of(3, 0), 400 * MS);
	assert_int_equal(work_of(5, 1), 800 * MS);
	assert_int_equal(work_of(3, 1), 0);
	assert_int_equal(fixture.source->values[1], 400 * MS);
	/* A stretch that crosses the end of the tick is divided. */
	clock_ns += 1000 * MS;
	stretch(1000 * MS, 400, 0, 1000 * MS, 0);
	tick(1000 * MS);
	assert_true(fabs(joules(0) - (2 * 50 + 400 * 0.5)) < 1e-6);
}

static void test_not_read(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		clock_ns += 250 * MS;
		stretch(250 * MS, i == 5 ? NAN : 50, 25, 0, 0);
		if (i % 4 == 3)
			tick(1000 * MS);
		if (i == 7)
			assert_true(isnan(joules(0)) && fabs(joules(1) - 100) < 1e-6);
	}
	assert_true(fabs(joules(0) - 200) < 1e-6);
	assert_true(fixture.source->read_failures > 0);
	/* The process exits: no values are known, and none are made up. */
	(void)close(fixture.peer);
	for (unsigned i = 0; i < 3; i++) {
		clock_ns += 1000 * MS;
		tick(1000 * MS);
	}
	assert_true(isnan(joules(0)) && isnan(joules(1)));
}

static void test_all_of_it(void **state)
{
	double sent_j = 0, got_j = 0, sent_ns = 0, got_ns = 0;

	(void)state;
	srand(random_begin());
	clock_ns += 100 * MS;
	stretch(200 * MS, 1, 1, 0, 0);
	clock_ns += 600 * MS;
	stretch(600 * MS, 1, 1, 0, 0);
	tick(700 * MS);
	for (unsigned i = 0; i < 5000; i++) {
		const uint64_t length_ns = (uint64_t)(rand() % 600 + 1) * MS;
		const double energy_j = rand() % 100;
		const uint64_t work_ns = (uint64_t)(rand() % 600) * MS;

		clock_ns += length_ns;
		stretch(length_ns, energy_j, 1, work_ns, 0);
		sent_j += energy_j;
		sent_ns += (double)work_ns;
		if (rand() % 3)
			continue;
		tick(100 * MS);
		got_j += isnan(joules(0)) ? 0 : joules(0);
		got_ns += (double)work_of(3, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		clock_ns += 500 * MS;
		tick(500 * MS);
		got_j += isnan(joules(0)) ? 0 : joules(0);
		got_ns += (double)work_of(3, 0);
	}
	assert_true(fabs(got_j - sent_j) < 2); /* half a second of the first stretches is not counted */
	assert_true(fabs(got_ns - sent_ns) < 1e-6 * sent_ns + 1e4);
}

static void test_nonsense(void **state)
{
	struct gpu_sample *sample = calloc(1, sizeof(*sample));
	struct batch copy = {0};

	(void)state;
	clock_ns += 250 * MS;
	stretch(250 * MS, 50, 25, 1, 1);
	assert_int_equal(gpu_message_put(&copy, &fixture.sample), 0);
	assert_int_equal(gpu_message_get(copy.data, copy.length, sample), 0);
	assert_true(fabs(sample->energy_j[0] - 50) < 1e-6);
	assert_string_equal(sample->works[1].cgroup_v1, "/docker/b");
	for (size_t length = 0; length < copy.length; length++)
		assert_int_equal(gpu_message_get(copy.data, length, sample), -EBADMSG);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *bytes = malloc(copy.length);

		memcpy(bytes, copy.data, copy.length);
		for (unsigned k = 0; k < 3; k++)
			bytes[(size_t)rand() % copy.length] = (uint8_t)rand();
		(void)gpu_message_get(bytes, copy.length, sample);
		free(bytes);
	}
	batch_done(&copy);
	free(sample);
}

static void test_no_gpu(void **state)
{
	struct reason why = {""};

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	assert_int_equal(open_with(0, "the driver reports no GPU", &why), -ENODEV);
	assert_string_equal(why.text, "the driver reports no GPU");
	(void)close(fixture.peer);
	assert_int_equal(open_with(1000, "", &why), -EBADMSG);
	(void)close(fixture.peer);
	batch_done(&fixture.payload);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stretches, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_of_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nonsense, set_up, tear_down),
		cmocka_unit_test(test_no_gpu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
