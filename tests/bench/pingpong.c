/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of counting for the workload: two processes in two cgroups on one CPU pass a byte back and forth,
 * so that every switch is between cgroups. usage: pingpong ROOT ROUNDS [SECONDS] Without SECONDS prints the
 * ns per switch once. With SECONDS prints it repeatedly for that long.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folders[2][300];

static double seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Into cgroup `which`, on the last usable CPU. */
static int settle(int which)
{
	cpu_set_t allowed, one;
	char path[350];
	int fd, r;
	size_t last = 0;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", folders[which]);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	r = fd >= 0 && write(fd, "0", 1) == 1 ? 0 : -errno;
	if (fd >= 0)
		(void)close(fd);
	if (r < 0 || sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return r < 0 ? r : -errno;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			last = cpu;
	CPU_ZERO(&one);
	CPU_SET(last, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static _Noreturn void answer(int in, int out)
{
	char byte;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (settle(1) < 0)
		_exit(1);
	while (read(in, &byte, 1) == 1 && write(out, &byte, 1) == 1)
		;
	_exit(0);
}

/* ns per switch over a number of rounds of two switches; negative if the partner is gone. */
static double measure(int in, int out, long rounds)
{
	double start = seconds();
	char byte = 0;

	for (long i = 0; i < rounds; i++)
		if (write(out, &byte, 1) != 1 || read(in, &byte, 1) != 1)
			return -1;
	return (seconds() - start) / (double)rounds / 2 * 1e9;
}

static int play(long rounds, double length_s)
{
	int there[2], back[2];
	double ns, end_s;
	pid_t pid;

	if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0 || settle(0) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		(void)close(there[1]);
		(void)close(back[0]);
		answer(there[0], back[1]);
	}
	(void)close(there[0]);
	(void)close(back[1]);
	ns = measure(back[0], there[1], 1000);
	end_s = seconds() + length_s;
	while (ns >= 0) {
		ns = measure(back[0], there[1], rounds);
		(void)printf("%.0f\n", ns);
		(void)fflush(stdout);
		if (seconds() >= end_s)
			break;
	}
	(void)close(there[1]);
	(void)waitpid(pid, NULL, 0);
	return ns < 0 ? -1 : 0;
}

/* This process leaves its cgroup, so that the cgroup can be removed. */
static void leave(const char *root)
{
	char path[350];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		(void)fprintf(stderr, "pingpong: %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
}

int main(int argc, char *argv[])
{
	long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 0;
	int r = 0;

	if (rounds <= 0) {
		(void)fprintf(stderr, "usage: pingpong ROOT ROUNDS [SECONDS]\n");
		return 2;
	}
	for (int i = 0; i < 2; i++) {
		(void)snprintf(folders[i], sizeof(folders[i]), "%s/wattribute-pingpong-%d", argv[1], i);
		if (mkdir(folders[i], 0755) < 0 && errno != EEXIST)
			r = -errno;
	}
	if (r == 0)
		r = play(rounds, argc > 3 ? strtod(argv[3], NULL) : 0);
	leave(argv[1]);
	for (int i = 0; i < 2; i++)
		(void)rmdir(folders[i]);
	if (r < 0)
		(void)fprintf(stderr, "pingpong: it could not be played in two cgroups below %s\n", argv[1]);
	return r < 0 ? 1 : 0;
}
