/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads compiled BPF objects on the running kernel, with the largest configuration that the sensor ever uses,
 * and prints as TAP the verifier's result for each program: accepted or not, processed instructions, stack.
 * The cost must stay far below the kernel's limit. usage: verify FILE.bpf.o...
 */
#include "priv/count.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CPUS          1024
#define SLOTS         256
#define LOG_SIZE      (4 << 20)
#define PROCESSED_MAX 250000 /* a quarter of the kernel's limit */

static unsigned n_tests, n_failed;

static const struct {
	const char *name;
	unsigned value;
} constants[] = {
	{"n_events", COUNT_EVENTS_MAX},
	{"n_cpus", CPUS},
	{"n_places", CPUS},
	{"n_slots", SLOTS},
	{"n_births", 8},
	{"unified", 1},
};
static const struct {
	const char *name;
	unsigned entries;
} sizes[] = {
	{"event_fds", COUNT_EVENTS_MAX *CPUS},
	{"slots", SLOTS * 4},
	{"cells", (SLOTS + 8) * CPUS},
	{"totals", 2 * CPUS},
	{"touched", SLOTS / COUNT_TOUCHED_SLOTS + 1},
	{"births", 9},
	{"places", CPUS},
	{"pulses", CPUS},
};

static int say_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
	if (level == LIBBPF_WARN && getenv("VERIFY_VERBOSE"))
		(void)vfprintf(stderr, format, arguments);
	return 0;
}

/* The sensor does this through the skeleton; here any object will do. */
static void set_constants(struct bpf_object *object)
{
	const struct btf *btf = bpf_object__btf(object);
	const int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	struct bpf_map *map = NULL;
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, (unsigned)id) : NULL;
	char *data = NULL;
	size_t size = 0;

	bpf_object__for_each_map(map, object) if (strstr(bpf_map__name(map), ".rodata")) data =
		(char *)(uintptr_t)bpf_map__initial_value(map, &size);
	for (unsigned i = 0; section && data && i < btf_vlen(section); i++) {
		const struct btf_var_secinfo *place = btf_var_secinfos(section) + i;
		const struct btf_type *variable = btf__type_by_id(btf, place->type);
		const char *name = btf__name_by_offset(btf, variable->name_off);

		for (unsigned c = 0; c < sizeof(constants) / sizeof(constants[0]); c++)
			if (strcmp(name, constants[c].name) == 0)
				memcpy(data + place->offset, &constants[c].value, sizeof(unsigned));
	}
}

static struct bpf_object *open_object(const char *file, const char *only, char *log)
{
	struct bpf_object *object = bpf_object__open_file(file, NULL);
	struct bpf_program *program;

	if (!object)
		return NULL;
	set_constants(object);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		(void)bpf_map__set_max_entries(bpf_object__find_map_by_name(object, sizes[i].name),
					       sizes[i].entries);
	bpf_object__for_each_program(program, object)
	{
		(void)bpf_program__set_autoload(program, strcmp(bpf_program__name(program), only) == 0);
		(void)bpf_program__set_log_level(program, 4); /* figures only */
		(void)bpf_program__set_log_buf(program, log, LOG_SIZE);
	}
	return object;
}

/* The last line before the verifier's figures: its objection to the program. */
static const char *last_complaint(char *log)
{
	char *line = NULL, *at = log;

	for (char *next; at && *at; at = next) {
		next = strchr(at, '\n');
		if (next)
			*next++ = '\0';
		if (*at && strncmp(at, "processed ", 10) != 0 && strncmp(at, "verification time", 17) != 0 &&
		    strncmp(at, "stack depth", 11) != 0)
			line = at;
	}
	return line ? line : "no reason given";
}

static void try_program(const char *file, const char *name, char *log)
{
	struct bpf_object *object = open_object(file, name, log);
	unsigned processed = 0, stack = 0;
	const char *at;
	int r;

	memset(log, 0, LOG_SIZE);
	r = object ? bpf_object__load(object) : -errno;
	at = strstr(log, "processed ");
	if (at)
		(void)sscanf(at, "processed %u", &processed);
	at = strstr(log, "stack depth ");
	if (at)
		(void)sscanf(at, "stack depth %u", &stack);
	n_tests++;
	if (r == 0 && processed <= PROCESSED_MAX) {
		printf("ok %u - %s %s: %u instructions processed, %u bytes of stack\n", n_tests, file, name,
		       processed, stack);
	} else {
		n_failed++;
		printf("not ok %u - %s %s: %s, %u processed: %s\n", n_tests, file, name, strerror(-r),
		       processed, last_complaint(log));
	}
	bpf_object__close(object);
}

int main(int argc, char **argv)
{
	char *log = malloc(LOG_SIZE);

	if (!log)
		return 1;
	(void)libbpf_set_print(say_nothing);
	for (int i = 1; i < argc; i++) {
		struct bpf_object *object = bpf_object__open_file(argv[i], NULL);
		struct bpf_program *program;

		if (!object) {
			printf("not ok %u - %s cannot be opened\n", ++n_tests, argv[i]);
			n_failed++;
			continue;
		}
		bpf_object__for_each_program(program, object)
			try_program(argv[i], bpf_program__name(program), log);
		bpf_object__close(object);
	}
	printf("1..%u\n", n_tests);
	free(log);
	return n_failed || n_tests == 0 ? 1 : 0;
}
