/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translates event names as users type them into perf attributes, and explains why one is missing. Called by
 * the perf sources. Reads sysfs through pmu.h and asks libpfm through event_pfm.h; opens no event.
 */
#include "event/event.h"
#include "base/array.h"

#include "base/cleanup.h"
#include "base/folder.h"
#include "event/event_pfm.h"
#include "event/pmu.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <linux/perf_event.h>

/* hwpc-sensor's event names, and the corresponding kernel events. */
static const struct event_alias {
	const char *name;
	const char *pmu;
	const char *event;
	bool energy;
} event_aliases[] = {
	{"RAPL_ENERGY_PKG", "power", "energy-pkg", true},
	{"RAPL_ENERGY_DRAM", "power", "energy-ram", true},
	{"RAPL_ENERGY_CORES", "power", "energy-cores", true},
	{"RAPL_ENERGY_CORES", "power_core", "energy-core", true}, /* AMD, Linux 6.14 and later */
	{"RAPL_ENERGY_GPU", "power", "energy-gpu", true},
	{"RAPL_ENERGY_PSYS", "power", "energy-psys", true},
	{"TSC", "msr", "tsc", false},
	{"APERF", "msr", "aperf", false},
	{"MPERF", "msr", "mperf", false},
	{"PPERF", "msr", "pperf", false},
	{"IRPERF", "msr", "irperf", false},
	{"SMI", "msr", "smi", false},
};

/* "rapl::RAPL_ENERGY_PKG" and "msr::TSC" are accepted too. */
static const char *plain_name(const char *name)
{
	const char *separator = strstr(name, "::");

	return separator ? separator + 2 : name;
}

const char *event_plain_energy(const char *name)
{
	return event_is_energy(name) ? plain_name(name) : NULL;
}

/* The energy event meant by a name that contains these words; the order matters. */
static const struct {
	const char *word, *name;
} energy_words[] = {
	{"DRAM", "RAPL_ENERGY_DRAM"},     {"RAM", "RAPL_ENERGY_DRAM"},  {"MEM", "RAPL_ENERGY_DRAM"},
	{"GPU", "RAPL_ENERGY_GPU"},       {"GFX", "RAPL_ENERGY_GPU"},   {"UNCORE", "RAPL_ENERGY_GPU"},
	{"CORE", "RAPL_ENERGY_CORES"},    {"PP0", "RAPL_ENERGY_CORES"}, {"PSYS", "RAPL_ENERGY_PSYS"},
	{"PLATFORM", "RAPL_ENERGY_PSYS"},
};

/* Names of zones and from other tools; events that processors count have longer names. */
static bool names_energy(const char *plain, bool of_pmu)
{
	static const char *const words[] = {"PKG", "PACKAGE", "PACKAGE_0", "DRAM", "RAM", "PSYS"};

	if (strncmp(plain, "RAPL", 4) == 0 || strncmp(plain, "ENERGY", 6) == 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(words) && !of_pmu; i++)
		if (strcmp(plain, words[i]) == 0)
			return true;
	return !of_pmu && (strstr(plain, "RAPL") || strstr(plain, "ENERGY"));
}

const char *event_energy_slip(const char *name)
{
	char plain[64];
	size_t n = 0;

	if (event_is_energy(name))
		return NULL;
	name = plain_name(name);
	if (strncasecmp(name, "power/", 6) == 0)
		name += 6;
	for (; name[n] && name[n] != '/' && n + 1 < sizeof(plain); n++)
		plain[n] = name[n] == '-' ? '_' : (char)toupper((unsigned char)name[n]);
	plain[n] = '\0';
	if (!names_energy(plain, name[n] == '/'))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(energy_words); i++)
		if (strstr(plain, energy_words[i].word))
			return energy_words[i].name;
	return "RAPL_ENERGY_PKG";
}

bool event_is_energy(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(event_aliases); i++)
		if (event_aliases[i].energy && strcmp(plain_name(name), event_aliases[i].name) == 0)
			return true;
	return false;
}

bool event_is_platform(const char *name)
{
	return strcmp(plain_name(name), "RAPL_ENERGY_PSYS") == 0;
}

bool event_is_package(const char *name)
{
	return strcmp(plain_name(name), event_aliases[0].name) == 0;
}

void event_encoding_done(struct event_encoding *encoding)
{
	for (unsigned i = 0; i < encoding->n_boxes; i++)
		free(encoding->boxes[i].cpus);
	free(encoding->boxes);
	*encoding = (struct event_encoding){0};
}

/* Appends a box of this PMU and takes over its CPU list. */
static int add_box(struct event_encoding *encoding, const struct event_attr *attr, struct pmu *pmu)
{
	struct event_box *box;

	if (!ARRAY_RESIZE(encoding->boxes, encoding->n_boxes + 1))
		return -ENOMEM;
	box = &encoding->boxes[encoding->n_boxes++];
	*box = (struct event_box){.attr = *attr, .cpus = TAKE_POINTER(pmu->cpus), .n_cpus = pmu->n_cpus};
	box->shared = pmu->shared;
	if (box->shared)
		box->attr.flags = 0; /* such PMUs count independently of what runs, and reject exclusions */
	memcpy(box->pmu, pmu->name, sizeof(box->pmu));
	return 0;
}

static int explain_pmu(int error, const char *pmu, struct reason *why)
{
	if (error != -ENOENT)
		return reason_set(why, error, "cannot parse the sysfs files of the PMU '%s'", pmu);
	reason_set(why, 0, "the kernel has no '%s' PMU", pmu);
	if (strcmp(pmu, "power") == 0)
		reason_advise(why, "modprobe rapl, or a kernel with CONFIG_PERF_EVENTS_INTEL_RAPL; virtual "
				   "machines and processors other than x86 have none");
	else if (strcmp(pmu, "msr") == 0)
		reason_advise(why, "use an x86 kernel with perf events");
	else
		reason_advise(why, "choose one of those in /sys/bus/event_source/devices");
	return error;
}

static int explain_event(int error, const char *sysfs_root, const char *pmu, const char *event,
			 bool may_be_slip, struct reason *why)
{
	char nearest[128];

	if (error == -EINVAL || error == -ERANGE) {
		reason_set(why, 0, "the PMU '%s' does not support the terms '%s'", pmu, event);
		reason_advise(why, "use the terms that its 'format' folder lists");
		return error;
	}
	if (error != -ENOENT)
		return reason_set(why, error, "cannot parse the sysfs files of event '%s' of the PMU '%s'",
				  event, pmu);
	reason_set(why, 0, "the PMU '%s' of this machine has no event '%s'", pmu, event);
	/*
	 * Our own names for the kernel's events are not typos: suggesting another event would be wrong.
	 */
	if (may_be_slip && pmu_nearest_event(sysfs_root, pmu, event, nearest, sizeof(nearest)))
		reason_advise(why, "use '%s' instead", nearest);
	else if (strcmp(pmu, "power") == 0)
		reason_advise(why, "use powercap or an estimate; virtual machines have no energy counter");
	else
		reason_advise(why, "choose another event; perf list shows them");
	return error;
}

/* One event of one PMU in sysfs, appended as a box. */
static int encode_sysfs(const char *sysfs_root, const char *pmu_name, const char *event, bool may_be_slip,
			struct event_encoding *encoding, struct reason *why)
{
	struct pmu pmu = {0};
	struct event_attr attr;
	double scale;
	int r = pmu_read(sysfs_root, pmu_name, &pmu);

	if (r < 0)
		return explain_pmu(r, pmu_name, why);
	r = pmu_encode(sysfs_root, &pmu, event, &attr, &scale);
	if (r < 0)
		r = explain_event(r, sysfs_root, pmu_name, event, may_be_slip, why);
	else if (strncmp(event, "energy-", 7) == 0 && scale > 0)
		encoding->joules_per_count = scale;
	if (r == 0)
		r = add_box(encoding, &attr, &pmu);
	pmu_done(&pmu);
	return r;
}

/* RAPL_… and the MSR events. -ENOENT with an empty `why`: no such alias. */
static int encode_alias(const char *sysfs_root, const char *name, struct event_encoding *encoding,
			struct reason *why)
{
	int first_error = -ENOENT;
	struct reason reason;

	reason_clear(why);
	for (size_t i = 0; i < ARRAY_SIZE(event_aliases); i++) {
		const struct event_alias *alias = &event_aliases[i];
		int r;

		if (strcmp(plain_name(name), alias->name) != 0)
			continue;
		r = encode_sysfs(sysfs_root, alias->pmu, alias->event, false, encoding, &reason);
		if (r == 0 && alias->energy && !(encoding->joules_per_count > 0)) {
			event_encoding_done(encoding);
			r = reason_set(&reason, -EBADMSG,
				       "%s/bus/event_source/devices/%s/events/%s.scale is "
				       "missing: the unit of its counts is unknown",
				       sysfs_root, alias->pmu, alias->event);
		}
		if (r == 0)
			return 0;
		if (!why->text[0])
			first_error = reason_set(why, r, "%s", reason.text);
	}
	return first_error;
}

/* Is `name` stem_<digits>, one of several boxes? */
static bool is_numbered(const char *name, const char *stem)
{
	size_t n = strlen(stem);

	if (strncmp(name, stem, n) != 0 || name[n] != '_' || !name[n + 1])
		return false;
	return strspn(name + n + 1, "0123456789") == strlen(name + n + 1);
}

static int compare_boxes(const void *a, const void *b)
{
	const struct event_box *x = a, *y = b;

	return (x->attr.type > y->attr.type) - (x->attr.type < y->attr.type);
}

/*
 * "uncore_imc/cas_count_read/" means every uncore_imc_N if there is no uncore_imc. Not every box of a kind
 * must have the event; if none has it, the reason is that of the last one.
 */
static int encode_numbered(const char *sysfs_root, const char *stem, const char *event,
			   struct event_encoding *encoding, struct reason *why)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/bus/event_source/devices", sysfs_root);
	int r = explain_pmu(-ENOENT, stem, why);

	for (const struct dirent *entry; dir && r != -ENOMEM && (entry = readdir(dir));)
		if (is_numbered(entry->d_name, stem))
			r = encode_sysfs(sysfs_root, entry->d_name, event, true, encoding, why);
	if (r == -ENOMEM || encoding->n_boxes == 0)
		return r;
	qsort(encoding->boxes, encoding->n_boxes, sizeof(*encoding->boxes), compare_boxes);
	reason_clear(why);
	return 0;
}

/* "pmu/event/" or "pmu/term=1,term=2/". */
static int encode_slashes(const char *sysfs_root, const char *name, struct event_encoding *encoding,
			  struct reason *why)
{
	char pmu_name[EVENT_PMU_NAME_SIZE], event[256];
	size_t pmu_length = strcspn(name, "/"), event_length;
	struct pmu pmu = {0};
	int r;

	event_length = strcspn(name + pmu_length + 1, "/");
	if (!pmu_length || pmu_length >= sizeof(pmu_name) || !event_length || event_length >= sizeof(event) ||
	    strcmp(name + pmu_length + 1 + event_length, "/") != 0)
		return reason_set(why, -EINVAL, "sysfs events are written 'pmu/event/', with two slashes");
	(void)snprintf(pmu_name, sizeof(pmu_name), "%.*s", (int)pmu_length, name);
	(void)snprintf(event, sizeof(event), "%.*s", (int)event_length, name + pmu_length + 1);
	r = pmu_read(sysfs_root, pmu_name, &pmu);
	pmu_done(&pmu);
	if (r == -ENOENT)
		return encode_numbered(sysfs_root, pmu_name, event, encoding, why);
	return encode_sysfs(sysfs_root, pmu_name, event, true, encoding, why);
}

/*
 * Hybrid CPUs: a generic event is counted by each kind of core under its own PMU, whose type goes into the
 * upper half of config (Linux 5.13). A raw one means the performance cores.
 */
static int add_hybrid(const char *sysfs_root, const struct event_attr *attr, struct event_encoding *encoding)
{
	int r = 0;

	for (size_t i = 0; pmu_hybrid_kinds[i] && r == 0; i++) {
		struct event_attr extended = *attr;
		struct pmu pmu = {0};

		if (attr->type == PERF_TYPE_RAW && i > 0)
			break;
		if (pmu_read(sysfs_root, pmu_hybrid_kinds[i], &pmu) < 0)
			continue;
		if (attr->type != PERF_TYPE_RAW)
			extended.config |= (uint64_t)pmu.type << 32;
		r = add_box(encoding, &extended, &pmu);
		pmu_done(&pmu);
	}
	return r;
}

static int encode_pfm(const char *sysfs_root, const char *name, struct event_encoding *encoding,
		      struct reason *why)
{
	struct event_attr attrs[EVENT_PFM_BOXES_MAX];
	int n = event_pfm_encode(name, attrs, why), r = 0;

	if (n < 0)
		return n;
	for (int i = 0; i < n && r == 0; i++) {
		bool on_cores = attrs[i].type == PERF_TYPE_HARDWARE || attrs[i].type == PERF_TYPE_HW_CACHE ||
				attrs[i].type == PERF_TYPE_RAW;
		struct pmu pmu = {0};

		if (on_cores && pmu_count_kinds(sysfs_root) > 0) {
			r = add_hybrid(sysfs_root, &attrs[i], encoding);
			continue;
		}
		if (attrs[i].type >= PERF_TYPE_MAX && pmu_find_type(sysfs_root, attrs[i].type, pmu.name) == 0)
			(void)pmu_read(sysfs_root, pmu.name, &pmu);
		r = add_box(encoding, &attrs[i], &pmu);
		pmu_done(&pmu);
	}
	if (r < 0)
		reason_set(why, 0, "out of memory");
	return r;
}

int event_encode(const char *sysfs_root, const char *name, struct event_encoding *ret_encoding,
		 struct reason *why)
{
	struct event_encoding encoding = {0};
	int r;

	reason_clear(why);
	if (strchr(name, '/')) {
		r = encode_slashes(sysfs_root, name, &encoding, why);
	} else {
		r = encode_alias(sysfs_root, name, &encoding, why);
		if (r == -ENOENT && !why->text[0])
			r = encode_pfm(sysfs_root, name, &encoding, why);
	}
	if (r < 0) {
		event_encoding_done(&encoding);
		return r;
	}
	*ret_encoding = encoding;
	return 0;
}

/* By errno: the reason and the fix (NULL: none). */
struct explanation {
	const char *reason, *advice;
};

static struct explanation explain(int error, bool of_cgroup)
{
	switch (-error) {
	case EACCES:
	case EPERM:
		return (struct explanation){
			"no permission to count here",
			"run as root or grant CAP_PERFMON (kernels before 5.8: CAP_SYS_ADMIN), or lower "
			"kernel.perf_event_paranoid; in Docker add --cap-add=SYS_ADMIN, because its "
			"seccomp profile blocks perf"};
	case ENOENT:
	case ENODEV:
	case EOPNOTSUPP:
		return (struct explanation){
			of_cgroup ? "the CPU or virtual machine has no such counter, or the cgroup is gone"
				  : "the CPU has no such counter, or the virtual machine does not expose it",
			NULL};
	case EINVAL:
		return (struct explanation){of_cgroup ? "the kernel refuses this event for a cgroup"
						      : "the kernel refuses this event's encoding",
					    of_cgroup ? "use a kernel with CONFIG_CGROUP_PERF" : NULL};
	case EBUSY:
		return (struct explanation){
			"another user holds the counters (a pinned event, or the NMI watchdog)",
			"free them: sysctl kernel.nmi_watchdog=0"};
	case EMFILE:
	case ENFILE:
		return (struct explanation){
			"no file descriptors are left",
			"raise the limit (LimitNOFILE=, ulimit -n), or count fewer events"};
	case ENOSYS:
		return (struct explanation){"the kernel has no perf events",
					    "use a kernel with CONFIG_PERF_EVENTS"};
	case EIO:
		return (struct explanation){"the counter opens, but cannot be read", NULL};
	default:
		return (struct explanation){strerror(-error), NULL};
	}
}

int event_explain_open(int error, const char *pmu, bool of_cgroup, const char *cause, struct reason *why)
{
	const struct explanation explanation = explain(error, of_cgroup);
	const bool has_pmu = pmu && pmu[0], has_cause = cause && cause[0];

	reason_set(why, 0, "%s%s%s%s%s%s%s", has_pmu ? "PMU '" : "", has_pmu ? pmu : "", has_pmu ? "': " : "",
		   explanation.reason, has_cause ? " (" : "", has_cause ? cause : "", has_cause ? ")" : "");
	if (explanation.advice)
		reason_advise(why, "%s", explanation.advice);
	return error;
}
