/* util/banned.h - functions nobody may call; included before everything else. */
#ifndef CAIRN_UTIL_BANNED_H
#define CAIRN_UTIL_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok atoi atol atoll
#pragma GCC poison strtol strtoul strtoll strtoull sscanf gmtime localtime ctime asctime
#pragma GCC poison mktemp tmpnam tempnam system popen gets

#endif
