/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The measured command's process: starts it in its cgroup as the calling user, passes signals on as if this
 * program were not there, and waits for it. Knows nothing about daemons or energy.
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

/* A variable of a process's initial environment, which root may read. */
static bool read_variable(pid_t pid, const char *name, char *ret, size_t size)
{
	cleanup_(cleanup_fclose) FILE *file = NULL;
	cleanup_(cleanup_free) char *entry = NULL;
	char place[64];
	size_t capacity = 0, length = strlen(name);

	(void)snprintf(place, sizeof(place), "/proc/%d/environ", (int)pid);
	file = fopen(place, "re");
	while (file && getdelim(&entry, &capacity, '\0', file) > 0) {
		if (strncmp(entry, name, length) == 0 && entry[length] == '=') {
			(void)snprintf(ret, size, "%s", entry + length + 1);
			return true;
		}
	}
	return false;
}

/* Is the parent sudo? sudo may have a second process in between, for the terminal. */
static bool is_sudo(pid_t pid)
{
	char name[32];

	return text_read_file(name, sizeof(name), "/proc/%d/comm", (int)pid) > 0 && strcmp(name, "sudo") == 0;
}

int run_command_find_user(const char *user, struct run_user *ret)
{
	const char *caller = geteuid() == 0 && getuid() == 0 ? getenv("SUDO_UID") : NULL;
	const char *wanted = user ? user : caller;
	const struct passwd *entry;
	uint64_t number;

	*ret = (struct run_user){.uid = getuid(), .gid = getgid()};
	if (!wanted)
		return 0;
	entry = getpwnam(wanted);
	if (!entry && text_parse_u64(wanted, &number) == 0)
		entry = getpwuid((uid_t)number);
	if (!entry)
		return -ENOENT;
	ret->uid = entry->pw_uid;
	ret->gid = entry->pw_gid;
	(void)snprintf(ret->name, sizeof(ret->name), "%s", entry->pw_name);
	(void)snprintf(ret->home, sizeof(ret->home), "%s", entry->pw_dir);
	/* sudo has replaced the caller's PATH by root's. */
	if (!user && is_sudo(getppid()))
		(void)read_variable(getppid(), "PATH", ret->path, sizeof(ret->path));
	return 0;
}

static void set_variable(const char *name, const char *value)
{
	if (*value)
		(void)setenv(name, value, 1);
}

static int become_user(const struct run_user *user)
{
	const struct passwd *entry;

	set_variable("HOME", user->home);
	set_variable("USER", user->name);
	set_variable("LOGNAME", user->name);
	set_variable("PATH", user->path);
	if (geteuid() == user->uid && getuid() == user->uid)
		return 0;
	entry = getpwuid(user->uid);
	if ((entry ? initgroups(entry->pw_name, user->gid) : setgroups(0, NULL)) < 0 ||
	    setresgid(user->gid, user->gid, user->gid) < 0 || setresuid(user->uid, user->uid, user->uid) < 0)
		return -errno;
	return 0;
}

/* Redirects the output to /dev/null. */
static void silence_output(void)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		(void)dup2(fd, STDOUT_FILENO);
}

/* In the child; does not return. `report` receives an errno if the command cannot be executed. */
static void become_command(char *const argv[], const struct run_cgroup *cgroup, const struct run_user *user,
			   bool is_silent, int report)
{
	sigset_t none;
	int r = run_cgroup_enter(cgroup);

	if (r == 0)
		r = become_user(user);
	if (r == 0) {
		if (is_silent)
			silence_output();
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

/* Waits for the command; passes on signals that were sent only to this process. */
static int wait_for_end(pid_t child, int *ret_interrupt)
{
	sigset_t set;
	siginfo_t info;
	int status;

	fill_signals(&set);
	(void)sigaddset(&set, SIGCHLD);
	while (waitpid(child, &status, WNOHANG) == 0) {
		int number = sigwaitinfo(&set, &info);

		if (number > 0 && number != SIGCHLD)
			*ret_interrupt = number;
		/* The terminal has already sent its signals to the command. */
		if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL)
			(void)kill(child, number);
	}
	return status;
}

int run_command(char *const argv[], const struct run_cgroup *cgroup, const struct run_user *user,
		bool is_silent, struct run_command_result *ret_result)
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
		become_command(argv, cgroup, user, is_silent, ends[1]);
	(void)close(ends[1]);
	if (child < 0) {
		error = -errno;
		(void)close(ends[0]);
		return error;
	}
	ret_result->started = read(ends[0], &error, sizeof(error)) <= 0;
	(void)close(ends[0]);
	status = wait_for_end(child, &ret_result->interrupt);
	ret_result->end_ms = clock_realtime_ms();
	ret_result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	ret_result->exit_status =
		WIFSIGNALED(status) ? CLIENT_EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
	if (!ret_result->started)
		(void)client_fail(0, "cannot run '%s': %s", argv[0], strerror(-error));
	return 0;
}

const char *run_signal_name(int number, char ret[32])
{
	const char *name = sigabbrev_np(number);

	if (name)
		(void)snprintf(ret, 32, "SIG%s", name);
	else
		(void)snprintf(ret, 32, "signal %d", number);
	return ret;
}
