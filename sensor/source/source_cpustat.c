/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activity by CPU time of cgroups: cpu.stat (cgroup2), cpuacct.usage and cpuacct.usage_percpu (v1). Needs no
 * privileges and no counters. Called by the sensor if perf events are not available. One event, nanoseconds
 * of CPU time.
 *
 * With several packages, v1 has each CPU's time; cgroup2 does not, so a cgroup's time is divided in
 * proportion to how busy each package was. The machine's time is that of /proc/stat, but never less than its
 * targets': the kernel counts it in ticks of 10 ms, which misses short runs.
 */
#include "source/source.h"
#include "base/array.h"

#include "base/clock.h"
#include "machine/cputime.h"
#include "source/frame.h"
#include "machine/procstat.h"
#include "machine/scale.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STAT_BYTES 4096

struct cpustat_slot {
	char *path;          /* the file's; NULL: empty slot */
	int fd;              /* -1: opened for each read because the budget was exhausted */
	uint64_t *before_ns; /* [n_columns] */
	bool first;          /* not read yet */
};

struct source_cpustat {
	struct activity_source source; /* first: the sensor sees only this */
	struct source_context *context;
	struct procstat machine;
	struct cpustat_slot *slots;
	unsigned n_slots;
	unsigned n_columns; /* numbers kept per cgroup: 1, or one for each package (v1) */
	struct report_group group;
	const char *event;
	struct report_place *places;
	uint64_t *now_ns; /* [n_columns], of the cgroup being read */
	char *buffer;
	size_t buffer_size;
	uint64_t last_read_ns; /* monotonic; 0: never */
};

static const char *file_name(const struct source_cpustat *cpustat)
{
	if (cpustat->context->cpu_root_v2)
		return "cpu.stat";
	return cpustat->n_columns > 1 ? "cpuacct.usage_percpu" : "cpuacct.usage";
}

static int cpustat_probe(struct source_context *context, const struct event_group_request *requests,
			 unsigned n_requests, struct reason *why)
{
	char path[PATH_MAX];

	(void)requests, (void)n_requests;
	if (!context->cpu_root) {
		reason_set(why, 0,
			   "no cgroup hierarchy with CPU times is mounted (cgroup2, or v1's cpuacct)");
		reason_advise(
			why,
			"mount -t cgroup2 none /sys/fs/cgroup; in a container, start it with -v /sys:/sys");
		return -ENOENT;
	}
	(void)snprintf(path, sizeof(path), "%s/%s", context->cpu_root,
		       context->cpu_root_v2 ? "cgroup.procs" : "cpuacct.usage");
	if (access(path, R_OK) < 0) {
		int r = -errno;

		reason_set(why, 0, "cannot read %s: %s", path, strerror(-r));
		reason_advise(why, "give a cgroup hierarchy with -p, or omit -p");
		return r;
	}
	return 0;
}

static void close_slot(struct source_cpustat *cpustat, unsigned number)
{
	struct cpustat_slot *slot = &cpustat->slots[number];

	if (slot->fd >= 0 && slot->path) {
		(void)close(slot->fd);
		cpustat->context->fd_budget++;
	}
	free(slot->path);
	free(slot->before_ns);
	*slot = (struct cpustat_slot){.fd = -1};
}

static void cpustat_close(struct activity_source *source)
{
	struct source_cpustat *cpustat = (struct source_cpustat *)source;

	if (!cpustat)
		return;
	for (unsigned i = 0; i < cpustat->n_slots; i++)
		close_slot(cpustat, i);
	free(cpustat->slots);
	procstat_close(&cpustat->machine);
	frame_done(&source->frame);
	free(cpustat->places);
	free(cpustat->now_ns);
	free(cpustat->buffer);
	free(cpustat);
}

static int make_group(struct source_cpustat *cpustat, const struct topology *topology)
{
	struct activity_frame *frame = &cpustat->source.frame;

	cpustat->places = calloc(topology->n_packages, sizeof(*cpustat->places));
	if (!cpustat->places)
		return -ENOMEM;
	for (unsigned i = 0; i < topology->n_packages; i++)
		cpustat->places[i] = (struct report_place){.package = topology->packages[i].id,
							   .cpu = topology->packages[i].first_cpu};
	cpustat->event = REPORT_EVENT_CPU_TIME;
	cpustat->group = (struct report_group){.name = REPORT_GROUP_CPUSTAT,
					       .n_events = 1,
					       .events = &cpustat->event,
					       .n_places = topology->n_packages,
					       .places = cpustat->places};
	frame->n_groups = 1;
	frame->groups = &cpustat->group;
	frame->n_events = 1;
	frame->n_places = topology->n_packages;
	return 0;
}

static int reserve(struct source_cpustat *cpustat, unsigned n_slots)
{
	struct activity_frame *frame = &cpustat->source.frame;
	int r = frame_reserve(frame, n_slots, false);

	if (r < 0 || frame->n_slots <= cpustat->n_slots)
		return r;
	if (!ARRAY_RESIZE(cpustat->slots, frame->n_slots))
		return -ENOMEM;
	for (unsigned i = cpustat->n_slots; i < frame->n_slots; i++)
		cpustat->slots[i] = (struct cpustat_slot){.fd = -1};
	cpustat->n_slots = frame->n_slots;
	return 0;
}

static int cpustat_open(struct source_context *context, const struct event_group_request *requests,
			unsigned n_requests, unsigned n_slots, struct activity_source **ret_source)
{
	struct source_cpustat *cpustat = calloc(1, sizeof(*cpustat));
	const struct topology *topology = context->topology;
	int r;

	(void)requests, (void)n_requests;
	if (!cpustat)
		return -ENOMEM;
	cpustat->source.ops = &source_cpustat;
	cpustat->context = context;
	cpustat->machine.fd = -1;
	cpustat->n_columns = context->cpu_root_v2 ? 1 : topology->n_packages;
	/* A line of usage_percpu has up to 20 digits for each possible CPU, of which there may be more than
	 * online. */
	cpustat->buffer_size = STAT_BYTES + (size_t)64 * topology->n_cpus;
	cpustat->buffer = malloc(cpustat->buffer_size);
	cpustat->now_ns = calloc(cpustat->n_columns, sizeof(*cpustat->now_ns));
	r = cpustat->buffer && cpustat->now_ns ? make_group(cpustat, topology) : -ENOMEM;
	if (r == 0)
		r = procstat_open(context->procfs_root, topology, &cpustat->machine);
	if (r == 0)
		r = reserve(cpustat, n_slots ? n_slots : 1);
	if (r < 0) {
		cpustat_close(&cpustat->source);
		return r;
	}
	cpustat->source.frame.flags[ACTIVITY_SLOT_MACHINE] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	*ret_source = &cpustat->source;
	return 0;
}

static void add_cpu_time(void *data, unsigned cpu, uint64_t ns)
{
	struct source_cpustat *cpustat = data;
	const struct topology *topology = cpustat->context->topology;
	const struct topology_cpu *known = topology_find_cpu(topology, cpu);
	const struct topology_package *package =
		known ? topology_find_package(topology, known->package) : &topology->packages[0];

	cpustat->now_ns[package - topology->packages] += ns;
}

/* Reads the cumulative times of one cgroup into now_ns. */
static int read_times(struct source_cpustat *cpustat, const struct cpustat_slot *slot)
{
	int fd = slot->fd >= 0 ? slot->fd : open(slot->path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r;

	if (fd < 0)
		return -errno;
	n = pread(fd, cpustat->buffer, cpustat->buffer_size - 1, 0);
	r = n < 0 ? -errno : 0;
	if (slot->fd < 0)
		(void)close(fd);
	if (r < 0)
		return r;
	cpustat->buffer[n] = '\0';
	if (cpustat->context->cpu_root_v2)
		return cputime_parse_stat(cpustat->buffer, cpustat->now_ns);
	if (cpustat->n_columns == 1)
		return cputime_parse_usage(cpustat->buffer, cpustat->now_ns);
	memset(cpustat->now_ns, 0, cpustat->n_columns * sizeof(*cpustat->now_ns));
	r = cputime_parse_percpu(cpustat->buffer, add_cpu_time, cpustat);
	return r < 0 ? r : 0;
}

/*
 * The baseline of a new cgroup. If it appeared while the sensor was running, with no more time than can have
 * passed since the last read, all its time belongs to this tick; otherwise its past does not.
 */
static void set_baseline(const struct source_cpustat *cpustat, struct cpustat_slot *slot)
{
	uint64_t passed_ns = 0, sum_ns = 0;

	if (cpustat->last_read_ns)
		passed_ns = clock_monotonic_ns() - cpustat->last_read_ns;
	for (unsigned i = 0; i < cpustat->n_columns; i++)
		sum_ns += cpustat->now_ns[i];
	if (!cputime_is_new(sum_ns, passed_ns, cpustat->context->topology->n_cpus))
		memcpy(slot->before_ns, cpustat->now_ns, cpustat->n_columns * sizeof(*slot->before_ns));
}

static int fill_slot(struct source_cpustat *cpustat, struct cpustat_slot *slot, const char *cgroup)
{
	char path[PATH_MAX];
	int r;

	if (snprintf(path, sizeof(path), "%s%s/%s", cpustat->context->cpu_root, cgroup[1] ? cgroup : "",
		     file_name(cpustat)) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	slot->path = strdup(path);
	slot->before_ns = calloc(cpustat->n_columns, sizeof(*slot->before_ns));
	if (!slot->path || !slot->before_ns)
		return -ENOMEM;
	if (cpustat->context->fd_budget) {
		slot->fd = open(path, O_RDONLY | O_CLOEXEC);
		if (slot->fd < 0)
			return -errno;
		cpustat->context->fd_budget--;
	}
	r = read_times(cpustat, slot);
	if (r == 0)
		set_baseline(cpustat, slot);
	return r;
}

static int cpustat_add(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_cpustat *cpustat = (struct source_cpustat *)source;
	int r;

	if (!cgroup->root)
		return 0;
	r = reserve(cpustat, cgroup->slot + 1);
	if (r < 0)
		return r;
	if (cpustat->slots[cgroup->slot].path)
		return -EBUSY;
	r = fill_slot(cpustat, &cpustat->slots[cgroup->slot], cgroup->path);
	if (r < 0) {
		close_slot(cpustat, cgroup->slot);
		return r == -ENODEV ? -ENOENT : r; /* ENODEV: it was removed while its file was open */
	}
	cpustat->slots[cgroup->slot].first = true;
	source->frame.flags[cgroup->slot] = ACTIVITY_OPEN | ACTIVITY_FIRST;
	return 0;
}

static void cpustat_remove(struct activity_source *source, const struct activity_cgroup *cgroup)
{
	struct source_cpustat *cpustat = (struct source_cpustat *)source;

	if (!cgroup->root || cgroup->slot >= cpustat->n_slots)
		return;
	close_slot(cpustat, cgroup->slot);
	frame_free_slot(&source->frame, cgroup->slot);
}

/* Divides a time among the packages in proportion to their busy time; the first one gets all if none was
 * busy. */
static void share_out(const struct source_cpustat *cpustat, uint64_t delta_ns, uint64_t *counts)
{
	const struct procstat *machine = &cpustat->machine;
	unsigned n = machine->topology->n_packages;
	uint64_t busy_ns = 0, given_ns = 0;

	for (unsigned i = 0; i < n; i++)
		busy_ns += machine->packages[i].busy_ns;
	for (unsigned i = 1; i < n; i++) {
		counts[i] = scale_share(delta_ns, machine->packages[i].busy_ns, busy_ns);
		given_ns += counts[i];
	}
	counts[0] = scale_delta(delta_ns, given_ns);
}

static void read_slot(struct source_cpustat *cpustat, unsigned number)
{
	struct activity_frame *frame = &cpustat->source.frame;
	struct cpustat_slot *slot = &cpustat->slots[number];
	uint64_t *counts = frame_counts(frame, number);
	int r = read_times(cpustat, slot);

	if (!slot->first)
		frame->flags[number] &= (uint8_t)~ACTIVITY_FIRST;
	slot->first = false;
	if (r < 0) {
		frame->flags[number] |= ACTIVITY_FAILED;
		frame->read_failures++;
		return;
	}
	for (unsigned i = 0; i < cpustat->n_columns; i++) {
		counts[i] = scale_delta(cpustat->now_ns[i], slot->before_ns[i]);
		slot->before_ns[i] = cpustat->now_ns[i];
	}
	if (cpustat->n_columns == 1 && frame->n_places > 1)
		share_out(cpustat, counts[0], counts);
}

/* Slot 0: the machine's time, at least that of its targets. */
static void fill_machine(struct source_cpustat *cpustat)
{
	const struct activity_frame *frame = &cpustat->source.frame;

	for (unsigned place = 0; place < frame->n_places; place++) {
		uint64_t targets_ns = 0;

		for (unsigned i = 1; i < cpustat->n_slots; i++)
			targets_ns += frame_counts(frame, i)[place];
		frame->counts[place] = cpustat->machine.packages[place].busy_ns;
		if (frame->counts[place] < targets_ns)
			frame->counts[place] = targets_ns;
	}
}

static int cpustat_read(struct activity_source *source)
{
	struct source_cpustat *cpustat = (struct source_cpustat *)source;
	struct activity_frame *frame = &source->frame;
	bool first_tick = cpustat->last_read_ns == 0;
	int r;

	frame_clear(frame);
	r = procstat_read(&cpustat->machine);
	if (r < 0) {
		frame->flags[ACTIVITY_SLOT_MACHINE] |= ACTIVITY_FAILED;
		frame->read_failures++;
		memset(cpustat->machine.packages, 0, frame->n_places * sizeof(*cpustat->machine.packages));
	}
	if (!first_tick)
		frame->flags[ACTIVITY_SLOT_MACHINE] &= (uint8_t)~ACTIVITY_FIRST;
	cpustat->last_read_ns = clock_monotonic_ns();
	for (unsigned i = 1; i < cpustat->n_slots; i++) {
		if (!cpustat->slots[i].path)
			continue;
		read_slot(cpustat, i);
	}
	fill_machine(cpustat);
	frame_list_active(frame);
	return 0;
}

uint64_t source_cpustat_since_ns(struct activity_source *source, unsigned number)
{
	struct source_cpustat *cpustat = (struct source_cpustat *)source;
	const struct cpustat_slot *slot = &cpustat->slots[number];
	uint64_t since_ns = 0;

	if (read_times(cpustat, slot) < 0)
		return 0;
	for (unsigned i = 0; i < cpustat->n_columns; i++)
		since_ns += scale_delta(cpustat->now_ns[i], slot->before_ns[i]);
	return since_ns;
}

const struct activity_source_ops source_cpustat = {
	.name = "cpustat",
	.probe = cpustat_probe,
	.open = cpustat_open,
	.add = cpustat_add,
	.remove = cpustat_remove,
	.read = cpustat_read,
	.close = cpustat_close,
};
