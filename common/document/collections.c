/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of collections, composed only here. Called by all code that reads or writes a store.
 */
#include "document/collections.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const kinds[COLLECTION_KINDS] = {
	[COLLECTION_REPORTS] = "sensor", [COLLECTION_TARGETS] = "target", [COLLECTION_POWER] = "power",
	[COLLECTION_RECAPS] = "recap",   [COLLECTION_STATE] = "state",
};

const char *collection_prefix(enum collection_kind kind)
{
	return kinds[kind];
}

char *collection_name(enum collection_kind kind, const char *machine)
{
	char *name = NULL;

	return asprintf(&name, "%s%s", kinds[kind], machine) < 0 ? NULL : name;
}

/* The names in the examples of hwpc-sensor: prep, report, report_0. */
static bool is_usual_name(const char *collection)
{
	static const char numbered[] = "report_";
	const char *number = text_begins(collection, numbered) ? collection + strlen(numbered) : "";

	return strcmp(collection, "prep") == 0 || strcmp(collection, "report") == 0 ||
	       (*number && strspn(number, "0123456789") == strlen(number));
}

const char *collection_machine(enum collection_kind kind, const char *collection)
{
	if (text_begins(collection, kinds[kind]))
		return collection + strlen(kinds[kind]);
	return kind == COLLECTION_REPORTS && is_usual_name(collection) ? collection : NULL;
}

bool collection_is_ours(const char *collection)
{
	for (unsigned kind = 0; kind < COLLECTION_KINDS; kind++) {
		if (text_begins(collection, kinds[kind]))
			return true;
	}
	return false;
}

const char *collection_compose(enum collection_kind kind, const char *machine, char ret[COLLECTION_SIZE])
{
	(void)snprintf(ret, COLLECTION_SIZE, "%s%s", kinds[kind], machine);
	return ret;
}
