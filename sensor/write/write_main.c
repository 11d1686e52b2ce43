/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The duty `write`: opens store and spool, gives up its rights, serves the link until collect closes it.
 */
#include "write/write_main.h"

#include "base/cleanup.h"
#include "process/duty.h"
#include "base/log.h"
#include "process/sandbox.h"
#include "write/writer.h"
#include "base/reason.h"

#include <errno.h>
#include <linux/capability.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

/*
 * A database away needs nothing of this machine: the process becomes --user, without any capability. Files of
 * a local store belong to whoever started the sensor, and stay with that user; root keeps the right to write
 * in folders of others (sudo, in one's own home), and to leave a file to its owner.
 */
static int give_up_rights(const struct sensor_config *config)
{
	uid_t uid = (uid_t)-1;
	gid_t gid = (gid_t)-1;
	const uint64_t capabilities =
		config->spool_path ? 0 : SANDBOX_CAPABILITY(CAP_DAC_OVERRIDE) | SANDBOX_CAPABILITY(CAP_CHOWN);
	struct reason why = {""};
	int r;

	if (geteuid() == 0 && config->spool_path && sandbox_find_user(config->user, &uid, &gid) < 0) {
		log_error("sandbox", 0, "user '%s' does not exist; choose another with --user", config->user);
		return -ENOENT;
	}
	r = sandbox_drop(uid, gid, capabilities, &why);
	if (r < 0) {
		log_error("sandbox", 0, "%s", why.text);
		return r;
	}
	r = sandbox_enter(SANDBOX_WRITE, (enum sandbox_mode)config->sandbox, &why);
	if (r < 0)
		log_notice("sandbox", 0, "continuing without a seccomp filter: %s", why.text);
	return 0;
}

int write_main(struct sensor_config *config)
{
	const struct writer_config writer_config = {
		.uri = config->store_uri,
		.options = {.database = config->database,
			    .flags = STORE_WRITE,
			    .timeout_ms = config->store_timeout_ms},
		.retention_s = config->retention_ms / 1000,
		.spool_path = config->spool_path,
		.spool_limits = {.bytes = config->spool_size, .age_ms = config->spool_age_ms},
		/* Until it has answered once, nobody knows whether it does: what is in the spool is safe. */
		.careful = true,
		.to_spool_only = strcmp(duty_current(), WRITE_DUTY_SPOOL) == 0,
	};
	struct writer *writer = NULL;
	char display[256];
	struct reason why = {""};
	int r;

	/* It ends when collect closes the link, so that the last tick arrives; not by the terminal's Ctrl-C.
	 */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	r = give_up_rights(config);
	if (r == 0) {
		r = writer_open(&writer_config, &writer, &why);
		if (r < 0)
			log_error("store", why.text[0] ? 0 : r, "%s",
				  why.text[0] ? why.text : "cannot open the store");
	}
	if (r == 0) {
		log_info("store", 0, "reports go to '%s', collection '%s'",
			 store_uri_display(config->store_uri, display, sizeof(display)), config->reports);
		r = writer_run(writer, DUTY_SOCKET_FD + 1);
		if (writer_lost(writer) > 0)
			log_warning("store", 0, "%" PRIu64 " documents are lost", writer_lost(writer));
	}
	writer_close(writer);
	return r < 0 ? 1 : 0;
}
