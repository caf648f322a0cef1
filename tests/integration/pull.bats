#!/usr/bin/env bats
# Base images from a registry: what is unpacked, when the network is asked, what breaks.
load common

setup_file() {
	need_tools docker-registry skopeo zstd python3 htpasswd jq
	make_image one 1
	make_image two 2
	make_image big 3 12000000
	MAKE_IMAGE_LIE=1 make_image liar 4
}

setup() {
	setup_suite_dirs
	start_registry
	seed one app:1
}

teardown() {
	stop_servers
	[ -z "${MOUNTED-}" ] || umount -l "$MOUNTED"
	remove_stores
}

# File of a blob of the pushed image, by the position of its layer.
layer_file() { # IMAGE INDEX
	local hex
	hex=$(layer_digest "$1" "$2")
	hex=${hex#sha256:}
	echo "$DATA/docker/registry/v2/blobs/sha256/${hex:0:2}/$hex/data"
}

layer_digest() { # IMAGE INDEX
	local top
	top=$(jq -r '.manifests[0].digest' "$BATS_FILE_TMPDIR/$1/index.json")
	jq -r ".layers[$2].digest" "$BATS_FILE_TMPDIR/$1/blobs/sha256/${top#sha256:}"
}

# Complete layers in the store, and what unfinished work has left.
unpacked() {
	find "$CAIRN_HOME/layers" -mindepth 1 -maxdepth 1 | wc -l
}

mark() { # OPTION...: the base's mark as a step sees it
	build_ok --no-cache "$@" <<-END
	FROM $REG/app:1
	RUN echo mark=\$(cat /mark)
	END
	grep -oE '^#[0-9]+ [0-9.]+ mark=.*' <<<"$output" | sed 's/.*mark=//'
}

@test "layers are unpacked as they lie on each other" {
	build_ok --output "type=tar,dest=$BATS_TEST_TMPDIR/root.tar" <<-END
	FROM $REG/app:1
	END
	tar -tvf "$BATS_TEST_TMPDIR/root.tar" --numeric-owner |
		awk '{ $3 = $1 ~ /^d/ ? "-" : $3; $4 = $5 = ""; print }' | tr -s ' ' |
		sed 's| \./| |; s| /| |; s|/$||' | grep -vE ' -> busybox$|bin/busybox$' | LC_ALL=C sort -k4 >"$BATS_TEST_TMPDIR/got"
	sed 's/^\t*//' >"$BATS_TEST_TMPDIR/want" <<-'END'
	lrwxrwxrwx 0/0 0 bin -> usr/bin
	drwxr-x--- 3/4 - data
	-rw-r--r-- 0/0 3 data/new
	drwxr-xr-x 0/0 - dev
	drwxr-xr-x 0/0 - etc
	-rw-r--r-- 0/0 30 etc/passwd
	-rw-r--r-- 0/0 30 etc/passwd.link
	-rw-r--r-- 0/0 1 etc/twice
	drwxr-xr-x 0/0 - keep
	-rw-r--r-- 0/0 0 keep/stays
	lrwxrwxrwx 0/0 0 lib -> usr/lib
	-rw-r--r-- 0/0 1 mark
	-rw-r--r-- 1234/4321 1 owned
	drwx--x--x 0/0 - plain
	-rw-r--r-- 0/0 0 plain/inside
	drwxr-xr-x 0/0 - proc
	drwx------ 0/0 - root
	-rw-r--r-- 0/0 0 root/x
	drwxr-xr-x 0/0 - sys
	drwxrwxrwt 0/0 - tmp
	-rw-r--r-- 0/0 0 tmp/y
	-rw-r--r-- 0/0 4 turns
	drwxr-xr-x 0/0 - usr
	drwxr-xr-x 0/0 - usr/bin
	-rwxr-xr-x 0/0 1 usr/bin/capable
	-rwsr-xr-x 0/0 1 usr/bin/setuid
	-rwsr-xr-x 0/0 1 usr/bin/setuid.link
	drwxr-xr-x 0/0 - usr/lib
	-rw-r--r-- 0/0 3 usr/lib/foo
	END
	diff -u "$BATS_TEST_TMPDIR/want" "$BATS_TEST_TMPDIR/got"
	grep -aq SCHILY.xattr.security.capability "$BATS_TEST_TMPDIR/root.tar"
}

@test "a step sees the image, and what it knows about itself" {
	build_ok <<-END
	FROM $REG/app:1
	RUN [ "\$FROM_BASE" = 1 ] && [ -u /usr/bin/setuid.link ] && [ "\$(cat /lib/foo /data/new)" = foonew ] && \
	    [ ! -e /keep/gone ] && [ ! -e /data/old ] && [ ! -e /data/sub ] && [ -f /turns ] && [ -f /plain/inside ]
	RUN rm -r /usr/lib/foo /data /keep/stays && echo changed >/etc/passwd.link && grep -q root /etc/passwd
	END
}

@test "what is in the store is built without a registry" {
	local df
	df=$(printf 'FROM %s/app:1\nRUN echo running\n' "$REG")
	build_ok <<<"$df"
	take_away
	build_ok --no-cache <<<"$df"
	[[ $output == *" running"* ]]
	LD_DEBUG=files build_ok <<<"$df"
	[[ $output == *libc.so* && $output != *libcurl* ]]
}

@test "without image and registry the error says what to do" {
	take_away
	build_fails <<-END
	FROM $REG/app:1
	END
	[[ $output == *"Dockerfile:1: base image '$REG/app:1'"*"cairn import"* ]]
}

@test "cairn run pulls an image that the store lacks" {
	run "$CAIRN" run --pull=never "$REG/app:1" cat /mark
	[ "$status" -eq 125 ]
	[[ $output == *"no image '$REG/app:1' in the store"* ]]
	run "$CAIRN" run "$REG/none:1" true
	[ "$status" -eq 125 ]
	[[ $output == *"pull image '$REG/none:1'"* ]]
	[ "$("$CAIRN" run "$REG/app:1" cat /mark 2>/dev/null)" = 1 ]
	seed two app:1
	[ "$("$CAIRN" run "$REG/app:1" cat /mark 2>/dev/null)" = 1 ]
	[ "$("$CAIRN" run --pull=always "$REG/app:1" cat /mark 2>/dev/null)" = 2 ]
	take_away
	[ "$("$CAIRN" run "$REG/app:1" cat /mark 2>&1)" = 2 ]
	run "$CAIRN" run --pull=always "$REG/app:1" cat /mark
	[ "$status" -eq 125 ]
	[[ $output == *"pull image '$REG/app:1'"* ]]
}

@test "--pull notices a tag that has moved, and needs the registry" {
	[ "$(mark)" = 1 ]
	seed two app:1
	[ "$(mark)" = 1 ]
	[ "$(mark --pull)" = 2 ]
	[ "$(mark)" = 2 ]
	take_away
	build_fails --pull <<-END
	FROM $REG/app:1
	END
	[[ $output == *"without --pull"* ]]
	run "$CAIRN" pull "$REG/app:1"
	[ "$status" -eq 11 ]
	[[ $output == *"a build without --pull uses"* ]]
}

@test "a digest is pinned: registry once, then the store" {
	local digest wrong
	digest=$(image_digest one)
	wrong=$(image_digest two)
	seed two app:1
	build_ok --no-cache <<-END
	FROM $REG/app:1@$digest
	RUN [ \$(cat /mark) = 1 ]
	END
	take_away
	build_ok --no-cache --pull <<-END
	FROM $REG/app@$digest
	RUN [ \$(cat /mark) = 1 ]
	END
	build_fails <<-END
	FROM $REG/app@$wrong
	END
}

@test "COPY --from and --build-context take images from the registry" {
	seed two other:2
	build_ok --build-context "ctx-image=docker-image://$REG/other:2" <<-END
	FROM $REG/app:1
	COPY --from=$REG/other:2 /mark /mark2
	COPY --from=ctx-image /mark /mark3
	RUN [ "\$(cat /mark /mark2 /mark3)" = 122 ]
	END
}

@test "changed bytes at the registry are noticed, and nothing of them stays" {
	local file
	file=$(layer_file one 1)
	cp "$file" "$BATS_TEST_TMPDIR/good"
	printf X | dd of="$file" bs=1 seek=100 conv=notrunc status=none
	build_fails <<-END
	FROM $REG/app:1
	END
	[[ $output == *"$(layer_digest one 1)"*"digest"* ]]
	[ "$(unpacked)" -le 1 ]
	cp "$BATS_TEST_TMPDIR/good" "$file"
	[ "$(mark)" = 1 ]
}

@test "a pull that fails leaves the tag what it was" {
	local file was i=0
	"$CAIRN" pull "$REG/app:1"
	was=$(image_id "$REG/app:1")
	seed two app:1
	while [ "$(layer_digest one $i)" = "$(layer_digest two $i)" ]; do # here already
		i=$((i + 1))
	done
	file=$(layer_file two $i)
	cp "$file" "$BATS_TEST_TMPDIR/good"
	printf X | dd of="$file" bs=1 seek=20 conv=notrunc status=none
	run "$CAIRN" pull "$REG/app:1"
	[ "$status" -ne 0 ]
	[ "$(image_id "$REG/app:1")" = "$was" ]
	[ "$("$CAIRN" run --rm "$REG/app:1" cat /mark)" = 1 ]
	cp "$BATS_TEST_TMPDIR/good" "$file"
	"$CAIRN" pull "$REG/app:1"
	[ "$("$CAIRN" run --rm "$REG/app:1" cat /mark)" = 2 ]
}

@test "a layer that is not what the config says is refused" {
	seed liar app:1
	build_fails <<-END
	FROM $REG/app:1
	END
	[[ $output == *"layer 3 of '$REG/app:1': it holds sha256:"* ]]
	[ "$(unpacked)" = 2 ]
}

@test "a transfer that breaks goes on where it was" {
	seed big app:1
	start_proxy --cut 5000000
	[ "$(mark)" = 3 ]
	grep -q cut "$PROXY_LOG"
	grep -qi '^range: bytes=[1-9]' "$PROXY_LOG"
}

@test "killed while it pulls: the next build goes on" {
	seed big app:1
	start_proxy --rate 3000000
	printf 'FROM %s/app:1\nRUN echo mark=$(cat /mark)\n' "$REG" >"$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$CTX" >/dev/null 2>&1 3>&- &
	local pid=$!
	wait_for eval '[ "$(unpacked)" -ge 5 ]'
	pkill -9 -P "$pid" || true # rootless: the one inside the user namespace
	kill -9 "$pid" 2>/dev/null || true # it may have followed its inner process already
	wait "$pid" || true
	[ "$(unpacked)" -ge 5 ]
	[ "$(unpacked)" -lt 7 ] || skip "the machine is so busy that the pull was over before it could be killed"
	rm "$(layer_file big 0)" # is here already: not asked for again
	[ "$(mark)" = 3 ]
	[ "$("$CAIRN" run "$REG/app:1" wc -c /random)" = "12000000 /random" ]
}

@test "a full disk: one line, advice, a code of its own; with room the pull goes on" {
	need_root "to mount a small disk"
	seed big big:1
	local small=$BATS_TEST_TMPDIR/small what
	mkdir "$small"
	mount -t tmpfs -o size=8m,mode=700 none "$small" || skip "mount is not allowed here"
	MOUNTED=$small
	export CAIRN_HOME=$small/home
	for what in pull build; do
		if [ $what = pull ]; then
			run "$CAIRN" pull "$REG/big:1"
		else
			build_fails <<-END
			FROM $REG/big:1
			RUN true
			END
		fi
		echo "$output"
		[ "$status" -eq 12 ]
		[ "$(grep -c 'cairn: error:' <<<"$output")" -eq 1 ]
		[[ $output == *"pace left on device"* && $output == *"free space"* ]]
	done
	mount -o remount,size=64m "$small"
	"$CAIRN" pull "$REG/big:1"
	[ "$("$CAIRN" run "$REG/big:1" cat /mark)" = 3 ]
}

@test "an interrupt ends a pull at once" {
	seed big app:1
	start_proxy --rate 250000 # most of a minute
	printf 'FROM %s/app:1\nRUN true\n' "$REG" >"$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! status=0 from
	wait_for grep -q pulling "$BATS_TEST_TMPDIR/out"
	from=$SECONDS
	kill -TERM "$pid"
	wait "$pid" || status=$?
	[ "$status" -ne 0 ]
	[ $((SECONDS - from)) -le 15 ]
	grep -q 'pulling layer [0-9]*/6' "$BATS_TEST_TMPDIR/out"
}

@test "an interrupt ends 'cairn pull', which says so and sets no tag" {
	seed big app:1
	start_proxy --rate 250000
	"$CAIRN" pull "$REG/app:1" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! status=0
	wait_for eval '[ "$(unpacked)" -ge 3 ]' # one more is on its way
	kill -TERM "$pid"
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 75 ]
	[ "$(grep -c 'cairn: error: .*stopped' "$BATS_TEST_TMPDIR/out")" -eq 1 ]
	[ "$("$CAIRN" images | wc -l)" -eq 1 ]
}

@test "an interrupt ends waiting for a registry that is silent" {
	start_server "$BATS_TEST_TMPDIR/silent.log" \
		python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 0)); c = s.accept(); print("asked", flush=True); time.sleep(600)'
	printf 'FROM 127.0.0.1:%s/app:1\n' "$PORT" >"$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
	local pid=$! status=0 from
	wait_for grep -q asked "$SERVER_LOG"
	from=$SECONDS
	kill -INT "$pid"
	wait "$pid" || status=$?
	[ "$status" = 75 ]
	[ $((SECONDS - from)) -le 15 ]
	grep -q "base image '127.0.0.1:$PORT/app:1'.*cancelled" "$BATS_TEST_TMPDIR/out"
}

@test "two builds that need the same base at once download it once" {
	seed big app:1
	start_proxy --rate 12000000
	local i pids=()
	for i in 1 2; do
		mkdir -p "$CTX/$i"
		printf 'FROM %s/app:1\nRUN echo %s >/made\n' "$REG" $i >"$CTX/$i/Dockerfile"
		"$CAIRN" build --progress=plain -t "made$i" "$CTX/$i" >"$BATS_TEST_TMPDIR/out$i" 2>&1 3>&- &
		pids+=("$!")
	done
	wait "${pids[0]}"
	wait "${pids[1]}"
	[ "$(grep -c "^GET .*/blobs/$(layer_digest big 5)" "$PROXY_LOG")" = 1 ]
	[ "$("$CAIRN" run made1 cat /made)$("$CAIRN" run made2 cat /made)" = 12 ]
	[ "$(unpacked)" = 7 ] # 5 different ones of the base and 2 of the builds
}

@test "layers of the base leave as they came" {
	build_ok --output "type=oci,dest=$BATS_TEST_TMPDIR/out.tar" <<-END
	FROM $REG/app:1
	RUN touch /new
	END
	mkdir "$BATS_TEST_TMPDIR/oci"
	tar -xf "$BATS_TEST_TMPDIR/out.tar" -C "$BATS_TEST_TMPDIR/oci"
	local i
	for i in 0 1 2 3 4; do
		[ -f "$BATS_TEST_TMPDIR/oci/blobs/sha256/$(layer_digest one $i | cut -d: -f2)" ]
	done
}

@test "credentials come from Docker's config.json" {
	take_away
	htpasswd -Bbn me secret >"$BATS_TEST_TMPDIR/htpasswd" 2>/dev/null
	start_registry locked "auth: {htpasswd: {realm: test, path: $BATS_TEST_TMPDIR/htpasswd}}"
	seed one app:1 --dest-creds me:secret
	build_fails <<-END
	FROM $REG/app:1
	END
	mkdir "$DOCKER_CONFIG"
	printf '{"auths":{"%s":{"auth":"%s"}}}' "$REG" "$(printf me:secret | base64)" >"$DOCKER_CONFIG/config.json"
	[ "$(mark)" = 1 ]
}
