#include "harness.h"

#include "dockerfile/dockerfile.h"
void test_ignore__empty(void **state)
{
	(void)state;
}
