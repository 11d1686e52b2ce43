/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy from small files: counters of microjoules, with their own wraps, and meters of microwatts, which are
 * integrated over time. Called by the sources that know the files (powercap, hwmon). Some files are only
 * readable by root, so the privileged process opens them.
 */
#include "source/energy_files.h"
#include "base/cleanup.h"

#include "base/clock.h"
#include "base/log.h"
#include "machine/energy_counter.h"
#include "base/text.h"
#include "machine/topology.h"
#include "base/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TRIES       6 /* readings of a file that may become readable */
#define TRY_NS      (40 * CLOCK_NS_PER_MS)
#define TOLD_MAX    3                     /* warnings of one file; metadata.lost has all failures */
#define STILL_NS    (CLOCK_NS_PER_S / 2)  /* time in which each socket takes some energy */
#define BRIDGE_NS   (60 * CLOCK_NS_PER_S) /* without a reading; older energy belongs to no tick */
#define FRESH_SHARE 10 /* greatest age, as 1/10 of a tick, of a reading that replaces one at its end */
#define RETRY_MAX   6  /* reopened after 1, 2, 4 ... 64 s */
/* Meters show the mean power of about a second; it is assumed to change linearly between two readings. */
#define METER_PERIOD_NS (2 * CLOCK_NS_PER_S)
#define METER_GAP_NS    (10 * CLOCK_NS_PER_S)

struct file_counter {
	struct energy_file file;
	int fd;
	unsigned place;
	unsigned column;
	bool package; /* a socket's energy, which always increases */
	struct energy_counter energy;
	uint64_t power_uw; /* of a meter, at its last reading */
	double total_uj;   /* of a meter */
	uint64_t take_ns;  /* time when a tick last included its energy */
	int error;         /* of the last reading */
	bool dead;         /* a tick lacked its energy for this reason, which was logged */
	bool gap;          /* its energy in this tick is unknown */
	unsigned n_told;   /* warnings in the log */
	uint64_t retry_ns; /* not opened again before */
	unsigned n_retries;
};

struct energy_files {
	struct system_source source; /* first: the sensor sees only this */
	const struct energy_kind *kind;
	struct source_context *context;
	struct file_counter *counters;
	unsigned n_counters;
	const char **events;
	unsigned n_events;
	struct report_place *places;
	unsigned n_places;
};

static int read_number(int fd, uint64_t *ret_number)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return text_parse_u64(text, ret_number) < 0 ? -EBADMSG : 0;
}

/* May the next reading succeed? A driver is busy, or the file is being written. */
static bool is_passing(int error)
{
	return error == -EIO || error == -EAGAIN || error == -EBUSY || error == -EINTR || error == -EBADMSG;
}

static int try_number(int fd, unsigned tries, uint64_t *ret_number)
{
	const struct timespec pause = {.tv_nsec = TRY_NS};
	int r = read_number(fd, ret_number);

	for (unsigned i = 1; i < tries && r < 0 && is_passing(r); i++) {
		(void)nanosleep(&pause, NULL);
		r = read_number(fd, ret_number);
	}
	return r;
}

/*
 * Opens the file and reads it, because opening alone proves nothing. Several attempts at the start, when a
 * failure would be final; one within a tick.
 */
static int file_open(struct source_context *context, const struct energy_kind *kind,
		     const struct energy_file *file, unsigned tries, struct reason *why)
{
	int fd = context->fd_budget ? priv_client_open_file(context->priv, kind->file, file->id) : -EMFILE;
	uint64_t number;
	int r = fd < 0 ? fd : try_number(fd, tries, &number);

	if (r == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	reason_set(why, 0, "%s/class/%s/%s%s: %s%s", context->sysfs_root, kind->folder, file->id, kind->leaf,
		   r == -EBADMSG ? "it contains no number" : strerror(-r), fd >= 0 ? " when read" : "");
	if (r == -EACCES || r == -EPERM)
		reason_advise(why, "run as root, or with CAP_DAC_READ_SEARCH");
	if (r == -EMFILE)
		reason_advise(why,
			      "raise the limit of open files (LimitNOFILE=, --ulimit nofile=, --fd-budget)");
	return r;
}

/* If the sockets' energy was requested but is missing, the others are useless. */
static bool is_wanted(const struct event_group_request *request, const char *event)
{
	if (event && event_group_has(request, REPORT_EVENT_PKG))
		return strcmp(event, REPORT_EVENT_PKG) == 0;
	return event && event_group_has(request, event);
}

int energy_files_probe(struct source_context *context, const struct energy_kind *kind,
		       const struct event_group_request *request, struct reason *why)
{
	cleanup_(cleanup_free) struct energy_file *files = NULL;
	const int n = kind->list(context, &files);
	int r = -ENOENT;

	reason_clear(why);
	for (int i = 0; i < n && r < 0; i++) {
		if (!is_wanted(request, files[i].event))
			continue;
		r = file_open(context, kind, &files[i], TRIES, why);
		if (r >= 0)
			(void)close(r);
	}
	if (r < 0)
		return r;
	reason_clear(why);
	return 0;
}

void energy_files_close(struct system_source *source)
{
	struct energy_files *files = (struct energy_files *)source;

	if (!files)
		return;
	for (unsigned i = 0; i < files->n_counters; i++)
		(void)close(files->counters[i].fd);
	files->context->fd_budget += files->n_counters;
	free(files->counters);
	free(files->events);
	free(files->places);
	free(source->values);
	free(files);
}

/* Index of the event's column; a new one is made for an event that the group asks for. */
static unsigned find_column(struct energy_files *files, const char *event)
{
	unsigned i = 0;

	while (i < files->n_events && strcmp(files->events[i], event) != 0)
		i++;
	if (i == files->n_events)
		files->events[files->n_events++] = event;
	return i;
}

static void add_file(struct energy_files *files, const struct energy_file *file)
{
	const struct topology *topology = files->context->topology;
	const struct topology_package *package = topology_find_package(topology, file->package);
	struct file_counter *counter = &files->counters[files->n_counters];
	struct reason why = {""};
	unsigned place = 0;
	int fd;

	/* A virtual machine's package numbers may differ from its host's. */
	if (!package)
		package = &topology->packages[0];
	fd = file_open(files->context, files->kind, file, TRIES, &why);
	if (fd < 0) {
		log_warning(files->kind->token, 0, "%s %s (%s) is skipped: %s", files->kind->noun, file->id,
			    file->name, why.text);
		return;
	}
	while (place < files->n_places && files->places[place].package != package->id)
		place++;
	if (place == files->n_places)
		files->places[files->n_places++] =
			(struct report_place){.package = package->id, .cpu = package->first_cpu};
	*counter = (struct file_counter){
		.file = *file,
		.fd = fd,
		.place = place,
		.column = find_column(files, file->event),
		.package = strcmp(file->event, REPORT_EVENT_PKG) == 0,
		.energy = {.joules_per_count = 1e-6,
			   .range = file->range_uj,
			   .most_w = energy_most_w(file->event, files->context->package_w)}};
	files->n_counters++;
	files->context->fd_budget--;
}

/* A machine with two sockets and one zone would seem to take half. */
static void tell_missing_packages(const struct energy_files *files)
{
	const struct topology *topology = files->context->topology;

	for (unsigned p = 0; p < topology->n_packages; p++) {
		bool found = false;

		for (unsigned i = 0; i < files->n_counters; i++)
			found |= files->counters[i].package &&
				 files->places[files->counters[i].place].package == topology->packages[p].id;
		if (!found)
			log_warning(files->kind->token, 0,
				    "socket %u has no readable %s: its energy is missing",
				    topology->packages[p].id, files->kind->noun);
	}
}

static int make_group(struct energy_files *files, const struct event_group_request *request)
{
	int r = 0;

	for (unsigned i = 0; i < request->n_events; i++) {
		bool found = false;

		for (unsigned j = 0; j < files->n_events; j++)
			found |= strcmp(files->events[j], request->events[i]) == 0;
		if (found || request->by_default)
			continue;
		log_warning(files->kind->token, 0, "group %s is measured without event %s: no %s counts it",
			    request->name, request->events[i], files->kind->noun);
		if (files->context->strict)
			r = -ENOENT;
	}
	if (!files->n_counters)
		r = -ENOENT;
	if (event_group_has(request, REPORT_EVENT_PKG))
		tell_missing_packages(files);
	files->source.values =
		calloc((size_t)files->n_places * files->n_events + 1, sizeof(*files->source.values));
	if (!files->source.values)
		return -ENOMEM;
	files->source.group = (struct report_group){.name = request->name,
						    .n_events = files->n_events,
						    .events = files->events,
						    .n_places = files->n_places,
						    .places = files->places};
	return r;
}

static int compare_files(const void *a, const void *b)
{
	const struct energy_file *x = a, *y = b;

	if (x->package != y->package)
		return x->package > y->package ? 1 : -1;
	return strcmp(x->id, y->id);
}

static int add_files(struct energy_files *files, const struct event_group_request *request,
		     struct energy_file *list, unsigned n)
{
	qsort(list, n, sizeof(*list), compare_files);
	files->counters = calloc((size_t)n + 1, sizeof(*files->counters));
	files->places = calloc((size_t)n + 1, sizeof(*files->places));
	files->events = calloc((size_t)n + 1, sizeof(*files->events));
	if (!files->counters || !files->places || !files->events)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		if (list[i].event && event_group_has(request, list[i].event))
			add_file(files, &list[i]);
	return 0;
}

int energy_files_open(struct source_context *context, const struct energy_kind *kind,
		      const struct event_group_request *request, struct system_source **ret_source)
{
	cleanup_(cleanup_free) struct energy_file *list = NULL;
	const int n = kind->list(context, &list);
	struct energy_files *files = n < 0 ? NULL : calloc(1, sizeof(*files));
	int r;

	if (!files)
		return n < 0 ? n : -ENOMEM;
	files->kind = kind;
	files->context = context;
	files->source.ops = kind->ops;
	r = add_files(files, request, list, (unsigned)n);
	if (r == 0)
		r = make_group(files, request);
	if (r < 0) {
		energy_files_close(&files->source);
		return r;
	}
	*ret_source = &files->source;
	return 0;
}

static void tell(const struct energy_files *files, struct file_counter *counter, int error, const char *what)
{
	if (counter->n_told++ < TOLD_MAX)
		log_warning(files->kind->token, error, "%s %s %s: its energy is missing%s", files->kind->noun,
			    counter->file.id, what,
			    counter->n_told == TOLD_MAX ? " (further failures only in metadata.lost)" : "");
}

static bool is_same_file(int a, int b)
{
	struct stat one, two;

	return fstat(a, &one) == 0 && fstat(b, &two) == 0 && one.st_dev == two.st_dev &&
	       one.st_ino == two.st_ino;
}

/*
 * Zones and devices are numbered as they appear: after a reload this one may have another number, and its old
 * one may be another's. 0 or -ENOENT.
 */
static int find_again(const struct energy_files *files, struct energy_file *file)
{
	cleanup_(cleanup_free) struct energy_file *now = NULL;
	const int n = files->kind->list(files->context, &now);

	for (int i = 0; i < n; i++) {
		if (now[i].package != file->package || now[i].die != file->die ||
		    strcmp(now[i].name, file->name) != 0)
			continue;
		memcpy(file->id, now[i].id, sizeof(file->id));
		return 0;
	}
	return n < 0 ? n : -ENOENT;
}

/* The driver may have been reloaded: then these are different files. */
static int reopen(struct energy_files *files, struct file_counter *counter, uint64_t now_ns)
{
	struct reason why = {""};
	int fd, r;

	if (now_ns < counter->retry_ns)
		return -EAGAIN;
	counter->retry_ns = now_ns + (CLOCK_NS_PER_S << counter->n_retries);
	counter->n_retries += counter->n_retries < RETRY_MAX;
	r = find_again(files, &counter->file);
	if (r < 0)
		return r;
	files->context->fd_budget++; /* the new descriptor takes the old one's place */
	fd = file_open(files->context, files->kind, &counter->file, 1, &why);
	files->context->fd_budget--;
	if (fd < 0)
		return fd;
	if (!is_same_file(counter->fd, fd)) {
		if (!counter->dead)
			tell(files, counter, 0, "is a different file now, because its driver was reloaded");
		counter->energy.started = false; /* another counter: its first reading is the baseline */
		counter->gap = true;
	}
	(void)close(counter->fd);
	counter->fd = fd;
	return 0;
}

/* Adds a meter's watts over the time since its last reading. After a long time they are unknown. */
static int add_power(struct file_counter *counter, uint64_t now_uw, uint64_t now_ns)
{
	const uint64_t before_uw = counter->power_uw;
	const bool known = counter->energy.started && now_ns - counter->energy.before_ns <= METER_GAP_NS;

	counter->power_uw = now_uw;
	if ((double)now_uw > counter->energy.most_w * 1e6) {
		counter->energy.started = false;
		return -ERANGE;
	}
	if (known)
		counter->total_uj += ((double)before_uw + (double)now_uw) / 2 *
				     UNIT_S_OF_NS(now_ns - counter->energy.before_ns);
	else if (counter->energy.started)
		counter->energy.started = false;
	return energy_counter_read(&counter->energy, (uint64_t)counter->total_uj, now_ns) == 0 &&
			       (known || counter->take_ns == 0)
		       ? 0
		       : -ERANGE;
}

static int add_reading(struct file_counter *counter, uint64_t now, uint64_t now_ns)
{
	return counter->file.power ? add_power(counter, now, now_ns)
				   : energy_counter_read(&counter->energy, now, now_ns);
}

static void keep_counter(struct energy_files *files, struct file_counter *counter)
{
	const uint64_t now_ns = clock_monotonic_ns();
	uint64_t now;
	int r = read_number(counter->fd, &now);

	if (r < 0 && reopen(files, counter, now_ns) == 0)
		r = read_number(counter->fd, &now);
	counter->error = r;
	if (r < 0)
		return;
	if (counter->dead && counter->n_told <= TOLD_MAX)
		log_notice(files->kind->token, 0, "%s %s can be read again", files->kind->noun,
			   counter->file.id);
	counter->dead = false;
	counter->n_retries = 0;
	counter->retry_ns = 0;
	if (add_reading(counter, now, now_ns) == 0)
		return;
	tell(files, counter, 0,
	     counter->file.power ? "reported an impossible power, or was silent for too long"
				 : "was reset, or reported more than a socket can consume");
	counter->gap = true;
}

void energy_files_keep(struct system_source *source)
{
	struct energy_files *files = (struct energy_files *)source;

	for (unsigned i = 0; i < files->n_counters; i++)
		keep_counter(files, &files->counters[i]);
}

uint64_t energy_files_period(const struct system_source *source)
{
	const struct energy_files *files = (const struct energy_files *)source;
	uint64_t shortest_ns = UINT64_MAX;

	for (unsigned i = 0; i < files->n_counters; i++) {
		const uint64_t ns = files->counters[i].file.power
					    ? METER_PERIOD_NS
					    : energy_counter_period_ns(&files->counters[i].energy);

		shortest_ns = ns < shortest_ns ? ns : shortest_ns;
	}
	return shortest_ns;
}

/* A failed reading is no loss as long as a recent one can replace it. */
static bool is_dead(const struct energy_files *files, struct file_counter *counter, uint64_t interval_ns)
{
	const uint64_t age_ns = clock_monotonic_ns() - counter->energy.before_ns;

	if (counter->error == 0 || age_ns <= interval_ns / FRESH_SHARE)
		return false;
	if (!counter->dead)
		tell(files, counter, counter->error, "cannot be read");
	counter->dead = true;
	return true;
}

/* Does this tick lack the counter's energy? It is then included in the next tick that has it. */
static bool is_missing(const struct energy_files *files, struct file_counter *counter, uint64_t interval_ns)
{
	const uint64_t now_ns = counter->energy.before_ns;
	bool missing = is_dead(files, counter, interval_ns) || counter->gap;

	/* Its earlier counts belong to a past tick and must not go into the next one. */
	if (counter->gap)
		(void)energy_counter_take(&counter->energy);
	if (counter->gap || counter->take_ns == 0)
		counter->take_ns = now_ns; /* the baseline */
	if (!missing && now_ns - counter->take_ns > interval_ns + BRIDGE_NS) {
		(void)energy_counter_take(&counter->energy);
		counter->take_ns = now_ns;
		return true;
	}
	if (!missing && counter->package && counter->energy.total == counter->energy.taken &&
	    now_ns - counter->take_ns >= STILL_NS) {
		tell(files, counter, 0, "does not advance");
		missing = true;
	}
	counter->gap = false;
	return missing;
}

int energy_files_read(struct system_source *source, uint64_t interval_ns)
{
	struct energy_files *files = (struct energy_files *)source;
	unsigned n_missing = 0;

	memset(source->values, 0, (size_t)files->n_places * files->n_events * sizeof(*source->values));
	energy_files_keep(source);
	source->was_reset = false;
	for (unsigned i = 0; i < files->n_counters; i++) {
		struct file_counter *counter = &files->counters[i];

		if (counter->gap)
			source->was_reset = true;
		if (!is_missing(files, counter, interval_ns))
			continue;
		n_missing++;
		source->values[counter->place * files->n_events + counter->column] = REPORT_COUNT_MISSING;
	}
	/* The dies of a socket are one value: all of them, or none. */
	for (unsigned i = 0; i < files->n_counters; i++) {
		struct file_counter *counter = &files->counters[i];
		uint64_t *value = &source->values[counter->place * files->n_events + counter->column];

		if (*value == REPORT_COUNT_MISSING)
			continue;
		*value += energy_counter_take(&counter->energy);
		counter->take_ns = counter->energy.before_ns;
	}
	source->read_failures += n_missing;
	return n_missing == files->n_counters ? -EIO : 0;
}
