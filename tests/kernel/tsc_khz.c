/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the frequency of this machine's time-stamp counter in kHz, which is also that of QEMU's emulated
 * CPUs. ring.sh passes it to guests: if the host takes the CPU away while they measure it at boot, they use a
 * wrong one, and their clocks run many times too fast or too slow. Status 1 on other machines.
 */
#include <stdio.h>

#if defined(__x86_64__)
#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Both clocks at one moment: of a few readings the fastest. */
static void look(uint64_t *ret_ns, uint64_t *ret_ticks)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 100; i++) {
		const uint64_t before = __rdtsc(), ns = now_ns(), after = __rdtsc();

		if (after - before < least) {
			least = after - before;
			*ret_ns = ns;
			*ret_ticks = before + least / 2;
		}
	}
}

int main(void)
{
	const struct timespec pause = {.tv_nsec = 200000000};
	uint64_t begin_ns = 0, begin = 0, end_ns = 0, end = 0;

	look(&begin_ns, &begin);
	(void)nanosleep(&pause, NULL);
	look(&end_ns, &end);
	printf("%.0f\n", (double)(end - begin) * 1e6 / (double)(end_ns - begin_ns));
	return 0;
}
#else
int main(void)
{
	return 1;
}
#endif
