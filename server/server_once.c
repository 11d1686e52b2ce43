/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result of a run with --once. Counts all input that gave no power reports: lines, files, documents, machines
 * without energy, reports that came too late. Called by server.c at the end.
 */
#include "server_private.h"

#include "base/log.h"
#include "machine/machine.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdarg.h>
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
	const int length =
		snprintf(reasons->text + reasons->length, left, "%s%s", reasons->n ? "; " : "", what);

	if (reasons->n >= REASONS_MAX || length < 0 || (size_t)length >= left) {
		reasons->text[reasons->length] = '\0';
		reasons->n_more++;
		return;
	}
	reasons->length += (size_t)length;
	reasons->n++;
}

/* Adds nothing if the count is 0. */
static void add_count(struct reasons *reasons, uint64_t n, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void add_count(struct reasons *reasons, uint64_t n, const char *format, ...)
{
	char text[500];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (n)
		add(reasons, text);
}

/* For machines whose reports were all refused, the refusals are the reason. */
static bool is_fruitless(const struct machine *machine)
{
	return machine->n.documents > 0 && machine->n.rows == 0;
}

static void add_machine(struct reasons *reasons, const struct machine *machine)
{
	const struct machine_counters *n = &machine->n;

	add_count(reasons, n->bad, "%" PRIu64 " malformed documents in '%s', the last: %.200s", n->bad,
		  machine->reports, machine->why.text);
	add_count(reasons, n->late, "%" PRIu64 " reports of '%s' arrived after their tick was processed",
		  n->late, machine->name);
	add_count(reasons, n->unwritable, "%" PRIu64 " power reports of '%s' could not be encoded",
		  n->unwritable, machine->name);
	add_count(reasons, is_fruitless(machine),
		  "no power reports of '%s' (%" PRIu64 " reports in %" PRIu64 " ticks of '%s'): %s",
		  machine->name, n->documents, n->ticks, machine->reports,
		  !n->ticks                   ? "no tick is complete"
		  : n->headless == n->ticks   ? "no report of 'all', the whole machine"
		  : n->unmeasured == n->ticks ? "no energy in them"
					      : "no tick has both targets and energy");
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

void server_once_explain(const struct server *server)
{
	struct reasons reasons = {.length = 0};
	uint64_t documents = 0;
	char uri[256], more[40] = "";

	if (!server->config->once || server->exit_status == 0)
		return;
	add_count(&reasons, (uint64_t)server->loop.stop_signal,
		  "ended by signal %d before the end of the input", server->loop.stop_signal);
	add_count(&reasons, server->n.refused,
		  "the output did not accept %" PRIu64 " power reports (the reason is logged above)",
		  server_unwritten(server));
	input_explain(server->input, add, &reasons);
	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		add_machine(&reasons, machine);
		documents += machine->n.documents + machine->n.bad;
	}
	add_count(&reasons, !documents && !reasons.n && server->exit_status == SERVER_EXIT_PARTLY,
		  "no reports in '%s', or none of a machine that matches --sensor",
		  store_uri_display(server->config->input_uri, uri, sizeof(uri)));
	if (reasons.n_more)
		(void)snprintf(more, sizeof(more), "; and %u more", reasons.n_more);
	log_warning("server", 0, "exit status %d, %s: %s%s", server->exit_status,
		    server->exit_status == SERVER_EXIT_PARTLY ? "part of the input yielded no power reports"
							      : "an error",
		    reasons.n ? reasons.text : "the reason is logged above", more);
}
