/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First process of the sensor. With root's rights it answers a closed list of typed requests (priv.h) and
 * does nothing else; when one of its children ends, the other is ended in order, and the exit code is
 * collect's.
 */
#include "supervise.h"

#include "cgroup/cgroup.h"
#include "base/cleanup.h"
#include "collect/collect.h"
#include "process/duty.h"
#include "base/folder.h"
#include "process/ipc.h"
#include "base/log.h"
#include "process/loop.h"
#include "priv/priv.h"
#include "priv/priv_bpf.h"
#include "process/sandbox.h"
#include "write/write_main.h"
#include "write/writer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * From the request to end, or from the first child's end: until a writer in the midst of a call to the store
 * is told to leave it, and then until each of the two kills. Together less than 5 s.
 */
#define SUPERVISE_END_S  2.5
#define SUPERVISE_KILL_S 1.0

struct supervise {
	struct loop loop;
	struct duty collect, write;
	struct loop_child collect_child, write_child;
	struct priv_config priv;
	struct priv_bpf *bpf;
	struct container_roots roots;
	struct cgroup_layout layout;
	ev_io requests;
	ev_timer patience;
	unsigned n_patience; /* times that it has run out */
	int link_end;        /* the writer's, kept for a writer that continues after one that hung */
	char *const *argv;
	bool spools; /* the writer has a spool to continue with */
	bool ending;
	int exit_code;
	unsigned n_running;
};

static int exit_code_of(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : 1;
}

static void child_ended(struct supervise *supervise, const char *name, int wait_status)
{
	const int code = exit_code_of(wait_status);

	if (code != 0)
		log_error("priv", 0, "process '%s' exited with %s %d", name,
			  WIFSIGNALED(wait_status) ? "signal" : "code",
			  WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : code);
	if (supervise->exit_code == 0)
		supervise->exit_code = code;
	if (--supervise->n_running == 0)
		loop_stop(&supervise->loop);
	else
		ev_timer_again(supervise->loop.ev, &supervise->patience);
}

static void on_collect_ended(struct loop_child *child, int wait_status)
{
	struct supervise *supervise = child->data;

	ev_io_stop(supervise->loop.ev, &supervise->requests);
	supervise->collect.pid = -1;
	child_ended(supervise, "collect", wait_status);
}

static void on_write_ended(struct loop_child *child, int wait_status);

/* Another writer on the same link continues where one hung: what the link holds is not lost. */
static bool start_writer(struct supervise *supervise, const char *duty)
{
	int r = duty_spawn(duty, (char **)supervise->argv, supervise->link_end, &supervise->write);

	if (r < 0) {
		log_error("priv", r, "cannot start another process for the store");
		supervise->write.pid = -1;
		return false;
	}
	loop_child_start(&supervise->loop, &supervise->write_child, supervise->write.pid, on_write_ended,
			 supervise);
	return true;
}

static void on_write_ended(struct loop_child *child, int wait_status)
{
	struct supervise *supervise = child->data;
	const int code = exit_code_of(wait_status);
	const bool hung = code == WRITER_EXIT_HUNG || (supervise->ending && code == 128 + SIGKILL);

	supervise->write.pid = -1;
	if (supervise->write.socket >= 0)
		(void)close(supervise->write.socket);
	supervise->write.socket = -1;
	if (hung && supervise->spools && supervise->n_patience < 3 &&
	    start_writer(supervise, supervise->ending ? WRITE_DUTY_SPOOL : WRITE_DUTY))
		return;
	/* It ends with 0 only when collect has closed the link: collect is about to end, or has ended unseen
	 * so far. */
	if (supervise->collect.pid > 0 && code != 0)
		(void)kill(supervise->collect.pid, SIGTERM);
	child_ended(supervise, "write", wait_status);
}

/*
 * What does not end: first a writer that waits for its store leaves the call, and another one puts what the
 * link still holds into the spool; then both are killed.
 */
static void on_patience(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct supervise *supervise = timer->data;

	(void)events;
	supervise->ending = true;
	timer->repeat = SUPERVISE_KILL_S;
	ev_timer_again(ev, timer);
	if (++supervise->n_patience == 1 && supervise->write.pid > 0) {
		log_warning("priv", 0, "the store does not answer: ending without it");
		(void)kill(supervise->write.pid, SIGALRM);
		return;
	}
	log_error("priv", 0, "a child process does not exit; killing it: reports that it held are lost");
	if (supervise->collect.pid > 0)
		(void)kill(supervise->collect.pid, SIGKILL);
	if (supervise->write.pid > 0)
		(void)kill(supervise->write.pid, SIGKILL);
}

static void on_request(struct ev_loop *ev, ev_io *watcher, int events)
{
	struct supervise *supervise = watcher->data;
	int r = priv_serve(watcher->fd, &supervise->priv);

	(void)events;
	if (r > 0)
		return;
	ev_io_stop(ev, watcher);
	if (r < 0 && supervise->collect.pid > 0) {
		supervise->exit_code = 1;
		(void)kill(supervise->collect.pid, SIGKILL);
	}
}

static void on_stop(struct loop *loop, int signal_number)
{
	struct supervise *supervise = loop->data;

	(void)signal_number;
	supervise->ending = true;
	if (supervise->collect.pid > 0)
		(void)kill(supervise->collect.pid, SIGTERM);
	ev_timer_again(loop->ev, &supervise->patience);
}

static void prepare_priv(struct supervise *supervise, const struct sensor_config *config)
{
	collect_container_roots(config, &supervise->roots);
	supervise->priv = (struct priv_config){
		.sysfs_root = config->sysfs_root, .containers = &supervise->roots, .bpf = &supervise->bpf};
	if (!config->sim && cgroup_layout_detect(config->cgroup_base, &supervise->layout) == 0 &&
	    supervise->layout.perf)
		supervise->priv.perf_root = supervise->layout.mount;
}

static int start_children(struct supervise *supervise, char *argv[])
{
	int link[2];
	int r = ipc_pair(link);

	if (r < 0)
		return log_error("priv", r, "cannot create a socket pair");
	supervise->argv = argv;
	supervise->link_end = link[1];
	r = duty_spawn(WRITE_DUTY, argv, link[1], &supervise->write);
	if (r == 0)
		r = duty_spawn("collect", argv, link[0], &supervise->collect);
	(void)close(link[0]);
	if (r < 0)
		return log_error("priv", r, "cannot start a child process");
	supervise->n_running = 2;
	loop_child_start(&supervise->loop, &supervise->write_child, supervise->write.pid, on_write_ended,
			 supervise);
	loop_child_start(&supervise->loop, &supervise->collect_child, supervise->collect.pid,
			 on_collect_ended, supervise);
	ev_io_init(&supervise->requests, on_request, supervise->collect.socket, EV_READ);
	supervise->requests.data = supervise;
	ev_io_start(supervise->loop.ev, &supervise->requests);
	return 0;
}

static int make_folders(const struct sensor_config *config)
{
	char folder[4096];
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	int r;

	if (!config->spool_path && (config->store || config->uri || config->output_type))
		return 0; /* nothing of ours goes into the state folder */
	r = folder_make(config->state_dir, 0755, uid, gid);
	if (r == 0 && config->spool_path) {
		(void)snprintf(folder, sizeof(folder), "%s/spool", config->state_dir);
		if (geteuid() == 0 && sandbox_find_user(config->user, &uid, &gid) < 0)
			uid = (uid_t)-1;
		r = folder_make(folder, 0755, uid, gid);
	}
	if (r < 0)
		return log_error("priv", r,
				 "cannot create the state folder '%s'; choose another with --state-dir",
				 config->state_dir);
	return 0;
}

int supervise_main(struct sensor_config *config, char *argv[])
{
	struct supervise *supervise = calloc(1, sizeof(*supervise));
	int code;

	if (!supervise)
		return 1;
	supervise->collect.pid = supervise->write.pid = supervise->link_end = -1;
	supervise->spools = config->spool_path != NULL;
	if (make_folders(config) < 0 || loop_init(&supervise->loop, on_stop, supervise) < 0) {
		free(supervise);
		return 1;
	}
	ev_timer_init(&supervise->patience, on_patience, 0.0, SUPERVISE_END_S);
	supervise->patience.data = supervise;
	prepare_priv(supervise, config);
	if (start_children(supervise, argv) < 0)
		supervise->exit_code = 1;
	else
		loop_run(&supervise->loop);
	code = supervise->exit_code;
	if (supervise->collect.pid > 0)
		(void)duty_stop(&supervise->collect, 200);
	if (supervise->write.pid > 0)
		(void)duty_stop(&supervise->write, 200);
	if (supervise->link_end >= 0)
		(void)close(supervise->link_end);
	priv_bpf_free(supervise->bpf);
	loop_done(&supervise->loop);
	free(supervise);
	return code;
}
