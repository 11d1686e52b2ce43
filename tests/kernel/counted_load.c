/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load whose instructions are known: runs in a cgroup, bursts and sleeps in a course that a seed decides, and counts
 * itself by perf events of its own. usage: counted_load CGROUP.PROCS SEED MILLISECONDS PERMILLE [steady]
 *   PERMILLE: busy part of the time at 1 instruction a nanosecond; bursts vary between none and twice of it, unless steady.
 *   Prints one line at the end: "instructions A user B kernel C cycles D".
 */
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_MS 40

static int open_event(uint64_t config, int user, int kernel)
{
	struct perf_event_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.size = sizeof(attr);
	attr.type = PERF_TYPE_HARDWARE;
	attr.config = config;
	attr.exclude_user = !user;
	attr.exclude_kernel = !kernel;
	return (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
}

static uint64_t read_event(int fd)
{
	uint64_t value = 0;

	return read(fd, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int argc, char *argv[])
{
	const uint64_t hardware[] = {PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_INSTRUCTIONS,
				     PERF_COUNT_HW_INSTRUCTIONS, PERF_COUNT_HW_CPU_CYCLES};
	int fds[4];
	FILE *procs;
	uint32_t seed;
	int64_t end, next;

	if (argc < 5)
		return 2;
	procs = fopen(argv[1], "w");
	if (!procs || fprintf(procs, "%d\n", (int)getpid()) < 0 || fclose(procs) != 0)
		return 1;
	seed = (uint32_t)strtoul(argv[2], NULL, 10);
	for (int i = 0; i < 4; i++)
		fds[i] = open_event(hardware[i], i != 2, i != 1);
	next = now_ms();
	end = next + strtol(argv[3], NULL, 10);
	while (next < end) {
		uint64_t rounds = (uint64_t)PERIOD_MS * 1000 * strtoul(argv[4], NULL, 10) / 4;
		struct timespec until;

		/* A level that lasts some periods: what a tick sees varies, not only what is within one. */
		if (argc < 6) {
			seed = seed * 1664525u + 1013904223u;
			rounds = rounds * (seed >> 8 & 1023) / 512;
		}
		while (rounds-- > 0)
			__asm__ volatile("" ::: "memory");
		next += PERIOD_MS;
		if (now_ms() > next)
			next = now_ms();
		until = (struct timespec){next / 1000, next % 1000 * 1000000};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	printf("instructions %llu user %llu kernel %llu cycles %llu\n", (unsigned long long)read_event(fds[0]),
	       (unsigned long long)read_event(fds[1]), (unsigned long long)read_event(fds[2]),
	       (unsigned long long)read_event(fds[3]));
	return 0;
}
