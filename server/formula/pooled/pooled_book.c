/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers that the model remembers: found by the tick's key, or by name if the key is new (a container
 * that returned, a restarted server). Grows up to a limit; then the one unseen for longest is replaced, and
 * nothing is allocated as long as the number of simultaneous containers does not grow.
 */
#include "formula/pooled/pooled.h"
#include "base/array.h"

#include "base/hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BOOK_FIRST    64 /* records to begin with; a power of two, as POOLED_BOOK */
#define RENAMED_TICKS 60 /* a container that is absent for longer is known only by its name */

/* Never 0. */
static uint64_t hash_of(const char *name)
{
	uint64_t hash = hash_text(HASH_START, name);

	hash ^= hash >> 32;
	return hash ? hash : 1;
}

static uint32_t spread_key(uint32_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32);
}

static void table_put(uint32_t *table, uint32_t mask, uint32_t hash, uint32_t value)
{
	uint32_t at = hash & mask;

	while (table[at])
		at = (at + 1) & mask;
	table[at] = value;
}

/* Entries go stale instead of being deleted (each hit is checked); the tables are rebuilt before they fill
 * up. */
static void rebuild(struct pooled_book *book)
{
	book->n_entries = book->n_used;
	memset(book->by_key, 0, book->table_size * sizeof(*book->by_key));
	memset(book->by_name, 0, book->table_size * sizeof(*book->by_name));
	for (uint32_t i = 0; i < book->n_used; i++) {
		const struct pooled_record *record = &book->records[i];
		if (record->seen && i != POOLED_SYSTEM)
			table_put(book->by_key, book->table_size - 1, spread_key(record->key), i + 1);
		table_put(book->by_name, book->table_size - 1, (uint32_t)record->name, i + 1);
	}
}

static int grow(struct pooled_book *book, unsigned capacity, unsigned n_sockets)
{
	uint32_t table_size = 1;
	uint32_t *tables;

	if (!ARRAY_RESIZE(book->records, capacity) ||
	    !ARRAY_RESIZE(book->leans, (size_t)capacity * n_sockets) ||
	    !ARRAY_RESIZE(book->calms, (size_t)capacity * n_sockets))
		return -ENOMEM;
	while (table_size < 4 * capacity)
		table_size *= 2;
	tables = calloc(2 * (size_t)table_size, sizeof(*tables));
	if (!tables)
		return -ENOMEM;
	free(book->by_key);
	book->by_key = tables;
	book->by_name = tables + table_size;
	book->table_size = table_size;
	book->capacity = capacity;
	book->n_sockets = n_sockets;
	rebuild(book);
	return 0;
}

static void record_init(struct pooled_book *book, unsigned index, uint64_t name)
{
	struct pooled_record *record = &book->records[index];

	*record = (struct pooled_record){
		.name = name,
		.slot = {-1, -1},
		.ratio = {__builtin_nan(""), __builtin_nan(""), __builtin_nan(""), __builtin_nan("")}};
	memset(book->leans + (size_t)index * book->n_sockets, 0, book->n_sockets * sizeof(*book->leans));
	memset(book->calms + (size_t)index * book->n_sockets, 0, book->n_sockets * sizeof(*book->calms));
}

struct pooled_record *pooled_book_add(struct pooled_book *book, uint64_t name)
{
	unsigned index = book->n_used;

	if (index >= book->capacity || !name)
		return NULL;
	record_init(book, index, name);
	table_put(book->by_name, book->table_size - 1, (uint32_t)name, index + 1);
	book->n_used++;
	book->n_entries++;
	return &book->records[index];
}

int pooled_book_reserve(struct pooled_book *book, unsigned present, unsigned n_sockets)
{
	unsigned capacity = book->capacity ? book->capacity : BOOK_FIRST, need;

	if (book->n_sockets != n_sockets)
		book->n_used = 0;
	book->most = book->most ? book->most : POOLED_BOOK;
	while (book->most / 2 < present)
		book->most *= 2;
	/* Room for the case that every target is new. */
	need = book->n_used + present < book->most ? book->n_used + present : book->most;
	if (book->n_sockets == n_sockets && need <= book->capacity)
		return 0;
	while (capacity < need)
		capacity *= 2;
	if (grow(book, capacity, n_sockets) < 0)
		return -ENOMEM;
	if (!book->n_used)
		(void)pooled_book_add(book, hash_of(POOLED_SYSTEM_NAME));
	return 0;
}

static int find_key(const struct pooled_book *book, uint32_t key)
{
	uint32_t mask = book->table_size - 1, at = spread_key(key) & mask;

	for (; book->by_key[at]; at = (at + 1) & mask) {
		const struct pooled_record *record = &book->records[book->by_key[at] - 1];
		if (record->key == key && record->seen && book->by_key[at] - 1 != POOLED_SYSTEM)
			return (int)book->by_key[at] - 1;
	}
	return -1;
}

static int find_name(const struct pooled_book *book, uint64_t name)
{
	uint32_t mask = book->table_size - 1, at = (uint32_t)name & mask;

	for (; book->by_name[at]; at = (at + 1) & mask) {
		if (book->records[book->by_name[at] - 1].name == name)
			return (int)book->by_name[at] - 1;
	}
	return -1;
}

/* Finds the same container under the name that it had in one of the last ticks: it was renamed. */
static int find_renamed(const struct pooled_book *book, uint64_t id, uint64_t tick)
{
	for (unsigned i = 0; id && i < book->n_used; i++) {
		const struct pooled_record *record = &book->records[i];
		if (record->id == id && record->seen < tick && record->seen + RENAMED_TICKS >= tick)
			return (int)i;
	}
	return -1;
}

/* The record unseen for longest, after the filters have freed its slots. */
static unsigned take_over(struct pooled *pooled)
{
	struct pooled_book *book = &pooled->book;
	unsigned oldest = 1;

	for (unsigned i = 2; i < book->n_used; i++) {
		if (book->records[i].seen < book->records[oldest].seen)
			oldest = i;
	}
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		int slot = book->records[oldest].slot[scope];
		if (slot >= 0)
			pooled_slots_evict(&pooled->filters[scope], book, (unsigned)slot);
	}
	return oldest;
}

void pooled_book_know_image(struct pooled *pooled, unsigned index, uint32_t image)
{
	static const double nothing[POOLED_MEMBERS];
	struct pooled_book *book = &pooled->book;
	struct pooled_record *record = &book->records[index];
	bool other = image && record->image && image != record->image;

	record->image = image ? image : record->image;
	if (!other)
		return;
	for (unsigned scope = 0; scope < REPORT_SCOPES; scope++) {
		if (record->slot[scope] >= 0)
			pooled_slots_decay(&pooled->filters[scope], (unsigned)record->slot[scope], nothing);
		record->kept[scope].known = false;
		record->signature[scope] = (struct pooled_signature){0};
	}
	for (unsigned j = 0; j < POOLED_RATIOS; j++)
		record->ratio[j] = __builtin_nan("");
	record->vary = (struct pooled_vary){0};
	record->remote = 0;
	memset(book->leans + (size_t)index * book->n_sockets, 0, book->n_sockets * sizeof(*book->leans));
	memset(book->calms + (size_t)index * book->n_sockets, 0, book->n_sockets * sizeof(*book->calms));
}

unsigned pooled_book_find(struct pooled *pooled, uint32_t key, const char *name, const char *id,
			  uint64_t tick)
{
	struct pooled_book *book = &pooled->book;
	int found = find_key(book, key);
	uint64_t hash, id_hash;

	if (found >= 0) {
		book->records[found].seen = tick;
		return (unsigned)found;
	}
	hash = hash_of(name);
	id_hash = id && id[0] ? hash_of(id) : 0;
	found = find_renamed(book, id_hash, tick);
	if (found >= 0 && book->records[found].name != hash) {
		book->records[found].name = hash;
		table_put(book->by_name, book->table_size - 1, (uint32_t)hash, (uint32_t)found + 1);
	} else {
		found = find_name(book, hash);
	}
	if (found < 0 && pooled_book_add(book, hash)) {
		found = (int)book->n_used - 1;
	} else if (found < 0) {
		found = (int)take_over(pooled);
		record_init(book, (unsigned)found, hash);
		table_put(book->by_name, book->table_size - 1, (uint32_t)hash, (uint32_t)found + 1);
	}
	book->records[found].key = key;
	book->records[found].id = id_hash ? id_hash : book->records[found].id;
	book->records[found].seen = tick;
	table_put(book->by_key, book->table_size - 1, spread_key(key), (uint32_t)found + 1);
	if (++book->n_entries > book->table_size / 2)
		rebuild(book);
	return (unsigned)found;
}

void pooled_book_done(struct pooled_book *book)
{
	free(book->records);
	free(book->leans);
	free(book->calms);
	free(book->by_key);
	*book = (struct pooled_book){0};
}
