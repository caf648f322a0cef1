/* image/config.h - the image config, whose digest is the identity of an image.
 *
 * https://github.com/opencontainers/image-spec/blob/main/config.md with Docker's
 * additions (Healthcheck, OnBuild, Shell, ArgsEscaped).
 *
 * Encoding.  The top level is sorted by name and "config" is in the order of the Go
 * struct, both as BuildKit writes them; ExposedPorts, Volumes and Labels are sorted by
 * key; what is empty is absent; '&', '<' and '>' are \u0026, \u003c, \u003e as Go
 * writes them.  The same struct gives the same bytes.  rootfs.diff_ids of an image
 * without layers is [], where BuildKit writes null against the specification.
 *
 * What is unknown is not kept (Docker's "container_config", "docker_version" and other
 * leftovers must not pass from a base to what is built on it; BuildKit drops them too).
 * The stored bytes of a pulled config are never re-encoded, so nothing is lost there.
 *
 * Ownership: a config borrows its arena; every string and array in it lives there.
 * Copies made by the mutators leave the old memory in the arena until it is freed.
 */
#ifndef CAIRN_IMAGE_CONFIG_H
#define CAIRN_IMAGE_CONFIG_H

#include "descriptor.h"

/* Largest image config that is read. */
#define IMAGE_CONFIG_MAX (8u << 20)

/* A moment that may be absent. Go's zero time (year 1) counts as absent. */
struct image_time {
	bool set;
	int64_t ns; /* since 1970, UTC; 0 when not set */
};

/* HEALTHCHECK. Durations in ns; 0 means inherit or default. */
struct image_healthcheck {
	struct image_strs
		test; /* {"NONE"}, {"CMD", args...}, {"CMD-SHELL", command}; {} inherits */
	int64_t interval, timeout, start_period, start_interval;
	int64_t retries;
};

struct image_history {
	struct image_time created;
	str created_by; /* the instruction, as BuildKit words it */
	str author;
	str comment;      /* "buildkit.dockerfile.v0" for ours, so that tools know the form */
	bool empty_layer; /* this instruction made no layer */
};

struct image_config {
	struct arena *arena; /* borrowed; must live as long as the config */

	struct image_time created;
	str author; /* MAINTAINER */
	struct platform platform;
	struct image_strs os_features; /* Windows only */

	str user;                     /* USER; "" is root */
	struct image_strs ports;      /* EXPOSE: "80/tcp"; sorted, unique */
	struct image_strs env;        /* "NAME=value"; names are unique, order matters */
	struct image_strs entrypoint; /* argument vector; len 0 = none */
	struct image_strs cmd;
	struct image_strs volumes; /* sorted, unique */
	str workdir;
	struct image_kvs labels;
	str stop_signal;
	bool args_escaped; /* Windows only: kept from a base */
	bool has_healthcheck;
	struct image_healthcheck healthcheck;
	struct image_strs onbuild; /* triggers, in order */
	struct image_strs shell;   /* SHELL; len 0 = {"/bin/sh", "-c"} */

	struct digest *diff_ids; /* digests of the uncompressed layers, lowest first */
	size_t n_diff_ids;
	struct image_history *history; /* oldest first */
	size_t n_history;
};

/* An empty config for `platform`, as FROM scratch starts with. */
void image_config_init(struct image_config *c, struct arena *a, const struct platform *platform);

/* Parse a config of at most IMAGE_CONFIG_MAX bytes. A number of history entries with layers
 * that is not the number of diff_ids is accepted (old tools wrote such images).
 * Fails with CAIRN_E_SYNTAX naming the member. */
int image_config_parse(struct arena *a, str bytes, struct image_config *ret, struct cairn_err *err);

/* A deep copy into `a`; shares nothing with src. */
void image_config_copy(struct arena *a, const struct image_config *src, struct image_config *ret);

/* Append c as JSON; see the top of this file. */
void image_config_encode(const struct image_config *c, struct strbuf *out);

/* SHA-256 over image_config_encode(): the image's identity. */
struct digest image_config_digest(const struct image_config *c);

/* Mutators copy what they are given into c->arena. */

/* ENV: replaces in place (the variable keeps its position), else appends. */
void image_config_env_set(struct image_config *c, str name, str value);
/* Value of a variable; false when it is not set. Borrowed from c. */
bool image_config_env_get(const struct image_config *c, str name, str *ret_value);
void image_config_label_set(struct image_config *c, str key, str value);
void image_config_port_add(struct image_config *c, str port); /* "80/tcp"; twice is once */
void image_config_volume_add(struct image_config *c, str path);
void image_config_onbuild_add(struct image_config *c, str trigger);
void image_config_onbuild_clear(struct image_config *c); /* after the triggers have run */
/* Set a list member (&c->cmd, &c->entrypoint, &c->shell, ...): a copy of `args`. */
void image_config_strs_set(struct image_config *c, struct image_strs *member,
                           const struct image_strs *args);
void image_config_str_set(struct image_config *c, str *member, str value);
void image_config_healthcheck_set(struct image_config *c, const struct image_healthcheck *h);

/* Append a history entry, and a layer. */
void image_config_history_add(struct image_config *c, const struct image_history *h);
void image_config_layer_add(struct image_config *c, const struct digest *diff_id);

/* The chain id over the first n layers (n >= 1, <= n_diff_ids): names the merged tree.
 * https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid */
struct digest image_config_chain_id(const struct image_config *c, size_t n);

#endif
