/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thin helpers for libev: signals that request a shutdown, a tick without drift, exits of child processes.
 * Each daemon process has one loop. Watchers of other kinds use `loop->ev` directly.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop_child;

struct loop {
	struct ev_loop *ev;
	void *data;
	/*
	 * Called for the first SIGTERM, SIGINT or SIGHUP; call loop_stop() after the shutdown. NULL: ends
	 * loop_run().
	 */
	void (*on_stop)(struct loop *loop, int signal_number);
	int stop_signal; /* the first one received, 0: none; the third one ends loop_run() at once */
	unsigned n_stops;
	bool stopped;
	ev_signal signals[4];
	struct loop_child *children;
};

/* 0 or -ENOMEM. Ignores SIGPIPE. */
int loop_init(struct loop *loop, void (*on_stop)(struct loop *loop, int signal_number), void *data);
/* Runs until loop_stop(), which may already have been called. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);
void loop_done(struct loop *loop);

struct loop_tick;

struct loop_tick_time {
	uint64_t index;        /* ticks since the start, missed ones included */
	uint64_t scheduled_ns; /* monotonic: when it was due */
	uint64_t now_ns;       /* monotonic: when it fired */
	uint64_t missed;       /* ticks that were due before this one and were missed */
};

struct loop_tick {
	ev_io watcher;
	int fd;
	uint64_t interval_ns;
	uint64_t first_ns; /* due time of index 0 */
	uint64_t n_due;
	void *data;
	void (*each)(struct loop_tick *tick, const struct loop_tick_time *time);
	struct ev_loop *ev;
};

#define LOOP_TICK_MIN_NS UINT64_C(10000000)
#define LOOP_TICK_MAX_NS UINT64_C(3600000000000)

/*
 * Calls `each` at whole multiples of the interval on the monotonic clock; late calls are merged into one and
 * counted. 0, -ERANGE (interval not within 10 ms and 1 h) or another negative errno. The struct must not
 * move.
 */
int loop_tick_start(struct loop *loop, struct loop_tick *tick, uint64_t interval_ns,
		    void (*each)(struct loop_tick *tick, const struct loop_tick_time *time), void *data);
void loop_tick_stop(struct loop_tick *tick);

struct loop_child {
	pid_t pid;
	void *data;
	/*
	 * Called with the wait status (-1: somebody else has waited for it); the watch has ended and can be
	 * restarted.
	 */
	void (*ended)(struct loop_child *child, int wait_status);
	struct loop_child *next;
	struct loop *loop;
};

/*
 * Only the pids watched here are waited for. A child that has already exited is reported in the next
 * iteration of the loop.
 */
void loop_child_start(struct loop *loop, struct loop_child *child, pid_t pid,
		      void (*ended)(struct loop_child *child, int wait_status), void *data);
