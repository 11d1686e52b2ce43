/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which sources are tried: the first that works is used, and the log explains why the earlier
 * ones do not.
 */
#include "source/choose.h"

#include "base/cleanup.h"
#include "event/event.h"
#include "event/pmu.h"
#include "base/log.h"
#include "machine/hwmon.h"
#include "machine/powercap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Every source in order of preference; source_NAME is its table. */
#define ENERGY_SOURCES(ROW)                                                                                  \
	ROW(rapl)                                                                                            \
	ROW(powercap)                                                                                        \
	ROW(hwmon)                                                                                           \
	ROW(estimate)
#define ACTIVITY_SOURCES(ROW)                                                                                \
	ROW(bpf)                                                                                             \
	ROW(perf)                                                                                            \
	ROW(cpustat)
#define TARGET_SOURCES(ROW)  ROW(resctrl)
#define SOURCE_ADDRESS(name) &source_##name,
#define SOURCE_NAME(name)    #name,

const struct system_source_ops *const choose_energy_sources[] = {ENERGY_SOURCES(SOURCE_ADDRESS) NULL};
static const struct activity_source_ops *const activity_sources[] = {ACTIVITY_SOURCES(SOURCE_ADDRESS)};
const struct target_source_ops *const choose_target_sources[] = {TARGET_SOURCES(SOURCE_ADDRESS) NULL};

const char *const choose_energy_names[] = {"auto", ENERGY_SOURCES(SOURCE_NAME) "sim", NULL};
const char *const choose_activity_names[] = {"auto", ACTIVITY_SOURCES(SOURCE_NAME) "sim", NULL};

bool choose_is_energy(const struct event_group_request *request)
{
	for (unsigned i = 0; i < request->n_events; i++)
		if (event_is_energy(request->events[i]))
			return true;
	return false;
}

bool choose_is_socket_energy(const struct event_group_request *request)
{
	for (unsigned i = 0; i < request->n_events; i++)
		if (event_is_package(request->events[i]))
			return true;
	return false;
}

bool choose_has_energy(const char *sysfs_root, const char *event)
{
	struct event_encoding encoding = {0};
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	struct hwmon_meter *meters = calloc(HWMON_METERS_MAX, sizeof(*meters));
	struct reason why;
	bool found = event_encode(sysfs_root, event, &encoding, &why) == 0;
	int n = zones && !found ? powercap_list(sysfs_root, zones, POWERCAP_ZONES_MAX) : 0;

	for (int i = 0; i < n; i++)
		found |= strcmp(powercap_event_of(zones[i].name), event) == 0;
	n = meters && !found ? hwmon_list(sysfs_root, meters, HWMON_METERS_MAX) : 0;
	for (int i = 0; i < n; i++)
		found |= strcmp(meters[i].event, event) == 0;
	event_encoding_done(&encoding);
	free(zones);
	free(meters);
	return found;
}

/* Sets a reason if the source gives none. */
static void explain(int error, struct reason *why)
{
	if (error < 0 && !why->text[0])
		reason_set(why, 0, "%s", strerror(-error));
}

static struct system_source *try_system(const struct system_source_ops *ops, struct source_context *context,
					const struct event_group_request *request, int *ret_error,
					struct reason *why)
{
	struct system_source *source = NULL;

	*ret_error = ops->probe(context, request, why);
	if (*ret_error >= 0)
		*ret_error = ops->open(context, request, &source);
	explain(*ret_error, why);
	return *ret_error < 0 ? NULL : source;
}

struct system_source *choose_system(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, int *ret_error)
{
	const struct system_source_ops *const perf_only[] = {&source_system_perf};
	const struct system_source_ops *const simulated[] = {context->simulated ? context->simulated->system
										: NULL};
	const struct system_source_ops *const *table = perf_only;
	size_t n = 1;
	const bool energy = choose_is_energy(request);

	if (context->simulated) {
		table = simulated;
	} else if (energy) {
		table = choose_energy_sources;
		n = ARRAY_SIZE(choose_energy_sources) - 1;
	}
	*ret_error = -ENOENT;
	for (size_t i = 0; i < n; i++) {
		struct system_source *source;
		struct reason why = {""};

		if (energy && !context->simulated && strcmp(wanted, "auto") != 0 &&
		    strcmp(wanted, table[i]->name) != 0)
			continue;
		source = try_system(table[i], context, request, ret_error, &why);
		if (source) {
			log_info("source", 0, "group '%s': %s%s", request->name, table[i]->name,
				 table[i]->estimated ? " (an estimate, not a measurement)" : "");
			return source;
		}
		log_notice("source", 0, "group '%s': cannot use %s: %s", request->name, table[i]->name,
			   why.text);
	}
	return NULL;
}

struct system_source *choose_better(struct source_context *context, const struct event_group_request *request,
				    const char *wanted, const struct system_source *current)
{
	if (context->simulated || !current->ops->energy || strcmp(wanted, "auto") != 0)
		return NULL;
	for (size_t i = 0; choose_energy_sources[i] && choose_energy_sources[i] != current->ops; i++) {
		struct reason why = {""};
		int error;
		struct system_source *source =
			try_system(choose_energy_sources[i], context, request, &error, &why);

		if (!source)
			continue;
		log_notice("source", 0, "group '%s': %s can now be read and replaces %s", request->name,
			   source->ops->name, current->ops->name);
		return source;
	}
	return NULL;
}

void choose_energy_extent(const char *sysfs_root, struct choose_extent *ret_extent)
{
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	struct hwmon_meter *meters = calloc(HWMON_METERS_MAX, sizeof(*meters));
	struct choose_extent extent = {{0}};
	struct pmu power = {0};
	int n = zones ? powercap_list(sysfs_root, zones, POWERCAP_ZONES_MAX) : 0;

	if (pmu_read(sysfs_root, "power", &power) == 0)
		extent.n[0] = power.n_cpus + pmu_count_events(sysfs_root, "power");
	extent.n[1] = n > 0 ? (unsigned)n : 0;
	n = meters ? hwmon_list(sysfs_root, meters, HWMON_METERS_MAX) : 0;
	extent.n[2] = n > 0 ? (unsigned)n : 0;
	pmu_done(&power);
	free(zones);
	free(meters);
	*ret_extent = extent;
}

struct system_source *choose_wider(struct source_context *context, const struct event_group_request *request,
				   const struct system_source *current)
{
	const struct report_group *before = &current->group;
	struct system_source *source;
	struct reason why = {""};
	int error;

	if (context->simulated || !current->ops->energy)
		return NULL;
	source = try_system(current->ops, context, request, &error, &why);
	if (source && source->group.n_places >= before->n_places &&
	    source->group.n_events >= before->n_events &&
	    source->group.n_places + source->group.n_events > before->n_places + before->n_events) {
		log_notice("source", 0, "group '%s': %s now has more counters: %u events of %u sockets",
			   request->name, source->ops->name, source->group.n_events, source->group.n_places);
		return source;
	}
	if (source)
		source->ops->close(source);
	return NULL;
}

/*
 * With --strict a missing event is an error. So a source that had to omit one ends the search, and CPU time
 * does not replace requested events.
 */
static bool is_strict_end(const struct source_context *context, const struct event_group_request *requests,
			  const char *wanted, const struct activity_source_ops *last, bool probed)
{
	if (!context->strict || requests[0].by_default)
		return false;
	return probed || (strcmp(wanted, "auto") == 0 && last == &source_perf);
}

struct activity_source *choose_activity(struct source_context *context,
					const struct event_group_request *requests, unsigned n_requests,
					unsigned n_slots, const char *wanted, int *ret_error)
{
	const struct activity_source_ops *const simulated[] = {
		context->simulated ? context->simulated->activity : NULL};
	const struct activity_source_ops *const *table = context->simulated ? simulated : activity_sources;
	const size_t n = context->simulated ? 1 : ARRAY_SIZE(activity_sources);

	*ret_error = -ENOENT;
	for (size_t i = 0; i < n; i++) {
		struct activity_source *source = NULL;
		struct reason why = {""};
		bool probed;

		if (!context->simulated && strcmp(wanted, "auto") != 0 && strcmp(wanted, table[i]->name) != 0)
			continue;
		*ret_error = table[i]->probe(context, requests, n_requests, &why);
		probed = *ret_error >= 0;
		if (probed)
			*ret_error = table[i]->open(context, requests, n_requests, n_slots, &source);
		if (*ret_error >= 0) {
			log_info("source", 0, "activity per container: %s", table[i]->name);
			return source;
		}
		explain(*ret_error, &why);
		log_notice("source", 0, "activity per container: cannot use %s: %s", table[i]->name,
			   why.text);
		if (!context->simulated && is_strict_end(context, requests, wanted, table[i], probed))
			return NULL;
	}
	return NULL;
}

struct target_source *choose_target_source(struct source_context *context, struct reason *why)
{
	for (size_t i = 0; choose_target_sources[i]; i++) {
		const struct target_source_ops *ops = choose_target_sources[i];
		struct target_source *source = NULL;
		int r = ops->probe(context, why);

		if (r == 0)
			r = ops->open(context, &source);
		if (r == 0)
			return source;
		explain(r, why);
	}
	return NULL;
}
