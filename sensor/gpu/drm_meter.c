/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding and reading the meters of DRM devices below /sys/class/drm. An APU's meter covers the whole
 * package, which has a domain of its own, so it is not a GPU's. A sleeping device uses too little to be worth
 * waking. Called by drm.c.
 */
#include "gpu/drm_meter.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "base/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CARDS_MAX 128
#define MOST_W    3000.0 /* if it has no limit of its own */
#define LIMITS    2.0    /* times its limit, for peaks of milliseconds */

static const char *const drivers[] = {"amdgpu", "i915", "xe"};

/* Best first. */
static const struct {
	const char *name;
	bool power;
} files[] = {{"energy1_input", false}, {"power1_average", true}, {"power1_input", true}};

static const char *const limits[] = {"power1_cap_max", "power1_cap", "power1_max", "power1_rated_max"};

static bool read_text(const char *folder, const char *file, char *ret, size_t size)
{
	return text_read_file(ret, size, "%s/%s", folder, file) > 0;
}

static bool is_known_driver(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (strcmp(name, drivers[i]) == 0)
			return true;
	return false;
}

/* amdgpu names an APU's limits "slowPPT" and "fastPPT", or has none. */
static bool is_apu(const char *hwmon, const char *driver)
{
	char label[64] = "";
	uint64_t cap;

	if (strcmp(driver, "amdgpu") != 0)
		return false;
	(void)read_text(hwmon, "power1_label", label, sizeof(label));
	return strcmp(label, "slowPPT") == 0 || strcmp(label, "fastPPT") == 0 ||
	       text_read_u64(&cap, "%s/power1_cap", hwmon) < 0;
}

static double find_limit_w(const char *hwmon)
{
	uint64_t limit_uw;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (text_read_u64(&limit_uw, "%s/%s", hwmon, limits[i]) == 0 && limit_uw > 0)
			return LIMITS * UNIT_OF_MICRO(limit_uw);
	return MOST_W;
}

/* Takes the meter of one hwmon folder, if it is the whole GPU's. */
static bool take_hwmon(struct drm_meter *meter, const char *hwmon)
{
	const size_t n = ARRAY_SIZE(files);
	char driver[32];
	uint64_t value;

	if (!read_text(hwmon, "name", driver, sizeof(driver)) || !is_known_driver(driver) ||
	    is_apu(hwmon, driver))
		return false;
	/* The first that can be read; a GPU that sleeps may have none, then the first that exists. */
	for (size_t i = 0; i < 2 * n; i++) {
		const char *name = files[i % n].name;

		if (snprintf(meter->file, sizeof(meter->file), "%s/%s", hwmon, name) >=
			    (int)sizeof(meter->file) ||
		    access(meter->file, F_OK) < 0 ||
		    (i < n && text_read_u64(&value, "%s/%s", hwmon, name) < 0))
			continue;
		meter->power = files[i % n].power;
		meter->most_w = find_limit_w(hwmon);
		return true;
	}
	meter->file[0] = '\0';
	return false;
}

static bool find_hwmon(struct drm_meter *meter)
{
	char folder[DRM_PATH_MAX + 16], hwmon[DRM_PATH_MAX + 64];
	bool found = false;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder), "%s/hwmon", meter->device);
	dir = opendir(folder);
	if (!dir)
		return false;
	for (const struct dirent *entry; !found && (entry = readdir(dir));)
		if (strncmp(entry->d_name, "hwmon", 5) == 0 &&
		    snprintf(hwmon, sizeof(hwmon), "%s/%s", folder, entry->d_name) < (int)sizeof(hwmon))
			found = take_hwmon(meter, hwmon);
	(void)closedir(dir);
	return found;
}

/* "cardN" with nothing after it ("card0-DP-1" is a connector); -1: none. */
static int card_number(const char *name)
{
	unsigned number;
	int end = 0;

	return sscanf(name, "card%4u%n", &number, &end) == 1 && name[end] == '\0' ? (int)number : -1;
}

/* The device of a card, and the target of its link: the PCI address. */
static bool find_card(const char *sysfs_root, int number, struct drm_meter *ret_meter)
{
	char target[DRM_PATH_MAX];
	const char *slash;
	ssize_t n;

	*ret_meter = (struct drm_meter){.most_w = MOST_W};
	if (snprintf(ret_meter->device, sizeof(ret_meter->device), "%s/class/drm/card%d/device", sysfs_root,
		     number) >= (int)sizeof(ret_meter->device))
		return false;
	n = readlink(ret_meter->device, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	(void)snprintf(ret_meter->address, sizeof(ret_meter->address), "%.*s", DRM_ADDRESS_MAX - 1,
		       slash ? slash + 1 : target);
	return find_hwmon(ret_meter);
}

static int compare_numbers(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static unsigned list_cards(const char *sysfs_root, int *ret_numbers)
{
	char folder[DRM_PATH_MAX];
	unsigned n = 0;
	DIR *dir;

	if (snprintf(folder, sizeof(folder), "%s/class/drm", sysfs_root) >= (int)sizeof(folder) ||
	    !(dir = opendir(folder)))
		return 0;
	for (const struct dirent *entry; n < CARDS_MAX && (entry = readdir(dir));)
		if (card_number(entry->d_name) >= 0)
			ret_numbers[n++] = card_number(entry->d_name);
	(void)closedir(dir);
	qsort(ret_numbers, n, sizeof(*ret_numbers), compare_numbers);
	return n;
}

unsigned drm_meter_list(const char *sysfs_root, struct drm_meter *ret_meters, unsigned max)
{
	int numbers[CARDS_MAX];
	const unsigned n_cards = list_cards(sysfs_root, numbers);
	unsigned n = 0;

	for (unsigned i = 0; i < n_cards && n < max; i++)
		n += find_card(sysfs_root, numbers[i], &ret_meters[n]);
	return n;
}

/* After a reload of the driver: the same PCI device, possibly with new numbers. */
static bool find_again(struct drm_meter *meter, const char *sysfs_root)
{
	int numbers[CARDS_MAX];
	const unsigned n = list_cards(sysfs_root, numbers);
	struct drm_meter found;

	for (unsigned i = 0; i < n; i++)
		if (find_card(sysfs_root, numbers[i], &found) && strcmp(found.address, meter->address) == 0) {
			*meter = found;
			return true;
		}
	return false;
}

static double since_last(struct drm_meter *meter, uint64_t value, double seconds)
{
	const bool started = meter->started;
	const uint64_t energy_before_uj = meter->energy_uj;
	const double power_before_w = meter->power_w;
	double joules;

	meter->started = true;
	if (meter->power) {
		meter->power_w = UNIT_OF_MICRO(value);
		if (meter->power_w > meter->most_w)
			meter->started = false;
		joules = (power_before_w + meter->power_w) / 2 * seconds;
	} else {
		meter->energy_uj = value;
		joules = value >= energy_before_uj ? UNIT_OF_MICRO(value - energy_before_uj) : NAN;
	}
	/* Energy counters are updated late, so the limit allows for a quarter of a second more. */
	return started && joules <= meter->most_w * (seconds + (meter->power ? 0 : 0.25)) ? joules : NAN;
}

double drm_meter_read(struct drm_meter *meter, const char *sysfs_root, double seconds)
{
	char text[64];
	uint64_t value;

	if (read_text(meter->device, "power/runtime_status", text, sizeof(text)) &&
	    strcmp(text, "suspended") == 0) {
		const bool started = meter->started;

		meter->power_w = 0;
		meter->started = meter->power;
		return started || !meter->power ? 0 : NAN;
	}
	if (text_read_u64(&value, "%s", meter->file) == 0)
		return since_last(meter, value, seconds);
	meter->started = false;
	(void)find_again(meter, sysfs_root);
	return NAN;
}
