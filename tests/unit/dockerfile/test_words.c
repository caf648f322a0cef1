#include "harness.h"

#include "dockerfile/dockerfile.h"
void test_words__empty(void **state)
{
	(void)state;
}
