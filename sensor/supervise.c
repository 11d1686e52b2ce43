/* SPDX-License-Identifier: Apache-2.0 */
/*
 * First process of the sensor. With root privileges it answers a closed list of typed requests (priv.h) and
 * does nothing else; when one of its children ends, the other is ended in an orderly way, and the exit code
 * is collect's.
 */
#include "supervise.h"

#include "cgroup/cgroup.h"
#include "base/cleanup.h"
#include "collect/collect.h"
#include "process/duty.h"
#include "base/folder.h"
#include "gpu/gpu_main.h"
#include "process/ipc.h"
#include "base/log.h"
#include "process/loop.h"
#include "process/notify.h"
#include "priv/priv.h"
#include "priv/priv_bpf.h"
#include "process/sandbox.h"
#include "store/store.h"
#include "write/write_main.h"
#include "write/writer.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * Delays from the request to end, or from the first child's exit: until a writer in the middle of a call to
 * the store has to abandon it, and then until each of the two kills. Together less than 5 s.
 */
#define SUPERVISE_END_S  2.5
#define SUPERVISE_KILL_S 1.0

struct supervise {
	struct loop loop;
	struct notify notify;
	struct duty collect, write, gpu;
	struct loop_child collect_child, write_child, gpu_child;
	struct priv_config priv;
	struct priv_bpf *bpf;
	struct container_roots roots;
	struct cgroup_layout layout;
	ev_io requests;
	ev_timer patience;
	unsigned n_patience; /* number of expiries */
	int link_end;        /* the writer's, kept for its successor if it hangs */
	char *const *argv;
	bool spools;     /* the writer has a spool to continue with */
	bool takes_over; /* or a store with which another writer can continue */
	bool ending;
	int exit_code;
	unsigned n_running;
	uid_t service_uid; /* of the children that are not root; -1: none */
};

/* Signals a running child; as its user if root has no CAP_KILL, as in a container. */
static void signal_child(const struct supervise *supervise, const struct duty *child, int number)
{
	if (child->pid <= 0 || kill(child->pid, number) == 0 || errno != EPERM || geteuid() != 0 ||
	    supervise->service_uid == (uid_t)-1 || seteuid(supervise->service_uid) < 0)
		return;
	(void)kill(child->pid, number);
	if (seteuid(0) < 0)
		log_error("priv", -errno, "cannot become root again");
}

static int exit_code_of(int wait_status)
{
	if (WIFEXITED(wait_status))
		return WEXITSTATUS(wait_status);
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : 1;
}

/* The service manager listens only to this process (NotifyAccess=main); the notices come from collect. */
static void pass_notice(void *data, enum priv_notice notice, const char *status)
{
	struct supervise *supervise = data;

	if (notice == PRIV_NOTICE_READY)
		(void)notify_ready(&supervise->notify, status);
	else if (notice == PRIV_NOTICE_STATUS)
		(void)notify_status(&supervise->notify, "%s", status);
	else
		(void)notify_watchdog(&supervise->notify);
}

static void child_ended(struct supervise *supervise, const char *name, int wait_status)
{
	const int code = exit_code_of(wait_status);

	/* A child that lost reports has told so. */
	if (code != 0 && code != SENSOR_EXIT_LOST)
		log_error("priv", 0, "process '%s' exited with %s %d", name,
			  WIFSIGNALED(wait_status) ? "signal" : "code",
			  WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : code);
	if (supervise->exit_code == 0 || (supervise->exit_code == SENSOR_EXIT_LOST && code != 0))
		supervise->exit_code = code;
	(void)notify_stopping(&supervise->notify);
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

/* Starts another writer that takes over the link from one that hung, so that its content is not lost. */
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

/*
 * If the writer was killed or crashed, the sensor ends, but first another writer stores the content of the
 * link in the spool or the store's file.
 */
static bool save_after_kill(struct supervise *supervise, int wait_status)
{
	if (!WIFSIGNALED(wait_status) || supervise->ending || !(supervise->spools || supervise->takes_over) ||
	    !start_writer(supervise, supervise->spools ? WRITE_DUTY_SPOOL : WRITE_DUTY))
		return false;
	log_error("priv", 0,
		  "process 'write' exited with signal %d; exiting: what it had not stored yet of the tick in "
		  "progress is lost; reports that it had not received yet go into the %s",
		  WTERMSIG(wait_status), supervise->spools ? "spool" : "store");
	supervise->exit_code = exit_code_of(wait_status);
	supervise->ending = true;
	signal_child(supervise, &supervise->collect, SIGTERM);
	ev_timer_again(supervise->loop.ev, &supervise->patience);
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
	if (save_after_kill(supervise, wait_status))
		return;
	/*
	 * It exits with 0 only after collect has closed the link: collect is about to exit, or its exit has
	 * not been noticed yet.
	 */
	if (code != 0)
		signal_child(supervise, &supervise->collect, SIGTERM);
	child_ended(supervise, "write", wait_status);
}

/*
 * Ends processes that do not exit: first a writer that waits for its store abandons the call, and another one
 * puts the rest of the link into the spool; then both are killed.
 */
static void on_patience(struct ev_loop *ev, ev_timer *timer, int events)
{
	struct supervise *supervise = timer->data;

	(void)events;
	supervise->ending = true;
	timer->repeat = SUPERVISE_KILL_S;
	ev_timer_again(ev, timer);
	if (++supervise->n_patience == 1 && supervise->write.pid > 0) {
		log_warning("priv", 0, "the store does not answer: exiting without it");
		signal_child(supervise, &supervise->write, SIGALRM);
		return;
	}
	log_error("priv", 0, "a child process does not exit; killing it: reports that it held are lost");
	signal_child(supervise, &supervise->collect, SIGKILL);
	signal_child(supervise, &supervise->write, SIGKILL);
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
		signal_child(supervise, &supervise->collect, SIGKILL);
	}
}

static void on_stop(struct loop *loop, int signal_number)
{
	struct supervise *supervise = loop->data;

	(void)signal_number;
	supervise->ending = true;
	(void)notify_stopping(&supervise->notify);
	signal_child(supervise, &supervise->collect, SIGTERM);
	/* A stopped child could neither store its data nor exit. */
	signal_child(supervise, &supervise->collect, SIGCONT);
	signal_child(supervise, &supervise->write, SIGCONT);
	ev_timer_again(loop->ev, &supervise->patience);
}

/* It ends by itself when collect closes its socket; its end does not end the others. */
static void on_gpu_ended(struct loop_child *child, int wait_status)
{
	struct supervise *supervise = child->data;

	if (exit_code_of(wait_status) != 0 && !supervise->ending)
		log_notice("priv", 0, "process '%s' exited with code %d", GPU_DUTY,
			   exit_code_of(wait_status));
	supervise->gpu.pid = -1;
	if (supervise->gpu.socket >= 0)
		(void)close(supervise->gpu.socket);
	supervise->gpu.socket = -1;
}

/* One at a time, when collect asks. */
static int start_gpus(void *data)
{
	struct supervise *supervise = data;
	int pair[2];
	int r = supervise->gpu.pid > 0 ? -EBUSY : ipc_pair(pair);

	if (r < 0)
		return r;
	r = duty_spawn(GPU_DUTY, (char **)supervise->argv, pair[1], &supervise->gpu);
	(void)close(pair[1]);
	if (r < 0) {
		supervise->gpu.pid = -1;
		(void)close(pair[0]);
		return r;
	}
	loop_child_start(&supervise->loop, &supervise->gpu_child, supervise->gpu.pid, on_gpu_ended,
			 supervise);
	return pair[0];
}

static void prepare_priv(struct supervise *supervise, const struct sensor_config *config)
{
	collect_container_roots(config, &supervise->roots);
	supervise->priv = (struct priv_config){.sysfs_root = config->sysfs_root,
					       .containers = &supervise->roots,
					       .bpf = &supervise->bpf,
					       .notice = pass_notice,
					       .notice_data = supervise};
	if (config->gpu != SENSOR_GPU_OFF) {
		supervise->priv.start_gpus = start_gpus;
		supervise->priv.gpus_data = supervise;
	}
	if (!config->sim && cgroup_layout_detect(config->cgroup_base, &supervise->layout) == 0) {
		if (supervise->layout.perf)
			supervise->priv.perf_root = supervise->layout.mount;
		supervise->priv.cgroup_root = supervise->layout.mount;
		if (config->resctrl != SENSOR_RESCTRL_OFF)
			supervise->priv.resctrl_root = config->resctrl_root;
	}
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

	(void)snprintf(folder, sizeof(folder), "%s", config->state_dir);
	if (!config->spool_path && (config->store || config->uri || config->output_type))
		return 0; /* we store nothing in the state folder */
	r = folder_make(config->state_dir, 0755, uid, gid);
	if (r == 0 && config->spool_path) {
		(void)snprintf(folder, sizeof(folder), "%s/spool", config->state_dir);
		if (geteuid() == 0 && !sandbox_service_user(config->user, &uid, &gid))
			uid = (uid_t)-1;
		r = folder_make(folder, 0755, uid, gid);
	}
	if (r == -EPERM)
		return log_error("priv", r,
				 "cannot give the folder '%s' to the user of --user: create it for that "
				 "user, or start with CAP_CHOWN",
				 folder);
	if (r < 0)
		return log_error("priv", r, "cannot create the folder '%s'; choose another with --state-dir",
				 folder);
	return 0;
}

/*
 * Both children run: opening hardware and restarting a writer need only these capabilities. CAP_SYS_ADMIN:
 * kernels before 5.8 lack CAP_PERFMON and CAP_BPF.
 */
static int give_up_rights(const struct sensor_config *config)
{
	static const int kept[] = {CAP_PERFMON,         CAP_BPF,       CAP_SYS_RESOURCE,
				   CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN, CAP_SETUID,
				   CAP_SETGID,          CAP_SETPCAP,   CAP_KILL};
	struct reason why = {""};
	uint64_t mask = 0, for_gpus = 0;
	int r;

	if (geteuid() == 0 && sandbox_shares_user(config->user))
		log_notice("priv", 0, SANDBOX_SHARED_USER);
	if (config->sandbox == SANDBOX_OFF)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
		mask |= SANDBOX_CAPABILITY(kept[i]);
	if (gpu_choose(config) && strcmp(gpu_choose(config), "drm") == 0)
		for_gpus =
			SANDBOX_CAPABILITY(CAP_SYS_PTRACE); /* for the process `gpu`, which loads nothing */
	r = sandbox_keep(mask | for_gpus, &why);
	if (r == 0)
		r = sandbox_pass_on(for_gpus, &why);
	if (r < 0)
		log_debug("priv", 0, "the first process keeps more privileges than it needs: %s", why.text);
	r = sandbox_restrict(
		&(struct sandbox_limits){
			.mode = (enum sandbox_mode)config->sandbox,
			.profile = SANDBOX_PRIV,
			.missing = log_each_notice,
			.data = "priv",
		},
		&why);
	if (r < 0)
		log_error("priv", 0, "%s", why.text);
	return r;
}

/* Removes monitoring groups left by a killed collect process. */
static void remove_groups(const struct supervise *supervise)
{
	const struct priv_resctrl_request request = {.call = PRIV_RESCTRL_CLEAN};
	struct priv_resctrl_answer answer;
	struct reason why = {""};

	(void)priv_resctrl_run(&supervise->priv, &request, &answer, &why);
}

int supervise_main(struct sensor_config *config, char *argv[])
{
	struct supervise *supervise = calloc(1, sizeof(*supervise));
	gid_t gid;
	int code, r;

	if (!supervise) {
		log_error("priv", -ENOMEM, "cannot start");
		return 1;
	}
	struct duty *const duties[] = {&supervise->collect, &supervise->write, &supervise->gpu};

	supervise->collect.pid = supervise->write.pid = supervise->gpu.pid = supervise->link_end = -1;
	supervise->spools = config->spool_path != NULL;
	supervise->takes_over = store_uri_traits(config->store_uri) & (STORE_BOUNDED | STORE_STREAM);
	if (!sandbox_service_user(config->user, &supervise->service_uid, &gid))
		supervise->service_uid = (uid_t)-1;
	r = make_folders(config);
	if (r == 0 && (r = loop_init(&supervise->loop, on_stop, supervise)) < 0)
		log_error("priv", r, "cannot create the event loop");
	if (r < 0) {
		free(supervise);
		return 1;
	}
	(void)notify_init(&supervise->notify);
	ev_timer_init(&supervise->patience, on_patience, 0.0, SUPERVISE_END_S);
	supervise->patience.data = supervise;
	prepare_priv(supervise, config);
	if (start_children(supervise, argv) < 0 || give_up_rights(config) < 0)
		supervise->exit_code = 1;
	else
		loop_run(&supervise->loop);
	code = supervise->exit_code;
	for (size_t i = 0; i < ARRAY_SIZE(duties); i++)
		if (duties[i]->pid > 0)
			(void)duty_stop(duties[i], 200);
	if (supervise->link_end >= 0)
		(void)close(supervise->link_end);
	remove_groups(supervise);
	notify_done(&supervise->notify);
	priv_bpf_free(supervise->bpf);
	loop_done(&supervise->loop);
	free(supervise);
	return code;
}
