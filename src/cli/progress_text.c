#include "progress_text.h"

#include <stdint.h>

#define ESC 0x1b
#define BAD UINT32_MAX /* not a character of UTF-8 */

struct range {
	uint32_t first, last;
};

/* Characters that take no column: combining marks, joiners, variation selectors. */
static const struct range zero_width[] = {
	{ 0x0300, 0x036f }, { 0x0483, 0x0489 },   { 0x0591, 0x05bd }, { 0x0610, 0x061a },
	{ 0x064b, 0x065f }, { 0x200b, 0x200d },   { 0x20d0, 0x20f0 }, { 0xfe00, 0xfe0f },
	{ 0xfe20, 0xfe2f }, { 0xe0100, 0xe01ef },
};

/* Characters that take two columns (East Asian Width W and F, emoji). */
static const struct range wide[] = {
	{ 0x1100, 0x115f },   { 0x231a, 0x231b },   { 0x2e80, 0x303e },   { 0x3041, 0xa4cf },
	{ 0xac00, 0xd7a3 },   { 0xf900, 0xfaff },   { 0xfe30, 0xfe6f },   { 0xff00, 0xff60 },
	{ 0xffe0, 0xffe6 },   { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff },
	{ 0x20000, 0x3fffd },
};

/* Characters that could make a line read differently from what it says. */
static const struct range hidden[] = {
	{ 0x0000, 0x001f }, { 0x007f, 0x009f }, { 0x061c, 0x061c }, { 0x200e, 0x200f },
	{ 0x2028, 0x202e }, { 0x2060, 0x206f }, { 0xfeff, 0xfeff }, { 0xe0000, 0xe007f },
};

static bool in_ranges(uint32_t c, const struct range *r, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (c >= r[i].first && c <= r[i].last)
			return true;
	return false;
}

/* The first character of s (not empty) and its length; BAD with length 1. */
static uint32_t decode(str s, size_t *ret_n)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s.ptr;
	size_t n = p[0] < 0x80   ? 1
	           : p[0] < 0xc2 ? 0
	           : p[0] < 0xe0 ? 2
	           : p[0] < 0xf0 ? 3
	           : p[0] < 0xf5 ? 4
	                         : 0;
	uint32_t c;

	*ret_n = 1;
	if (n == 1)
		return p[0];
	if (n == 0 || n > s.len)
		return BAD;
	c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return BAD;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return BAD;
	*ret_n = n;
	return c;
}

static size_t char_width(uint32_t c)
{
	if (in_ranges(c, zero_width, ARRAY_SIZE(zero_width)))
		return 0;
	return in_ranges(c, wide, ARRAY_SIZE(wide)) ? 2 : 1;
}

/* Bytes of the escape sequence at the start of s (ECMA-48: CSI, OSC and other
 * strings, two-byte forms). An unfinished one takes the rest. */
static size_t escape_length(str s)
{
	size_t i = 2;

	if (s.len < 2)
		return s.len;
	if (s.ptr[1] == '[') {
		while (i < s.len && (s.ptr[i] < 0x40 || s.ptr[i] > 0x7e))
			i++;
		return i < s.len ? i + 1 : s.len;
	}
	if (s.ptr[1] == ']' || s.ptr[1] == 'P' || s.ptr[1] == '_' || s.ptr[1] == '^' ||
	    s.ptr[1] == 'X') {
		for (; i < s.len; i++) {
			if (s.ptr[i] == 0x07)
				return i + 1;
			if (s.ptr[i] == ESC && i + 1 < s.len && s.ptr[i + 1] == '\\')
				return i + 2;
		}
		return s.len;
	}
	while (i < s.len && s.ptr[i - 1] >= 0x20 && s.ptr[i - 1] <= 0x2f)
		i++;
	return i;
}

void text_clean(str line, struct strbuf *out)
{
	size_t start = out->len, column = 0;
	bool restart = false;

	while (line.len > 0) {
		size_t n;
		uint32_t c = decode(line, &n);

		if (c == ESC) {
			line = str_skip(line, escape_length(line));
			continue;
		}
		if (c == '\r') {
			restart = true;
		} else if (c == BAD || c == '\t' || !in_ranges(c, hidden, ARRAY_SIZE(hidden))) {
			if (restart && out->len > start) {
				out->len = start;
				column = 0;
			}
			restart = false;
			if (c == '\t') {
				for (size_t stop = column / 8 * 8 + 8; column < stop; column++)
					strbuf_char(out, ' ');
			} else if (c == BAD) {
				strbuf_char(out, '?');
				column++;
			} else {
				strbuf_add(out, line.ptr, n);
				column += char_width(c);
			}
		}
		line = str_skip(line, n);
	}
	if (out->cap > 0)
		out->ptr[out->len] = '\0';
}

size_t text_width(str clean)
{
	size_t width = 0, n;

	for (; clean.len > 0; clean = str_skip(clean, n)) {
		uint32_t c = decode(clean, &n);

		width += c == BAD ? 1 : char_width(c);
	}
	return width;
}

size_t text_fit(str clean, size_t columns, struct strbuf *out)
{
	size_t width = text_width(clean), keep = columns, used = 0, n;

	if (width <= columns) {
		strbuf_str(out, clean);
		return width;
	}
	keep = columns > 3 ? columns - 3 : 0;
	while (clean.len > 0) {
		uint32_t c = decode(clean, &n);
		size_t w = c == BAD ? 1 : char_width(c);

		if (used + w > keep)
			break;
		strbuf_add(out, clean.ptr, n);
		used += w;
		clean = str_skip(clean, n);
	}
	for (int i = 0; i < 3 && used < columns; i++, used++)
		strbuf_char(out, '.');
	return used;
}
