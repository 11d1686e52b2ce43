/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The steps of a measured run: a cgroup, the command in it, its recap from the server. The daemons live from
 * the first run to the last.
 */
#include "run/run_session.h"
#include "base/cleanup.h"
#include "base/reason.h"
#include "base/text.h"
#include "client.h"
#include "fetch.h"
#include "base/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RUN_RECAP_TIMEOUT_MS 60000 /* the server writes it within 10 s, but may be slow */

int run_session_open(struct run_session *session, const struct run_daemons_settings *settings,
		     const char *user, const char *name)
{
	struct reason why = {""};

	session->interval_ms = (unsigned)settings->interval_ms;
	if (run_command_find_user(user, &session->user) < 0)
		return client_fail(CLIENT_EXIT_USAGE, "user '%s' does not exist",
				   user ? user : getenv("SUDO_UID"));
	if (run_cgroup_make(name, &session->cgroup, &why) < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "%s", why.text);
	session->has_cgroup = true;
	if (run_daemons_start(settings, &session->daemons, &why) < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "%s", why.text);
	return run_daemons_wait(&session->daemons, RUN_READY_TIMEOUT_MS, CLIENT_EXIT_CANNOT);
}

/* Asks for the recap; a new reference, or NULL after a message. */
static json_t *get_recap(const struct run_session *session, const struct run_command_result *result)
{
	double begin_s = UNIT_S_OF_MS(result->begin_ms);
	double end_s = UNIT_S_OF_MS(result->end_ms);
	cleanup_(cleanup_free) char *name = text_escape_url(session->cgroup.name);
	cleanup_(cleanup_free) char *path = NULL;
	cleanup_(cleanup_free) char *url = NULL;
	cleanup_(cleanup_free) char *token = client_token();
	struct reason why = {"out of memory"};
	char trouble[RUN_TROUBLE_SIZE];
	json_t *recap = NULL;

	if (name && asprintf(&path,
			     "/" CLIENT_DATABASE_DEFAULT "/" RUN_SENSOR_NAME
			     "?name=%s&begin=%.3f&beginwarmup=%.3f&beginexecution=%.3f&end=%.3f&wholelife=1",
			     name, begin_s, begin_s, begin_s, end_s) >= 0)
		url = fetch_make_url(session->daemons.server_url, path);
	if (!url || fetch_json(url, token, true, RUN_RECAP_TIMEOUT_MS, &recap, &why) < 0)
		(void)client_fail(0, "the command ended, but its energy could not be determined: %s%s",
				  why.text, run_daemons_trouble(&session->daemons, trouble));
	return recap;
}

/* Makes the next run's cgroup and gives the sensor time to find it. CLIENT_GO_ON, or the exit status. */
static int make_cgroup(struct run_session *session, const char *name)
{
	struct reason why = {""};
	int number;

	if (session->has_cgroup)
		return CLIENT_GO_ON;
	if (run_cgroup_make(name, &session->cgroup, &why) < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "%s", why.text);
	session->has_cgroup = true;
	number = run_signal_pending(session->interval_ms);
	return number > 0 ? CLIENT_EXIT_SIGNAL + number : CLIENT_GO_ON;
}

static void remove_cgroup(struct run_session *session)
{
	if (session->has_cgroup)
		session->n_left += run_cgroup_remove(&session->cgroup);
	session->has_cgroup = false;
}

int run_session_measure(struct run_session *session, const char *name, char *const argv[], bool is_silent,
			struct run_command_result *ret_result, json_t **ret_recap)
{
	int status = make_cgroup(session, name);
	int r;

	*ret_result = (struct run_command_result){0};
	if (ret_recap)
		*ret_recap = NULL;
	if (status != CLIENT_GO_ON)
		return status;
	r = run_command(argv, &session->cgroup, &session->user, is_silent, ret_result);
	if (r < 0)
		return client_fail(CLIENT_EXIT_CANNOT, "cannot start a process: %s", strerror(-r));
	session->n_runs++;
	if (ret_recap && ret_result->started)
		*ret_recap = get_recap(session, ret_result);
	remove_cgroup(session);
	return CLIENT_GO_ON;
}

int run_session_close(struct run_session *session)
{
	struct reason why = {""};
	int status = 0;
	int r = run_daemons_end(&session->daemons, &why);

	run_daemons_stop(&session->daemons);
	remove_cgroup(session);
	if (session->n_left > 0)
		(void)client_fail(0, "the command left %u processes running; they are no longer measured",
				  session->n_left);
	/* What was not measured because of an interruption is known to the one who interrupted. */
	if (session->n_runs > 0 && r != 0 && r != -EINTR)
		status = client_fail(CLIENT_EXIT_NO_RECAP, "some of the energy may be missing: %s", why.text);
	return status;
}

FILE *run_session_create_file(const struct run_session *session, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	FILE *file;

	/* Under sudo the file belongs to the caller, as if created without sudo. */
	if (fd >= 0 && geteuid() != session->user.uid && fchown(fd, session->user.uid, session->user.gid) < 0)
		(void)client_fail(0, "cannot change the owner of '%s': %s", path, strerror(errno));
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	file = fdopen(fd, "w");
	if (!file)
		(void)close(fd);
	return file;
}
