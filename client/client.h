/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's subcommands, called by main.c with the subcommand's name as argv[0], and their shared
 * functions: loading options and printing errors. Each returns the process's exit status.
 */
#pragma once

#include "config/config.h"
#include "store/store.h"

enum client_exit {
	CLIENT_EXIT_OK = 0,
	CLIENT_EXIT_FAILURE = 1,   /* the command line was valid, the work failed */
	CLIENT_EXIT_USAGE = 2,     /* the command line was wrong */
	CLIENT_EXIT_NO_RECAP = 74, /* the command succeeded, its energy could not be determined */
	CLIENT_EXIT_CANNOT =
		125, /* could not start the command at all; like env(1), timeout(1) and docker run */
	CLIENT_EXIT_NOT_EXECUTABLE = 126,
	CLIENT_EXIT_NOT_FOUND = 127,
	CLIENT_EXIT_SIGNAL = 128, /* plus the signal's number */
};

#define CLIENT_SERVER_DEFAULT   "http://127.0.0.1:4443"
#define CLIENT_DATABASE_DEFAULT STORE_DATABASE_DEFAULT
#define CLIENT_GO_ON            (-1)
/* The token has the same name in the client, the server and tester.sh. */
#define CLIENT_TOKEN_VARIABLE "WATTRIBUTE_TOKEN"

/* Rows of options that several subcommands have: OPTION("server", server, CLIENT_ROW_SERVER). */
#define CLIENT_ROW_SERVER                                                                                    \
	.letter = 's', .flags = CONFIG_URI, .placeholder = "URL", .fallback = CLIENT_SERVER_DEFAULT,         \
	.help = "address of the wattribute server"
#define CLIENT_ROW_TOKEN                                                                                     \
	.flags = CONFIG_SECRET, .placeholder = "WORD",                                                       \
	.help = "the server's --token; prefer " CLIENT_TOKEN_VARIABLE ", which other users cannot see"
#define CLIENT_ROW_STORE         .letter = 'S', .flags = CONFIG_URI, .placeholder = "URI"
#define CLIENT_ROW_DATABASE      .letter = 'd', .placeholder = "NAME"
#define CLIENT_ROW_MACHINE       .letter = 'm', .placeholder = "NAME"
#define CLIENT_ROW_SENSOR_CONFIG .letter = 'x', .flags = CONFIG_NO_ENV, .placeholder = "FILE"
#define CLIENT_ROW_VERBOSE       .letter = 'v', .flags = CONFIG_NO_ENV, .help = "show the log of sensor and server"

/*
 * The token from the environment, which daemons started by a subcommand also use. A new string; NULL if there
 * is none, or it is in an unreadable file: then those daemons report it.
 */
char *client_token(void);

int client_run_main(int argc, char *argv[]);
int client_check_main(int argc, char *argv[]);
int client_top_main(int argc, char *argv[]);
int client_recap_main(int argc, char *argv[]);
int client_export_main(int argc, char *argv[]);
int client_calibrate_main(int argc, char *argv[]);

/*
 * Loads options and runs the subcommand with them and the remaining arguments (NULL-terminated). Returns the
 * exit status: that of `run`, or of a wrong command line, which is explained, of --help or of --version.
 */
int client_main(const struct config_spec *spec, void *options, int argc, char *argv[],
		int (*run)(void *options, char *argv[]));
/* Prints "wattribute: …" to stderr; returns `status`. */
int client_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The store that sensor and server use without options, "sqlite:FOLDER/wattribute.db";
 * to be freed. NULL: no memory. */
char *client_default_store(void);
/*
 * Path of one of our programs: in this one's folder, in ../sbin from there, else found by PATH. `size` of
 * PATH_MAX fits. 0, or -ENOENT.
 */
int client_find_program(const char *name, char *ret_path, size_t size);
