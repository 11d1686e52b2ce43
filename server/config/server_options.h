/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's options. Private to server_config.c.
 */
#pragma once

#include "config/config.h"

#define SERVER_OPTION_ROWS 43
extern const struct config_row server_option_rows[SERVER_OPTION_ROWS];
