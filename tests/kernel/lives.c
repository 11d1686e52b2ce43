/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads in cgroups of their own, which count themselves: processes that fault pages, switch, fork, use
 * threads, move from cgroup to cgroup, live for 3 to 300 ms, or work in nested cgroups. usage: lives FOLDER
 * SECONDS Creates the cgroups below FOLDER and prints for each one that was used: NAME FAULTS SWITCHES TIME
 * TASKS. TIME: nanoseconds by the scheduler's own account of the cgroup, which excludes interrupts and
 * includes the exits of processes, which their parents do not see; the line "irq" has the interrupts of all
 * CPUs. TASKS: the possible number of extra switches: the last one of each task that ended, and those during
 * a move. The cgroups stay until `lives FOLDER 0` removes them. LIVES_GO=FILE: the loads exist, and begin
 * when the file exists: for a source that is not notified of new cgroups.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
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

#define PAGE 4096UL
/* A container's cgroup by its name, so that it counts as one target with its nested cgroups. */
#define NEST "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"

static const char *folder;
static struct plan {
	double begin, until; /* of the long loads */
} * plan;
static bool wait_for_begin = true;
static int let_go[2]; /* a byte for each of them */
static double until;
static bool late; /* the source comes late: time counts from the loads' begin, not from the creation */
static struct shared {
	long n_tasks;      /* that end */
	int64_t before_ns; /* the cgroup's time that is not judged */
} * shared;                /* with the load being started */

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void nap(long us)
{
	const struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	(void)nanosleep(&time, NULL);
}

static void fault(size_t pages)
{
	char *memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		_exit(4);
	(void)madvise(memory, pages * PAGE, MADV_NOHUGEPAGE);
	for (size_t p = 0; p < pages; p++)
		((volatile char *)memory)[p * PAGE] = 1;
	(void)munmap(memory, pages * PAGE);
}

static void make(const char *name)
{
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (mkdir(path, 0755) < 0 && errno != EEXIST) {
		perror(path);
		exit(1);
	}
}

static void join(const char *name, pid_t pid)
{
	char path[300], text[20];
	const int n = snprintf(text, sizeof(text), "%d", (int)pid);
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s/cgroup.procs", folder, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, (size_t)n) != n) {
		perror(path);
		_exit(2);
	}
	(void)close(fd);
}

struct counts {
	long faults, switches;
};

static struct counts counts_of(const struct rusage *usage)
{
	return (struct counts){
		.faults = usage->ru_minflt + usage->ru_majflt,
		.switches = usage->ru_nvcsw + usage->ru_nivcsw,
	};
}

static struct counts counts_now(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_SELF, &usage);
	return counts_of(&usage);
}

static struct counts minus(struct counts a, struct counts b)
{
	return (struct counts){a.faults - b.faults, a.switches - b.switches};
}

/* The number after `key` at the beginning of a line of the file, or the file's first number; -1: none. */
static int64_t read_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	int64_t value = -1;
	char line[300];

	while (file && value < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoll(line + strlen(key), NULL, 10);
	if (file)
		(void)fclose(file);
	return value;
}

/* With v2 or v1; the time of a cgroup nested in another load's is counted there. */
static int64_t time_of(const char *name)
{
	const char *inner = strchr(name, '/');
	char path[8300];
	int64_t us;

	if (inner && strchr(inner + 1, '/'))
		return 0;
	(void)snprintf(path, sizeof(path), "%s/%s/cpu.stat", folder, name);
	us = read_number(path, "usage_usec ");
	if (us >= 0)
		return us * 1000;
	(void)snprintf(path, sizeof(path), "%s/%s/cpuacct.usage", folder, name);
	return read_number(path, "");
}

/* Hard and soft interrupts of all CPUs, in clock ticks. */
static int64_t interrupts_ns(void)
{
	FILE *file = fopen("/proc/stat", "re");
	int64_t hard = 0, soft = 0;

	if (!file || fscanf(file, "cpu %*d %*d %*d %*d %*d %" SCNd64 " %" SCNd64, &hard, &soft) != 2)
		exit(1);
	(void)fclose(file);
	return (hard + soft) * (1000000000 / sysconf(_SC_CLK_TCK));
}

/* Printed at the end, when all loads have ended. */
static struct kept {
	char name[100];
	struct counts counts;
	struct shared shared;
} kept[64];
static size_t n_kept;

static void keep(const char *name, struct counts counts, const struct shared *how)
{
	if (n_kept == sizeof(kept) / sizeof(kept[0]))
		exit(1);
	(void)snprintf(kept[n_kept].name, sizeof(kept[n_kept].name), "%s", name);
	kept[n_kept].counts = counts;
	kept[n_kept++].shared = *how;
}

static void print_kept(int64_t irq_ns)
{
	for (const struct kept *at = kept; at < kept + n_kept; at++)
		printf("%s %ld %ld %" PRId64 " %ld\n", at->name, at->counts.faults, at->counts.switches,
		       time_of(at->name) - at->shared.before_ns, at->shared.n_tasks);
	printf("irq 0 0 %" PRId64 " 0\n", irq_ns);
}

static void steady(int number)
{
	while (now_s() < until) {
		fault(20U * (unsigned)(number + 1));
		nap(3000 + 1000 * number);
	}
}

static void burn(int number)
{
	(void)number;
	while (now_s() < until)
		fault(1);
}

static void forks(int number)
{
	(void)number;
	while (now_s() < until) {
		const pid_t pid = fork();

		if (pid == 0) {
			fault(30);
			_exit(0);
		}
		(void)waitpid(pid, NULL, 0);
		shared->n_tasks++;
	}
}

static void *thread(void *data)
{
	const long n_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (long at = (long)(intptr_t)data; now_s() < until; at++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)(at % n_cpus), &set);
		(void)sched_setaffinity(0, sizeof(set), &set);
		fault(10);
		nap(1000);
	}
	return NULL;
}

static void threads(int number)
{
	pthread_t all[4];

	(void)number;
	for (long i = 0; i < 4; i++)
		(void)pthread_create(&all[i], NULL, thread, (void *)(intptr_t)i);
	for (int i = 0; i < 4; i++)
		(void)pthread_join(all[i], NULL);
	shared->n_tasks += 4;
}

static int ping[2], pong[2];

/* Two cgroups that wake each other: the highest possible rate of switches. */
static void player(int number)
{
	const int in = number ? ping[0] : pong[0], out = number ? pong[1] : ping[1];
	char byte = 0;

	/* A partner that has ended leaves nothing to read, so each writes one last byte. */
	while (now_s() < until)
		if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
			_exit(3);
	(void)!write(out, &byte, 1);
}

static const struct load {
	const char *name;
	void (*run)(int number);
	int number;
} loads[] = {
	{"steady-0", steady, 0}, {"steady-1", steady, 1}, {"burn", burn, 0},
	{"forks", forks, 0},     {"threads", threads, 0}, {"ping", player, 0},
	{"pong", player, 1},     {NEST "/a", steady, 2},  {NEST "/a/b", steady, 3},
};
#define N_LOADS (sizeof(loads) / sizeof(loads[0]))

struct life {
	pid_t pid;
	int before_fd;
	const struct shared *shared;
};

/* In one sleep, without polling: a source that comes late would miss those switches. */
static void wait_and_plan(void)
{
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (read(let_go[0], &byte, 1) != 1)
		_exit(5);
	while (now_s() < plan->begin)
		nap((long)((plan->begin - now_s()) * 1e6) + 1000);
	until = plan->until;
}

/* Now, or when the file exists; a moment later, so that all loads begin together. */
static void let_begin(const char *go, double seconds)
{
	while (go && access(go, F_OK) < 0)
		nap(50000);
	plan->begin = now_s() + (go ? 0.5 : 2);
	plan->until = plan->begin + seconds;
	for (size_t i = 0; i < N_LOADS; i++)
		if (write(let_go[1], "", 1) != 1)
			exit(1);
}

/* Runs in the cgroup, reports its counts before. Forked children's counts are added to their parent's.
 */
static struct life start(const char *name, void (*run)(int), int number)
{
	int before[2];
	pid_t pid;

	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pipe(before) < 0 || shared == MAP_FAILED)
		exit(1);
	shared->n_tasks = 1;
	pid = fork();
	if (pid == 0) {
		struct counts counts;

		/* Its first call faults pages in: done before the move. */
		until = now_s();
		nap(1);
		counts = counts_now();
		join(name, getpid());
		counts = counts_now();
		if (write(before[1], &counts, sizeof(counts)) != sizeof(counts))
			_exit(1);
		if (wait_for_begin)
			wait_and_plan();
		if (late)
			shared->before_ns = time_of(name);
		run(number);
		_exit(0);
	}
	(void)close(before[1]);
	return (struct life){pid, before[0], shared};
}

static void finish(const char *name, const struct life *life, struct counts *ret_counts)
{
	struct counts before = {0};
	struct rusage usage;
	int status = 0;

	if (read(life->before_fd, &before, sizeof(before)) != sizeof(before) ||
	    wait4(life->pid, &status, 0, &usage) != life->pid || status != 0) {
		fprintf(stderr, "lives: a load ended with status %#x\n", (unsigned)status);
		exit(1);
	}
	(void)close(life->before_fd);
	*ret_counts = minus(counts_of(&usage), before);
	if (name)
		keep(name, *ret_counts, life->shared);
}

static void live_ms(int ms)
{
	until = now_s() + ms * 1e-3;
	fault(200);
	while (now_s() < until)
		;
}

/* One after the other while the others run. */
static void brief_lives(void)
{
	static const int lengths[] = {300, 30, 3};

	for (int i = 0; i < 18; i++) {
		const int ms = lengths[i % 3];
		struct counts counts;
		struct life life;
		char name[40];

		(void)snprintf(name, sizeof(name), "life-%d-%d", ms, i);
		make(name);
		life = start(name, live_ms, ms);
		finish(name, &life, &counts);
	}
}

#define MOVES 30
static int moves[2];

/* Counts of a task in a cgroup, and those while it moved between two, which the kernel gives to either. */
struct away {
	struct counts there;
	long switches_between;
};

/* Moves itself away and back; reports its counts while it was away. */
static void mover(int number)
{
	struct away away = {.switches_between = 0};

	(void)number;
	for (int i = 0; i < MOVES; i++) {
		struct counts first, arrived, leaving, back;

		fault(100);
		first = counts_now();
		join("to", getpid());
		arrived = counts_now();
		fault(170);
		leaving = counts_now();
		join("from", getpid());
		back = counts_now();
		away.there.faults += back.faults - arrived.faults;
		away.there.switches += leaving.switches - arrived.switches;
		away.switches_between += arrived.switches - first.switches + back.switches - leaving.switches;
	}
	(void)!write(moves[1], &away, sizeof(away));
}

static void a_move(void)
{
	struct counts all;
	struct shared how;
	struct away away;
	struct life life;

	make("from");
	make("to");
	if (pipe(moves) < 0)
		exit(1);
	life = start("from", mover, 0);
	finish(NULL, &life, &all);
	if (read(moves[0], &away, sizeof(away)) != sizeof(away))
		exit(1);
	all = minus(all, away.there);
	all.switches -= away.switches_between;
	how = *life.shared;
	how.n_tasks += away.switches_between;
	keep("to", away.there, &(struct shared){.n_tasks = away.switches_between});
	keep("from", all, &how);
}

static void remove_below(const char *path, bool itself)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	char below[600];

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			(void)snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
			remove_below(below, true);
		}
	if (dir)
		(void)closedir(dir);
	for (int tries = 0; itself && rmdir(path) < 0 && errno == EBUSY && tries < 300; tries++)
		nap(10000);
}

int main(int argc, char **argv)
{
	struct life lives[N_LOADS];
	struct counts counts;
	int64_t irq_ns;

	if (argc != 3)
		return 2;
	folder = argv[1];
	if (strcmp(argv[2], "0") == 0) {
		remove_below(folder, true);
		return 0;
	}
	(void)mkdir(folder, 0755);
	irq_ns = interrupts_ns();
	/* A source that is not notified of new cgroups has time to open its events. */
	late = getenv("LIVES_LATE") != NULL;
	plan = mmap(NULL, sizeof(*plan), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (plan == MAP_FAILED)
		return 1;
	if (pipe(ping) < 0 || pipe(pong) < 0 || pipe(let_go) < 0)
		return 1;
	make(NEST);
	for (size_t i = 0; i < N_LOADS; i++) {
		make(loads[i].name);
		lives[i] = start(loads[i].name, loads[i].run, loads[i].number);
	}
	let_begin(getenv("LIVES_GO"), strtod(argv[2], NULL));
	wait_for_begin = false;
	brief_lives();
	a_move();
	for (size_t i = 0; i < N_LOADS; i++)
		finish(loads[i].name, &lives[i], &counts);
	nap(300000); /* the last loads are still ending */
	/* Each of the two numbers may hide a tick. */
	print_kept(interrupts_ns() - irq_ns + 2 * (1000000000 / sysconf(_SC_CLK_TCK)));
	return 0;
}
