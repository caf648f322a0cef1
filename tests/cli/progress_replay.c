/* Plays a script of build events into the progress display.
 *
 * usage: progress-replay [--mode MODE] [--columns N] [--rows N] [--color] [--speed X] SCRIPT
 *
 * A line of the script is MILLISECONDS KIND ...:
 *	0 plan STEP FILE LINE END_LINE NAME     (FILE "-": none)
 *	5 extra STEP NAME                       (a plan; work after the build)
 *	10 start STEP        20 cached STEP     30 done STEP      40 canceled STEP
 *	50 output STEP TEXT  (with \n \r \t \e \xNN)
 *	60 progress STEP CURRENT TOTAL TEXT
 *	70 failed STEP EXIT_CODE oom|- MESSAGE
 *	80 warning STEP TEXT
 *	90 end ok|failed     and nothing after it
 * Time is pretended: the display ticks every 50 ms of it. With --speed the
 * program also waits, 1 being real time.
 */
#include <getopt.h>
#include <unistd.h>

#include "cli/progress.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/num.h"

#define MS         1000000ll
#define START_NS   (1000 * MS)
#define START_WALL 1600000000000000000ll /* 2020-09-13T12:26:40Z */
#define TICK_MS    50

struct replay {
	struct progress *p;
	struct engine_observer obs;
	struct arena *arena;
	uint64_t now_ms;
	double speed; /* 0: do not wait */
};

static uint64_t number(str s)
{
	struct cairn_err err;
	uint64_t n = 0;

	if (num_u64(s, UINT32_MAX, &n, &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.msg);
		exit(2);
	}
	return n;
}

static str word(str *rest)
{
	str w = { 0 };

	(void)str_next(rest, ' ', &w);
	return w;
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static str unescape(struct arena *a, str s)
{
	static const char from[] = "nrte\\", to[] = "\n\r\t\033\\";
	char *out = arena_alloc(a, s.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		const char *at;

		if (s.ptr[i] != '\\' || i + 1 == s.len) {
			out[n++] = s.ptr[i];
		} else if (s.ptr[i + 1] == 'x' && i + 3 < s.len) {
			out[n++] = (char)(hex(s.ptr[i + 2]) << 4 | hex(s.ptr[i + 3]));
			i += 3;
		} else {
			at = strchr(from, s.ptr[++i]);
			out[n++] = at ? to[at - from] : s.ptr[i];
		}
	}
	return str_n(out, n);
}

static void advance_to(struct replay *r, uint64_t ms)
{
	while (r->now_ms < ms) {
		uint64_t step = ms - r->now_ms < TICK_MS ? ms - r->now_ms : TICK_MS;

		r->now_ms += step;
		if (r->speed > 0)
			(void)usleep((useconds_t)((double)step * 1000 / r->speed));
		(void)progress_tick(r->p, START_NS + (int64_t)r->now_ms * MS);
	}
}

static void finish(struct replay *r, bool ok)
{
	const char *const names[] = { "example/app:latest", NULL };

	progress_end(r->p, &(struct progress_result){
				   .ok = ok,
				   .time_ns = START_NS + (int64_t)r->now_ms * MS,
				   .image_id = ok ? "sha256:0123456789abcdef" : NULL,
				   .names = ok ? names : NULL,
			   });
}

static void play(struct replay *r, str line)
{
	static const char *const kinds[] = {
		[EVENT_PLAN] = "plan",       [EVENT_START] = "start",
		[EVENT_CACHED] = "cached",   [EVENT_OUTPUT] = "output",
		[EVENT_DONE] = "done",       [EVENT_PROGRESS] = "progress",
		[EVENT_FAILED] = "failed",   [EVENT_CANCELED] = "canceled",
		[EVENT_WARNING] = "warning",
	};
	struct build_event ev = { .kind = EVENT_N_, .exit_code = -1, .stream = 1 };
	struct cairn_err failure = { 0 };
	str kind;

	advance_to(r, number(word(&line)));
	kind = word(&line);
	if (str_is(kind, "end")) {
		finish(r, str_is(line, "ok"));
		return;
	}
	ev.extra = str_is(kind, "extra");
	if (ev.extra)
		ev.kind = EVENT_PLAN;
	for (int i = 0; i < EVENT_N_; i++)
		if (str_is(kind, kinds[i]))
			ev.kind = (enum event_kind)i;
	ev.time_ns = START_NS + (int64_t)r->now_ms * MS;
	ev.step = (unsigned)number(word(&line));
	if (ev.extra) {
		ev.name = unescape(r->arena, line);
	} else if (ev.kind == EVENT_PLAN) {
		ev.file = word(&line);
		if (str_is(ev.file, "-"))
			ev.file = str_n(NULL, 0);
		ev.line = (unsigned)number(word(&line));
		ev.end_line = (unsigned)number(word(&line));
		ev.name = unescape(r->arena, line);
	} else if (ev.kind == EVENT_PROGRESS) {
		ev.current = number(word(&line));
		ev.total = number(word(&line));
		ev.text = line;
	} else if (ev.kind == EVENT_FAILED) {
		ev.exit_code = (int)number(word(&line));
		ev.oom = str_is(word(&line), "oom");
		(void)cairn_fail(&failure, CAIRN_E_STEP, "%.*s", STR(line));
		ev.err = &failure;
	} else {
		ev.text = unescape(r->arena, line);
	}
	r->obs.event(r->obs.ctx, &ev);
}

static struct progress_opts options(int argc, char **argv, double *ret_speed)
{
	static const struct option longs[] = {
		{ "mode", 1, NULL, 'm' },  { "columns", 1, NULL, 'c' }, { "rows", 1, NULL, 'r' },
		{ "color", 0, NULL, 'k' }, { "speed", 1, NULL, 's' },   { 0 },
	};
	struct progress_opts o = { .out = stdout,
		                   .start_ns = START_NS,
		                   .start_wall_ns = START_WALL };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'm')
			for (int i = 0; progress_modes[i]; i++)
				if (strcmp(progress_modes[i], optarg) == 0)
					o.mode = (enum progress_mode)i;
		if (c == 'c')
			o.columns = (int)number(str_of(optarg));
		if (c == 'r')
			o.rows = (int)number(str_of(optarg));
		if (c == 's')
			*ret_speed = (double)number(str_of(optarg));
		if (c == 'k')
			o.color = true;
	}
	return o;
}

int main(int argc, char **argv)
{
	struct replay r = { .arena = arena_new() };
	struct progress_opts o = options(argc, argv, &r.speed);
	cleanup_strbuf struct strbuf script;
	struct cairn_err err;
	str rest, line;

	strbuf_init(&script, 4 * 1024 * 1024);
	if (optind != argc - 1 || fs_read_file(AT_FDCWD, argv[optind], &script, &err) < 0)
		return 2;
	r.p = progress_new(&o);
	r.obs = progress_observer(r.p);
	rest = strbuf_view(&script);
	while (str_next(&rest, '\n', &line))
		if (line.len > 0 && line.ptr[0] != '#')
			play(&r, line);
	progress_free(r.p);
	arena_free(r.arena);
	return 0;
}
