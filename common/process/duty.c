/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts this program again as a child with a duty, and ends it. Called by the first process of a daemon.
 * Between fork and exec only async-signal-safe calls are made; a failed exec is reported through a pipe.
 * Passwords and tokens go to children by their sockets, and only those that their duties need. In `ps`, both
 * are covered with '*'.
 */
#include "process/duty.h"

#include "base/cleanup.h"
#include "document/batch.h"
#include "process/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define DUTY_VARIABLE "WATTRIBUTE_DUTY"
#define DUTY_SECRETS  0x5ec1
#define FD_ABOVE      16 /* above all descriptor numbers that the child will have */
#define EXEC_FAILED   127
#define STEP_MS       5
#define KILLED_MS     500

extern char **environ;

struct start {
	char *const *argv;
	char **environment;
	int socket;
	int extra;
	int report;
	pid_t parent;
};

static struct {
	const struct secret *list;
	unsigned n;
	bool (*needs)(const char *duty, const char *option);
} kept;

/* A terminal is opened for reading and writing: a process with this descriptor could read what is typed. */
static void write_only(int fd)
{
	char path[] = "/proc/self/fd/0";
	int again;

	if (!isatty(fd) || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return;
	path[sizeof(path) - 2] = (char)('0' + fd);
	again = open(path, O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (again < 0) /* another user's terminal, under su(1) */
		return;
	(void)dup2(again, fd);
	(void)close(again);
}

static void close_from(int first, int keep);

/* Closes other inherited descriptors: no process of the daemon needs them. */
static void leave_inherited(void)
{
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null >= 0)
		(void)dup2(null, STDIN_FILENO);
	write_only(STDOUT_FILENO);
	write_only(STDERR_FILENO);
	close_from(STDERR_FILENO + 1, -1);
}

void duty_begin(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		(void)close(fd);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		(void)fcntl(fd, F_SETFD, 0);
}

void duty_take_options(const struct config *config, char *argv[],
		       bool (*needs)(const char *duty, const char *option),
		       bool (*warn)(void *token, const char *sentence))
{
	config_hide_secrets(config, argv);
	kept.list = config_secrets(config, &kept.n);
	kept.needs = needs;
	if (config_get_action(config) == CONFIG_RUN)
		leave_inherited();
	if (config_get_action(config) == CONFIG_EXIT)
		return;
	(void)config_each_unknown_variable(config, warn, (void *)"config");
	(void)config_each_doubtful_value(config, warn, (void *)"config");
}

/* An entry of the environment as the duty may see it. */
static char *environment_entry(const char *duty, char *entry)
{
	for (unsigned i = 0; i < kept.n; i++) {
		const struct secret *secret = &kept.list[i];
		size_t length = secret->variable ? strcspn(secret->variable, "=") + 1 : 0;

		if (length && strncmp(entry, secret->variable, length) == 0 &&
		    !kept.needs(duty, secret->name))
			return secret->variable;
	}
	return entry;
}

/* Sends a new child what its duty needs. 0 or a negative errno. */
static int send_secrets(const char *duty, int socket)
{
	struct batch message = {0};
	uint64_t n = 0;
	int r = 0;

	if (!kept.needs)
		return 0;
	for (unsigned i = 0; i < kept.n; i++)
		n += kept.list[i].argument >= 0 && kept.needs(duty, kept.list[i].name);
	r |= ipc_put_u64(&message, n);
	for (unsigned i = 0; i < kept.n; i++) {
		const struct secret *secret = &kept.list[i];

		if (secret->argument < 0 || !kept.needs(duty, secret->name))
			continue;
		r |= ipc_put_u64(&message, (uint64_t)secret->argument);
		r |= ipc_put_u64(&message, secret->offset);
		r |= ipc_put_string(&message, secret->text);
	}
	r = r ? -ENOMEM : ipc_send(socket, DUTY_SECRETS, 0, message.data, message.length, NULL, 0);
	if (message.data)
		explicit_bzero(message.data, message.length);
	batch_done(&message);
	return r;
}

static int restore(int argc, char *argv[], uint64_t argument, uint64_t offset, const char *text)
{
	char *whole;

	if (argument >= (uint64_t)argc || offset > strlen(argv[argument]))
		return -EBADMSG;
	if (asprintf(&whole, "%.*s%s", (int)offset, argv[argument], text) < 0)
		return -ENOMEM;
	argv[argument] = whole; /* as long as the process */
	return 0;
}

int duty_take_secrets(int argc, char *argv[])
{
	uint8_t *buffer = malloc(IPC_MESSAGE_MAX + 16);
	struct ipc_message message;
	struct ipc_cursor cursor;
	uint64_t n;
	int r = buffer ? ipc_receive(DUTY_SOCKET_FD, buffer, IPC_MESSAGE_MAX + 16, &message) : -ENOMEM;

	if (r == 1) {
		ipc_close_fds(&message);
		cursor = ipc_cursor_init(message.payload, message.length);
		n = ipc_get_u64(&cursor);
		r = message.type == DUTY_SECRETS ? 0 : -EBADMSG;
		for (; n > 0 && r == 0; n--) {
			uint64_t argument = ipc_get_u64(&cursor), offset = ipc_get_u64(&cursor);
			const char *text = ipc_get_string(&cursor);

			r = cursor.failed ? -EBADMSG : restore(argc, argv, argument, offset, text);
		}
		explicit_bzero(buffer, IPC_MESSAGE_MAX + 16);
	} else if (r == 0) {
		r = -EPIPE;
	}
	free(buffer);
	return r;
}

const char *duty_current(void)
{
	const char *name = getenv(DUTY_VARIABLE);

	return name && *name ? name : NULL;
}

void duty_ignore_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		(void)signal(numbers[i], SIG_IGN);
}

/* The environment with the duty's name added; only the array and its first string are new. */
static char **make_environment(const char *name, char **ret_entry)
{
	size_t n = 0, n_kept = 0;

	while (environ[n])
		n++;
	char **environment = calloc(n + 2, sizeof(*environment));
	if (!environment)
		return NULL;
	if (asprintf(ret_entry, DUTY_VARIABLE "=%s", name) < 0) {
		free(environment);
		*ret_entry = NULL;
		return NULL;
	}
	environment[n_kept++] = *ret_entry;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(environ[i], DUTY_VARIABLE "=", strlen(DUTY_VARIABLE "=")) != 0)
			environment[n_kept++] = environment_entry(name, environ[i]);
	}
	return environment;
}

/* Closes all descriptors from `first` on, except `keep` (or -1). */
static void close_from(int first, int keep)
{
	if ((keep < 0 || syscall(SYS_close_range, (unsigned)first, (unsigned)keep - 1, 0) == 0) &&
	    syscall(SYS_close_range, (unsigned)(keep < 0 ? first : keep + 1), ~0u, 0) == 0)
		return;
	/* Linux before 5.9 */
	long limit = sysconf(_SC_OPEN_MAX);
	for (int fd = first; fd < (limit > 0 && limit < 65536 ? limit : 65536); fd++) {
		if (fd != keep)
			(void)close(fd);
	}
}

static void reset_signals(void)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &usual, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/*
 * Detaches from the terminal that the daemon was started from: no input from it, and no typing into it
 * (TIOCSTI needs the controlling terminal). No core file, which would contain passwords.
 */
static bool leave_terminal(void)
{
	const struct rlimit none = {0, 0};
	const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)setsid();
	(void)setrlimit(RLIMIT_CORE, &none);
	write_only(STDOUT_FILENO);
	write_only(STDERR_FILENO);
	return null >= 0 && (null == STDIN_FILENO || dup2(null, STDIN_FILENO) == STDIN_FILENO);
}

static bool place_fds(struct start *start)
{
	start->socket = fcntl(start->socket, F_DUPFD_CLOEXEC, FD_ABOVE);
	start->report = fcntl(start->report, F_DUPFD_CLOEXEC, FD_ABOVE);
	if (start->extra >= 0)
		start->extra = fcntl(start->extra, F_DUPFD_CLOEXEC, FD_ABOVE);
	if (start->socket < 0 || start->report < 0 || dup2(start->socket, DUTY_SOCKET_FD) < 0)
		return false;
	if (start->extra >= 0 && dup2(start->extra, DUTY_EXTRA_FD) < 0)
		return false;
	close_from(start->extra >= 0 ? DUTY_EXTRA_FD + 1 : DUTY_EXTRA_FD, start->report);
	return true;
}

_Noreturn static void run_child(struct start *start)
{
	reset_signals();
	/* SIGTERM, so that the child can finish its work; the closed socket has the same meaning. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == start->parent && leave_terminal() &&
	    place_fds(start)) {
		(void)execve("/proc/self/exe", start->argv, start->environment);
		if (strchr(start->argv[0], '/')) /* no /proc */
			(void)execve(start->argv[0], start->argv, start->environment);
	}
	int err = errno;
	ssize_t ignored = write(start->report, &err, sizeof(err));
	(void)ignored;
	_exit(EXEC_FAILED);
}

/* Waits for the child's exec: 0, or its negative errno. */
static int await_exec(int pipe_end)
{
	int err = 0;
	ssize_t n;

	do
		n = read(pipe_end, &err, sizeof(err));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(err) ? -(err ? err : ECHILD) : 0;
}

static int fork_child(struct start *start, pid_t *ret_pid)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	start->report = ends[1];
	pid_t pid = fork();
	if (pid == 0)
		run_child(start);
	int r = pid < 0 ? -errno : 0;
	(void)close(ends[1]);
	if (r == 0)
		r = await_exec(ends[0]);
	(void)close(ends[0]);
	if (pid > 0 && r < 0)
		(void)waitpid(pid, NULL, 0);
	*ret_pid = pid;
	return r;
}

int duty_spawn(const char *name, char *const argv[], int extra_fd, struct duty *ret_duty)
{
	cleanup_(cleanup_free) char *entry = NULL;
	cleanup_(cleanup_free) char **environment = make_environment(name, &entry);
	int sockets[2];
	pid_t pid = 0;

	if (!environment)
		return -ENOMEM;
	int r = ipc_pair(sockets);
	if (r < 0)
		return r;
	struct start start = {argv, environment, sockets[1], extra_fd, -1, getpid()};
	r = fork_child(&start, &pid);
	(void)close(sockets[1]);
	if (r < 0) {
		(void)close(sockets[0]);
		return r;
	}
	*ret_duty = (struct duty){.name = name, .pid = pid, .socket = sockets[0]};
	r = send_secrets(name, sockets[0]);
	if (r < 0)
		(void)duty_stop(ret_duty, 0);
	return r;
}

int duty_stop(struct duty *duty, unsigned timeout_ms)
{
	unsigned waited_ms = 0;
	int status = 0;
	pid_t pid;

	if (duty->socket >= 0)
		(void)close(duty->socket);
	duty->socket = -1;
	if (duty->pid <= 0)
		return -ECHILD;
	while ((pid = waitpid(duty->pid, &status, WNOHANG)) == 0 && waited_ms < timeout_ms) {
		(void)poll(NULL, 0, STEP_MS);
		waited_ms += STEP_MS;
	}
	if (pid == 0) {
		(void)kill(duty->pid, SIGKILL);
		/* A child in a call to a dead disk or network file system does not exit even then. */
		for (waited_ms = 0;
		     (pid = waitpid(duty->pid, &status, WNOHANG)) == 0 && waited_ms < KILLED_MS;
		     waited_ms += STEP_MS)
			(void)poll(NULL, 0, STEP_MS);
	}
	duty->pid = 0;
	return pid < 0 ? -ECHILD : pid == 0 ? -ETIMEDOUT : status;
}
