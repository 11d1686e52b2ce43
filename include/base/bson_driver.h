/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbson of the driver's versions 1.x and 2.x: code uses the new names of calls that 2.x deprecates;
 * with 1.x they map to the old ones. Include this instead of <bson/bson.h> for such calls.
 */
#pragma once

#include <bson/bson.h>

#ifndef BSON_APPEND_ARRAY_UNSAFE_BEGIN
#define BSON_APPEND_ARRAY_UNSAFE_BEGIN BSON_APPEND_ARRAY_BEGIN
#define bson_append_array_unsafe_begin bson_append_array_begin
#endif
