/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads of known character: integer arithmetic in registers, wide vectors in registers, a pass over more
 * memory than fits into the caches. One process per thread, ended by the parent or with it.
 */
#include "calibrate/calibrate_load.h"
#include "base/clock.h"
#include "client.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS       2000000
#define MEMORY_LEAST ((size_t)4 << 20) /* bytes of each worker */
#define MEMORY_MOST  ((size_t)64 << 20)
#define CPUS_MOST    8192
#define MEMORY_PART  4 /* all workers together use 1 / 4 of free memory */

typedef double lanes __attribute__((vector_size(64)));

/* Long chains of integer work, four at a time. */
static double compute_integer(void)
{
	uint64_t a = 1, b = 2, c = 3, d = 4;

	for (unsigned i = 0; i < ROUNDS; i++) {
		a = a * 6364136223846793005u + 1442695040888963407u;
		b ^= b << 13;
		b ^= b >> 7;
		c += (c << 5) ^ a;
		d = (d ^ b) + (d >> 3) + c;
	}
	return (double)((a ^ b ^ c ^ d) & 0xff);
}

static inline __attribute__((always_inline)) double multiply_add(void)
{
	lanes x[8], sum = {0}, factor, more;
	double total = 0;

	for (unsigned j = 0; j < 8; j++) {
		factor[j] = 0.999 + 1e-5 * j;
		more[j] = 1e-3;
	}
	for (unsigned j = 0; j < 8; j++)
		x[j] = factor * (double)(j + 1);
	for (unsigned i = 0; i < ROUNDS / 8; i++)
		for (unsigned j = 0; j < 8; j++)
			x[j] = x[j] * factor + more;
	for (unsigned j = 0; j < 8; j++)
		sum += x[j];
	for (unsigned j = 0; j < 8; j++)
		total += sum[j];
	return total;
}

#ifdef __x86_64__
static __attribute__((target("avx2,fma"))) double compute_wide(void)
{
	return multiply_add();
}
#endif

static double compute_vector(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return compute_wide();
#endif
	return multiply_add();
}

static double compute_memory(double *area, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i + 8 <= n; i += 8) {
		sum += area[i];
		area[i] = sum * 0.5;
	}
	return sum;
}

double calibrate_compute(enum calibrate_kind kind, double *area, size_t n)
{
	switch (kind) {
	case CALIBRATE_INTEGER:
		return compute_integer();
	case CALIBRATE_VECTOR:
		return compute_vector();
	case CALIBRATE_MEMORY:
	case CALIBRATE_KINDS:
		break;
	}
	return compute_memory(area, n);
}

static size_t memory_of_each(unsigned n_workers)
{
	long pages = sysconf(_SC_AVPHYS_PAGES), size = sysconf(_SC_PAGESIZE);
	size_t bytes = pages > 0 && size > 0 ? (size_t)pages * (size_t)size / MEMORY_PART / n_workers : 0;

	bytes = bytes < MEMORY_LEAST ? MEMORY_LEAST : bytes;
	return bytes > MEMORY_MOST ? MEMORY_MOST : bytes;
}

/* In the child; does not return. */
static void become_worker(struct calibrate_loads *loads, enum calibrate_kind kind, unsigned n_workers,
			  pid_t parent)
{
	const char *command = loads->commands[kind];
	size_t n = memory_of_each(n_workers) / sizeof(double);
	volatile double sink = 0;
	double *area;
	sigset_t none;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || run_cgroup_enter(&loads->cgroups[kind]) < 0)
		_exit(CLIENT_EXIT_CANNOT);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (command) {
		(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(CLIENT_EXIT_NOT_FOUND);
	}
	area = kind == CALIBRATE_MEMORY ? calloc(n, sizeof(*area)) : NULL;
	if (kind == CALIBRATE_MEMORY && !area)
		_exit(CLIENT_EXIT_CANNOT);
	for (;;)
		sink = sink + calibrate_compute(kind, area, n);
}

int calibrate_loads_make(struct calibrate_loads *loads, struct reason *why)
{
	char name[32];
	int r = 0;

	for (unsigned kind = 0; kind < CALIBRATE_KINDS && r == 0; kind++) {
		(void)snprintf(name, sizeof(name), "calibrate-%s", calibrate_kind_names[kind]);
		r = run_cgroup_make_only(name, &loads->cgroups[kind], why);
		if (r == -EBUSY)
			reason_set(
				why, 0,
				"another 'wattribute calibrate' runs on this machine, or a load of one that "
				"was killed: there is a cgroup wattribute/%s; wait for its end",
				name);
	}
	return r;
}

int calibrate_loads_start(struct calibrate_loads *loads, const struct calibrate_phase *phase)
{
	pid_t self = getpid();

	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++) {
		for (unsigned i = 0; i < phase->threads[kind] && loads->n < CALIBRATE_LOADS_MAX; i++) {
			pid_t pid = fork();

			if (pid < 0)
				return -errno;
			if (pid == 0)
				become_worker(loads, kind, phase->threads[kind], self);
			(void)setpgid(pid, pid);
			loads->pids[loads->n++] = pid;
		}
	}
	return 0;
}

int calibrate_loads_alive(const struct calibrate_loads *loads, struct reason *why)
{
	for (unsigned i = 0; i < loads->n; i++) {
		siginfo_t info = {0};

		if (waitid(P_PID, (id_t)loads->pids[i], &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid != 0)
			return reason_set(why, -ECHILD, "%s %d",
					  info.si_code == CLD_EXITED ? "with exit status" : "by signal",
					  info.si_status);
	}
	return 0;
}

/* A process that was killed before its parent waited for it is counted by its cgroup only. */
static double count_cpu_s(struct calibrate_loads *loads, double waited_s)
{
	double sum_s = 0, used_s;

	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		sum_s += run_cgroup_cpu_s(&loads->cgroups[kind]);
	if (!isfinite(sum_s))
		return waited_s;
	used_s = sum_s - loads->cpu_s;
	loads->cpu_s = sum_s;
	return fmax(used_s, waited_s);
}

double calibrate_loads_end(struct calibrate_loads *loads)
{
	struct rusage usage;
	double used_s = 0;

	for (unsigned i = 0; i < loads->n; i++)
		(void)kill(-loads->pids[i], SIGKILL);
	for (unsigned i = 0; i < loads->n; i++)
		if (wait4(loads->pids[i], NULL, 0, &usage) == loads->pids[i])
			used_s += clock_cpu_s(&usage);
	loads->n = 0;
	/* What a command started in a session of its own. */
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		run_cgroup_kill(&loads->cgroups[kind]);
	return count_cpu_s(loads, used_s);
}

void calibrate_loads_remove(struct calibrate_loads *loads)
{
	(void)calibrate_loads_end(loads);
	for (unsigned kind = 0; kind < CALIBRATE_KINDS; kind++)
		(void)run_cgroup_remove(&loads->cgroups[kind]);
}

double calibrate_busy_s(void)
{
	/* user, nice, system, idle, iowait, irq, softirq */
	double t[7];
	FILE *file = fopen("/proc/stat", "re");
	int n = 0;

	if (file) {
		n = fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5],
			   &t[6]);
		(void)fclose(file);
	}
	return n == 7 ? (t[0] + t[1] + t[2] + t[5] + t[6]) / (double)sysconf(_SC_CLK_TCK) : NAN;
}

unsigned calibrate_machine_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)n;
}

unsigned calibrate_cpus(void)
{
	const unsigned most = CALIBRATE_LOADS_MAX / 2, n = calibrate_machine_cpus();
	cpu_set_t *allowed = CPU_ALLOC(CPUS_MOST);
	const size_t size = CPU_ALLOC_SIZE(CPUS_MOST);
	unsigned n_allowed = n;

	if (allowed && sched_getaffinity(0, size, allowed) == 0)
		n_allowed = (unsigned)CPU_COUNT_S(size, allowed);
	if (allowed)
		CPU_FREE(allowed);
	n_allowed = n_allowed < 1 || n_allowed > n ? n : n_allowed;
	return n_allowed > most ? most : n_allowed;
}
