/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event names by libpfm4: encoding for every PMU that counts the event, and the nearest known name for an
 * unknown one. Called by event.c; includes no kernel header and opens nothing.
 */
#include "event/event_pfm.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <perfmon/pfmlib_perf_event.h>

#define NAMES_MAX 8192

/* libpfm's codes as errno; errors that a user can fix are explained elsewhere. */
static int pfm_to_errno(int error)
{
	switch (error) {
	case PFM_SUCCESS:
		return 0;
	case PFM_ERR_NOTFOUND:
		return -ENOENT;
	case PFM_ERR_NOMEM:
		return -ENOMEM;
	case PFM_ERR_NOTSUPP:
	case PFM_ERR_NOINIT:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

/* One encoding. `pmu` ("skx_unc_imc0") picks the PMU; NULL leaves it to libpfm. Returns libpfm's code. */
static int encode_one(const char *pmu, const char *name, struct event_attr *ret_attr, char **ret_full_name)
{
	struct perf_event_attr attr = {.size = sizeof(attr)};
	pfm_perf_encode_arg_t argument = {.attr = &attr, .fstr = ret_full_name, .size = sizeof(argument)};
	char full[512];
	int r;

	if (pmu && snprintf(full, sizeof(full), "%s::%s", pmu, name) >= (int)sizeof(full))
		return PFM_ERR_TOOSMALL;
	r = pfm_get_os_event_encoding(pmu ? full : name, PFM_PLM0 | PFM_PLM3 | PFM_PLMH,
				      PFM_OS_PERF_EVENT_EXT, &argument);
	if (r != PFM_SUCCESS)
		return r;
	*ret_attr = (struct event_attr){
		.type = attr.type,
		.config = attr.config,
		.config1 = attr.config1,
		.config2 = attr.config2,
		.flags = (attr.exclude_user ? EVENT_EXCLUDE_USER : 0U) |
			 (attr.exclude_kernel ? EVENT_EXCLUDE_KERNEL : 0U) |
			 (attr.exclude_hv ? EVENT_EXCLUDE_HV : 0U),
	};
	return PFM_SUCCESS;
}

/* "skx_unc_imc3" and "skx_unc_imc0" are boxes of one kind. */
static bool same_kind(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	while (n && isdigit((unsigned char)a[n - 1]))
		n--;
	while (m && isdigit((unsigned char)b[m - 1]))
		m--;
	return n == m && memcmp(a, b, n) == 0;
}

/* May this PMU also count the event, in addition to the one that libpfm chose? */
static bool is_sibling(const pfm_pmu_info_t *pmu, const char *chosen, bool chosen_is_core)
{
	if (!pmu->is_present || strcmp(pmu->name, chosen) == 0)
		return false;
	if (chosen_is_core)
		return pmu->type == PFM_PMU_TYPE_CORE;
	return same_kind(pmu->name, chosen);
}

static bool pmu_info(pfm_pmu_t id, pfm_pmu_info_t *ret_info)
{
	memset(ret_info, 0, sizeof(*ret_info));
	ret_info->size = sizeof(*ret_info);
	return pfm_get_pmu_info(id, ret_info) == PFM_SUCCESS;
}

static bool pmu_is_core(const char *name)
{
	pfm_pmu_info_t info;
	int id;

	pfm_for_all_pmus(id)
	{
		if (pmu_info((pfm_pmu_t)id, &info) && strcmp(info.name, name) == 0)
			return info.type == PFM_PMU_TYPE_CORE;
	}
	return false;
}

/* Adds the encodings of sibling PMUs whose type is not among the attributes yet. */
static int add_siblings(const char *chosen, const char *name, struct event_attr *attrs)
{
	bool core = pmu_is_core(chosen);
	pfm_pmu_info_t info;
	int id, n = 1;

	pfm_for_all_pmus(id)
	{
		bool known = false;

		if (n == EVENT_PFM_BOXES_MAX)
			break;
		if (!pmu_info((pfm_pmu_t)id, &info) || !is_sibling(&info, chosen, core) ||
		    encode_one(info.name, name, &attrs[n], NULL) != PFM_SUCCESS)
			continue;
		for (int i = 0; i < n; i++)
			known |= attrs[i].type == attrs[n].type;
		n += !known;
	}
	return n;
}

/* The known event nearest to `name` (without attributes) on this machine's PMUs; false if none is near. */
static bool nearest_name(const char *name, char *ret, size_t size)
{
	const char **names = calloc(NAMES_MAX, sizeof(*names)), *nearest, *start = strstr(name, "::");
	char plain[128];
	size_t n = 0;
	pfm_pmu_info_t info;
	pfm_event_info_t event;
	int id;

	if (!names)
		return false;
	start = start ? start + 2 : name;
	(void)snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(start, ":"), start);
	pfm_for_all_pmus(id)
	{
		if (!pmu_info((pfm_pmu_t)id, &info) || !info.is_present)
			continue;
		for (int i = info.first_event; i != -1 && n < NAMES_MAX; i = pfm_get_event_next(i)) {
			memset(&event, 0, sizeof(event));
			event.size = sizeof(event);
			if (pfm_get_event_info(i, PFM_OS_PERF_EVENT, &event) == PFM_SUCCESS)
				names[n++] = event.name;
		}
	}
	nearest = text_nearest(plain, names, n);
	if (nearest)
		(void)snprintf(ret, size, "%s", nearest);
	free(names);
	return nearest != NULL;
}

/* Explains why libpfm refused the name, with a fix. */
static int explain(int error, const char *name, struct reason *why)
{
	char nearest[128];

	switch (error) {
	case PFM_ERR_NOTFOUND:
		if (nearest_name(name, nearest, sizeof(nearest)))
			reason_set(why, 0, "no such event on this CPU; the nearest known name is '%s'",
				   nearest);
		else
			reason_set(why, 0,
				   "libpfm knows no such event on this CPU; `perf list` shows the "
				   "kernel's own events, which are written 'pmu/event/'");
		break;
	case PFM_ERR_UMASK:
	case PFM_ERR_ATTR:
	case PFM_ERR_ATTR_VAL:
	case PFM_ERR_FEATCOMB:
		reason_set(why, 0, "the event is known, but not with these attributes (%s)",
			   pfm_strerror(error));
		break;
	case PFM_ERR_NOTSUPP:
		reason_set(why, 0,
			   "the event is known, but the kernel has no PMU for it; try modprobe "
			   "intel_uncore or amd_uncore");
		break;
	default:
		reason_set(why, 0, "libpfm: %s", pfm_strerror(error));
		break;
	}
	return pfm_to_errno(error);
}

int event_pfm_encode(const char *name, struct event_attr ret_attrs[EVENT_PFM_BOXES_MAX], struct reason *why)
{
	cleanup_(cleanup_free) char *full = NULL;
	char *separator;
	int r;

	r = pfm_initialize();
	if (r == PFM_SUCCESS)
		r = encode_one(NULL, name, &ret_attrs[0], &full);
	if (r != PFM_SUCCESS)
		return explain(r, name, why);
	separator = full ? strstr(full, "::") : NULL;
	/* If a PMU is named, only that one is used. */
	if (!separator || strstr(name, "::"))
		return 1;
	*separator = '\0';
	return add_siblings(full, name, ret_attrs);
}
