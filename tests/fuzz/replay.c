/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stands in for libFuzzer: gives a fuzz target every file of its corpus, and some hundred random mutations of
 * each. usage: fuzz_X FILE|DIRECTORY...; WATTRIBUTE_SEED and WATTRIBUTE_MUTATIONS (for each file) from the
 * environment.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)1 << 20)
#define MUTATIONS 300

static uint64_t random_state;
static unsigned n_mutations = MUTATIONS;
static unsigned n_inputs;

/* xorshift64*: good enough to choose bytes. */
static uint64_t next_random(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t random_below(size_t end)
{
	return end ? (size_t)(next_random() % end) : 0;
}

/* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
static void run_input(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	(void)LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	n_inputs++;
}

static size_t mutate(uint8_t *data, size_t size)
{
	static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '$', '.', '/', '"', '\n', ' ', '0'};
	unsigned n = 1 + (unsigned)random_below(4);

	for (unsigned i = 0; i < n && size > 0; i++) {
		size_t at = random_below(size);
		size_t length = 1 + random_below(size - at < 16 ? size - at : 16);

		switch (random_below(6)) {
		case 0:
			data[at] ^= (uint8_t)(1U << random_below(8));
			break;
		case 1:
			data[at] = odd[random_below(sizeof(odd))];
			break;
		case 2:
			data[at] = (uint8_t)next_random();
			break;
		case 3:
			size = at;
			break;
		case 4: /* takes bytes out */
			memmove(data + at, data + at + length, size - at - length);
			size -= length;
			break;
		default: /* copies bytes elsewhere */
			memmove(data + random_below(size - length + 1), data + at, length);
			break;
		}
	}
	return size;
}

static void run_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX);
	uint8_t *mutated = malloc(INPUT_MAX);
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!data || !mutated || !file) {
		printf("not ok 1 - cannot read %s\n", path);
		exit(1);
	}
	size = fread(data, 1, INPUT_MAX, file);
	(void)fclose(file);
	run_input(data, size);
	for (unsigned i = 0; i < n_mutations; i++) {
		memcpy(mutated, data, size);
		run_input(mutated, mutate(mutated, size));
	}
	free(data);
	free(mutated);
}

static void run_path(const char *path)
{
	struct stat status;
	struct dirent **entries;
	char name[4096];
	int n;

	if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
		run_file(path);
		return;
	}
	n = scandir(path, &entries, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		(void)snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			run_path(name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int main(int argc, char *argv[])
{
	const char *seed = getenv("WATTRIBUTE_SEED");
	const char *mutations = getenv("WATTRIBUTE_MUTATIONS");
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];

	random_state = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 2654435761U;
	random_state |= 1;
	if (mutations)
		n_mutations = (unsigned)strtoul(mutations, NULL, 10);
	printf("# WATTRIBUTE_SEED=%llu\n", (unsigned long long)random_state);
	(void)fflush(stdout);
	for (int i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%sok 1 - %s: %u inputs\n1..1\n", n_inputs ? "" : "not ", name, n_inputs);
	return n_inputs ? 0 : 1;
}
