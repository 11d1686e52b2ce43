/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times and sizes as text, with the largest unit that divides them, and values that were probably meant in
 * another unit: numbers without one, and values below what the row calls usual. Called by config.c and
 * config_print.c; the daemons and the client log the sentences.
 */
#include "config/config_private.h"
#include "base/cleanup.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit_name {
	const char *name;
	double factor;
};

static const struct unit_name durations[] = {
	{"d", 86400e3}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}, {"ms", 1}};
static const struct unit_name sizes[] = {
	{"T", 1099511627776}, {"G", 1073741824}, {"M", 1048576}, {"K", 1024}, {" bytes", 1}};

const char *config_quantity_text(const struct config_row *row, double value, char *text, size_t size)
{
	const bool duration = row->type == CONFIG_DURATION_MS;
	/* Of whole numbers it is what they number: N, PORT. */
	const char *unit = row->type == CONFIG_DOUBLE && row->placeholder && strlen(row->placeholder) > 1
				   ? row->placeholder
				   : NULL;
	const struct unit_name *units = duration ? durations : sizes;
	const size_t n = duration ? ARRAY_SIZE(durations) : ARRAY_SIZE(sizes);
	size_t i = 0;

	if (!duration && row->type != CONFIG_SIZE) {
		(void)snprintf(text, size, "%.15g%s%s", value, unit ? " " : "", unit ? unit : "");
		return text;
	}
	while (i + 1 < n && (value < units[i].factor || fmod(value, units[i].factor) != 0))
		i++;
	(void)snprintf(text, size, "%.15g%s", value / units[i].factor, units[i].name);
	return text;
}

int config_note_quantity(struct config *config, size_t row, const char *text)
{
	const enum config_type type = config->spec->rows[row].type;

	if (type != CONFIG_DURATION_MS && type != CONFIG_SIZE && type != CONFIG_DOUBLE)
		return 0;
	free(config->given[row]);
	config->given[row] = strdup(text);
	return config->given[row] ? 0 : -ENOMEM;
}

static const char *place(const struct config *config, size_t row, char *text, size_t size)
{
	const char *name = config->spec->rows[row].name;
	char variable[128];

	if (config->origins[row] == CONFIG_ENVIRONMENT)
		(void)snprintf(text, size, "%s", config_variable(name, variable, sizeof(variable)));
	else
		(void)snprintf(text, size,
			       config->origins[row] == CONFIG_FLAG ? "option '--%s'" : "'%s' in the file",
			       name);
	return text;
}

/* What to write instead. */
static const char *units(const struct config_row *row)
{
	if (row->type == CONFIG_DURATION_MS)
		return "units are ms, s, m, h and d: write 30d for 30 days";
	return row->type == CONFIG_SIZE ? "units are K, M, G and T: write 256M for 256 megabytes"
					: "write the number in this unit";
}

static double value_of(const struct config *config, const struct config_row *row)
{
	const void *field = config_field(row, config->target);

	return row->type == CONFIG_DOUBLE ? *(const double *)field : (double)*(const uint64_t *)field;
}

/* A sentence about the value of a row, or false if nothing is doubtful. */
static bool doubt(const struct config *config, size_t i, char *sentence, size_t size)
{
	const struct config_row *row = &config->spec->rows[i];
	const double value = value_of(config, row);
	const char *given = config->given[i];
	const bool low = value < row->usual_min;
	const bool bare = row->type == CONFIG_DURATION_MS && given[strspn(given, "0123456789.")] == '\0';
	char meant[40], least[40], where[160];

	if (value == 0 || (!low && (!bare || (row->flags & CONFIG_BARE))))
		return false;
	(void)config_quantity_text(row, value, meant, sizeof(meant));
	(void)config_quantity_text(row, row->usual_min, least, sizeof(least));
	(void)snprintf(sentence, size, "%s: '%.40s' means %s%s%s%s; %s",
		       place(config, i, where, sizeof(where)), given, meant,
		       bare ? " (a number without a unit is in milliseconds)" : "",
		       low ? ", less than the usual minimum of " : "", low ? least : "", units(row));
	return true;
}

bool config_each_doubtful_value(const struct config *config, bool (*each)(void *data, const char *sentence),
				void *data)
{
	char sentence[600];

	for (size_t i = 0; i < config->spec->n_rows; i++)
		if (config->given[i] && doubt(config, i, sentence, sizeof(sentence)) && !each(data, sentence))
			return false;
	return true;
}
