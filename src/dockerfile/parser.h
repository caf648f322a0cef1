/* parser.h - what the module's other files need from the parser. */
#ifndef CAIRN_DOCKERFILE_PARSER_H
#define CAIRN_DOCKERFILE_PARSER_H

#include "dockerfile.h"

/* The kind of an instruction by its name, in any case; false when there is none. */
bool instr_kind_of(str name, enum instr_kind *ret);

/* Parse a text that holds one instruction (a trigger). `text` lives as long as arena. */
int parser_one(str text, const char *path, struct arena *arena, struct dockerfile_node *ret,
               struct cairn_err *err);

#endif
