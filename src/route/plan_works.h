/* route/plan_works.h - a plan of images as work that can be predicted and routed. */
#ifndef CAIRN_ROUTE_PLAN_WORKS_H
#define CAIRN_ROUTE_PLAN_WORKS_H

#include "predict.h"

/* The images of the plan that are to be built and could be planned, in its order; `after` names
 * those of them that they stand on. Borrows the plan's texts; the rest is in `a`. ret_of: index in
 * plan->ptr of each. */
void route_works_of_plan(const struct plan *plan, struct arena *a, struct route_work **ret,
                         size_t **ret_of, size_t *ret_n);

#endif
