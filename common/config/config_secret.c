/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secret options: their positions on the command line or in the environment, and their replacement text. A
 * word that names a file ("@FILE") is not secret. Called while options are loaded, and by each main()
 * afterwards.
 */
#include "config/config_private.h"

#include "base/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts '*' over the bytes in which the value differs from its displayed form; false if they do not differ. */
static bool hide(const struct config_spec *spec, const struct config_row *row, char *text)
{
	size_t length = strlen(text), first = 0, last = 0;
	char *shown = NULL;

	if ((row->flags & CONFIG_URI) && spec->display_uri) {
		size_t size = length + 32, shown_length;

		shown = malloc(size);
		if (shown && strcmp(spec->display_uri(text, shown, size), text) == 0) {
			free(shown);
			return false;
		}
		shown_length = shown ? strlen(shown) : 0;
		while (shown && first < length && text[first] == shown[first])
			first++;
		while (shown && last < length - first && last < shown_length - first &&
		       text[length - 1 - last] == shown[shown_length - 1 - last])
			last++;
		free(shown);
	}
	if (length == first + last)
		return false;
	memset(text + first, '*', length - first - last);
	return true;
}

static int note(struct config *config, const struct config_row *row, const char *value, int argument,
		size_t offset)
{
	struct secret secret = {.name = row->name, .argument = argument, .offset = offset};

	if (!value || value[0] == '@' || !(row->flags & (CONFIG_SECRET | CONFIG_URI)))
		return 0;
	secret.hidden = strdup(value);
	if (secret.hidden && !hide(config->spec, row, secret.hidden)) {
		free(secret.hidden);
		return 0;
	}
	secret.text = strdup(value);
	if (argument < 0) {
		char name[128];

		if (secret.hidden &&
		    asprintf(&secret.variable, "%s=%s", config_variable(row->name, name, sizeof(name)),
			     secret.hidden) < 0)
			secret.variable = NULL;
	}
	if (!secret.hidden || !secret.text || (argument < 0 && !secret.variable) ||
	    !ARRAY_RESIZE(config->secrets, config->n_secrets + 1)) {
		free(secret.hidden);
		free(secret.text);
		free(secret.variable);
		return -ENOMEM;
	}
	config->secrets[config->n_secrets++] = secret;
	return 0;
}

int config_note_argument(struct config *config, const struct config_entry *entry, int argc, char *argv[])
{
	if (!entry->row || !entry->value)
		return 0;
	/* Find the word that contains it: "--token=x", "-Ux" and "x" after "--token" are all possible. */
	for (int i = 1; i < argc; i++) {
		if (entry->value >= argv[i] && entry->value <= argv[i] + strlen(argv[i]))
			return note(config, entry->row, entry->value, i, (size_t)(entry->value - argv[i]));
	}
	return 0;
}

int config_note_variable(struct config *config, const struct config_row *row, const char *value)
{
	return note(config, row, value, -1, 0);
}

const struct secret *config_secrets(const struct config *config, unsigned *ret_n)
{
	*ret_n = config->n_secrets;
	return config->secrets;
}

void config_hide_secrets(const struct config *config, char *argv[])
{
	for (unsigned i = 0; i < config->n_secrets; i++) {
		const struct secret *secret = &config->secrets[i];

		if (secret->argument >= 0)
			memcpy(argv[secret->argument] + secret->offset, secret->hidden,
			       strlen(secret->hidden));
	}
}

void config_secrets_done(struct config *config)
{
	for (unsigned i = 0; i < config->n_secrets; i++) {
		explicit_bzero(config->secrets[i].text, strlen(config->secrets[i].text));
		free(config->secrets[i].text);
		free(config->secrets[i].hidden);
		free(config->secrets[i].variable);
	}
	free(config->secrets);
}
