/* workspace/plan_state.h - what was built from which input.
 *
 * For each input key (cache/define.h) one small document, in the store as a record and in caches
 * that machines share as a pointer, so that their scopes hold: what a pull request built is not
 * what the default branch believes.
 *
 *	{"version":1,"config":"sha256:..","manifest":"sha256:..","repository":"host/path",
 *	 "time":"RFC 3339","commit":".."}
 *
 * manifest and repository are there when the image was pushed.  Beside it stands, in the store
 * alone, which input an image was made from: the identity that it has as somebody's base.
 */
#ifndef CAIRN_WORKSPACE_PLAN_STATE_H
#define CAIRN_WORKSPACE_PLAN_STATE_H

#include "plan.h"

/* The document; appended. */
void plan_known_encode(const struct plan_known *k, struct strbuf *out);
/* Parse; texts live in `a`. Fails with CAIRN_E_DIGEST when it is damaged or of another version. */
int plan_known_decode(str text, struct arena *a, struct plan_known *ret, struct cairn_err *err);

/* What is known of n input keys, ret[i].time being 0 when nothing of use is: the store is asked,
 * then the remotes for what it does not know, many at once. A remote that fails knows nothing;
 * *ret_warning (in `a`, or "") says so. */
int plan_state_find(const struct plan_opts *o, const struct digest *keys, size_t n, struct arena *a,
                    struct plan_known *ret, str *ret_warning, struct cairn_err *err);

/* Does what is known already say what a build found out? Time and commit may be others. */
bool plan_known_same(const struct plan_known *old, const struct plan_known *now);

/* Keep what is known of a key. The store may be read-only: then it is not written. What was pushed
 * is not forgotten by a build that pushes nothing. */
int plan_state_put(struct store *s, const struct digest *key, const struct plan_known *k,
                   struct cairn_err *err);
/* The name of the pointer where remotes keep what is known of a key. */
struct digest plan_state_name(const struct digest *key);

/* What a remote holds there. */
struct plan_state_there {
	bool found;
	str text;
	const char *version; /* as remote_pointer_get() gives it, or NULL */
};

/* Keep what is known of a key in a remote.
 * there  what it held a moment ago; NULL: it is asked */
int plan_state_publish(struct remote *r, const struct digest *key, const struct plan_known *k,
                       const struct plan_state_there *there, struct cairn_err *err);

/* The input key that the image of this config was made from; none when it is not known. */
int plan_state_input(struct store *s, const struct digest *config, struct digest *ret,
                     struct cairn_err *err);

#endif
