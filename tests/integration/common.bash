# What the integration tests share: an environment of their own, a store, a tiny base image, servers.
#
# CAIRN is the program under test. The base image "base" holds a static busybox, a
# user "app" (1000:1000, in the groups app and staff) and nothing else.

# shellcheck source=tests/integration/servers.bash
source "${BASH_SOURCE[0]%/*}/servers.bash"

# For setup_file: without one of these the file is skipped.
need_tools() { # PROGRAM...
	local tool
	for tool; do
		command -v "$tool" >/dev/null || skip "$tool is not installed"
	done
}

need_root() { # [WHAT-FOR]
	[ "$(id -u)" = 0 ] || skip "needs root${1:+: $1}"
}

# Nothing of who runs the tests reaches them: no login, no CI's branch, no cloud.
clean_environment() {
	local name
	for name in ${!AWS_*} ${!CODEBUILD_*} ${!GITHUB_*}; do unset "$name"; done
	unset SOURCE_DATE_EPOCH CAIRN_CONFIG http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
	export DOCKER_CONFIG=$BATS_TEST_TMPDIR/docker AWS_EC2_METADATA_DISABLED=true
}

setup_suite_dirs() {
	clean_environment
	SERVER_DIR=$BATS_TEST_TMPDIR
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home
	CTX=$BATS_TEST_TMPDIR/ctx
	HELD="sleep 984$$" # no other test's command is called so
	mkdir -p "$CTX"
	cd "$CTX" || return 1
}

# What follows a test that has not more to undo.
teardown() {
	[ -z "${HELD-}" ] || pkill -9 -f "^$HELD\$" || true
	stop_servers
	remove_stores
}

# Processes that sync stores below a folder after builds, which nobody waits for.
syncs() { # FOLDER
	pgrep -f -- " --sync-store $1(/|\$)"
}

stores_are_idle() { # FOLDER: no process but ours may be in its stores
	[ -z "$(syncs "$1")" ]
}

# End them before the folder is removed or unmounted: one that begins just then makes files in it.
end_syncs() { # FOLDER
	pkill -9 -f -- " --sync-store $1(/|\$)" || true
}

# Remove the test's stores: files of a user namespace are beyond an ordinary user.
remove_stores() {
	end_syncs "$BATS_TEST_TMPDIR"
	[ "$(id -u)" = 0 ] || unshare --map-root-user --map-auto rm -rf "$BATS_TEST_TMPDIR"/* || true
}

as_root() { # COMMAND...: in the user namespace that cairn makes
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		unshare --map-root-user --map-auto "$@"
	fi
}

# From here on this is another machine, with a store of its own.
machine() { # NAME
	export CAIRN_HOME=$BATS_TEST_TMPDIR/home-$1
}

# --- images ------------------------------------------------------------------------

# Busybox and a link for each of its programs.
put_busybox() { # FOLDER
	cp /bin/busybox "$1/busybox"
	python3 - "$1" <<-'END'
	import os, subprocess, sys
	for name in subprocess.check_output(["/bin/busybox", "--list"], text=True).split():
	    if name != "busybox":
	        os.symlink("busybox", f"{sys.argv[1]}/{name}")
	END
}

make_base() { # FILE
	local root
	root=$(mktemp -d)
	mkdir -p "$root"/{bin,etc,tmp,root,home/app,usr/bin,var,dev,proc,sys,run}
	put_busybox "$root/bin"
	printf 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' >"$root/etc/passwd"
	printf 'root:x:0:\nstaff:x:50:app\napp:x:1000:\n' >"$root/etc/group"
	chmod 1777 "$root/tmp"
	chmod 700 "$root/root"
	chmod "${BASE_ROOT_MODE:-755}" "$root"
	tar --numeric-owner --owner=0 --group=0 --sort=name --mtime=@1700000000 -C "$root" -cf "$1" .
	rm -rf "$root"
}

# Once a file the archive is made, once a store it is imported.
import_base() {
	[ -f "$BATS_FILE_TMPDIR/base.tar" ] || make_base "$BATS_FILE_TMPDIR/base.tar"
	"$CAIRN" import "$BATS_FILE_TMPDIR/base.tar" base >/dev/null
}

# The same as base:1 of the registry $REG.
seed_base() {
	machine seed
	import_base
	echo "FROM base" >"$BATS_TEST_TMPDIR/Dockerfile.base"
	"$CAIRN" build -q --push -t "$REG/base:1" -f "$BATS_TEST_TMPDIR/Dockerfile.base" "$CTX" >/dev/null
}

# An image that is awkward to unpack, an OCI layout (see make_image.py); for setup_file.
make_image() { # NAME MARK [BYTES]
	python3 "$SERVER_SOURCES/make_image.py" "$BATS_FILE_TMPDIR/$1" "${@:2}" >"$BATS_FILE_TMPDIR/$1.digest"
}

image_digest() { # NAME: of one of those
	cat "$BATS_FILE_TMPDIR/$1.digest"
}

# Bring one of those to the registry $REG.
seed() { # NAME REPOSITORY:TAG [OPTION-OF-SKOPEO...]
	skopeo --insecure-policy --tmpdir "$BATS_TEST_TMPDIR" copy -q --preserve-digests --dest-tls-verify=false \
		"${@:3}" "oci:$BATS_FILE_TMPDIR/$1" "docker://$REG/$2"
}

# Every blob of an image at the registry $REG arrives and is what its digest says.
is_whole() { # REPOSITORY:TAG
	rm -rf "$BATS_TEST_TMPDIR/whole"
	skopeo --insecure-policy copy -q --all --src-tls-verify=false "docker://$REG/$1" "dir:$BATS_TEST_TMPDIR/whole"
}

image_id() { # NAME
	"$CAIRN" inspect --json "$1" | jq -r 'if type == "array" then .[0] else . end | .Id // .id'
}

diff_ids() { # NAME
	"$CAIRN" inspect --json "$1" | jq -r 'if type == "array" then .[0] else . end | (.RootFS // .rootfs) | (.Layers // .diff_ids)[]'
}

# --- cairn ---------------------------------------------------------------------------

# What cairn printed is in $output, and shown where the test fails later.
ok() { # ARGUMENT...
	run "$CAIRN" "$@"
	echo "$output" >&2
	[ "$status" -eq 0 ]
}

fails() { # STATUS ARGUMENT...
	run "$CAIRN" "${@:2}"
	[ "$status" -eq "$1" ] || {
		echo "status $status: $output"
		return 1
	}
}

# Build the Dockerfile on standard input in $CTX.
build() { # OPTION...
	cat >"$CTX/Dockerfile"
	"$CAIRN" build --progress=plain "$@" "$CTX"
}

# The same where the build is to succeed; what it printed is in $output.
build_ok() {
	cat >"$CTX/Dockerfile"
	ok build --progress=plain "$@" "$CTX"
}

build_fails() {
	cat >"$CTX/Dockerfile"
	run "$CAIRN" build --progress=plain "$@" "$CTX"
	[ "$status" -ne 0 ] || {
		echo "$output"
		return 1
	}
}

# A step whose command is "$HELD || true; ..." lasts until let_go: whatever is to happen while it runs
# has all the time that it needs, and no test has to guess how long that is.
is_held() {
	pgrep -f "^$HELD\$"
}

let_go() {
	wait_for is_held && pkill -9 -f "^$HELD\$"
}

# Did a step write this line? (Its name, which holds the command, does not count.)
wrote() { # TEXT
	grep -qE "^#[0-9]+ [0-9.]+ $1" <<<"$output"
}

not() { # COMMAND...: "!" does not fail a test
	! "$@"
}
