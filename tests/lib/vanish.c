/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes a cgroup between any two system calls of a process. usage: vanish PID FOLDER FIRST LAST STEP
 * For n = FIRST, FIRST + STEP, … LAST: makes FOLDER/vanish-n.service with a process in it, lets the traced
 * process make n system calls (ptrace), and removes the cgroup before the next one. Prints how often it did;
 * exits with 1 if the traced process has ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AGAIN_MS    20
#define PATIENCE_MS 400

static void rest(long ms)
{
	const struct timespec time = {.tv_nsec = ms * 1000000};

	(void)nanosleep(&time, NULL);
}

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* A process in that cgroup that does little work. */
static pid_t join(const char *group)
{
	char path[512];
	pid_t pid = fork();

	if (pid == 0) {
		(void)snprintf(path, sizeof(path), "%s/cgroup.procs", group);
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		if (fd < 0 || write(fd, "0", 1) != 1)
			_exit(1);
		for (;;) {
			/* a page fault, which some sources count */
			volatile char *page =
				mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			*page = 1;
			(void)munmap((void *)page, 4096);
			rest(1);
		}
	}
	return pid;
}

static void leave(const char *group, pid_t member)
{
	(void)kill(member, SIGKILL);
	(void)waitpid(member, NULL, 0);
	for (int i = 0; i < 200 && rmdir(group) < 0 && errno == EBUSY; i++)
		rest(1);
}

/* Waits until it is stopped, for a limited time: it may be idle. */
static int wait_standing(pid_t pid, int *ret_status, unsigned *left)
{
	int r;

	while ((r = waitpid(pid, ret_status, __WALL | (*left ? WNOHANG : 0))) == 0) {
		rest(1);
		if (--*left == 0)
			(void)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	}
	return r == pid && WIFSTOPPED(*ret_status) ? 0 : -1;
}

/* Lets it make that many calls; afterwards it is stopped before the next one. False: it has ended. */
static bool step(pid_t pid, unsigned n)
{
	int status, number = 0;
	unsigned left = PATIENCE_MS;

	for (unsigned stops = 0; stops < 2 * n + 1 && left > 0;) {
		if (ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)number) < 0 ||
		    wait_standing(pid, &status, &left) < 0)
			return false;
		number = 0;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			stops++;
		else if (status >> 16 == 0)
			number = WSTOPSIG(status); /* one of its own signals */
	}
	return true;
}

static bool vanish(pid_t pid, const char *folder, unsigned n)
{
	char group[400];
	int status;

	(void)snprintf(group, sizeof(group), "%s/vanish-%u.service", folder, n);
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD) < 0)
		return false;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0 || waitpid(pid, &status, __WALL) < 0 ||
	    !WIFSTOPPED(status))
		return false;
	if (mkdir(group, 0755) < 0)
		fail(group);
	pid_t member = join(group);
	bool alive = step(pid, n);

	leave(group, member);
	if (alive)
		(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return alive;
}

int main(int argc, char *argv[])
{
	if (argc != 6)
		return 2;
	const pid_t pid = atoi(argv[1]);
	const unsigned last = (unsigned)atoi(argv[4]), by = (unsigned)atoi(argv[5]);
	unsigned times = 0;

	for (unsigned n = (unsigned)atoi(argv[3]); n <= last; n += by, times++) {
		if (!vanish(pid, argv[2], n)) {
			printf("ended after a cgroup vanished %u calls after its birth\n", n);
			return 1;
		}
		rest(AGAIN_MS);
	}
	printf("%u times\n", times);
	return 0;
}
