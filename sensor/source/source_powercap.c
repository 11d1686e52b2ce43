/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy from the powercap tree, if the kernel has no `power` PMU: microjoule counters of RAPL zones, with
 * their own wraps. Called by the sensor; only root may read the counters, so the privileged process opens
 * them.
 */
#include "source/source.h"

#include "base/clock.h"
#include "base/log.h"
#include "machine/energy_counter.h"
#include "machine/powercap.h"
#include "priv/priv_client.h"
#include "base/text.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_TOKEN "powercap"

struct zone_counter {
	char id[POWERCAP_ID_SIZE];
	int fd;
	unsigned place;
	unsigned column;
	bool package; /* a socket's energy: it never stands still */
	struct energy_counter energy;
	uint64_t take_ns;  /* when a tick has had its energy */
	int error;         /* of the last reading */
	bool dead;         /* a tick has lacked it for that, and the log has it */
	bool gap;          /* what it has counted in this tick is not known */
	unsigned n_told;   /* warnings in the log */
	uint64_t retry_ns; /* not opened again before */
	unsigned n_retries;
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

static int read_uj(int fd, uint64_t *ret_uj)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text_parse_u64(text, ret_uj) < 0 ? -EBADMSG : 0;
}

/* Opened, and found to be readable: a file that only opens measures nothing. */
static int zone_open(struct source_context *context, const char *id, struct reason *why)
{
	int fd = context->fd_budget ? priv_client_open_file(context->priv, PRIV_FILE_POWERCAP_ENERGY, id)
				    : -EMFILE;
	uint64_t uj;
	int r = fd < 0 ? fd : read_uj(fd, &uj);

	if (r == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	reason_set(why, 0, "%s/class/powercap/%s/energy_uj: %s%s", context->sysfs_root, id,
		   r == -EBADMSG ? "it holds no number" : strerror(-r), fd >= 0 ? ", on reading" : "");
	if (r == -EACCES || r == -EPERM)
		reason_advise(why, "run as root, or with CAP_DAC_READ_SEARCH");
	if (r == -EMFILE)
		reason_advise(why,
			      "raise the limit of open files (LimitNOFILE=, --ulimit nofile=, --fd-budget)");
	return r;
}

static bool group_has(const struct event_group_request *request, const char *event)
{
	for (unsigned i = 0; i < request->n_events; i++)
		if (strcmp(request->events[i], event) == 0)
			return true;
	return false;
}

/* Why there is no zone for any event: no tree, a hidden one, or one without these zones. */
static int explain_none(const struct source_context *context, struct reason *why)
{
	switch (powercap_look(context->sysfs_root)) {
	case POWERCAP_HIDDEN:
		reason_set(why, 0,
			   "the zones in %s/class/powercap are links that lead nowhere: a container engine "
			   "hides "
			   "the folder behind them",
			   context->sysfs_root);
		reason_advise(why, "start the container with --privileged, or with --security-opt "
				   "systempaths=unconfined");
		return -ENOENT;
	case POWERCAP_CLOSED:
		reason_set(why, 0, "%s/class/powercap cannot be read: permission denied",
			   context->sysfs_root);
		reason_advise(why, "run as root, or with CAP_DAC_READ_SEARCH");
		return -EACCES;
	case POWERCAP_ABSENT:
	case POWERCAP_THERE:
		break;
	}
	reason_set(why, 0, "%s/class/powercap has no zone for these events", context->sysfs_root);
	reason_advise(why,
		      "modprobe intel_rapl_msr, or a kernel with CONFIG_INTEL_RAPL; virtual machines have "
		      "none");
	return -ENOENT;
}

/* Without the sockets' energy, where it is asked for, the others are of no use. */
static bool is_wanted(const struct event_group_request *request, const char *event)
{
	if (group_has(request, REPORT_EVENT_PKG))
		return event && strcmp(event, REPORT_EVENT_PKG) == 0;
	return group_has(request, event);
}

static int powercap_probe(struct source_context *context, const struct event_group_request *request,
			  struct reason *why)
{
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	int n = zones ? powercap_list(context->sysfs_root, zones, POWERCAP_ZONES_MAX) : -ENOMEM;
	struct reason failed = {""};
	int r = -ENOENT;

	for (int i = 0; i < n && r < 0; i++) {
		if (!is_wanted(request, powercap_event_of(zones[i].name)))
			continue;
		r = zone_open(context, zones[i].id, &failed);
		if (r >= 0)
			(void)close(r);
	}
	free(zones);
	if (r >= 0) {
		reason_clear(why);
		return 0;
	}
	if (!failed.text[0])
		return explain_none(context, why);
	*why = failed;
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
	struct reason why = {""};
	unsigned place = 0;
	int fd, column;

	/* A virtual machine's package numbers may differ from its host's. */
	if (!package)
		package = &topology->packages[0];
	fd = zone_open(powercap->context, zone->id, &why);
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
	powercap->counters[powercap->n_counters] =
		(struct zone_counter){.fd = fd,
				      .place = place,
				      .column = (unsigned)column,
				      .package = strcmp(powercap_event_of(zone->name), REPORT_EVENT_PKG) == 0,
				      .energy = {.joules_per_count = 1e-6, .range = zone->range_uj}};
	memcpy(powercap->counters[powercap->n_counters++].id, zone->id, sizeof(zone->id));
	powercap->context->fd_budget--;
	return 0;
}

/* A machine of two sockets with one zone would seem to take half. */
static void tell_missing_packages(const struct source_powercap *powercap)
{
	const struct topology *topology = powercap->context->topology;

	for (unsigned p = 0; p < topology->n_packages; p++) {
		bool found = false;

		for (unsigned i = 0; i < powercap->n_counters; i++)
			found |= powercap->counters[i].package &&
				 powercap->places[powercap->counters[i].place].package ==
					 topology->packages[p].id;
		if (!found)
			log_warning(LOG_TOKEN, 0,
				    "socket %u has no zone that can be read: its energy is missing",
				    topology->packages[p].id);
	}
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
	if (group_has(request, REPORT_EVENT_PKG))
		tell_missing_packages(powercap);
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

#define TOLD_MAX    3                     /* warnings of one zone; metadata.lost has all failures */
#define STILL_NS    (CLOCK_NS_PER_S / 2)  /* in which each socket takes something */
#define BRIDGE_NS   (60 * CLOCK_NS_PER_S) /* of silence; older energy belongs to no tick any more */
#define FRESH_SHARE 10 /* of a tick's length: so old a reading may be in place of one at its end */
#define RETRY_MAX   6  /* opened again after 1, 2, 4 ... 64 s */

static void tell(struct zone_counter *counter, int error, const char *what)
{
	if (counter->n_told++ < TOLD_MAX)
		log_warning(LOG_TOKEN, error, "zone %s %s: its energy is missing%s", counter->id, what,
			    counter->n_told == TOLD_MAX ? " (further failures only in metadata.lost)" : "");
}

static bool is_same_file(int a, int b)
{
	struct stat one, two;

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

/* The driver may have been loaded again: the files are other ones then. */
static int reopen(struct source_powercap *powercap, struct zone_counter *counter, uint64_t now_ns)
{
	struct reason why = {""};
	int fd;

	if (now_ns < counter->retry_ns)
		return -EAGAIN;
	counter->retry_ns = now_ns + (CLOCK_NS_PER_S << counter->n_retries);
	counter->n_retries += counter->n_retries < RETRY_MAX;
	powercap->context->fd_budget++; /* the new descriptor takes the old one's place */
	fd = zone_open(powercap->context, counter->id, &why);
	powercap->context->fd_budget--;
	if (fd < 0)
		return fd;
	if (!is_same_file(counter->fd, fd)) {
		if (!counter->dead)
			tell(counter, 0, "is another file now, its driver was loaded again");
		counter->energy.started = false; /* another counter: its first reading is a baseline */
		counter->gap = true;
	}
	(void)close(counter->fd);
	counter->fd = fd;
	return 0;
}

static void keep_counter(struct source_powercap *powercap, struct zone_counter *counter)
{
	const uint64_t now_ns = clock_monotonic_ns();
	uint64_t now_uj;
	int r = read_uj(counter->fd, &now_uj);

	if (r < 0 && reopen(powercap, counter, now_ns) == 0)
		r = read_uj(counter->fd, &now_uj);
	counter->error = r;
	if (r < 0)
		return;
	if (counter->dead && counter->n_told <= TOLD_MAX)
		log_notice(LOG_TOKEN, 0, "zone %s can be read again", counter->id);
	counter->dead = false;
	counter->n_retries = 0;
	counter->retry_ns = 0;
	if (energy_counter_read(&counter->energy, now_uj, now_ns) == 0)
		return;
	tell(counter, 0, "was reset, or shows more than a socket can take");
	counter->gap = true;
}

static void powercap_keep(struct system_source *source)
{
	struct source_powercap *powercap = (struct source_powercap *)source;

	for (unsigned i = 0; i < powercap->n_counters; i++)
		keep_counter(powercap, &powercap->counters[i]);
}

static uint64_t powercap_period(const struct system_source *source)
{
	const struct source_powercap *powercap = (const struct source_powercap *)source;
	uint64_t shortest_ns = UINT64_MAX;

	for (unsigned i = 0; i < powercap->n_counters; i++) {
		const uint64_t ns = energy_counter_period_ns(&powercap->counters[i].energy);

		shortest_ns = ns < shortest_ns ? ns : shortest_ns;
	}
	return shortest_ns;
}

/* A reading that fails between ticks or at one is no loss as long as another one is as good as new. */
static bool is_dead(struct zone_counter *counter, uint64_t interval_ns)
{
	const uint64_t age_ns = clock_monotonic_ns() - counter->energy.before_ns;

	if (counter->error == 0 || age_ns <= interval_ns / FRESH_SHARE)
		return false;
	if (!counter->dead)
		tell(counter, counter->error, "cannot be read");
	counter->dead = true;
	return true;
}

/* Has this tick no energy of the counter? What was counted meanwhile is in the next tick that has. */
static bool is_missing(struct zone_counter *counter, uint64_t interval_ns)
{
	const uint64_t now_ns = counter->energy.before_ns;
	bool missing = is_dead(counter, interval_ns) || counter->gap;

	if (counter->take_ns == 0)
		counter->take_ns = now_ns; /* the baseline */
	if (!missing && now_ns - counter->take_ns > interval_ns + BRIDGE_NS) {
		(void)energy_counter_take(&counter->energy);
		counter->take_ns = now_ns;
		return true;
	}
	if (!missing && counter->package && counter->energy.total == counter->energy.taken &&
	    now_ns - counter->take_ns >= STILL_NS) {
		tell(counter, 0, "stands still");
		missing = true;
	}
	counter->gap = false;
	return missing;
}

static int powercap_read(struct system_source *source, uint64_t interval_ns)
{
	struct source_powercap *powercap = (struct source_powercap *)source;
	unsigned n_missing = 0;

	memset(source->values, 0, (size_t)powercap->n_places * powercap->n_events * sizeof(*source->values));
	powercap_keep(source);
	for (unsigned i = 0; i < powercap->n_counters; i++) {
		struct zone_counter *counter = &powercap->counters[i];

		if (!is_missing(counter, interval_ns))
			continue;
		n_missing++;
		source->values[counter->place * powercap->n_events + counter->column] = REPORT_COUNT_MISSING;
	}
	/* The dies of a socket are one value: all of them, or none. */
	for (unsigned i = 0; i < powercap->n_counters; i++) {
		struct zone_counter *counter = &powercap->counters[i];
		uint64_t *value = &source->values[counter->place * powercap->n_events + counter->column];

		if (*value == REPORT_COUNT_MISSING)
			continue;
		*value += energy_counter_take(&counter->energy);
		counter->take_ns = counter->energy.before_ns;
	}
	source->read_failures += n_missing;
	return n_missing == powercap->n_counters ? -EIO : 0;
}

const struct system_source_ops source_powercap = {
	.name = "powercap",
	.energy = true,
	.probe = powercap_probe,
	.open = powercap_open,
	.read = powercap_read,
	.period_ns = powercap_period,
	.keep = powercap_keep,
	.close = powercap_close,
};
