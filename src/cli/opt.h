/* cli/opt.h - option tables: one description of a command's options.
 *
 * The same table drives parsing, --help, shell completion and the manual page.
 * A command declares a struct for its options and a table of `struct cli_opt`
 * that ends with an empty row:
 *
 *	struct tag_opts { bool force; struct cli_list labels; };
 *	static const struct cli_opt opts[] = {
 *		{ "force", 'f', OPT_FLAG(struct tag_opts, force), .help = "..." },
 *		{ "label", 'l', OPT_LIST(struct tag_opts, labels), .arg = "KEY=VALUE", ... },
 *		{ 0 },
 *	};
 *
 * Spellings: --name=value, --name value, -f value, -fvalue, -f=value, bundled
 * flags (-it), --flag=false; "--" ends the options.
 */
#ifndef CAIRN_CLI_OPT_H
#define CAIRN_CLI_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum cli_kind {
	CLI_FLAG,     /* bool */
	CLI_STRING,   /* const char *, borrowed from argv; the last use wins */
	CLI_LIST,     /* struct cli_list; each use adds one */
	CLI_BYTES,    /* uint64_t, as num_bytes() reads it */
	CLI_DURATION, /* uint64_t, ns, as num_duration() reads it */
	CLI_UINT,     /* uint64_t, decimal */
	CLI_ENUM,     /* int or an enum: the index in `choices` */
	CLI_N_,
};

/* What a shell completes. */
enum cli_hint {
	CLI_HINT_NONE,
	CLI_HINT_FILE,
	CLI_HINT_DIR,
	CLI_HINT_IMAGE,   /* a name from `cairn images` */
	CLI_HINT_COMMAND, /* a command of cairn */
};

/* Values of a CLI_LIST; zeroed is empty. */
struct cli_list {
	const char **ptr; /* owned array of strings borrowed from argv */
	size_t len, cap;
};

struct cli_opt {
	const char *name; /* long name without dashes; NULL ends the table */
	char letter;      /* short name, or 0 */
	enum cli_kind kind;
	size_t offset;    /* of the field in the command's struct; see OPT_FLAG and friends */
	const char *arg;  /* placeholder of the value in help: "FILE"; NULL for flags */
	const char *help; /* one phrase without full stop */
	const char *const *choices; /* CLI_ENUM: the values, ends with NULL */
	enum cli_hint hint;         /* how a shell completes the value */
	/* Not NULL: the option is known but not built. Using it fails with
	 * CAIRN_E_UNSUPPORTED and this text, which says what to do instead or
	 * is "". It has no field; --help lists it apart. */
	const char *unsupported;
};

/* offsetof that also checks the type of the field. */
#define OPT_AT_(T, f, type) \
	(offsetof(T, f) +   \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((T *)0)->f), type) ? 1 : -1]))
#define OPT_FLAG(T, f)     .kind = CLI_FLAG, .offset = OPT_AT_(T, f, bool)
#define OPT_STRING(T, f)   .kind = CLI_STRING, .offset = OPT_AT_(T, f, const char *)
#define OPT_LIST(T, f)     .kind = CLI_LIST, .offset = OPT_AT_(T, f, struct cli_list)
#define OPT_BYTES(T, f)    .kind = CLI_BYTES, .offset = OPT_AT_(T, f, uint64_t)
#define OPT_DURATION(T, f) .kind = CLI_DURATION, .offset = OPT_AT_(T, f, uint64_t)
#define OPT_UINT(T, f)     .kind = CLI_UINT, .offset = OPT_AT_(T, f, uint64_t)
#define OPT_ENUM(T, f, list)                 \
	.kind = CLI_ENUM, .choices = (list), \
	.offset = offsetof(T, f) + 0 * sizeof(char[sizeof(((T *)0)->f) == sizeof(int) ? 1 : -1])
/* An option of another builder that cairn knows and refuses; takes_value says how it is read. */
#define OPT_UNSUPPORTED(takes_value, text) \
	.kind = (takes_value) ? CLI_STRING : CLI_FLAG, .unsupported = (text)

#define opt_foreach(it, table) for (const struct cli_opt *it = (table); it->name; it++)

/* How a command's words are to be read. */
struct opt_spec {
	const char *cmd;            /* name of the command, for messages */
	const struct cli_opt *opts; /* table, ends with an empty row */
	bool stop_at_word;          /* the first word that is no option ends the options */
};

/* What opt_parse() leaves beside the options. */
struct opt_result {
	char **argv; /* owned array of borrowed words that are no options; ends with NULL */
	int argc;
	bool help; /* --help or -h was seen; parsing stopped there */
};

/* Read argv (words after the command's name) into `into`, the command's options struct.
 *
 * into  holds the defaults on entry; release with opt_done(), also after a failure
 *
 * Fails with CAIRN_E_USAGE (unknown option, with a suggestion; missing or bad
 * value) and with CAIRN_E_UNSUPPORTED for an option that is not built.
 */
int opt_parse(const struct opt_spec *spec, int argc, char **argv, void *into,
              struct opt_result *ret, struct cairn_err *err);

/* Release the lists in an options struct. */
void opt_done(const struct cli_opt *opts, void *from);

void opt_result_done(struct opt_result *r);

#endif
