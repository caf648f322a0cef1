/* engine/pins.h - one result for each step in one build, private to engine/.
 *
 * Records of one definition can hold different results: two machines ran `apt-get` on different
 * days.  What a build has believed or made is pinned, by step; a record that stands on another
 * result of such a step is not believed (DECISIONS.md 1).
 */
#ifndef CAIRN_ENGINE_PINS_H
#define CAIRN_ENGINE_PINS_H

#include "cache/cache.h"

struct step;

/* Does believing this record contradict what the build is or uses already? Also when its chain has
 * another number of layers than the step's, or begins with another base image. */
bool pins_contradict(const struct step *s, const struct record *r);

/* From now on the step, and those it stands on, have these results in this build. What is pinned
 * already stays. */
void pins_add(struct step *s, const struct record *r);

/* Does the chain begin with the layers of this base image? */
bool pins_on_base(const struct chain *c, const struct image_config *base);

#endif
