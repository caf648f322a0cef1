/* route/runners.h - the machines that builds can be sent to: the catalogue and cairn.yaml.
 *
 * The catalogue (data/runners.yaml) is built into the program. An entry of `runners:` with the name
 * of one in the catalogue changes what it says and keeps the rest; with another name it adds a
 * runner. A flag (gpu, spot, privileged) can be added so, not taken away.
 */
#ifndef CAIRN_ROUTE_RUNNERS_H
#define CAIRN_ROUTE_RUNNERS_H

#include "workspace/workspace.h"

struct runner {
	struct workspace_runner c; /* concurrency is never 0 */
	/* In cairn.yaml: work is sent only to those. Where there are none it is "local" alone. */
	bool declared;
};

struct runners {
	struct arena *arena; /* owns everything */
	struct runner *ptr;  /* sorted by name */
	size_t len;
};

/* config  what `runners:` says; borrowed while this works; NULL: nothing
 *
 * Fails with CAIRN_E_SYNTAX (path, line, column) for a runner that is in neither list complete: no
 * driver; and with CAIRN_E_BUG when the catalogue cannot be read. */
int runners_load(const struct workspace_config *config, struct runners **ret,
                 struct cairn_err *err);

/* The runner of that name, or NULL. */
const struct runner *runners_get(const struct runners *r, str name);

void runners_free(struct runners *r); /* NULL is fine */
DEFINE_CLEANUP(struct runners *, runners_free);
#define cleanup_runners __attribute__((cleanup(runners_free_p_)))

/* The catalogue as it is in the data file. */
str runners_catalogue(void);

#endif
