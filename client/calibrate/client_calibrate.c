/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `wattribute calibrate`: learns priors for this machine from known loads. This file has the options, the
 * order of the steps and the output; calibrate_*.c implement the steps, with the daemons and cgroups of
 * `wattribute run`.
 */
#include "client.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/machine_name.h"
#include "base/reason.h"
#include "calibrate/calibrate_load.h"
#include "calibrate/calibrate_result.h"
#include "fetch.h"
#include "run/run_command.h"
#include "run/run_daemons.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POLL_MS           50
#define LOOK_MS           2000  /* how long to check whether the machine is busy */
#define TICKS_LEAST       4     /* of a phase */
#define EXTRA_MS          60000 /* longest extension of a phase until it has these, and ... */
#define EXTRA_INTERVALS   10    /* ... in intervals */
#define SOURCE_TIMEOUT_MS 30000
#define STORE_MS          60000 /* how long to try again if the store is away at the end */
#define STORE_POLL_MS     1000

struct calibrate_options {
	char *store;
	char *database;
	char *name;
	char *sensor_config;
	char *commands[CALIBRATE_KINDS];
	uint64_t duration_ms;
	uint64_t interval_ms;
	double busy_limit;
	bool dry_run;
	bool verbose;
};

static int finish(void *target, const struct config *config, struct reason *why)
{
	struct calibrate_options *options = target;
	char name[MACHINE_NAME_SIZE];

	(void)config;
	if (options->duration_ms < TICKS_LEAST * CALIBRATE_PHASES * options->interval_ms)
		return reason_set(why, -EINVAL,
				  "--duration must be at least %d times --interval: %d phases of %d readings",
				  TICKS_LEAST * CALIBRATE_PHASES, CALIBRATE_PHASES, TICKS_LEAST);
	if (!options->name)
		options->name = strdup(machine_name_default(name, sizeof(name)));
	if (!options->store)
		options->store = client_default_store();
	return options->name && options->store ? 0 : reason_set(why, -ENOMEM, "out of memory");
}

#define OPTION(name, member, ...) CONFIG_OPTION(struct calibrate_options, name, member, __VA_ARGS__)

static const struct config_row rows[] = {
	OPTION("store", store, CLIENT_ROW_STORE,
	       .help = "store for the calibration, the server's --output; default: the SQLite file in the "
		       "state "
		       "folder"),
	OPTION("database", database, CLIENT_ROW_DATABASE,
	       .help = "database of that store; default: the one in the URI, else rapls2"),
	OPTION("name", name, .letter = 'n', .flags = CONFIG_NO_ENV, .placeholder = "NAME",
	       .help = "this machine's name, the sensor's --name; default: the host name without its domain"),
	OPTION("duration", duration_ms, .letter = 't', .flags = CONFIG_NO_ENV, .fallback = "3m", .min = 1000,
	       .max = 24 * 3600 * 1000.,
	       .help = "total time of all phases; a phase without enough readings lasts longer"),
	OPTION("interval", interval_ms, .letter = 'i', .flags = CONFIG_BARE, .fallback = "1s", .min = 10,
	       .max = 60000, .help = "time between two readings"),
	OPTION("busy-limit", busy_limit, .flags = CONFIG_NO_ENV, .placeholder = "PERCENT", .fallback = "5",
	       .max = 100,
	       .help = "refuse if other programs use more than this share of the machine's CPU time"),
	OPTION("dry-run", dry_run, .flags = CONFIG_NO_ENV, .help = "measure and print, but store nothing"),
	OPTION("integer", commands[CALIBRATE_INTEGER], .flags = CONFIG_NO_ENV, .placeholder = "COMMAND",
	       .help = "shell command for each thread of the integer load, instead of the built-in one"),
	OPTION("vector", commands[CALIBRATE_VECTOR], .flags = CONFIG_NO_ENV, .placeholder = "COMMAND",
	       .help = "shell command for each thread of the vector load, instead of the built-in one"),
	OPTION("memory", commands[CALIBRATE_MEMORY], .flags = CONFIG_NO_ENV, .placeholder = "COMMAND",
	       .help = "shell command for each thread of the memory load, instead of the built-in one"),
	OPTION("sensor-config", sensor_config, CLIENT_ROW_SENSOR_CONFIG,
	       .help = "configuration file for the sensor; use that of the machine's own sensor"),
	OPTION("verbose", verbose, CLIENT_ROW_VERBOSE),
};

static const struct config_spec spec = {
	.program = "wattribute calibrate",
	.about = "Runs known loads on this machine for three minutes: idle; integer, vector and memory-bound "
		 "work on one, half and all threads; then two of them alone and together. The model fitted "
		 "to them is the starting point of the server's model of this machine. Prints how far the "
		 "shares of two loads are from the power that each of them adds. Needs an idle machine and "
		 "the sensor's privileges.",
	.rows = rows,
	.n_rows = ARRAY_SIZE(rows),
	.target_size = sizeof(struct calibrate_options),
	.finish = finish,
	.display_uri = store_uri_display,
};

struct calibration {
	const struct calibrate_options *options;
	struct calibrate_phase phases[CALIBRATE_PHASES];
	struct calibrate_loads loads;
	struct calibrate_result result;
	struct run_daemons daemons;
	char store[PATH_MAX];            /* store of the daemons */
	double others[CALIBRATE_PHASES]; /* other programs, in % of the machine's CPU time */
};

/* CLIENT_GO_ON, or the exit status if a signal ends the program. */
static int wait_ms(uint64_t length_ms)
{
	uint64_t end_ns = clock_monotonic_ns() + length_ms * CLOCK_NS_PER_MS;

	while (clock_monotonic_ns() < end_ns) {
		uint64_t left_ms = (end_ns - clock_monotonic_ns()) / CLOCK_NS_PER_MS + 1;
		int number = run_signal_pending(left_ms < POLL_MS ? (unsigned)left_ms : POLL_MS);

		if (number > 0)
			return CLIENT_EXIT_SIGNAL + number;
	}
	return CLIENT_GO_ON;
}

static double percent(double used_s, uint64_t begin_ns)
{
	double seconds = (double)(clock_monotonic_ns() - begin_ns) / (double)CLOCK_NS_PER_S;

	return fmin(100 * fmax(used_s, 0) / (seconds * calibrate_machine_cpus()), 100);
}

static int refuse_busy(const struct calibration *c, double others, const char *when)
{
	return client_fail(CLIENT_EXIT_FAILURE,
			   "the machine is busy: other programs used %.1f %% of its CPU time %s, and at most "
			   "%g %% is allowed; nothing was stored. Stop them ('top' lists them) or raise "
			   "--busy-limit, which makes the result less accurate",
			   others, when, c->options->busy_limit);
}

static int check_idle(const struct calibration *c)
{
	uint64_t begin_ns = clock_monotonic_ns();
	double begin_s = calibrate_busy_s(), used;
	int status = wait_ms(LOOK_MS);

	used = percent(calibrate_busy_s() - begin_s, begin_ns);
	if (status == CLIENT_GO_ON && used > c->options->busy_limit)
		return refuse_busy(c, used, "over 2 s");
	return status;
}

static struct calibrate_place place_of(const struct calibration *c)
{
	return (struct calibrate_place){.from = c->store,
					.machine = RUN_SENSOR_NAME,
					.to = c->options->store,
					.database = c->options->database,
					.name = c->options->name,
					.now_ms = clock_realtime_ms()};
}

/* A store that does not answer is found before the loads run, not after. */
static int check_store(const struct calibration *c)
{
	const struct calibrate_place place = place_of(c);
	struct reason why = {""};

	if (!c->options->dry_run && calibrate_result_try(&place, &why) < 0)
		return client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	return CLIENT_GO_ON;
}

static int prepare(struct calibration *c)
{
	const struct run_daemons_settings settings = {.sensor_config = c->options->sensor_config,
						      .formula = "pooled",
						      .interval_ms = c->options->interval_ms,
						      .verbose = c->options->verbose};
	struct reason why = {""};
	int status = check_store(c);

	if (status == CLIENT_GO_ON && calibrate_loads_make(&c->loads, &why) < 0)
		status = client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	if (status == CLIENT_GO_ON)
		status = check_idle(c);
	if (status == CLIENT_GO_ON && run_daemons_start(&settings, &c->daemons, &why) < 0)
		status = client_fail(CLIENT_EXIT_FAILURE, "%s", why.text);
	if (status != CLIENT_GO_ON)
		return status;
	run_daemons_store(&c->daemons, c->store, sizeof(c->store));
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		(void)snprintf(c->result.targets[kind], sizeof(c->result.targets[kind]), "%s",
			       c->loads.cgroups[kind].name);
	return run_daemons_wait(&c->daemons, RUN_READY_TIMEOUT_MS + c->options->interval_ms,
				CLIENT_EXIT_FAILURE);
}

/*
 * On a slow machine, or with slow counters, a phase may end without enough readings: it is extended until the
 * server has stored them.
 */
static int wait_readings(struct calibration *c, unsigned i)
{
	const uint64_t limit_ms = EXTRA_MS + EXTRA_INTERVALS * c->options->interval_ms;
	uint64_t end_ns = clock_monotonic_ns() + limit_ms * CLOCK_NS_PER_MS;
	struct reason why = {""};
	char trouble[RUN_TROUBLE_SIZE];
	int n = 0;

	do {
		int status;

		if (run_daemons_alive(&c->daemons, &why) < 0 ||
		    (n = calibrate_result_count(&c->result, i, c->store, RUN_SENSOR_NAME, &why)) < 0)
			return client_fail(CLIENT_EXIT_FAILURE, "%s; nothing was stored", why.text);
		if (n >= TICKS_LEAST)
			return CLIENT_GO_ON;
		status = wait_ms(POLL_MS);
		if (status != CLIENT_GO_ON)
			return status;
	} while (clock_monotonic_ns() < end_ns);
	(void)run_daemons_trouble(&c->daemons, trouble);
	return client_fail(CLIENT_EXIT_FAILURE,
			   "the phase '%s' has %d of %d readings of the machine's energy %" PRIu64
			   " s after its end%s; nothing was stored. %s--verbose shows the log of sensor and "
			   "server",
			   c->phases[i].title, n, TICKS_LEAST, limit_ms / 1000, trouble,
			   *trouble ? "" : "Use a longer --interval; ");
}

/* Without its load, a phase would teach the machine's idle power as that of the load. */
static int check_loads(const struct calibration *c, unsigned i)
{
	struct reason why = {""};

	if (calibrate_loads_alive(&c->loads, &why) == 0)
		return CLIENT_GO_ON;
	return client_fail(
		CLIENT_EXIT_FAILURE,
		"a load of the phase '%s' ended before the phase did, %s; nothing was stored. Is there "
		"enough memory? A command has to run for longer than a phase",
		c->phases[i].title, why.text);
}

static int run_phase(struct calibration *c, unsigned i)
{
	uint64_t begin_ns = clock_monotonic_ns();
	double busy_s = calibrate_busy_s(), used_s;
	char when[80];
	int status, r;

	fprintf(stderr, "%2u/%d %s\n", i + 1, CALIBRATE_PHASES, c->phases[i].title);
	c->result.begin_ms[i] = clock_realtime_ms();
	r = calibrate_loads_start(&c->loads, &c->phases[i]);
	status = r < 0 ? client_fail(CLIENT_EXIT_FAILURE, "cannot start a process: %s", strerror(-r))
		       : wait_ms(c->options->duration_ms / CALIBRATE_PHASES);
	if (status == CLIENT_GO_ON)
		status = wait_readings(c, i);
	if (status == CLIENT_GO_ON)
		status = check_loads(c, i);
	c->result.end_ms[i] = clock_realtime_ms();
	used_s = calibrate_loads_end(&c->loads);
	c->others[i] = percent(calibrate_busy_s() - busy_s - used_s, begin_ns);
	if (status != CLIENT_GO_ON || !(c->others[i] > c->options->busy_limit))
		return status;
	(void)snprintf(when, sizeof(when), "in the phase '%.60s'", c->phases[i].title);
	return refuse_busy(c, c->others[i], when);
}

static void note_source(struct calibration *c)
{
	char *url = fetch_make_url(c->daemons.server_url, "/api/latest"), *token = client_token();
	json_t *answer = NULL;
	const char *source = NULL;
	struct reason why;

	if (url && fetch_json(url, token, false, SOURCE_TIMEOUT_MS, &answer, &why) == 0)
		source = json_string_value(json_object_get(
			json_array_get(json_object_get(answer, "sensors"), 0), "energy_source"));
	(void)snprintf(c->result.energy_source, sizeof(c->result.energy_source), "%s", source ? source : "");
	json_decref(answer);
	free(token);
	free(url);
}

static void print_load(const char *letter, enum calibrate_kind kind, const struct calibrate_watts *watts)
{
	printf("%s %-10s%10.2f%10.2f%10.2f%14.2f\n", letter, calibrate_kind_names[kind], watts->alone,
	       watts->beside, watts->fair, watts->attributed);
}

static void print_scope(const struct calibration *c, enum report_scope scope)
{
	const struct calibrate_error *error = &c->result.errors[scope];

	printf("\n%s, W\n%-34s%10s\n", report_scope_names[scope], "phase", "machine");
	for (unsigned i = 0; i < CALIBRATE_PHASES; i++)
		printf("%-34s%10.2f\n", c->phases[i].title, calibrate_machine_w(&c->result.seen[scope][i]));
	printf("\n%-12s%10s%10s%10s%14s\n", "adds", "alone", "beside", "mean", "attributed");
	print_load("A", CALIBRATE_KIND_A, &error->a);
	print_load("B", CALIBRATE_KIND_B, &error->b);
	if (isfinite(error->percent))
		printf("attribution error of this machine, %s: %.1f %% of the %.2f W that A and B add\n",
		       report_scope_names[scope], error->percent, error->adds);
	else
		printf("attribution error of this machine, %s: unknown, as %s\n", report_scope_names[scope],
		       c->result.n_cpus == 1 ? "A and B take turns on the only CPU" : "A and B add nothing");
}

static void print_result(const struct calibration *c)
{
	printf("energy source: %s%s\n", c->result.energy_source,
	       c->result.estimated ? " (an estimate, not measured)" : "");
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++)
		if (c->result.judged[scope])
			print_scope(c, scope);
	if (c->result.estimated)
		puts("note: the energy comes from a model. The error shows how well the shares follow that "
		     "model, but nothing about watts; a calibration with an energy counter would replace "
		     "this one.");
	if (c->result.n_cpus < calibrate_machine_cpus())
		printf("note: this process may use %u of the machine's %u CPUs; more were not loaded\n",
		       c->result.n_cpus, calibrate_machine_cpus());
}

/* The work of minutes is not lost because the store is away for a while. */
static int keep(const struct calibration *c, const struct calibrate_place *place,
		const struct batch *document)
{
	uint64_t end_ns = clock_monotonic_ns() + STORE_MS * CLOCK_NS_PER_MS;
	char display[PATH_MAX];
	struct reason why = {""};
	int status = CLIENT_GO_ON;

	for (bool told = false; calibrate_result_put(place, document, &why) < 0; told = true) {
		if (clock_monotonic_ns() >= end_ns)
			return client_fail(CLIENT_EXIT_FAILURE, "%s; nothing was stored", why.text);
		if (!told)
			(void)client_fail(0, "%s; trying again for %d s", why.text, STORE_MS / 1000);
		status = wait_ms(STORE_POLL_MS);
		if (status != CLIENT_GO_ON)
			return status;
	}
	printf("stored in %s as the calibration of '%s'; a running server uses it after its next start\n",
	       store_uri_display(c->options->store, display, sizeof(display)), c->options->name);
	return CLIENT_EXIT_OK;
}

static int conclude(struct calibration *c)
{
	const struct calibrate_place place = place_of(c);
	struct reason why = {"out of memory"};
	struct batch document = {0};
	int status = CLIENT_EXIT_OK;
	int r = run_daemons_end(&c->daemons, &why);

	if (r > 0) /* each phase has its readings nevertheless */
		(void)client_fail(0, "warning: %s", why.text);
	if (r < 0 || calibrate_result_read(&c->result, c->store, RUN_SENSOR_NAME, &why) < 0 ||
	    calibrate_result_take(&c->result, &place, &document, &why) < 0) {
		status = client_fail(CLIENT_EXIT_FAILURE, "%s; nothing was stored", why.text);
	} else {
		print_result(c);
		(void)fflush(stdout);
		if (!c->options->dry_run && !calibrate_any_adds(c->result.seen[REPORT_SCOPE_CPU]))
			status = client_fail(
				CLIENT_EXIT_FAILURE,
				"no load raised the machine's power: there is nothing to learn, and "
				"nothing was stored. Is the energy counter alive ('wattribute check'), "
				"and the machine idle?");
		else if (!c->options->dry_run)
			status = keep(c, &place, &document);
	}
	batch_done(&document);
	return status;
}

static int calibrate(struct calibration *c)
{
	int status = prepare(c);
	char name[32];

	for (unsigned i = 0; i < CALIBRATE_PHASES && status == CLIENT_GO_ON; i++)
		status = run_phase(c, i);
	if (status == CLIENT_GO_ON) {
		note_source(c);
		status = wait_ms(c->options->interval_ms + 1000);
	}
	if (status == CLIENT_GO_ON)
		status = conclude(c);
	if (status > CLIENT_EXIT_SIGNAL)
		(void)client_fail(0, "ended by %s; nothing was stored",
				  run_signal_name(status - CLIENT_EXIT_SIGNAL, name));
	return status;
}

static int run(void *data, char *argv[])
{
	const struct calibrate_options *options = data;
	cleanup_(cleanup_free) struct calibration *c = calloc(1, sizeof(*c));
	int status;

	(void)argv;
	if (!c)
		return client_fail(CLIENT_EXIT_FAILURE, "out of memory");
	c->options = options;
	c->result.settle_ms = (int64_t)options->interval_ms;
	memcpy(c->loads.commands, options->commands, sizeof(c->loads.commands));
	c->result.n_cpus = calibrate_cpus();
	calibrate_plan(c->result.n_cpus, c->phases);
	run_signals_block();
	status = calibrate(c);
	calibrate_loads_remove(&c->loads);
	run_daemons_stop(&c->daemons);
	return status;
}

int client_calibrate_main(int argc, char *argv[])
{
	struct calibrate_options options;

	return client_main(&spec, &options, argc, argv, run);
}
