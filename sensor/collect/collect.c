/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collect process: its watchers, its start and its orderly end. Readings are in collect_tick.c, openings
 * in collect_open.c.
 */
#include "collect/collect.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "process/duty.h"
#include "process/ipc.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define COLLECT_UNSEEN_RESCANS 12 /* rescans between two looks at the other hierarchies */
#define COLLECT_FLUSH_IDLE_S                                                                                 \
	2 /* at the end: how long the writer may take nothing before the rest is given up */

static void stop(struct collect *collect, int result)
{
	collect->stopping = true;
	collect->result = result;
	loop_stop(&collect->loop);
}

static void on_stop(struct loop *loop, int signal_number)
{
	(void)signal_number;
	stop(loop->data, 0);
}

static void on_tick(struct loop_tick *tick, const struct loop_tick_time *time)
{
	struct collect *collect = tick->data;

	/* What inotify has to say of now belongs to this tick. */
	if (collect->watch)
		collect_discover(collect);
	collect_read_tick(collect, time->missed);
	if (collect->config->ticks > 0 && collect->seq >= (uint64_t)collect->config->ticks)
		stop(collect, 0);
}

static void on_cgroups(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct collect *collect = watcher->data;

	(void)events;
	collect_discover(collect);
	collect_follow_edges(collect);
	/* Whatever comes next waits a little, so that a storm of births costs no storm of wake-ups. */
	ev_io_stop(ev, watcher);
	collect->discovery_pause.repeat = collect_discovery_pause_s(collect);
	ev_timer_again(ev, &collect->discovery_pause);
}

static void on_discovery_pause(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct collect *collect = timer->data;

	(void)events;
	ev_timer_stop(ev, timer);
	ev_io_start(ev, &collect->watch_io);
}

static void on_rescan(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct collect *collect = timer->data;
	int r = cgroup_watch_rescan(collect->watch);

	(void)ev;
	(void)events;
	if (r < 0)
		log_warning("cgroup", r, "the rescan failed");
	target_table_settle(collect->table, clock_realtime_ms());
	if (collect->n_rescans++ % COLLECT_UNSEEN_RESCANS == 0)
		collect_find_unseen(collect);
	collect_follow_edges(collect);
}

static void on_watchdog(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct collect *collect = timer->data;

	(void)ev;
	(void)events;
	(void)notify_watchdog(&collect->notify);
}

static void take_status(struct collect *collect, const struct link_status *status)
{
	const uint64_t lost = status->dropped + status->spool_dropped;

	if (lost > collect->writer_lost) {
		collect->lost[REPORT_LOST_SPOOL] += lost - collect->writer_lost;
		collect->writer_lost = lost;
	}
	if (collect->seq % 60 == 1)
		(void)notify_status(&collect->notify, "%u targets, %" PRIu64 " ticks%s",
				    target_table_view(collect->table)->n_live, collect->seq,
				    status->store_failing ? "; the store does not answer" : "");
}

static void on_link_read(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct collect *collect = watcher->data;
	struct ipc_message message;
	int r;

	(void)ev;
	(void)events;
	r = ipc_receive(watcher->fd, collect->receive, IPC_MESSAGE_MAX + 64, &message);
	if (r == -EAGAIN || r == -EINTR)
		return;
	if (r > 0 && message.type == LINK_STATUS && message.length == sizeof(struct link_status)) {
		struct link_status status;

		memcpy(&status, message.payload, sizeof(status));
		take_status(collect, &status);
		return;
	}
	log_error("link", r, "the writer process has exited");
	stop(collect, 1);
}

static void on_link_write(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct collect *collect = watcher->data;
	int r = link_flush(&collect->link);

	(void)events;
	if (r == 0) {
		ev_io_stop(ev, watcher);
		if (collect->simulated && !collect->stopping)
			collect->simulated->resume(collect);
	}
	if (r == -EPIPE)
		stop(collect, 1);
}

static void start_watchers(struct collect *collect)
{
	struct ev_loop *ev = collect->loop.ev;
	const double rescan_s = (double)collect->config->discovery_ms * 1e-3;

	ev_io_init(&collect->link_read, on_link_read, DUTY_EXTRA_FD, EV_READ);
	ev_io_init(&collect->link_write, on_link_write, DUTY_EXTRA_FD, EV_WRITE);
	collect->link_read.data = collect->link_write.data = collect;
	ev_io_start(ev, &collect->link_read);
	if (collect->watch) {
		ev_timer_init(&collect->rescan, on_rescan, rescan_s, rescan_s);
		collect->rescan.data = collect;
		ev_timer_start(ev, &collect->rescan);
	}
	if (collect->watch && cgroup_watch_fd(collect->watch) >= 0) {
		ev_io_init(&collect->watch_io, on_cgroups, cgroup_watch_fd(collect->watch), EV_READ);
		ev_timer_init(&collect->discovery_pause, on_discovery_pause, 0,
			      collect_discovery_pause_s(collect));
		collect->watch_io.data = collect->discovery_pause.data = collect;
		ev_io_start(ev, &collect->watch_io);
	}
	collect_keep_energy(collect);
	if (collect->notify.watchdog_interval_ms > 0) {
		const double every_s = (double)collect->notify.watchdog_interval_ms * 1e-3;

		ev_timer_init(&collect->watchdog, on_watchdog, every_s, every_s);
		collect->watchdog.data = collect;
		ev_timer_start(ev, &collect->watchdog);
	}
}

/* Everything is open: from here on this process has no rights. */
static int give_up_rights(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	struct reason why = {""};
	int r = 0;

	if (geteuid() == 0) {
		r = sandbox_find_user(config->user, &uid, &gid);
		if (r < 0) {
			log_error("sandbox", 0, "user '%s' does not exist; choose another with --user",
				  config->user);
			return r;
		}
	}
	r = sandbox_drop(uid, gid, 0, &why);
	if (r < 0) {
		log_error("sandbox", 0, "%s", why.text);
		return r;
	}
	if (collect->simulated)
		return 0; /* it touches nothing of this machine, and writes its truth */
	r = sandbox_enter(SANDBOX_COLLECT, (enum sandbox_mode)config->sandbox, &why);
	if (r < 0)
		log_notice("sandbox", 0, "continuing without a seccomp filter: %s", why.text);
	return 0;
}

/* At the end: as long as the writer takes something, it may take its time. */
static void flush_link(struct collect *collect)
{
	unsigned idle_s = 0;
	int r;

	while ((r = link_flush(&collect->link)) == -EAGAIN && idle_s < COLLECT_FLUSH_IDLE_S) {
		struct pollfd link = {.fd = DUTY_EXTRA_FD, .events = POLLOUT};

		idle_s = poll(&link, 1, 1000) > 0 ? 0 : idle_s + 1;
	}
	if (r < 0)
		log_error("link", r, "%zu bytes of reports are lost: the writer does not accept them",
			  collect->link.backlog.length - collect->link.backlog_sent);
}

static int run(struct collect *collect)
{
	int r;

	collect_read_baseline(collect);
	collect_start_edges(collect);
	start_watchers(collect);
	if (collect->simulated)
		r = collect->simulated->start(collect);
	else
		r = loop_tick_start(&collect->loop, &collect->tick,
				    collect->config->interval_ms * CLOCK_NS_PER_MS, on_tick, collect);
	if (r < 0)
		return log_error("tick", r, "cannot start");
	(void)notify_ready(&collect->notify, "measuring");
	log_info("collect", 0, "measuring '%s': %u targets, one tick every %" PRIu64 " ms",
		 collect->config->name, target_table_view(collect->table)->n_live,
		 collect->config->interval_ms);
	loop_run(&collect->loop);
	(void)notify_stopping(&collect->notify);
	/* The counts since the last tick are not lost, unless --ticks asked for so many and no more. */
	if (!collect->simulated && collect->config->ticks == 0 && collect->result == 0) {
		loop_tick_stop(&collect->tick);
		collect_read_tick(collect, 0);
	}
	flush_link(collect);
	log_info("collect", 0, "%" PRIu64 " ticks", collect->seq);
	return collect->result;
}

int collect_main(struct sensor_config *config, const struct collect_machine *simulated)
{
	struct collect *collect = calloc(1, sizeof(*collect));
	int r;

	if (!collect)
		return 1;
	collect->config = config;
	collect->simulated = simulated;
	collect->online.fd = -1;
	collect->receive = malloc(IPC_MESSAGE_MAX + 64);
	(void)fcntl(DUTY_EXTRA_FD, F_SETFL, O_NONBLOCK);
	link_sender_init(&collect->link, DUTY_EXTRA_FD, (size_t)config->backlog);
	(void)notify_init(&collect->notify);
	r = collect->receive ? loop_init(&collect->loop, on_stop, collect) : -ENOMEM;
	if (r == 0)
		r = collect_open(collect);
	if (r == 0)
		r = give_up_rights(collect);
	r = r < 0 ? 1 : run(collect);
	collect_close(collect);
	notify_done(&collect->notify);
	loop_done(&collect->loop);
	free(collect);
	return r < 0 ? 1 : r;
}
