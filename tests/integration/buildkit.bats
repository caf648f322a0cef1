#!/usr/bin/env bats
# Caches in BuildKit's format at a registry: written, read, damaged. Against the real BuildKit:
# tests/compare/buildkit-cache.
load common

setup_file() {
	need_tools docker-registry python3 jq skopeo curl
}

setup() {
	setup_suite_dirs
	start_registry
	echo hello >"$CTX/a.txt"
	mkdir "$CTX/d"
	echo x >"$CTX/d/x"
	echo y >"$CTX/d/y"
	seed_base
	CACHE=type=registry,ref=$REG/cache:bk
	machine one
}

dockerfile() {
	cat <<-END
	FROM $REG/base:1 AS tools
	ARG V=1
	RUN date +%s%N >/tool; echo \$V >/version
	RUN true

	FROM $REG/base:1
	WORKDIR /w
	COPY d/* /w/
	COPY --from=tools /tool /usr/bin/tool
	RUN --mount=type=cache,target=/c date +%s%N >/when
	COPY a.txt /a.txt
	RUN cat /a.txt /when >/all
	CMD ["x"]
	END
}

manifest() { # REFERENCE
	curl -sf -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' \
		"http://$REG/v2/cache/manifests/$1"
}

@test "a cache in BuildKit's format warms an empty machine" {
	build_ok -t app --cache-to "$CACHE,mode=max,format=buildkit" < <(dockerfile)
	local ids
	ids=$(diff_ids app)
	[ -n "$ids" ]
	manifest bk | jq -e '.mediaType == "application/vnd.oci.image.manifest.v1+json"
		and .config.mediaType == "application/vnd.buildkit.cacheconfig.v0"
		and all(.layers[]; .annotations["containerd.io/uncompressed"] != null)'
	machine two
	build_ok -t app --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"10 cached, 0 run"* ]]
	[ "$(diff_ids app)" = "$ids" ]
	# Every step of the image names where its result is from; what it once cost nobody knows.
	"$CAIRN" explain app | tee /dev/stderr | awk '
		/^hit.* (RUN|COPY|WORKDIR)/ && !/tools/ { n++; named += /BuildKit.s cache/; cost += /saved/ }
		END { exit !(n >= 5 && named == n && !cost) }'
}

@test "a cache written again is the same to the byte, and it may be an index" {
	build_ok --cache-to "$CACHE,mode=max,format=buildkit" < <(dockerfile)
	local first
	first=$(manifest bk | sha256sum)
	build_ok --cache-to "$CACHE,mode=max,format=buildkit" \
		--cache-to "type=registry,ref=$REG/cache:old,mode=max,format=buildkit,image-manifest=false" < <(dockerfile)
	[ "$(manifest bk | sha256sum)" = "$first" ]
	manifest old | jq -e '.mediaType == "application/vnd.oci.image.index.v1+json"
		and .manifests[-1].mediaType == "application/vnd.buildkit.cacheconfig.v0"'
	machine two
	build_ok --cache-from "type=registry,ref=$REG/cache:old" < <(dockerfile)
	[[ $output == *"10 cached, 0 run"* ]]
}

@test "steps that changed run on what the cache has" {
	build_ok -o "type=tar,dest=$BATS_TEST_TMPDIR/one.tar" --cache-to "$CACHE,mode=max,format=buildkit" < <(dockerfile)
	machine two
	echo changed >"$CTX/a.txt"
	build_ok -o "type=tar,dest=$BATS_TEST_TMPDIR/two.tar" --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"8 cached, 2 run"* ]]
	local file
	for file in when usr/bin/tool; do
		[ "$(tar xOf "$BATS_TEST_TMPDIR/one.tar" $file)" = "$(tar xOf "$BATS_TEST_TMPDIR/two.tar" $file)" ]
	done
	[ "$(tar xOf "$BATS_TEST_TMPDIR/two.tar" all | head -1)" = changed ]
	# The other stage alone, with another argument: nothing is taken for it.
	machine three
	build_ok --target tools --build-arg V=2 --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"0 cached, 3 run"* ]]
}

@test "mode=min has the results of the image alone" {
	build_ok --cache-to "$CACHE,mode=min,format=buildkit" < <(dockerfile)
	machine two
	build_ok --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *", 0 run"* ]]
	machine three
	build_ok --target tools --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"3 run"* ]] # and the image is brought
}

@test "what was taken from the cache goes into a cache of cairn's own" {
	build_ok --cache-to "$CACHE,mode=max,format=buildkit" < <(dockerfile)
	machine two
	build_ok --cache-from "$CACHE" --cache-to "type=registry,ref=$REG/own,mode=max" < <(dockerfile)
	machine three
	build_ok --cache-from "type=registry,ref=$REG/own" < <(dockerfile)
	[[ $output == *", 0 run"* ]]
}

@test "a cache that has lost a layer is a miss, and the image is right" {
	build_ok -t app --cache-to "$CACHE,mode=max,format=buildkit" < <(dockerfile)
	local digest
	for digest in $(manifest bk | jq -r '.layers[].digest'); do
		rm -rf "$DATA/docker/registry/v2/repositories/cache/_layers/sha256/${digest#sha256:}"
	done
	machine two
	build_ok -o "type=tar,dest=$BATS_TEST_TMPDIR/two.tar" --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"is not used"* ]]
	[ "$(tar xOf "$BATS_TEST_TMPDIR/two.tar" all | head -1)" = hello ]
}

@test "a cache that makes no sense is a warning" {
	local config=$BATS_TEST_TMPDIR/config digest size
	printf '{"records":[{"inputs":[[{"link":0}]]}]}' >"$config"
	digest=sha256:$(sha256sum "$config" | cut -d' ' -f1)
	size=$(stat -c %s "$config")
	local url
	url=$(curl -sf -X POST -D - "http://$REG/v2/cache/blobs/uploads/" -o /dev/null | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	curl -sf -X PUT --data-binary "@$config" -H 'Content-Type: application/octet-stream' "$url&digest=$digest"
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.buildkit.cacheconfig.v0","digest":"%s","size":%s},"layers":[]}' \
		"$digest" "$size" | curl -sf -X PUT --data-binary @- \
		-H 'Content-Type: application/vnd.oci.image.manifest.v1+json' "http://$REG/v2/cache/manifests/bk"
	build_ok --cache-from "$CACHE" < <(dockerfile)
	[[ $output == *"circle"* ]]
	[[ $output == *"10 run"* ]]
}

@test "what is no cache of BuildKit is passed over in silence" {
	build_ok --cache-from "type=registry,ref=$REG/nothing:here" --cache-from "type=registry,ref=$REG/base:1" < <(dockerfile)
	[[ $output != *"is not used"* ]]
}
