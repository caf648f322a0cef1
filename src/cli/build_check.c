#include "build_check.h"

void build_check_add(struct dockerfile *df, const struct graph *g)
{
	vec_foreach (f, &g->findings)
		dockerfile_warn(df, f->line, f->rule, f->text);
}

int build_check(const struct dockerfile *df, FILE *out, struct cairn_err *err)
{
	for (size_t i = 0; i < df->n_warnings; i++) {
		const struct dockerfile_warning *w = &df->warnings[i];
		str line = str_trim(dockerfile_line(df, w->line));

		(void)fprintf(out, "%s:%u: %s: %.*s\n    %.*s\n", df->path, w->line, w->rule,
		              STR(w->text), STR(line));
	}
	if (df->n_warnings)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s: %zu warning%s", df->path,
		                  df->n_warnings, df->n_warnings == 1 ? "" : "s");
	(void)fprintf(out, "%s: no warnings\n", df->path);
	return 0;
}
