#!/usr/bin/env bats
# Remote caches and pushes: what one machine has built the next one does not build again.
load common

setup_file() {
	need_tools docker-registry python3 jq skopeo curl
}

setup() {
	setup_suite_dirs
	start_registry
	echo hello >"$CTX/a.txt"
	seed_base
	machine one
}

machine() { # NAME: an empty store, and a folder $OUT
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home-$1
	OUT=$BATS_TEST_TMPDIR/out-$1
	mkdir -p "$OUT"
}

requests() { # [PATTERN]: that the registry has got
	grep -c "\"cairn/.*$1\|$1.*\"cairn/" "$REGISTRY_LOG" || true
}

dockerfile() {
	cat <<-END
	FROM $REG/base:1 AS tools
	RUN echo tool >/tool
	RUN echo more >>/tool

	FROM $REG/base:1
	RUN echo one >/one && date +%s%N >/when
	COPY --from=tools /tool /usr/bin/tool
	COPY a.txt /a.txt
	RUN cat /a.txt /usr/bin/tool >/all
	ENV A=1
	END
}

# Build dockerfile() with a report in $OUT/m.json; $output is what was printed.
go() { # OPTION...
	build_ok --metadata-file "$OUT/m.json" "$@" < <(dockerfile)
}

image() { jq -r '."containerimage.config.digest"' "$OUT/m.json"; }
ran() { grep -cE '^#[0-9]+ \[.* (RUN|COPY|WORKDIR)' <(grep -E "^#[0-9]+ " <<<"$output" | not_cached) || true; }

# Steps of a plain progress that were not answered by a cache, one line each.
not_cached() {
	awk '/^#[0-9]+ \[/ { name[$1] = $0 } /^#[0-9]+ CACHED/ { hit[$1] = 1 }
		END { for (n in name) if (!(n in hit)) print name[n] }'
}

caches() { # NAME: options of --cache-from and --cache-to for that kind, in FROM and TO
	case $1 in
	registry) FROM=type=registry,ref=$REG/cache TO=$FROM ;;
	local) FROM=type=local,src=$BATS_TEST_TMPDIR/dir TO=type=local,dest=$BATS_TEST_TMPDIR/dir ;;
	s3)
		[ -n "$(s3_kind)" ] || skip "no S3 server here"
		start_s3
		export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER AWS_REGION=us-east-1
		FROM=type=s3,bucket=bucket,prefix=p/,region=us-east-1,endpoint_url=http://$S3,use_path_style=true TO=$FROM
		;;
	esac
}

# One machine builds, another one gets everything, a third one only what changed.
exchange() { # KIND
	local first
	caches "$1"
	go --cache-to "$TO,mode=max"
	first=$(image)
	[ "$(ran)" -eq 6 ]

	machine two
	go --cache-from "$FROM" -o "type=oci,dest=$OUT/i.tar"
	[ "$(image)" = "$first" ]
	[ "$(ran)" -eq 0 ]
	skopeo copy -q "oci-archive:$OUT/i.tar" "dir:$OUT/i"

	machine three
	echo changed >"$CTX/a.txt"
	go --cache-from "$FROM" -t app
	[ "$(image)" != "$first" ]
	[ "$(ran)" -eq 2 ]
	run "$CAIRN" run --rm app cat /all
	[ "$output" = $'changed\ntool\nmore' ]

	# A step of a stage that the image itself does not stand on.
	machine four
	build_ok --cache-from "$FROM" --target tools < <(dockerfile)
	[ "$(ran)" -eq 0 ]
}

@test "a registry as a cache: other machines build nothing again" {
	exchange registry
}

@test "a folder as a cache: other machines build nothing again" {
	exchange local
}

@test "S3 as a cache: other machines build nothing again" {
	exchange s3
}

@test "mode=min keeps the steps of the image itself" {
	caches local
	go --cache-to "$TO,mode=min"
	machine two
	go --cache-from "$FROM"
	[ "$(ran)" -eq 0 ]
	machine three
	build_ok --cache-from "$FROM" --target tools < <(dockerfile)
	[ "$(ran)" -eq 2 ]
}

@test "several caches are read together and written together" {
	caches local
	go --cache-to "$TO,mode=max" --cache-to "type=registry,ref=$REG/cache,mode=max" \
		--cache-to "type=local,dest=$BATS_TEST_TMPDIR/other,mode=max,compression=gzip"
	for from in "$FROM" "$REG/cache" "type=local,src=$BATS_TEST_TMPDIR/other"; do
		machine "m-${from//[^a-z]/}"
		go --cache-from "type=local,src=$BATS_TEST_TMPDIR/nothing-here" --cache-from "$from"
		[ "$(ran)" -eq 0 ]
	done
}

@test "a hit in one cache is written to another" {
	caches local
	go --cache-to "$TO,mode=max"
	machine two
	go --cache-from "$FROM" --cache-to "type=registry,ref=$REG/cache,mode=max"
	[ "$(ran)" -eq 0 ]
	machine three
	go --cache-from "$REG/cache"
	[ "$(ran)" -eq 0 ]
	# And what was only in the local store.
	machine one
	go --cache-to "type=local,dest=$BATS_TEST_TMPDIR/third,mode=max"
	[ "$(ran)" -eq 0 ]
	machine four
	go --cache-from "type=local,src=$BATS_TEST_TMPDIR/third" -t app
	[ "$(ran)" -eq 0 ]
	run "$CAIRN" run --rm app cat /all
	[ "$output" = $'hello\ntool\nmore' ]
}

@test "a build that fails leaves its finished steps" {
	caches registry
	build_fails --cache-to "$TO,mode=max" <<-END
	FROM $REG/base:1
	RUN echo one >/one
	RUN echo two >/two
	RUN false
	END
	machine two
	build_ok --cache-from "$FROM" <<-END
	FROM $REG/base:1
	RUN echo one >/one
	RUN echo two >/two
	RUN true
	END
	[ "$(ran)" -eq 1 ]
}

@test "a killed build leaves nothing half: what is found is right" {
	local i n=${CAIRN_KILLS:-12} want
	caches registry
	go
	machine ref
	want=$(jq -r '.cairn.steps' "$BATS_TEST_TMPDIR/out-one/m.json")
	for ((i = 0; i < n; i++)); do
		machine "kill-$i"
		setsid "$CAIRN" build --progress=plain --cache-from "$FROM" --cache-to "$TO,mode=max" --push -t "$REG/app:1" \
			"$CTX" >"$OUT/log" 2>&1 3>&- &
		local pid=$!
		sleep "$(awk -v i="$i" -v n="$n" 'BEGIN { print 0.05 + 0.9 * i / n }')"
		kill -9 -- "-$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
		if skopeo inspect --tls-verify=false --raw "docker://$REG/app:1" >"$OUT/raw" 2>/dev/null; then
			skopeo copy -q --src-tls-verify=false "docker://$REG/app:1" "dir:$OUT/app"
			rm -rf "$OUT/app"
		fi
	done
	machine last
	go --cache-from "$FROM" -t app
	run "$CAIRN" run --rm app cat /all
	[ "$output" = $'hello\ntool\nmore' ]
}

@test "two machines write one cache at once" {
	caches registry
	dockerfile >"$CTX/Dockerfile"
	local m pids=()
	for m in a b c; do
		CAIRN_HOME=$BATS_TEST_TMPDIR/home-$m "$CAIRN" build --progress=plain --cache-to "$TO,mode=max" \
			--push -t "$REG/app:$m" "$CTX" >"$BATS_TEST_TMPDIR/log-$m" 2>&1 3>&- &
		pids+=("$!")
	done
	for m in "${pids[@]}"; do wait "$m"; done
	machine d
	go --cache-from "$FROM" -t app
	[ "$(ran)" -eq 0 ]
	run "$CAIRN" run --rm app cat /all
	[ "$output" = $'hello\ntool\nmore' ]
}

@test "a cache that is down costs a warning, not the image" {
	go --cache-from "$NOBODY/cache"
	[ "$(ran)" -eq 6 ]
	[[ $output == *warning*"$NOBODY"* || $output == *WARN*"$NOBODY"* ]]
}

@test "a cache that cannot be written: the build fails in the end, unless it may" {
	build_fails --cache-to "type=registry,ref=$NOBODY/cache" -t kept < <(dockerfile)
	[[ $output == *"the image was built and is in the store, but "*" finished steps are not published: the cache $NOBODY/cache does not answer; ignore-error=true in --cache-to makes this a warning" ]]
	[ "$(grep -c "Couldn't connect" <<<"$output")" = 1 ] # why, once
	run "$CAIRN" inspect kept
	[ "$status" -eq 0 ]
	machine two
	go --cache-to "type=registry,ref=$NOBODY/cache,ignore-error=true"
	[[ $output == *[0-9]" finished steps are not published: the cache $NOBODY/cache does not answer"* ]]
}

# A build with a cache at a dead port: its seconds, and what it said, in $OUT.
build_with_dead() { # TYPE PORT
	local spec=type=registry,ref=127.0.0.1:$2/cache started=$EPOCHREALTIME
	[ "$1" = registry ] ||
		spec="type=s3,bucket=bucket,region=us-east-1,use_path_style=true,access_key_id=test,secret_access_key=test,endpoint_url=http://127.0.0.1:$2"
	echo 0 >"$OUT/status"
	"$CAIRN" build --progress=plain --cache-from "$spec" --cache-to "$spec,mode=max,ignore-error=true" "$CTX" \
		>"$OUT/output" 2>&1 3>&- || echo $? >"$OUT/status"
	awk "BEGIN { print $EPOCHREALTIME - $started }" >"$OUT/seconds"
}

@test "a cache that answers nothing costs less than ten seconds, and one warning" {
	local type ports i started usual pids=()
	dockerfile >"$CTX/Dockerfile"
	python3 "$BATS_TEST_DIRNAME/dead_server.py" full silent reset busy >"$BATS_TEST_TMPDIR/ports" 3>&- &
	SERVERS+=($!)
	wait_for eval '[ "$(wc -l <"$BATS_TEST_TMPDIR/ports")" = 4 ]'
	mapfile -t ports <"$BATS_TEST_TMPDIR/ports"
	started=$EPOCHREALTIME
	for i in 0 1 2 3 4 5 6 7; do # as many at once without a cache
		machine "usual$i"
		"$CAIRN" build "$CTX" >"$OUT/output" 2>&1 3>&- &
		pids+=($!)
	done
	wait "${pids[@]}"
	usual=$(awk "BEGIN { print 4 * ($EPOCHREALTIME - $started) }") # the machine may be busier now
	pids=()
	for type in registry s3; do
		for i in 0 1 2 3; do
			machine "$type$i"
			build_with_dead $type "${ports[i]}" &
			pids+=($!)
		done
	done
	wait "${pids[@]}"
	for type in registry s3; do
		for i in 0 1 2 3; do
			machine "$type$i"
			cat "$OUT/output"
			echo "$type $i: $(cat "$OUT/seconds") s, without $usual s"
			[ "$(cat "$OUT/status")" = 0 ]
			awk "BEGIN { exit !($(cat "$OUT/seconds") < $usual + 10) }"
			[ "$(grep -c "does not answer (" "$OUT/output")" = 1 ]
			[ "$(grep -c "finished steps are not published" "$OUT/output")" = 1 ]
			[ "$(grep -c "warning:\|WARN" "$OUT/output")" = 2 ]
		done
	done
}

@test "what was finished while the cache was down is published when it is back" {
	printf 'FROM %s/base:1\nRUN echo 1 >/1\nRUN echo 2 >/2\nRUN %s || true; echo 3 >/3\n' "$REG" "$HELD" >"$CTX/Dockerfile"
	"$CAIRN" pull "$REG/base:1"
	take_away
	"$CAIRN" build --progress=plain --cache-to "type=registry,ref=$REG/cache" "$CTX" >"$OUT/output" 2>&1 3>&- &
	local pid=$!
	wait_for grep -q "does not answer (" "$OUT/output"
	restart_registry
	let_go
	wait "$pid"
	cat "$OUT/output"
	[ "$(grep -c "does not answer (" "$OUT/output")" = 1 ]
	machine two
	run "$CAIRN" build --progress=plain --cache-from "type=registry,ref=$REG/cache" "$CTX"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$(ran)" -eq 0 ]
}

@test "what a pull request writes the default branch does not read" {
	caches registry
	pr=(env GITHUB_ACTIONS=true GITHUB_HEAD_REF=main GITHUB_BASE_REF=main GITHUB_REF_NAME=1/merge)
	main=(env GITHUB_ACTIONS=true GITHUB_REF_NAME=main)
	dockerfile >"$CTX/Dockerfile"
	run "${pr[@]}" "$CAIRN" build --progress=plain --cache-to "$TO,mode=max" "$CTX"
	[ "$status" -eq 0 ]

	machine two
	run "${main[@]}" "$CAIRN" build --progress=plain --cache-from "$FROM" --cache-to "$TO,mode=max" "$CTX"
	[ "$status" -eq 0 ]
	[ "$(ran)" -eq 6 ]

	machine three # the request reads what main wrote, and what it wrote itself
	echo new >"$CTX/a.txt"
	run "${pr[@]}" "$CAIRN" build --progress=plain --cache-from "$FROM" --cache-to "$TO,mode=max" "$CTX"
	[ "$(ran)" -eq 2 ]
	machine four
	run "${pr[@]}" "$CAIRN" build --progress=plain --cache-from "$FROM" "$CTX"
	[ "$(ran)" -eq 0 ]
	machine five
	run "${main[@]}" "$CAIRN" build --progress=plain --cache-from "$FROM" "$CTX"
	[ "$(ran)" -eq 2 ]
}

@test "scopes by name, and tags of a reference, are caches of their own" {
	caches registry
	go --cache-to "$TO,mode=max,scope=x"
	machine two
	go --cache-from "$FROM"
	[ "$(ran)" -eq 6 ]
	machine three
	go --cache-from "$FROM,scope=y,fallback-scope=x"
	[ "$(ran)" -eq 0 ]
	machine four
	go --cache-to "type=registry,ref=$REG/cache:t,mode=max"
	machine five
	go --cache-from "$REG/cache:t"
	[ "$(ran)" -eq 0 ]
	machine six
	go --cache-from "$REG/cache:u"
	[ "$(ran)" -eq 6 ]
}

@test "COPY --link finds its layer on another base" {
	caches registry
	build_ok --cache-to "$TO,mode=max" <<-END
	FROM $REG/base:1
	RUN echo 1 >/base
	COPY --link a.txt /a.txt
	END
	machine two
	build_ok --cache-from "$FROM" <<-END
	FROM $REG/base:1
	RUN echo 2 >/base
	COPY --link a.txt /a.txt
	END
	[ "$(ran)" -eq 1 ]
}

@test "a cache inside the image itself" {
	go --push -t "$REG/app:1" --cache-to type=inline
	local first
	first=$(jq -r '."containerimage.digest"' "$OUT/m.json")
	skopeo inspect --tls-verify=false --config --raw "docker://$REG/app:1" | jq -e '."cairn.cache.v1".entries | length == 5'
	machine two # the same image, bit for bit
	go --push -t "$REG/app:2" --cache-from "$REG/app:1" --cache-to type=inline
	[ "$(ran)" -eq 0 ]
	[ "$(jq -r '."containerimage.digest"' "$OUT/m.json")" = "$first" ]
	machine three
	echo changed >"$CTX/a.txt"
	go --cache-from "$REG/app:2" -t app
	[ "$(ran)" -ge 2 ]
	[ "$(ran)" -le 4 ] # what the image does not stand on is not in it
	run "$CAIRN" run --rm app cat /all
	[ "$output" = $'changed\ntool\nmore' ]
	machine four # an image without one, and one that is not there
	go --cache-from "$REG/base:1" --cache-from "$REG/none:1"
	[ "$(ran)" -eq 6 ]
}

# --- pushes ---------------------------------------------------------------------

@test "a pushed image runs here and is what other programs expect" {
	go --push -t "$REG/app:1" -t "$REG/app:latest" -t "$REG/other:1"
	local ref digest
	digest=$(jq -r '."containerimage.digest"' "$OUT/m.json")
	for ref in app:1 app:latest other:1; do
		[ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REG/$ref")" = "$digest" ]
		skopeo copy -q --src-tls-verify=false "docker://$REG/$ref" "dir:$OUT/${ref%:*}"
		[ "$(jq -r .config.digest "$OUT/${ref%:*}/manifest.json")" = "$(image)" ]
	done
	jq -e '[.layers[].mediaType] | all(. == "application/vnd.oci.image.layer.v1.tar+zstd")' "$OUT/app/manifest.json"
	machine two
	"$CAIRN" pull "$REG/app:1"
	run "$CAIRN" run --rm "$REG/app:1" cat /all
	[ "$output" = $'hello\ntool\nmore' ]
}

@test "an empty runner with nothing changed: at most 12 requests, no layer moves" {
	go --push -t "$REG/app:1" --cache-to "type=registry,ref=$REG/cache,mode=max"
	machine two
	local before blobs
	before=$(requests "")
	blobs=$(requests "GET /v2/[a-z]*/blobs")
	go --push -t "$REG/app:1" --cache-from "$REG/cache" --cache-to "type=registry,ref=$REG/cache,mode=max"
	[ "$(ran)" -eq 0 ]
	echo "requests: $(($(requests "") - before))"
	[ $(($(requests "") - before)) -le 12 ]
	[ $(($(requests "GET /v2/[a-z]*/blobs") - blobs)) -le 1 ] # the config of the base
	[ "$(find "$CAIRN_HOME/layers" -mindepth 1 | wc -l)" -eq 0 ]

	# Another tag of the same image: no more than that.
	machine three
	before=$(requests "")
	go --push -t "$REG/app:2" --cache-from "$REG/cache"
	[ $(($(requests "") - before)) -le 12 ]
	[ "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$REG/app:2")" = \
		"$(jq -r '."containerimage.digest"' "$OUT/m.json")" ]
}

@test "a COPY that changed, only COPY after it: no layer of the base is pulled" {
	local files="FROM $REG/base:1
	RUN echo one >/one
	COPY a.txt /a.txt
	WORKDIR /srv
	COPY a.txt b.txt"
	build_ok --push -t "$REG/app:1" --cache-to "type=registry,ref=$REG/cache,mode=max" <<<"$files"
	machine two
	echo changed >"$CTX/a.txt"
	build_ok --push -t "$REG/app:1" --cache-from "$REG/cache" <<<"$files"
	[ "$(ran)" -eq 3 ]
	[ "$(find "$CAIRN_HOME/layers" -path '*/bin/busybox' | wc -l)" -eq 0 ]
	machine three
	"$CAIRN" pull "$REG/app:1"
	run "$CAIRN" run --rm "$REG/app:1" cat /one /srv/b.txt
	[ "$output" = $'one\nchanged' ]
}

@test "options of a push: annotations, digests, media types, compression" {
	go -o "type=registry,name=$REG/a:1,annotation.org.example.a=b,compression=gzip"
	skopeo copy -q --src-tls-verify=false "docker://$REG/a:1" "dir:$OUT/a"
	[ "$(jq -r '.annotations["org.example.a"]' "$OUT/a/manifest.json")" = b ]
	[ "$(jq -r '.layers[-1].mediaType' "$OUT/a/manifest.json")" = application/vnd.oci.image.layer.v1.tar+gzip ]
	go -o "type=image,push=true,name=$REG/d,push-by-digest=true,oci-mediatypes=false"
	local digest
	digest=$(jq -r '."containerimage.digest"' "$OUT/m.json")
	[ "$(curl -s -o "$OUT/d.json" -w '%{http_code}' -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' \
		"http://$REG/v2/d/manifests/$digest")" = 200 ]
	[ "$(jq -r .mediaType "$OUT/d.json")" = application/vnd.docker.distribution.manifest.v2+json ]
	[ "$(jq -r '.layers[-1].mediaType' "$OUT/d.json")" = application/vnd.docker.image.rootfs.diff.tar.gzip ]
	[ "$(curl -s "http://$REG/v2/d/tags/list" | jq -r '.tags | length')" = 0 ]
	go -o "type=registry,name=$REG/f:1,compression=gzip,force-compression=true"
	skopeo copy -q --src-tls-verify=false "docker://$REG/f:1" "dir:$OUT/f"
	jq -e '[.layers[].mediaType] | all(endswith("+gzip"))' "$OUT/f/manifest.json"
}

@test "a registry that lost layers gets them again" {
	go --push -t "$REG/app:1" --cache-to "type=registry,ref=$REG/cache,mode=max"
	take_away
	rm -rf "$DATA/docker/registry/v2/repositories/app"
	restart_registry
	go --push -t "$REG/app:1"
	skopeo copy -q --src-tls-verify=false "docker://$REG/app:1" "dir:$OUT/a"
}

# A forced build takes the place of an entry that others stand on, and the registry then collects what
# has no tag: the layers of their chains are named by their own manifests, too.
@test "a registry that collects what no tag names keeps whole chains" {
	local cache=(--cache-to "type=registry,ref=$REG/cache,mode=max" --cache-from "type=registry,ref=$REG/cache")
	first() { printf 'FROM %s\nRUN date +%%s%%N >/when\n%s\n' "$REG/base:1" "$*"; }
	build_ok "${cache[@]}" < <(first 'RUN cp /when /copy')
	machine two
	build_ok "${cache[@]}" --no-cache < <(first 'RUN echo other >/other')
	take_away
	docker-registry garbage-collect --delete-untagged "$REGISTRY_CONFIG" >/dev/null
	restart_registry
	machine three
	build_ok "${cache[@]}" -o "type=tar,dest=$OUT/i.tar" < <(first $'RUN cp /when /copy\nRUN cmp /when /copy')
	[[ $output == *"3 cached, 1 run"* ]]
}

# The cache is in one registry, the base image in another, which goes away.
@test "a base image whose registry is away: what hits is there" {
	local cache base=$REG away=$REGISTRY
	start_registry
	cache=(--cache-to "type=registry,ref=$REG/cache,mode=max" --cache-from "type=registry,ref=$REG/cache")
	steps() { printf 'FROM %s\nRUN echo one >/one\nCOPY a.txt /\n%s\n' "$base/base:1" "$*"; }
	build_ok "${cache[@]}" --iidfile "$OUT/id" < <(steps)
	take_away "$away" "$base"
	machine two
	build_ok "${cache[@]}" --iidfile "$OUT/id" < <(steps)
	[[ $output == *"3 cached, 0 run"* && $output == *"what a cache remembers of $base/base:1 is used, as of 20"* ]]
	cmp "$OUT/id" "$BATS_TEST_TMPDIR/out-one/id"
	echo changed >"$CTX/a.txt"
	build_ok "${cache[@]}" < <(steps)
	[[ $output == *"2 cached, 1 run"* ]]
	build_fails "${cache[@]}" < <(steps 'RUN cat /a.txt')
	[[ $output == *"$base"* ]]
	build_fails --pull "${cache[@]}" < <(steps)
	machine three # one that knows of no cache
	build_fails < <(steps)
	[[ $output == *"it is not in the store either"* ]]
}

# The entries name the address where the base was when they were written.
@test "a registry that has moved: layers of the base are where the base is now" {
	steps() { printf 'FROM %s\nRUN echo one >/one\nCOPY a.txt /\n%s\n' "$REG/base:1" "$*"; }
	cache() { CACHE=(--cache-to "type=registry,ref=$REG/cache,mode=max" --cache-from "type=registry,ref=$REG/cache"); }
	cache
	build_ok "${CACHE[@]}" --push -t "$REG/app:1" < <(steps)
	take_away
	run_registry
	cache
	machine two
	echo changed >"$CTX/a.txt"
	build_ok "${CACHE[@]}" --push -t "$REG/other:1" < <(steps)
	[[ $output == *"2 cached, 1 run"* ]]
	machine three
	build_ok "${CACHE[@]}" -o "type=tar,dest=$OUT/i.tar" < <(steps 'RUN cat /a.txt >/b.txt')
	[[ $output == *"3 cached, 1 run"* ]]
	[ "$(tar -xOf "$OUT/i.tar" b.txt)" = changed ]
}

@test "a push that fails says so; the image is kept" {
	build_fails --push -t "$NOBODY/app:1" < <(dockerfile)
	[[ $output == *"push to $NOBODY/app: "* ]]
}
