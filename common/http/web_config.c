/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the web configuration: YAML through libyaml, one table of keys. Unknown keys are errors, because a
 * protection that is missing due to a typo would go unnoticed. Called once, at the start.
 */
#include "http/web_config.h"
#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define FILE_MAX      ((size_t)1 << 20)
#define BCRYPT_LENGTH 60

struct loading {
	const char *path;
	yaml_document_t document;
	struct web_config *config;
	unsigned min_version, max_version; /* index into versions */
	struct reason *why;
};

static const struct {
	const char *name, *priority;
} versions[] = {{"TLS10", "TLS1.0"}, {"TLS11", "TLS1.1"}, {"TLS12", "TLS1.2"}, {"TLS13", "TLS1.3"}};
#define VERSION_MIN 2 /* TLS 1.2, unless the file says otherwise */

static int fail(const struct loading *loading, const yaml_node_t *node, const char *text, const char *what)
{
	return reason_set(loading->why, -EINVAL, "%s, line %zu: '%.100s' %s", loading->path,
			  node->start_mark.line + 1, text, what);
}

/* The text of a scalar; NULL, with the reason set, for anything else. */
static const char *scalar(const struct loading *loading, const yaml_node_t *node, const char *key)
{
	if (node && node->type == YAML_SCALAR_NODE)
		return (const char *)node->data.scalar.value;
	(void)fail(loading, node, key, "takes a single value");
	return NULL;
}

static int copy(char **ret, const char *text)
{
	free(*ret);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

/* A file that the configuration names, relative to the configuration's folder. */
static int read_named(const struct loading *loading, const char *name, char **ret)
{
	const char *slash = strrchr(loading->path, '/');
	char path[PATH_MAX];
	size_t length;
	int folder = name[0] == '/' || !slash ? 0 : (int)(slash - loading->path + 1);

	(void)snprintf(path, sizeof(path), "%.*s%s", folder, loading->path, name);
	cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	free(*ret);
	*ret = NULL;
	int r = fd < 0 ? -errno : text_read_whole(fd, FILE_MAX, ret, &length);
	return r < 0 ? reason_set(loading->why, r, "%s: cannot read '%s': %s", loading->path, path,
				  strerror(-r))
		     : 0;
}

/* A key takes a value, or a map of names to values. */
struct web_key {
	const char *section, *name; /* name NULL: the section itself is the map */
	int (*take)(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
		    const char *value);
	int (*take_pair)(struct loading *loading, const yaml_node_t *node, const char *name,
			 const char *value);
	size_t text; /* take_file, take_text: of a text in struct web_config */
};

static char **text_of(const struct loading *loading, const struct web_key *key)
{
	return (char **)(void *)((char *)loading->config + key->text);
}

static int take_file(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
		     const char *value)
{
	(void)node;
	return read_named(loading, value, text_of(loading, key));
}

static int take_text(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
		     const char *value)
{
	(void)node;
	return copy(text_of(loading, key), value);
}

static int take_client_auth(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
			    const char *value)
{
	static const struct {
		const char *name;
		enum web_client_auth auth;
	} types[] = {{"", WEB_CLIENT_NONE},
		     {"NoClientCert", WEB_CLIENT_NONE},
		     {"RequestClientCert", WEB_CLIENT_NONE},
		     {"VerifyClientCertIfGiven", WEB_CLIENT_IF_GIVEN},
		     {"RequireAndVerifyClientCert", WEB_CLIENT_REQUIRED}};

	(void)key;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(value, types[i].name) != 0)
			continue;
		loading->config->client_auth = types[i].auth;
		return 0;
	}
	return fail(loading, node, value,
		    "is not supported; known: NoClientCert, RequestClientCert, VerifyClientCertIfGiven, "
		    "RequireAndVerifyClientCert");
}

static int take_version(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
			const char *value)
{
	for (unsigned i = 0; i < ARRAY_SIZE(versions); i++) {
		if (strcmp(value, versions[i].name) != 0)
			continue;
		*(strcmp(key->name, "min_version") == 0 ? &loading->min_version : &loading->max_version) = i;
		return 0;
	}
	return fail(loading, node, value, "is not a TLS version; known: TLS10, TLS11, TLS12, TLS13");
}

/* Accepts keys without a meaning here: HTTP/2 is not supported, and the server's cipher order is always
 * preferred. */
static int take_nothing(struct loading *loading, const struct web_key *key, const yaml_node_t *node,
			const char *value)
{
	(void)loading, (void)key, (void)node, (void)value;
	return 0;
}

static int take_user(struct loading *loading, const yaml_node_t *node, const char *name, const char *hash)
{
	struct web_config *config = loading->config;
	struct web_user *user;

	if (!ARRAY_RESIZE(config->users, config->n_users + 1))
		return -ENOMEM;
	if (strlen(hash) != BCRYPT_LENGTH || strncmp(hash, "$2", 2) != 0 || !strchr("aby", hash[2]) ||
	    hash[3] != '$')
		return fail(loading, node, name,
			    "has a password that is not hashed with bcrypt; 'htpasswd -nB NAME' prints one");
	user = &config->users[config->n_users++];
	*user = (struct web_user){.name = strdup(name), .hash = strdup(hash)};
	return user->name && user->hash ? 0 : -ENOMEM;
}

static int take_header(struct loading *loading, const yaml_node_t *node, const char *name, const char *value)
{
	struct web_config *config = loading->config;
	struct web_header *header;

	if (!ARRAY_RESIZE(config->headers, config->n_headers + 1))
		return -ENOMEM;
	if (!name[0] ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") != strlen(name) ||
	    strpbrk(value, "\r\n"))
		return fail(loading, node, name,
			    "is not a valid header name, or its value has more than one line");
	header = &config->headers[config->n_headers++];
	*header = (struct web_header){.name = strdup(name), .value = strdup(value)};
	return header->name && header->value ? 0 : -ENOMEM;
}

static const struct web_key keys[] = {
	{"tls_server_config", "cert_file", take_file, NULL, offsetof(struct web_config, cert)},
	{"tls_server_config", "key_file", take_file, NULL, offsetof(struct web_config, key)},
	{"tls_server_config", "client_ca_file", take_file, NULL, offsetof(struct web_config, client_ca)},
	{"tls_server_config", "cert", take_text, NULL, offsetof(struct web_config, cert)},
	{"tls_server_config", "key", take_text, NULL, offsetof(struct web_config, key)},
	{"tls_server_config", "client_ca", take_text, NULL, offsetof(struct web_config, client_ca)},
	{"tls_server_config", "client_auth_type", take_client_auth, NULL, 0},
	{"tls_server_config", "min_version", take_version, NULL, 0},
	{"tls_server_config", "max_version", take_version, NULL, 0},
	{"tls_server_config", "prefer_server_cipher_suites", take_nothing, NULL, 0},
	{"http_server_config", "http2", take_nothing, NULL, 0},
	{"http_server_config", "headers", NULL, take_header, 0},
	{"basic_auth_users", NULL, NULL, take_user, 0},
};

static int take_pairs(struct loading *loading, const struct web_key *key, yaml_node_t *map)
{
	int r = 0;

	if (map->type != YAML_MAPPING_NODE)
		return fail(loading, map, key->name ? key->name : key->section, "takes names with values");
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     r == 0 && pair < map->data.mapping.pairs.top; pair++) {
		const yaml_node_t *node = yaml_document_get_node(&loading->document, pair->value);
		const char *name =
			scalar(loading, yaml_document_get_node(&loading->document, pair->key), key->section);
		const char *value = name ? scalar(loading, node, name) : NULL;

		r = value ? key->take_pair(loading, node, name, value) : -EINVAL;
	}
	return r;
}

static int take_key_of_section(struct loading *loading, const char *section, yaml_node_t *key_node,
			       yaml_node_t *value_node)
{
	const char *name = scalar(loading, key_node, section);

	for (size_t i = 0; name && i < ARRAY_SIZE(keys); i++) {
		const char *value;

		if (strcmp(keys[i].section, section) != 0 || !keys[i].name || strcmp(keys[i].name, name) != 0)
			continue;
		if (keys[i].take_pair)
			return take_pairs(loading, &keys[i], value_node);
		value = scalar(loading, value_node, name);
		return value ? keys[i].take(loading, &keys[i], value_node, value) : -EINVAL;
	}
	return name ? fail(loading, key_node, name, "is not supported, or misspelt") : -EINVAL;
}

static int take_section(struct loading *loading, yaml_node_t *name_node, yaml_node_t *map)
{
	const char *section = scalar(loading, name_node, "a section");
	bool known = false;
	int r = 0;

	for (size_t i = 0; section && i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].section, section) != 0)
			continue;
		known = true;
		if (!keys[i].name)
			return take_pairs(loading, &keys[i], map);
	}
	if (!section)
		return -EINVAL;
	if (!known)
		return fail(loading, name_node, section, "is not supported, or misspelt");
	if (map->type != YAML_MAPPING_NODE)
		return fail(loading, map, section, "takes keys with values");
	for (yaml_node_pair_t *pair = map->data.mapping.pairs.start;
	     r == 0 && pair < map->data.mapping.pairs.top; pair++)
		r = take_key_of_section(loading, section,
					yaml_document_get_node(&loading->document, pair->key),
					yaml_document_get_node(&loading->document, pair->value));
	return r;
}

static int take_document(struct loading *loading)
{
	yaml_node_t *root = yaml_document_get_root_node(&loading->document);
	int r = 0;

	if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
		return 0; /* an empty file sets nothing */
	if (root->type != YAML_MAPPING_NODE)
		return fail(loading, root, loading->path,
			    "takes tls_server_config, http_server_config and basic_auth_users");
	for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
	     r == 0 && pair < root->data.mapping.pairs.top; pair++)
		r = take_section(loading, yaml_document_get_node(&loading->document, pair->key),
				 yaml_document_get_node(&loading->document, pair->value));
	return r;
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* Checks now, not at the first client, that certificate and key belong together. */
static int check_tls(const struct loading *loading)
{
	const struct web_config *config = loading->config;
	gnutls_certificate_credentials_t credentials;
	int r;

	if (!config->cert != !config->key)
		return reason_set(loading->why, -EINVAL, "%s: TLS needs both cert_file and key_file",
				  loading->path);
	if (!config->cert && (config->client_auth != WEB_CLIENT_NONE || config->client_ca))
		return reason_set(loading->why, -EINVAL,
				  "%s: client certificates need TLS: set cert_file and key_file",
				  loading->path);
	if (config->client_auth != WEB_CLIENT_NONE && !config->client_ca)
		return reason_set(loading->why, -EINVAL, "%s: client_auth_type needs client_ca_file",
				  loading->path);
	if (!config->cert)
		return 0;
	const gnutls_datum_t cert = datum(config->cert), key = datum(config->key);
	if (gnutls_certificate_allocate_credentials(&credentials) < 0)
		return -ENOMEM;
	r = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
	if (r >= 0 && config->client_ca) {
		const gnutls_datum_t ca = datum(config->client_ca);

		r = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
		r = r == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : r;
	}
	gnutls_certificate_free_credentials(credentials);
	return r < 0 ? reason_set(loading->why, -EINVAL,
				  "%s: certificate, key or client CA cannot be used: %s", loading->path,
				  gnutls_strerror(r))
		     : 0;
}

static int set_versions(const struct loading *loading)
{
	char *priorities = loading->config->priorities;
	size_t n;

	if (loading->min_version > loading->max_version)
		return reason_set(loading->why, -EINVAL, "%s: min_version is above max_version",
				  loading->path);
	n = (size_t)snprintf(priorities, sizeof(loading->config->priorities), "NORMAL:-VERS-ALL");
	for (unsigned i = loading->min_version; i <= loading->max_version; i++)
		n += (size_t)snprintf(priorities + n, sizeof(loading->config->priorities) - n, ":+VERS-%s",
				      versions[i].priority);
	return 0;
}

static int parse(struct loading *loading, const char *text, size_t length)
{
	yaml_parser_t parser;
	int r;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	if (!yaml_parser_load(&parser, &loading->document)) {
		r = reason_set(loading->why, -EINVAL, "%s, line %zu: %s", loading->path,
			       parser.problem_mark.line + 1, parser.problem ? parser.problem : "not YAML");
	} else {
		r = take_document(loading);
		yaml_document_delete(&loading->document);
	}
	yaml_parser_delete(&parser);
	r = r < 0 ? r : set_versions(loading);
	return r < 0 ? r : check_tls(loading);
}

int web_config_load(const char *path, struct web_config **ret_config, struct reason *why)
{
	struct loading loading = {.path = path,
				  .config = calloc(1, sizeof(*loading.config)),
				  .min_version = VERSION_MIN,
				  .max_version = ARRAY_SIZE(versions) - 1,
				  .why = why};
	cleanup_(cleanup_free) char *text = NULL;
	size_t length = 0;
	int r = -ENOMEM;

	why->text[0] = '\0';
	if (loading.config) {
		cleanup_(cleanup_close) int fd = open(path, O_RDONLY | O_CLOEXEC);

		r = fd < 0 ? -errno : text_read_whole(fd, FILE_MAX, &text, &length);
	}
	r = r < 0 ? r : parse(&loading, text, length);
	if (r == 0) {
		*ret_config = loading.config;
		return 0;
	}
	web_config_free(loading.config);
	return why->text[0] ? r : reason_set(why, r, "cannot read '%s': %s", path, strerror(-r));
}

void web_config_free(struct web_config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->n_users; i++) {
		free(config->users[i].name);
		free(config->users[i].hash);
	}
	for (size_t i = 0; i < config->n_headers; i++) {
		free(config->headers[i].name);
		free(config->headers[i].value);
	}
	free(config->users);
	free(config->headers);
	if (config->key)
		explicit_bzero(config->key, strlen(config->key));
	free(config->cert);
	free(config->key);
	free(config->client_ca);
	free(config);
}
