/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy from the powercap tree, if the kernel has no `power` PMU: microjoule counters of RAPL zones, with
 * their own wraps. Called by the sensor; only root may read the counters, so the privileged process opens
 * them.
 */
#include "source/source.h"

#include "base/log.h"
#include "machine/powercap.h"
#include "priv/priv_client.h"
#include "machine/scale.h"
#include "base/text.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_TOKEN "powercap"

struct zone_counter {
	int fd;
	unsigned place;
	unsigned column;
	uint64_t range_uj;
	uint64_t before_uj;
	uint64_t total_uj; /* since open, wraps undone */
	bool started;
};

struct source_powercap {
	struct system_source source; /* first: the sensor sees only this */
	struct source_context *context;
	struct zone_counter *counters;
	unsigned n_counters;
	char **events;
	unsigned n_events;
	struct report_place *places;
	unsigned n_places;
	char *name;
};

static int zone_open(struct source_context *context, const struct powercap_zone *zone, struct reason *why)
{
	int fd = context->fd_budget
			 ? priv_client_open_file(context->priv, PRIV_FILE_POWERCAP_ENERGY, zone->id)
			 : -EMFILE;

	if (fd < 0)
		reason_set(why, 0, "%s/class/powercap/%s/energy_uj: %s%s", context->sysfs_root, zone->id,
			   strerror(-fd),
			   fd == -EACCES || fd == -EPERM ? "; only root may read it: run as root" : "");
	return fd;
}

static bool group_has(const struct event_group_request *request, const char *event)
{
	for (unsigned i = 0; i < request->n_events; i++)
		if (strcmp(request->events[i], event) == 0)
			return true;
	return false;
}

static int powercap_probe(struct source_context *context, const struct event_group_request *request,
			  struct reason *why)
{
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	int n = zones ? powercap_list(context->sysfs_root, zones, POWERCAP_ZONES_MAX) : -ENOMEM;
	int r = n < 0 ? n : -ENOENT;

	reason_set(why, 0,
		   "%s/class/powercap has no zone for these events: try modprobe intel_rapl_msr, or a "
		   "kernel with "
		   "CONFIG_INTEL_RAPL; virtual machines have none",
		   context->sysfs_root);
	for (int i = 0; i < n; i++) {
		if (!group_has(request, powercap_event_of(zones[i].name)))
			continue;
		r = zone_open(context, &zones[i], why);
		if (r >= 0) {
			(void)close(r);
			r = 0;
			break;
		}
	}
	free(zones);
	return r;
}

static void powercap_close(struct system_source *source)
{
	struct source_powercap *powercap = (struct source_powercap *)source;

	if (!powercap)
		return;
	for (unsigned i = 0; i < powercap->n_counters; i++)
		(void)close(powercap->counters[i].fd);
	powercap->context->fd_budget += powercap->n_counters;
	for (unsigned i = 0; i < powercap->n_events; i++)
		free(powercap->events[i]);
	free(powercap->counters);
	free(powercap->events);
	free(powercap->places);
	free(powercap->name);
	free(source->values);
	free(powercap);
}

/* Index of the event's column; a new one is made for an event that the group asks for. -ENOMEM. */
static int find_column(struct source_powercap *powercap, const char *event)
{
	for (unsigned i = 0; i < powercap->n_events; i++)
		if (strcmp(powercap->events[i], event) == 0)
			return (int)i;
	powercap->events[powercap->n_events] = strdup(event);
	if (!powercap->events[powercap->n_events])
		return -ENOMEM;
	return (int)powercap->n_events++;
}

static int add_zone(struct source_powercap *powercap, const struct powercap_zone *zone)
{
	const struct topology *topology = powercap->context->topology;
	const struct topology_package *package = topology_find_package(topology, zone->package);
	struct reason why;
	unsigned place = 0;
	int fd, column;

	/* A virtual machine's package numbers may differ from its host's. */
	if (!package)
		package = &topology->packages[0];
	fd = zone_open(powercap->context, zone, &why);
	if (fd < 0) {
		log_warning(LOG_TOKEN, 0, "zone %s (%s) is skipped: %s", zone->id, zone->name, why.text);
		return 0;
	}
	while (place < powercap->n_places && powercap->places[place].package != package->id)
		place++;
	column = find_column(powercap, powercap_event_of(zone->name));
	if (column < 0) {
		(void)close(fd);
		return column;
	}
	if (place == powercap->n_places)
		powercap->places[powercap->n_places++] =
			(struct report_place){.package = package->id, .cpu = package->first_cpu};
	powercap->counters[powercap->n_counters++] = (struct zone_counter){
		.fd = fd, .place = place, .column = (unsigned)column, .range_uj = zone->range_uj};
	powercap->context->fd_budget--;
	return 0;
}

static int make_group(struct source_powercap *powercap, const struct event_group_request *request)
{
	int r = 0;

	for (unsigned i = 0; i < request->n_events; i++) {
		bool found = false;

		for (unsigned j = 0; j < powercap->n_events; j++)
			found |= strcmp(powercap->events[j], request->events[i]) == 0;
		if (found)
			continue;
		log_warning(LOG_TOKEN, 0, "group %s is measured without event %s: no powercap zone counts it",
			    request->name, request->events[i]);
		if (powercap->context->strict)
			r = -ENOENT;
	}
	if (!powercap->n_counters)
		r = -ENOENT;
	powercap->source.values =
		calloc((size_t)powercap->n_places * powercap->n_events + 1, sizeof(*powercap->source.values));
	powercap->name = strdup(request->name);
	if (!powercap->source.values || !powercap->name)
		return -ENOMEM;
	powercap->source.group = (struct report_group){.name = powercap->name,
						       .n_events = powercap->n_events,
						       .events = (const char *const *)powercap->events,
						       .n_places = powercap->n_places,
						       .places = powercap->places};
	return r;
}

static int compare_places(const void *a, const void *b)
{
	const struct powercap_zone *x = a, *y = b;

	if (x->package != y->package)
		return x->package > y->package ? 1 : -1;
	return strcmp(x->id, y->id);
}

static int add_zones(struct source_powercap *powercap, const struct event_group_request *request)
{
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	int n = zones ? powercap_list(powercap->context->sysfs_root, zones, POWERCAP_ZONES_MAX) : -ENOMEM;
	int r = n < 0 ? n : 0;

	if (n > 0) {
		qsort(zones, (size_t)n, sizeof(*zones), compare_places);
		powercap->counters = calloc((size_t)n, sizeof(*powercap->counters));
		powercap->places = calloc((size_t)n, sizeof(*powercap->places));
		powercap->events = calloc((size_t)n, sizeof(*powercap->events));
		if (!powercap->counters || !powercap->places || !powercap->events)
			r = -ENOMEM;
	}
	for (int i = 0; i < n && r == 0; i++)
		if (group_has(request, powercap_event_of(zones[i].name)))
			r = add_zone(powercap, &zones[i]);
	free(zones);
	return r;
}

static int powercap_open(struct source_context *context, const struct event_group_request *request,
			 struct system_source **ret_source)
{
	struct source_powercap *powercap = calloc(1, sizeof(*powercap));
	int r;

	if (!powercap)
		return -ENOMEM;
	powercap->context = context;
	powercap->source.ops = &source_powercap;
	r = add_zones(powercap, request);
	if (r == 0)
		r = make_group(powercap, request);
	if (r < 0) {
		powercap_close(&powercap->source);
		return r;
	}
	*ret_source = &powercap->source;
	return 0;
}

/* The zone's energy since its last good read, in 2^-32 J. */
static int read_counter(struct zone_counter *counter, uint64_t *ret_units)
{
	char text[32];
	ssize_t n = pread(counter->fd, text, sizeof(text) - 1, 0);
	uint64_t now_uj, before_total_uj = counter->total_uj;

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	if (text_parse_u64(text, &now_uj) < 0)
		return -EBADMSG;
	if (counter->started)
		counter->total_uj += scale_delta_wrapped(now_uj, counter->before_uj, counter->range_uj);
	counter->started = true;
	counter->before_uj = now_uj;
	*ret_units = scale_energy_step(counter->total_uj, before_total_uj, 1e-6);
	return 0;
}

static int powercap_read(struct system_source *source, uint64_t interval_ns)
{
	struct source_powercap *powercap = (struct source_powercap *)source;
	unsigned n_failed = 0;
	int last = 0;

	(void)interval_ns;
	memset(source->values, 0, (size_t)powercap->n_places * powercap->n_events * sizeof(*source->values));
	for (unsigned i = 0; i < powercap->n_counters; i++) {
		struct zone_counter *counter = &powercap->counters[i];
		uint64_t units = 0;
		int r = read_counter(counter, &units);

		if (r < 0) {
			last = r;
			n_failed++;
			continue;
		}
		source->values[counter->place * powercap->n_events + counter->column] += units;
	}
	source->read_failures += n_failed;
	return n_failed == powercap->n_counters ? last : 0;
}

const struct system_source_ops source_powercap = {
	.name = "powercap",
	.energy = true,
	.probe = powercap_probe,
	.open = powercap_open,
	.read = powercap_read,
	.close = powercap_close,
};
