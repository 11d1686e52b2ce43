/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers by which a browser says for whom a request is and which page caused it: a stranger's page must not
 * read or change anything here through its visitor's browser. Pure; used by http_request.c.
 */
#pragma once

#include <stdbool.h>

/*
 * Can this Host header not be a stranger's name that was made to point here (DNS rebinding)? Addresses, names
 * without a dot, those of private domains (.local, .internal, .lan, .home.arpa, .localhost, .cluster.local),
 * and those of `names` ("a.example,b.example"; NULL: none). NULL, a header that was not sent, is no
 * browser's.
 */
bool http_host_allowed(const char *host, const char *names);
/* Is the Origin header not there, or the same as the Host header? */
bool http_origin_allowed(const char *origin, const char *host);
