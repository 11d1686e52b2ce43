/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watts of a calibration's phases, from the power reports of its private store: any numbers of sockets, and
 * none but those of whole ticks.
 */
#include "calibrate/calibrate_result.h"
#include "document/collections.h"
#include "document/report_bson.h"
#include "store/store.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PHASE_MS 10000

/* One tick a second: the machine has 10 W, in each phase one more, on each socket; the loads share a half. */
static void add_tick(struct batch *batch, int64_t time_ms, const char *const *sockets)
{
	static const char *const targets[] = {REPORT_TARGET_RAPL, "a", "b"};

	for (unsigned t = 0; t < 3; t++) {
		for (unsigned i = 0; sockets[i]; i++) {
			double watts = 10 + (double)((time_ms - 1) / PHASE_MS);
			const struct report_power power = {.time_ms = time_ms,
							   .sensor = "run",
							   .target = targets[t],
							   .socket = sockets[i],
							   .scope = REPORT_SCOPE_CPU,
							   .formula = "pooled",
							   .power = t ? watts / 4 : watts,
							   .dynamic = NAN,
							   .fixed = NAN,
							   .energy_j = t ? watts / 4 : watts,
							   .interval_s = 1,
							   .error = NAN,
							   .sd = NAN};

			assert_int_equal(report_bson_add_power(batch, &power), 0);
		}
	}
}

static void any_sockets(void **state)
{
	static const char *const machines[][3] = {{"0"}, {"1"}, {"36"}, {"0", "1"}, {"3", "8"}};
	char folder[] = "/tmp/wattribute-test.XXXXXX", uri[100], file[80], collection[COLLECTION_SIZE];
	struct store_options options = {.flags = STORE_WRITE};
	struct reason why = {""};

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(file, sizeof(file), "%s/a.db", folder);
	(void)snprintf(uri, sizeof(uri), "sqlite:%s", file);
	for (unsigned m = 0; m < sizeof(machines) / sizeof(machines[0]); m++) {
		struct calibrate_result *result = calloc(1, sizeof(*result));
		const double n_sockets = machines[m][1] ? 2 : 1;
		struct batch batch = {0};
		struct store *store;

		assert_non_null(result);
		result->settle_ms = 1000;
		(void)snprintf(result->targets[CALIBRATE_KIND_A], sizeof(result->targets[0]), "a");
		(void)snprintf(result->targets[CALIBRATE_KIND_B], sizeof(result->targets[0]), "b");
		for (int i = 0; i < CALIBRATE_PHASES; i++) {
			result->begin_ms[i] = i * PHASE_MS;
			result->end_ms[i] = (i + 1) * PHASE_MS;
		}
		for (int64_t time_ms = 1000; time_ms <= CALIBRATE_PHASES * PHASE_MS; time_ms += 1000)
			add_tick(&batch, time_ms, machines[m]);
		assert_int_equal(store_open(uri, &options, &store, &why), 0);
		assert_int_equal(
			store_append(store, collection_compose(COLLECTION_POWER, "run", collection), &batch),
			STORE_OK);
		store_close(store);
		/* Nine ticks of the last phase begin after it has settled. */
		assert_int_equal(calibrate_result_count(result, CALIBRATE_PHASES - 1, uri, "run", &why), 9);
		if (calibrate_result_read(result, uri, "run", &why) < 0)
			fail_msg("machine %u: %s", m, why.text);
		for (unsigned i = 0; i < CALIBRATE_PHASES; i++) {
			const struct calibrate_seen *seen = &result->seen[REPORT_SCOPE_CPU][i];

			assert_true(fabs(seen->seconds - 9) < 1e-9);
			assert_true(fabs(calibrate_machine_w(seen) - n_sockets * (10 + i)) < 1e-9);
		}
		assert_true(result->judged[REPORT_SCOPE_CPU]);
		assert_false(result->judged[REPORT_SCOPE_DRAM]);
		batch_done(&batch);
		free(result);
		(void)unlink(file);
	}
	(void)rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
