/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sensor on a simulated machine: containers are added to the target table, the clock is the simulation's,
 * and the next tick follows as soon as the writer has accepted the last one. The true values are written to a
 * separate file.
 */
#include "sim/sensor/sensor_sim.h"
#include "base/array.h"

#include "collect/collect.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "sim/sensor/source_sim.h"
#include "sim/sim.h"
#include "base/text.h"
#include "base/reason.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define SIM_BACKLOG_MAX   (4u << 20) /* bytes of backlog at which the simulation waits for the writer */
#define SIM_TICKS_AT_ONCE 32

struct sensor_sim {
	struct sim *sim;
	struct source_machine machine;
	ev_idle idle;
	struct clock_source clock;
	FILE *truth;
	struct batch truths;
	unsigned *generations; /* [slots]: generation known to the table; 0: none */
	char (*ids)[65];       /* [slots]: container ids that the table knows */
	unsigned n_slots;
};

static struct sensor_sim state; /* one simulation per process: the clock is global, too */

static uint64_t simulated_ns(void *data)
{
	const struct sensor_sim *sim = data;

	return sim_monotonic_ns(sim->sim);
}

static int64_t simulated_ms(void *data)
{
	const struct sensor_sim *sim = data;

	return sim_time_ms(sim->sim);
}

/* "key=value" after the scenario's name. */
static int take_option(struct sim_options *options, const char **truth, char *option)
{
	char *value = strchr(option, '=');
	uint64_t number = 0;
	int r = 0;

	if (!value)
		return log_error("sim", -EINVAL, "--sim: '%s' is not KEY=VALUE", option);
	*value++ = '\0';
	if (strcmp(option, "truth") == 0)
		*truth = value;
	else
		r = text_parse_u64(value, &number);
	if (r == 0 && strcmp(option, "seed") == 0)
		options->seed = number;
	else if (r == 0 && strcmp(option, "law") == 0)
		options->law = (unsigned)number;
	else if (r == 0 && strcmp(option, "ticks") == 0)
		options->ticks = number;
	else if (strcmp(option, "truth") != 0)
		return log_error("sim", -EINVAL, "--sim: '%s=%s' is not seed=N, law=N, ticks=N or truth=FILE",
				 option, value);
	return 0;
}

static void fill_topology(const struct sim *sim, struct topology *topology)
{
	const unsigned n_cpus = sim_shape(sim)->cpus, n_sockets = sim_shape(sim)->sockets;

	topology_done(topology);
	*topology = (struct topology){
		.n_cpus = n_cpus, .n_packages = n_sockets, .base_frequency_mhz = sim_shape(sim)->base_mhz};
	topology->cpus = calloc(n_cpus, sizeof(*topology->cpus));
	topology->packages = calloc(n_sockets, sizeof(*topology->packages));
	(void)snprintf(topology->model_name, sizeof(topology->model_name), "simulated machine");
	if (!topology->cpus || !topology->packages)
		return;
	for (unsigned s = 0; s < n_sockets; s++)
		topology->packages[s] = (struct topology_package){
			.id = s, .first_cpu = n_cpus, .n_cores = sim_shape(sim)->cores, .n_dies = 1};
	for (unsigned c = 0; c < n_cpus; c++) {
		struct topology_package *package = &topology->packages[sim_cpu_socket(sim, c)];

		topology->cpus[c] = (struct topology_cpu){
			.id = c, .package = package->id, .core = c % sim_shape(sim)->cores};
		package->first_cpu = c < package->first_cpu ? c : package->first_cpu;
		package->n_cpus++;
	}
}

/* Docker's file of a simulated container, with the fields for names. */
static int open_simulated_file(void *data, enum container_file kind, const char *id, const char *extra)
{
	const struct sensor_sim *sim = data;

	(void)extra;
	for (unsigned s = 1; kind == CONTAINER_FILE_DOCKER && s < sim_slots(sim->sim); s++) {
		char text[512];
		int fd, n;

		if (strcmp(sim_container_id(sim->sim, s), id) != 0)
			continue;
		fd = memfd_create("container", MFD_CLOEXEC);
		n = snprintf(text, sizeof(text),
			     "{\"ID\":\"%s\",\"Name\":\"/%s\",\"Config\":{\"Image\":\"%s\"}}", id,
			     sim_name(sim->sim, s), sim_kind(sim->sim, s));
		if (fd >= 0 && (write(fd, text, (size_t)n) != n || lseek(fd, 0, SEEK_SET) != 0)) {
			(void)close(fd);
			return -EIO;
		}
		return fd < 0 ? -errno : fd;
	}
	return -ENOENT;
}

static int open_machine(struct collect *collect)
{
	char *words = strdup(collect->config->sim), *rest = words, *word;
	struct sim_options options = {.seed = 1};
	const char *truth = NULL;
	struct reason why = {""};
	int r = words ? 0 : -ENOMEM;

	options.scenario = strsep(&rest, ",");
	while (r == 0 && (word = strsep(&rest, ",")) != NULL)
		r = take_option(&options, &truth, word);
	if (r == 0) {
		r = sim_new(&options, &state.sim, &why);
		if (r < 0)
			log_error("sim", 0, "%s", why.text);
	}
	if (r == 0 && truth) {
		state.truth = fopen(truth, "wce");
		if (!state.truth)
			r = log_error("sim", -errno, "cannot write the truth to '%s'", truth);
	}
	free(words);
	if (r < 0)
		return r;
	fill_topology(state.sim, &collect->topology);
	collect->facts =
		(struct machine_facts){.report = {.design_w = sim_shape(state.sim)->design_w,
						  .limit_w = sim_shape(state.sim)->limit_w,
						  .idle_latency_us = sim_shape(state.sim)->idle_latency_us}};
	state.clock = (struct clock_source){simulated_ns, simulated_ms, &state};
	clock_replace(&state.clock);
	state.machine = (struct source_machine){&source_sim_system, &source_sim_activity, state.sim};
	collect->context.simulated = &state.machine;
	collect->open_file = open_simulated_file;
	collect->open_data = &state;
	log_info("sim", 0, "simulated machine: scenario '%s', seed %" PRIu64 ", %" PRIu64 " ticks",
		 sim_shape(state.sim)->scenario, options.seed, sim_shape(state.sim)->ticks);
	return 0;
}

static int know_slots(unsigned n_slots)
{
	if (n_slots <= state.n_slots)
		return 0;
	if (!ARRAY_RESIZE(state.generations, n_slots) || !ARRAY_RESIZE(state.ids, n_slots))
		return -ENOMEM;
	memset(state.generations + state.n_slots, 0, (n_slots - state.n_slots) * sizeof(*state.generations));
	state.n_slots = n_slots;
	return 0;
}

/* Reports started and ended containers of the last step; generation + 1 is kept, so that 0 means none. */
static void follow_containers(struct collect *collect)
{
	const unsigned n_slots = sim_slots(state.sim);
	const int64_t now_ms = clock_realtime_ms();

	if (know_slots(n_slots) < 0)
		return;
	for (unsigned s = 1; s < n_slots; s++) {
		const unsigned generation = sim_generation(state.sim, s) + 1;
		const bool alive = sim_alive(state.sim, s);
		char path[128];

		if (state.generations[s] == (alive ? generation : 0))
			continue;
		if (state.generations[s] != 0) {
			(void)snprintf(path, sizeof(path), "/docker/%s", state.ids[s]);
			(void)target_table_cgroup_removed(
				collect->table, path, (uint64_t)(state.generations[s] - 1) << 32 | s, now_ms);
			state.generations[s] = 0;
		}
		if (!alive)
			continue;
		(void)snprintf(state.ids[s], sizeof(state.ids[s]), "%s", sim_container_id(state.sim, s));
		(void)snprintf(path, sizeof(path), "/docker/%s", state.ids[s]);
		(void)target_table_cgroup_created(collect->table, path, (uint64_t)(generation - 1) << 32 | s,
						  now_ms);
		state.generations[s] = generation;
	}
	target_table_settle(collect->table, now_ms);
}

static void write_truth(struct collect *collect)
{
	batch_clear(&state.truths);
	if (!state.truth)
		return;
	if (sim_add_truth(state.sim, collect->config->name, &state.truths) < 0 ||
	    fwrite(state.truths.data, 1, state.truths.length, state.truth) != state.truths.length) {
		log_warning("sim", -errno, "cannot write the truth; the file ends here");
		(void)fclose(state.truth);
		state.truth = NULL;
	}
}

static void on_idle(struct ev_loop *ev, ev_idle *idle, int events)
{
	struct collect *collect = idle->data;

	(void)events;
	for (int i = 0; i < SIM_TICKS_AT_ONCE; i++) {
		if (collect->link.backlog.length > SIM_BACKLOG_MAX) {
			ev_idle_stop(ev, idle); /* until resume() */
			return;
		}
		if (sim_step(state.sim) <= 0 ||
		    (collect->config->ticks > 0 && collect->seq >= (uint64_t)collect->config->ticks)) {
			loop_stop(&collect->loop);
			return;
		}
		follow_containers(collect);
		collect_read_tick(collect, 0);
		write_truth(collect);
	}
}

static int start(struct collect *collect)
{
	ev_idle_init(&state.idle, on_idle);
	state.idle.data = collect;
	ev_idle_start(collect->loop.ev, &state.idle);
	return 0;
}

static void resume(struct collect *collect)
{
	ev_idle_start(collect->loop.ev, &state.idle);
}

static void close_machine(struct collect *collect)
{
	if (!collect->context.simulated)
		return;
	clock_replace(NULL);
	if (state.truth)
		(void)fclose(state.truth);
	batch_done(&state.truths);
	free(state.generations);
	free(state.ids);
	sim_free(state.sim);
	state = (struct sensor_sim){0};
}

const struct collect_machine sensor_sim = {
	.open = open_machine,
	.start = start,
	.resume = resume,
	.close = close_machine,
};
