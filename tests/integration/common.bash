# What the integration tests share: a store of their own and a tiny base image.
#
# CAIRN is the program under test. The base image "base" holds a static busybox, a
# user "app" (1000:1000, in the groups app and staff) and nothing else.

setup_suite_dirs() {
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home
	CTX=$BATS_TEST_TMPDIR/ctx
	mkdir -p "$CTX"
	cd "$CTX" || return 1
}

# Remove the test's stores: files of a user namespace are beyond an ordinary user.
remove_stores() {
	[ "$(id -u)" = 0 ] || unshare --map-root-user --map-auto rm -rf "$BATS_TEST_TMPDIR"/* || true
}

# Make base.tar once a suite file.
make_base() { # FILE
	local root
	root=$(mktemp -d)
	mkdir -p "$root"/{bin,etc,tmp,root,home/app,usr/bin,var,dev,proc,sys,run}
	cp /bin/busybox "$root/bin/busybox"
	local name
	for name in $(/bin/busybox --list); do
		[ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
	done
	printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\nstaff:x:50:app\napp:x:1000:\n' >"$root/etc/group"
	chmod 1777 "$root/tmp"
	chmod 700 "$root/root"
	chmod "${BASE_ROOT_MODE:-755}" "$root"
	tar --numeric-owner --owner=0 --group=0 --sort=name --mtime=@1700000000 -C "$root" -cf "$1" .
	rm -rf "$root"
}

import_base() {
	[ -f "$BATS_FILE_TMPDIR/base.tar" ] || make_base "$BATS_FILE_TMPDIR/base.tar"
	"$CAIRN" import "$BATS_FILE_TMPDIR/base.tar" base >/dev/null
}

# Build the Dockerfile on standard input in $CTX.
build() { # OPTION...
	cat >"$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$@" "$CTX"
}

# The same where the build is to succeed; what it printed is in $output.
build_ok() {
	cat >"$CTX/Dockerfile"
	run "$CAIRN" build --progress=plain "$@" "$CTX"
	[ "$status" -eq 0 ] || {
		echo "$output"
		return 1
	}
}

build_fails() {
	cat >"$CTX/Dockerfile"
	run "$CAIRN" build --progress=plain "$@" "$CTX"
	[ "$status" -ne 0 ] || {
		echo "$output"
		return 1
	}
}

image_id() { # NAME
	"$CAIRN" inspect --json "$1" | jq -r 'if type == "array" then .[0] else . end | .Id // .id'
}
