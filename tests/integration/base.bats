#!/usr/bin/env bats
# cairn.yaml, mirrors, cairn.lock and copies of base images, with two real registries.
load common

setup_file() {
	need_tools docker-registry skopeo jq curl python3 git
	make_image one 1
	make_image two 2
}

setup() {
	setup_suite_dirs
	start_registry mirror
	mirror=$REG mirror_pid=$REGISTRY mirror_log=$REGISTRY_LOG
	start_registry origin
	origin=$REG origin_pid=$REGISTRY origin_log=$REGISTRY_LOG
	seed one app:1
	git init -q "$CTX"
}

digest_at() { # HOST NAME TAG
	curl -fsI -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' \
		"http://$1/v2/$2/manifests/$3" | tr -d '\r' | awk 'tolower($1) == "docker-content-digest:" { print $2 }'
}

# app:2 of the origin: an index of both images, the second for another platform.
push_index() {
	local one two size_one size_two
	seed two app:two
	one=$(digest_at "$origin" app 1) two=$(digest_at "$origin" app two)
	size_one=$(curl -fs "http://$origin/v2/app/manifests/$one" -H 'Accept: application/vnd.oci.image.manifest.v1+json' | wc -c)
	size_two=$(curl -fs "http://$origin/v2/app/manifests/$two" -H 'Accept: application/vnd.oci.image.manifest.v1+json' | wc -c)
	jq -nc --arg one "$one" --arg two "$two" --argjson n "$size_one" --argjson m "$size_two" --arg arch "$(architecture)" '
		{schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $one, size: $n, platform: {os: "linux", architecture: $arch}},
		{mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $two, size: $m, platform: {os: "linux", architecture: "s390x"}}]}' |
		tr -d '\n' >"$BATS_TEST_TMPDIR/index.json"
	curl -fs -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
		--data-binary "@$BATS_TEST_TMPDIR/index.json" "http://$origin/v2/app/manifests/2"
}

# Another store: a process that syncs the old one may still be there.
fresh_home() {
	HOMES=$((${HOMES:-0} + 1))
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home.$HOMES
}

architecture() {
	case $(uname -m) in x86_64) echo amd64 ;; aarch64) echo arm64 ;; *) uname -m ;; esac
}

settings() { # text on standard input
	cat >"$CTX/cairn.yaml"
}

# What the base's mark is to a step.
mark() { # [OPTION...]
	build_ok --no-cache "$@" <<-END
	FROM $origin/app:1
	RUN echo mark=\$(cat /mark)
	END
	grep -oE '^#[0-9]+ [0-9.]+ mark=.*' <<<"$output" | sed 's/.*mark=//'
}

dockerfile() {
	printf 'FROM %s/app:%s\nRUN echo mark=$(cat /mark)\n' "$origin" "${1:-1}" >"$CTX/Dockerfile"
}

@test "a mirror is asked in place of the registry, and names stay" {
	REG=$mirror seed one hub/app:1
	take_away "$origin_pid" "$origin"
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	[ "$(mark)" = 1 ]
	[[ $output != *warning* ]]
	run "$CAIRN" images --names
	[[ $output == *"$origin/app:1"* && $output != *"$mirror"* ]]
}

@test "the registry comes last, or where it stands" {
	REG=$mirror seed two hub/app:1
	settings <<<"mirrors: {\"$origin\": [\"$origin\", $mirror/hub]}"
	[ "$(mark)" = 1 ]
	fresh_home
	settings <<<"mirrors: {\"$origin\": [$mirror/hub, \"$origin\"]}"
	[ "$(mark)" = 2 ]
}

@test "a mirror that is down, or has not the image, is told of once" {
	local df
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	df=$(printf 'FROM %s/app:1 AS a\nFROM %s/app:1\nCOPY --from=a /mark /x\nRUN echo mark=$(cat /mark)\n' "$origin" "$origin")
	build_ok <<<"$df"
	[ "$(grep -c 'is passed over' <<<"$output")" = 1 ]
	[[ $output == *"mirror $mirror/hub is passed over:"*"not found"* ]]
	fresh_home
	take_away "$mirror_pid" "$mirror"
	build_ok <<<"$df"
	# An ordinary user's build is two processes: the second is in a user namespace.
	[ "$(grep -c 'is passed over' <<<"$output")" -le $(($(id -u) == 0 ? 1 : 2)) ]
	[[ $output == *"mirror $mirror/hub is passed over: "*"connect"* ]]
	[[ $output == *mark=1* ]]
}

@test "steps have the same keys from a mirror and from the registry" {
	local df
	df=$(printf 'FROM %s/app:1\nRUN echo running\n' "$origin")
	build_ok <<<"$df"
	REG=$mirror seed one hub/app:1
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	build_ok --pull <<<"$df"
	[[ $output == *" 0 run"* ]]
	grep -q 'GET.*/v2/hub/app/manifests/1' "$mirror_log"
}

@test "layers come from the registry when the mirror has lost them" {
	REG=$mirror seed one hub/app:1
	find "$BATS_TEST_TMPDIR/mirror.data" -path '*/_layers/sha256/*' -name link -delete
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	[ "$(mark)" = 1 ]
}

@test "a mirror that sends a damaged layer costs time, not the build" {
	local file
	REG=$mirror seed one hub/app:1
	for file in $(find "$BATS_TEST_TMPDIR/mirror.data" -name data -size +100k); do
		printf damaged | dd of="$file" bs=1 seek=50000 conv=notrunc status=none
	done
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	[ "$(mark)" = 1 ]
	grep -q 'GET.*/v2/hub/app/blobs/' "$mirror_log"
	grep -q 'GET.*/v2/app/blobs/' "$origin_log"
}

@test "cairn.lock holds a tag that moves; update renews it and shows what changed" {
	local first second
	first=$(digest_at "$origin" app 1)
	dockerfile
	"$CAIRN" base lock
	grep -qxF "$origin/app:1 $first" cairn.lock
	[ "$(mark)" = 1 ]
	seed two app:1
	second=$(digest_at "$origin" app 1)
	[ "$(mark --pull)" = 1 ]
	fresh_home
	[ "$(mark)" = 1 ]
	run "$CAIRN" base lock
	[ "$status" = 0 ]
	[[ $output == *"up to date"* ]]
	run "$CAIRN" base update --check
	[ "$status" = 1 ]
	grep -qF "$first" cairn.lock
	run "$CAIRN" base update
	[ "$status" = 0 ]
	echo "$output"
	[[ $output == *"${first:7:12}"*"${second:7:12}"**" MB -> "*" MB"* ]]
	grep -qxF "$origin/app:1 $second" cairn.lock
	[ "$(mark)" = 2 ]
	run "$CAIRN" base update --check "$origin/app"
	[ "$status" = 0 ]
}

@test "update shows when images were made" {
	local epoch
	printf 'FROM %s/dated:1\n' "$origin" >Dockerfile
	for epoch in 1700000000 1710000000; do
		printf 'FROM %s/app:1\nENV E=%s\n' "$origin" "$epoch" >dated
		SOURCE_DATE_EPOCH=$epoch "$CAIRN" build -q --push -t "$origin/dated:1" -f dated .
		run "$CAIRN" base update
		[ "$status" = 0 ]
	done
	echo "$output"
	[[ $output == *"2023-11-14 -> 2024-03-09"* ]]
}

@test "sync of one platform copies that image alone" {
	push_index
	dockerfile 2
	settings <<<"base: {registry: $mirror/base}"
	"$CAIRN" base sync --platform "linux/$(architecture)"
	[ "$(digest_at "$mirror" "base/${origin/:/-}/app" 2)" = "$(digest_at "$origin" app 1)" ]
	take_away "$origin_pid" "$origin"
	run "$CAIRN" build --progress=plain .
	[[ $output == *mark=1* ]]
}

@test "a digest that is gone says what to do" {
	dockerfile
	"$CAIRN" base lock
	sed -i 's/sha256:.*/sha256:1111111111111111111111111111111111111111111111111111111111111111/' cairn.lock
	run "$CAIRN" build .
	echo "$output"
	[ "$status" = 4 ]
	[[ $output == *"the lock file pins it"*"cairn base update"* ]]
}

@test "what a tag means the registry says, not a mirror that is behind; without it the mirror" {
	REG=$mirror seed two hub/app:1 # an older one, say
	printf 'FROM %s/app:1\n' "$origin" >Dockerfile
	settings <<<"mirrors: {\"$origin\": [$mirror/hub]}"
	"$CAIRN" base lock
	grep -qxF "$origin/app:1 $(<"$BATS_FILE_TMPDIR/one.digest")" cairn.lock
	REG=$mirror seed one hub/app:new
	REG=$origin seed two app:1
	run "$CAIRN" base update
	[ "$status" -eq 0 ]
	[[ $output != *warning* ]]
	grep -qxF "$origin/app:1 $(<"$BATS_FILE_TMPDIR/two.digest")" cairn.lock
	REG=$mirror seed one hub/app:1
	take_away "$origin_pid" "$origin"
	run "$CAIRN" base update
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *"warning: $origin/app:1: what a mirror says is taken: "* ]]
	grep -qxF "$origin/app:1 $(<"$BATS_FILE_TMPDIR/one.digest")" cairn.lock
}

@test "lock --check fails for a tag that is not pinned, and --prune removes what nobody names" {
	dockerfile
	run "$CAIRN" base lock --check
	[ "$status" = 1 ]
	[ ! -e cairn.lock ]
	"$CAIRN" base lock
	run "$CAIRN" base lock --check
	[ "$status" = 0 ]
	printf 'FROM scratch\n' >Dockerfile
	run "$CAIRN" base lock --check
	[ "$status" = 0 ]
	[[ $output == *"no Dockerfile names"* ]]
	"$CAIRN" base lock --prune
	run grep -c sha256 cairn.lock
	[ "$output" = 0 ]
}

@test "an image that is nowhere is told, and the others are pinned" {
	printf 'FROM %s/app:1\nFROM %s/gone:1\n' "$origin" "$origin" >Dockerfile
	run "$CAIRN" base lock
	[ "$status" = 1 ]
	[[ $output == *"warning: $origin/gone:1: "*"1 of 2 base images were not found"* ]]
	grep -q "$origin/app:1" cairn.lock
	settings <<<"base: {ignore: [\"$origin/gone\"]}"
	"$CAIRN" base lock --check
}

@test "sync copies all platforms, twice moves nothing, and builds use the copies" {
	push_index
	dockerfile 2
	settings <<<"base: {registry: $mirror/base}"
	run "$CAIRN" base sync
	[ "$status" = 0 ]
	echo "$output"
	[[ $output == *"$origin/app:2"*"MB"* || $output == *"$origin/app:2"*"KB"* ]]
	name=base/${origin/:/-}/app
	[ "$(digest_at "$mirror" "$name" 2)" = "$(digest_at "$origin" app 2)" ]
	digest_at "$mirror" "$name" "$(digest_at "$origin" app two)" | grep -q sha256
	run "$CAIRN" base sync --json
	[ "$(jq '[.[].moved_bytes] | add' <<<"$output")" = 0 ]
	take_away "$origin_pid" "$origin"
	run "$CAIRN" build --progress=plain .
	[ "$status" = 0 ]
	[[ $output == *mark=1* && $output != *warning* ]]
}

@test "sync copies what cairn.lock pins" {
	dockerfile
	"$CAIRN" base lock
	seed two app:1
	settings <<<"base: {registry: $mirror/base}"
	"$CAIRN" base sync
	grep -q "$(digest_at "$mirror" "base/${origin/:/-}/app" 1)" cairn.lock
	take_away "$origin_pid" "$origin"
	[ "$(mark)" = 1 ]
}

@test "an image that was not copied comes from its registry, without a word" {
	settings <<<"base: {registry: $mirror/base}"
	[ "$(mark)" = 1 ]
	[[ $output != *warning* ]]
}

@test "a killed sync goes on with the next" {
	local i
	dockerfile
	settings <<<"base: {registry: $mirror/base}"
	for i in 0.01 0.03 0.05 0.1; do
		timeout -s KILL "$i" "$CAIRN" base sync >/dev/null 2>&1 || true
	done
	"$CAIRN" base sync
	run "$CAIRN" base sync --json
	[ "$(jq '[.[].moved_bytes] | add' <<<"$output")" = 0 ]
	[ "$(digest_at "$mirror" "base/${origin/:/-}/app" 1)" = "$(digest_at "$origin" app 1)" ]
}

@test "list tells where images are used and what pins them" {
	mkdir api node_modules
	printf 'FROM %s/app:1\n' "$origin" >api/Dockerfile.dev
	printf 'FROM elsewhere\n' >node_modules/Dockerfile
	printf 'ARG V\nFROM %s/app:1\nFROM x:$V\nCOPY --from=other:3 / /\n' "$origin" >Dockerfile
	"$CAIRN" base lock "$origin/app"
	run "$CAIRN" base list
	[ "$status" = 0 ]
	[[ $output == *"Dockerfile:3: 'x:\$V' names no image: V has no default"* ]]
	[[ $output == *"$origin/app:1"*"locked"*"Dockerfile:2 +1"* ]]
	[[ $output == *"other:3"*"not locked"*"Dockerfile:4"* && $output != *elsewhere* ]]
	[ "$("$CAIRN" base list --json 2>/dev/null | jq -r '.[0].places[1].file')" = api/Dockerfile.dev ]
}

@test "registries: says which are spoken to by plain HTTP" {
	settings <<<"registries: {\"$origin\": {http: false}}"
	dockerfile
	run "$CAIRN" build .
	[ "$status" -ne 0 ]
	[[ $output == *"TLS"* || $output == *"SSL"* || $output == *"ssl"* || $output == *"certificate"* ]]
	settings <<<"registries: {\"$origin\": {http: true}}"
	[ "$(mark)" = 1 ]
}

@test "sandbox_network: none takes the network from steps, --network=host gives it back" {
	settings <<<"sandbox_network: none"
	build_ok <<-END
	FROM $origin/app:1
	RUN [ "\$(ls /sys/class/net)" = lo ]
	END
	build_ok --network=host --no-cache <<-END
	FROM $origin/app:1
	RUN cat /proc/net/dev | wc -l
	END
}

@test "a mistake in cairn.yaml stops the build with its place" {
	dockerfile
	settings <<<"mirors: {}"
	run "$CAIRN" build .
	[ "$status" = 3 ]
	[[ $output == *"cairn.yaml:1:1: unknown key 'mirors'; did you mean 'mirrors'?"* ]]
	run "$CAIRN" build --config /dev/null .
	[ "$status" = 0 ]
	CAIRN_CONFIG=/nowhere run "$CAIRN" build .
	[ "$status" = 4 ]
}

@test "cache: of cairn.yaml is used by a plain build, on another machine" {
	settings <<<"cache: local:shared"
	printf 'FROM %s/app:1\nRUN echo running\n' "$origin" >Dockerfile
	run "$CAIRN" build --progress=plain .
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *running* ]]
	[ -d shared ]
	fresh_home
	run "$CAIRN" build --progress=plain .
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *" 0 run"* ]]
	fresh_home
	settings <<<"cache: {url: \"registry://$mirror/cache\", scope: x}"
	run "$CAIRN" build --progress=plain .
	fresh_home
	run "$CAIRN" build --progress=plain .
	echo "$output"
	[[ $output == *" 0 run"* ]]
	fresh_home
	settings <<<"cache: \"registry://$mirror/cache?scope=y&read_only=true\""
	run "$CAIRN" build --progress=plain .
	[[ $output == *" 0 cached"* ]]
}
