/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the live page, embedded in the program.
 */
#pragma once

#include <stddef.h>

struct page_file {
	const char *name; /* "index.html" */
	const char *content_type;
	const char *begin, *end;
};

/* NULL: there is no such file. */
const struct page_file *page_find(const char *name);
