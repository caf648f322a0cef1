/* net/credentials_priv.h - private to credentials*.c. */
#ifndef CAIRN_NET_CREDENTIALS_PRIV_H
#define CAIRN_NET_CREDENTIALS_PRIV_H

#include "credentials.h"
#include "util/json.h"
#include "util/proc.h"

/* Is a key of "auths" or "credHelpers" this registry? Old Dockers wrote URLs. */
bool credentials_same_registry(str key, str registry);

/* What Docker's files and helpers call a registry. */
str credentials_helper_key(str registry);

/* The helper that answers for `registry`, or NULL; borrowed from config. */
int credentials_find_helper(const json_t *config, str registry, const char **ret,
                            struct cairn_err *err);

/* Run docker-credential-NAME with a verb. One that does not know the registry is success, with
 * its exit code. ret is initialised here, also on failure.
 * Fails with CAIRN_E_AUTH when it is missing or fails. */
int credentials_helper(const char *name, const char *verb, str input, struct proc_result *ret,
                       struct cairn_err *err);

/* Read config.json; *ret is NULL when there is none, else owned. */
int credentials_load(const char *path, json_t **ret, struct cairn_err *err);

#endif
