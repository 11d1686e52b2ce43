/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PMUs in sysfs: type, cpumask, named events with scale, formats of their terms. Called by event.c. Files are
 * untrusted text: sizes are bounded, numbers are checked, and anything unexpected is -EBADMSG.
 */
#include "event/pmu.h"

#include "base/array.h"
#include "base/cleanup.h"
#include "base/folder.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PMU_DEVICES    "bus/event_source/devices"
#define PMU_CPUS_MAX   65536
#define PMU_EVENTS_MAX 512

/* One file of a PMU, as text_read_file(). */
static ssize_t read_text(const char *sysfs_root, const char *pmu, const char *name, char *buffer, size_t size)
{
	return text_read_file(buffer, size, "%s/" PMU_DEVICES "/%s/%s", sysfs_root, pmu, name);
}

/* A name from a user or a file must not lead out of the PMU's directory. */
static bool name_is_plain(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length < EVENT_PMU_NAME_SIZE && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:") == length;
}

struct cpu_array {
	unsigned *cpus;
	unsigned n, capacity;
	bool failed;
};

static void add_cpu(void *data, unsigned cpu)
{
	struct cpu_array *array = data;

	if (cpu >= PMU_CPUS_MAX || array->n >= PMU_CPUS_MAX ||
	    !ARRAY_RESERVE(array->cpus, array->capacity, array->n + 1))
		array->failed = true;
	else
		array->cpus[array->n++] = cpu;
}

/* A sysfs list of CPUs as a new array. */
static int parse_cpus(const char *list, unsigned **ret_cpus, unsigned *ret_n_cpus)
{
	struct cpu_array array = {0};
	int r = text_parse_cpulist(list, add_cpu, &array);

	if (r < 0 || array.failed || !array.n) {
		free(array.cpus);
		return -EBADMSG;
	}
	*ret_cpus = array.cpus;
	*ret_n_cpus = array.n;
	return 0;
}

const char *const pmu_hybrid_kinds[] = {"cpu_core", "cpu_atom", "cpu_lowpower", NULL};

/* "cpumask": one CPU stands for each package or die. "cpus": the CPUs that have this PMU (hybrid processors).
 */
static int read_cpus(const char *sysfs_root, struct pmu *pmu)
{
	char text[4096];

	if (read_text(sysfs_root, pmu->name, "cpumask", text, sizeof(text)) > 0) {
		pmu->shared = true;
		return parse_cpus(text, &pmu->cpus, &pmu->n_cpus);
	}
	if (read_text(sysfs_root, pmu->name, "cpus", text, sizeof(text)) > 0)
		return parse_cpus(text, &pmu->cpus, &pmu->n_cpus);
	return 0;
}

int pmu_read(const char *sysfs_root, const char *name, struct pmu *ret_pmu)
{
	struct pmu pmu = {0};
	char text[64];
	uint64_t type;
	ssize_t n;
	int r;

	if (!name_is_plain(name))
		return -ENOENT;
	(void)snprintf(pmu.name, sizeof(pmu.name), "%s", name);
	n = read_text(sysfs_root, name, "type", text, sizeof(text));
	if (n < 0)
		return (int)n;
	if (text_parse_u64(text, &type) < 0 || type > INT32_MAX)
		return -EBADMSG;
	pmu.type = (uint32_t)type;
	r = read_cpus(sysfs_root, &pmu);
	if (r < 0)
		return r;
	*ret_pmu = pmu;
	return 0;
}

void pmu_done(struct pmu *pmu)
{
	free(pmu->cpus);
	*pmu = (struct pmu){0};
}

/* The attribute's word that a format names: "config:0-7,32-35" → &config, and the rest of the text. */
static uint64_t *format_word(const char *format, struct event_attr *attr, const char **ret_bits)
{
	static const char *const names[] = {"config:", "config1:", "config2:"};
	uint64_t *words[] = {&attr->config, &attr->config1, &attr->config2};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strncmp(format, names[i], strlen(names[i])) == 0) {
			*ret_bits = format + strlen(names[i]);
			return words[i];
		}
	return NULL;
}

/* Puts the value's low bits into the bit ranges of a format, lowest range first. -ERANGE if bits are left
 * over. */
static int format_put(const char *bits, uint64_t value, uint64_t *word)
{
	char *end;

	for (;;) {
		unsigned long from = strtoul(bits, &end, 10), to = from;

		if (end == bits)
			return -EBADMSG;
		if (*end == '-') {
			bits = end + 1;
			to = strtoul(bits, &end, 10);
			if (end == bits)
				return -EBADMSG;
		}
		if (to > 63 || from > to)
			return -EBADMSG;
		for (unsigned long bit = from; bit <= to; bit++, value >>= 1)
			*word = (*word & ~(UINT64_C(1) << bit)) | (value & 1) << bit;
		if (*end != ',')
			break;
		bits = end + 1;
	}
	if (*end)
		return -EBADMSG;
	return value ? -ERANGE : 0;
}

/* One term, "umask=0x1" or "inv": by the PMU's format file, or a whole word ("config=0x10"). */
static int encode_term(const char *sysfs_root, const char *pmu, char *term, struct event_attr *attr)
{
	char format[128], name[EVENT_PMU_NAME_SIZE + 8], *equals = strchr(term, '=');
	const char *bits;
	uint64_t value = 1, *word;

	if (equals) {
		*equals = '\0';
		if (text_parse_u64(equals + 1, &value) < 0)
			return -EINVAL;
	}
	if (!name_is_plain(term))
		return -EINVAL;
	(void)snprintf(name, sizeof(name), "%s:", term);
	word = format_word(name, attr, &bits);
	if (word) {
		*word = value;
		return 0;
	}
	(void)snprintf(name, sizeof(name), "format/%s", term);
	if (read_text(sysfs_root, pmu, name, format, sizeof(format)) < 0)
		return -EINVAL;
	word = format_word(format, attr, &bits);
	return word ? format_put(bits, value, word) : -EBADMSG;
}

static int encode_terms(const char *sysfs_root, const char *pmu, char *terms, struct event_attr *attr)
{
	char *rest = NULL;

	for (char *term = strtok_r(terms, ",", &rest); term; term = strtok_r(NULL, ",", &rest)) {
		int r = encode_term(sysfs_root, pmu, term, attr);

		if (r < 0)
			return r;
	}
	return 0;
}

int pmu_encode(const char *sysfs_root, const struct pmu *pmu, const char *event, struct event_attr *ret_attr,
	       double *ret_scale)
{
	char text[512], name[EVENT_PMU_NAME_SIZE + 16];
	struct event_attr attr = {.type = pmu->type};
	double scale = 0;
	int r;

	if (strpbrk(event, "=,")) {
		if (snprintf(text, sizeof(text), "%s", event) >= (int)sizeof(text))
			return -EINVAL;
	} else {
		if (!name_is_plain(event))
			return -ENOENT;
		(void)snprintf(name, sizeof(name), "events/%s", event);
		if (read_text(sysfs_root, pmu->name, name, text, sizeof(text)) < 0)
			return -ENOENT;
	}
	r = encode_terms(sysfs_root, pmu->name, text, &attr);
	if (r < 0)
		return r;
	if (!strpbrk(event, "=,")) {
		(void)snprintf(name, sizeof(name), "events/%s.scale", event);
		if (read_text(sysfs_root, pmu->name, name, text, sizeof(text)) > 0 &&
		    (text_parse_double(text, &scale) < 0 || scale < 0))
			return -EBADMSG;
	}
	*ret_attr = attr;
	*ret_scale = scale;
	return 0;
}

static DIR *open_events(const char *sysfs_root, const char *pmu)
{
	return name_is_plain(pmu) ? folder_open("%s/" PMU_DEVICES "/%s/events", sysfs_root, pmu) : NULL;
}

bool pmu_nearest_event(const char *sysfs_root, const char *pmu, const char *event, char *ret, size_t size)
{
	cleanup_(folder_close) DIR *dir = open_events(sysfs_root, pmu);
	char *names[PMU_EVENTS_MAX];
	const char *nearest;
	unsigned n = 0;

	for (const struct dirent *entry; dir && n < PMU_EVENTS_MAX && (entry = readdir(dir));) {
		if (strchr(entry->d_name, '.'))
			continue;
		names[n] = strdup(entry->d_name);
		n += names[n] != NULL;
	}
	nearest = text_nearest(event, (const char *const *)names, n);
	if (nearest)
		(void)snprintf(ret, size, "%s", nearest);
	for (unsigned i = 0; i < n; i++)
		free(names[i]);
	return nearest != NULL;
}

unsigned pmu_count_events(const char *sysfs_root, const char *pmu)
{
	cleanup_(folder_close) DIR *dir = open_events(sysfs_root, pmu);
	unsigned n = 0;

	for (const struct dirent *entry; dir && (entry = readdir(dir));)
		n += !strchr(entry->d_name, '.');
	return n;
}

int pmu_find_type(const char *sysfs_root, uint32_t type, char ret_name[EVENT_PMU_NAME_SIZE])
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/" PMU_DEVICES, sysfs_root);
	char text[64];
	uint64_t value;
	bool found = false;

	if (!dir)
		return -errno;
	for (const struct dirent *entry; !found && (entry = readdir(dir));) {
		if (!name_is_plain(entry->d_name) ||
		    read_text(sysfs_root, entry->d_name, "type", text, sizeof(text)) < 0)
			continue;
		found = text_parse_u64(text, &value) == 0 && value == type;
		if (found)
			(void)snprintf(ret_name, EVENT_PMU_NAME_SIZE, "%.*s", EVENT_PMU_NAME_SIZE - 1,
				       entry->d_name);
	}
	return found ? 0 : -ENOENT;
}

unsigned pmu_count_kinds(const char *sysfs_root)
{
	unsigned n = 0;

	for (unsigned i = 0; pmu_hybrid_kinds[i]; i++) {
		struct pmu pmu = {0};

		if (pmu_read(sysfs_root, pmu_hybrid_kinds[i], &pmu) == 0)
			n++;
		pmu_done(&pmu);
	}
	return n;
}

bool pmu_has_core(const char *sysfs_root)
{
	cleanup_(folder_close) DIR *dir = folder_open("%s/" PMU_DEVICES, sysfs_root);
	bool found = false;

	for (const struct dirent *entry; dir && !found && (entry = readdir(dir));) {
		found = strncmp(entry->d_name, "armv", 4) == 0;
		found |= strcmp(entry->d_name, "cpu") == 0;
		for (unsigned i = 0; pmu_hybrid_kinds[i]; i++)
			found |= strcmp(entry->d_name, pmu_hybrid_kinds[i]) == 0;
	}
	return found;
}
