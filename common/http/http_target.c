/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Splits the target of a request into path parts and query parameters, %-decoded and checked to be UTF-8.
 * Called by http_request.c with client input; fuzzed. Pure.
 */
#include "http/http_target.h"

#include "base/text.h"

#include <errno.h>
#include <string.h>

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A cursor over the output buffer; decoded text is never longer than the input. */
struct out {
	char *at;
};

/* Decodes bytes up to one of `ends`; returns the rest, or NULL for malformed input. */
static const char *decode(const char *raw, const char *ends, bool plus, struct out *out)
{
	char *start = out->at;

	while (*raw && !strchr(ends, *raw)) {
		char c = *raw;
		if (c == '%') {
			int high = hex_digit(raw[1]);
			int low = high < 0 ? -1 : hex_digit(raw[2]);
			if (low < 0 || (high == 0 && low == 0))
				return NULL;
			c = (char)(high << 4 | low);
			raw += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		*out->at++ = c;
		raw++;
	}
	*out->at++ = '\0';
	while (*start) {
		size_t length = text_utf8_length(start);
		if (length == 0)
			return NULL;
		start += length;
	}
	return raw;
}

static int parse_path(const char *raw, struct http_target *target, struct out *out)
{
	while (*raw == '/') {
		raw++;
		if (*raw == '\0') /* "/a/" is "/a" */
			break;
		if (target->n_parts == HTTP_PARTS_MAX)
			return -E2BIG;
		target->rests[target->n_parts] = raw;
		target->parts[target->n_parts++] = out->at;
		raw = decode(raw, "/", false, out);
		if (!raw)
			return -EINVAL;
	}
	return 0;
}

static int parse_query(const char *raw, struct http_target *target, struct out *out)
{
	while (*raw) {
		if (*raw == '&') {
			raw++;
			continue;
		}
		if (target->n_parameters == HTTP_PARAMETERS_MAX)
			return -E2BIG;
		struct http_parameter *parameter = &target->parameters[target->n_parameters++];
		parameter->name = out->at;
		raw = decode(raw, "=&", true, out);
		if (!raw)
			return -EINVAL;
		parameter->value = raw[0] == '=' ? out->at : "";
		if (raw[0] == '=' && !(raw = decode(raw + 1, "&", true, out)))
			return -EINVAL;
	}
	return 0;
}

/* "http://host/path", as a proxy sends it, means "/path". */
static const char *skip_authority(const char *raw)
{
	if (strncmp(raw, "http://", 7) != 0 && strncmp(raw, "https://", 8) != 0)
		return raw;
	raw = strstr(raw, "://") + 3;
	return raw + strcspn(raw, "/");
}

int http_target_parse(const char *raw, struct http_target *ret_target)
{
	struct out out = {ret_target->text};

	ret_target->n_parts = 0;
	ret_target->n_parameters = 0;
	ret_target->path[0] = '\0';
	/* Each part and parameter replaces a separator by a NUL. */
	if (strlen(raw) >= HTTP_TARGET_MAX - 2)
		return -E2BIG;
	raw = skip_authority(raw);
	if (*raw != '/')
		return -EINVAL;
	size_t path_length = strcspn(raw, "?#");
	memcpy(ret_target->path, raw, path_length);
	ret_target->path[path_length] = '\0';
	int r = parse_path(ret_target->path, ret_target, &out);
	if (r < 0)
		return r;
	if (raw[path_length] != '?')
		return 0;
	return parse_query(raw + path_length + 1, ret_target, &out);
}

int http_target_add_form(struct http_target *target, const char *form)
{
	struct out out = {target->form};

	if (strlen(form) >= HTTP_TARGET_MAX - 2)
		return -E2BIG;
	return parse_query(form, target, &out);
}

bool http_target_match(const struct http_target *target, const char *pattern, const char **ret_parts,
		       unsigned *ret_n_parts)
{
	unsigned at = 0, n = 0;

	while (*pattern == '/' && pattern[1]) {
		const char *word = pattern + 1;
		size_t length = strcspn(word, "/");
		pattern = word + length;
		if (length == 1 && *word == '*') {
			ret_parts[n++] = at < target->n_parts ? target->rests[at] : "";
			*ret_n_parts = n;
			return true;
		}
		if (at == target->n_parts)
			return false;
		const char *part = target->parts[at++];
		if (*word == '{') {
			if (!*part)
				return false;
			ret_parts[n++] = part;
		} else if (strlen(part) != length || memcmp(part, word, length) != 0) {
			return false;
		}
	}
	*ret_n_parts = n;
	return at == target->n_parts;
}
