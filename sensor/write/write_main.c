/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duty `write`: opens store and spool, drops privileges, serves the link until collect closes it.
 */
#include "write/write_main.h"

#include "process/duty.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "write/predecessor.h"
#include "write/writer.h"
#include "base/reason.h"

#include <errno.h>
#include <linux/capability.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PREDECESSOR_MS 30000 /* the longest wait; while it lasts, ticks stay in the link */

/*
 * A remote database needs no files on this machine: the process becomes --user, without any capability. Files
 * of a local store belong to the user who started the sensor; root keeps the capabilities to write in other
 * users' folders (a user's home, under sudo) and to preserve a file's owner.
 */
static int give_up_rights(const struct sensor_config *config)
{
	const uint64_t of_files = SANDBOX_CAPABILITY(CAP_DAC_OVERRIDE) | SANDBOX_CAPABILITY(CAP_CHOWN);
	char path[4096];
	const char *places[] = {store_uri_path(config->store_uri, path, sizeof(path)),
				config->spool_path ? config->spool_path : "", NULL};
	struct reason why = {""};
	int r = config->spool_path ? sandbox_become(config->user, 0, &why)
				   : sandbox_drop((uid_t)-1, (gid_t)-1, of_files, &why);

	if (r == 0)
		r = sandbox_restrict(
			&(struct sandbox_limits){
				.mode = (enum sandbox_mode)config->sandbox,
				.profile = SANDBOX_WRITE,
				.reach = SANDBOX_WRITES_BELOW,
				.places = places,
				.missing = log_each_notice,
				.data = "sandbox",
			},
			&why);
	if (r < 0)
		log_error("sandbox", 0, "%s", why.text);
	return r;
}

/* Keeps ticks of one name in order even if a first process was killed. */
static void let_predecessor_end(const struct sensor_config *config, pid_t parent)
{
	const uint64_t key = predecessor_key(config->store_uri, config->reports);

	(void)predecessor_announce(key, parent); /* stays open as long as this process lives */
	if (!predecessor_is_there(key, parent))
		return;
	log_notice("store", 0,
		   "a process of an earlier run is still delivering its reports to this store: waiting for "
		   "it to exit");
	if (!predecessor_wait(key, parent, DUTY_SOCKET_FD + 1, PREDECESSOR_MS))
		log_warning("store", 0,
			    "the process of an earlier run has not exited: its last reports may arrive after "
			    "newer ones, and then get no power reports");
}

int write_main(struct sensor_config *config)
{
	const struct writer_config writer_config = {
		.uri = config->store_uri,
		.options = {.database = config->database,
			    .flags = STORE_WRITE | (config->durable ? STORE_DURABLE : 0) |
				     (config->renew_damaged ? STORE_RENEW : 0),
			    .timeout_ms = config->store_timeout_ms},
		.bounds = {.max_bytes = config->store_size, .retention_s = config->retention_ms / 1000},
		.interval_ms = config->interval_ms,
		.spool_path = config->spool_path,
		.spool_limits = {.bytes = config->spool_size, .age_ms = config->spool_age_ms},
		/* Until the store has answered once, ticks go through the spool, where they are safe. */
		.careful = true,
		.parent = getppid(),
		.to_spool_only = strcmp(duty_current(), WRITE_DUTY_SPOOL) == 0,
	};
	struct writer *writer = NULL;
	uint64_t n_lost = 0;
	char display[256];
	struct reason why = {""};
	int r;

	/* It exits when collect closes the link, so that the last tick arrives. */
	duty_ignore_signals();
	r = give_up_rights(config);
	if (r == 0) {
		let_predecessor_end(config, writer_config.parent);
		r = writer_open(&writer_config, &writer, &why);
		if (r < 0)
			log_error("store", why.text[0] ? 0 : r, "%s",
				  why.text[0] ? why.text : "cannot open the store");
	}
	if (r == 0) {
		log_info("store", 0, "reports go to '%s', collection '%s'",
			 store_uri_display(config->store_uri, display, sizeof(display)), config->reports);
		r = writer_run(writer, DUTY_SOCKET_FD + 1);
		n_lost = writer_lost(writer);
		if (n_lost > 0)
			log_warning("store", 0,
				    "%" PRIu64
				    " documents are lost: they could not be stored (exit status %d)",
				    n_lost, SENSOR_EXIT_LOST);
	}
	writer_close(writer);
	return r < 0 ? 1 : n_lost > 0 ? SENSOR_EXIT_LOST : 0;
}
