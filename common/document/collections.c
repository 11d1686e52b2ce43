/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names of collections: the only place that composes them. Called by whoever reads or writes a store.
 */
#include "document/collections.h"

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

const char *collection_machine(enum collection_kind kind, const char *collection)
{
	size_t length = strlen(kinds[kind]);

	return strncmp(collection, kinds[kind], length) == 0 ? collection + length : NULL;
}

const char *collection_compose(enum collection_kind kind, const char *machine, char ret[COLLECTION_SIZE])
{
	(void)snprintf(ret, COLLECTION_SIZE, "%s%s", kinds[kind], machine);
	return ret;
}
