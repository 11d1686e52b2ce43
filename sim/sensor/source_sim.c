/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simulated machine as a source of system groups: energy (RAPL_ENERGY_PKG, RAPL_ENERGY_DRAM) by socket,
 * TSC, APERF and MPERF by CPU. Called by the sensor with --sim after each step of the machine. The
 * containers' counts are in source_sim_activity.c.
 */
#include "sim/sensor/source_sim.h"

#include "base/log.h"
#include "sim/sim.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TOKEN "sim"

enum system_event { EVENT_PKG, EVENT_DRAM, EVENT_TSC, EVENT_APERF, EVENT_MPERF, SYSTEM_EVENTS };
static const char *const event_names[SYSTEM_EVENTS] = {
	REPORT_EVENT_PKG, REPORT_EVENT_DRAM, "TSC", "APERF", "MPERF",
};

struct source_sim {
	struct system_source source; /* first: the sensor sees only this */
	const struct sim *sim;
	enum system_event *which; /* [n_events] */
	const char **names;
	struct report_place *places;
};

/* -ENOENT: no such event on this machine. */
static int find_event(const struct sim *sim, const char *name, enum system_event *ret_event)
{
	for (unsigned e = 0; e < SYSTEM_EVENTS; e++) {
		if (strcmp(name, event_names[e]) != 0)
			continue;
		*ret_event = (enum system_event)e;
		if ((e == EVENT_DRAM && !sim_shape(sim)->dram) || (e >= EVENT_TSC && !sim_shape(sim)->msr))
			return -ENOENT;
		return 0;
	}
	return -ENOENT;
}

static int system_probe(struct source_context *context, const struct event_group_request *request,
			struct reason *why)
{
	enum system_event event;

	if (!source_sim_of(context))
		return reason_set(why, -ENODEV,
				  "there is no simulated machine; choose one with --sim SCENARIO.json");
	for (unsigned i = 0; i < request->n_events; i++) {
		if (find_event(source_sim_of(context), request->events[i], &event) == 0)
			return 0;
	}
	return reason_set(why, -ENOENT,
			  "the simulated machine has none of the group's events; it knows RAPL_ENERGY_PKG, "
			  "RAPL_ENERGY_DRAM, TSC, APERF and MPERF");
}

static void system_close(struct system_source *source)
{
	struct source_sim *sim_source = (struct source_sim *)source;

	if (!sim_source)
		return;
	free(sim_source->which);
	free(sim_source->names);
	free(sim_source->places);
	free(source->values);
	free(sim_source);
}

/* Events of the machine; false if the sensor must not start (--strict). */
static bool take_events(struct source_sim *sim_source, const struct source_context *context,
			const struct event_group_request *request)
{
	struct report_group *group = &sim_source->source.group;

	for (unsigned i = 0; i < request->n_events; i++) {
		enum system_event event;

		if (find_event(source_sim_of(context), request->events[i], &event) < 0) {
			log_warning(LOG_TOKEN, 0, "group '%s': the simulated machine has no event '%s'",
				    request->name, request->events[i]);
			if (context->strict)
				return false;
			continue;
		}
		sim_source->which[group->n_events] = event;
		sim_source->names[group->n_events++] = event_names[event];
	}
	return true;
}

static void take_places(struct source_sim *sim_source, bool one_cpu)
{
	const struct sim *sim = sim_source->sim;
	struct report_group *group = &sim_source->source.group;

	for (unsigned k = 0; k < sim_shape(sim)->sockets; k++) {
		bool taken = false;

		for (unsigned cpu = 0; cpu < sim_shape(sim)->cpus; cpu++) {
			if (sim_cpu_socket(sim, cpu) != k || (one_cpu && taken))
				continue;
			sim_source->places[group->n_places++] =
				(struct report_place){.package = k, .cpu = cpu};
			taken = true;
		}
	}
}

static int system_open(struct source_context *context, const struct event_group_request *request,
		       struct system_source **ret_source)
{
	struct source_sim *sim_source = calloc(1, sizeof(*sim_source));
	struct report_group *group;
	bool energy = false;

	if (!sim_source)
		return -ENOMEM;
	group = &sim_source->source.group;
	sim_source->source.ops = &source_sim_system;
	sim_source->sim = source_sim_of(context);
	sim_source->which = calloc(request->n_events, sizeof(*sim_source->which));
	sim_source->names = calloc(request->n_events, sizeof(*sim_source->names));
	sim_source->places = calloc(sim_shape(source_sim_of(context))->cpus, sizeof(*sim_source->places));
	sim_source->source.values =
		calloc((size_t)request->n_events * sim_shape(source_sim_of(context))->cpus,
		       sizeof(*sim_source->source.values));
	if (!sim_source->which || !sim_source->names || !sim_source->places || !sim_source->source.values) {
		system_close(&sim_source->source);
		return -ENOMEM;
	}
	group->name = request->name;
	group->events = sim_source->names;
	group->places = sim_source->places;
	if (!take_events(sim_source, context, request)) {
		system_close(&sim_source->source);
		return -ENOENT;
	}
	for (unsigned e = 0; e < group->n_events; e++)
		energy |= sim_source->which[e] <= EVENT_DRAM;
	take_places(sim_source, energy || request->one_cpu_per_socket);
	*ret_source = &sim_source->source;
	return 0;
}

static uint64_t read_event(const struct sim *sim, enum system_event event, const struct report_place *place)
{
	uint64_t msr[3];

	if (event <= EVENT_DRAM)
		return sim_energy(sim, place->package,
				  event == EVENT_DRAM ? REPORT_SCOPE_DRAM : REPORT_SCOPE_CPU);
	sim_msr(sim, place->cpu, msr);
	return msr[event - EVENT_TSC];
}

static int system_read(struct system_source *source, uint64_t interval_ns)
{
	const struct source_sim *sim_source = (const struct source_sim *)source;
	const struct report_group *group = &source->group;

	(void)interval_ns;
	for (unsigned place = 0; place < group->n_places; place++) {
		for (unsigned e = 0; e < group->n_events; e++)
			source->values[place * group->n_events + e] =
				sim_seq(sim_source->sim) ? read_event(sim_source->sim, sim_source->which[e],
								      &group->places[place])
							 : 0;
	}
	return 0;
}

const struct system_source_ops source_sim_system = {
	.name = "sim",
	.energy = true,
	.probe = system_probe,
	.open = system_open,
	.read = system_read,
	.close = system_close,
};
