/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting by BPF on the real kernel: children in their own cgroups use CPU time, fault pages and switch; the
 * source's values are compared with cpu.stat and the children's own counts. Skipped without the privileges or
 * without BTF.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "source/bpf/source_bpf.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "base/text.h"
#include "machine/topology.h"
#include "base/reason.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define N_CHILDREN 3

static char *software_events[] = {(char[]){"perf::PERF_COUNT_SW_PAGE_FAULTS"},
				  (char[]){"perf::PERF_COUNT_SW_CONTEXT_SWITCHES"}};
static char root[256];

struct children {
	pid_t pids[N_CHILDREN];
	int go[2], done[N_CHILDREN][2];
	char cgroups[N_CHILDREN][300];
};

struct machine {
	struct topology topology;
	struct priv_config config;
	struct source_context context;
	struct activity_source *source;
	struct children children;
};

static void find_root(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};

	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
		if (access(path, W_OK) == 0)
			(void)snprintf(root, sizeof(root), "%s", roots[i]);
	}
}

static int set_up(void **state)
{
	struct machine *machine = calloc(1, sizeof(*machine));

	*state = machine;
	log_set_level(LOG_LEVEL_ERROR);
	machine->config = (struct priv_config){.sysfs_root = "/sys", .perf_root = root};
	assert_int_equal(topology_read("/sys", "/proc", &machine->topology), 0);
	machine->context = (struct source_context){.sysfs_root = "/sys",
						   .procfs_root = "/proc",
						   .topology = &machine->topology,
						   .fd_budget = 1000};
	return priv_client_direct(&machine->config, &machine->context.priv);
}

static int tear_down(void **state)
{
	struct machine *machine = *state;
	struct children *children = &machine->children;

	/* Remains of a failed test. */
	for (int i = 0; i < N_CHILDREN; i++) {
		if (children->pids[i] > 0) {
			(void)kill(children->pids[i], SIGKILL);
			(void)waitpid(children->pids[i], NULL, 0);
		}
		for (int try = 0; children->cgroups[i][0] && rmdir(children->cgroups[i]) < 0 &&
				  errno == EBUSY && try < 1000;
		     try++)
			(void)usleep(1000);
	}
	if (machine->source)
		source_bpf.close(machine->source);
	priv_client_free(machine->context.priv);
	topology_done(&machine->topology);
	free(machine);
	return 0;
}

static bool usable(struct machine *machine, const struct event_group_request *request)
{
	struct reason why = {""};

	if (root[0] && source_bpf.probe(&machine->context, request, 1, &why) == 0)
		return true;
	print_message("# skipped: %s\n", root[0] ? why.text : "no cgroup v2 that may be written to");
	return false;
}

static void cgroup_path(int i, char *path, size_t size)
{
	(void)snprintf(path, size, "%s/wattribute-bpf-%d-%d", root, (int)getpid(), i);
}

static void write_pid(const char *cgroup, pid_t pid)
{
	char path[400], text[32];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	(void)snprintf(text, sizeof(text), "%d", (int)pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	(void)close(fd);
}

/* Waits for a byte, then faults pages in proportion to its number; reports how many it faulted in all. */
static _Noreturn void child_run(int i, int go, int done)
{
	const size_t page = 4096, n = 2000 * (size_t)(i + 1);
	struct rusage before, after;
	long faults;
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(1);
	(void)getrusage(RUSAGE_SELF, &before);
	for (int round = 0; round < 10; round++) {
		char *memory =
			mmap(NULL, n * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		(void)madvise(memory, n * page, MADV_NOHUGEPAGE);
		for (size_t p = 0; p < n; p++)
			memory[p * page] = 1;
		(void)munmap(memory, n * page);
		(void)usleep(10000);
	}
	(void)getrusage(RUSAGE_SELF, &after);
	faults = after.ru_minflt - before.ru_minflt;
	(void)!write(done, &faults, sizeof(faults));
	_exit(0);
}

static void start_children(struct children *children)
{
	assert_int_equal(pipe(children->go), 0);
	for (int i = 0; i < N_CHILDREN; i++) {
		cgroup_path(i, children->cgroups[i], sizeof(children->cgroups[i]));
		assert_int_equal(mkdir(children->cgroups[i], 0755), 0);
		assert_int_equal(pipe(children->done[i]), 0);
		children->pids[i] = fork();
		if (children->pids[i] == 0)
			child_run(i, children->go[0], children->done[i][1]);
		write_pid(children->cgroups[i], children->pids[i]);
	}
}

static void add_all(struct activity_source *source, const struct children *children)
{
	for (int i = 0; i < N_CHILDREN; i++) {
		struct stat status;
		struct activity_cgroup cgroup = {
			.slot = (unsigned)i + 1, .root = true, .path = children->cgroups[i] + strlen(root)};

		assert_int_equal(stat(children->cgroups[i], &status), 0);
		cgroup.id = status.st_ino;
		assert_int_equal(source_bpf.add(source, &cgroup), 0);
	}
}

static uint64_t slot_sum(const struct activity_frame *frame, unsigned slot, unsigned event)
{
	uint64_t sum = 0;

	for (unsigned p = 0; p < frame->n_places; p++)
		sum += frame->counts[((size_t)slot * frame->n_places + p) * frame->n_events + event];
	return sum;
}

static uint64_t usage_us(const char *cgroup)
{
	char path[400], text[1024];

	(void)snprintf(path, sizeof(path), "%s/cpu.stat", cgroup);
	if (text_read_file(text, sizeof(text), "%s", path) < 0)
		return 0;
	return strtoull(text + strlen("usage_usec "), NULL, 10);
}

/* The time that the host has stolen from this machine so far. */
static double stolen_ms(void)
{
	char text[256] = "";
	uint64_t ticks[8] = {0};

	(void)text_read_file(text, sizeof(text), "/proc/stat");
	(void)sscanf(text,
		     "cpu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
		     " %" PRIu64,
		     &ticks[0], &ticks[1], &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]);
	return (double)ticks[7] * 1000.0 / (double)sysconf(_SC_CLK_TCK);
}

static void finish_children(struct children *children, long *faults)
{
	for (int i = 0; i < N_CHILDREN; i++) {
		assert_int_equal(read(children->done[i][0], &faults[i], sizeof(faults[i])),
				 sizeof(faults[i]));
		assert_int_equal(waitpid(children->pids[i], NULL, 0), children->pids[i]);
		children->pids[i] = 0;
		(void)close(children->done[i][0]);
		(void)close(children->done[i][1]);
	}
	(void)close(children->go[0]);
	(void)close(children->go[1]);
}

static void remove_all(struct activity_source *source, struct children *children)
{
	for (int i = 0; i < N_CHILDREN; i++) {
		struct stat status;
		struct activity_cgroup cgroup = {.slot = (unsigned)i + 1, .root = true, .path = "/x"};

		assert_int_equal(stat(children->cgroups[i], &status), 0);
		cgroup.id = status.st_ino;
		source_bpf.remove(source, &cgroup);
		assert_int_equal(source->frame.flags[i + 1] & ACTIVITY_OPEN, 0);
		assert_int_equal(rmdir(children->cgroups[i]), 0);
		children->cgroups[i][0] = '\0';
	}
}

#define FEW_LOST 0.05
#define TRIES    4

/*
 * On a busy machine the kernel does not trace every switch, and tasks that change their cgroup while they run
 * look the same; the resulting loss is counted. Returns the largest fraction of a child's time that may be
 * lost, and adds up the counted fraction of the real counts.
 */
static double try_faults(struct machine *machine, const struct event_group_request *request,
			 bool cpus_come_back, double counted[N_CHILDREN])
{
	const double least = cpus_come_back ? .9 : .99; /* reopening events takes a moment */
	struct activity_source *source;
	long faults[N_CHILDREN];
	uint64_t sums[N_CHILDREN] = {0}, machine_sum = 0, targets_sum = 0, lost_ns = 0;
	double worst = 0;

	start_children(&machine->children);
	assert_int_equal(source_bpf.open(&machine->context, request, 1, 4, &machine->source), 0);
	source = machine->source;
	add_all(source, &machine->children);
	assert_int_equal(source_bpf.read(source), 0);
	assert_int_equal(write(machine->children.go[1], "xyz", N_CHILDREN), N_CHILDREN);
	for (int tick = 0; tick < 6; tick++) {
		(void)usleep(100000);
		if (tick == 5)
			finish_children(&machine->children, faults);
		assert_int_equal(source_bpf.read(source), 0);
		lost_ns += source->frame.lost_ns;
		machine_sum += slot_sum(&source->frame, 0, 0);
		for (unsigned i = 0; i < N_CHILDREN; i++)
			sums[i] += slot_sum(&source->frame, i + 1, 0);
		/*
		 * Reopens each CPU's events as if it had been offline: only the time until then is lost.
		 */
		for (unsigned i = 0; cpus_come_back && tick == 1 && i < machine->topology.n_cpus; i++) {
			assert_int_equal(source_bpf_open_events((struct source_bpf *)source,
								machine->topology.cpus[i].id),
					 0);
		}
	}
	for (int i = 0; i < N_CHILDREN; i++) {
		const double lost =
			(double)lost_ns / (1e3 * (double)usage_us(machine->children.cgroups[i]) + 1);

		print_message("# child %d faulted %ld pages, counted %" PRIu64 "; at most %.1f %% lost\n", i,
			      faults[i], sums[i], 100 * lost);
		assert_true((double)sums[i] > (least - lost) * (double)faults[i]);
		assert_true((double)sums[i] < 1.01 * (double)faults[i]);
		targets_sum += sums[i];
		counted[i] += (double)sums[i] / (double)faults[i];
		worst = lost > worst ? lost : worst;
	}
	assert_true(machine_sum >= targets_sum);
	assert_int_equal(source_bpf.read(source), 0);
	assert_int_equal(source->frame.n_active, 0);
	remove_all(source, &machine->children);
	source_bpf.close(source);
	machine->source = NULL;
	return worst;
}

static void count_faults(void **state, bool cpus_come_back)
{
	const struct event_group_request request = {
		.name = (char[]){"core"}, .of_containers = true, .events = software_events, .n_events = 2};
	struct machine *machine = *state;
	double counted[N_CHILDREN] = {0}, lost = 1;
	int n = 0;

	if (!usable(machine, &request)) {
		skip();
		return;
	}
	while (n < TRIES && lost > FEW_LOST) {
		lost = try_faults(machine, &request, cpus_come_back, counted);
		n++;
	}
	for (int i = 0; i < N_CHILDREN; i++)
		assert_true(counted[i] > .85 * n); /* whatever else runs on the machine */
}

static void faults_are_counted_per_cgroup(void **state)
{
	count_faults(state, false);
}

static void cpus_come_back(void **state)
{
	count_faults(state, true);
}

/* Replaces libbpf's function: called before the next element is stored. */
static void (*before_update)(void);

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	union bpf_attr attr = {
		.map_fd = (__u32)fd, .key = (uintptr_t)key, .value = (uintptr_t)value, .flags = flags};
	void (*now)(void) = before_update;

	before_update = NULL;
	if (now)
		now();
	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* A child that works in the meantime: on one CPU, when told to, and stays there until the end. */
static struct {
	volatile bool go, worked, stop;
	volatile pid_t pid;
	long faults;
} * between;

static void work_in_between(void)
{
	between->go = true;
	while (!between->worked && waitpid(between->pid, NULL, WNOHANG) == 0)
		(void)usleep(1000);
}

static _Noreturn void between_run(unsigned cpu)
{
	struct rusage before, after;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		_exit(1);
	(void)getrusage(RUSAGE_SELF, &before);
	while (!between->go)
		(void)usleep(1000);
	for (int round = 0; round < 5000; round++) {
		char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		memory[0] = 1;
		(void)munmap(memory, 4096);
	}
	(void)usleep(2000); /* the events are read when it is switched out */
	between->worked = true;
	while (!between->stop)
		;
	(void)getrusage(RUSAGE_SELF, &after);
	between->faults = after.ru_minflt - before.ru_minflt;
	_exit(0);
}

/* Activity between opening a CPU's events and their first use is not counted twice. */
static void reopened_events_start_at_zero(void **state)
{
	const struct event_group_request request = {
		.name = (char[]){"core"}, .of_containers = true, .events = software_events, .n_events = 2};
	struct machine *machine = *state;
	struct children *children = &machine->children;
	const unsigned cpu = (unsigned)sched_getcpu();
	struct activity_cgroup cgroup = {.slot = 1, .root = true};
	struct stat status;
	uint64_t sum;

	if (!usable(machine, &request)) {
		skip();
		return;
	}
	between = mmap(NULL, sizeof(*between), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(between, MAP_FAILED);
	cgroup_path(0, children->cgroups[0], sizeof(children->cgroups[0]));
	assert_int_equal(mkdir(children->cgroups[0], 0755), 0);
	assert_int_equal(stat(children->cgroups[0], &status), 0);
	cgroup.id = status.st_ino;
	cgroup.path = children->cgroups[0] + strlen(root);
	children->pids[0] = fork();
	if (children->pids[0] == 0)
		between_run(cpu);
	between->pid = children->pids[0];
	write_pid(children->cgroups[0], children->pids[0]);
	assert_int_equal(source_bpf.open(&machine->context, &request, 1, 4, &machine->source), 0);
	assert_int_equal(source_bpf.add(machine->source, &cgroup), 0);
	assert_int_equal(source_bpf.read(machine->source), 0);
	before_update = work_in_between;
	assert_int_equal(source_bpf_open_events((struct source_bpf *)machine->source, cpu), 0);
	(void)usleep(20000);
	between->stop = true;
	assert_int_equal(waitpid(children->pids[0], NULL, 0), children->pids[0]);
	children->pids[0] = 0;
	assert_int_equal(source_bpf.read(machine->source), 0);
	sum = slot_sum(&machine->source->frame, 1, 0);
	print_message("# %ld pages faulted before the events were in use, %" PRIu64 " counted\n",
		      between->faults, sum);
	assert_true((double)sum < 1.01 * (double)between->faults);
	(void)munmap(between, sizeof(*between));
}

static void time_is_counted_without_events(void **state)
{
	char *missing[] = {(char[]){"NO_SUCH_EVENT_ANYWHERE"}};
	const struct event_group_request request = {
		.name = (char[]){"core"}, .of_containers = true, .events = missing, .n_events = 1};
	struct machine *machine = *state;
	struct children *children = &machine->children;
	struct activity_source *source;
	long faults[N_CHILDREN];
	uint64_t used_us[N_CHILDREN];
	double stolen, lost;

	if (!usable(machine, &request)) {
		skip();
		return;
	}
	start_children(children);
	assert_int_equal(source_bpf.open(&machine->context, &request, 1, 4, &machine->source), 0);
	source = machine->source;
	assert_string_equal(source->frame.groups[0].name, REPORT_GROUP_CPUSTAT);
	for (int i = 0; i < N_CHILDREN; i++)
		used_us[i] = usage_us(children->cgroups[i]);
	add_all(source, children);
	assert_int_equal(source_bpf.read(source), 0);
	stolen = stolen_ms();
	assert_int_equal(write(children->go[1], "xyz", N_CHILDREN), N_CHILDREN);
	finish_children(children, faults);
	assert_int_equal(source_bpf.read(source), 0);
	lost = (double)source->frame.lost_ns * 1e-6;
	stolen = stolen_ms() - stolen;
	for (int i = 0; i < N_CHILDREN; i++) {
		const double stat_ms = (double)(usage_us(children->cgroups[i]) - used_us[i]) * 1e-3;
		const double bpf_ms = (double)slot_sum(&source->frame, (unsigned)i + 1, 0) * 1e-6;

		print_message(
			"# child %d used %.3f ms by cpu.stat, %.3f ms by BPF; %.3f ms lost, %.0f stolen\n", i,
			stat_ms, bpf_ms, lost, stolen);
		/*
		 * In a virtual machine, BPF's wall clock continues while the host runs another guest.
		 */
		if (stat_ms > 0) {
			assert_true(bpf_ms > 0.97 * stat_ms - 2.0 - lost);
			assert_true(bpf_ms < 1.3 * stat_ms + 20.0 + stolen);
		}
	}
	remove_all(source, children);
}

static void other_hierarchy_is_refused(void **state)
{
	const struct event_group_request request = {
		.name = (char[]){"core"}, .of_containers = true, .events = software_events, .n_events = 2};
	struct machine *machine = *state;
	struct reason why = {""};

	machine->context.cgroups_without_perf = true;
	assert_int_equal(source_bpf.probe(&machine->context, &request, 1, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why.text, "-p"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(faults_are_counted_per_cgroup, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cpus_come_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reopened_events_start_at_zero, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_is_counted_without_events, set_up, tear_down),
		cmocka_unit_test_setup_teardown(other_hierarchy_is_refused, set_up, tear_down),
	};

	find_root();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
