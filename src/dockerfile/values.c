/* Values of instructions after their expansion: modes, users, ports, signals. */
#include "instr.h"
#include "util/num.h"
#include "util/strbuf.h"

#define CLIP(s) (int)((s).len < 100 ? (s).len : 100), ((s).ptr ? (s).ptr : "")

/* --- chmod ---------------------------------------------------------------- */

static int bad_mode(str value, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_SYNTAX,
	                  "mode '%.*s' is neither octal (755) nor symbolic (u+rX,go-w)",
	                  CLIP(value));
}

/* Bits that a class of users owns. */
static uint32_t who_mask(char c)
{
	return c == 'u' ? 04700 : c == 'g' ? 02070 : c == 'o' ? 01007 : c == 'a' ? 07777 : 0;
}

static uint32_t perm_bits(char c)
{
	return c == 'r'   ? 0444
	       : c == 'w' ? 0222
	       : c == 'x' ? 0111
	       : c == 's' ? 06000
	       : c == 't' ? 01000
	                  : 0;
}

/* One operator and what follows it: "+rX", "=u". */
static bool symbolic_op(str *s, uint32_t who, struct chmod_spec *spec)
{
	__typeof__(&spec->clause[0]) c = &spec->clause[spec->n];

	if (spec->n == CHMOD_CLAUSES_MAX || !s->len || !strchr("+-=", s->ptr[0]) || !s->ptr[0])
		return false;
	spec->n++;
	c->who = who;
	c->op = s->ptr[0];
	*s = str_skip(*s, 1);
	if (s->len && (s->ptr[0] == 'u' || s->ptr[0] == 'g' || s->ptr[0] == 'o')) {
		c->copy = s->ptr[0];
		*s = str_skip(*s, 1);
		return true;
	}
	for (; s->len; *s = str_skip(*s, 1)) {
		if (s->ptr[0] == 'X')
			c->x_if = true;
		else if (perm_bits(s->ptr[0]))
			c->perm |= perm_bits(s->ptr[0]);
		else
			break;
	}
	return true;
}

/* "ugo+r-w" */
static bool symbolic_clause(str s, struct chmod_spec *spec)
{
	uint32_t who = 0;

	while (s.len && who_mask(s.ptr[0])) {
		who |= who_mask(s.ptr[0]);
		s = str_skip(s, 1);
	}
	if (!who)
		who = 07777;
	do {
		if (!symbolic_op(&s, who, spec))
			return false;
	} while (s.len);
	return true;
}

int chmod_parse(str value, struct chmod_spec *ret, struct cairn_err *err)
{
	struct chmod_spec spec = { 0 };
	str rest = value, clause;

	if (value.len && value.ptr[0] >= '0' && value.ptr[0] <= '9') {
		struct cairn_err why;

		spec.octal = true;
		if (num_octal(value, 07777, &spec.mode, &why) < 0)
			return bad_mode(value, err);
		*ret = spec;
		return 0;
	}
	if (!value.len)
		return bad_mode(value, err);
	while (str_next(&rest, ',', &clause))
		if (!symbolic_clause(clause, &spec))
			return bad_mode(value, err);
	*ret = spec;
	return 0;
}

/* The rwx bits of one class in all three places. */
static uint32_t spread(uint32_t mode, char who)
{
	uint32_t rwx = mode >> (who == 'u' ? 6 : who == 'g' ? 3 : 0) & 07;

	return rwx << 6 | rwx << 3 | rwx;
}

uint32_t chmod_apply(const struct chmod_spec *spec, uint32_t mode, bool is_dir)
{
	if (spec->octal)
		return spec->mode;
	mode &= 07777;
	for (size_t i = 0; i < spec->n; i++) {
		__typeof__(&spec->clause[0]) c = &spec->clause[i];
		uint32_t bits = c->copy ? spread(mode, c->copy) : c->perm;

		if (c->x_if && (is_dir || (mode & 0111)))
			bits |= 0111;
		bits &= c->who;
		if (c->op == '=')
			mode &= ~c->who;
		mode = c->op == '-' ? mode & ~bits : mode | bits;
	}
	return mode;
}

/* --- Users, ports, signals ------------------------------------------------ */

int user_parse(str value, str *ret_user, str *ret_group, struct cairn_err *err)
{
	str user, group;
	bool has_group = str_cut(value, ':', &user, &group);

	if (!user.len || (has_group && !group.len))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not user or user:group",
		                  CLIP(value));
	*ret_user = user;
	*ret_group = has_group ? group : str_n(NULL, 0);
	return 0;
}

static bool port_number(str s, unsigned *ret)
{
	struct cairn_err why;
	uint64_t n = 0;

	if (num_u64(s, 65535, &n, &why) < 0)
		return false;
	*ret = (unsigned)n;
	return true;
}

int port_parse(str value, struct port_range *ret, struct cairn_err *err)
{
	static const char *const protos[] = { "tcp", "udp", "sctp", NULL };
	struct port_range out = { .proto = NULL };
	str ports, proto, first, last;
	ptrdiff_t colon;

	if (!str_cut(value, '/', &ports, &proto) || !proto.len)
		proto = S("tcp");
	for (size_t i = 0; protos[i]; i++)
		if (str_eq_nocase(proto, str_of(protos[i])))
			out.proto = protos[i];
	if (!out.proto)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "protocol of port '%.*s' is not tcp, udp or sctp", CLIP(value));
	colon = str_rfind(ports, ':');
	ports = str_skip(ports, (size_t)(colon + 1));
	if (!str_cut(ports, '-', &first, &last))
		last = first;
	if (!port_number(first, &out.first) || !port_number(last, &out.last) ||
	    out.first > out.last)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%.*s' is no port like 80, 80/udp or 8000-8010", CLIP(value));
	*ret = out;
	return 0;
}

/* The names Docker knows on Linux, without SIG. */
static const char *const signal_names[] = {
	"ABRT", "ALRM",   "BUS",  "CHLD",   "CLD",   "CONT", "FPE",  "HUP",  "ILL",
	"INT",  "IO",     "IOT",  "KILL",   "PIPE",  "POLL", "PROF", "PWR",  "QUIT",
	"SEGV", "STKFLT", "STOP", "SYS",    "TERM",  "TRAP", "TSTP", "TTIN", "TTOU",
	"URG",  "USR1",   "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", NULL,
};

/* RTMIN, RTMIN+1 .. RTMIN+15, RTMAX-14 .. RTMAX-1, RTMAX */
static bool is_realtime(str s)
{
	bool min = str_eq_nocase(str_n(s.ptr, s.len < 5 ? s.len : 5), S("RTMIN"));
	struct cairn_err why;
	uint64_t n = 0;

	if (!min && !str_eq_nocase(str_n(s.ptr, s.len < 5 ? s.len : 5), S("RTMAX")))
		return false;
	s = str_skip(s, 5);
	if (!s.len)
		return true;
	return s.ptr[0] == (min ? '+' : '-') &&
	       num_u64(str_skip(s, 1), min ? 15 : 14, &n, &why) == 0 && n > 0;
}

int signal_check(str value, struct cairn_err *err)
{
	struct cairn_err why;
	str name = value;
	uint64_t n = 0;
	const char *near;

	if (num_u64(value, 64, &n, &why) == 0 && n > 0)
		return 0;
	if (name.len > 3 && str_eq_nocase(str_n(name.ptr, 3), S("SIG")))
		name = str_skip(name, 3);
	for (size_t i = 0; signal_names[i]; i++)
		if (str_eq_nocase(name, str_of(signal_names[i])))
			return 0;
	if (is_realtime(name))
		return 0;
	near = str_suggest(name, signal_names);
	return cairn_fail(err, CAIRN_E_SYNTAX, "unknown signal '%.*s'%s%s%s", CLIP(value),
	                  near ? " (did you mean SIG" : "", near ? near : "", near ? "?)" : "");
}
