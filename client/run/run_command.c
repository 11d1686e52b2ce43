/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measured command's process: started in its cgroup as the calling user, signalled as if this program
 * were not there, waited for. Knows nothing of daemons or energy.
 */
#include "run/run_command.h"
#include "base/cleanup.h"
#include "client.h"
#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

static const int passed_on[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};

static void fill_signals(sigset_t *set)
{
	(void)sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(passed_on); i++)
		(void)sigaddset(set, passed_on[i]);
}

/* The caller's setting for SIGPIPE, for the command. */
static struct sigaction pipe_action;

void run_signals_block(void)
{
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	/* If the reader of the summary exits, this program must still clean up. */
	(void)sigaction(SIGPIPE, &ignore, &pipe_action);

	fill_signals(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
}

int run_signal_pending(unsigned wait_ms)
{
	struct timespec wait = {.tv_sec = wait_ms / 1000, .tv_nsec = (long)(wait_ms % 1000) * 1000000};
	sigset_t set;
	int number;

	fill_signals(&set);
	number = sigtimedwait(&set, NULL, &wait);
	return number > 0 ? number : 0;
}

int run_command_find_user(const char *user, uid_t *ret_uid, gid_t *ret_gid)
{
	const char *caller = geteuid() == 0 && getuid() == 0 ? getenv("SUDO_UID") : NULL;
	const char *wanted = user ? user : caller;
	const struct passwd *entry;
	uint64_t number;

	*ret_uid = getuid();
	*ret_gid = getgid();
	if (!wanted)
		return 0;
	entry = getpwnam(wanted);
	if (!entry && text_parse_u64(wanted, &number) == 0)
		entry = getpwuid((uid_t)number);
	if (!entry)
		return -ENOENT;
	*ret_uid = entry->pw_uid;
	*ret_gid = entry->pw_gid;
	return 0;
}

static int become_user(uid_t uid, gid_t gid)
{
	const struct passwd *entry;

	if (geteuid() == uid && getuid() == uid)
		return 0;
	entry = getpwuid(uid);
	if ((entry ? initgroups(entry->pw_name, gid) : setgroups(0, NULL)) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	return 0;
}

/* In the child; does not return. `report` receives an errno if the command cannot be executed. */
static void become_command(char *const argv[], const struct run_cgroup *cgroup, uid_t uid, gid_t gid,
			   int report)
{
	sigset_t none;
	int r = run_cgroup_enter(cgroup);

	if (r == 0)
		r = become_user(uid, gid);
	if (r == 0) {
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)sigaction(SIGPIPE, &pipe_action, NULL);
		(void)execvp(argv[0], argv);
		r = -errno;
	}
	if (write(report, &r, sizeof(r)) < 0)
		_exit(CLIENT_EXIT_CANNOT);
	_exit(r == -ENOENT ? CLIENT_EXIT_NOT_FOUND : CLIENT_EXIT_NOT_EXECUTABLE);
}

/* Waits for the command; passes on signals that were sent to this process alone. */
static int wait_for_end(pid_t child)
{
	sigset_t set;
	siginfo_t info;
	int status;

	fill_signals(&set);
	(void)sigaddset(&set, SIGCHLD);
	while (waitpid(child, &status, WNOHANG) == 0) {
		int number = sigwaitinfo(&set, &info);

		/* The terminal has already sent its signals to the command. */
		if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
			(void)kill(child, number);
	}
	return status;
}

int run_command(char *const argv[], const struct run_cgroup *cgroup, uid_t uid, gid_t gid,
		struct run_command_result *ret_result)
{
	int ends[2];
	int error = 0;
	int status;
	pid_t child;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	ret_result->begin_ms = clock_realtime_ms();
	child = fork();
	if (child == 0)
		become_command(argv, cgroup, uid, gid, ends[1]);
	(void)close(ends[1]);
	if (child < 0) {
		error = -errno;
		(void)close(ends[0]);
		return error;
	}
	ret_result->started = read(ends[0], &error, sizeof(error)) <= 0;
	(void)close(ends[0]);
	status = wait_for_end(child);
	ret_result->end_ms = clock_realtime_ms();
	ret_result->exit_status =
		WIFSIGNALED(status) ? CLIENT_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	if (!ret_result->started)
		(void)client_fail(0, "cannot run '%s': %s", argv[0], strerror(-error));
	return 0;
}
