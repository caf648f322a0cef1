/* Writes the filter of a step with the default capabilities as a C header, while cairn is
 * built: compiling it at run time would cost every build with a RUN some 15 ms. */
#include <stdio.h>

#include "sandbox.h"
#include "sandbox_seccomp.h"

int main(void)
{
	struct strbuf program;
	struct cairn_err err;

	strbuf_init(&program, SECCOMP_PROGRAM_MAX);
	if (seccomp_compile(SANDBOX_CAPS_DEFAULT, &program, &err) < 0) {
		(void)fprintf(stderr, "seccomp-gen: %s\n", err.msg);
		return 1;
	}
	(void)puts(
		"/* Made by seccomp_gen.c. struct sock_filter[], in this machine's byte order. */");
	(void)puts("static const unsigned char seccomp_default[] = {");
	for (size_t i = 0; i < program.len; i++)
		(void)printf("%u,%s", (unsigned char)program.ptr[i], i % 24 == 23 ? "\n" : "");
	(void)puts("};");
	strbuf_done(&program);
	return 0;
}
