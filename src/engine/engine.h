/* engine/engine.h - facade of the engine. */
#ifndef CAIRN_ENGINE_ENGINE_H
#define CAIRN_ENGINE_ENGINE_H

#include "event.h"

#endif
