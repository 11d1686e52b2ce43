/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The activity source that counts by perf, for real: a child in its own cgroup causes page faults, and the
 * count is compared with the child's own. Needs root and a cgroup hierarchy that perf can use; otherwise
 * skipped with the reason.
 */
#include "perf_fixture.h"

#include "machine/cpu_gaps.h"
#include "machine/cpu_online.h"

#include <linux/perf_event.h>
#include <sys/ioctl.h>

static char event_switches[] = "PERF_COUNT_SW_CONTEXT_SWITCHES", event_unknown[] = "NO_SUCH_EVENT_AT_ALL";

static bool make_cgroup(const char *name)
{
	char full[600];

	(void)snprintf(fixture.path, sizeof(fixture.path), "/wattribute-test-%d-%s", getpid(), name);
	(void)snprintf(full, sizeof(full), "%s%s", fixture.mount, fixture.path);
	return fixture.mount[0] && mkdir(full, 0755) == 0;
}

static void remove_cgroup(void)
{
	char full[600];

	(void)snprintf(full, sizeof(full), "%s%s", fixture.mount, fixture.path);
	for (int i = 0; i < 50 && rmdir(full) < 0 && errno == EBUSY; i++)
		(void)usleep(10000);
}

/* A child that joins the cgroup and causes faults; returns how many it had there by its own account. */
static uint64_t run_child(size_t n)
{
	uint64_t faults = 0;
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char full[600];
		FILE *procs;

		(void)snprintf(full, sizeof(full), "%s%s/cgroup.procs", fixture.mount, fixture.path);
		procs = fopen(full, "w");
		if (!procs || fprintf(procs, "%d\n", getpid()) < 0 || fclose(procs) != 0)
			_exit(1);
		faults = faults_of_self();
		cause_faults(n);
		faults = faults_of_self() - faults;
		_exit(write(pipe_fds[1], &faults, sizeof(faults)) != sizeof(faults));
	}
	(void)close(pipe_fds[1]);
	assert_int_equal(read(pipe_fds[0], &faults, sizeof(faults)), sizeof(faults));
	(void)close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return faults;
}

static void assert_near(uint64_t counted, uint64_t truth)
{
	print_message("# counted %" PRIu64 ", caused %" PRIu64 "\n", counted, truth);
	/* The last faults of an exiting process come after its own account. */
	assert_true(counted >= truth && counted <= truth + truth / 100 + 50);
}

static void test_counts_a_cgroup(void **state)
{
	char *events[] = {event_switches, event_unknown, event_faults};
	struct event_group_request request = container_request(events, 3);
	struct activity_source *source;
	struct activity_cgroup cgroup = {.slot = 20, .root = true, .path = fixture.path};
	uint64_t truth, *counts;
	unsigned before = fixture.context.fd_budget;

	(void)state;
	if (!can_count() || !make_cgroup("count"))
		skip();
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 4, &source), 0);
	assert_int_equal(source->frame.groups[0].n_events, 2);
	assert_string_equal(source->frame.groups[0].events[1], "perf::PAGE-FAULTS");
	assert_int_equal(source->frame.n_places, fixture.topology.n_packages);
	assert_int_equal(source_perf.add(source, &cgroup), 0);
	assert_int_equal(source_perf.add(source, &cgroup), -EBUSY);
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(source->frame.flags[20], ACTIVITY_OPEN | ACTIVITY_FIRST);
	truth = run_child(FAULTS);
	remove_cgroup(); /* the counts outlive the cgroup */
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(source->frame.flags[20], ACTIVITY_OPEN);
	counts = frame_counts(&source->frame, 20);
	assert_near(counts[1], truth);
	assert_true(counts[0] > 0);
	assert_true(frame_counts(&source->frame, 0)[1] >= counts[1]);
	assert_int_equal(source->frame.n_active, 1);
	assert_int_equal(source->frame.active[0], 20);
	assert_true(source->frame.enabled_ns[20] > 0);
	assert_true(source->frame.enabled_ns[20] == source->frame.running_ns[20]);
	assert_int_equal(source_perf.read(source), 0);
	assert_int_equal(counts[1], 0);
	assert_int_equal(source->frame.n_active, 0);
	source_perf.remove(source, &cgroup);
	assert_int_equal(source->frame.flags[20], 0);
	source_perf.close(source);
	assert_int_equal(fixture.context.fd_budget, before);
}

/* Reads of an idle cgroup are skipped: its activity after a pause is in the very next read. */
static void test_counts_after_pauses(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct activity_cgroup cgroup = {.slot = 1, .root = true, .path = fixture.path};
	struct activity_source *source;

	(void)state;
	if (!can_count() || !make_cgroup("pauses"))
		skip();
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 4, &source), 0);
	assert_int_equal(source_perf.add(source, &cgroup), 0);
	for (int tick = 0; tick < 60; tick++) {
		const uint64_t truth = tick % 7 == 3 ? run_child(300) : 0;

		assert_int_equal(source_perf.read(source), 0);
		if (truth)
			assert_near(frame_counts(&source->frame, 1)[0], truth);
		else
			assert_int_equal(frame_counts(&source->frame, 1)[0], 0);
	}
	source_perf.remove(source, &cgroup);
	source_perf.close(source);
	remove_cgroup();
}

static void test_budget_and_errors(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct activity_source *source;
	struct activity_cgroup missing = {.slot = 1, .root = true, .path = "/wattribute-no-such-cgroup"};
	struct activity_cgroup nested = {.slot = 1, .root = false, .path = "/whatever"};
	unsigned budget = fixture.context.fd_budget;

	(void)state;
	if (!can_count() || !make_cgroup("budget"))
		skip();
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 4, &source), 0);
	assert_int_equal(budget - fixture.context.fd_budget, fixture.topology.n_cpus);
	assert_int_equal(source_perf.add(source, &missing), -ENOENT);
	assert_int_equal(source_perf.add(source, &nested), 0);
	fixture.context.fd_budget = 0;
	missing.path = fixture.path;
	assert_int_equal(source_perf.add(source, &missing), -EMFILE);
	assert_int_equal(source_perf.read(source), 0);
	source_perf.close(source);
	fixture.context.fd_budget = budget;
	remove_cgroup();
}

/*
 * One CPU's descriptor fails: the slot is marked as failed, the others' counts are there, the next read
 * catches up.
 */
static void test_failing_read(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct perf_slots slots = {.context = &fixture.context};
	struct activity_frame frame = {0};
	struct perf_plan *plan;
	uint64_t truth, part;
	int kept;

	(void)state;
	if (!can_count() || !make_cgroup("failing"))
		skip();
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_CGROUPS, &request, 1, &plan), 0);
	slots.plan = plan;
	frame.n_groups = frame.n_events = 1;
	frame.n_places = plan->n_places;
	assert_int_equal(perf_slots_open(&slots, &frame, 0, ""), 0);
	assert_int_equal(perf_slots_open(&slots, &frame, 1, fixture.path), 0);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	truth = run_child(FAULTS);
	kept = slots.slots[1].fds[0];
	slots.slots[1].fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_equal(frame.flags[1], ACTIVITY_OPEN | ACTIVITY_FAILED);
	assert_int_equal(frame.flags[0], ACTIVITY_OPEN);
	assert_int_equal(frame.read_failures, 1);
	part = frame_counts(&frame, 1)[0];
	(void)close(slots.slots[1].fds[0]);
	slots.slots[1].fds[0] = kept;
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_equal(frame.flags[1], ACTIVITY_OPEN);
	assert_near(part + frame_counts(&frame, 1)[0], truth);
	perf_slots_done(&slots, &frame);
	perf_plan_free(plan);
	remove_cgroup();
}

static void kill_events(const int *fds, const struct perf_unit *unit)
{
	/* Like the kernel for an offline CPU: the enabled time stops, the counts remain. */
	assert_int_equal(ioctl(fds[unit->first], PERF_EVENT_IOC_DISABLE, PERF_IOC_FLAG_GROUP), 0);
}

/*
 * Every CPU goes offline and comes back, one after the other: its events are reopened and continue to count,
 * and no others are lost.
 */
static void test_cpus_come_back(void **state)
{
	char *events[] = {event_switches, event_faults};
	struct event_group_request request = container_request(events, 2);
	static struct cpu_gaps gaps;
	struct activity_frame frame = {0};
	struct perf_slots slots = {.context = &fixture.context};
	struct perf_plan *plan;
	uint64_t truth = 0, counted = 0;
	const unsigned budget = fixture.context.fd_budget;

	(void)state;
	if (!can_count() || !make_cgroup("hotplug"))
		skip();
	fixture.context.gaps = &gaps;
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_CGROUPS, &request, 1, &plan), 0);
	slots.plan = plan;
	frame = (struct activity_frame){.n_groups = plan->n_groups,
					.groups = plan->groups,
					.n_events = plan->n_events,
					.n_places = plan->n_places};
	assert_int_equal(perf_slots_open(&slots, &frame, ACTIVITY_SLOT_MACHINE, ""), 0);
	assert_int_equal(perf_slots_open(&slots, &frame, 1, fixture.path), 0);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	for (unsigned round = 0; round < 6; round++) {
		const unsigned unit = round % plan->n_units;

		truth += run_child(FAULTS);
		for (unsigned slot = 0; slot < 2; slot++)
			kill_events(slots.slots[slot].fds, &plan->units[unit]);
		/* First the last counts; when nothing has grown any more, the events are reopened. */
		for (unsigned look = 0; look < 2; look++) {
			assert_int_equal(perf_slots_read(&slots, &frame), 0);
			counted += frame_counts(&frame, 1)[1];
		}
		assert_int_equal(gaps.n, 1);
		assert_int_equal(gaps.gaps[0].cpu, plan->units[unit].cpu);
		gaps.n = 0;
	}
	truth += run_child(FAULTS);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	counted += frame_counts(&frame, 1)[1];
	assert_int_equal(gaps.n, 0);
	assert_near(counted, truth);
	assert_int_equal(frame.read_failures, 0);
	fixture.context.gaps = NULL;
	perf_slots_done(&slots, &frame);
	perf_plan_free(plan);
	assert_int_equal(fixture.context.fd_budget, budget);
	remove_cgroup();
}

/* A counter of a package, such as energy, moves to another of its CPUs, and no count is lost or doubled. */
static void test_package_counter_moves(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	static struct cpu_online online;
	static struct cpu_gaps gaps;
	struct activity_frame frame;
	struct perf_slots slots = {.context = &fixture.context};
	struct perf_plan *plan;
	const unsigned first = fixture.topology.cpus[0].id;

	(void)state;
	if (!can_count() || fixture.topology.packages[0].n_cpus < 2)
		skip();
	online = (struct cpu_online){.fd = 0, .length = 1};
	memset(online.now, 0xff, sizeof(online.now));
	online.now[first / 64] &= ~(UINT64_C(1) << (first % 64));
	request.one_cpu_per_socket = true;
	request.of_containers = false;
	fixture.context.gaps = &gaps;
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_SYSTEM, &request, 1, &plan), 0);
	slots.plan = plan;
	frame = (struct activity_frame){.n_groups = plan->n_groups,
					.groups = plan->groups,
					.n_events = plan->n_events,
					.n_places = plan->n_places};
	assert_int_equal(perf_slots_open(&slots, &frame, ACTIVITY_SLOT_MACHINE, ""), 0);
	assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_equal(slots.pulses[0].cpu, first);
	fixture.context.online = &online;
	kill_events(slots.slots[0].fds, &plan->units[0]);
	for (unsigned look = 0; look < 2; look++)
		assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_not_equal(slots.pulses[0].cpu, first);
	assert_int_equal(topology_find_cpu(&fixture.topology, slots.pulses[0].cpu)->package,
			 fixture.topology.cpus[0].package);
	assert_int_equal(gaps.n, 1);
	/* It works there and stays, even when the first CPU is back. */
	online.now[first / 64] |= UINT64_C(1) << (first % 64);
	for (unsigned look = 0; look < 2; look++)
		assert_int_equal(perf_slots_read(&slots, &frame), 0);
	assert_int_not_equal(slots.pulses[0].cpu, first);
	assert_int_equal(gaps.n, 1);
	fixture.context.online = NULL;
	fixture.context.gaps = NULL;
	perf_slots_done(&slots, &frame);
	perf_plan_free(plan);
}

static void test_per_cpu(void **state)
{
	char *events[] = {event_faults};
	struct event_group_request request = container_request(events, 1);
	struct activity_source *source;

	(void)state;
	if (!can_count())
		skip();
	fixture.context.per_cpu = true;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), 0);
	fixture.context.per_cpu = false;
	assert_int_equal(source->frame.n_places, fixture.topology.n_cpus);
	assert_int_equal(source->frame.groups[0].places[0].cpu, fixture.topology.cpus[0].id);
	source_perf.close(source);
}

static void test_strict_and_nothing(void **state)
{
	char *events[] = {event_faults, event_unknown};
	struct event_group_request request = container_request(events, 2);
	struct activity_source *source;

	(void)state;
	if (!can_count())
		skip();
	fixture.context.strict = true;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), -ENOENT);
	fixture.context.strict = false;
	assert_non_null(strstr(fixture.last_line, "NO_SUCH_EVENT_AT_ALL"));
	request.events = events + 1;
	request.n_events = 1;
	assert_int_equal(source_perf.open(&fixture.context, &request, 1, 0, &source), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_a_cgroup),   cmocka_unit_test(test_counts_after_pauses),
		cmocka_unit_test(test_budget_and_errors), cmocka_unit_test(test_failing_read),
		cmocka_unit_test(test_per_cpu),           cmocka_unit_test(test_strict_and_nothing),
		cmocka_unit_test(test_cpus_come_back),    cmocka_unit_test(test_package_counter_moves),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
