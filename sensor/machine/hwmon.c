/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the hwmon tree as untrusted text: a table of drivers and labels, and the files that belong to them.
 * Called by source_hwmon.c.
 */
#include "machine/hwmon.h"

#include "base/cleanup.h"
#include "base/folder.h"
#include "base/text.h"
#include "document/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define DEVICES_MAX  1024
#define CHANNELS_MAX 16 /* of a device; further ones are ignored */

/*
 * The allow list. A socket's number may follow `label`; "" is a meter without a label. If `socket` is false,
 * the devices of a driver are the sockets, in the order of their addresses. Meters of one event and socket
 * are added up.
 */
static const struct meter_row {
	const char *driver, *label, *event;
	bool socket; /* the label ends with the socket's number */
} known_meters[] = {
	/* Ampere (xgene-hwmon): cores and the rest of the chip, which together are the socket. */
	{"apm_xgene", "CPU power", REPORT_EVENT_PKG, false},
	{"apm_xgene", "IO power", REPORT_EVENT_PKG, false},
	/* NVIDIA Grace: the firmware names the ACPI power meters; "Grace" includes the other two. */
	{"power_meter", "Grace Power Socket ", REPORT_EVENT_PKG, true},
	{"power_meter", "CPU Power Socket ", REPORT_EVENT_CORES, true},
	{"power_meter", "Module Power Socket ", REPORT_EVENT_PSYS, true},
	/* Any other ACPI power meter is that of the machine. */
	{"power_meter", "", REPORT_EVENT_PSYS, false},
	/* AMD (amd_energy, outside of the kernel since 5.13). */
	{"amd_energy", "Esocket", REPORT_EVENT_PKG, true},
	/* AMD family 15h and 16h: the processor's own estimate of its power. */
	{"fam15h_power", "", REPORT_EVENT_PKG, false},
	/* Power supplies that report the machine's power. */
	{"corsairpsu", "power total", REPORT_EVENT_PSYS, false},
};

struct device {
	char name[12];          /* "hwmon3" */
	char driver[32];        /* "apm_xgene" */
	char address[PATH_MAX]; /* target of its link, which orders the sockets; "": none */
	unsigned number;
	unsigned rank; /* among the devices of its driver */
};

static bool read_line(const char *sysfs_root, const char *device, const char *file, char *ret, size_t size)
{
	return text_read_file(ret, size, "%s/class/hwmon/%s/%s", sysfs_root, device, file) > 0;
}

static bool has_file(const char *sysfs_root, const char *device, const char *file)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/class/hwmon/%s/%s", sysfs_root, device, file) <
		       (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

static int compare_devices(const void *a, const void *b)
{
	const struct device *x = a, *y = b;
	const int by_driver = strcmp(x->driver, y->driver), by_address = strcmp(x->address, y->address);

	if (by_driver)
		return by_driver;
	return by_address ? by_address : (x->number > y->number) - (x->number < y->number);
}

static bool is_known_driver(const char *driver)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_meters); i++)
		if (strcmp(driver, known_meters[i].driver) == 0)
			return true;
	return false;
}

static bool read_device(const char *sysfs_root, const char *name, struct device *ret_device)
{
	struct device device = {0};
	char path[PATH_MAX];
	int end = 0;
	ssize_t n;

	if (sscanf(name, "hwmon%5u%n", &device.number, &end) != 1 || name[end] ||
	    !read_line(sysfs_root, name, "name", device.driver, sizeof(device.driver)) ||
	    !is_known_driver(device.driver))
		return false;
	(void)snprintf(device.name, sizeof(device.name), "hwmon%u", device.number);
	(void)snprintf(path, sizeof(path), "%s/class/hwmon/%s/device", sysfs_root, device.name);
	n = readlink(path, device.address, sizeof(device.address) - 1);
	device.address[n > 0 ? n : 0] = '\0';
	*ret_device = device;
	return true;
}

static int list_devices(const char *sysfs_root, struct device **ret_devices)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/class/hwmon", sysfs_root);
	struct device *devices = calloc(DEVICES_MAX, sizeof(*devices));
	unsigned n = 0;

	*ret_devices = devices;
	if (!devices)
		return -ENOMEM;
	if (!dir)
		return -errno;
	for (const struct dirent *entry; n < DEVICES_MAX && (entry = readdir(dir));)
		n += read_device(sysfs_root, entry->d_name, &devices[n]);
	qsort(devices, n, sizeof(*devices), compare_devices);
	for (unsigned i = 1; i < n; i++)
		if (strcmp(devices[i].driver, devices[i - 1].driver) == 0)
			devices[i].rank = devices[i - 1].rank + 1;
	return (int)n;
}

/* The row of a meter, and its socket. */
static const struct meter_row *find_row(const struct device *device, const char *label, unsigned *ret_package)
{
	for (size_t i = 0; i < ARRAY_SIZE(known_meters); i++) {
		const struct meter_row *row = &known_meters[i];
		const size_t length = strlen(row->label);
		uint64_t number;

		if (strcmp(row->driver, device->driver) != 0)
			continue;
		if (!row->socket && strcasecmp(row->label, label) == 0) {
			/* The machine's own meter belongs to no socket. */
			*ret_package = strcmp(row->event, REPORT_EVENT_PSYS) == 0 ? 0 : device->rank;
			return row;
		}
		if (row->socket && strncasecmp(row->label, label, length) == 0 &&
		    text_parse_u64(label + length, &number) == 0 && number < 1024) {
			*ret_package = (unsigned)number;
			return row;
		}
	}
	return NULL;
}

/* The label of channel N of a kind ("power"): from its own file, or the ACPI firmware's name. */
static void read_label(const char *sysfs_root, const char *device, const char *kind, unsigned channel,
		       char *ret, size_t size)
{
	char file[64];

	(void)snprintf(file, sizeof(file), "%s%u_label", kind, channel);
	if (read_line(sysfs_root, device, file, ret, size))
		return;
	if (!has_file(sysfs_root, device, file))
		(void)snprintf(file, sizeof(file), "%s%u_oem_info", kind, channel);
	/* An unreadable label is not the same as none. */
	if (!read_line(sysfs_root, device, file, ret, size))
		(void)snprintf(ret, size, "%s", has_file(sysfs_root, device, file) ? "?" : "");
}

/* Best first: if a channel has several, the others are the same meter. */
static const struct meter_file {
	const char *kind, *what;
	bool power;
} meter_files[] = {{"energy", "input", false}, {"power", "average", true}, {"power", "input", true}};

/* Adds channel N of a device if it is known and not already added as an energy counter. */
static unsigned add_meter(const char *sysfs_root, const struct device *device, const struct meter_file *file,
			  unsigned channel, struct hwmon_meter *meters, unsigned n)
{
	struct hwmon_meter meter = {.power = file->power};
	char name[28], label[HWMON_NAME_SIZE - sizeof(device->driver) - 2];
	const struct meter_row *row;

	(void)snprintf(name, sizeof(name), "%s%u_%s", file->kind, channel, file->what);
	if (!has_file(sysfs_root, device->name, name))
		return 0;
	read_label(sysfs_root, device->name, file->kind, channel, label, sizeof(label));
	row = find_row(device, label, &meter.package);
	if (!row)
		return 0;
	meter.event = row->event;
	(void)snprintf(meter.id, sizeof(meter.id), "%s/%s", device->name, name);
	(void)snprintf(meter.name, sizeof(meter.name), "%s%s%s", device->driver, label[0] ? ": " : "", label);
	for (unsigned i = 0; i < n; i++)
		if (strncmp(meters[i].id, meter.id, strlen(device->name) + 1) == 0 &&
		    strcmp(meters[i].name, meter.name) == 0 && meters[i].package == meter.package)
			return 0;
	meters[n] = meter;
	return 1;
}

static unsigned add_device(const char *sysfs_root, const struct device *device, struct hwmon_meter *meters,
			   unsigned n, unsigned max)
{
	for (size_t f = 0; f < ARRAY_SIZE(meter_files); f++)
		for (unsigned channel = 1; channel <= CHANNELS_MAX && n < max; channel++)
			n += add_meter(sysfs_root, device, &meter_files[f], channel, meters, n);
	return n;
}

int hwmon_list(const char *sysfs_root, struct hwmon_meter *ret_meters, unsigned max)
{
	cleanup_(cleanup_free) struct device *devices = NULL;
	const int n_devices = list_devices(sysfs_root, &devices);
	unsigned n = 0;

	if (n_devices < 0)
		return n_devices;
	for (int i = 0; i < n_devices; i++)
		n = add_device(sysfs_root, &devices[i], ret_meters, n, max);
	return (int)n;
}
