/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stand-alone driver of the fuzz targets: feeds every file of the files and folders in argv, then random
 * mutations of each, and prints TAP. The seed is printed; WATTRIBUTE_SEED repeats a run, WATTRIBUTE_MUTATIONS
 * sets their number. Not used with libFuzzer or AFL++.
 */
#include "base/text.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define INPUT_MAX  ((size_t)1 << 20)
#define GROWTH_MAX 4096
#define MUTATIONS  200

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct replay {
	uint64_t state; /* of the random numbers */
	uint64_t seed;
	uint64_t n_mutations;
	unsigned n_files;
	unsigned n_failed;
};

/* splitmix64 */
static uint64_t draw(struct replay *replay)
{
	uint64_t z = replay->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(struct replay *replay, size_t limit)
{
	return limit ? (size_t)(draw(replay) % limit) : 0;
}

static size_t insert(uint8_t *data, size_t size, size_t at, const uint8_t *bytes, size_t n)
{
	memmove(data + at + n, data + at, size - at);
	memcpy(data + at, bytes, n);
	return size + n;
}

/* One small change; the buffer has room for GROWTH_MAX more bytes. */
static size_t mutate_once(struct replay *replay, uint8_t *data, size_t size)
{
	static const uint8_t odd[] = {0,   1,   0x7f, 0x80, 0xff, '"', '\\', '/',
				      '%', '{', '}',  '[',  ',',  '-', '\n'};
	size_t at = below(replay, size), n = 1 + below(replay, 16);
	uint8_t piece[16];

	if (n > size - at)
		n = size - at;
	switch (below(replay, 6)) {
	case 0:
		if (size)
			data[at] ^= (uint8_t)(1u << below(replay, 8));
		return size;
	case 1:
		if (size)
			data[at] = odd[below(replay, sizeof(odd))];
		return size;
	case 2: /* remove some bytes */
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 3: /* copy some bytes elsewhere */
		memcpy(piece, data + at, n);
		return insert(data, size, below(replay, size + 1), piece, n);
	case 4:
		return at; /* cut the end off */
	default:
		return insert(data, size, at, &odd[below(replay, sizeof(odd))], 1);
	}
}

static void mutate(struct replay *replay, const uint8_t *original, size_t size)
{
	size_t changes = 1 + below(replay, 8);
	uint8_t *scratch = malloc(size + GROWTH_MAX);

	if (!scratch)
		return;
	memcpy(scratch, original, size);
	for (size_t i = 0; i < changes; i++)
		size = mutate_once(replay, scratch, size);
	/* An exact copy, so that a sanitizer sees the first byte read after the end. */
	uint8_t *exact = malloc(size ? size : 1);
	if (exact) {
		memcpy(exact, scratch, size);
		(void)LLVMFuzzerTestOneInput(exact, size);
	}
	free(exact);
	free(scratch);
}

static uint8_t *read_file(const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = file ? malloc(INPUT_MAX) : NULL;

	if (data)
		*ret_size = fread(data, 1, INPUT_MAX, file);
	if (file)
		(void)fclose(file);
	return data;
}

static void replay_file(struct replay *replay, const char *path)
{
	size_t size = 0;
	uint8_t *data = read_file(path, &size);

	replay->n_files++;
	if (!data) {
		printf("not ok %u - %s: cannot be read\n", replay->n_files, path);
		replay->n_failed++;
		return;
	}
	uint8_t *exact = malloc(size ? size : 1);
	if (exact) {
		memcpy(exact, data, size);
		(void)LLVMFuzzerTestOneInput(exact, size);
	}
	free(exact);
	replay->state = replay->seed + size; /* a file's mutations do not depend on the files before it */
	for (uint64_t i = 0; i < replay->n_mutations; i++)
		mutate(replay, data, size);
	free(data);
	printf("ok %u - %s\n", replay->n_files, path);
	(void)fflush(stdout);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void replay_path(struct replay *replay, const char *path)
{
	struct dirent **entries;
	struct stat about;
	char *name;

	if (stat(path, &about) < 0 || !S_ISDIR(about.st_mode)) {
		replay_file(replay, path);
		return;
	}
	int n = scandir(path, &entries, is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		if (asprintf(&name, "%s/%s", path, entries[i]->d_name) >= 0) {
			replay_file(replay, name);
			free(name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static uint64_t from_environment(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);
	uint64_t value;

	return text && text_parse_u64(text, &value) == 0 ? value : otherwise;
}

int main(int argc, char *argv[])
{
	struct replay replay = {0};
	uint32_t fresh;

	if (getrandom(&fresh, sizeof(fresh), 0) < 0)
		fresh = 1;
	replay.seed = from_environment("WATTRIBUTE_SEED", fresh);
	replay.n_mutations = from_environment("WATTRIBUTE_MUTATIONS", MUTATIONS);
	printf("# WATTRIBUTE_SEED=%" PRIu64 "\n", replay.seed);
	(void)fflush(stdout);
	for (int i = 1; i < argc; i++)
		replay_path(&replay, argv[i]);
	printf("1..%u\n", replay.n_files);
	return replay.n_files && !replay.n_failed ? 0 : 1;
}
