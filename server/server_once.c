/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run with --once went. Whatever of the input gave no power reports is counted here: lines, files,
 * documents, machines without energy, reports that came too late. Called by server.c at the end.
 */
#include "server_private.h"

#include "base/log.h"
#include "machine/machine.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>

#define REASONS_MAX 12 /* in one line; the others are counted */

/* The reasons, as one sentence. */
struct reasons {
	char text[1800];
	size_t length;
	unsigned n, n_more;
};

static void add(void *data, const char *what)
{
	struct reasons *reasons = data;
	const size_t left = sizeof(reasons->text) - reasons->length;
	int length;

	if (reasons->n >= REASONS_MAX) {
		reasons->n_more++;
		return;
	}
	length = snprintf(reasons->text + reasons->length, left, "%s%s", reasons->n ? "; " : "", what);
	if (length < 0 || (size_t)length >= left) {
		reasons->text[reasons->length] = '\0';
		reasons->n_more++;
		return;
	}
	reasons->length += (size_t)length;
	reasons->n++;
}

/* Machines of which every report was refused are described by these. */
static bool is_fruitless(const struct machine *machine)
{
	return machine->n.documents > 0 && machine->n.rows == 0;
}

static void add_fruitless(struct reasons *reasons, const struct machine *machine)
{
	const struct machine_counters *n = &machine->n;
	char text[500];

	(void)snprintf(text, sizeof(text),
		       "no power reports of '%s' (%" PRIu64 " reports in %" PRIu64 " ticks of '%s'): %s",
		       machine->name, n->documents, n->ticks, machine->reports,
		       !n->ticks                   ? "no tick is complete"
		       : n->headless == n->ticks   ? "no report of 'all', the whole machine"
		       : n->unmeasured == n->ticks ? "no energy in them"
						   : "no tick has targets and energy");
	add(reasons, text);
}

static void add_machine(struct reasons *reasons, const struct machine *machine)
{
	const struct machine_counters *n = &machine->n;
	char text[500];

	if (n->bad) {
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64 " malformed documents in '%s', the last: %.200s", n->bad,
			       machine->reports, machine->why.text);
		add(reasons, text);
	}
	if (n->late) {
		(void)snprintf(text, sizeof(text),
			       "%" PRIu64 " reports of '%s' came after their tick had been processed",
			       n->late, machine->name);
		add(reasons, text);
	}
	if (n->unwritable) {
		(void)snprintf(text, sizeof(text), "%" PRIu64 " power reports of '%s' could not be encoded",
			       n->unwritable, machine->name);
		add(reasons, text);
	}
	if (is_fruitless(machine))
		add_fruitless(reasons, machine);
}

int server_once_status(const struct server *server)
{
	const struct input_statistics *input = input_get_statistics(server->input);
	uint64_t skipped = input->damaged + input->excess, rows = 0;

	for (struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		skipped += machine->n.bad + machine->n.late + machine->n.unwritable + is_fruitless(machine);
		rows += machine->n.rows;
		machine_complain(machine, machine->reports);
	}
	return input->failed ? 1 : skipped || !rows ? SERVER_EXIT_PARTLY : 0;
}

static void add_process(struct reasons *reasons, const struct server *server)
{
	char text[300];

	if (server->loop.stop_signal) {
		(void)snprintf(text, sizeof(text), "ended by signal %d before the end of the input",
			       server->loop.stop_signal);
		add(reasons, text);
	}
	if (server->n.refused) {
		(void)snprintf(text, sizeof(text),
			       "the output refused %" PRIu64 " writings (the reason is logged above)",
			       server->n.refused);
		add(reasons, text);
	}
}

void server_once_explain(const struct server *server)
{
	struct reasons reasons = {.length = 0};
	uint64_t documents = 0;
	char text[400], uri[256], more[40] = "";

	if (!server->config->once || server->exit_status == 0)
		return;
	add_process(&reasons, server);
	input_explain(server->input, add, &reasons);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		add_machine(&reasons, machine);
		documents += machine->n.documents + machine->n.bad;
	}
	if (!documents && !reasons.n && server->exit_status == SERVER_EXIT_PARTLY) {
		(void)snprintf(text, sizeof(text),
			       "no reports in '%s', or none of a machine that --sensor names",
			       store_uri_display(server->config->input_uri, uri, sizeof(uri)));
		add(&reasons, text);
	}
	if (reasons.n_more)
		(void)snprintf(more, sizeof(more), "; and %u more", reasons.n_more);
	log_warning("server", 0, "exit status %d, %s: %s%s", server->exit_status,
		    server->exit_status == SERVER_EXIT_PARTLY ? "a part of the input gave no power reports"
							      : "an error",
		    reasons.n ? reasons.text : "the reason is logged above", more);
}
