#include "harness.h"

#include "dockerfile/dockerfile.h"
void test_lint__empty(void **state)
{
	(void)state;
}
