/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet of cgroups for benchmarks: N of them below ROOT/wattribute-bench-PID, the first BUSY with a process
 * that repeatedly does some work, sleeps and faults a page. With --churn, PER_MINUTE further ones are created
 * and removed per minute. Prints "ready", cleans up at the end of its input or on a signal. usage: fleet ROOT
 * N BUSY [--churn PER_MINUTE]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char folder[256];
static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
	(void)number;
	stopping = 1;
}

static void path_of(char *path, size_t size, const char *kind, int i, const char *file)
{
	(void)snprintf(path, size, "%s/%s%06d%s", folder, kind, i, file);
}

static int put(const char *path, int number)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d", number), fd = open(path, O_WRONLY | O_CLOEXEC);
	int r = fd >= 0 && write(fd, text, (size_t)n) == n ? 0 : -errno;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static _Noreturn void work(long rounds)
{
	const size_t page = 4096;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (long round = 0; rounds < 0 || round < rounds; round++) {
		struct timespec start, now;
		char *memory =
			mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		for (size_t p = 0; memory != MAP_FAILED && p < 16; p++)
			memory[p * page] = 1;
		(void)munmap(memory, 16 * page);
		(void)clock_gettime(CLOCK_MONOTONIC, &start);
		do
			(void)clock_gettime(CLOCK_MONOTONIC, &now);
		while ((now.tv_sec - start.tv_sec) * 1000000000L + now.tv_nsec - start.tv_nsec < 300000);
		(void)usleep(20000);
	}
	_exit(0);
}

static pid_t start(const char *kind, int i, long rounds)
{
	char path[400];
	pid_t pid = fork();

	if (pid == 0) {
		path_of(path, sizeof(path), kind, i, "/cgroup.procs");
		if (put(path, 0) < 0)
			_exit(1);
		work(rounds);
	}
	return pid;
}

static void end_all(int n, int n_busy, const pid_t *pids)
{
	char path[400];

	for (int i = 0; i < n_busy; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	for (int i = 0; i < n; i++) {
		path_of(path, sizeof(path), "c", i, "");
		for (int try = 0; rmdir(path) < 0 && errno == EBUSY && try < 100; try++)
			(void)usleep(1000);
	}
	(void)rmdir(folder);
}

/* Creates and removes cgroups until the input ends; each lives for about half a second. */
static void churn(double per_minute)
{
	const int every_ms = per_minute > 0 ? (int)(60000 / per_minute) : -1;
	struct {
		pid_t pid;
		int number;
	} alive[256] = {{0}};
	int number = 0;

	while (!stopping) {
		struct pollfd input = {.fd = 0, .events = POLLIN};
		char path[400], byte;
		size_t at = (size_t)number % 256;

		if (poll(&input, 1, every_ms) > 0 && read(0, &byte, 1) <= 0)
			break;
		if (alive[at].pid > 0) {
			(void)waitpid(alive[at].pid, NULL, 0);
			path_of(path, sizeof(path), "x", alive[at].number, "");
			(void)rmdir(path);
		}
		path_of(path, sizeof(path), "x", number, "");
		if (mkdir(path, 0755) == 0)
			alive[at].pid = start("x", number, 5);
		alive[at].number = number++;
		/* Finished ones are removed as soon as possible. */
		for (size_t i = 0; i < 256; i++) {
			if (alive[i].pid <= 0 || waitpid(alive[i].pid, NULL, WNOHANG) == 0)
				continue;
			path_of(path, sizeof(path), "x", alive[i].number, "");
			(void)rmdir(path);
			alive[i].pid = 0;
		}
	}
	for (size_t i = 0; i < 256; i++) {
		char path[400];

		if (alive[i].pid <= 0)
			continue;
		(void)waitpid(alive[i].pid, NULL, 0);
		path_of(path, sizeof(path), "x", alive[i].number, "");
		(void)rmdir(path);
	}
}

int main(int argc, char *argv[])
{
	const struct sigaction stop = {.sa_handler = on_stop}; /* without SA_RESTART: poll() returns */
	double per_minute = argc > 5 && strcmp(argv[4], "--churn") == 0 ? strtod(argv[5], NULL) : 0;
	int n = argc > 3 ? (int)strtol(argv[2], NULL, 10) : 0,
	    n_busy = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 0;
	pid_t *pids = calloc((size_t)n_busy + 1, sizeof(*pids));

	if (argc < 4 || n < n_busy || !pids) {
		(void)fprintf(stderr, "usage: fleet ROOT N BUSY [--churn PER_MINUTE]\n");
		return 2;
	}
	(void)sigaction(SIGTERM, &stop, NULL);
	(void)sigaction(SIGINT, &stop, NULL);
	/* Two fleets at once have two folders: neither removes the other's cgroups. */
	(void)snprintf(folder, sizeof(folder), "%s/wattribute-bench-%d", argv[1], (int)getpid());
	if (mkdir(folder, 0755) < 0 && errno != EEXIST) {
		(void)fprintf(stderr, "fleet: %s: %s\n", folder, strerror(errno));
		return 1;
	}
	for (int i = 0; i < n; i++) {
		char path[400];

		path_of(path, sizeof(path), "c", i, "");
		if (mkdir(path, 0755) < 0 && errno != EEXIST) {
			(void)fprintf(stderr, "fleet: %s: %s\n", path, strerror(errno));
			return 1;
		}
	}
	for (int i = 0; i < n_busy; i++)
		pids[i] = start("c", i, -1);
	(void)puts("ready");
	(void)fflush(stdout);
	churn(per_minute);
	end_all(n, n_busy, pids);
	free(pids);
	return 0;
}
