/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load with a known number of instructions: runs in a cgroup, bursts and sleeps in a pattern given by a
 * seed, and counts itself by one perf event. usage: counted_load CGROUP.PROCS SEED MILLISECONDS PERMILLE
 * EVENT [steady]. PERMILLE: busy part of the time at 1 instruction per nanosecond; bursts vary between zero
 * and twice that, unless steady. EVENT: i all instructions, u the user's, k the kernel's, c cycles. Prints
 * the count.
 */
#include <inttypes.h>
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

static void burst(uint64_t rounds)
{
	while (rounds-- > 0)
		__asm__ volatile("" ::: "memory");
}

static void work(uint32_t seed, int64_t length_ms, uint64_t permille, int steady)
{
	int64_t next = now_ms();
	const int64_t end = next + length_ms;
	struct timespec until;

	while (next < end) {
		uint64_t rounds = (uint64_t)PERIOD_MS * 1000 * permille / 4;

		if (!steady) {
			seed = seed * 1664525u + 1013904223u;
			rounds = rounds * (seed >> 8 & 1023) / 512;
		}
		burst(rounds);
		next += PERIOD_MS;
		if (now_ms() > next)
			next = now_ms();
		until = (struct timespec){next / 1000, next % 1000 * 1000000};
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
}

int main(int argc, char *argv[])
{
	FILE *procs;
	int fd;

	if (argc < 6)
		return 2;
	procs = fopen(argv[1], "w");
	if (!procs || fprintf(procs, "%d\n", (int)getpid()) < 0 || fclose(procs) != 0)
		return 1;
	fd = open_event(argv[5][0] == 'c' ? PERF_COUNT_HW_CPU_CYCLES : PERF_COUNT_HW_INSTRUCTIONS,
			argv[5][0] != 'k', argv[5][0] != 'u');
	work((uint32_t)strtoul(argv[2], NULL, 10), strtol(argv[3], NULL, 10), strtoul(argv[4], NULL, 10),
	     argc > 6);
	printf("%" PRIu64 "\n", read_event(fd));
	return fd < 0;
}
