/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The collect process: its watchers, its start and its orderly end. collect_tick.c has the readings,
 * collect_open.c opens everything.
 */
#include "collect/collect.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "cgroup/cgroup_mounts.h"
#include "process/duty.h"
#include "process/ipc.h"
#include "process/notify.h"
#include "base/log.h"
#include "priv/priv_client.h"
#include "process/sandbox.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define CONFINE_PLACES         32 /* cgroup mounts, and paths given by options */
#define COLLECT_UNSEEN_RESCANS 12 /* rescans between two looks at the other hierarchies */
#define COLLECT_FLUSH_IDLE_S                                                                                 \
	2 /* at the end: how long the writer may accept nothing before the rest is discarded */

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

	/* Pending inotify events belong to this tick. */
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
	/* Further events wait a little, so that a burst of new cgroups does not cause a burst of wake-ups. */
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

	(void)ev, (void)events;
	if (r < 0)
		log_warning("cgroup", r, "the rescan failed");
	target_table_settle(collect->table, clock_realtime_ms());
	if (collect->n_rescans++ % COLLECT_UNSEEN_RESCANS == 0)
		collect_find_unseen(collect);
	collect_follow_edges(collect);
	if (topology_renew_frequency(&collect->topology, collect->config->sysfs_root))
		log_notice("topology", 0, "the base frequency is now %.0f MHz",
			   collect->topology.base_frequency_mhz);
}

/* systemd attributes this keep-alive to the first process. */
static void on_watchdog(struct ev_loop *ev, ev_timer *timer, int events)
{
	(void)ev, (void)timer, (void)events;
	priv_client_notice(DUTY_SOCKET_FD, PRIV_NOTICE_ALIVE, "%s", "");
}

static void take_status(struct collect *collect, const struct link_status *status)
{
	const uint64_t lost = status->dropped + status->spool_dropped;

	collect->writer_done = status->ticks_done;
	collect->writer_heard_ns = clock_monotonic_ns();
	if (collect->writer_silent)
		log_notice("link", 0, "the writer process answers again");
	collect->writer_silent = false;
	if (lost < collect->writer_lost) /* another writer, whose count begins at 0 */
		collect->writer_lost = 0;
	collect->lost[REPORT_LOST_SPOOL] += lost - collect->writer_lost;
	collect->writer_lost_all += lost - collect->writer_lost;
	collect->writer_lost = lost;
	if (collect->seq % 60 == 1)
		priv_client_notice(DUTY_SOCKET_FD, PRIV_NOTICE_STATUS, "%u targets, %" PRIu64 " ticks%s",
				   target_table_view(collect->table)->n_live, collect->seq,
				   status->store_failing ? "; the store does not answer" : "");
}

static void on_link_read(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct collect *collect = watcher->data;
	struct ipc_message message;
	int r;

	(void)ev, (void)events;
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
	const uint64_t watchdog_ms = notify_watchdog_ms(getppid());
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
	if (watchdog_ms > 0) {
		const double every_s = (double)watchdog_ms * 1e-3;

		ev_timer_init(&collect->watchdog, on_watchdog, every_s, every_s);
		collect->watchdog.data = collect;
		ev_timer_start(ev, &collect->watchdog);
	}
}

static void add_mount(void *data, const struct cgroup_mount *mount)
{
	const char **places = data;
	unsigned n = 0;

	while (places[n])
		n++;
	if (n < CONFINE_PLACES)
		places[n] = mount->path;
}

/* Restricts the process to reading the kernel's files of processes, devices and cgroups, wherever they are
 * mounted, and no users' files. */
static int restrict_self(const struct sensor_config *config, struct reason *why)
{
	const char *places[CONFINE_PLACES + 1] = {"/proc", "/sys"};
	struct cgroup_mounts *mounts = NULL;
	unsigned n = 2;
	int r;

	if (config->sysfs_root)
		places[n++] = config->sysfs_root;
	if (config->procfs_root)
		places[n++] = config->procfs_root;
	if (config->cgroup_base)
		places[n++] = config->cgroup_base;
	if (config->resctrl_root)
		places[n++] = config->resctrl_root;
	if (cgroup_mounts_read("/proc/self/mountinfo", &mounts) == 0)
		cgroup_mounts_each(mounts, add_mount, places);
	r = sandbox_restrict(
		&(struct sandbox_limits){
			.mode = (enum sandbox_mode)config->sandbox,
			.profile = SANDBOX_COLLECT,
			.reach = SANDBOX_READS_BELOW,
			.places = places,
			.missing = log_each_notice,
			.data = "sandbox",
		},
		why);
	cgroup_mounts_free(mounts);
	return r;
}

/* Everything is open: from here on this process has no privileges. */
static int give_up_rights(struct collect *collect)
{
	const struct sensor_config *config = collect->config;
	struct reason why = {""};
	int r = sandbox_become(config->user, 0, &why);

	/* A simulation does not access this machine, and writes a file of true values. */
	if (r == 0 && !collect->simulated)
		r = restrict_self(config, &why);
	if (r < 0)
		log_error("sandbox", 0, "%s", why.text);
	return r;
}

/* At the end: as long as the writer makes progress, it may continue. */
static void flush_link(struct collect *collect)
{
	unsigned idle_s = 0;
	int r;

	while ((r = link_flush(&collect->link)) == -EAGAIN && idle_s < COLLECT_FLUSH_IDLE_S) {
		struct pollfd link = {.fd = DUTY_EXTRA_FD, .events = POLLOUT};

		idle_s = poll(&link, 1, 1000) > 0 ? 0 : idle_s + 1;
	}
	if (r < 0) {
		const uint64_t n = link_abandon(&collect->link);

		collect->link.lost += n;
		log_error("link", r, "%" PRIu64 " documents are lost: the writer does not accept them", n);
	}
}

/* The exit code of an orderly end. The writer reports its own losses. */
static int tell_losses(struct collect *collect)
{
	const uint64_t n_lost = collect->lost[REPORT_LOST_SPOOL] + collect->link.lost;

	log_info("collect", 0, "%" PRIu64 " ticks", collect->seq);
	if (n_lost > collect->writer_lost_all)
		log_warning("collect", 0,
			    "%" PRIu64
			    " documents are lost: the writer did not take them in time (exit status %d)",
			    n_lost - collect->writer_lost_all, SENSOR_EXIT_LOST);
	return collect->result ? collect->result : n_lost > 0 ? SENSOR_EXIT_LOST : 0;
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
	priv_client_notice(DUTY_SOCKET_FD, PRIV_NOTICE_READY, "measuring");
	log_info("collect", 0, "measuring '%s': %u targets, one tick every %" PRIu64 " ms",
		 collect->config->name, target_table_view(collect->table)->n_live,
		 collect->config->interval_ms);
	loop_run(&collect->loop);
	/* The counts since the last tick are written too, unless --ticks set the exact number. */
	if (!collect->simulated && collect->config->ticks == 0 && collect->result == 0) {
		loop_tick_stop(&collect->tick);
		collect_read_tick(collect, 0);
	}
	flush_link(collect);
	return tell_losses(collect);
}

int collect_main(struct sensor_config *config, const struct collect_machine *simulated)
{
	struct collect *collect = calloc(1, sizeof(*collect));
	int r;

	if (!collect) {
		log_error("collect", -ENOMEM, "cannot start");
		return 1;
	}
	collect->config = config;
	collect->simulated = simulated;
	collect->online.fd = -1;
	collect->receive = malloc(IPC_MESSAGE_MAX + 64);
	(void)fcntl(DUTY_EXTRA_FD, F_SETFL, O_NONBLOCK);
	link_sender_init(&collect->link, DUTY_EXTRA_FD, (size_t)config->backlog);
	r = collect->receive ? loop_init(&collect->loop, on_stop, collect) : -ENOMEM;
	if (r < 0)
		log_error("collect", r, "cannot start");
	if (r == 0)
		r = collect_open(collect);
	if (r == 0)
		r = give_up_rights(collect);
	r = r < 0 ? 1 : run(collect);
	collect_close(collect);
	loop_done(&collect->loop);
	free(collect);
	return r < 0 ? 1 : r;
}
