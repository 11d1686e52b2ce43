/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options from one table: command line (argp), environment, JSON file and defaults, in this order of
 * precedence. The same table produces --help, --print-config and every error message. Errors are returned as
 * text; nothing here logs or exits.
 */
#pragma once

#include "base/reason.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* After each type: the field at `offset` of the target struct. */
enum config_type {
	CONFIG_TITLE,       /* not an option: `help` is the title of the following rows in --help */
	CONFIG_BOOL,        /* bool; --x and --no-x */
	CONFIG_COUNT,       /* unsigned; each --x adds one; a number in a file */
	CONFIG_INT,         /* int64_t */
	CONFIG_DOUBLE,      /* double */
	CONFIG_DURATION_MS, /* uint64_t; "500ms", "1s", "5m"; a bare number means milliseconds */
	CONFIG_SIZE,        /* uint64_t bytes; "64M" */
	CONFIG_STRING,      /* char *, owned; NULL without a default */
	CONFIG_CHOICE,      /* int: index into `choices` */
	CONFIG_LIST,        /* struct config_list; repeated, or separated by commas; an array in a file */
	CONFIG_CALL,        /* no field: `apply` is called for each occurrence, in order; with the argument if
			       `placeholder` */
	CONFIG_SECTION,     /* JSON files only: `section` reads the value, of any type */
};

enum config_flags {
	CONFIG_URI = 1 << 0,     /* may contain a password, which is shown as "***"; "@FILE": in that file */
	CONFIG_SECRET = 1 << 1,  /* shown as "***"; "@FILE": in that file */
	CONFIG_NO_ENV = 1 << 2,  /* not read from the environment; always true of CALL and SECTION */
	CONFIG_NO_FILE = 1 << 3, /* not read from a file, and not printed by --print-config */
	CONFIG_OR_ZERO = 1 << 4, /* 0 is allowed below `min`; it means "none" */
	CONFIG_BARE = 1 << 5, /* a time is usually written as a number of milliseconds: no doubt about it */
};

enum config_origin { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_ENVIRONMENT, CONFIG_FLAG };

struct config_list {
	char **items;
	unsigned n_items;
};

struct config;
struct config_json;
struct config_row;

/* 0, or a negative errno with a reason in `why`. `value` is NULL if the row takes no argument. */
typedef int (*config_apply)(void *target, const struct config_row *row, const char *value,
			    struct reason *why);
/* 0, or what config_json_fail() returned. */
typedef int (*config_read_section)(void *target, const struct config_row *row, struct config_json *json,
				   const json_t *value);
/* A new reference for --print-config; NULL: nothing to print. */
typedef json_t *(*config_print_section)(const void *target, const struct config_row *row);

/*
 * The field of a row: its type follows from the member's. CONFIG_FIELD_AS names it where another type has the
 * same field (CONFIG_SIZE).
 */
#define CONFIG_FIELD_AS(type_, target, member) .type = (type_), .offset = offsetof(target, member)
#define CONFIG_FIELD(target, member)                                                                         \
	CONFIG_FIELD_AS(_Generic(((target *)0)->member,                                                      \
			bool: CONFIG_BOOL,                                                                   \
			unsigned: CONFIG_COUNT,                                                              \
			int64_t: CONFIG_INT,                                                                 \
			double: CONFIG_DOUBLE,                                                               \
			uint64_t: CONFIG_DURATION_MS,                                                        \
			char *: CONFIG_STRING,                                                               \
			int: CONFIG_CHOICE,                                                                  \
			struct config_list: CONFIG_LIST),                                                    \
			target, member)

/* A row by its option and the field that it sets; what else it has is designated. */
#define CONFIG_OPTION(target, name_, member, ...)                                                            \
	{                                                                                                    \
		.name = (name_), CONFIG_FIELD(target, member), __VA_ARGS__                                   \
	}

/* A list of names for a row. */
#define CONFIG_NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

struct config_row {
	const char *name; /* long option and JSON key */
	char letter;      /* short option, or 0 */
	enum config_type type;
	unsigned flags;
	const char *placeholder;    /* "HOST:PORT"; every type but CALL has a default */
	const char *fallback;       /* default as text; NULL: zero, NULL, false */
	double min, max;            /* for numbers, in the field's unit; both 0: no limit */
	double usual_min;           /* of a time, a size or a double, in the field's unit: smaller values,
				       except 0, are doubtful; 0: none are */
	const char *const *choices; /* NULL-ended */
	size_t offset;
	config_apply apply;          /* CALL */
	config_read_section section; /* SECTION */
	config_print_section print;  /* SECTION, optional */
	/*
	 * CALL and SECTION: rows with the same `reset` form one set. It is called before the first of them
	 * from a higher origin, so that groups of the command line replace those of the file.
	 */
	void (*reset)(void *target);
	/*
	 * NULL-ended; further JSON keys ("output.uri": uri in the object output) and, if without dots,
	 * options.
	 */
	const char *const *aliases;
	const char *help;
};

struct config_spec {
	const char *program;   /* "wattribute-sensor" */
	const char *arguments; /* shown in the usage after the options; NULL: none */
	const char *about;     /* what the program does; shown above the options */
	const char *tail;      /* shown below the options, or NULL */
	const struct config_row *rows;
	size_t n_rows;
	size_t target_size;
	bool daemon;              /* offers -x/--config-file, --check and --print-config */
	const char *default_file; /* read if it exists and -x is not given; or NULL */
	/*
	 * An argument that is not an option; NULL: an error that names it. Fails with a negative errno and a
	 * reason.
	 */
	int (*argument)(void *target, const char *argument, struct reason *why);
	bool stop_at_argument; /* options end at the first argument: config_rest() returns its index
				  (wattribute run) */
	/* Checks that concern several options, after everything is applied. */
	int (*finish)(void *target, const struct config *config, struct reason *why);
	/* A row with CONFIG_URI as it may be shown, without its password; NULL: such rows are hidden. Returns
	 * ret. */
	const char *(*display_uri)(const char *uri, char *ret, size_t size);
};

enum config_action {
	CONFIG_RUN,
	CONFIG_CHECK, /* --check: everything that this module can check is valid; check the rest, then exit
			 with 0 */
	CONFIG_EXIT,  /* --help, --version, --usage or --print-config was printed to stdout: exit with 0 if it
			 was written, see base/printed.h */
};

/*
 * Zeroes the target and applies defaults, file, environment and command line. 0, or a negative errno with a
 * sentence in `why` (option or file:line:column, what is wrong, the nearest known word). Free the target's
 * strings with config_done() in either case.
 */
int config_load(const struct config_spec *spec, void *target, int argc, char *argv[],
		struct config **ret_config, struct reason *why);
enum config_action config_get_action(const struct config *config);
/* Where the value of a row came from: CONFIG_DEFAULT if nobody set it. */
enum config_origin config_get_origin(const struct config *config, const char *name);
/* A secret as it is written: itself, or "@FILE". A new string; -EINVAL and a reason if the file has none. */
int config_take_secret(const char *text, char **ret_secret, struct reason *why);
/*
 * The values of CONFIG_SECRET rows, and those of CONFIG_URI rows that hold a password: where they were given,
 * and what is seen in their place.
 */
struct secret {
	const char *name; /* of the option */
	int argument;     /* index in argv; -1: in the environment */
	size_t offset;    /* where the value begins in that argument */
	char *text;       /* the value */
	char *hidden;     /* as long as the value, with '*' for what is secret */
	char *variable;   /* "NAME=hidden value", of the environment; NULL */
};
const struct secret *config_secrets(const struct config *config, unsigned *ret_n);
/* Puts '*' over the secrets in argv, where `ps` would show them. The values loaded stay as they are. */
void config_hide_secrets(const struct config *config, char *argv[]);
/*
 * A sentence about each variable of the environment that is called like a setting (WATTRIBUTE_...) and is
 * none of this program. Stops at the first false; true for all of them.
 */
bool config_each_unknown_variable(const struct config *config, bool (*each)(void *data, const char *sentence),
				  void *data);
/*
 * A sentence about each time and size that was probably meant in another unit: one below the usual minimum,
 * or a number without a unit. It tells how the value was understood. The target must still have the loaded
 * values. As above.
 */
bool config_each_doubtful_value(const struct config *config, bool (*each)(void *data, const char *sentence),
				void *data);
/* With stop_at_argument: index in argv of the first argument, or argc. */
int config_rest(const struct config *config);
void config_free(struct config *config);
/* Frees the strings and lists in the target. CALL and SECTION rows are reset. */
void config_done(const struct config_spec *spec, void *target);

/* The target as a JSON file that can be loaded again; passwords as "***". 0 or -EIO. */
int config_print(const struct config_spec *spec, const void *target, FILE *out);
/* Applies a JSON text to a target that has its defaults; `name` is for messages. For tests and fuzzing. */
int config_apply_json(const struct config_spec *spec, void *target, const char *name, const char *text,
		      size_t length, struct reason *why);

/*
 * Error inside a section: at the member `key` of the object `parent`, or at element `index` of the array
 * `parent` (key NULL). Writes "file:line:column: …"; returns -EINVAL.
 */
int config_json_fail(struct config_json *json, const json_t *parent, const char *key, size_t index,
		     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The member of this name, in any case, '-' and '_' being the same; NULL: there is none. */
const json_t *config_json_member(const json_t *object, const char *name);
/* Fails unless every key of the object is in `known` (NULL-ended); names the nearest. */
int config_json_known_keys(struct config_json *json, const json_t *object, const char *const *known);
