/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers in which a browser names a request's destination and the page that caused it: a foreign page must
 * not read or change anything here through its visitor's browser. Pure; used by http_request.c.
 */
#pragma once

#include <stdbool.h>

/*
 * Is this Host header safe from DNS rebinding, i.e. not a stranger's name that points here? Addresses, names
 * without a dot, those of private domains (.local, .internal, .lan, .home.arpa, .localhost, .cluster.local),
 * and those of `names` ("a.example,b.example"; NULL: none). NULL (not sent) is allowed: browsers always send
 * it.
 */
bool http_host_allowed(const char *host, const char *names);
/* Is the Origin header missing, or the same as the Host header? */
bool http_origin_allowed(const char *origin, const char *host);
