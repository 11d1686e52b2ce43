/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Store URIs as users type them, split into a backend and its own location. Private to the stores.
 */
#pragma once

#include "store/store_backend.h"
#include "base/reason.h"

struct store_uri {
	const struct store_backend *backend;
	char location[1024]; /* a mongodb:// URI, a path, HOST:PORT, or "" */
};

/* Does it have an option whose value is a secret? */
bool store_uri_has_secret_option(const char *uri);
/* 0, or -EINVAL with a sentence about the error and the correct form. */
int store_uri_parse(const char *uri, struct store_uri *ret_uri, struct reason *why);
