/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting, watching and ending the two daemons of `wattribute run`.
 */
#include "run/run_daemons.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "client.h"
#include "fetch.h"
#include "run/run_command.h"
#include "base/reason.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#define STOP_TIMEOUT_MS 60000
#define STOP_POLL_MS    10
#define READY_FETCH_MS  3000
#define READY_POLL_MS   50
#define SPACE_LEAST     65536 /* bytes that a store needs to grow */

/* A free port of the loopback address; 0 if there is none. */
static unsigned find_free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	cleanup_(cleanup_close) int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) < 0)
		return 0;
	return ntohs(address.sin_port);
}

static void become_daemon(const struct run_daemons *daemons, const char *name, pid_t parent)
{
	char log[PATH_MAX];
	sigset_t none;
	int fd = open("/dev/null", O_RDONLY);

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	/* Ctrl-C is for the command, and no daemon may survive if this client is killed. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(CLIENT_EXIT_FAILURE);
	(void)dup2(fd, STDIN_FILENO);
	if (daemons->verbose) {
		(void)dup2(STDERR_FILENO, STDOUT_FILENO);
		return;
	}
	(void)snprintf(log, sizeof(log), "%s/%s.log", daemons->folder.path, name);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	(void)dup2(fd, STDOUT_FILENO);
	(void)dup2(fd, STDERR_FILENO);
}

static int start_one(const struct run_daemons *daemons, const char *name, const char *const arguments[],
		     pid_t *ret_pid, struct reason *why)
{
	char program[PATH_MAX];
	pid_t self = getpid();
	pid_t pid;

	if (client_find_program(name, program, sizeof(program)) < 0)
		return reason_set(why, -ENOENT,
				  "cannot find the program %s next to this one or in PATH; install it", name);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		become_daemon(daemons, name, self);
		execv(program, (char *const *)arguments);
		_exit(CLIENT_EXIT_NOT_EXECUTABLE);
	}
	*ret_pid = pid;
	return 0;
}

static int start_sensor(struct run_daemons *daemons, const char *store,
			const struct run_daemons_settings *settings, struct reason *why)
{
	char interval[32];
	const char *const own[] = {"wattribute-sensor",
				   "--name=" RUN_SENSOR_NAME,
				   "--store",
				   store,
				   "--state-dir",
				   daemons->folder.path,
				   "--frequency",
				   interval,
				   "--verbose",
				   settings->sensor_config ? "--config-file" : NULL,
				   settings->sensor_config};
	const char *arguments[ARRAY_SIZE(own) + RUN_SENSOR_WORDS_MAX + 1] = {NULL};
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (own[i])
			arguments[n++] = own[i];
	for (size_t i = 0; settings->sensor_words && settings->sensor_words[i] && i < RUN_SENSOR_WORDS_MAX;
	     i++)
		arguments[n++] = settings->sensor_words[i];
	(void)snprintf(interval, sizeof(interval), "%" PRIu64 "ms", settings->interval_ms);
	return start_one(daemons, "wattribute-sensor", arguments, &daemons->sensor, why);
}

static int start_server(struct run_daemons *daemons, const char *store, const char *formula,
			struct reason *why)
{
	unsigned port = find_free_port();
	char listen_at[32];
	const char *const arguments[] = {"wattribute-server",
					 "--input",
					 store,
					 "--output",
					 store,
					 "--state-dir",
					 daemons->folder.path,
					 "--listen",
					 listen_at,
					 "--poll=20ms",
					 "--discover=100ms",
					 "--grace=500ms",
					 "--save=1s",
					 "--database=" CLIENT_DATABASE_DEFAULT,
					 "--recap-timeout=10s",
					 formula ? "--formula" : NULL,
					 formula,
					 NULL};

	if (port == 0)
		return reason_set(why, -EADDRNOTAVAIL, "no free port on 127.0.0.1");
	(void)snprintf(listen_at, sizeof(listen_at), "127.0.0.1:%u", port);
	(void)snprintf(daemons->server_url, sizeof(daemons->server_url), "http://%s", listen_at);
	return start_one(daemons, "wattribute-server", arguments, &daemons->server, why);
}

void run_daemons_store(const struct run_daemons *daemons, char *ret, size_t size)
{
	(void)snprintf(ret, size, "sqlite:%s/run.db", daemons->folder.path);
}

int run_daemons_start(const struct run_daemons_settings *settings, struct run_daemons *ret_daemons,
		      struct reason *why)
{
	const char *parent = getenv("TMPDIR");
	char store[PATH_MAX];
	int r;

	*ret_daemons = (struct run_daemons){.verbose = settings->verbose};
	/* A longer path would not fit a socket's address. */
	if (!parent || *parent != '/' || strlen(parent) > sizeof(ret_daemons->folder.path) - 24)
		parent = "/tmp";
	r = run_folder_make(parent, &ret_daemons->folder);
	if (r < 0)
		return reason_set(why, r, "cannot create a folder in %s: %s", parent, strerror(-r));
	run_daemons_store(ret_daemons, store, sizeof(store));
	r = start_sensor(ret_daemons, store, settings, why);
	return r < 0 ? r : start_server(ret_daemons, store, settings->formula, why);
}

/*
 * Appends why a daemon exited: the last error or warning in its log, otherwise the last line. With --verbose
 * the log is on the terminal.
 */
static void explain_end(const struct run_daemons *daemons, const char *name, int status, struct reason *why)
{
	char path[PATH_MAX], signal_name[32];
	char line[512], last[512] = "";
	bool is_bad, was_bad = false;
	cleanup_(cleanup_fclose) FILE *log = NULL;

	if (WIFSIGNALED(status)) {
		reason_set(why, 0, "%s was ended by %s", name,
			   run_signal_name(WTERMSIG(status), signal_name));
		return;
	}
	(void)snprintf(path, sizeof(path), "%s/%s.log", daemons->folder.path, name);
	log = fopen(path, "re");
	while (log && fgets(line, sizeof(line), log)) {
		is_bad = strstr(line, ": error: ") || strstr(line, ": warning: ");
		if (is_bad || !was_bad)
			(void)snprintf(last, sizeof(last), "%.*s", (int)strcspn(line, "\n"), line);
		was_bad = was_bad || is_bad;
	}
	if (*last)
		reason_set(why, 0, "%s has exited: %s", name, last);
	else
		reason_set(why, 0, "%s has exited with status %d%s", name, WEXITSTATUS(status),
			   daemons->verbose ? "" : ": it gave no reason");
}

static bool has_ended(pid_t *pid, int *ret_status)
{
	*ret_status = 0;
	if (*pid > 0 && waitpid(*pid, ret_status, WNOHANG) == 0)
		return false;
	*pid = 0;
	return true;
}

int run_daemons_alive(struct run_daemons *daemons, struct reason *why)
{
	int status;

	if (has_ended(&daemons->sensor, &status)) {
		explain_end(daemons, "wattribute-sensor", status, why);
		return -ECHILD;
	}
	if (has_ended(&daemons->server, &status)) {
		explain_end(daemons, "wattribute-server", status, why);
		return -ECHILD;
	}
	return 0;
}

/* 1: the server has seen a tick; 0: not yet; -ECHILD and a sentence if one of the daemons has exited. */
static int look_for_tick(struct run_daemons *daemons, struct reason *why)
{
	cleanup_(cleanup_free) char *url = fetch_make_url(daemons->server_url, "/api/latest");
	cleanup_(cleanup_free) char *token = client_token();
	struct reason detail;
	json_t *answer = NULL;
	int ready = run_daemons_alive(daemons, why);

	if (ready < 0)
		return ready;
	if (url && fetch_json(url, token, false, READY_FETCH_MS, &answer, &detail) == 0)
		ready = json_array_size(json_object_get(answer, "sensors")) > 0;
	json_decref(answer);
	return ready;
}

const char *run_daemons_trouble(const struct run_daemons *daemons, char ret[RUN_TROUBLE_SIZE])
{
	struct statvfs status;

	ret[0] = '\0';
	if (statvfs(daemons->folder.path, &status) == 0 &&
	    (status.f_bavail * status.f_frsize < SPACE_LEAST || (status.f_files > 0 && status.f_favail == 0)))
		(void)snprintf(ret, RUN_TROUBLE_SIZE,
			       "; the file system of %.64s is full: set TMPDIR to a folder with more space",
			       daemons->folder.path);
	return ret;
}

int run_daemons_wait(struct run_daemons *daemons, uint64_t timeout_ms, int failure)
{
	uint64_t end_ns = clock_monotonic_ns() + timeout_ms * CLOCK_NS_PER_MS;
	struct reason why = {""};
	char trouble[RUN_TROUBLE_SIZE];

	while (clock_monotonic_ns() < end_ns) {
		int ready = look_for_tick(daemons, &why), number;

		if (ready > 0)
			return CLIENT_GO_ON;
		if (ready < 0)
			return client_fail(failure, "%s", why.text);
		number = run_signal_pending(READY_POLL_MS);
		if (number > 0)
			return CLIENT_EXIT_SIGNAL + number;
	}
	return client_fail(
		failure,
		"no reading within %d s%s; 'wattribute check' lists what can be measured, --verbose "
		"shows the log",
		RUN_READY_TIMEOUT_MS / 1000, run_daemons_trouble(daemons, trouble));
}

/*
 * Waits for the orderly end, in which a server saves its model; a slow machine needs seconds for this. A
 * signal (the user's second Ctrl-C) or the limit ends the wait: -EINTR, -ETIMEDOUT. 1 and a sentence if it
 * had ended before, or ended with an error.
 */
static int stop_one(const struct run_daemons *daemons, const char *name, pid_t *pid, bool *interrupted,
		    struct reason *why)
{
	bool was_running;
	int status = 0;

	if (*pid <= 0)
		return 0;
	was_running = !has_ended(pid, &status);
	if (was_running)
		(void)kill(*pid, SIGTERM);
	for (unsigned waited_ms = 0; *pid > 0 && waited_ms < STOP_TIMEOUT_MS && !*interrupted;
	     waited_ms += STOP_POLL_MS)
		*interrupted = !has_ended(pid, &status) && run_signal_pending(STOP_POLL_MS) > 0;
	if (*pid > 0) {
		(void)kill(*pid, SIGKILL);
		(void)waitpid(*pid, NULL, 0);
		*pid = 0;
		return *interrupted
			       ? reason_set(why, -EINTR, "interrupted while sensor and server were ending")
			       : reason_set(why, -ETIMEDOUT,
					    "%s did not exit within %d s and was killed; its latest data "
					    "are lost. --verbose shows its log",
					    name, STOP_TIMEOUT_MS / 1000);
	}
	if (was_running && status == 0)
		return 0;
	explain_end(daemons, name, status, why);
	return 1;
}

int run_daemons_end(struct run_daemons *daemons, struct reason *why)
{
	bool interrupted = false;
	struct reason later = {""};
	int sensor = stop_one(daemons, "wattribute-sensor", &daemons->sensor, &interrupted, why);
	int server = stop_one(daemons, "wattribute-server", &daemons->server, &interrupted, &later);

	if (sensor < 0 || server == 0)
		return sensor;
	if (sensor == 0 || server < 0)
		*why = later;
	return server;
}

void run_daemons_stop(struct run_daemons *daemons)
{
	struct reason ignored;

	(void)run_daemons_end(daemons, &ignored);
	run_folder_remove(&daemons->folder);
}
