#include "harness.h"

#include "dockerfile/dockerfile.h"
void test_values__empty(void **state)
{
	(void)state;
}
