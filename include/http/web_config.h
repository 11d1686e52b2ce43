/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS, users and headers of the HTTP server, in the file format of the Prometheus exporters (--web-config).
 * Read once, at the start; a renewed certificate takes effect after a restart.
 */
#pragma once

#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum web_client_auth { WEB_CLIENT_NONE, WEB_CLIENT_IF_GIVEN, WEB_CLIENT_REQUIRED };

#define WEB_DIGEST_SIZE 32

struct web_user {
	char *name;
	char *hash;                      /* bcrypt */
	uint8_t proven[WEB_DIGEST_SIZE]; /* of the last right password, because bcrypt is slow */
	bool is_proven;
};

struct web_header {
	char *name, *value;
};

struct web_config {
	char *cert, *key, *client_ca; /* PEM; NULL without TLS, or without client certificates */
	enum web_client_auth client_auth;
	char priorities[128]; /* GnuTLS's priority string for the TLS versions */
	struct web_user *users;
	size_t n_users;
	struct web_header *headers;
	size_t n_headers;
};

/*
 * Reads the file and those that it names, relative to its folder, and checks that they fit together. 0, or a
 * negative errno and the reason with the file, the line if there is one, and the key.
 */
int web_config_load(const char *path, struct web_config **ret_config, struct reason *why);
/* Accepts NULL. */
void web_config_free(struct web_config *config);
