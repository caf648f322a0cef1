/* tests/unit/layer/tar_help.h - tars made by hand, also wrong ones. */
#ifndef CAIRN_TESTS_TAR_HELP_H
#define CAIRN_TESTS_TAR_HELP_H

#include "layer_help.h"

/* Fields of a ustar header that the tests set. */
struct t_header {
	char type;
	const char *name, *link;
	const char *size; /* NULL: of the content */
	unsigned mode, uid, major, minor;
};

static inline void t_field(char *h, size_t at, const char *text)
{
	memcpy(h + at, text, strlen(text));
}

static inline void t_header(struct strbuf *b, const struct t_header *f, str content)
{
	char h[512] = { 0 }, text[16];
	unsigned sum = 0;

	t_field(h, 0, f->name);
	(void)snprintf(text, sizeof(text), "%07o", f->mode ? f->mode : 0644);
	t_field(h, 100, text);
	(void)snprintf(text, sizeof(text), "%07o", f->uid);
	t_field(h, 108, text);
	t_field(h, 116, text);
	(void)snprintf(text, sizeof(text), "%011zo", content.len);
	t_field(h, 124, f->size ? f->size : text);
	t_field(h, 136, "00000000000");
	h[156] = f->type;
	t_field(h, 157, f->link ? f->link : "");
	memcpy(h + 257, "ustar\00000", 8);
	(void)snprintf(text, sizeof(text), "%07o", f->major);
	t_field(h, 329, text);
	(void)snprintf(text, sizeof(text), "%07o", f->minor);
	t_field(h, 337, text);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	(void)snprintf(text, sizeof(text), "%06o", sum);
	memcpy(h + 148, text, 7);
	strbuf_add(b, h, sizeof(h));
	strbuf_str(b, content);
	memset(h, 0, sizeof(h));
	strbuf_add(b, h, (size_t)(-content.len % 512));
}

/* A PAX header with one record. */
static inline void t_pax(struct strbuf *b, const char *key, str value)
{
	struct strbuf r;
	size_t n = strlen(key) + value.len + 3, digits = n + 1 < 10 ? 1 : n + 2 < 100 ? 2 : 3;

	if (n + digits >= 1000)
		digits = n + 4 < 10000 ? 4 : 5;
	strbuf_init(&r, 1u << 21);
	strbuf_printf(&r, "%zu %s=", n + digits, key);
	strbuf_str(&r, value);
	strbuf_char(&r, '\n');
	t_header(b, &(struct t_header){ .type = 'x', .name = "pax" }, strbuf_view(&r));
	strbuf_done(&r);
}

/* One member from a short text:
 *   d:path  f:path=content  l:path>target  h:path>target  p:path (fifo)
 *   c:path (0:0)  n:path (1:3)  x:key=value (PAX)  L:name (GNU long name)
 * uid is the tester's, so that anybody can unpack. */
static inline void t_member(struct strbuf *b, const char *text)
{
	static const char types[][2] = { { 'd', '5' }, { 'f', '0' }, { 'l', '2' }, { 'h', '1' },
		                         { 'p', '6' }, { 'c', '3' }, { 'n', '3' }, { 'L', 'L' } };
	struct t_header h = { .uid = getuid() };
	str name, rest = { 0 };
	char *c_name, *c_rest;

	(void)str_cut(str_of(text + 2), strchr("lh", text[0]) ? '>' : '=', &name, &rest);
	c_name = str_dup(name);
	c_rest = str_dup(rest);
	h.name = c_name;
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i][0] == text[0])
			h.type = types[i][1];
	if (text[0] == 'd')
		h.mode = 0755;
	if (text[0] == 'n') {
		h.major = 1;
		h.minor = 3;
	}
	if (strchr("lh", text[0]))
		h.link = c_rest;
	if (text[0] == 'x') {
		t_pax(b, c_name, rest);
	} else if (text[0] == 'L') {
		h.name = "long";
		t_header(b, &h, str_n(c_name, name.len + 1));
	} else {
		t_header(b, &h, text[0] == 'f' ? rest : S(""));
	}
	free(c_name);
	free(c_rest);
}

static inline void t_end(struct strbuf *b)
{
	static const char zeros[1024];

	strbuf_add(b, zeros, sizeof(zeros));
}

/* Unpack these bytes. */
static inline int t_unpack(str tar, const struct tree *below, const struct layer_unpack_opts *opts,
                           struct layer_result *ret, struct cairn_err *err)
{
	struct t_memory m = { tar, 700 }; /* odd pieces */
	struct layer_reader r = { t_memory_read, &m };

	return layer_unpack(&r, below, opts, ret, err);
}

#endif
