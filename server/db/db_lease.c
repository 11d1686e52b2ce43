/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking, renewing and watching the lease, called by db.c. A writer whose beat does not change for a period
 * counts as gone; one on this machine counts as gone as soon as its process has ended. A writer that was only
 * paused finds another generation when it continues: the store then refuses its writes.
 */
#include "db/db_lease.h"
#include "base/bson_get.h"

#include "base/clock.h"
#include "base/text.h"

#include <bson/bson.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define LEASE_COLLECTION "state"
#define LEASE_ID         "lease"
#define LEASE_UNCHANGED  3 /* looks at least, so that one late look does not end another server's lease */

static uint64_t boottime_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Identifies where process ids are valid: the machine's boot, and the PID namespace. */
static const char *processes_here(char *ret, size_t size)
{
	char boot[40] = "", space[40] = "";
	ssize_t n = readlink("/proc/self/ns/pid", space, sizeof(space) - 1);

	(void)text_read_file(boot, sizeof(boot), "/proc/sys/kernel/random/boot_id");
	space[n > 0 ? n : 0] = '\0';
	(void)snprintf(ret, size, "%s%s", boot, boot[0] && space[0] ? space : "");
	return boot[0] && space[0] ? ret : "";
}

void db_lease_init(struct db_lease *lease, const char *about, uint64_t period_ms)
{
	char host[65] = "", here[100];
	uint64_t random = 0;

	*lease = (struct db_lease){.about = about, .period_ns = period_ms * CLOCK_NS_PER_MS};
	(void)gethostname(host, sizeof(host) - 1);
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = clock_monotonic_ns();
	lease->own = (struct store_claim){.collection = LEASE_COLLECTION, .id = LEASE_ID};
	/* The host and the process, for people; the rest for programs. */
	(void)snprintf(lease->own.owner, sizeof(lease->own.owner), "%s %d %s %016" PRIx64,
		       host[0] ? host : "?", (int)getpid(), processes_here(here, sizeof(here)), random);
}

/* Splits an owner into "HOST PID PLACE RANDOM". False: it has another form. */
static bool owner_words(const char *owner, char host[65], int *ret_pid, char place[100])
{
	return sscanf(owner, "%64s %d %99s", host, ret_pid, place) == 3 && *ret_pid > 0;
}

/* True if the owner is a process on this machine that has certainly ended. */
static bool has_ended(const char *owner)
{
	char host[65], place[100], here[100];
	int pid;

	return owner_words(owner, host, &pid, place) &&
	       strcmp(place, processes_here(here, sizeof(here))) == 0 && pid != getpid() &&
	       kill(pid, 0) < 0 && errno == ESRCH;
}

static void name_owner(struct db_lease *lease, const bson_t *document)
{
	char host[65], place[100];
	const char *about = bson_get_text(document, "about");
	int pid;

	about = about ? about : "";
	if (owner_words(lease->other.owner, host, &pid, place))
		(void)snprintf(lease->who, sizeof(lease->who), "process %d on %s (%.150s)", pid, host, about);
	else
		(void)snprintf(lease->who, sizeof(lease->who), "another process (%.150s)", about);
}

/* Reads the stored claim into lease->other; generation 0: none, or released; -1: unreadable. */
static enum store_result look(struct db_lease *lease, struct store *store, bool *ret_released)
{
	struct store_claim found = {.collection = LEASE_COLLECTION, .id = LEASE_ID};
	struct batch documents = {0};
	enum store_result result = store_get(store, LEASE_COLLECTION, LEASE_ID, &documents);
	const uint8_t *data;
	size_t offset = 0, length;
	bson_t document;

	*ret_released = true;
	if (result == STORE_OK && batch_next(&documents, &offset, &data, &length) == 1) {
		if (!store_claim_read(data, length, &found) || !bson_init_static(&document, data, length)) {
			found.generation = -1;
		} else {
			*ret_released = bson_get_bool(&document, "released");
			lease->other = found;
			name_owner(lease, &document);
		}
	}
	batch_done(&documents);
	lease->other = found;
	return result;
}

static enum store_result write_claim(struct db_lease *lease, struct store *store,
				     const struct store_claim *seen, bool released)
{
	bson_t document = BSON_INITIALIZER;
	enum store_result result;

	bson_append_utf8(&document, "_id", -1, LEASE_ID, -1);
	bson_append_date_time(&document, "timestamp", -1, clock_realtime_ms());
	bson_append_utf8(&document, "owner", -1, lease->own.owner, -1);
	bson_append_int64(&document, "generation", -1, lease->own.generation);
	bson_append_int64(&document, "beat", -1, lease->own.beat);
	bson_append_utf8(&document, "about", -1, lease->about, -1);
	bson_append_bool(&document, "released", -1, released);
	result = store_claim(store, seen, bson_get_data(&document), document.len);
	bson_destroy(&document);
	return result;
}

/* Has the other's beat not changed for a period, with no long gap between looks? */
static bool is_gone(struct db_lease *lease, const struct store_claim *before, uint64_t now_ns)
{
	const struct store_claim *now = &lease->other;
	bool same = lease->n_unchanged && before->generation == now->generation &&
		    before->beat == now->beat && strcmp(before->owner, now->owner) == 0 &&
		    now_ns - lease->other_seen_ns < lease->period_ns;

	lease->other_seen_ns = now_ns;
	lease->other_since_ns = same ? lease->other_since_ns : now_ns;
	lease->n_unchanged = same ? lease->n_unchanged + 1 : 1;
	return lease->n_unchanged > LEASE_UNCHANGED && now_ns - lease->other_since_ns >= lease->period_ns;
}

static enum store_result take(struct db_lease *lease, struct store *store, uint64_t now_ns)
{
	enum store_result result;

	/* An unreadable claim may still have a high number: the time is higher than any generation counted so
	 * far. */
	lease->own.generation =
		lease->other.generation < 0 ? clock_realtime_ms() : lease->other.generation + 1;
	lease->own.beat = 1;
	result = write_claim(lease, store, &lease->other, false);
	lease->n_unchanged = 0;
	if (result == STORE_LOST)
		return STORE_OK; /* another standby was faster */
	if (result == STORE_OK) {
		lease->held = true;
		lease->renewed_ns = now_ns;
		lease->who[0] = '\0';
		store_fence(store, &lease->own);
	}
	return result;
}

enum store_result db_lease_take(struct db_lease *lease, struct store *store)
{
	struct store_claim before = lease->other;
	uint64_t now_ns = boottime_ns();
	enum store_result result;
	bool released;

	if (!lease->period_ns || !store_can_claim(store)) {
		lease->held = true;
		lease->period_ns = 0;
		return STORE_OK;
	}
	result = look(lease, store, &released);
	if (result != STORE_OK) {
		/* The writer cannot renew either, so its time starts again when the store is back. */
		lease->n_unchanged = 0;
		return result;
	}
	if (released || has_ended(lease->other.owner) || is_gone(lease, &before, boottime_ns()))
		return take(lease, store, now_ns);
	return STORE_OK;
}

bool db_lease_is_due(const struct db_lease *lease)
{
	return db_lease_wait_ms(lease) == 0;
}

int db_lease_wait_ms(const struct db_lease *lease)
{
	uint64_t due_ns = lease->renewed_ns + lease->period_ns / DB_LEASE_RENEWALS, now_ns = boottime_ns();

	if (!lease->held || !lease->period_ns)
		return -1;
	return now_ns >= due_ns ? 0 : (int)((due_ns - now_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
}

/* After a renewal that did not match: the claim may be our own (its answer was lost), deleted by hand, or
 * another server's. */
static enum store_result look_again(struct db_lease *lease, struct store *store)
{
	bool released;
	enum store_result result = look(lease, store, &released);

	if (result != STORE_OK)
		return result;
	if (lease->other.generation > 0 && strcmp(lease->other.owner, lease->own.owner) != 0) {
		lease->held = false;
		return STORE_LOST;
	}
	lease->own.beat = lease->other.generation > 0 ? lease->other.beat + 1 : lease->own.beat;
	return write_claim(lease, store, &lease->other, false);
}

enum store_result db_lease_renew(struct db_lease *lease, struct store *store)
{
	struct store_claim seen = lease->own;
	uint64_t now_ns = boottime_ns();
	enum store_result result;

	if (!lease->held || !lease->period_ns)
		return STORE_OK;
	lease->own.beat++;
	result = write_claim(lease, store, &seen, false);
	if (result == STORE_LOST)
		result = look_again(lease, store);
	if (result == STORE_OK)
		lease->renewed_ns = now_ns;
	else if (result != STORE_LOST)
		lease->own.beat = seen.beat;
	return result;
}

void db_lease_lose(struct db_lease *lease, struct store *store)
{
	bool released;

	lease->held = false;
	if (look(lease, store, &released) != STORE_OK || !lease->who[0])
		(void)snprintf(lease->who, sizeof(lease->who), "another process");
}

void db_lease_release(struct db_lease *lease, struct store *store)
{
	struct store_claim seen = lease->own;

	if (!lease->held || !lease->period_ns)
		return;
	lease->held = false;
	lease->own.beat++;
	(void)write_claim(lease, store, &seen, true);
}
