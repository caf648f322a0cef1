/* route/route.h - where builds go: what they are expected to take on a runner, which runner is
 * cheapest within the time allowed, what comes after a failure, and in what order.
 *
 * Everything here is a pure function of its arguments: no clock, no files, no network.
 *
 *	runners.h   the machines
 *	predict.h   time, memory, disk of an image's build on a machine, from recorded builds
 *	plan_works.h the images of a plan as work
 *	choose.h    the machine for an image
 *	fallback.h  an attempt ended badly: what next
 *	schedule.h  a batch over machines
 *
 * Money is in 1e-6 USD, time in ns, memory and disk in bytes.
 */
#ifndef CAIRN_ROUTE_ROUTE_H
#define CAIRN_ROUTE_ROUTE_H

#include "choose.h"
#include "fallback.h"
#include "plan_works.h"
#include "predict.h"
#include "runners.h"
#include "schedule.h"

#endif
