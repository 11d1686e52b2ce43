/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy from the powercap tree, if the kernel has no `power` PMU: microjoule counters of RAPL zones, with
 * their own wraps. Called by the sensor; energy_files.c does the reading.
 */
#include "source/energy_files.h"

#include "base/cleanup.h"
#include "machine/powercap.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int list_files(const struct source_context *context, struct energy_file **ret_files);

static const struct energy_kind zones_of_powercap = {
	.ops = &source_powercap,
	.token = "powercap",
	.noun = "zone",
	.folder = "powercap",
	.leaf = "/energy_uj",
	.file = PRIV_FILE_POWERCAP_ENERGY,
	.list = list_files,
};

/* Explains why there is no zone for any event: no tree, a hidden one, or one without these zones. */
static int explain_none(const struct source_context *context, struct reason *why)
{
	cleanup_(cleanup_free) struct energy_file *files = NULL;
	const int n = list_files(context, &files);

	for (int i = 0; i < n; i++) {
		if (!files[i].event)
			continue;
		reason_set(why, 0, "no zone in %s/class/powercap counts these events, but '%s' counts %s",
			   context->sysfs_root, files[i].name, files[i].event);
		reason_advise(why, "use -e %s", files[i].event);
		return -ENOENT;
	}
	switch (powercap_look(context->sysfs_root)) {
	case POWERCAP_HIDDEN:
		reason_set(why, 0,
			   "the zones in %s/class/powercap are dangling links: a container engine hides the "
			   "folder that they point to",
			   context->sysfs_root);
		reason_advise(why, "start the container with --privileged, or with --security-opt "
				   "systempaths=unconfined");
		return -ENOENT;
	case POWERCAP_CLOSED:
		reason_set(why, 0, "%s/class/powercap cannot be read: permission denied",
			   context->sysfs_root);
		reason_advise(why, "run as root, or with CAP_DAC_READ_SEARCH");
		return -EACCES;
	case POWERCAP_ABSENT:
	case POWERCAP_THERE:
		break;
	}
	reason_set(why, 0, "%s/class/powercap has no zone for these events", context->sysfs_root);
	reason_advise(why, "modprobe intel_rapl_msr, or a kernel with CONFIG_INTEL_RAPL; virtual "
			   "machines and processors other than x86 have none");
	return -ENOENT;
}

static int list_files(const struct source_context *context, struct energy_file **ret_files)
{
	struct powercap_zone *zones = calloc(POWERCAP_ZONES_MAX, sizeof(*zones));
	struct energy_file *files = calloc(POWERCAP_ZONES_MAX, sizeof(*files));
	int n = zones && files ? powercap_list(context->sysfs_root, zones, POWERCAP_ZONES_MAX) : -ENOMEM;

	for (int i = 0; i < n; i++) {
		files[i] = (struct energy_file){.event = powercap_event_of(zones[i].name),
						.package = zones[i].package,
						.die = zones[i].die,
						.range_uj = zones[i].range_uj};
		memcpy(files[i].id, zones[i].id, sizeof(zones[i].id));
		memcpy(files[i].name, zones[i].name, sizeof(zones[i].name));
	}
	free(zones);
	*ret_files = files;
	return n;
}

static int powercap_probe(struct source_context *context, const struct event_group_request *request,
			  struct reason *why)
{
	int r = energy_files_probe(context, &zones_of_powercap, request, why);

	return r < 0 && !why->text[0] ? explain_none(context, why) : r;
}

static int powercap_open(struct source_context *context, const struct event_group_request *request,
			 struct system_source **ret_source)
{
	return energy_files_open(context, &zones_of_powercap, request, ret_source);
}

const struct system_source_ops source_powercap = {
	.name = "powercap",
	.energy = true,
	.probe = powercap_probe,
	.open = powercap_open,
	.read = energy_files_read,
	.period_ns = energy_files_period,
	.keep = energy_files_keep,
	.close = energy_files_close,
};
