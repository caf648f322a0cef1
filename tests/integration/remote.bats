#!/usr/bin/env bats
# An empty runner against a cache that another one filled: what travels, and what does not.
load common

setup_file() {
	need_tools docker-registry skopeo zstd python3
	make_image one 1
}

# A registry, a proxy that notes requests, and a cache filled by the runner "first".
setup() {
	setup_suite_dirs
	start_registry
	seed one app:1
	start_proxy
	CACHE=(--cache-from "type=registry,ref=$REG/cache" --cache-to "type=registry,ref=$REG/cache,mode=max")
	DIR=(--cache-from "type=local,src=$BATS_TEST_TMPDIR/cache" --cache-to "type=local,dest=$BATS_TEST_TMPDIR/cache,mode=max")
	echo a >"$CTX/a.txt"
	echo b >"$CTX/b.txt"
	echo c >"$CTX/c.txt"
	dockerfile
}

dockerfile() {
	cat >"$CTX/Dockerfile" <<-END
	FROM $REG/app:1 AS build
	RUN echo built >/out && head -c 3000000 /dev/urandom >/big && cat /proc/sys/kernel/random/uuid >/when
	COPY a.txt /a.txt
	FROM $REG/app:1
	WORKDIR /x
	RUN echo first >first && cat /proc/sys/kernel/random/uuid >uuid
	COPY --from=build /out /x/out
	COPY b.txt /x/
	RUN cat out b.txt >both.txt
	COPY c.txt /x/
	END
}

# Build on the runner of that name; its output is in $output, requests in $PROXY_LOG.
on() { # RUNNER OPTION...
	: >"$PROXY_LOG"
	export CAIRN_HOME=$BATS_TEST_TMPDIR/$1
	run "$CAIRN" build --progress=plain --iidfile "$BATS_TEST_TMPDIR/$1.id" "${@:2}" "$CTX"
	[ "$status" -eq 0 ] || {
		echo "$output"
		return 1
	}
}

image_of() { # RUNNER
	cat "$BATS_TEST_TMPDIR/$1.id"
}

requests() { # PATTERN
	grep -cE "$1" "$PROXY_LOG" || true
}

# Layers whose files are on this runner.
unpacked() {
	find "$CAIRN_HOME/layers" -mindepth 1 -maxdepth 1 | wc -l
}

# The files of the image that a runner built, with their contents.
files() { # RUNNER OPTION...
	local name
	on "$1" --output "type=tar,dest=$BATS_TEST_TMPDIR/$1.tar" "${@:2}"
	rm -rf "$BATS_TEST_TMPDIR/$1.root"
	mkdir "$BATS_TEST_TMPDIR/$1.root"
	tar -xf "$BATS_TEST_TMPDIR/$1.tar" -C "$BATS_TEST_TMPDIR/$1.root" --exclude='dev/*' --exclude='data*'
	for name in first uuid out b.txt both.txt c.txt; do
		cat "$BATS_TEST_TMPDIR/$1.root/x/$name"
	done
}

cache_blobs() { # FIND-OPTION...
	find "$BATS_TEST_TMPDIR/cache/blobs/sha256" -type f "$@"
}

@test "nothing changed: a few requests and no layer" {
	on first "${CACHE[@]}" --push -t "$REG/img:1"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	[ "$(image_of first)" = "$(image_of second)" ]
	[ "$(unpacked)" = 0 ]
	[ "$(wc -l <"$PROXY_LOG")" -le 12 ]
	[ "$(requests 'GET /v2/cache/blobs')" = 0 ]
	[ "$(requests 'GET /v2/cache/manifests/cairn-')" = 3 ] # of the target and the steps below it
	[ "$(grep -c "CACHED from $REG/cache" <<<"$output")" = 10 ]
}

@test "a COPY after hits: indexes, and no layer" {
	on first "${CACHE[@]}" --push -t "$REG/img:1"
	echo new >"$CTX/c.txt"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	[ "$(unpacked)" = 1 ] # that of the new step
	[ "$(requests 'GET /v2/app/blobs')" -le 1 ] # the config, unless the cache told it first
	[ "$(find "$CAIRN_HOME/blobs" -size +100k | wc -l)" = 0 ]
}

@test "the last COPY of twenty changed: the steps that hit are not asked for, and none twice" {
	local i
	echo "FROM $REG/app:1" >"$CTX/Dockerfile"
	for i in {1..20}; do
		echo "$i" >"$CTX/f$i"
		echo "COPY f$i /f$i" >>"$CTX/Dockerfile"
	done
	on first "${CACHE[@]}" --push -t "$REG/img:1"
	echo new >"$CTX/f20"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	cat "$PROXY_LOG"
	[ "$(requests 'GET /v2/cache/manifests/cairn-')" = 3 ]
	[ "$(requests 'GET /v2/cache/blobs')" -le 1 ] # an index that is too large for its entry: the base's
	[ "$(requests 'HEAD /v2/(cache|img)/blobs')" = 0 ]
	[ "$(requests 'PUT /v2/(cache|img)/blobs')" = 3 ] # the layer, a small one, to both at once, and the config
	[ "$(requests 'GET /v2/cache/manifests/latest')" = 1 ] # as an image; a cache of BuildKit it is not either
	[ "$(grep -oE '^GET [^ ]*/manifests/cairn-[^ ]*' "$PROXY_LOG" | sort | uniq -d | wc -l)" = 0 ]
	[ "$(wc -l <"$PROXY_LOG")" -le 34 ]
}

@test "a RUN after hits: the layers it stands on, and the right image" {
	files first "${DIR[@]}" >"$BATS_TEST_TMPDIR/one"
	echo new >"$CTX/b.txt"
	on second "${DIR[@]}"
	[ "$(unpacked)" = "$(diff_ids "$(image_of second)" | sort -u | wc -l)" ] # and none of the other stage's
	files second "${DIR[@]}" >"$BATS_TEST_TMPDIR/two"
	printf 'first\n%s\nbuilt\nnew\nbuilt\nnew\nc\n' "$(sed -n 2p "$BATS_TEST_TMPDIR/one")" | diff - "$BATS_TEST_TMPDIR/two"
}

@test "what is built on hits is what one machine alone builds" {
	on first "${CACHE[@]}"
	echo new >"$CTX/b.txt"
	export SOURCE_DATE_EPOCH=1700000000
	on second "${CACHE[@]}"
	on first "${CACHE[@]}"
	[ "$(image_of first)" = "$(image_of second)" ]
}

@test "files that COPY --from takes come alone" {
	on first "${DIR[@]}"
	cat >>"$CTX/Dockerfile" <<-'END'
	COPY --from=build /when /x/when
	END
	on second "${DIR[@]}"
	[ "$(unpacked)" = 1 ] # the layer of the new step
	files second >/dev/null
	grep -qE '^[0-9a-f-]{36}$' "$BATS_TEST_TMPDIR/second.root/x/when"
}

@test "a blob that is gone costs time and nothing else" {
	files first "${DIR[@]}" >"$BATS_TEST_TMPDIR/one"
	cache_blobs -delete
	echo new >"$CTX/b.txt"
	files second "${DIR[@]}" >"$BATS_TEST_TMPDIR/two"
	[[ $output == *"building it again"* ]]
	sed -n '1p;3,$p' "$BATS_TEST_TMPDIR/two" | diff - <(printf 'first\nbuilt\nnew\nbuilt\nnew\nc\n')
}

@test "a blob that is damaged costs time and nothing else" {
	local f
	files first "${DIR[@]}" >"$BATS_TEST_TMPDIR/one"
	for f in $(cache_blobs); do
		printf 'damaged' | dd of="$f" bs=1 seek=40 conv=notrunc status=none
	done
	echo new >"$CTX/b.txt"
	files second "${DIR[@]}" >"$BATS_TEST_TMPDIR/two"
	sed -n '1p;3,$p' "$BATS_TEST_TMPDIR/two" | diff - <(printf 'first\nbuilt\nnew\nbuilt\nnew\nc\n')
}

@test "entries that are damaged are no hits" {
	local f
	files first "${DIR[@]}" >"$BATS_TEST_TMPDIR/one"
	find "$BATS_TEST_TMPDIR/cache/entries" -type f | while read -r f; do
		sed -i 's/"version"/"verzion"/' "$f"
	done
	files second --cache-from "type=local,src=$BATS_TEST_TMPDIR/cache" >"$BATS_TEST_TMPDIR/two"
	[[ $output == *"ignored"* ]]
	sed -n '1p;3,$p' "$BATS_TEST_TMPDIR/two" | diff - <(printf 'first\nbuilt\nb\nbuilt\nb\nc\n')
}

@test "a cache that is not there is told of once" {
	on second --cache-from "type=registry,ref=127.0.0.1:1/cache" -t x
	[ "$(grep -c "the cache 127.0.0.1:1/cache.* does not answer (.*GET .*); going on without it" <<<"$output")" = 1 ]
	[ "$(grep -c "127.0.0.1:1" <<<"$output")" = 1 ]
}

@test "an output reads the files of an image that nothing had to run for" {
	files first "${DIR[@]}" >"$BATS_TEST_TMPDIR/one"
	files second "${DIR[@]}" >"$BATS_TEST_TMPDIR/two"
	diff "$BATS_TEST_TMPDIR/one" "$BATS_TEST_TMPDIR/two"
	[ "$(image_of first)" = "$(image_of second)" ]
}

@test "two runners and two builds of one runner at once" {
	local pids=() pid i
	on first "${DIR[@]}"
	echo new >"$CTX/b.txt"
	for i in second second third third; do # with a name: hits of each other's steps bring files, too
		CAIRN_HOME=$BATS_TEST_TMPDIR/$i "$CAIRN" build --progress=plain -t both:1 --iidfile "$BATS_TEST_TMPDIR/$i.${#pids[@]}" \
			"${DIR[@]}" "$CTX" >"$BATS_TEST_TMPDIR/out.${#pids[@]}" 2>&1 3>&- &
		pids+=("$!")
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	# Who looks before another has published runs the step: two results of it are right.
	for i in second.0 second.1 third.2 third.3; do
		CAIRN_HOME=$BATS_TEST_TMPDIR/${i%.*} "$CAIRN" run "$(<"$BATS_TEST_TMPDIR/$i")" cat /x/both.txt |
			diff - <(printf 'built\nnew\n')
	done
	for i in second third; do
		CAIRN_HOME=$BATS_TEST_TMPDIR/$i "$SANDBOX_BIN/store-check" "$BATS_TEST_TMPDIR/$i"
	done
}

@test "an image that came from a cache is a hit without that cache, and so is what it stands on" {
	on first "${DIR[@]}"
	on second "${DIR[@]}" -t x
	on second -t x
	[ "$(image_of second)" = "$(image_of first)" ]
	[ "$(grep -c '#[0-9]* CACHED' <<<"$output")" = 10 ]
	echo new >"$CTX/c.txt"
	on second -t x
	[ "$(grep -c '#[0-9]* DONE' <<<"$output")" = 1 ]
}

@test "what a cache had whose layers stay there is asked for again" {
	on first "${CACHE[@]}" --push -t "$REG/img:1"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	[ "$(unpacked)" = 0 ]
	[ "$(grep -c "CACHED from $REG/cache" <<<"$output")" = 10 ]
}

@test "a build again on the same runner, without its cache" {
	on first "${CACHE[@]}"
	on second "${CACHE[@]}" --push -t "$REG/img:1"
	echo new >"$CTX/c.txt"
	on second "${CACHE[@]}"
	echo newer >"$CTX/b.txt"
	on second -t x
	[ "$("$CAIRN" run x cat /x/both.txt)" = "$(printf 'built\nnewer')" ]
}
