#include "harness.h"

#include "dockerfile/dockerfile.h"
void test_instr__empty(void **state)
{
	(void)state;
}
