#!/usr/bin/env bats
# Cache mounts that outlive the machine: two machines (homes), one remote cache between them.
load common

setup() {
	setup_suite_dirs
	REMOTE=$BATS_TEST_TMPDIR/remote
	machine one
}

# From here on this is another machine; a new one has the base image and nothing else.
machine() { # NAME
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home-$1
	[ -d "$CAIRN_HOME" ] || SOURCE_DATE_EPOCH=1700000000 import_base
}

# Build the Dockerfile on standard input with the remote.
mounts() { # OPTION...
	build_ok --cache-from "type=local,src=$REMOTE" --cache-to "type=local,dest=$REMOTE,mode=max" "$@"
}

# A Dockerfile whose one step runs COMMAND in the mount, unlike every step before it.
look_at() { # MOUNT-OPTIONS COMMAND
	STAMP=$((${STAMP:-0} + 1))
	cat <<-END
		FROM base
		RUN --mount=type=cache,$1 cd /c; : $STAMP $CAIRN_HOME; $2
	END
}

# All that a mount of this machine holds; there is one.
manifest() {
	as_root sh -c 'cd "$1"/* && find . ! -type p -printf "%p %y %m %U:%G %n %T@ %l\n" | sort &&
		find . -type f -exec sha256sum {} + | sort' - "$CAIRN_HOME/mounts"
}

# Files of the pointers of mounts in the folder; reports of builds have some, too.
pointers() {
	[ ! -d "$REMOTE/pointers" ] || grep -rlE '"(packed|empty)":' "$REMOTE/pointers" || true
}

remote_bytes() {
	find "$REMOTE/blobs" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
}

# Many kinds of things; the directory's own mode and owner too.
FILL='mkdir -p a/b empty && head -c 300000 /dev/urandom > a/big && echo one > a/one && echo two > a/b/two && : > a/none \
 && ln -s ../one a/b/up && ln -s /etc/passwd out && ln a/one a/hard && cp a/big same && mkfifo pipe \
 && chmod 4750 a/one && chmod 2775 a/b && chmod 1777 empty && chown 1000:50 a/b/two a && chmod 700 .'

@test "a second empty machine has the contents: modes, owners, times, links" {
	mounts < <(look_at target=/c "$FILL")
	[[ $output == *"saved cache mount /c to "* ]]
	manifest >"$BATS_TEST_TMPDIR/first"
	grep -q '^./out l 777 .* /etc/passwd$' "$BATS_TEST_TMPDIR/first"
	grep -q '^./a/one f 4750 .*:.* 2 ' "$BATS_TEST_TMPDIR/first"
	machine two
	mounts < <(look_at target=/c 'set -e; [ "$(stat -c %a:%u .)" = 700:0 ]; [ "$(stat -c %i a/one)" = "$(stat -c %i a/hard)" ]')
	[[ $output == *"restored cache mount /c from "* ]]
	manifest | diff "$BATS_TEST_TMPDIR/first" -
}

@test "times are kept to the nanosecond" {
	mounts < <(look_at target=/c "$FILL")
	as_root sh -c 'touch -d "2024-02-03 04:05:06.123456789 UTC" "$1"/mounts/*/a/big' - "$CAIRN_HOME"
	as_root sh -c 'touch -d "2001-01-01 00:00:00.000000001 UTC" "$1"/mounts/*/a/b/two' - "$CAIRN_HOME"
	mounts < <(look_at target=/c true)
	machine two
	mounts < <(look_at target=/c true)
	as_root find "$CAIRN_HOME/mounts" -name big -printf '%T@\n' | grep -x '1706933106.1234567890'
	as_root find "$CAIRN_HOME/mounts" -name two -printf '%T@\n' | grep -x '978307200.0000000010'
}

@test "only what changed travels" {
	mounts < <(look_at target=/c 'for i in 1 2 3 4 5 6 7 8 9; do head -c 400000 /dev/urandom > f$i; done; touch -d 2020-01-01 f*')
	local before after
	before=$(remote_bytes)
	[ "$before" -gt 3600000 ]
	machine two
	mounts < <(look_at target=/c 'head -c 5000 /dev/urandom > new; mv f1 g1; touch f2')
	after=$(remote_bytes)
	# the new file and the list of files, besides the layers' entries
	[ $((after - before)) -gt 5000 ]
	[ $((after - before)) -lt 20000 ]
	machine one
	mounts < <(look_at target=/c '[ -f new ] && [ -f g1 ] && [ ! -f f1 ]')
	[[ $output == *"restored cache mount /c from "* ]]
}

@test "nothing is sent when nothing changed, and nothing is restored over what is as new" {
	mounts < <(look_at target=/c 'echo x > x')
	local pointer
	pointer=$(sha256sum "$(pointers)")
	mounts < <(look_at target=/c '[ -f x ]')
	[[ $output != *"restored cache mount"* ]]
	[[ $output != *"saved cache mount"* ]]
	[ "$pointer" = "$(sha256sum "$(pointers)")" ]
}

@test "a build in which nothing runs does not ask for mounts" {
	look_at target=/c 'echo x > x' >"$BATS_TEST_TMPDIR/Dockerfile.same"
	mounts <"$BATS_TEST_TMPDIR/Dockerfile.same"
	machine two
	mounts <"$BATS_TEST_TMPDIR/Dockerfile.same"
	[[ $output != *"restored"* ]]
	[ ! -e "$CAIRN_HOME/mount-state" ]
}

@test "a failed step does not save; what ended well before is not mixed with it" {
	mounts < <(look_at target=/c 'echo good > good')
	build_fails --cache-from "type=local,src=$REMOTE" --cache-to "type=local,dest=$REMOTE" < <(
		look_at target=/c 'echo bad > bad; false')
	machine two
	mounts < <(look_at target=/c '[ -f good ] && [ ! -f bad ]')
}

@test "a build that fails elsewhere saves the mounts of its finished steps" {
	build_fails --cache-from "type=local,src=$REMOTE" --cache-to "type=local,dest=$REMOTE" <<-'END'
		FROM base
		RUN --mount=type=cache,target=/c echo good > /c/good
		RUN false
	END
	machine two
	mounts < <(look_at target=/c '[ -f good ]')
}

@test "ids are apart, targets may differ" {
	mounts < <(look_at id=a,target=/c 'echo a > a')
	mounts < <(look_at id=b,target=/c 'echo b > b')
	machine two
	mounts <<-'END'
		FROM base
		RUN --mount=type=cache,id=a,target=/x --mount=type=cache,id=b,target=/y [ "$(ls /x /y | tr '\n' ' ')" = "/x: a  /y: b " ]
	END
}

@test "sharing: locked, private and shared mounts are saved and restored" {
	local sharing
	for sharing in locked private shared; do
		machine one
		mounts < <(look_at id=$sharing,target=/c,sharing=$sharing "echo $sharing > s")
		machine two
		mounts < <(look_at id=$sharing,target=/c,sharing=$sharing "[ \$(cat s) = $sharing ]")
	done
}

@test "two stages that share a mount at the same time: saved once, when both are done" {
	mounts <<-'END'
		FROM base AS a
		RUN --mount=type=cache,target=/c touch /c/in; for i in $(seq 1200); do [ -e /c/met ] && break; sleep 0.05; done; echo a > /c/a
		FROM base AS b
		RUN --mount=type=cache,target=/c for i in $(seq 1200); do [ -e /c/in ] && break; sleep 0.05; done; touch /c/met; for i in $(seq 1200); do [ -e /c/a ] && break; sleep 0.05; done; echo b > /c/b
		FROM base
		COPY --from=a /etc/passwd /a
		COPY --from=b /etc/passwd /b
	END
	[ "$(grep -c "saved cache mount" <<<"$output")" = 1 ]
	machine two
	mounts < <(look_at target=/c '[ -f a ] && [ -f b ]')
}

@test "many machines save at once: one of them is what the next one gets" {
	local i pids=()
	for i in 1 2 3 4; do
		machine "m$i"
		mkdir -p "$BATS_TEST_TMPDIR/ctx$i"
		look_at target=/c "for k in 1 2 3 4 5; do echo $i > \$k; done" >"$BATS_TEST_TMPDIR/ctx$i/Dockerfile"
	done
	for i in 1 2 3 4; do
		CAIRN_HOME=$BATS_TEST_TMPDIR/home-m$i "$CAIRN" build -q --cache-from "type=local,src=$REMOTE" \
			--cache-to "type=local,dest=$REMOTE" "$BATS_TEST_TMPDIR/ctx$i" >"$BATS_TEST_TMPDIR/log$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i"
	done
	machine last
	mounts < <(look_at target=/c '[ "$(cat 1 2 3 4 5 | sort -u | wc -l)" = 1 ]')
}

@test "a damaged pack is a warning and an empty mount, never half of one" {
	local pack fill='for i in 1 2 3; do yes $i | head -c 9000000 > f$i; done; touch -d 2020-01-01 f*'
	mounts < <(look_at target=/c "$fill; head -c 9000000 /dev/urandom > g")
	pack=$(find "$REMOTE/blobs" -type f -size +8000k | head -n 1)
	printf X | dd of="$pack" bs=1 seek=5000000 conv=notrunc status=none
	machine two
	mounts < <(look_at target=/c "[ -z \"\$(ls -A)\" ]; $fill")
	[[ $output == *"WARN: cache mount /c is not restored from "* ]]
	# what is damaged there is not relied upon
	machine three
	mounts < <(look_at target=/c '[ $(cat f1 f2 f3 | wc -c) = 27000000 ]')
	find "$REMOTE/blobs" -type f -size -20k -delete
	machine four
	mounts < <(look_at target=/c '[ -z "$(ls -A)" ]')
	[[ $output == *"WARN: cache mount /c is not restored from "* ]]
}

@test "a remote that failed when it was asked is not overwritten" {
	mounts < <(look_at target=/c 'echo x > x')
	local pointer
	pointer=$(pointers)
	mv "$pointer" "$REMOTE/away"
	mkdir "$pointer"
	machine two
	mounts < <(look_at target=/c '[ ! -f x ]; echo y > y')
	[[ $output == *"WARN: "*"cache mounts: "*"building without"* ]]
	rmdir "$pointer"
	mv "$REMOTE/away" "$pointer"
	machine three
	mounts < <(look_at target=/c '[ -f x ] && [ ! -f y ]')
}

@test "damaged pointers and snapshots are as good as none" {
	mounts < <(look_at target=/c 'echo x > x')
	local f
	for f in $(pointers); do
		echo '{"version":1,"snapshot":{"digest":"sha256:' >"$f"
	done
	machine two
	mounts < <(look_at target=/c '[ ! -f x ]; echo y > y')
	machine three
	mounts < <(look_at target=/c '[ -f y ]')
}

@test "a mount over its limit is dropped as a whole, and begins again" {
	mounts < <(look_at target=/c 'head -c 700000 /dev/urandom > old')
	machine two
	mounts --cache-mounts=auto,max=1m < <(look_at target=/c 'head -c 700000 /dev/urandom > new')
	[[ $output == *"holds 1.4"*"more than its limit of"*"next machine starts with an empty one"* ]]
	machine three
	mounts --cache-mounts=auto,max=1m < <(look_at target=/c '[ -z "$(ls -A)" ]; head -c 700000 /dev/urandom > new')
	[[ $output == *"saved cache mount"* ]]
	machine four
	mounts < <(look_at target=/c '[ -f new ] && [ ! -f old ]')
}

@test "what was not used for long is not restored" {
	mounts < <(look_at target=/c 'echo x > x')
	sleep 1.1
	machine two
	mounts --cache-mounts=auto,ttl=1s < <(look_at target=/c '[ ! -f x ]')
}

@test "off: nothing is asked and nothing is kept; ro: nothing is kept" {
	mounts --cache-mounts=off < <(look_at target=/c 'echo x > x')
	[ -z "$(pointers)" ]
	machine two
	mounts < <(look_at target=/c '[ ! -f x ]; echo y > y')
	machine three
	mounts --cache-mounts=off < <(look_at target=/c '[ ! -f y ]')
	machine four
	mounts --cache-mounts=ro < <(look_at target=/c '[ -f y ]; echo z > z')
	machine five
	mounts < <(look_at target=/c '[ -f y ] && [ ! -f z ]')
}

@test "a branch reads the default branch's mounts and does not write them" {
	local branch=(env GITHUB_ACTIONS=true GITHUB_EVENT_NAME=pull_request GITHUB_REF=refs/pull/7/merge
		GITHUB_HEAD_REF=feature GITHUB_BASE_REF=main)
	local cache=(--cache-from "type=local,src=$REMOTE" --cache-to "type=local,dest=$REMOTE,mode=max")
	mounts < <(look_at target=/c 'echo main > m')
	machine two
	look_at target=/c '[ -f m ]; echo evil > m; echo pr > pr' >"$CTX/Dockerfile"
	"${branch[@]}" "$CAIRN" build "${cache[@]}" "$CTX"
	machine three
	look_at target=/c '[ -f pr ]' >"$CTX/Dockerfile"
	"${branch[@]}" "$CAIRN" build "${cache[@]}" "$CTX"
	machine four
	mounts < <(look_at target=/c '[ $(cat m) = main ] && [ ! -f pr ]')
}

@test "a remote that cannot be written costs a warning, not the build" {
	[ "$(id -u)" = 0 ] || skip "needs root"
	mkdir -p "$REMOTE"
	mounts < <(look_at target=/c 'echo x > x')
	rm -rf "$REMOTE/pointers"
	echo file >"$REMOTE/pointers"
	mounts < <(look_at target=/c 'echo y > y')
	[[ $output == *"WARN: "*"cache mount"* ]]
}

@test "apt, two machines: archives and lists with their owners and times" {
	cat >"$BATS_TEST_TMPDIR/apt" <<-'END'
		FROM base
		RUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked \
		    set -e; mkdir -p /var/cache/apt/archives/partial /var/lib/apt/lists/partial; \
		    [ -f /var/cache/apt/archives/x_1_amd64.deb ] || { echo fetched; head -c 100000 /dev/urandom > /var/cache/apt/archives/x_1_amd64.deb; }; \
		    touch -d "2023-05-06 07:08:09" /var/cache/apt/archives/x_1_amd64.deb; \
		    : > /var/cache/apt/archives/lock; chmod 640 /var/cache/apt/archives/lock; \
		    chown 42:0 /var/cache/apt/archives/partial /var/lib/apt/lists/partial; chmod 700 /var/cache/apt/archives/partial /var/lib/apt/lists/partial; \
		    echo list > /var/lib/apt/lists/deb_InRelease; touch -d "2023-01-02 03:04:05" /var/lib/apt/lists/deb_InRelease
	END
	mounts <"$BATS_TEST_TMPDIR/apt"
	grep -qE '^#[0-9]+ [0-9.]+ fetched' <<<"$output"
	machine two
	{ cat "$BATS_TEST_TMPDIR/apt"; } | sed 's/set -e;/set -e; : two; [ "$(stat -c %u:%a \/var\/lib\/apt\/lists\/partial)" = 42:700 ]; [ "$(stat -c %Y \/var\/lib\/apt\/lists\/deb_InRelease)" = 1672628645 ];/' >"$BATS_TEST_TMPDIR/apt2"
	mounts <"$BATS_TEST_TMPDIR/apt2"
	! grep -qE '^#[0-9]+ [0-9.]+ fetched' <<<"$output"
}

# --- the same through a registry and a bucket ---

# What two machines do with any remote; bytes() prints how much the remote holds.
exchange() { # FROM TO
	local before after cache=(--cache-from "$1" --cache-to "$2")
	build_ok "${cache[@]}" < <(look_at target=/c "$FILL; for i in 1 2 3 4 5 6; do head -c 400000 /dev/urandom > f\$i; done")
	[[ $output == *"saved cache mount /c to "* ]]
	[[ $output != *WARN* ]]
	manifest >"$BATS_TEST_TMPDIR/first"
	before=$(bytes)
	machine two
	build_ok "${cache[@]}" < <(look_at target=/c "rm f1; mv f2 g2; head -c 5000 /dev/urandom > new")
	[[ $output == *"restored cache mount /c from "* ]]
	[[ $output != *WARN* ]]
	manifest >"$BATS_TEST_TMPDIR/second"
	after=$(bytes)
	[ $((after - before)) -lt 60000 ]
	machine three
	build_ok "${cache[@]}" < <(look_at target=/c true)
	[[ $output != *WARN* ]]
	manifest | diff "$BATS_TEST_TMPDIR/second" -
	# nothing of the first is missing but what was changed
	[ "$(grep -c . "$BATS_TEST_TMPDIR/first")" = "$(grep -c . "$BATS_TEST_TMPDIR/second")" ]
}

@test "a registry keeps mounts" {
	command -v docker-registry >/dev/null || skip "docker-registry is not installed"
	start_registry
	bytes() {
		find "$DATA" -name data -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'
	}
	exchange "$REG/app/cache" "type=registry,ref=$REG/app/cache,mode=max"
}

@test "a bucket keeps mounts" {
	[ -n "$(s3_kind)" ] || skip "no S3 server here: neither moto nor s3rver is installed"
	start_s3
	export AWS_ACCESS_KEY_ID=S3RVER AWS_SECRET_ACCESS_KEY=S3RVER AWS_REGION=us-east-1
	bytes() { # the server tells nobody
		echo 0
	}
	local s3=type=s3,bucket=bucket,region=us-east-1,endpoint_url=http://$S3,use_path_style=true
	exchange "$s3" "$s3,mode=max"
}
