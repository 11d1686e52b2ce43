/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy of targets by Intel's application energy telemetry: a monitoring group of resctrl for each of the
 * busiest targets, whose threads `priv` moves there. Called by collect. A value is reported only if the group
 * had all threads of the target for the whole tick.
 */
#include "source/source.h"

#include "base/clock.h"
#include "base/log.h"
#include "source/resctrl/resctrl_info.h"
#include "machine/topology.h"
#include "priv/priv_client.h"
#include "source/resctrl/resctrl_choice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOKEN         "resctrl"
#define CHANGES_MAX   4           /* groups assigned or released in one tick */
#define UNITS_PER_NJ  4.294967296 /* of 2^-32 J */
#define POWER_MOST_W  10000.      /* of a target in a package; more means that the counter was reset */
#define FAILURES_MOST 10          /* ticks in a row in which a group cannot be read */

static const char *const events[] = {REPORT_EVENT_CORE_ENERGY};

struct group {
	unsigned slot; /* 0: free */
	bool made;
	bool whole; /* since the last reading it has contained exactly the target's threads */
	unsigned n_failures;
	char *path; /* of the target's cgroup */
	int fds[RESCTRL_PACKAGES_MAX];
	bool known[RESCTRL_PACKAGES_MAX];
	uint64_t last_nj[RESCTRL_PACKAGES_MAX];
};

struct resctrl_source {
	struct target_source source; /* first: callers see only this */
	struct source_context *context;
	struct priv_client *priv;
	struct resctrl_info info;
	struct resctrl_choice choice;
	struct report_place places[RESCTRL_PACKAGES_MAX];
	struct group *groups; /* [n_groups]; its index is its number */
	unsigned n_groups;
	unsigned *slots;  /* [n_groups] */
	uint64_t *values; /* [n_groups][n_packages] */
	bool told_limit, told_foreign, told_error;
};

static int ask(struct resctrl_source *resctrl, enum priv_resctrl_call call, const struct group *group,
	       unsigned package, struct priv_resctrl_answer *ret_answer)
{
	const struct priv_resctrl_request request = {
		.call = call,
		.number = group ? (unsigned)(group - resctrl->groups) : 0,
		.package = package,
		.cgroup = call == PRIV_RESCTRL_FILL ? group->path : NULL,
	};

	return priv_client_resctrl(resctrl->priv, &request, ret_answer);
}

static int resctrl_probe(struct source_context *context, struct reason *why)
{
	struct resctrl_info info;

	return resctrl_read_info(context->resctrl_root, &info, why);
}

static int prepare(struct resctrl_source *resctrl, const struct source_context *context)
{
	const unsigned most = resctrl->info.n_rmids - 1; /* one is for the default group */

	resctrl->n_groups = most < PRIV_RESCTRL_GROUPS_MAX ? most : PRIV_RESCTRL_GROUPS_MAX;
	resctrl->groups = calloc(resctrl->n_groups, sizeof(*resctrl->groups));
	resctrl->slots = calloc(resctrl->n_groups, sizeof(*resctrl->slots));
	resctrl->values =
		calloc((size_t)resctrl->n_groups * resctrl->info.n_packages, sizeof(*resctrl->values));
	if (!resctrl->groups || !resctrl->slots || !resctrl->values)
		return -ENOMEM;
	for (unsigned i = 0; i < resctrl->info.n_packages; i++) {
		const unsigned id = resctrl->info.packages[i];
		const struct topology_package *package = topology_find_package(context->topology, id);

		resctrl->places[i] = (struct report_place){id, package ? package->first_cpu : 0};
	}
	resctrl_choice_init(&resctrl->choice, resctrl->n_groups);
	resctrl->source.counts = (struct target_counts){
		.group = {.name = REPORT_GROUP_MEASURED,
			  .n_events = 1,
			  .events = events,
			  .n_places = resctrl->info.n_packages,
			  .places = resctrl->places},
		.slots = resctrl->slots,
		.values = resctrl->values,
	};
	return 0;
}

static void resctrl_close(struct target_source *source);

static int resctrl_open(struct source_context *context, struct target_source **ret_source)
{
	struct resctrl_source *resctrl = calloc(1, sizeof(*resctrl));
	struct priv_resctrl_answer answer;
	struct reason why = {""};
	int r;

	if (!resctrl)
		return -ENOMEM;
	resctrl->source.ops = &source_resctrl;
	resctrl->context = context;
	resctrl->priv = context->priv;
	r = resctrl_read_info(context->resctrl_root, &resctrl->info, &why);
	if (r == 0)
		r = prepare(resctrl, context);
	if (r == 0)
		r = ask(resctrl, PRIV_RESCTRL_CLEAN, NULL, 0, &answer);
	if (r < 0) {
		resctrl_close(&resctrl->source);
		return r;
	}
	if (answer.moved > 0)
		log_notice(TOKEN, 0, "%" PRIu64 " monitoring groups of an earlier sensor were removed",
			   answer.moved);
	*ret_source = &resctrl->source;
	return 0;
}

static void close_files(struct resctrl_source *resctrl, struct group *group)
{
	for (unsigned i = 0; i < resctrl->info.n_packages; i++) {
		if (group->fds[i] <= 0)
			continue;
		(void)close(group->fds[i]);
		group->fds[i] = 0;
		resctrl->context->fd_budget++;
	}
}

/* Removes the group; its threads return to the default group. */
static void release(struct resctrl_source *resctrl, struct group *group)
{
	struct priv_resctrl_answer answer;
	int r = group->made ? ask(resctrl, PRIV_RESCTRL_REMOVE, group, 0, &answer) : 0;

	if (r < 0 && r != -ENOENT)
		log_warning(TOKEN, r, "cannot remove monitoring group %u",
			    (unsigned)(group - resctrl->groups));
	close_files(resctrl, group);
	free(group->path);
	*group = (struct group){0};
}

static void resctrl_close(struct target_source *source)
{
	struct resctrl_source *resctrl = (struct resctrl_source *)source;

	for (unsigned i = 0; resctrl->groups && i < resctrl->n_groups; i++)
		if (resctrl->groups[i].slot > 0)
			release(resctrl, &resctrl->groups[i]);
	resctrl_choice_done(&resctrl->choice);
	free(resctrl->groups);
	free(resctrl->slots);
	free(resctrl->values);
	free(resctrl);
}

/* One package's counter in nJ. A negative errno: no value at present. */
static int read_counter(const struct group *group, unsigned package, uint64_t *ret_nj)
{
	char text[64];
	const ssize_t n = pread(group->fds[package], text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return resctrl_parse_joules(text, ret_nj);
}

/* Stores the energy since the last reading in `values`; false: unknown for a part of the tick. */
static bool read_group(struct resctrl_source *resctrl, struct group *group, uint64_t interval_ns,
		       uint64_t *values)
{
	bool any = false, failed = false;

	for (unsigned i = 0; i < resctrl->info.n_packages; i++) {
		const bool known = group->known[i];
		uint64_t nj, delta;
		int r = read_counter(group, i, &nj);

		values[i] = REPORT_COUNT_MISSING;
		group->known[i] = r == 0;
		failed |= r < 0 && r != -ENODATA;
		if (r < 0)
			continue;
		delta = nj - group->last_nj[i];
		if (known && nj >= group->last_nj[i] && (double)delta <= POWER_MOST_W * (double)interval_ns) {
			values[i] = (uint64_t)((double)delta * UNITS_PER_NJ);
			any = true;
		}
		group->last_nj[i] = nj;
	}
	group->n_failures = failed ? group->n_failures + 1 : 0;
	resctrl->source.read_failures += failed;
	return any;
}

static void tell_foreign(struct resctrl_source *resctrl, const struct group *group)
{
	if (!resctrl->told_foreign)
		log_notice(TOKEN, 0,
			   "the energy of '%s' is not measured: some of its threads are in another program's "
			   "monitoring or control groups (further ones are not logged)",
			   group->path);
	resctrl->told_foreign = true;
}

static void tell_error(struct resctrl_source *resctrl, const struct group *group, int error)
{
	if (!resctrl->told_error)
		log_warning(TOKEN, error,
			    "cannot measure the energy of '%s': %s (further ones are not logged)",
			    group->path, priv_client_cause(resctrl->priv));
	resctrl->told_error = true;
}

/*
 * Moves the target's threads into the group. False: the tick that ends now is not completely measured,
 * because threads left, or joined other than by a member starting them. `group->whole`: is the next one
 * complete, as far as is known now?
 */
static bool follow(struct resctrl_source *resctrl, struct group *group)
{
	const bool was_whole = group->whole;
	struct priv_resctrl_answer answer;
	int r = ask(resctrl, PRIV_RESCTRL_FILL, group, 0, &answer);

	group->whole = r == 0 && answer.foreign == 0;
	if (r == -ENOENT)
		return was_whole; /* the cgroup and its threads have ended */
	if (answer.foreign > 0)
		tell_foreign(resctrl, group);
	if (r < 0)
		tell_error(resctrl, group, r);
	if (r < 0 || answer.foreign > 0 || group->n_failures >= FAILURES_MOST) {
		resctrl_choice_ban(&resctrl->choice, group->slot);
		release(resctrl, group);
		return false;
	}
	return was_whole && answer.moved == 0;
}

static void resctrl_read(struct target_source *source, uint64_t interval_ns)
{
	struct resctrl_source *resctrl = (struct resctrl_source *)source;
	const unsigned n_packages = resctrl->info.n_packages;
	unsigned n = 0;

	for (unsigned i = 0; i < resctrl->n_groups; i++) {
		struct group *group = &resctrl->groups[i];
		const unsigned slot = group->slot;
		bool known;

		if (slot == 0)
			continue;
		known = read_group(resctrl, group, interval_ns, resctrl->values + (size_t)n * n_packages);
		if (follow(resctrl, group) && known)
			resctrl->slots[n++] = slot;
	}
	resctrl->source.counts.n = n;
}

static int open_files(struct resctrl_source *resctrl, struct group *group)
{
	struct priv_resctrl_answer answer;

	for (unsigned i = 0; i < resctrl->info.n_packages; i++) {
		const int fd = resctrl->context->fd_budget == 0 ? -EMFILE
								: ask(resctrl, PRIV_RESCTRL_OPEN, group,
								      resctrl->info.packages[i], &answer);

		if (fd < 0)
			return fd;
		resctrl->context->fd_budget--;
		group->fds[i] = fd;
		group->known[i] = read_counter(group, i, &group->last_nj[i]) == 0;
	}
	return 0;
}

static struct group *find_free(struct resctrl_source *resctrl)
{
	for (unsigned i = 0; i < resctrl->n_groups; i++)
		if (resctrl->groups[i].slot == 0)
			return &resctrl->groups[i];
	return NULL;
}

/* Every RMID is in use by others. */
static void limit(struct resctrl_source *resctrl)
{
	resctrl_choice_limit(&resctrl->choice);
	if (!resctrl->told_limit)
		log_notice(TOKEN, 0,
			   "only %u targets can be measured at a time, because other programs use monitoring "
			   "groups, too",
			   resctrl->choice.n_held);
	resctrl->told_limit = true;
}

static void take(struct resctrl_source *resctrl, unsigned slot, const char *path)
{
	struct group *group = path ? find_free(resctrl) : NULL;
	struct priv_resctrl_answer answer;
	int r;

	if (!group || !(group->path = strdup(path))) {
		resctrl_choice_ban(&resctrl->choice, slot);
		return;
	}
	group->slot = slot;
	r = ask(resctrl, PRIV_RESCTRL_MAKE, group, 0, &answer);
	group->made = r == 0;
	if (r == 0)
		r = open_files(resctrl, group);
	if (r == 0)
		r = ask(resctrl, PRIV_RESCTRL_FILL, group, 0, &answer);
	if (r == 0 && answer.foreign == 0) {
		group->whole = true;
		resctrl_choice_took(&resctrl->choice, slot);
		log_debug(TOKEN, 0, "'%s' is measured (group %u)", path, (unsigned)(group - resctrl->groups));
		return;
	}
	if (r == -ENOSPC)
		limit(resctrl);
	else if (r < 0 && r != -ENOENT)
		tell_error(resctrl, group, r);
	else if (r == 0)
		tell_foreign(resctrl, group);
	if (r != -ENOSPC)
		resctrl_choice_ban(&resctrl->choice, slot);
	release(resctrl, group);
}

static void give(struct resctrl_source *resctrl, unsigned slot)
{
	for (unsigned i = 0; i < resctrl->n_groups; i++)
		if (resctrl->groups[i].slot == slot)
			release(resctrl, &resctrl->groups[i]);
	resctrl_choice_gave(&resctrl->choice, slot);
}

static void resctrl_balance(struct target_source *source, const struct target_load *loads, unsigned n,
			    target_path *path, void *data)
{
	struct resctrl_source *resctrl = (struct resctrl_source *)source;
	struct resctrl_change change;

	for (unsigned i = 0; i < n; i++)
		if (!resctrl_choice_note(&resctrl->choice, loads[i].slot, loads[i].part))
			return;
	resctrl_choice_tick(&resctrl->choice);
	for (unsigned i = 0; i < CHANGES_MAX && resctrl_choice_next(&resctrl->choice, &change); i++) {
		if (change.give > 0)
			give(resctrl, change.give);
		if (change.take > 0)
			take(resctrl, change.take, path(data, change.take));
	}
}

static void resctrl_remove(struct target_source *source, unsigned slot)
{
	struct resctrl_source *resctrl = (struct resctrl_source *)source;

	if (slot < resctrl->choice.n_slots && resctrl->choice.slots[slot].held)
		give(resctrl, slot);
	resctrl_choice_forget(&resctrl->choice, slot);
}

const struct target_source_ops source_resctrl = {
	.name = "resctrl",
	.probe = resctrl_probe,
	.open = resctrl_open,
	.read = resctrl_read,
	.balance = resctrl_balance,
	.remove = resctrl_remove,
	.close = resctrl_close,
};
