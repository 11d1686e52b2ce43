/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perf plans for other machines: two sockets, hybrid cores, uncore boxes, more events than counters. A
 * stand-in for the privileged process answers: it accepts at most two events in a group, and no event with
 * config 99.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "document/batch.h"
#include "process/ipc.h"
#include "base/log.h"
#include "source/choose.h"
#include "source/perf/perf_plan.h"
#include "priv/priv_client.h"
#include "priv/priv_message.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <fcntl.h>
#include <sys/wait.h>

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct source_context context;
	pid_t server;
	char log[4096];
} fixture;

static void keep_lines(void *data, enum log_level level, const char *token, const char *line)
{
	size_t length = strlen(fixture.log);

	(void)data;
	(void)level;
	(void)token;
	(void)snprintf(fixture.log + length, sizeof(fixture.log) - length, "%s\n", line);
}

/* The stand-in's answer for a group: config 99 cannot be opened, 98 opens but cannot be read. */
static int64_t judge(const struct ipc_message *request, unsigned *ret_n, bool *ret_dead)
{
	struct priv_room room;
	struct priv_message message;
	int64_t error = priv_message_read(request->type, request->payload, request->length, &room, &message);

	*ret_n = message.group.n_events;
	for (unsigned i = 0; error == 0 && i < *ret_n; i++)
		*ret_dead |= message.group.events[i].config == 98;
	for (unsigned i = 0; error == 0 && i < *ret_n; i++)
		error = message.group.events[i].config == 99 ? -ENOENT : 0;
	return *ret_n > 2 ? -EINVAL : error;
}

static void serve(int socket)
{
	void *buffer = malloc(IPC_MESSAGE_MAX + 16);
	struct ipc_message request;
	int counts = open("/dev/zero", O_RDONLY | O_CLOEXEC), dead = open("/dev/null", O_RDONLY | O_CLOEXEC);

	while (buffer && ipc_receive(socket, buffer, IPC_MESSAGE_MAX + 16, &request) == 1) {
		int fds[PRIV_GROUP_EVENTS_MAX];
		struct batch payload = {0};
		unsigned n;
		bool is_dead = false;
		int64_t error = judge(&request, &n, &is_dead);

		for (unsigned i = 0; i < n; i++)
			fds[i] = is_dead ? dead : counts;
		(void)ipc_put_i64(&payload, error);
		(void)ipc_put_string(&payload, "");
		(void)ipc_send(socket, request.type | PRIV_ANSWER, request.tag, payload.data, payload.length,
			       fds, error ? 0 : n);
		batch_done(&payload);
	}
	free(buffer);
	_exit(0);
}

/* Two sockets of four cores with two threads each: CPUs 0-3 and 8-11, 4-7 and 12-15. */
static int set_up(void **state)
{
	int sockets[2];

	(void)state;
	fixture.tree = fake_new();
	fixture.log[0] = '\0';
	fake_topology(&fixture.tree, 2, 4, 2);
	fake_pmu(&fixture.tree, "power", 20, "0,4");
	fake_event(&fixture.tree, "power", "energy-pkg", "config=2", "0.5");
	fake_event(&fixture.tree, "power", "energy-ram", "config=99", "0.5");
	fake_pmu(&fixture.tree, "cpu", 4, NULL);
	fake_event(&fixture.tree, "cpu", "a", "config=1", NULL);
	fake_event(&fixture.tree, "cpu", "b", "config=2", NULL);
	fake_event(&fixture.tree, "cpu", "c", "config=3", NULL);
	fake_pmu(&fixture.tree, "cpu_atom", 11, NULL);
	fake_write(&fixture.tree, "bus/event_source/devices/cpu_atom/cpus", "8-15");
	fake_event(&fixture.tree, "cpu_atom", "a", "config=1", NULL);
	fake_pmu(&fixture.tree, "uncore_imc_0", 21, "1,5");
	fake_pmu(&fixture.tree, "uncore_imc_1", 22, "1,5");
	fake_event(&fixture.tree, "uncore_imc_0", "cas", "config=4", NULL);
	fake_event(&fixture.tree, "uncore_imc_1", "cas", "config=4", NULL);
	log_set_sink(keep_lines, NULL);
	if (topology_read(fixture.tree.root, fixture.tree.root, &fixture.topology) < 0 ||
	    ipc_pair(sockets) < 0)
		return 1;
	fixture.server = fork();
	if (fixture.server == 0) {
		(void)close(sockets[1]);
		serve(sockets[0]);
	}
	(void)close(sockets[0]);
	fixture.context = (struct source_context){.sysfs_root = fixture.tree.root,
						  .procfs_root = fixture.tree.root,
						  .topology = &fixture.topology,
						  .fd_budget = 1000};
	return priv_client_connect(sockets[1], &fixture.context.priv);
}

static int tear_down(void **state)
{
	(void)state;
	priv_client_free(fixture.context.priv);
	(void)waitpid(fixture.server, NULL, 0);
	log_set_sink(NULL, NULL);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}

static struct perf_plan *plan_of(enum perf_plan_kind kind, bool one_cpu, char **events, unsigned n)
{
	struct event_group_request request = {.name = (char *)(uintptr_t) "g",
					      .of_containers = kind == PERF_PLAN_CGROUPS,
					      .one_cpu_per_socket = one_cpu,
					      .events = events,
					      .n_events = n};
	struct perf_plan *plan = NULL;

	assert_int_equal(perf_plan_new(&fixture.context, kind, &request, 1, &plan), 0);
	return plan;
}

static char cpu_a[] = "cpu/a/", cpu_b[] = "cpu/b/", cpu_c[] = "cpu/c/", atom_a[] = "cpu_atom/a/";
static char pkg[] = "RAPL_ENERGY_PKG", dram[] = "RAPL_ENERGY_DRAM", cas[] = "uncore_imc/cas/";

/* Three events, two counters: each CPU has a group of one and a group of two; the places are the packages. */
static void test_more_events_than_counters(void **state)
{
	char *events[] = {cpu_a, cpu_b, cpu_c};
	struct perf_plan *plan = plan_of(PERF_PLAN_CGROUPS, false, events, 3);

	(void)state;
	assert_int_equal(plan->n_events, 3);
	assert_int_equal(plan->n_places, 2);
	assert_int_equal(plan->places[1].package, 1);
	assert_int_equal(plan->places[1].cpu, 4);
	assert_int_equal(plan->n_units, 32);
	assert_int_equal(plan->n_fds, 48);
	for (unsigned i = 0; i < plan->n_units; i++) {
		assert_int_equal(plan->units[i].n_sharing, 2);
		assert_int_equal(plan->units[i].n_events, 1 + i % 2);
		assert_int_equal(plan->units[i].cpu, i / 2);
		assert_int_equal(plan->units[i].place, i / 2 % 8 / 4);
	}
	assert_int_equal(plan->columns[plan->units[1].first], 1);
	perf_plan_free(plan);
}

static void test_energy(void **state)
{
	char *events[] = {pkg, dram, cpu_a};
	struct perf_plan *plan = plan_of(PERF_PLAN_ENERGY, true, events, 3);

	(void)state;
	assert_int_equal(plan->n_events, 1);
	assert_true(plan->joules_per_count[0] == 0.5);
	assert_int_equal(plan->n_places, 2);
	assert_int_equal(plan->n_units, 2);
	assert_int_equal(plan->units[1].cpu, 4);
	assert_int_equal(plan->attrs[0].type, 20);
	assert_non_null(strstr(fixture.log, "without event RAPL_ENERGY_DRAM: PMU 'power'"));
	assert_non_null(strstr(fixture.log, "without event cpu/a/: not an energy event"));
	perf_plan_free(plan);
}

/*
 * With -o: the CPUs of the cpumask for uncore, the lowest CPU of each package for the rest; one place per
 * package.
 */
static void test_one_cpu(void **state)
{
	char *events[] = {cpu_a, cas};
	struct perf_plan *plan = plan_of(PERF_PLAN_SYSTEM, true, events, 2);

	(void)state;
	assert_int_equal(plan->n_places, 2);
	assert_int_equal(plan->places[0].cpu, 0);
	assert_int_equal(plan->n_units, 2 + 4); /* two boxes in each package */
	assert_int_equal(plan->units[1].cpu, 1);
	assert_int_equal(plan->units[1].n_sharing, 2);
	assert_int_equal(plan->columns[plan->units[1].first], 1);
	assert_int_equal(plan->columns[plan->units[2].first], 1);
	perf_plan_free(plan);
	plan = plan_of(PERF_PLAN_SYSTEM, false, events, 2);
	assert_int_equal(plan->n_places, 16);
	assert_int_equal(plan->places[4].cpu, 8); /* by package, then CPU */
	perf_plan_free(plan);
}

/* A reloaded driver has a new type, and its old one may belong to another driver. */
static void test_another_type(void **state)
{
	char *events[] = {pkg};
	struct perf_plan *plan = plan_of(PERF_PLAN_ENERGY, true, events, 1);
	char path[128];

	(void)state;
	assert_int_equal(plan->attrs[1].type, 20);
	fake_pmu(&fixture.tree, "power", 23, "0,4");
	assert_true(perf_plan_renew(plan, 1, fixture.tree.root));
	assert_int_equal(plan->attrs[1].type, 23);
	assert_int_equal(plan->attrs[1].config, 2);
	(void)snprintf(path, sizeof(path), "%s/bus/event_source/devices/power/type", fixture.tree.root);
	assert_int_equal(unlink(path), 0);
	assert_false(perf_plan_renew(plan, 1, fixture.tree.root)); /* it is missing now: nothing is opened */
	perf_plan_free(plan);
	events[0] = cpu_a; /* with a type fixed by the kernel */
	plan = plan_of(PERF_PLAN_SYSTEM, true, events, 1);
	assert_true(perf_plan_renew(plan, 0, "/nonexistent"));
	assert_int_equal(plan->attrs[0].type, 4);
	perf_plan_free(plan);
}

/* Counters of a package that appear after the start: the source is opened again with them, and only then. */
static void test_late_package(void **state)
{
	char *events[] = {pkg, dram};
	struct event_group_request request = {.name = (char *)(uintptr_t) "rapl",
					      .one_cpu_per_socket = true,
					      .events = events,
					      .n_events = 2};
	struct choose_extent before, after;
	struct system_source *source, *wider;
	const unsigned budget = fixture.context.fd_budget;

	(void)state;
	fake_pmu(&fixture.tree, "power", 20, "0");
	choose_energy_extent(fixture.tree.root, &before);
	assert_int_equal(source_rapl.open(&fixture.context, &request, &source), 0);
	assert_int_equal(source->group.n_places, 1);
	assert_null(choose_wider(&fixture.context, &request, source));
	fake_pmu(&fixture.tree, "power", 20, "0,4");
	choose_energy_extent(fixture.tree.root, &after);
	assert_true(after.n[0] > before.n[0]);
	wider = choose_wider(&fixture.context, &request, source);
	assert_non_null(wider);
	assert_int_equal(wider->group.n_places, 2);
	assert_int_equal(wider->group.places[1].package, 1);
	assert_non_null(strstr(fixture.log, "now has more counters: 1 events of 2 sockets"));
	assert_null(choose_wider(&fixture.context, &request, wider));
	source_rapl.close(source);
	source_rapl.close(wider);
	assert_int_equal(fixture.context.fd_budget, budget);
}

static void test_uncore_of_containers(void **state)
{
	char *events[] = {cas, cpu_b};
	struct perf_plan *plan = plan_of(PERF_PLAN_CGROUPS, false, events, 2);

	(void)state;
	assert_int_equal(plan->n_events, 1);
	assert_non_null(strstr(fixture.log, "cannot tell containers apart"));
	perf_plan_free(plan);
}

static void test_hybrid(void **state)
{
	char *events[] = {atom_a};
	struct perf_plan *plan = plan_of(PERF_PLAN_CGROUPS, false, events, 1);

	(void)state;
	assert_int_equal(plan->n_units, 8);
	assert_int_equal(plan->units[0].cpu, 8);
	assert_int_equal(plan->n_places, 2);
	assert_int_equal(plan->places[1].cpu, 12);
	perf_plan_free(plan);
	plan = plan_of(PERF_PLAN_SYSTEM, true, events, 1);
	assert_int_equal(plan->n_units, 2);
	assert_int_equal(plan->units[1].cpu, 12);
	perf_plan_free(plan);
}

/*
 * A counter that opens but cannot be read is not used; without the sockets' energy, memory's alone is not
 * used either.
 */
static void test_dead_counter(void **state)
{
	char gpu[] = "RAPL_ENERGY_GPU", *events[] = {pkg, gpu}, *both[] = {pkg, dram};
	struct event_group_request request = {.name = (char *)(uintptr_t) "g", .events = both, .n_events = 2};
	struct perf_plan *plan;
	struct reason why = {""};

	(void)state;
	fake_event(&fixture.tree, "power", "energy-gpu", "config=98", "0.5");
	plan = plan_of(PERF_PLAN_ENERGY, true, events, 2);
	assert_int_equal(plan->n_events, 1);
	assert_non_null(
		strstr(fixture.log, "without event RAPL_ENERGY_GPU: PMU 'power': the counter opens, but"));
	perf_plan_free(plan);
	fake_event(&fixture.tree, "power", "energy-pkg", "config=98", "0.5");
	fake_event(&fixture.tree, "power", "energy-ram", "config=3", "0.5");
	assert_int_equal(perf_plan_probe(&fixture.context, PERF_PLAN_ENERGY, &request, 1, &why), -EIO);
	assert_non_null(strstr(why.text, "cannot be read"));
}

static void test_nothing_left(void **state)
{
	char *events[] = {dram};
	struct event_group_request request = {
		.name = (char *)(uintptr_t) "g", .events = events, .n_events = 1};
	struct perf_plan *plan;
	struct reason why;

	(void)state;
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_ENERGY, &request, 1, &plan), -ENOENT);
	assert_int_equal(perf_plan_probe(&fixture.context, PERF_PLAN_ENERGY, &request, 1, &why), -ENOENT);
	assert_non_null(strstr(why.text, "RAPL_ENERGY_DRAM: PMU 'power'"));
	request.n_events = 0;
	assert_int_equal(perf_plan_new(&fixture.context, PERF_PLAN_ENERGY, &request, 1, &plan), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_more_events_than_counters, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_energy, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_cpu, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_another_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_late_package, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_uncore_of_containers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hybrid, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dead_counter, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_left, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
