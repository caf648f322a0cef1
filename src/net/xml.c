#include "xml.h"

#include <dlfcn.h>
#include <expat.h>

#include "util/mem.h"

#define LIBRARY   "libexpat.so.1"
#define INPUT_MAX (64u << 20) /* expat counts in int */

/* The functions that are used, as expat declares them. */
struct expat {
	__typeof__(XML_ParserCreate) *ParserCreate;
	__typeof__(XML_ParserFree) *ParserFree;
	__typeof__(XML_SetUserData) *SetUserData;
	__typeof__(XML_SetElementHandler) *SetElementHandler;
	__typeof__(XML_SetCharacterDataHandler) *SetCharacterDataHandler;
	__typeof__(XML_SetStartDoctypeDeclHandler) *SetStartDoctypeDeclHandler;
	__typeof__(XML_Parse) *Parse;
	__typeof__(XML_StopParser) *StopParser;
	__typeof__(XML_GetErrorCode) *GetErrorCode;
	__typeof__(XML_ErrorString) *ErrorString;
};

#define SYMBOL(name)                                       \
	{                                                  \
		"XML_" #name, offsetof(struct expat, name) \
	}

static const struct {
	const char *name;
	size_t offset; /* of the pointer in struct expat */
} symbols[] = {
	SYMBOL(ParserCreate),
	SYMBOL(ParserFree),
	SYMBOL(SetUserData),
	SYMBOL(SetElementHandler),
	SYMBOL(SetCharacterDataHandler),
	SYMBOL(SetStartDoctypeDeclHandler),
	SYMBOL(Parse),
	SYMBOL(StopParser),
	SYMBOL(GetErrorCode),
	SYMBOL(ErrorString),
};

/* The library stays in memory: a second load only counts. */
static int load(struct expat *ret, struct cairn_err *err)
{
	void *lib = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!lib)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "S3 needs the library %s; install the package libexpat1",
		                  LIBRARY);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(lib, symbols[i].name);

		if (!p)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "the installed expat has no %s; install a newer one",
			                  symbols[i].name);
		memcpy((char *)ret + symbols[i].offset, &p, sizeof(p));
	}
	(void)dlclose(lib);
	return 0;
}

struct parse {
	struct expat x;
	XML_Parser parser;
	xml_fn *fn;
	void *ctx;
	struct cairn_err *err;
	int rc; /* failure of a handler, in *err */
	char path[XML_PATH_MAX];
	size_t path_len;
	unsigned depth;
	struct strbuf text;
};

static void stop(struct parse *p, int rc)
{
	p->rc = rc;
	(void)p->x.StopParser(p->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *p = ctx;
	const char *colon = strrchr(name, ':');
	size_t n;

	(void)attributes;
	if (p->rc < 0)
		return;
	if (colon)
		name = colon + 1;
	n = strlen(name);
	if (p->depth == XML_DEPTH_MAX || p->path_len + n + 2 > XML_PATH_MAX) {
		stop(p, cairn_fail(p->err, CAIRN_E_SYNTAX, "the XML is nested too deeply"));
		return;
	}
	if (p->depth++)
		p->path[p->path_len++] = '/';
	memcpy(p->path + p->path_len, name, n + 1);
	p->path_len += n;
	strbuf_clear(&p->text);
}

static void on_end(void *ctx, const XML_Char *name)
{
	struct parse *p = ctx;
	const char *slash;
	int rc;

	(void)name;
	if (p->rc < 0)
		return;
	rc = p->fn(p->ctx, p->path, strbuf_view(&p->text), p->err);
	if (rc < 0) {
		stop(p, rc);
		return;
	}
	slash = strrchr(p->path, '/');
	p->path_len = slash ? (size_t)(slash - p->path) : 0;
	p->path[p->path_len] = '\0';
	p->depth--;
	strbuf_clear(&p->text);
}

static void on_text(void *ctx, const XML_Char *s, int len)
{
	struct parse *p = ctx;

	if (p->rc < 0)
		return;
	strbuf_add(&p->text, s, (size_t)len);
	if (p->text.overflow)
		stop(p, strbuf_check(&p->text, "a value in the XML", p->err));
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system_id,
                       const XML_Char *public_id, int internal)
{
	struct parse *p = ctx;

	(void)name;
	(void)system_id;
	(void)public_id;
	(void)internal;
	stop(p, cairn_fail(p->err, CAIRN_E_SYNTAX, "the XML declares a document type"));
}

static int run(struct parse *p, str text)
{
	p->x.SetUserData(p->parser, p);
	p->x.SetElementHandler(p->parser, on_start, on_end);
	p->x.SetCharacterDataHandler(p->parser, on_text);
	p->x.SetStartDoctypeDeclHandler(p->parser, on_doctype);
	if (p->x.Parse(p->parser, text.ptr ? text.ptr : "", (int)text.len, XML_TRUE) ==
	    XML_STATUS_OK)
		return 0;
	if (p->rc < 0)
		return p->rc;
	return cairn_fail(p->err, CAIRN_E_SYNTAX, "not XML: %s",
	                  p->x.ErrorString(p->x.GetErrorCode(p->parser)));
}

int xml_parse(str text, xml_fn *fn, void *ctx, struct cairn_err *err)
{
	struct parse p = { .fn = fn, .ctx = ctx, .err = err };
	int rc;

	if (text.len > INPUT_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "XML of more than %u bytes", INPUT_MAX);
	TRY(load(&p.x, err));
	p.parser = p.x.ParserCreate("UTF-8");
	if (!p.parser)
		return cairn_fail(err, CAIRN_E_SYSTEM, "expat has no memory");
	strbuf_init(&p.text, XML_VALUE_MAX);
	rc = run(&p, text);
	if (p.text.cap)
		explicit_bzero(p.text.ptr, p.text.cap); /* may have been a key */
	strbuf_done(&p.text);
	p.x.ParserFree(p.parser);
	return rc;
}

bool xml_path_ends(const char *path, const char *names)
{
	str p = str_of(path), n = str_of(names);

	return str_ends(p, n) && (p.len == n.len || p.ptr[p.len - n.len - 1] == '/');
}
