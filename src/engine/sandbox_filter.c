#include "sandbox_seccomp.h"

#include "sandbox.h"
#include "seccomp_default.h"

int seccomp_program(uint64_t caps, struct strbuf *out, struct cairn_err *err)
{
	if (caps != SANDBOX_CAPS_DEFAULT)
		return seccomp_compile(caps, out, err);
	strbuf_add(out, seccomp_default, sizeof(seccomp_default));
	return 0;
}
