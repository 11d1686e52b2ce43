/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of a daemon process: stop signals, the tick, child processes. Uses its own loop instead of
 * libev's default one, whose child handling would take the exit status of children that others wait for.
 */
#include "process/loop.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define STOPS_AT_ONCE 3

static void stop_cb(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct loop *loop = watcher->data;

	(void)ev, (void)events;
	loop->n_stops++;
	if (loop->n_stops >= STOPS_AT_ONCE)
		loop_stop(loop);
	if (loop->n_stops > 1)
		return;
	loop->stop_signal = watcher->signum;
	if (loop->on_stop)
		loop->on_stop(loop, watcher->signum);
	else
		loop_stop(loop);
}

/* Takes the first exited child off the list. */
static struct loop_child *take_ended(struct loop *loop, int *ret_status)
{
	for (struct loop_child **at = &loop->children; *at; at = &(*at)->next) {
		struct loop_child *child = *at;
		pid_t pid = waitpid(child->pid, ret_status, WNOHANG);
		if (pid == 0 || (pid < 0 && errno == EINTR))
			continue;
		if (pid < 0)
			*ret_status = -1;
		*at = child->next;
		child->loop = NULL;
		return child;
	}
	return NULL;
}

static void child_cb(struct ev_loop *ev, ev_signal *watcher, int events)
{
	struct loop *loop = watcher->data;
	struct loop_child *child;
	int status;

	(void)ev, (void)events;
	while ((child = take_ended(loop, &status)))
		child->ended(child, status);
}

int loop_init(struct loop *loop, void (*on_stop)(struct loop *loop, int signal_number), void *data)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	memset(loop, 0, sizeof(*loop));
	loop->data = data;
	loop->on_stop = on_stop;
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!loop->ev)
		return -ENOMEM;
	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		ev_signal_init(&loop->signals[i], numbers[i] == SIGCHLD ? child_cb : stop_cb, numbers[i]);
		loop->signals[i].data = loop;
		ev_signal_start(loop->ev, &loop->signals[i]);
	}
	return 0;
}

void loop_run(struct loop *loop)
{
	while (!loop->stopped)
		(void)ev_run(loop->ev, 0);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
	ev_break(loop->ev, EVBREAK_ALL);
}

void loop_done(struct loop *loop)
{
	if (!loop->ev)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(loop->signals); i++)
		ev_signal_stop(loop->ev, &loop->signals[i]);
	ev_loop_destroy(loop->ev);
	loop->ev = NULL;
}

void loop_child_start(struct loop *loop, struct loop_child *child, pid_t pid,
		      void (*ended)(struct loop_child *child, int wait_status), void *data)
{
	*child = (struct loop_child){
		.pid = pid, .data = data, .ended = ended, .next = loop->children, .loop = loop};
	loop->children = child;
	ev_feed_signal_event(loop->ev, SIGCHLD); /* it may have exited before the watch began */
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
				 .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};
}

static void tick_cb(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct loop_tick *tick = watcher->data;
	uint64_t n;

	(void)ev, (void)events;
	if (read(tick->fd, &n, sizeof(n)) != (ssize_t)sizeof(n) || n == 0)
		return;
	tick->n_due += n;
	uint64_t index = tick->n_due - 1;
	const struct loop_tick_time time = {
		.index = index,
		.scheduled_ns = tick->first_ns + index * tick->interval_ns,
		.now_ns = clock_system_ns(),
		.missed = n - 1,
	};
	tick->each(tick, &time);
}

int loop_tick_start(struct loop *loop, struct loop_tick *tick, uint64_t interval_ns,
		    void (*each)(struct loop_tick *tick, const struct loop_tick_time *time), void *data)
{
	if (interval_ns < LOOP_TICK_MIN_NS || interval_ns > LOOP_TICK_MAX_NS)
		return -ERANGE;
	*tick = (struct loop_tick){.interval_ns = interval_ns, .each = each, .data = data, .ev = loop->ev};
	tick->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (tick->fd < 0)
		return -errno;
	tick->first_ns = (clock_system_ns() / interval_ns + 1) * interval_ns;
	const struct itimerspec times = {to_timespec(interval_ns), to_timespec(tick->first_ns)};
	if (timerfd_settime(tick->fd, TFD_TIMER_ABSTIME, &times, NULL) < 0) {
		int r = -errno;
		(void)close(tick->fd);
		tick->fd = -1;
		tick->ev = NULL;
		return r;
	}
	ev_io_init(&tick->watcher, tick_cb, tick->fd, EV_READ);
	tick->watcher.data = tick;
	ev_io_start(loop->ev, &tick->watcher);
	return 0;
}

void loop_tick_stop(struct loop_tick *tick)
{
	if (!tick->ev)
		return;
	ev_io_stop(tick->ev, &tick->watcher);
	(void)close(tick->fd);
	tick->fd = -1;
	tick->ev = NULL;
}
