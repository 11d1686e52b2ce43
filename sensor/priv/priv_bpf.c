/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading and driving the BPF program (libbpf, CO-RE skeleton). Called by priv.c for the client's typed
 * requests, or directly by priv_client in direct mode.
 */
#include "priv/priv_bpf.h"

#include "priv/bpf_cause.h"
#include "priv/priv.h"
#include "base/cleanup.h"
#include "sensor/priv/count.skel.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct priv_bpf {
	struct count_bpf *program;
	struct bpf_link *link, *birth_link, *move_link;
	struct priv_bpf_shape shape;
	int *fds; /* [n_events * n_cpus]; 0: none */
};

/* libbpf's own messages go into the cause, not to stderr; the end of a verifier's log is kept. */
static char last_words[160];
static char verifier_log[4096];

static void keep_log(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
static void keep_log(const char *format, va_list arguments)
{
	cleanup_(cleanup_free) char *log = NULL;
	const int length = vasprintf(&log, format, arguments);
	const size_t skipped =
		length >= (int)sizeof(verifier_log) ? (size_t)length - (sizeof(verifier_log) - 1) : 0;

	if (length < 0) {
		log = NULL;
		return;
	}
	memcpy(verifier_log, log + skipped, (size_t)length - skipped + 1);
}

static int keep_words(enum libbpf_print_level level, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));
static int keep_words(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && strstr(format, "PROG LOAD LOG")) {
		keep_log(format, arguments);
	} else if (level == LIBBPF_WARN && last_words[0] == '\0') {
		(void)vsnprintf(last_words, sizeof(last_words), format, arguments);
		last_words[strcspn(last_words, "\n")] = '\0';
		/* Keeps the first sentence; the rest is advice for programmers and would be truncated. */
		char *end = strstr(last_words, ". ");
		if (end)
			*end = '\0';
	}
	return 0;
}

static int fail(int error, struct reason *cause)
{
	struct bpf_facts facts;

	bpf_cause_read("/proc", "/sys", &facts);
	return bpf_cause_set(&facts, error, verifier_log, last_words, cause);
}

static int size_maps(struct count_bpf *program, const struct priv_bpf_shape *shape)
{
	const unsigned n_fds = shape->n_events * shape->n_cpus;
	const unsigned cell_size = (unsigned)COUNT_CELL_SIZE(shape->n_events);
	const struct {
		struct bpf_map *map;
		unsigned n, value_size; /* 0: the program's own */
	} sizes[] = {
		{program->maps.event_fds, n_fds ? n_fds : 1, 0},
		{program->maps.slots, shape->n_slots * 4 + shape->n_births, 0},
		{program->maps.cells, (shape->n_slots + shape->n_births) * shape->n_places, cell_size},
		{program->maps.totals, shape->n_cpus * 2, cell_size},
		{program->maps.births, shape->n_births + 1, 0},
		{program->maps.touched, shape->n_slots / COUNT_TOUCHED_SLOTS + 1, 0},
		{program->maps.places, shape->n_cpus, 0},
		{program->maps.pulses, shape->n_cpus, 0},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sizes); i++) {
		r = bpf_map__set_max_entries(sizes[i].map, sizes[i].n);
		if (r == 0 && sizes[i].value_size)
			r = bpf_map__set_value_size(sizes[i].map, sizes[i].value_size);
	}
	return r;
}

static int set_places(const struct count_bpf *program, const struct priv_bpf_shape *shape)
{
	int r = 0;

	for (unsigned cpu = 0; r == 0 && cpu < shape->n_cpus; cpu++)
		r = bpf_map_update_elem(bpf_map__fd(program->maps.places), &cpu, &shape->place_of_cpu[cpu],
					BPF_ANY);
	return r;
}

static struct count_bpf *open_program(const struct priv_bpf_shape *shape, bool typed, bool births)
{
	struct count_bpf *program;

	last_words[0] = verifier_log[0] = '\0';
	program = count_bpf__open();
	if (!program)
		return NULL;
	/* The skeleton's copy of the program's constants is const only after the program is loaded. */
	*(unsigned *)(uintptr_t)&program->rodata->n_events = shape->n_events;
	*(unsigned *)(uintptr_t)&program->rodata->n_cpus = shape->n_cpus;
	*(unsigned *)(uintptr_t)&program->rodata->n_places = shape->n_places;
	*(unsigned *)(uintptr_t)&program->rodata->n_slots = shape->n_slots;
	*(unsigned *)(uintptr_t)&program->rodata->n_births = shape->n_births ? shape->n_births : 1;
	*(unsigned *)(uintptr_t)&program->rodata->unified = shape->unified;
	(void)bpf_program__set_autoload(program->progs.on_switch, typed);
	(void)bpf_program__set_autoload(program->progs.on_switch_raw, !typed);
	(void)bpf_program__set_autoload(program->progs.on_birth, births);
	(void)bpf_program__set_autoload(program->progs.on_move, births);
	if (size_maps(program, shape) < 0 || count_bpf__load(program) < 0 || set_places(program, shape) < 0) {
		const int error = errno;

		count_bpf__destroy(program);
		errno = error;
		return NULL;
	}
	return program;
}

/* Limits of a request: no more CPUs than this machine can have, and bounded memory. */
static bool is_bounded(const struct priv_bpf_shape *shape)
{
	const int possible = libbpf_num_possible_cpus();

	if (shape->n_events > COUNT_EVENTS_MAX || shape->n_cpus == 0 || shape->n_cpus > COUNT_CPUS_MAX ||
	    (possible > 0 && shape->n_cpus > (unsigned)possible) || shape->n_places == 0 ||
	    shape->n_places > shape->n_cpus || shape->n_slots == 0 || shape->n_slots > PRIV_BPF_SLOTS_MAX ||
	    shape->n_births > PRIV_BPF_BIRTHS_MAX)
		return false;
	return ((uint64_t)shape->n_slots + shape->n_births) * shape->n_places *
		       COUNT_CELL_SIZE(shape->n_events) <=
	       PRIV_BPF_CELLS_MAX;
}

int priv_bpf_load(const struct priv_bpf_shape *shape, struct priv_bpf **ret_bpf, struct reason *cause)
{
	struct priv_bpf *bpf;

	if (!is_bounded(shape))
		return -EINVAL;
	bpf = calloc(1, sizeof(*bpf));
	if (!bpf)
		return -ENOMEM;
	bpf->shape = *shape;
	bpf->shape.place_of_cpu = NULL;
	bpf->fds = calloc((size_t)shape->n_events * shape->n_cpus + 1, sizeof(*bpf->fds));
	(void)libbpf_set_print(keep_words);
	/* From the best variant to those for older kernels. */
	bpf->program = bpf->fds ? open_program(shape, true, shape->n_births > 0) : NULL;
	if (!bpf->program && bpf->fds && shape->n_births > 0)
		bpf->program = open_program(shape, true, false);
	if (!bpf->program && bpf->fds)
		bpf->program = open_program(shape, false, false);
	if (!bpf->program) {
		const int error = errno ? -errno : -ENOMEM;

		priv_bpf_free(bpf);
		return fail(error, cause);
	}
	*ret_bpf = bpf;
	return 0;
}

/* Takes over the descriptor. */
static int add_event(struct priv_bpf *bpf, unsigned event, unsigned cpu, int fd)
{
	const unsigned key = event * bpf->shape.n_cpus + cpu;

	if (event >= bpf->shape.n_events || cpu >= bpf->shape.n_cpus) {
		(void)close(fd);
		return -EINVAL;
	}
	if (bpf->fds[key] > 0)
		(void)close(bpf->fds[key]);
	bpf->fds[key] = fd;
	return bpf_map_update_elem(bpf_map__fd(bpf->program->maps.event_fds), &key, &fd, BPF_ANY) < 0 ? -errno
												      : 0;
}

int priv_bpf_add_group(struct priv_bpf *bpf, const struct priv_config *config, const struct priv_group *group,
		       const unsigned *columns, struct reason *cause)
{
	int fds[PRIV_GROUP_EVENTS_MAX];
	int leader, r = priv_open_group_disabled(config, group, fds, cause);

	for (unsigned i = 0; r == 0 && i < group->n_events; i++) {
		r = add_event(bpf, columns[i], group->cpu, fds[i]);
		while (r < 0 && ++i < group->n_events)
			(void)close(fds[i]);
	}
	if (r < 0)
		return r;
	/* Enabled last: otherwise the program would attribute earlier counts to the first cgroup that it
	 * sees. */
	leader = bpf->fds[columns[0] * bpf->shape.n_cpus + group->cpu];
	return priv_enable_group(leader, cause);
}

/* Enables reports of new cgroups, and marks this in the ring's last element. Kernels without this can still
 * count. */
static void attach_births(struct priv_bpf *bpf)
{
	const struct count_birth told = {.seq = 1};
	const uint32_t key = bpf->shape.n_births;

	if (bpf->shape.n_births == 0 || bpf_program__fd(bpf->program->progs.on_birth) < 0)
		return;
	bpf->move_link = bpf_program__attach(bpf->program->progs.on_move);
	bpf->birth_link = bpf_program__attach(bpf->program->progs.on_birth);
	if (bpf->birth_link)
		(void)bpf_map_update_elem(bpf_map__fd(bpf->program->maps.births), &key, &told, BPF_ANY);
}

static int flush(struct priv_bpf *bpf)
{
	const int program = bpf_program__fd(bpf->program->progs.flush);
	int result = 0;

	for (unsigned cpu = 0; cpu < bpf->shape.n_cpus; cpu++) {
		LIBBPF_OPTS(bpf_test_run_opts, options, .flags = BPF_F_TEST_RUN_ON_CPU, .cpu = cpu);

		/* ENXIO: this CPU is offline or absent. The others are still flushed. */
		if (bpf_prog_test_run_opts(program, &options) < 0 && errno != ENXIO)
			result = -errno;
	}
	return result;
}

int priv_bpf_attach(struct priv_bpf *bpf, int ret_fds[PRIV_BPF_MAPS], struct reason *cause)
{
	struct bpf_program *on_switch = bpf->program->progs.on_switch;
	const struct bpf_map *given[PRIV_BPF_MAPS] = {bpf->program->maps.cells, bpf->program->maps.totals,
						      bpf->program->maps.touched, bpf->program->maps.births,
						      bpf->program->maps.pulses};
	int r;

	if (bpf->link)
		return -EBUSY;
	if (bpf_program__fd(on_switch) < 0)
		on_switch = bpf->program->progs.on_switch_raw;
	last_words[0] = verifier_log[0] = '\0';
	bpf->link = bpf_program__attach(on_switch);
	if (!bpf->link)
		return fail(-errno, cause);
	attach_births(bpf);
	r = flush(bpf);
	if (r < 0)
		return fail(r, cause);
	for (unsigned i = 0; i < PRIV_BPF_MAPS; i++) {
		ret_fds[i] = fcntl(bpf_map__fd(given[i]), F_DUPFD_CLOEXEC, 3);
		if (ret_fds[i] < 0) {
			r = -errno;
			while (i > 0)
				(void)close(ret_fds[--i]);
			return r;
		}
	}
	return 0;
}

static int change(struct priv_bpf *bpf, const struct priv_bpf_change *change)
{
	const int slots = bpf_map__fd(bpf->program->maps.slots);

	if (change->slot == PRIV_BPF_NOWHERE)
		return bpf_map_delete_elem(slots, &change->cgroup) < 0 && errno != ENOENT ? -errno : 0;
	if (change->slot >= bpf->shape.n_slots)
		return -EMFILE;
	if (bpf_map_update_elem(slots, &change->cgroup, &change->slot, BPF_ANY) < 0)
		return errno == E2BIG ? -EMFILE : -errno;
	return 0;
}

int priv_bpf_update(struct priv_bpf *bpf, const struct priv_bpf_change *changes, unsigned n, bool flushed)
{
	int result = 0;

	for (unsigned i = 0; i < n; i++) {
		int r = change(bpf, &changes[i]);

		result = r < 0 && result == 0 ? r : result;
	}
	if (flushed) {
		int r = flush(bpf);

		result = r < 0 && result == 0 ? r : result;
	}
	return result;
}

void priv_bpf_free(struct priv_bpf *bpf)
{
	if (!bpf)
		return;
	bpf_link__destroy(bpf->move_link);
	bpf_link__destroy(bpf->birth_link);
	bpf_link__destroy(bpf->link);
	count_bpf__destroy(bpf->program);
	for (size_t i = 0; bpf->fds && i < (size_t)bpf->shape.n_events * bpf->shape.n_cpus; i++)
		if (bpf->fds[i] > 0)
			(void)close(bpf->fds[i]);
	free(bpf->fds);
	free(bpf);
}
