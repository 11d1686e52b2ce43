/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting by BPF while tasks change cgroups on a CPU that they share with other tasks of the same cgroup:
 * they move themselves, and lose the CPU in the middle of a move, or another process moves them while they
 * run. Each load counts itself; nothing is lost, and no cgroup gets another's counts. Skipped with the reason
 * if BPF cannot count.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/sensor/source/page_faults.h"
#include "source/source.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/reason.h"
#include "machine/topology.h"
#include "priv/priv_client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOVES   300
#define TURNS   40
#define TRIES   10
#define OTHERS  2
#define SLACK   0.005
#define N_LOADS (OTHERS + 1)

static int ping[2], pong[2];
static char *events[] = {(char[]){"perf::PERF_COUNT_SW_PAGE_FAULTS"},
			 (char[]){"perf::PERF_COUNT_SW_TASK_CLOCK"}};
static const struct event_group_request request = {
	.name = (char[]){"core"}, .of_containers = true, .events = events, .n_events = 2};

static struct {
	struct topology topology;
	struct priv_config config;
	struct source_context context;
	struct activity_source *source;
	char root[256], cgroups[2][300]; /* the loads' cgroup, and the one that one of them moves to */
	pid_t pids[N_LOADS];
} machine;

/* Shared state of the processes. */
static struct {
	volatile bool go, stop, runs, moved;
	volatile long faults, faults_there, ready;
	volatile double seconds_waiting, seconds_there;
} * shared;

enum { HERE, THERE };

static long faults_now(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static int open_procs(int cgroup)
{
	char path[400];

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", machine.cgroups[cgroup]);
	return open(path, O_WRONLY | O_CLOEXEC);
}

/* One system call: further work of a library or a sanitizer would be counted in the new cgroup. */
static void move(int procs_fd, pid_t pid)
{
	char text[16];
	const int length = snprintf(text, sizeof(text), "%d", (int)pid);

	if (write(procs_fd, text, (size_t)length) != length)
		_exit(2);
}

static int set_up(void **state)
{
	(void)state;
	if (topology_read("/sys", "/proc", &machine.topology) < 0)
		return -1;
	machine.context.topology = &machine.topology;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return shared == MAP_FAILED ? -1 : priv_client_direct(&machine.config, &machine.context.priv);
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < N_LOADS; i++)
		if (machine.pids[i] > 0) {
			(void)kill(machine.pids[i], SIGKILL);
			(void)waitpid(machine.pids[i], NULL, 0);
			machine.pids[i] = 0;
		}
	for (int i = 0; i < 2; i++)
		for (int tries = 0;
		     machine.cgroups[i][0] && rmdir(machine.cgroups[i]) < 0 && errno == EBUSY && tries < 1000;
		     tries++)
			(void)usleep(1000);
	if (machine.source)
		source_bpf.close(machine.source);
	machine.source = NULL;
	priv_client_free(machine.context.priv);
	topology_done(&machine.topology);
	return munmap(shared, sizeof(*shared));
}

static bool usable(void)
{
	struct reason why = {"no cgroup v2 that may be written to"};

	if (machine.root[0] && source_bpf.probe(&machine.context, &request, 1, &why) == 0)
		return true;
	print_message("# skipped: %s\n", why.text);
	return false;
}

/* On the last CPU, in the first cgroup. */
static void start(int i, void (*run)(int number))
{
	machine.pids[i] = fork();
	if (machine.pids[i] == 0) {
		cpu_set_t set;

		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		CPU_ZERO(&set);
		CPU_SET(machine.topology.cpus[machine.topology.n_cpus - 1].id, &set);
		move(open_procs(HERE), 0);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			_exit(3);
		(void)__atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
		while (!shared->go)
			(void)usleep(1000);
		run(i);
		_exit(0);
	}
}

static void count_both(void)
{
	assert_int_equal(source_bpf.open(&machine.context, &request, 1, 3, &machine.source), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct activity_cgroup cgroup = {
			.slot = i + 1, .root = true, .path = machine.cgroups[i] + strlen(machine.root)};
		struct stat status;

		(void)snprintf(machine.cgroups[i], sizeof(machine.cgroups[i]), "%s/wattribute-moves-%d-%u",
			       machine.root, (int)getpid(), i);
		assert_int_equal(mkdir(machine.cgroups[i], 0755), 0);
		assert_int_equal(stat(machine.cgroups[i], &status), 0);
		cgroup.id = status.st_ino;
		assert_int_equal(source_bpf.add(machine.source, &cgroup), 0);
	}
}

static void let_go(int n)
{
	while (shared->ready < n)
		(void)usleep(1000);
	assert_int_equal(source_bpf.read(machine.source), 0);
	shared->go = true;
}

static uint64_t sum(unsigned slot, unsigned event)
{
	const struct activity_frame *frame = &machine.source->frame;
	uint64_t total = 0;

	for (unsigned p = 0; p < frame->n_places; p++)
		total += frame->counts[((size_t)slot * frame->n_places + p) * frame->n_events + event];
	return total;
}

static void finish(int n)
{
	for (int i = 0; i < n; i++) {
		int status;

		assert_int_equal(waitpid(machine.pids[i], &status, 0), machine.pids[i]);
		machine.pids[i] = 0;
		assert_int_equal(status, 0);
	}
	assert_int_equal(source_bpf.read(machine.source), 0);
}

static void keep_faulting(int number)
{
	const long before = faults_now();

	(void)number;
	while (!shared->stop)
		fault(20);
	(void)__atomic_add_fetch(&shared->faults, faults_now() - before, __ATOMIC_SEQ_CST);
}

/* Does very little in the cgroup that it moves to: anything more counted there is another task's. */
static void move_itself(int number)
{
	const long before = faults_now();
	const int here = open_procs(HERE), there = open_procs(THERE);
	long seen;

	(void)number;
	for (int i = 0; i < MOVES; i++) {
		move(there, 0);
		seen = faults_now();
		fault(3);
		shared->faults_there += faults_now() - seen;
		move(here, 0);
	}
	shared->stop = true;
	(void)__atomic_add_fetch(&shared->faults, faults_now() - before, __ATOMIC_SEQ_CST);
}

static bool is_near(const char *what, uint64_t counted, long own)
{
	print_message("# %s: %ld page faults, %" PRIu64 " counted (%+.2f %%)\n", what, own, counted,
		      ((double)counted / (double)own - 1) * 100);
	return fabs((double)counted - (double)own) <= SLACK * (double)own + 8;
}

static void say_lost(void)
{
	print_message("# belongs to nobody for sure: %.1f ms of %.1f\n",
		      (double)machine.source->frame.lost_ns * 1e-6, (double)(sum(1, 1) + sum(2, 1)) * 1e-6);
}

/* Nothing is lost if the kernel traces every switch, which must happen in one of a few tries. */
static void moves_by_itself(void **state)
{
	bool is_good = false;

	for (int tries = 0; tries < TRIES && !is_good; tries++) {
		if (tries > 0 && (tear_down(state) < 0 || set_up(state) < 0))
			break;
		if (!usable()) {
			skip();
			return;
		}
		count_both();
		for (int i = 0; i < OTHERS; i++)
			start(i, keep_faulting);
		start(OTHERS, move_itself);
		let_go(N_LOADS);
		finish(N_LOADS);
		say_lost();
		is_good = is_near("moved itself", sum(2, 0), shared->faults_there) &&
			  is_near("both cgroups", sum(1, 0) + sum(2, 0), shared->faults) &&
			  machine.source->frame.lost_ns == 0;
	}
	assert_true(is_good);
}

/* With the highest priority, so that the CPU switches between the loads without leaving the cgroup. */
static void be_first(void)
{
	const struct sched_param first = {.sched_priority = 1};

	(void)sched_setscheduler(0, SCHED_FIFO, &first);
}

static double used_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Works, then wakes the other load. */
static void wake_the_other(int number)
{
	const long before = faults_now();
	char byte;

	(void)number;
	be_first();
	for (int i = 0; i < TURNS; i++) {
		fault(400);
		if (write(ping[1], "", 1) != 1 || read(pong[0], &byte, 1) != 1)
			_exit(4);
	}
	(void)__atomic_add_fetch(&shared->faults, faults_now() - before, __ATOMIC_SEQ_CST);
}

/* Runs until it is moved and, there, until it leaves the CPU. */
static void wait_for_moves(int number)
{
	const long before = faults_now();
	double began, since;
	char byte;

	(void)number;
	be_first();
	for (int i = 0; i < TURNS; i++) {
		if (read(ping[0], &byte, 1) != 1)
			_exit(5);
		began = used_s();
		shared->runs = true;
		while (shared->runs)
			;
		since = used_s();
		shared->seconds_waiting += since - began;
		fault(200);
		(void)usleep(100);
		shared->seconds_there += used_s() - since;
		shared->moved = true;
		while (shared->moved)
			;
		if (write(pong[1], "", 1) != 1)
			_exit(6);
	}
	(void)__atomic_add_fetch(&shared->faults, faults_now() - before, __ATOMIC_SEQ_CST);
}

/* Moves it there, and back after it has worked there. */
static void move_the_other(pid_t pid)
{
	const int here = open_procs(HERE), there = open_procs(THERE);

	be_first();
	for (int i = 0; i < TURNS; i++) {
		while (!shared->runs)
			(void)usleep(100);
		move(there, pid);
		shared->runs = false;
		while (!shared->moved)
			(void)usleep(100);
		move(here, pid);
		shared->moved = false;
	}
	(void)sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
	(void)close(here);
	(void)close(there);
}

/*
 * Counts between two switches are divided by time: the part after the move is the new cgroup's. The load that
 * ran before in the old one is not included.
 */
static void moves_by_another_process(void **state)
{
	bool is_good = false;

	for (int tries = 0; tries < TRIES && !is_good; tries++) {
		double there_ms, own_ms, waiting_ms;

		if (tries > 0 && (tear_down(state) < 0 || set_up(state) < 0))
			break;
		if (!usable() || machine.topology.n_cpus < 2) {
			skip();
			return;
		}
		assert_int_equal(pipe(ping) | pipe(pong), 0);
		count_both();
		start(0, wake_the_other);
		start(1, wait_for_moves);
		let_go(2);
		move_the_other(machine.pids[1]);
		finish(2);
		say_lost();
		there_ms = (double)sum(2, 1) * 1e-6, own_ms = shared->seconds_there * 1e3;
		waiting_ms = shared->seconds_waiting * 1e3; /* it was moved during this time */
		print_message("# was moved: %.1f to %.1f ms there, %.1f counted\n", own_ms,
			      own_ms + waiting_ms, there_ms);
		is_good = is_near("both cgroups", sum(1, 0) + sum(2, 0), shared->faults) &&
			  machine.source->frame.lost_ns == 0 && there_ms > 0.9 * own_ms &&
			  there_ms < own_ms + waiting_ms + (double)(sum(1, 1) + sum(2, 1)) * 1e-6 / 8;
	}
	assert_true(is_good);
}

int main(void)
{
	static const char *const roots[] = {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(moves_by_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(moves_by_another_process, set_up, tear_down),
	};

	log_set_level(LOG_LEVEL_ERROR);
	for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", roots[i]);
		if (access(path, W_OK) == 0)
			(void)snprintf(machine.root, sizeof(machine.root), "%s", roots[i]);
	}
	machine.config = (struct priv_config){.sysfs_root = "/sys", .perf_root = machine.root};
	machine.context = (struct source_context){.sysfs_root = "/sys",
						  .procfs_root = "/proc",
						  .cpu_root = machine.root,
						  .cpu_root_v2 = true,
						  .fd_budget = 1000};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
