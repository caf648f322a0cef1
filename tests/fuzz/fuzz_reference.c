/* A name that parses is written so that it parses to the same value again. */
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reference r, again;
	struct platform p;
	struct cairn_err err;
	char text[REFERENCE_TEXT_MAX];

	(void)platform_parse(str_n((const char *)data, size), &p, &err);
	if (reference_parse(str_n((const char *)data, size), &r, &err) < 0)
		return 0;
	if (reference_parse(str_of(reference_text(&r, text)), &again, &err) < 0 ||
	    !reference_eq(&r, &again))
		CAIRN_BUG("'%s' is another name when read again", text);
	if (reference_parse(str_of(reference_familiar(&r, text)), &again, &err) < 0 ||
	    !reference_eq(&r, &again))
		CAIRN_BUG("'%s' is another name when read again", text);
	return 0;
}
