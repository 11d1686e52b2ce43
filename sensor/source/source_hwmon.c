/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Energy by the meters of the hwmon class, on machines without RAPL: Ampere, Grace, AMD's older drivers, and
 * the platform's meter of any machine. Called by the sensor; energy_files.c does the reading.
 */
#include "source/energy_files.h"

#include "machine/hwmon.h"
#include "base/reason.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int list_files(const struct source_context *context, struct energy_file **ret_files);

static const struct energy_kind meters_of_hwmon = {
	.ops = &source_hwmon,
	.token = "hwmon",
	.noun = "meter",
	.folder = "hwmon",
	.leaf = "",
	.file = PRIV_FILE_HWMON,
	.list = list_files,
};

static int list_files(const struct source_context *context, struct energy_file **ret_files)
{
	struct hwmon_meter *meters = calloc(HWMON_METERS_MAX, sizeof(*meters));
	struct energy_file *files = calloc(HWMON_METERS_MAX, sizeof(*files));
	int n = meters && files ? hwmon_list(context->sysfs_root, meters, HWMON_METERS_MAX) : -ENOMEM;

	for (int i = 0; i < n; i++) {
		files[i] = (struct energy_file){
			.event = meters[i].event, .package = meters[i].package, .power = meters[i].power};
		memcpy(files[i].id, meters[i].id, sizeof(meters[i].id));
		memcpy(files[i].name, meters[i].name, sizeof(meters[i].name));
	}
	free(meters);
	*ret_files = files;
	return n;
}

static int hwmon_probe(struct source_context *context, const struct event_group_request *request,
		       struct reason *why)
{
	int r = energy_files_probe(context, &meters_of_hwmon, request, why);

	if (r < 0 && !why->text[0]) {
		reason_set(why, 0, "%s/class/hwmon has no meter that is known to measure this",
			   context->sysfs_root);
		reason_advise(why, "load the driver of the machine's meter, such as xgene-hwmon or "
				   "acpi_power_meter; most machines with RAPL need none");
	}
	return r;
}

static int hwmon_open(struct source_context *context, const struct event_group_request *request,
		      struct system_source **ret_source)
{
	return energy_files_open(context, &meters_of_hwmon, request, ret_source);
}

const struct system_source_ops source_hwmon = {
	.name = "hwmon",
	.energy = true,
	.probe = hwmon_probe,
	.open = hwmon_open,
	.read = energy_files_read,
	.period_ns = energy_files_period,
	.keep = energy_files_keep,
	.close = energy_files_close,
};
