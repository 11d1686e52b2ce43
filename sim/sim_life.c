/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lives of the simulated containers: start, work, pause, change of character, end, and the next life.
 * Everything a container draws comes from its own stream, so twins (same stream) do the same.
 */
#include "sim/sim_machine.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define NEVER_S        1e18
#define MIGRATION_RATE .2 /* per container and second */

static void make_id(struct sim *sim, struct sim_container *container)
{
	uint64_t random = sim_random_stream(sim->seed ^ UINT64_C(0x636f6e7461696e), container->generation);

	random ^= (uint64_t)(container - sim->containers) * UINT64_C(0x9e3779b97f4a7c15);
	for (int i = 0; i < 4; i++)
		snprintf(container->id + 16 * i, 17, "%016" PRIx64, sim_random_next(&random));
}

static void make_name(struct sim *sim, struct sim_container *container)
{
	const struct sim_group *group = container->group;
	char base[SIM_NAME_MAX];

	snprintf(base, sizeof(base), "%.30s", group->name);
	if (group->rename)
		snprintf(container->name, sizeof(container->name), "%.30s-%" PRIu64, base, ++sim->renames);
	else if (group->count > 1)
		snprintf(container->name, sizeof(container->name), "%.30s-%u", base, container->member + 1);
	else
		snprintf(container->name, sizeof(container->name), "%s", base);
}

/* Renames a running container: its identity and its counters stay. */
static void relabel(struct sim *sim, struct sim_container *container, double now_s)
{
	container->next_label_s = now_s + sim_draw(&container->random, container->group->relabel_s);
	(void)snprintf(container->name, sizeof(container->name), "%.30s-%" PRIu64, container->group->name,
		       ++sim->renames);
}

static bool within_windows(const struct sim_group *group, double now_s)
{
	for (unsigned i = 0; i < group->n_windows; i++) {
		if (now_s >= group->windows[i].low && now_s < group->windows[i].high)
			return true;
	}
	return !group->n_windows;
}

/* Time at which the container must next check its windows. */
static double next_window_s(const struct sim_group *group, double now_s)
{
	double next = NEVER_S;

	for (unsigned i = 0; i < group->n_windows; i++) {
		if (group->windows[i].low > now_s && group->windows[i].low < next)
			next = group->windows[i].low;
		if (group->windows[i].high > now_s && group->windows[i].high < next)
			next = group->windows[i].high;
	}
	return next;
}

static enum sim_character_kind kind_of(const struct sim_container *container)
{
	return container->group->kinds[container->phase % container->group->n_kinds];
}

static double vary_period_s(const struct sim_container *container)
{
	switch (kind_of(container)) {
	case SIM_WEB:
		return .15;
	case SIM_IDLE:
		return NEVER_S;
	default:
		return .7;
	}
}

static void turn_off(struct sim *sim, struct sim_container *container)
{
	sim_unplace_threads(sim, container);
	container->on = false;
}

static void turn_on(struct sim *sim, struct sim_container *container)
{
	const struct sim_group *group = container->group;
	double threads = sim_draw(&container->random, group->threads);

	turn_off(sim, container);
	container->n_threads = (unsigned)fmin(fmax(threads + .5, 1), SIM_THREADS_MAX);
	container->load_base = sim_draw(&container->random, group->load);
	container->load = container->load_base;
	container->varied = 0;
	container->on = true;
	sim_place_threads(sim, container);
}

/* Switches between working and pausing, and returns the time of the next change. */
static void toggle(struct sim *sim, struct sim_container *container, double now_s)
{
	const struct sim_group *group = container->group;
	double window = next_window_s(group, now_s);
	double length;

	if (!within_windows(group, now_s)) {
		turn_off(sim, container);
		container->next_s = window;
		return;
	}
	if (group->on_s.high <= 0) {
		turn_on(sim, container);
		container->next_s = window;
		return;
	}
	if (container->on) {
		turn_off(sim, container);
		length = sim_random_exponential(&container->random,
						sim_draw(&container->random, group->off_s));
	} else {
		turn_on(sim, container);
		length =
			sim_random_exponential(&container->random, sim_draw(&container->random, group->on_s));
	}
	container->next_s = fmin(now_s + length, window);
}

static void draw_characters(struct sim_container *container)
{
	const struct sim_group *group = container->group;

	for (unsigned i = 0; i < group->n_kinds; i++) {
		struct sim_character *character = &container->characters[i];

		sim_character_draw(character, group->kinds[i], &container->random);
		if (group->energy.high > 0)
			character->cost = exp(sim_random_range(&container->random, log(group->energy.low),
							       log(group->energy.high)));
	}
}

static void begin_life(struct sim *sim, struct sim_container *container, double now_s)
{
	const struct sim_group *group = container->group;

	container->alive = true;
	container->partial = now_s > 0;
	container->generation++;
	make_name(sim, container);
	make_id(sim, container);
	if (container->generation == 1 || (group->rename && !group->same))
		draw_characters(container);
	container->phase = 0;
	container->home = group->socket;
	container->on = false;
	container->dies_s = NEVER_S;
	if (group->life_s.high > 0)
		container->dies_s = now_s + sim_draw(&container->random, group->life_s);
	container->next_phase_s = NEVER_S;
	if (group->n_kinds > 1)
		container->next_phase_s = now_s + sim_draw(&container->random, group->phase_s);
	container->next_vary_s = now_s + vary_period_s(container);
	container->next_label_s = NEVER_S;
	if (group->relabel_s.high > 0)
		container->next_label_s = now_s + sim_draw(&container->random, group->relabel_s);
	container->next_s = now_s;
	if (group->on_s.high > 0 && sim_random_unit(&container->random) < .5)
		container->next_s =
			now_s + sim_random_exponential(&container->random,
						       sim_draw(&container->random, group->off_s));
}

static void end_life(struct sim *sim, struct sim_container *container, double now_s)
{
	turn_off(sim, container);
	container->alive = false;
	container->ending = true;
	container->partial = true;
	container->born_s = NEVER_S;
	if (container->group->gap_s.high > 0)
		container->born_s = now_s + sim_draw(&container->random, container->group->gap_s);
	/* The slot must keep this life until its last counts are read. */
	container->born_s = fmax(container->born_s, now_s + 1.01 * (double)sim->interval_ms / 1000);
}

static void vary_load(struct sim_container *container)
{
	container->varied = .8 * container->varied + .6 * sim_random_normal(&container->random);
	container->load = container->load_base * (1 + container->group->vary * container->varied);
	container->load = fmin(fmax(container->load, .02 * container->load_base), 1);
}

static void change(struct sim *sim, unsigned slot, double now_s)
{
	struct sim_container *container = &sim->containers[slot];

	if (!container->alive) {
		if (now_s >= container->born_s)
			begin_life(sim, container, now_s);
	} else if (now_s >= container->dies_s) {
		end_life(sim, container, now_s);
	}
	if (!container->alive) {
		sim->due_s[slot] = container->born_s;
		return;
	}
	if (now_s >= container->next_phase_s) {
		container->phase = (container->phase + 1) % container->group->n_kinds;
		container->next_phase_s = now_s + sim_draw(&container->random, container->group->phase_s);
	}
	if (now_s >= container->next_s)
		toggle(sim, container, now_s);
	if (now_s >= container->next_vary_s) {
		if (container->on && container->group->vary > 0)
			vary_load(container);
		container->next_vary_s = now_s + vary_period_s(container);
	}
	if (now_s >= container->next_label_s)
		relabel(sim, container, now_s);
	sim->due_s[slot] = fmin(fmin(fmin(container->next_s, container->next_phase_s), container->dies_s),
				fmin(container->next_label_s, container->next_vary_s));
}

/* The first life of each container; called once, with the streams set. */
void sim_life_start(struct sim *sim, struct sim_container *container)
{
	const struct sim_group *group = container->group;

	container->born_s = sim_draw(&container->random, group->start_s);
	sim->due_s[container - sim->containers] = container->born_s;
}

/* The machine's own activity: small pieces on changing CPUs. */
static void scatter_system(struct sim *sim)
{
	struct sim_container *system = &sim->containers[SIM_SYSTEM];
	double total = sim->scenario.system_load * sim->n_cpus;

	if (sim_random_unit(&sim->random) < .1)
		vary_load(system);
	for (unsigned i = 0; i < system->n_placed; i++)
		system->cpus[i] = (uint16_t)sim_random_below(&sim->random, sim->n_cpus);
	system->load_base = total / system->n_placed;
	system->load = fmin(system->load, 1);
}

/* Applies the changes before the next step; afterwards `active` lists the containers that have threads. */
void sim_life_step(struct sim *sim)
{
	scatter_system(sim);
	sim->n_active = 0;
	sim->active[sim->n_active++] = SIM_SYSTEM;
	for (unsigned i = 1; i < sim->n_containers; i++) {
		struct sim_container *container = &sim->containers[i];

		if (sim->due_s[i] <= sim->now_s)
			change(sim, i, sim->now_s);
		if (!container->on)
			continue;
		sim->active[sim->n_active++] = i;
		if (sim_random_unit(&sim->random) < MIGRATION_RATE * sim->scenario.step_s)
			sim_place_migrate(sim, container);
	}
}
