#!/usr/bin/env bats
# Archives, Dockerfiles, contexts and commands that want out: each gets one clear error, or
# stays inside. A canary lies where they would write to.
load common

setup() {
	setup_suite_dirs
	import_base
	OUT=$BATS_TEST_TMPDIR/outside
	mkdir "$OUT"
	echo canary >"$OUT/canary"
}

teardown() {
	end_syncs "$BATS_TEST_TMPDIR"
	chmod -R u+rwx "$BATS_TEST_TMPDIR" 2>/dev/null || true
}

canary() {
	[ "$(cat "$OUT/canary")" = canary ]
	[ "$(ls -A "$OUT")" = canary ]
	[ ! -e "$BATS_TEST_TMPDIR/evil" ] && [ ! -e /evil ] && [ ! -e "$CAIRN_HOME/evil" ]
}

# Make a tar from lines "name|type|link or content|options" (python's tarfile writes anything).
hostile_tar() { # FILE; entries on standard input
	python3 -c '
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w", format=tarfile.PAX_FORMAT)
for line in sys.stdin.read().splitlines():
    name, kind, arg, *more = line.strip("\t").split("|") + [""]
    e = tarfile.TarInfo(name)
    e.type = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "s": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
              "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE, "p": tarfile.FIFOTYPE}[kind]
    e.mode = 0o755
    e.mtime = 1600000000
    data = None
    if kind in "sh":
        e.linkname = arg
    elif kind in "cb":
        e.devmajor, e.devminor = map(int, arg.split(":"))
    elif kind == "f":
        data = arg.encode()
        e.size = len(data)
    for m in more:
        if "=" in m:
            k, v = m.split("=", 1)
            if k in ("uid", "gid", "size", "mode"):
                setattr(e, k, int(v, 0))
            else:
                e.pax_headers[k] = v
    if "=" in "".join(more) and kind == "f" and e.size != len(data): # a size that lies
        t.fileobj.write(e.tobuf(t.format, t.encoding, t.errors) + data.ljust(512, b"\0"))
    else:
        t.addfile(e, io.BytesIO(data) if data is not None else None)
t.close()' "$1"
}

# Imported: an error with exit code 8 (or the one given), one line, and nothing outside.
refuses() { # WORD; entries on standard input
	hostile_tar "$BATS_TEST_TMPDIR/x.tar"
	run "$CAIRN" import "$BATS_TEST_TMPDIR/x.tar" evil
	echo "$output"
	[ "$status" -ne 0 ] && [ "$status" -ne 70 ] && [ "$status" -lt 126 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ $output == *"$1"* ]]
	canary
	# and the same from an archive that ADD unpacks
	cp "$BATS_TEST_TMPDIR/x.tar" "$CTX/x.tar"
	build_fails <<-'D'
	FROM base
	ADD x.tar /
	D
	[ "$status" -ne 70 ] && [ "$status" -lt 126 ]
	canary
}

accepts() { # entries on standard input; $output: files of the image
	hostile_tar "$BATS_TEST_TMPDIR/x.tar"
	"$CAIRN" import "$BATS_TEST_TMPDIR/x.tar" evil
	canary
}

@test "archives: names that climb out" {
	refuses .. <<<"../evil|f|x"
	refuses .. <<<"a/../../evil|f|x"
	refuses .. <<<"/../evil|f|x"
	refuses .. <<<"a/b/../../../evil|d|"
}

@test "archives: through symbolic links of the archive" {
	accepts <<-EOF
	out|s|$OUT
	out/evil|f|x
	up|s|../../../../../../../..
	up/tmp/evil|f|x
	self|s|/proc/self/root
	EOF
	accepts <<-EOF
	bin|s|$OUT
	bin|d|
	bin/evil|f|x
	EOF
	refuses link <<-EOF
	loop|s|loop
	loop/x|f|x
	EOF
}

@test "archives: hard links out, to nothing, to directories" {
	refuses "climbs out" <<<"evil|h|../../outside/canary"
	refuses link <<<"evil|h|$OUT/canary"
	refuses link <<<"evil|h|nothing"
	refuses link <<-EOF
	d|d|
	evil|h|d
	EOF
	refuses link <<<"evil|h|evil"
}

@test "archives: devices" {
	refuses "0:0" <<<"evil|c|0:0"
	accepts <<<"sda|b|8:0"
	accepts <<<"mem|c|1:1"
	build_ok <<-'EOF'
	FROM base
	RUN mknod /m c 1:1; ! cat /m && ! dd if=/m of=/x count=1
	EOF
}

@test "archives: sizes, owners and numbers that lie" {
	refuses "" <<<"evil|f|x|size=99999999999"
	refuses "" <<<"evil|f|x|size=9223372036854775807"
	refuses "" <<<"evil|f|x|uid=4294967296"
	local name
	name=$(printf 'n%.0s' $(seq 300))
	refuses "" <<<"$name|f|x"
	name=$(printf 'n/%.0s' $(seq 2500))
	refuses "" <<<"${name}x|f|x"
}

@test "archives: duplicate names, whiteouts and overlay's own attributes" {
	accepts <<-EOF
	a|f|first
	a|f|second
	d|d|
	d/f|f|x
	d|f|now a file
	.wh.nothing|f|
	e|d||SCHILY.xattr.trusted.overlay.opaque=y|SCHILY.xattr.user.overlay.redirect=/etc
	e/f|f|x|SCHILY.xattr.trusted.overlay.metacopy=|SCHILY.xattr.security.selinux=bad
	EOF
	"$CAIRN" build -q -o type=tar,dest="$BATS_TEST_TMPDIR/o.tar" - <<<"" 2>/dev/null || true
	printf 'FROM evil\nCOPY f /f\n' >"$CTX/Dockerfile"
	echo f >"$CTX/f"
	"$CAIRN" build -q -o type=tar,dest="$BATS_TEST_TMPDIR/o.tar" "$CTX"
	run tar -tf "$BATS_TEST_TMPDIR/o.tar"
	[[ $output != *.wh.* ]]
	[ "$(tar -xOf "$BATS_TEST_TMPDIR/o.tar" a ./a 2>/dev/null)" = second ]
	! grep -aqE 'overlay\.(opaque|redirect|metacopy)' "$BATS_TEST_TMPDIR/o.tar"
}

@test "archives: many entries, cut ones, and no archive at all" {
	python3 -c '
import io, sys, tarfile
t = tarfile.open(sys.argv[1], "w")
for i in range(100000):
    e = tarfile.TarInfo("d%d/f%d" % (i % 300, i))
    t.addfile(e, io.BytesIO(b""))
t.close()' "$BATS_TEST_TMPDIR/many.tar"
	"$CAIRN" import "$BATS_TEST_TMPDIR/many.tar" many
	head -c 5000000 "$BATS_TEST_TMPDIR/many.tar" | head -c 4999900 >"$BATS_TEST_TMPDIR/cut.tar"
	run "$CAIRN" import "$BATS_TEST_TMPDIR/cut.tar" cut
	echo "$output"
	[ "$status" -eq 8 ]
	head -c 100000 /dev/urandom >"$BATS_TEST_TMPDIR/noise"
	run "$CAIRN" import "$BATS_TEST_TMPDIR/noise" noise
	[ "$status" -eq 8 ]
	run "$CAIRN" images
	[[ $output != *cut* && $output != *noise* ]]
}

@test "ADD of an archive hides nothing that was there" {
	hostile_tar "$CTX/x.tar" <<-EOF
	etc/.wh.passwd|f|
	home/.wh..wh..opq|f|
	home/new|f|x
	.wh.bin|f|
	EOF
	run build -t x <<-'EOF'
	FROM base
	ADD x.tar /
	EOF
	echo "$output"
	[ "$status" -ne 0 ] || [ "$("$CAIRN" run x sh -c 'ls /home/app -d && grep -c app /etc/passwd')" = "/home/app
1" ]
}

@test "COPY out of the context" {
	local src
	for src in ../outside/canary /../outside/canary a/../../outside/canary ../../../../../../../../etc/hostname; do
		build_fails <<<"FROM base
COPY $src /x"
		echo "$output"
		[ "$status" -eq 4 ] || [ "$status" -eq 3 ]
		[[ $output == *"Dockerfile:2"* && $output != *canary* || $output == *"not in the build context"* ]]
	done
	ln -s "$OUT" "$CTX/dir"
	ln -s "$OUT/canary" "$CTX/file"
	ln -s /proc/self/root "$CTX/self"
	# a link in the way is not followed out; a link itself is copied as one
	for src in dir/canary self/etc/hostname; do
		build_fails <<<"FROM base
COPY $src /x"
		echo "$output"
	done
	build_ok -t l <<-'EOF'
	FROM base
	COPY . /all/
	EOF
	[ "$("$CAIRN" run l readlink /all/dir)" = "$OUT" ]
	# named itself: never the content of what lies outside
	run build -t f <<-'EOF'
	FROM base
	COPY file /f
	EOF
	[ "$status" -ne 0 ] || [ "$("$CAIRN" run f sh -c 'cat /f 2>/dev/null')" != canary ]
	# the same for a bind mount
	build_fails <<-'EOF'
	FROM base
	RUN --mount=source=dir/canary,target=/m cat /m
	EOF
	[[ $output != *" canary"* ]]
}

@test "Dockerfile, ignore file and context that are no files" {
	mkfifo "$CTX/pipe"
	# it waits for a writer, as docker does, and can be stopped
	run timeout -k 20 1 "$CAIRN" build -f "$CTX/pipe" "$CTX"
	[ "$status" -ne 137 ]
	build_ok <<-'EOF'
	FROM base
	COPY . /x/
	EOF
	[[ $output == *"'pipe'"*"left out"* ]]
}

@test "destinations through links of the image stay inside" {
	local target
	for target in "$OUT" /proc/self/root/tmp ../../../../../../../../.. /proc/1/root /proc/self/cwd; do
		echo evil >"$CTX/evil"
		run build -t x <<-EOF
		FROM base
		RUN mkdir /l && ln -s $target /l/ink
		COPY evil /l/ink/evil
		WORKDIR /l/ink/evildir
		EOF
		echo "$output"
		[ "$status" -eq 0 ] || [ "$status" -lt 70 ]
		canary
		[ ! -e /tmp/evil ] && [ ! -e "$CTX/evildir" ]
	done
}

@test "COPY --from and mounts through links of another stage stay inside" {
	build_fails <<-EOF
	FROM base AS a
	RUN ln -s $OUT /ink && ln -s ../../../../../../../.. /up
	FROM base
	COPY --from=a /ink/canary /x
	EOF
	build_fails <<-EOF
	FROM base AS a
	RUN ln -s ../../../../../../../../.. /up
	FROM base
	COPY --from=a /up$OUT/canary /x
	EOF
	build_fails <<-EOF
	FROM base AS a
	RUN ln -s $OUT /ink
	FROM base
	RUN --mount=from=a,source=/ink,target=/m cat /m/canary
	EOF
	build_fails <<-EOF
	FROM base
	RUN ln -s $OUT /ink
	RUN --mount=type=cache,target=/ink/evil touch /ink/evil/x; cat /ink/canary
	EOF
	canary
}

@test "commands that want out of the sandbox" {
	local driver
	for driver in auto plain; do
		export CAIRN_ROOTFS=$driver
		build_ok <<-EOF
		FROM base
		RUN fail() { echo "escaped: \$*"; exit 1; }; \
		    mount -t tmpfs none /tmp 2>/dev/null && fail mount; \
		    mount -o remount,rw /proc/sys 2>/dev/null && fail remount; \
		    umount /proc 2>/dev/null && fail umount; \
		    echo 1 2>/dev/null >/proc/sys/kernel/panic && fail sysctl; \
		    echo x 2>/dev/null >/proc/sysrq-trigger && fail sysrq; \
		    mkdir /sys/fs/cgroup/evil 2>/dev/null && fail cgroup; \
		    mknod /k b 8 0 2>/dev/null && cat /k 2>/dev/null >/dev/null && fail disk; \
		    cat /proc/kcore 2>/dev/null | head -c 1 | grep -q . && fail kcore; \
		    chroot /proc/1/root true && ls /proc/1/root$OUT 2>/dev/null && fail root; \
		    ls /../../../..$OUT 2>/dev/null && fail dotdot; \
		    ls /proc/*/cwd/../../..$OUT 2>/dev/null && fail cwd; \
		    for fd in /proc/self/fd/* /proc/1/fd/*; do [ ! -d \$fd/ ] || case \$(readlink \$fd) in /proc*) ;; *) fail \$fd ;; esac; done; \
		    [ -e $CAIRN_HOME ] && fail store; \
		    unshare -m true 2>/dev/null && fail unshare; \
		    swapoff -a 2>/dev/null; hostname evil 2>/dev/null && [ "\$(id -u)" = 0 ] && : uts is our own; \
		    true
		EOF
	done
	canary
}

@test "a command cannot change the layers below, whatever it writes through" {
	local driver before
	for driver in auto plain; do
		export CAIRN_ROOTFS=$driver
		before=$("$CAIRN" run base sh -c 'cat /etc/passwd; stat -c "%a %u %Y" /etc/passwd /bin/busybox')
		build_ok <<-EOF
		FROM base
		RUN echo evil >>/etc/passwd; chmod 777 /etc/passwd /bin/busybox; touch /bin/busybox; ln /etc/passwd /hard; echo x >>/hard; chown 9 /etc/group
		RUN --mount=from=base,target=/b,rw echo evil >>/b/etc/passwd; chmod 0 /b/etc/group; rm -r /b/home
		EOF
		[ "$("$CAIRN" run base sh -c 'cat /etc/passwd; stat -c "%a %u %Y" /etc/passwd /bin/busybox')" = "$before" ]
	done
	run "$SANDBOX_BIN/store-check" "$CAIRN_HOME"
	echo "$output"
	[ "$status" -eq 0 ]
}

@test "a command that outlives its step does not" {
	build_ok <<-EOF
	FROM base
	RUN (setsid sleep 985$$ &) ; (nohup sleep 985$$ >/dev/null 2>&1 &) ; true
	RUN ! pgrep sleep
	EOF
	! pgrep -f "^sleep 985$$\$"
}

@test "names of users, variables and stages that are no names" {
	local line
	for line in "USER $(printf 'x%.0s' $(seq 5000))" "ENV A=\${A:-\${B:-\${C:-$(printf 'x%.0s' $(seq 100))}}}" \
		"RUN --mount=type=cache,target=/../../x,id=../../../evil true" "WORKDIR /$(printf 'w%.0s' $(seq 300))" \
		"COPY --chown=99999999999 Dockerfile /" "COPY --chmod=77777777 Dockerfile /" "USER 99999999999
RUN true"; do
		run build <<<"FROM base
$line"
		echo "$status ${output:0:300}"
		[ "$status" -lt 70 ]
		canary
	done
}
