/* workspace/conf_bind.h - tables that say which keys there are, and a reader that follows them.
 *
 * A mapping of the file is a struct; a table of `struct conf_field` describes it:
 *
 *	static const struct conf_field base_fields[] = {
 *		{ "registry", CONF_F_STRING, offsetof(struct workspace_base, registry),
 *		  .help = "..." },
 *		{ 0 },
 *	};
 *
 * The same table makes the JSON Schema.  The struct holds the defaults before it is read; a key
 * without a value ("key:") leaves them.
 */
#ifndef CAIRN_WORKSPACE_CONF_BIND_H
#define CAIRN_WORKSPACE_CONF_BIND_H

#include <stdint.h>

#include "conf_tree.h"
#include "util/json.h"

enum conf_type {
	CONF_F_STRING,   /* str; not empty */
	CONF_F_PATH,     /* str, made absolute: relative to the folder of the file */
	CONF_F_BOOL,     /* bool: true or false */
	CONF_F_UINT,     /* uint64_t within min..max */
	CONF_F_BYTES,    /* uint64_t, as num_bytes() reads it */
	CONF_F_DURATION, /* uint64_t, ns: as num_duration() reads it, and days ("30d") */
	CONF_F_ENUM,     /* int or an enum: the index in choices */
	CONF_F_STRINGS,  /* struct image_strs: a text, or a list of them */
	CONF_F_KVS,      /* struct image_kvs: a mapping of names to texts, or a list of "NAME=text";
	                    a name without value has a value whose ptr is NULL */
	CONF_F_OPTION,   /* struct image_kvs: a text under the name ->option; it is one of choices,
	                    or, when max is not 0, a number from min to max, or any */
	CONF_F_OBJECT,   /* the struct itself, of ->object */
	CONF_F_OBJECTS,  /* struct conf_array of ->object: one or a list; a mere text stands for an
	                    object with only its first field */
	CONF_F_NAMED,    /* struct conf_array of ->object, whose first member is a str: the key */
	CONF_F_ANY,      /* passed over: offset means nothing */
	CONF_F_N_,
};

/* The values of choices for an OPTION that is true or false. */
extern const char *const conf_bools[];

/* How arrays are kept; the structs of config.h have the same shape. */
struct conf_array {
	void *ptr;
	size_t len;
};

struct conf_reader;

struct conf_field {
	const char *key; /* NULL ends the table */
	enum conf_type type;
	size_t offset;                    /* of the value in the struct */
	const char *help;                 /* one phrase without full stop: for the schema */
	const struct conf_object *object; /* OBJECT, OBJECTS, NAMED */
	const char *const *choices;       /* ENUM, OPTION: ends with NULL; "" is no choice */
	uint64_t min, max;                /* UINT, OPTION */
	const char *option;               /* OPTION */
	const char *example;              /* a value, for the schema; NULL: none */
	/* What the type does not say, after the value was read; NULL: nothing. Fails with
	 * conf_fail(). */
	int (*check)(const struct conf_reader *r, const struct conf_node *n, void *value,
	             struct cairn_err *err);
};

struct conf_object {
	const struct conf_field *fields; /* ends with an empty row */
	size_t size;                     /* of the struct */
	/* The mapping's value is no mapping itself: it is this one field (mirrors). fields is then
	 * NULL. */
	const struct conf_field *value;
	/* Fill the defaults of a zeroed struct; NULL: zeroes. */
	void (*init)(void *into);
	/* After an object has been read whole; NULL: nothing. `n` is where it stands. */
	int (*finish)(const struct conf_reader *r, const struct conf_node *n, void *object,
	              struct cairn_err *err);
	/* A key of a NAMED mapping; NULL: any will do. */
	int (*check_name)(const struct conf_reader *r, const struct conf_pair *p,
	                  struct cairn_err *err);
	/* Told where the key of a NAMED mapping stands, before its value is read; NULL: nothing. */
	void (*place)(void *object, unsigned line, unsigned col);
	const char *required; /* the key that has to be there; NULL: none */
	bool open;            /* keys that are not in the table are passed over */
};

/* What reading needs to know beside the tables. */
struct conf_reader {
	struct arena *arena; /* owns what is read */
	const char *path;    /* of the file, for messages */
	const char *root;    /* what relative paths are relative to */
	bool empty_is_none;  /* an empty text is as if the key was not there, not a mistake */
};

/* Read a mapping into `into`, which holds the defaults. NULL and an empty value change nothing.
 * Fails with CAIRN_E_SYNTAX and the place: unknown key (with a suggestion), wrong kind of value. */
int conf_read(const struct conf_reader *r, const struct conf_object *o, const struct conf_node *n,
              void *into, struct cairn_err *err);

/* Fail at the place of `n`. */
#define conf_fail(r, n, err, ...) cairn_fail_at((err), (r)->path, (n)->line, (n)->col, __VA_ARGS__)

/* The schema of an object as JSON; owned. */
json_t *conf_schema(const struct conf_object *o);

#endif
