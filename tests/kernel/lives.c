/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads in cgroups of their own, which count themselves: processes that fault pages, switch, fork, thread,
 * move from cgroup to cgroup, live for 3 to 300 ms, or work in nested cgroups. usage: lives FOLDER SECONDS
 * Makes the cgroups below FOLDER and prints for each one that was worked in: NAME FAULTS SWITCHES
 * CPU-NANOSECONDS. They stay until `lives FOLDER 0`, which removes them.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
/* A container's cgroup by its name, so that what is nested in it counts as one target. */
#define NEST "c0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ffeec0ff"

static const char *folder;
static double begin, until;

static double now_s(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void nap(long us)
{
	const struct timespec time = {.tv_nsec = us * 1000};

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
	int64_t ns;
};

static struct counts counts_of(const struct rusage *usage)
{
	return (struct counts){
		.faults = usage->ru_minflt + usage->ru_majflt,
		.switches = usage->ru_nvcsw + usage->ru_nivcsw,
		.ns = ((int64_t)usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000000 +
		      ((int64_t)usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000,
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
	return (struct counts){a.faults - b.faults, a.switches - b.switches, a.ns - b.ns};
}

static void print_counts(const char *name, struct counts counts)
{
	printf("%s %ld %ld %" PRId64 "\n", name, counts.faults, counts.switches, counts.ns);
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
}

static int ping[2], pong[2];

/* Two cgroups that wake each other: the rate of switches is as high as it can be. */
static void player(int number)
{
	const int in = number ? ping[0] : pong[0], out = number ? pong[1] : ping[1];
	char byte = 0;

	/* A partner that has ended leaves nothing to read, so that each gives one last. */
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

/* Runs in the cgroup, tells what it had counted before. Forked children's counts are added to their parent's.
 */
static pid_t start(const char *name, void (*run)(int), int number, int *ret_before)
{
	int before[2];
	pid_t pid;

	if (pipe(before) < 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		struct counts counts;

		join(name, getpid());
		counts = counts_now();
		if (write(before[1], &counts, sizeof(counts)) != sizeof(counts))
			_exit(1);
		while (now_s() < begin)
			nap(50000);
		run(number);
		_exit(0);
	}
	(void)close(before[1]);
	*ret_before = before[0];
	return pid;
}

static struct counts finish(pid_t pid, int before_fd)
{
	struct counts before = {0};
	struct rusage usage;
	int status = 0;

	if (read(before_fd, &before, sizeof(before)) != sizeof(before) ||
	    wait4(pid, &status, 0, &usage) != pid || status != 0) {
		fprintf(stderr, "lives: a load ended with status %#x\n", (unsigned)status);
		exit(1);
	}
	(void)close(before_fd);
	return minus(counts_of(&usage), before);
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
		char name[40];
		int before;
		pid_t pid;

		(void)snprintf(name, sizeof(name), "life-%d-%d", ms, i);
		make(name);
		pid = start(name, live_ms, ms, &before);
		print_counts(name, finish(pid, before));
	}
}

static int moves[2];

static void mover(int number)
{
	struct counts counts[3];

	(void)number;
	counts[0] = counts_now();
	fault(3000);
	join("to", getpid());
	counts[1] = counts_now();
	fault(5000);
	join("from", getpid());
	counts[2] = counts_now();
	fault(1000);
	(void)!write(moves[1], counts, sizeof(counts));
}

static void a_move(void)
{
	struct counts counts[3], all, there;
	int before;
	pid_t pid;

	make("from");
	make("to");
	if (pipe(moves) < 0)
		exit(1);
	pid = start("from", mover, 0, &before);
	all = finish(pid, before);
	if (read(moves[0], counts, sizeof(counts)) != sizeof(counts))
		exit(1);
	there = minus(counts[2], counts[1]);
	print_counts("to", there);
	print_counts("from", minus(all, there));
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
	pid_t pids[N_LOADS];
	int before[N_LOADS];

	if (argc != 3)
		return 2;
	folder = argv[1];
	if (strcmp(argv[2], "0") == 0) {
		remove_below(folder, true);
		return 0;
	}
	(void)mkdir(folder, 0755);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	/* A source that does not hear of births has time to open its events. */
	begin = now_s() + 2;
	until = begin + strtod(argv[2], NULL);
	if (pipe(ping) < 0 || pipe(pong) < 0)
		return 1;
	make(NEST);
	for (size_t i = 0; i < N_LOADS; i++) {
		make(loads[i].name);
		pids[i] = start(loads[i].name, loads[i].run, loads[i].number, &before[i]);
	}
	begin = 0;
	brief_lives();
	a_move();
	for (size_t i = 0; i < N_LOADS; i++)
		print_counts(loads[i].name, finish(pids[i], before[i]));
	return 0;
}
