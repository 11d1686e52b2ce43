/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading resctrl's info folder and counters. A counter is cumulative since the group's RMID was first
 * counted, so rounding errors do not add up: ticks are differences.
 */
#include "source/resctrl/resctrl_info.h"
#include "base/cleanup.h"
#include "base/folder.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define DOMAIN_PREFIX   "mon_PERF_PKG_"
#define NJ_PER_J        UINT64_C(1000000000)
#define FRACTION_DIGITS 9 /* the kernel prints no more */
#define FIX_MOUNT                                                                                            \
	"mount it with: mount -t resctrl resctrl /sys/fs/resctrl; in a container, mount the host's "         \
	"folder, writable"

/* Converts digits into a number. Returns how many; 0: none or too many. */
static size_t take_digits(const char *text, uint64_t *ret)
{
	size_t n = 0;

	*ret = 0;
	for (; text[n] >= '0' && text[n] <= '9'; n++) {
		if (*ret > (UINT64_MAX - 9) / 10)
			return 0;
		*ret = *ret * 10 + (uint64_t)(text[n] - '0');
	}
	return n;
}

static int parse_word(const char *text)
{
	static const struct {
		const char *word;
		int error;
	} words[] = {{"Unavailable", -ENODATA}, {"Unassigned", -ENODATA}, {"Error", -EIO}};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		const size_t n = strlen(words[i].word);

		if (strncmp(text, words[i].word, n) == 0 && (!text[n] || text[n] == '\n'))
			return words[i].error;
	}
	return -EINVAL;
}

int resctrl_parse_joules(const char *text, uint64_t *ret_nj)
{
	uint64_t joules, fraction = 0;
	size_t n = take_digits(text, &joules), digits = 0;

	*ret_nj = 0;
	if (n == 0)
		return parse_word(text);
	if (text[n] == '.') {
		digits = take_digits(text + n + 1, &fraction);
		if (digits == 0 || digits > FRACTION_DIGITS)
			return -EINVAL;
		n += 1 + digits;
	}
	if ((text[n] && strcmp(text + n, "\n") != 0) || joules >= UINT64_MAX / NJ_PER_J)
		return -EINVAL;
	for (; digits < FRACTION_DIGITS; digits++)
		fraction *= 10;
	*ret_nj = joules * NJ_PER_J + fraction;
	return 0;
}

int resctrl_parse_package(const char *name, unsigned *ret_package)
{
	uint64_t number;
	size_t n;

	if (strncmp(name, DOMAIN_PREFIX, strlen(DOMAIN_PREFIX)) != 0)
		return -EINVAL;
	name += strlen(DOMAIN_PREFIX);
	n = take_digits(name, &number);
	if (n < 2 || name[n] || number >= RESCTRL_PACKAGES_MAX)
		return -EINVAL;
	*ret_package = (unsigned)number;
	return 0;
}

static bool has_line(const char *text, const char *line)
{
	const size_t n = strlen(line);

	for (const char *at = text; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		if (strncmp(at, line, n) == 0 && (!at[n] || at[n] == '\n'))
			return true;
	return false;
}

static int compare(const void *a, const void *b)
{
	const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

	return (x > y) - (x < y);
}

static void find_packages(const char *root, struct resctrl_info *info)
{
	cleanup_(folder_close) DIR *folder = folder_open("%s/mon_data", root);
	const struct dirent *entry;
	unsigned package;

	while (folder && (entry = readdir(folder)) && info->n_packages < RESCTRL_PACKAGES_MAX)
		if (resctrl_parse_package(entry->d_name, &package) == 0)
			info->packages[info->n_packages++] = package;
	qsort(info->packages, info->n_packages, sizeof(info->packages[0]), compare);
}

/* info/GROUP/num_rmids; UINT32_MAX: none. */
static unsigned read_rmids(const char *root, const char *group)
{
	uint64_t number;

	return text_read_u64(&number, "%s/info/%s/num_rmids", root, group) == 0 && number <= UINT32_MAX
		       ? (unsigned)number
		       : UINT32_MAX;
}

int resctrl_read_info(const char *root, struct resctrl_info *ret_info, struct reason *why)
{
	char text[1024] = "";
	unsigned of_l3;

	*ret_info = (struct resctrl_info){0};
	if (text_read_file(text, sizeof(text), "%s/info", root) == -ENOENT) {
		reason_set(why, 0, "no resctrl file system at '%s'", root);
		reason_advise(why, FIX_MOUNT);
		return -ENOENT;
	}
	if (text_read_file(text, sizeof(text), "%s/info/PERF_PKG_MON/mon_features", root) <= 0 ||
	    !has_line(text, RESCTRL_EVENT)) {
		reason_set(why, 0, "'%s' has no event " RESCTRL_EVENT " for groups of processes", root);
		reason_advise(why,
			      "it needs Linux 7.0 and a processor with application energy telemetry; the "
			      "kernel parameter rdt=energy enables it where the kernel leaves it disabled");
		return -ENODEV;
	}
	find_packages(root, ret_info);
	of_l3 = read_rmids(root, "L3_MON");
	ret_info->n_rmids = read_rmids(root, "PERF_PKG_MON");
	if (of_l3 < ret_info->n_rmids)
		ret_info->n_rmids = of_l3;
	if (ret_info->n_packages == 0 || ret_info->n_rmids < 2 || ret_info->n_rmids == UINT32_MAX)
		return reason_set(why, -ENODEV, "'%s' cannot tell groups of processes apart", root);
	return 0;
}
