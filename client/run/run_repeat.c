/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order of repeated runs: warm-ups first, then the commands in turn, so that a machine that grows warm or
 * is used by others meanwhile does not favour one of them.
 */
#include "run/run_repeat.h"
#include "base/clock.h"
#include "client.h"
#include "base/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct progress {
	bool shown; /* on a terminal that can erase a line */
	unsigned n_done, n_all;
	uint64_t begin_ns;
};

static void open_progress(struct progress *progress, const struct run_repeat_plan *plan)
{
	const char *terminal = getenv("TERM");

	*progress = (struct progress){
		.shown = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0 && !plan->quiet &&
			 !plan->show_output,
		.n_all = (unsigned)plan->n_commands * (plan->repeat + plan->warmup),
		.begin_ns = clock_monotonic_ns(),
	};
}

static void clear_progress(const struct progress *progress)
{
	if (progress->shown)
		fputs("\r\033[K", stderr);
}

static void show_progress(const struct progress *progress, size_t command, const struct compare_group *group)
{
	double elapsed_s = UNIT_S_OF_NS(clock_monotonic_ns() - progress->begin_ns);
	struct sample sample = {0};

	if (!progress->shown)
		return;
	clear_progress(progress);
	fprintf(stderr, "run %u of %u%s", progress->n_done + 1, progress->n_all, group ? "" : " (warm-up)");
	if (group)
		compare_group_summarize(group, COMPARE_ENERGY, &sample);
	if (sample.n > 0)
		fprintf(stderr, ", %c: %.3f J in the mean so far", (int)('A' + command), sample.mean);
	if (progress->n_done > 0)
		fprintf(stderr, ", about %.0f s left",
			elapsed_s / progress->n_done * (progress->n_all - progress->n_done));
	(void)fflush(stderr);
}

/* Names the run that failed. Its exit status, or CLIENT_GO_ON if that does not matter. */
static int judge(const struct run_repeat_plan *plan, size_t command, const struct run_command_result *result)
{
	char name[32];

	if (!result->started)
		return result->exit_status;
	if (result->interrupt)
		return CLIENT_EXIT_SIGNAL + result->interrupt;
	if (result->exit_status == 0 || plan->ignore_failure)
		return CLIENT_GO_ON;
	if (result->signal)
		return client_fail(result->exit_status, "'%s' was killed by %s; --ignore-failure measures on",
				   plan->names[command], run_signal_name(result->signal, name));
	return client_fail(result->exit_status, "'%s' ended with status %d; --ignore-failure measures on",
			   plan->names[command], result->exit_status);
}

static int run_once(struct run_session *session, const struct run_repeat_plan *plan, size_t command,
		    struct progress *progress, struct compare_group *group)
{
	struct run_command_result result;
	json_t *recap = NULL;
	char cgroup[64];
	int status;

	show_progress(progress, command, group);
	/* Each run has its own name, as one tick may hold the end of a run and the begin of the next. */
	(void)snprintf(cgroup, sizeof(cgroup), "%.40s-%u", plan->cgroup, session->n_runs + 1);
	status = run_session_measure(session, cgroup, plan->commands[command], !plan->show_output, &result,
				     group ? &recap : NULL);
	clear_progress(progress);
	progress->n_done++;
	if (status != CLIENT_GO_ON)
		return status;
	status = judge(plan, command, &result);
	if (status == CLIENT_GO_ON && group && !recap)
		status = CLIENT_EXIT_NO_RECAP;
	if (status == CLIENT_GO_ON && recap) {
		(void)json_object_set_new(recap, "exit_status", json_integer(result.exit_status));
		if (compare_group_add(group, recap, NULL) < 0)
			status = client_fail(CLIENT_EXIT_NO_RECAP, "out of memory");
	}
	json_decref(recap);
	return status;
}

int run_repeat(struct run_session *session, const struct run_repeat_plan *plan,
	       struct compare_group *ret_groups)
{
	struct progress progress;
	int status = CLIENT_GO_ON;

	open_progress(&progress, plan);
	for (size_t i = 0; i < plan->n_commands; i++)
		ret_groups[i] = (struct compare_group){.name = plan->names[i]};
	for (unsigned i = 0; i < plan->warmup; i++)
		for (size_t c = 0; c < plan->n_commands && status == CLIENT_GO_ON; c++)
			status = run_once(session, plan, c, &progress, NULL);
	for (unsigned i = 0; i < plan->repeat; i++)
		for (size_t c = 0; c < plan->n_commands && status == CLIENT_GO_ON; c++)
			status = run_once(session, plan, c, &progress, &ret_groups[c]);
	return status == CLIENT_GO_ON ? 0 : status;
}
