/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why a command line was refused, in words: unknown, ambiguous or incomplete options, with the nearest known
 * one. Called by config_argp.c after getopt has given up.
 */
#include "config/config_argp.h"

#include "base/text.h"
#include "base/reason.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_end(const struct argp_option *option)
{
	return !option->name && !option->key && !option->doc && !option->group;
}

/* Aliases take the argument of the option before them. */
static bool takes_argument(const struct argp_option *options, const struct argp_option *option)
{
	while ((option->flags & OPTION_ALIAS) && option > options)
		option--;
	return option->arg != NULL;
}

struct match {
	const struct argp_option *first;
	const struct argp_option *second; /* another one that begins the same */
	bool exact;
};

static struct match find_long(const struct argp_option *options, const char *name, size_t length)
{
	struct match match = {0};

	for (const struct argp_option *at = options; !is_end(at); at++) {
		if (!at->name || strncmp(at->name, name, length) != 0)
			continue;
		if (at->name[length] == '\0')
			return (struct match){.first = at, .exact = true};
		if (!match.first)
			match.first = at;
		else if (!match.second)
			match.second = at;
	}
	return match;
}

static int unknown_long(const struct argp_option *options, const char *name, struct reason *why)
{
	const char *known[512];
	size_t n = 0;

	for (const struct argp_option *at = options; !is_end(at) && n < 512; at++) {
		if (at->name && !(at->flags & OPTION_HIDDEN))
			known[n++] = at->name;
	}
	const char *nearest = text_nearest(name, known, n);
	if (nearest)
		return reason_set(why, -EINVAL, "unknown option '--%s'; did you mean '--%s'?", name, nearest);
	return reason_set(why, -EINVAL, "unknown option '--%s' (see --help)", name);
}

/* 0: nothing is wrong with it. */
static int explain_long(const struct argp_option *options, const char *word, struct reason *why)
{
	char name[128];
	size_t length = strcspn(word, "=");

	(void)snprintf(name, sizeof(name), "%.*s", (int)(length < 120 ? length : 120), word);
	struct match match = find_long(options, word, length);
	if (!match.first)
		return unknown_long(options, name, why);
	if (match.second)
		return reason_set(why, -EINVAL, "option '--%s' is ambiguous: '--%s' or '--%s'?", name,
				  match.first->name, match.second->name);
	if (takes_argument(options, match.first) && word[length] == '\0')
		return reason_set(why, -EINVAL, "option '--%s' needs a value", match.first->name);
	if (!takes_argument(options, match.first) && word[length] == '=')
		return reason_set(why, -EINVAL, "option '--%s' takes no value", match.first->name);
	return 0;
}

static const struct argp_option *find_letter(const struct argp_option *options, char letter)
{
	for (const struct argp_option *at = options; !is_end(at); at++) {
		if (at->key == letter && letter)
			return at;
	}
	return NULL;
}

static int explain_letters(const struct argp_option *options, const char *word, struct reason *why)
{
	for (size_t i = 1; word[i]; i++) {
		const struct argp_option *option = find_letter(options, word[i]);
		if (!option)
			return reason_set(why, -EINVAL, "unknown option '-%c'%s%s%s (see --help)", word[i],
					  word[2] ? " in '" : "", word[2] ? word : "", word[2] ? "'" : "");
		if (!takes_argument(options, option))
			continue;
		if (word[i + 1] == '\0')
			return reason_set(why, -EINVAL, "option '-%c' (--%s) needs a value", word[i],
					  option->name);
		return 0;
	}
	return 0;
}

int config_explain_refusal(const struct argp_option *options, int argc, char *argv[], int next,
			   struct reason *why)
{
	/* getopt is still at a word of several letters, and already behind any other one. */
	if (next > 0 && next < argc && argv[next][0] == '-' && argv[next][1] != '-' && argv[next][1] &&
	    explain_letters(options, argv[next], why) < 0)
		return -EINVAL;
	if (next - 1 <= 0 || next - 1 >= argc)
		return reason_set(why, -EINVAL, "the command line cannot be understood (see --help)");
	const char *word = argv[next - 1];
	if (strncmp(word, "--", 2) == 0 && explain_long(options, word + 2, why) < 0)
		return -EINVAL;
	if (word[0] == '-' && word[1] != '-' && explain_letters(options, word, why) < 0)
		return -EINVAL;
	return reason_set(why, -EINVAL, "the command line cannot be understood near '%s' (see --help)", word);
}
