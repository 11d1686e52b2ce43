/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An accelerated clock, preloaded into the daemons: 12 hours of ticks in some minutes, with every period,
 * expiry and retention as in real time. FAST_CLOCK=RATE,REALTIME,MONOTONIC: the factor, and its start times
 * in ns, the same for all processes. Shortens timed waits; CPU clocks are unchanged.
 */
#include <dlfcn.h>
#include <inttypes.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define S_NS INT64_C(1000000000)

static int64_t rate = 0, base_realtime, base_monotonic;

static void read_setting(void)
{
	const char *setting = getenv("FAST_CLOCK");

	rate = 1;
	if (setting &&
	    sscanf(setting, "%" SCNd64 ",%" SCNd64 ",%" SCNd64, &rate, &base_realtime, &base_monotonic) != 3)
		rate = 1;
}

static int64_t base_of(clockid_t id)
{
	if (!rate)
		read_setting();
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return base_realtime;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_BOOTTIME:
		return base_monotonic;
	default:
		return -1;
	}
}

static struct timespec spec_of(int64_t ns)
{
	return (struct timespec){(time_t)(ns / S_NS), (long)(ns % S_NS)};
}

static int64_t ns_of(const struct timespec *time)
{
	return time->tv_sec * S_NS + time->tv_nsec;
}

/* The real duration of a wait; at least a little, as 0 has another meaning. */
static int64_t shorter(int64_t ns)
{
	if (!rate)
		read_setting();
	return ns > 0 && ns / rate == 0 ? 1 : ns / rate;
}

int clock_gettime(clockid_t id, struct timespec *ret_time)
{
	const int64_t base = base_of(id);
	const int r = (int)syscall(SYS_clock_gettime, id, ret_time);

	if (r == 0 && base >= 0)
		*ret_time = spec_of(base + (ns_of(ret_time) - base) * rate);
	return r;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
	struct timespec time;

	(void)zone;
	(void)clock_gettime(CLOCK_REALTIME, &time);
	*ret_time = (struct timeval){time.tv_sec, time.tv_nsec / 1000};
	return 0;
}

time_t time(time_t *ret_time)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}

static int64_t shorter_ms(int timeout)
{
	return timeout <= 0 ? timeout : shorter((int64_t)timeout * 1000000);
}

/* In nanoseconds, as a millisecond of this clock may be only some microseconds. */
static int poll_ns(struct pollfd *fds, nfds_t n, int64_t ns)
{
	const struct timespec time = spec_of(ns > 0 ? ns : 0);

	return ppoll(fds, n, ns < 0 ? NULL : &time, NULL);
}

int poll(struct pollfd *fds, nfds_t n, int timeout)
{
	return poll_ns(fds, n, shorter_ms(timeout));
}

int epoll_wait(int fd, struct epoll_event *events, int n, int timeout)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};

	if (timeout != 0 && poll_ns(&ready, 1, shorter_ms(timeout)) < 0)
		return -1;
	return epoll_pwait(fd, events, n, 0, NULL);
}

int nanosleep(const struct timespec *wanted, struct timespec *ret_left)
{
	const struct timespec wait = spec_of(shorter(ns_of(wanted)));

	return (int)syscall(SYS_nanosleep, &wait, ret_left);
}

int usleep(useconds_t us)
{
	const struct timespec wait = spec_of((int64_t)us * 1000);

	return nanosleep(&wait, NULL);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *wanted, struct itimerspec *ret_old)
{
	struct itimerspec set = *wanted;
	const int64_t value_ns = ns_of(&wanted->it_value);

	if (flags & TFD_TIMER_CANCEL_ON_SET)
		return (int)syscall(SYS_timerfd_settime, fd, flags, wanted, ret_old);
	set.it_interval = spec_of(shorter(ns_of(&wanted->it_interval)));
	if (flags & TFD_TIMER_ABSTIME)
		set.it_value = spec_of(base_of(CLOCK_MONOTONIC) + (value_ns - base_monotonic) / rate);
	else
		set.it_value = spec_of(shorter(value_ns));
	return (int)syscall(SYS_timerfd_settime, fd, flags, &set, ret_old);
}
