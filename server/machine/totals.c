/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of sums, by kind, scope, package and name, with a bound on the number of names. Called by machine.c
 * once per tick and by state.c.
 */
#include "machine/totals.h"
#include "base/bson_get.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_SIZE 600

static struct total *make_entry(struct totals *totals, const struct total_addition *addition, const char *key,
				size_t length, size_t name_at)
{
	struct total *total = calloc(1, sizeof(*total) + length + 1);

	if (!total)
		return NULL;
	memcpy(total->key, key, length + 1);
	total->sum = *addition;
	total->sum.name = total->key + name_at;
	total->sum.total_j = total->sum.dynamic_j = 0;
	HASH_ADD_KEYPTR(hh, totals->entries, total->key, length, total);
	return total;
}

static struct total *find_entry(struct totals *totals, const struct total_addition *addition,
				const char *name)
{
	char key[KEY_SIZE];
	struct total *total;
	int name_at = snprintf(key, sizeof(key), "%d %d %u ", (int)addition->kind, (int)addition->scope,
			       addition->package);

	(void)snprintf(key + name_at, sizeof(key) - (size_t)name_at, "%s", name);
	HASH_FIND(hh, totals->entries, key, strlen(key), total);
	if (!total && (HASH_COUNT(totals->entries) < TOTALS_MOST || strcmp(name, TOTALS_OTHER) == 0))
		return make_entry(totals, addition, key, strlen(key), (size_t)name_at);
	if (total)
		return total;
	totals->left_out++;
	return find_entry(totals, addition, TOTALS_OTHER);
}

int totals_add(struct totals *totals, const struct total_addition *addition)
{
	struct total *total = find_entry(totals, addition, addition->name);

	if (!total)
		return -ENOMEM;
	if (isfinite(addition->total_j) && addition->total_j > 0)
		total->sum.total_j += addition->total_j;
	if (isfinite(addition->dynamic_j) && addition->dynamic_j > 0)
		total->sum.dynamic_j += addition->dynamic_j;
	return 0;
}

void totals_put(bson_t *array, unsigned index, const struct total_addition *total)
{
	char buffer[16];
	const char *key;
	bson_t element;

	(void)bson_uint32_to_string(index, &key, buffer, sizeof(buffer));
	bson_append_document_begin(array, key, -1, &element);
	bson_append_int32(&element, "kind", -1, (int)total->kind);
	bson_append_int32(&element, "scope", -1, (int)total->scope);
	bson_append_int32(&element, "package", -1, (int)total->package);
	bson_append_utf8(&element, "name", -1, total->name, -1);
	bson_append_double(&element, "joules", -1, total->total_j);
	bson_append_double(&element, "dynamic", -1, total->dynamic_j);
	bson_append_date_time(&element, "created", -1, total->time_ms);
	bson_append_document_end(array, &element);
}

unsigned totals_save(const struct totals *totals, bson_t *array, unsigned index)
{
	for (const struct total *total = totals->entries; total; total = total->hh.next)
		totals_put(array, index++, &total->sum);
	return index;
}

static bool take_element(const bson_iter_t *element, struct total_addition *ret)
{
	bson_t total;
	int64_t kind, scope, package;

	if (!bson_get_inner(element, &total))
		return false;
	kind = bson_get_int32(&total, "kind", TOTAL_KINDS - 1);
	scope = bson_get_int32(&total, "scope", REPORT_SCOPES_ALL - 1);
	package = bson_get_int32(&total, "package", INT32_MAX - 1);
	*ret = (struct total_addition){.kind = (enum total_kind)kind,
				       .scope = (enum report_scope)scope,
				       .package = (unsigned)package,
				       .name = bson_get_text(&total, "name"),
				       .total_j = bson_get_double(&total, "joules"),
				       .dynamic_j = bson_get_double(&total, "dynamic")};
	return kind >= 0 && scope >= 0 && package >= 0 && ret->name && !isnan(ret->total_j) &&
	       !isnan(ret->dynamic_j) && bson_get_date(&total, "created", &ret->time_ms);
}

int totals_load(struct totals *totals, const bson_t *state)
{
	struct total_addition addition;
	bson_iter_t element;
	int r = 0;

	if (!bson_get_array(state, "totals", &element))
		return 0;
	while (r == 0 && bson_iter_next(&element))
		if (take_element(&element, &addition))
			r = totals_add(totals, &addition);
	return r;
}

void totals_done(struct totals *totals)
{
	struct total *total, *next;

	HASH_ITER(hh, totals->entries, total, next)
	{
		HASH_DEL(totals->entries, total);
		free(total);
	}
}
