#!/usr/bin/env bats
# Images to a registry and from registry to registry: what is sent, to whom, who may.
load common

setup_file() {
	need_tools docker-registry skopeo zstd python3 htpasswd openssl jq
	make_image one 1
	make_image big 3 90000000 # more than a piece of an upload
}

setup() {
	setup_suite_dirs
	start_registry a
}

login_file() { # NAME:PASSWORD
	mkdir -p "$DOCKER_CONFIG"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REG" "$(printf %s "$1" | base64)" >"$DOCKER_CONFIG/config.json"
}

inspect() { # NAME:TAG
	skopeo inspect --tls-verify=false "docker://$REG/$1"
}

raw() { # NAME:TAG
	skopeo inspect --raw --tls-verify=false "docker://$REG/$1"
}

# An image "built" with a layer of its own on the image at $REG/base:1.
make_built() {
	build_ok -t built <<-END
	FROM $REG/base:1
	RUN echo made >/made
	CMD ["cat", "/made", "/mark"]
	END
}

@test "what was built is pushed, and pulled elsewhere" {
	seed one base:1
	make_built
	ok push built "$REG/app:1"
	[[ $output == "$REG/app:1: sha256:"*" moved in "* ]]
	[ "$(inspect app:1 | jq -r .Digest)" = "$(grep -oE 'sha256:[0-9a-f]{64}' <<<"$output")" ]
	[ "$(inspect app:1 | jq '.Layers | length')" = 6 ]
	machine other
	ok pull "$REG/app:1"
	[ "$("$CAIRN" run "$REG/app:1" | tr -d '\n')" = made1 ]
	[ "$(image_id "$REG/app:1")" = "$(CAIRN_HOME=$BATS_TEST_TMPDIR/home image_id built)" ]
}

@test "a second push and another tag send nothing" {
	seed one base:1
	make_built
	ok push built "$REG/app:1"
	start_proxy
	ok push built "$REG/app:1"
	[[ $output == *", 0 B moved"* ]]
	ok push built "$REG/app:2"
	[[ $output == *", 0 B moved"* ]]
	[ "$(grep -cE '^(GET|HEAD|POST|PATCH|PUT) ' "$PROXY_LOG")" = 4 ] # is the manifest there, the tag
	[ "$(grep -c '^POST' "$PROXY_LOG")" = 0 ]
	[ "$(inspect app:1 | jq -r .Digest)" = "$(inspect app:2 | jq -r .Digest)" ]
}

@test "layers of another repository are mounted" {
	seed one base:1
	start_proxy
	make_built
	ok push --json built "$REG/app:1"
	[ "$(jq .moved_bytes <<<"$output")" -lt 3000 ] # its own layer and config
	grep -q '^POST /v2/app/blobs/uploads/?mount=sha256:.*&from=base' "$PROXY_LOG"
	ok push --json built "$REG/another/name:1"
	[ "$(jq .moved_bytes <<<"$output")" = 0 ]
}

@test "a pulled image keeps its manifest" {
	seed one base:1
	ok pull "$REG/base:1"
	[[ $output == *"$(image_digest one)"* ]]
	local name=$REG/base:1
	start_registry b
	ok push "$name" "$REG/copy:1"
	[ "$(inspect copy:1 | jq -r .Digest)" = "$(image_digest one)" ]
}

@test "compression and annotations" {
	seed one base:1
	make_built
	ok push --compression zstd --compression-level 9 --annotation org.example.a=b built "$REG/app:z"
	raw app:z | jq -e '.annotations["org.example.a"] == "b" and (.layers[5].mediaType | endswith("+zstd"))'
	ok push --compression none built "$REG/app:n"
	raw app:n | jq -e '.layers[5].mediaType | endswith(".tar")'
	ok push --force-compression --compression zstd built "$REG/app:f"
	raw app:f | jq -e 'all(.layers[]; .mediaType | endswith("+zstd"))'
	local t
	for t in z n f; do
		CAIRN_HOME=$BATS_TEST_TMPDIR/home-$t "$CAIRN" pull -q "$REG/app:$t"
		[ "$(CAIRN_HOME=$BATS_TEST_TMPDIR/home-$t "$CAIRN" run "$REG/app:$t" | tr -d '\n')" = made1 ]
	done
	fails 2 push --compression-level 13 built "$REG/app:1"
}

@test "several platforms: an index, selected and copied" {
	local p
	for p in linux/amd64 linux/arm64 linux/riscv64; do
		mkdir -p "$BATS_TEST_TMPDIR/root"
		echo "$p" >"$BATS_TEST_TMPDIR/root/platform"
		tar -C "$BATS_TEST_TMPDIR/root" -cf "$BATS_TEST_TMPDIR/root.tar" .
		ok import --platform $p "$BATS_TEST_TMPDIR/root.tar" "$REG/multi:1"
	done
	ok push --all-platforms --annotation index:org.example.i=x "$REG/multi:1"
	raw multi:1 | jq -e '(.manifests | length) == 3 and .annotations["org.example.i"] == "x"'
	ok push --platform linux/arm64 "$REG/multi:1" "$REG/multi:arm"
	[ "$(inspect multi:arm | jq -r .Architecture)" = arm64 ]
	ok copy "$REG/multi:1" "$REG/all:1"
	[[ $output == *", 0 B moved"* ]]
	diff <(raw multi:1) <(raw all:1)
	ok copy --platform linux/arm64 "$REG/multi:1" "$REG/one:1"
	[ "$(inspect one:1 | jq -r .Digest)" = "$(inspect multi:arm | jq -r .Digest)" ]
	ok copy --platform linux/arm64,linux/riscv64 "$REG/multi:1" "$REG/two:1"
	[ "$(raw two:1 | jq -r '[.manifests[].platform.architecture] | join(" ")')" = "arm64 riscv64" ]
	fails 4 copy --platform linux/s390x "$REG/multi:1" "$REG/no:1"
	[[ $output == *"linux/amd64, linux/arm64, linux/riscv64"* ]]
	local from=$REG
	start_registry b
	ok copy --json "$from/multi:1" "$REG/far:1"
	[ "$(jq .moved_bytes <<<"$output")" -gt 1000 ]
	is_whole far:1
	ok copy --json "$from/multi:1" "$REG/far:2"
	[ "$(jq .moved_bytes <<<"$output")" = 0 ]
	machine other
	ok pull --platform linux/riscv64 "$REG/far:1"
}

@test "a copy from registry to registry moves what the target lacks" {
	seed big base:1
	local from=$REG
	start_registry b
	seed one base:1
	ok copy "$from/base:1" "$REG/copy:1"
	[ "$(inspect copy:1 | jq -r .Digest)" = "$(image_digest big)" ]
	is_whole copy:1
	ok copy "$from/base:1" "$REG/copy:2"
	[[ $output == *", 0 B moved"* ]]
	fails 4 copy "$from/base:7" "$REG/copy:7"
	fails 2 copy "$from/Base:7" "$REG/copy:7"
}

@test "tags are listed, all of them" {
	seed one base:1
	local i
	for i in b a 1.0 c; do
		ok copy "$REG/base:1" "$REG/base:$i"
	done
	ok tags "$REG/base"
	[ "$output" = $'1\n1.0\na\nb\nc' ]
	ok tags --json "$REG/base"
	[ "$(jq -r 'join(" ")' <<<"$output")" = "1 1.0 a b c" ]
	fails 4 tags "$REG/nothing"
}

@test "logins: tried, kept as docker does, forgotten" {
	htpasswd -Bbn me secret >"$BATS_TEST_TMPDIR/htpasswd" 2>/dev/null
	start_registry b "auth: {htpasswd: {realm: test, path: $BATS_TEST_TMPDIR/htpasswd}}"
	mkdir "$DOCKER_CONFIG"
	printf '{"auths":{"other.example":{"auth":"YTpi"}},"credHelpers":{"x.example":"y"},"own":{"deep":[1,2]}}' \
		>"$DOCKER_CONFIG/config.json"
	run "$CAIRN" login -u me --password-stdin "$REG" <<<wrong
	[ "$status" = 7 ]
	[[ $output != *wrong* ]]
	jq -e '.auths | length == 1' "$DOCKER_CONFIG/config.json"
	run "$CAIRN" login -u me --password-stdin "$REG" <<<secret
	[ "$status" = 0 ]
	[ "$(stat -c %a "$DOCKER_CONFIG/config.json")" = 600 ]
	jq -e --arg r "$REG" --arg a "$(printf me:secret | base64)" \
		'.auths[$r].auth == $a and .auths["other.example"].auth == "YTpi" and .own.deep == [1,2] and .credHelpers["x.example"] == "y"' \
		"$DOCKER_CONFIG/config.json"
	import_base
	ok push base "$REG/base:1"
	ok tags "$REG/base"
	ok logout "$REG"
	jq -e --arg r "$REG" '.auths | has($r) | not' "$DOCKER_CONFIG/config.json"
	fails 7 push base "$REG/base:2"
	[[ $output == *"cairn login"* ]]
	ok logout "$REG"
	[[ $output == "Not logged in"* ]]
}

@test "logins go to the credential helper that config.json names" {
	htpasswd -Bbn me secret >"$BATS_TEST_TMPDIR/htpasswd" 2>/dev/null
	start_registry b "auth: {htpasswd: {realm: test, path: $BATS_TEST_TMPDIR/htpasswd}}"
	mkdir -p "$DOCKER_CONFIG" "$BATS_TEST_TMPDIR/bin"
	cat >"$BATS_TEST_TMPDIR/bin/docker-credential-test" <<-'END'
	#!/bin/sh
	case $1 in
	store) cat >"$DOCKER_CONFIG/kept" ;;
	erase) rm -f "$DOCKER_CONFIG/kept" ;;
	get) cat "$DOCKER_CONFIG/kept" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
	esac
	END
	chmod +x "$BATS_TEST_TMPDIR/bin/docker-credential-test"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	printf '{"credHelpers":{"%s":"test"}}' "$REG" >"$DOCKER_CONFIG/config.json"
	run "$CAIRN" login -u me --password-stdin "$REG" <<<secret
	[ "$status" = 0 ]
	[[ $output == *docker-credential-test* ]]
	jq -e --arg r "$REG" '.ServerURL == $r and .Username == "me" and .Secret == "secret"' "$DOCKER_CONFIG/kept"
	[ "$(grep -c "$(printf me:secret | base64)" "$DOCKER_CONFIG/config.json")" = 0 ]
	import_base
	ok push base "$REG/base:1"
	ok logout "$REG"
	[ ! -e "$DOCKER_CONFIG/kept" ]
	fails 7 tags "$REG/base"
}

@test "a token server: one token for the target, one for a mount" {
	start_token_registry --user me:secret
	import_base
	fails 7 push base "$REG/base:1"
	login_file me:secret
	: >"$TOKENS"
	ok push base "$REG/base:1"
	[ "$(<"$TOKENS")" = "repository:base:pull,push" ]
	: >"$TOKENS"
	ok copy "$REG/base:1" "$REG/moved:1"
	[[ $output == *", 0 B moved"* ]]
	grep -qx 'repository:moved:pull,push repository:base:pull' "$TOKENS"
	run "$CAIRN" login -u me --password-stdin "$REG" <<<wrong
	[ "$status" = 7 ]
}

@test "a repository that may not be read is not mounted from" {
	start_token_registry --user me:secret --deny hidden
	login_file me:secret
	import_base
	ok push base "$REG/base:1"
	ok tag base "$REG/hidden:1"
	fails 7 copy "$REG/hidden:1" "$REG/moved:1"
	[[ $output == *"$REG/hidden"* ]]
}

@test "a token that ends in the middle of an upload is renewed" {
	seed big base:1
	local from=$REG
	ok pull "$REG/base:1"
	start_token_registry --user me:secret --life 4
	start_proxy --rate 15000000 # the second piece comes after that
	login_file me:secret
	ok push "$from/base:1" "$REG/slow:1"
	[ "$(grep -c 'repository:slow:pull,push' "$TOKENS")" -gt 1 ]
	ok copy "$REG/slow:1" "$from/back:1"
	REG=$from
	[ "$(inspect back:1 | jq -r .Digest)" = "$(image_digest big)" ]
}

@test "an upload that breaks ends well" {
	seed big base:1
	ok pull "$REG/base:1"
	local from=$REG
	start_registry b
	start_proxy --cut-upload 80000000
	ok push "$from/base:1" "$REG/app:1"
	grep -q 'cut upload' "$PROXY_LOG"
	[ "$(inspect app:1 | jq -r .Digest)" = "$(image_digest big)" ]
	is_whole app:1
}

@test "a copy whose transfers break ends well" {
	seed big base:1
	start_proxy --cut 50000000
	local from=$REG
	start_registry b
	start_proxy --cut-upload 30000000
	ok copy --jobs 1 "$from/base:1" "$REG/app:1"
	grep -q 'cut upload' "$PROXY_LOG"
	[ "$(inspect app:1 | jq -r .Digest)" = "$(image_digest big)" ]
	is_whole app:1
}

@test "an interrupt ends a push soon; the next one goes on" {
	seed big base:1
	ok pull "$REG/base:1"
	local from=$REG pid status=0 since
	start_registry b
	local plain=$REG
	start_proxy --rate 500000 # most of a minute
	"$CAIRN" push "$from/base:1" "$REG/app:1" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	pid=$!
	wait_for grep -qE '^(PATCH|PUT) ' "$PROXY_LOG"
	since=$SECONDS
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ "$status" = 75 ]
	[ $((SECONDS - since)) -le 15 ]
	ok push "$from/base:1" "$plain/app:1"
	REG=$plain
	[ "$(inspect app:1 | jq -r .Digest)" = "$(image_digest big)" ]
}

@test "a certificate of one's own, and none at all" {
	import_base
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=r \
		-addext subjectAltName=IP:127.0.0.1 -keyout "$BATS_TEST_TMPDIR/k.pem" -out "$BATS_TEST_TMPDIR/c.pem" 2>/dev/null
	start_registry b "" ", tls: {certificate: $BATS_TEST_TMPDIR/c.pem, key: $BATS_TEST_TMPDIR/k.pem}"
	printf 'registries:\n  "%s": {ca: %s}\n' "$REG" "$BATS_TEST_TMPDIR/c.pem" >"$BATS_TEST_TMPDIR/ca.yaml"
	printf 'registries:\n  "%s": {insecure_skip_verify: true}\n' "$REG" >"$BATS_TEST_TMPDIR/skip.yaml"
	printf 'registries:\n  "%s": {http: false}\n' "$REG" >"$BATS_TEST_TMPDIR/none.yaml"
	ok push --config "$BATS_TEST_TMPDIR/ca.yaml" base "$REG/base:1"
	ok tags --config "$BATS_TEST_TMPDIR/skip.yaml" "$REG/base"
	fails 9 tags --config "$BATS_TEST_TMPDIR/none.yaml" "$REG/base"
	[[ $output == *certificate* ]]
}

@test "what is pushed is taken by Buildah and Podman" {
	command -v buildah >/dev/null || command -v podman >/dev/null || skip "neither buildah nor podman is installed"
	[ "$(id -u)" = 0 ] || skip "their rootless set-up is not what is tested here"
	seed one base:1
	make_built
	ok push built "$REG/app:1"
	ok push --compression zstd built "$REG/app:2"
	mkdir "$DOCKER_CONFIG"
	echo '{}' >"$DOCKER_CONFIG/config.json"
	local root="--root $BATS_TEST_TMPDIR/storage --runroot $BATS_TEST_TMPDIR/run --storage-driver vfs" t
	for t in 1 2; do
		# shellcheck disable=SC2086
		if command -v buildah >/dev/null; then
			buildah $root pull -q --tls-verify=false "docker://$REG/app:$t"
			local c
			c=$(buildah $root from --pull-never "$REG/app:$t")
			[ "$(cat "$(buildah $root mount "$c")/made")" = made ]
		fi
		# shellcheck disable=SC2086
		if command -v podman >/dev/null; then
			podman $root pull -q --tls-verify=false "$REG/app:$t"
		fi
	done
}

@test "a base of the same registry is mounted, whether it was pulled or pushed from here" {
	seed one base:1
	local layer
	start_proxy
	mkdir ctx2 && printf 'FROM %s/base:1\nRUN echo made >/made\n' "$REG" >ctx2/Dockerfile
	ok build --progress=plain --push -t "$REG/app:1" ctx2
	for layer in $(inspect base:1 | jq -r '.Layers[]'); do
		grep -qE "POST /v2/app/blobs/uploads/\?(.*&)?mount=${layer/:/(:|%3A)}" "$PROXY_LOG"
	done
	[ "$(grep -cE 'PUT /v2/app/blobs' "$PROXY_LOG")" -eq 2 ] # its own layer, the config

	# what was pushed from here is known to be there
	: >"$PROXY_LOG"
	ok build --progress=plain --push -t "$REG/other:1" ctx2
	[ "$(grep -cE 'PUT /v2/other/blobs' "$PROXY_LOG")" -le 1 ] # the config

	: >"$PROXY_LOG"
	import_base
	ok push base "$REG/mine:1"
	printf 'FROM base\nRUN echo made >/made\n' >ctx2/Dockerfile
	ok build --progress=plain --push -t "$REG/third:1" ctx2
	for layer in $(inspect mine:1 | jq -r '.Layers[]'); do
		grep -qE "POST /v2/third/blobs/uploads/\?(.*&)?mount=${layer/:/(:|%3A)}" "$PROXY_LOG"
	done
}

@test "a login that is wrong, or goes nowhere, is one line; a password in the open is warned about" {
	htpasswd -Bbn me right >"$BATS_TEST_TMPDIR/htpasswd"
	start_registry auth "auth: {htpasswd: {realm: x, path: $BATS_TEST_TMPDIR/htpasswd}}"
	fails 7 login -u me -p wrong "$REG"
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == "cairn: warning: --password "*"use --password-stdin" ]]
	[[ ${lines[1]} == "cairn: error: $REG does not accept the login; check user name and password" ]]
	[[ $output != *wrong* ]]
	ok login -u me -p right "$REG"
	[ "$(jq -r ".auths[\"$REG\"].auth" "$DOCKER_CONFIG/config.json" | base64 -d)" = me:right ]
	run "$CAIRN" login -u me --password-stdin 127.0.0.1:1 <<<secret
	[ "$status" -eq 11 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == "cairn: error: 127.0.0.1:1 does not answer, "*"not kept; check the name and the network "* ]]
	[[ $output != *secret* ]]
	[ "$(jq -r '.auths["127.0.0.1:1"]' "$DOCKER_CONFIG/config.json")" = null ]
}

@test "an OCI layout in a folder is a source and a target" {
	seed one base:1
	local digest
	digest=$(<"$BATS_FILE_TMPDIR/one.digest")
	ok copy -q "$REG/base:1" oci:out
	[ "$output" = "$digest" ]
	ok copy "$REG/base:1" oci:out:two
	[[ $output == *"0 B moved"* ]]
	skopeo --insecure-policy --tmpdir "$BATS_TEST_TMPDIR" copy -q --preserve-digests oci:out:two oci:skopeo:x
	rm -rf "$DATA/docker/registry/v2/repositories/base"

	ok copy -q oci:skopeo "$REG/back:1" # skopeo wrote it
	[ "$output" = "$digest" ]
	ok copy -q oci:out:two "$REG/base"
	[ "$output" = "$digest" ]
	[ "$(inspect base:two | jq -r .Digest)" = "$digest" ]
	ok copy oci:out:1 oci:third
	[ -z "$(find third -name '.cairn-*')" ]
	cmp third/index.json <(jq -c '.manifests |= [.[0]]' out/index.json | tr -d '\n')

	fails 4 copy oci:out "$REG/x" # which of the two?
	[[ $output == *"'oci:out' has 2 images; add :TAG to it, of: 1, two"* ]]
	fails 4 copy oci:out:nix "$REG/x"
	fails 10 copy "$REG/base:two" "oci:$BATS_TEST_TMPDIR"
	fails 3 copy "oci:$CTX" "$REG/x"
	fails 4 copy "$REG/nothing:1" oci:new # what came to nothing leaves nothing
	[ ! -e new ]
	mkdir new
	fails 4 copy "$REG/nothing:1" oci:new
	[ -z "$(ls -A new)" ]
}

@test "an OCI layout that lies is not copied" {
	seed one base:1
	ok copy "$REG/base:1" oci:good
	local blob
	for blob in good/blobs/sha256/*; do
		rm -rf bad out && cp -r good bad
		printf x | dd of="bad/blobs/sha256/${blob##*/}" conv=notrunc status=none
		fails 8 copy oci:bad oci:out
		[ ! -e out/index.json ]
		rm -f "bad/blobs/sha256/${blob##*/}"
		ln -s /etc/passwd "bad/blobs/sha256/${blob##*/}"
		run "$CAIRN" copy oci:bad oci:out
		[ "$status" -ne 0 ]
		[ ! -e out/index.json ]
		run "$CAIRN" copy oci:bad "$REG/bad:1"
		[ "$status" -ne 0 ]
	done
	run inspect bad:1
	[ "$status" -ne 0 ]
}

@test "all platforms of an index go through a folder, or one of them" {
	seed one base:1
	local one two
	mkdir plat && printf 'FROM scratch\nCOPY x /\n' >plat/Dockerfile && echo x >plat/x
	ok build --push --platform linux/s390x -t "$REG/multi:s390x" plat
	ok build --push --platform linux/arm64 -t "$REG/multi:arm64" plat
	one=$(inspect multi:s390x | jq -r .Digest) two=$(inspect multi:arm64 | jq -r .Digest)
	jq -nc --arg one "$one" --arg two "$two" --argjson n "$(raw multi:s390x | wc -c)" --argjson m "$(raw multi:arm64 | wc -c)" '
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $one, size: $n, platform: {os: "linux", architecture: "s390x"}},
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $two, size: $m, platform: {os: "linux", architecture: "arm64"}}]}' |
		tr -d '\n' >index
	curl -fs -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' --data-binary @index "http://$REG/v2/multi/manifests/all"
	ok copy -q "$REG/multi:all" oci:all
	ok copy -q oci:all "$REG/again:all"
	[ "$output" = "sha256:$(sha256sum <index | cut -d' ' -f1)" ]
	raw again:all | cmp - index
	ok copy -q --platform linux/arm64 oci:all oci:one:arm
	[ "$output" = "$two" ]
}

@test "an archive of docker's is a source and a target" {
	seed one base:1
	export TMPDIR=$BATS_TEST_TMPDIR
	local digest diff_ids
	digest=$(<"$BATS_FILE_TMPDIR/one.digest")
	ok copy -q "$REG/base:1" docker-archive:out.tar
	[ "$output" = "$digest" ]
	[ "$(tar -xOf out.tar manifest.json | jq -r '.[0].RepoTags[0]')" = "$REG/base:1" ]
	diff_ids=$(skopeo inspect --config docker-archive:out.tar | jq -c .rootfs.diff_ids)
	ok copy -q "$REG/base:1" docker-archive:named.tar:other:2
	[ "$(tar -xOf named.tar manifest.json | jq -r '.[0].RepoTags[0]')" = other:2 ]

	# skopeo's has files called HEX.json and HEX.tar, layers that are not compressed
	skopeo --insecure-policy copy -q docker-archive:out.tar docker-archive:skopeo.tar:app:7
	tar -tf skopeo.tar | grep -q '\.tar$'
	ok copy -q docker-archive:skopeo.tar:app:7 "$REG/back"
	skopeo inspect --tls-verify=false --raw "docker://$REG/back:7" | jq -e '.layers | all(.mediaType | endswith("+zstd"))'
	[ "$diff_ids" = "$(skopeo inspect --tls-verify=false --config "docker://$REG/back:7" | jq -c .rootfs.diff_ids)" ]
	ok copy -q docker-archive:skopeo.tar docker-archive:again.tar
	[ "$(skopeo inspect --config docker-archive:again.tar | jq -c .rootfs.diff_ids)" = "$diff_ids" ]
	ok pull -q "$REG/back:7"
	[ "$("$CAIRN" run --rm "$REG/back:7" echo hi)" = hi ]

	# an old one has links between folders, and what it says is checked
	mkdir old && tar -C old -xf skopeo.tar && chmod -R u+w old
	(cd old && for f in *.tar; do
		mkdir "d-${f%.tar}" "e-${f%.tar}" && mv "$f" "d-${f%.tar}/layer.tar"
		ln -s "../d-${f%.tar}/layer.tar" "e-${f%.tar}/layer.tar"
		sed -i "s|\"$f\"|\"e-${f%.tar}/layer.tar\"|g" manifest.json
	done)
	tar -C old -czf old.tar.gz .
	ok copy -q docker-archive:old.tar.gz "$REG/old:1"
	[ "$output" = "$(skopeo inspect --tls-verify=false "docker://$REG/back:7" | jq -r .Digest)" ]
	fails 4 copy docker-archive:old.tar.gz:nix "$REG/x"
	[[ $output == *"'old.tar.gz' has no image 'nix:latest'; there is: "*"app:7"* ]]
	chmod -R u+w old # skopeo's files are read-only
	(cd old && printf x >>"$(ls -d d-*/layer.tar | head -1)")
	tar -C old -cf bad.tar .
	fails 8 copy docker-archive:bad.tar "$REG/x"
	rm -r old/d-*
	tar -C old -cf bad.tar .
	fails 3 copy docker-archive:bad.tar "$REG/x"
	[[ $output == *"manifest.json names 'e-"*"which is not there"* ]]
	fails 3 copy oci-archive:bad.tar "$REG/x"
	[ -z "$(find . "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.cairn-*')" ]
}

@test "an OCI archive is a source and a target" {
	seed one base:1
	export TMPDIR=$BATS_TEST_TMPDIR
	local digest
	digest=$(<"$BATS_FILE_TMPDIR/one.digest")
	ok copy -q "$REG/base:1" oci-archive:out.tar
	[ "$output" = "$digest" ]
	ok copy -q "$REG/base:1" oci-archive:twice.tar
	cmp out.tar twice.tar
	[ -z "$(find . "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.cairn-*')" ]
	skopeo --insecure-policy copy -q --preserve-digests oci-archive:out.tar:1 oci-archive:skopeo.tar:x
	zstd -q skopeo.tar
	ok copy -q oci-archive:skopeo.tar.zst "$REG/back:1"
	[ "$output" = "$digest" ]

	mkdir ctx2 && printf 'FROM scratch\nCOPY x /\n' >ctx2/Dockerfile && echo x >ctx2/x
	ok build -t built:5 -o type=oci,dest=built.tar ctx2
	ok copy -q oci-archive:built.tar "$REG/built:1"
	[ "$output" = "$(tar -xOf built.tar index.json | jq -r '.manifests[0].digest')" ]

	fails 4 copy oci-archive:out.tar:nix "$REG/x"
	[[ $output == *"'oci-archive:out.tar' has no image 'nix'; there is: 1"* ]]
	fails 4 copy oci-archive:none.tar "$REG/x"
	head -c 20000 out.tar >cut.tar
	fails 8 copy oci-archive:cut.tar "$REG/x"
	tar -cf other.tar ctx2
	fails 3 copy oci-archive:other.tar "$REG/x"
	[[ $output == *"'other.tar' is no OCI archive"* ]]
	fails 5 copy "$REG/base:1" docker-daemon:x
	[ -z "$(find . "$BATS_TEST_TMPDIR" -maxdepth 1 -name '.cairn-*')" ]
}
