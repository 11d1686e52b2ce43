/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads target<machine> by time, so that only changes are read, and passes CPU quotas to the ticks. Called by
 * server_work.c for a new machine and by a timer: soon after a target has appeared, otherwise less and less
 * often, because each read is a round trip per sensor. The API shows the rest.
 */
#include "server_private.h"

#include "base/log.h"
#include "document/collections.h"

#define KNOWN_LIMIT  5000
#define KNOWN_SLOWER 32   /* most timer ticks between two reads */
#define KNOWN_MOST   4096 /* targets without a report at present; more mean a flood of short-lived ones */
#define KNOWN_AGE_MS INT64_C(86400000) /* a target not seen for a day is forgotten */

static int64_t newest_time(const struct known *known, int64_t newest_ms)
{
	for (const struct known_target *target = known->targets; target; target = target->hh.next) {
		if (target->last_seen_ms > newest_ms)
			newest_ms = target->last_seen_ms;
	}
	return newest_ms;
}

static bool is_live(void *data, const char *name)
{
	const struct machine *machine = data;

	return live_find(&machine->live, name) != NULL;
}

static void answered(void *data, const struct db_answer *answer)
{
	struct machine *machine = data;

	machine->asking_known = false;
	if (answer->result != STORE_OK)
		return;
	machine->undescribed = !machine->known.targets && !answer->documents->length;
	if (!answer->documents->length)
		return;
	if (known_update(&machine->known, answer->documents) < 0)
		log_warning("server", -ENOMEM, "%s: the descriptions of some targets are not known",
			    machine->name);
	machine->known_ms = newest_time(&machine->known, machine->known_ms);
	known_expire(&machine->known, machine->known_ms - KNOWN_AGE_MS);
	known_trim(&machine->known, KNOWN_MOST, is_live, machine);
	for (const struct known_target *target = machine->known.targets; target; target = target->hh.next) {
		const char *image = known_text(target, KNOWN_IMAGE);
		if (target->cpu_quota > 0 || image[0])
			(void)tick_maker_set_target(machine->maker, target->name, target->cpu_quota, image);
	}
}

void server_look_known(struct server *server, struct machine *machine)
{
	char collection[COLLECTION_SIZE];
	struct store_query query = {
		.collection = collection_compose(COLLECTION_TARGETS, machine->name, collection),
		.after_ms = machine->known_ms == INT64_MIN ? INT64_MIN : machine->known_ms - 1,
		.until_ms = INT64_MAX,
		.limit = KNOWN_LIMIT,
	};

	if (machine->asking_known)
		return;
	machine->asking_known = db_client_read(server->reports, &query, answered, machine) == 0;
}

void server_known_due(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct server *server = timer->data;

	(void)loop, (void)events;
	if (db_client_is_full(server->reports))
		return;
	for (struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		if (machine->live.n_added != machine->known_added)
			machine->known_turns = machine->known_left = 1;
		machine->known_added = machine->live.n_added;
		if (machine->known_left > 1) {
			machine->known_left--;
			continue;
		}
		server_look_known(server, machine);
		machine->known_turns *= machine->known_turns < KNOWN_SLOWER ? 2 : 1;
		machine->known_left = machine->known_turns;
	}
}
