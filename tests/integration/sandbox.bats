#!/usr/bin/env bats
# The sandbox, with real commands: as root, and as a user (in a user namespace with his
# subordinate ids). SANDBOX_BIN is where sandbox-tool and sandbox-probe are.
load common

setup_file() {
	bin=${SANDBOX_BIN:-$BATS_TEST_DIRNAME/../../build}
	[ -x "$bin/sandbox-tool" ] || bin=$BATS_TEST_DIRNAME/../../build/tests/integration
	export bin
	top=$(mktemp -d "${TMPDIR:-/tmp}/cairn-sandbox-XXXXXX")
	chmod 755 "$top"
	export top
	mkdir -p "$top/base/bin" "$top/base/etc" "$top/base/root" "$top/base/tmp" "$top/base/data/sub"
	chmod 1777 "$top/base/tmp"
	put_busybox "$top/base/bin"
	cp "$bin/sandbox-probe" "$top/base/bin/"
	echo root:x:0:0::/root:/bin/sh >"$top/base/etc/passwd"
	seq 1000 >"$top/base/data/file"
	echo inside >"$top/base/data/sub/inner"
	touch -d '2001-02-03 04:05:06' "$top/base/data" "$top/base/etc" "$top/base/tmp" "$top/base"
}

teardown_file() {
	# A user's own root can remove what his subordinate ids own.
	[ "$(id -u)" = 0 ] || "$bin/sandbox-tool" remove "$top"
	rm -rf "$top"
}

setup() {
	dir=$top/$BATS_TEST_NUMBER
	mkdir -p "$dir"
	# No other run of these tests sleeps as long.
	nap=9$$$BATS_TEST_NUMBER
	tool=
}

teardown() {
	[ -z "$tool" ] || kill -9 "$tool" 2>/dev/null || true
}

# Start a sandbox in the background: $tool.
start_box() { # OPTION... -- COMMAND...
	"$bin/sandbox-tool" run --userns --dir "$dir" --lower "$top/base" "$@" >"$dir/out" 2>&1 3>&- &
	tool=$!
}

# Wait until N processes sleep our nap.
naps() {
	local i
	for i in $(seq 1200); do
		[ "$(pgrep -cf "^sleep $nap")" != "$1" ] || return 0
		sleep 0.05
	done
	echo "not $1 but $(pgrep -cf "^sleep $nap") processes sleep"
	return 1
}

box() { # OPTION... -- COMMAND...
	"$bin/sandbox-tool" run --userns --dir "$dir" --lower "$top/base" "$@"
}

sh_in() { # SCRIPT [OPTION...]
	local script=$1
	shift
	box "$@" -- /bin/sh -c "$script"
}

is() {
	[ "$1" = "$2" ] || {
		printf 'expected: %s\ngot:      %s\n' "$2" "$1"
		return 1
	}
}

has() {
	case $1 in
	*"$2"*) ;;
	*)
		printf 'expected to find: %s\nin: %s\n' "$2" "$1"
		return 1
		;;
	esac
}

# What is in the upper directory besides the kernel's marks.
upper() {
	(cd "$dir/upper" && find . -mindepth 1 | sort)
}

@test "the command is process 1 and sees nobody else" {
	is "$(sh_in 'echo $$ /proc/[0-9]*')" "1 /proc/1"
}

@test "exit status and signals come back" {
	run sh_in 'exit 7'
	is "$status" 7
	run sh_in 'sh -c "kill -9 \$\$"; exit $?'
	is "$status" 137
	run sh_in 'exec 2>&1; echo out; echo err >&2'
	is "$output" "$(printf 'out\nerr')"
}

@test "capabilities are Docker's default ones, none inheritable" {
	out=$(sh_in 'grep Cap /proc/self/status')
	has "$out" "CapEff:	00000000a80425fb"
	has "$out" "CapBnd:	00000000a80425fb"
	has "$out" "CapInh:	0000000000000000"
	has "$out" "CapAmb:	0000000000000000"
}

@test "another user has no capabilities, and may use its standard output again" {
	out=$(sh_in 'id; grep -E "CapEff|CapBnd" /proc/self/status; echo again >/dev/stdout' --user 1000:1001)
	has "$out" "uid=1000 gid=1001"
	has "$out" "CapEff:	0000000000000000"
	has "$out" "CapBnd:	00000000a80425fb"
	has "$out" "again"
}

@test "no_new_privs is off: setuid programs work as in docker build" {
	cp -r "$top/base" "$dir/low"
	[ "$(id -u)" = 0 ] && chown 0:0 "$dir/low/bin/sandbox-probe"
	chmod 4755 "$dir/low/bin/sandbox-probe"
	is "$("$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" --user 1000:1000 -- /bin/sandbox-probe id)" \
		"1000 0"
}

@test "umask, host name, working directory, environment" {
	out=$(sh_in 'umask; hostname; pwd; env' --cwd /data/sub --env A=1 --env PATH=/bin)
	has "$out" 0022
	has "$out" buildkitsandbox
	has "$out" /data/sub
	has "$out" A=1
	case $out in *HOME*) return 1 ;; esac
}

@test "a program is looked up in the PATH of its environment" {
	is "$(box --env PATH=/nowhere:/bin -- echo found)" found
}

@test "a command that cannot be executed is an error that names it" {
	run box -- /no/such/program
	is "$status" 99
	has "$output" "cannot execute '/no/such/program': No such file or directory"
	run box -- /etc/passwd
	has "$output" "cannot execute '/etc/passwd': Permission denied"
}

@test "a missing working directory is made, inside of the root" {
	is "$(sh_in 'umask 077; pwd; stat -c "%a %u" . ..' --cwd /nowhere/at/all)" $'/nowhere/at/all\n755 0\n755 0'
	cp -r "$top/base" "$dir/low"
	ln -s "$dir" "$dir/low/absolute"
	ln -s ../../../../../../../tmp "$dir/low/climbs"
	local link
	for link in absolute climbs; do
		"$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" --cwd "/$link/made/$$" -- /bin/true
	done
	[ ! -e "$dir/made" ] && [ ! -e "/tmp/made/$$" ]
	run box --cwd /data/file/below -- /bin/true
	is "$status" 99
	has "$output" "working directory '/data/file/below'"
	run box --cwd /proc/nowhere -- /bin/true
	is "$status" 99
	has "$output" "working directory '/proc/nowhere'"
}

@test "a working directory outside of the root is refused, by whatever descriptor" {
	exec 7<"$BATS_TEST_DIRNAME"
	for fd in 3 4 5 6 7 8 9; do
		run box --cwd /proc/self/fd/$fd -- /bin/pwd
		is "$fd $status" "$fd 99"
		has "$output" "working directory"
	done
	exec 7<&-
	is "$(box --cwd /proc/self/root/data -- /bin/pwd)" /data
}

@test "what Docker masks is hidden, what it protects is read-only" {
	out=$(sh_in 'cat /proc/keys /proc/timer_list /proc/kcore 2>/dev/null | wc -c
		ls /sys/firmware /proc/acpi 2>/dev/null | grep -v : | grep -c .
		for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm/transparent_hugepage/enabled; do
			[ -e $f ] || continue
			(echo x >$f) 2>/dev/null && echo "wrote $f"
		done; true')
	is "$out" "$(printf '0\n0')"
}

@test "dev is minimal, and its nodes are not the host's" {
	before=$(stat -c '%a %u' /dev/null)
	out=$(sh_in 'ls /dev; echo x >/dev/null; head -c 4 /dev/zero | wc -c; chmod 600 /dev/null 2>/dev/null
		ls -l /dev/fd | sed "s/.*-> //"; echo $(stat -c %a /dev/shm /dev/mqueue)')
	is "$(echo $out)" "core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero 4 /proc/self/fd 1777 1777"
	is "$(stat -c '%a %u' /dev/null)" "$before"
}

@test "a device node made inside cannot be opened, wherever it lies" {
	for at in /disk /dev/disk /tmp/disk /dev/shm/disk; do
		# the null device is as good as the disk's, and every machine has it
		out=$(sh_in "mknod $at c 1 3 2>/dev/null || exit 0; /bin/sandbox-probe open $at r" --tmpfs /tmp)
		case $out in '' | EACCES) ;; *) echo "$at: $out"; return 1 ;; esac
		[ "$(id -u)" != 0 ] || is "$at $out" "$at EACCES"
	done
}

@test "seccomp: refused calls give EPERM, unknown ones ENOSYS, everyday ones work" {
	[ "$(uname -m)" = x86_64 ] || skip "the numbers are those of x86-64"
	out=$(sh_in 'p=/bin/sandbox-probe
		for n in 250 248 249 321 425 165 166 155 272 308 323 298 246 167 175 139 429 430; do $p call $n; done | sort | uniq -c | sed "s/^ *//"
		echo ptrace $($p call 101 0); echo getpid $($p call 39)
		echo unknown $($p call 1000) $($p call 511); echo clone3 $($p call 435)
		echo clone-user $($p call 56 0x10000011); echo clone $($p call 56 17)
		echo personality $($p call 135 0xffffffff) $($p call 135 0x40000)
		echo sockets $($p call 41 38 5 0) $($p call 41 40 1 0) $($p call 41 2 1 0)
		echo x32 $($p call 0x400000fa); echo i386 keyctl $($p call32 288) getpid $($p call32 20)
		echo chroot $($p call 161 0)')
	has "$out" "18 EPERM"
	has "$out" "ptrace ok"
	has "$out" "getpid ok"
	has "$out" "unknown ENOSYS ENOSYS"
	has "$out" "clone3 ENOSYS"
	has "$out" "clone-user EPERM"
	has "$out" "clone "
	has "$out" "personality ok ENOSYS"
	has "$out" "sockets EPERM EPERM ok"
	has "$out" "x32 EPERM"
	has "$out" "i386 keyctl EPERM getpid ok"
	has "$out" "chroot EFAULT"
}

@test "no descriptor leaks into the command" {
	exec 7<"$BATS_TEST_DIRNAME" 8</etc/passwd
	is "$(box -- /bin/sandbox-probe fds)" ""
	is "$(box --threads 3 -- /bin/sandbox-probe fds)" ""
	exec 7<&- 8<&-
}

@test "a command of /proc/self/exe gets a copy of cairn that cannot be written" {
	[ -x "$bin/sandbox-loader" ] || skip "sandbox-loader is for x86-64"
	cp -r "$top/base" "$dir/low"
	mkdir -p "$dir/low/lib64"
	cp "$bin/sandbox-loader" "$dir/low/lib64/ld-linux-x86-64.so.2"
	cat >"$dir/low/attack" <<-'END'
		for fd in /proc/self/fd/*; do
			case $(readlink $fd) in */sandbox-tool*|*cairn*) ;; *) continue ;; esac
			echo held
			(echo broken >>$fd) 2>/dev/null && echo "wrote to $fd"
			(echo broken >$fd) 2>/dev/null && echo "truncated $fd"
		done
	END
	sum=$(sha256sum <"$bin/sandbox-tool")
	run "$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" -- /proc/self/exe
	has "$output" held
	case $output in *wrote* | *truncated*) echo "$output"; return 1 ;; esac
	is "$(sha256sum <"$bin/sandbox-tool")" "$sum"
}

@test "mount points leave nothing in the layer, and parents keep their times" {
	out=$(sh_in 'stat -c "%n %Y %a" /data /etc /tmp; ls -d /a/b/c /data/new /run/secrets/key /etc/resolv.conf; cat /etc/resolv.conf /run/secrets/key' \
		--tmpfs /a/b/c --tmpfs /data/new --file /etc/resolv.conf:nameserver --file /run/secrets/key:secret \
		--bind "$top/base/data:sub:/data/bound")
	has "$out" "/data $(date -d '2001-02-03 04:05:06' +%s) 755"
	has "$out" "/etc $(date -d '2001-02-03 04:05:06' +%s) 755"
	has "$out" "/tmp $(date -d '2001-02-03 04:05:06' +%s) 1777"
	has "$out" nameserver
	has "$out" secret
	is "$(upper)" ""
	is "$(stat -c %Y "$dir/upper")" "$(stat -c %Y "$top/base")"
	is "$(ls "$top/base/data")" "$(printf 'file\nsub')"
}

@test "a write beside a mount point brings the real directory's mode and owner into the layer" {
	sh_in 'echo x >/tmp/beside; echo y >/a/left' --tmpfs /tmp/mnt --tmpfs /a/b
	is "$(upper)" "$(printf './a\n./a/left\n./tmp\n./tmp/beside')"
	is "$(stat -c %a "$dir/upper/tmp")" 1777
	is "$(stat -c %a "$dir/upper/a")" 755
}

@test "the layer's root has the mode, owner and time of the root below" {
	cp -r "$top/base" "$dir/low"
	chmod 711 "$dir/low"
	touch -d '2002-03-04 05:06:07' "$dir/low"
	"$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" -- /bin/true
	is "$(stat -c '%a %Y %u' "$dir/upper")" "$(stat -c '%a %Y %u' "$dir/low")"
}

@test "symbolic links of the image do not lead a mount out of it" {
	cp -r "$top/base" "$dir/low"
	mkdir -p "$top/outside"
	ln -s "../../../../../../../..$top/outside/file" "$dir/low/etc/resolv.conf"
	ln -s "$top/outside" "$dir/low/abs"
	ln -s /proc/self/fd "$dir/low/magic"
	ln -s loop "$dir/low/loop"
	cd /
	out=$("$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" --file /etc/resolv.conf:one --tmpfs /abs/x \
		-- /bin/sh -c "cat /etc/resolv.conf; echo; ls -d $top/outside/file $top/outside/x")
	is "$out" "$(printf 'one\n%s/outside/file\n%s/outside/x' "$top" "$top")"
	is "$(ls -A "$top/outside")" ""
	is "$(upper)" ""
	run "$bin/sandbox-tool" run --userns --dir "$dir" --lower "$dir/low" --tmpfs /loop -- /bin/true
	has "$output" "too many symbolic links"
}

@test "the source of a bind is resolved inside its tree" {
	cp -r "$top/base" "$dir/low"
	mkdir -p "$dir/low/src"
	ln -s /etc/passwd "$dir/low/src/pw"
	ln -s ../../../../../../etc "$dir/low/src/up"
	is "$(sh_in 'cat /in' --bind "$dir/low:src/pw:/in:ro")" "root:x:0:0::/root:/bin/sh"
	is "$(sh_in 'ls /in' --bind "$dir/low:src/up:/in:ro")" passwd
	is "$(sh_in 'ls /in' --tree "$dir/low:src/up:/in")" passwd
	run sh_in 'ls /in' --bind "$dir/low:nowhere:/in:ro"
	has "$output" "mount at '/in': source 'nowhere' does not exist"
}

@test "a read-only bind cannot be written, a writable one can" {
	mkdir -p "$dir/src"
	out=$(sh_in 'echo x >/ro/f 2>/dev/null || echo refused; echo y >/rw/g; cat /ro/g' \
		--bind "$dir/src::/ro:ro" --bind "$dir/src::/rw")
	is "$out" "$(printf 'refused\ny')"
	is "$(ls "$dir/src")" g
}

@test "mounts inside mounts, given in any order" {
	out=$(sh_in 'cat /m/n/file; ls /m' --file /m/n/file:deep --tmpfs /m/n --tmpfs /m)
	is "$out" "$(printf 'deepn')"
	is "$(upper)" ""
}

@test "a mount point that is a file says so" {
	run sh_in true --tmpfs /etc/passwd/x
	has "$output" "mount"
	has "$output" "/etc/passwd"
}

@test "network none: only a loopback that is up" {
	out=$(sh_in 'ls /sys/class/net; ip -o link show lo | grep -c "LOOPBACK,UP"' --net-none)
	has "$out" lo
	is "$(sh_in 'ip -o link | wc -l' --net-none)" 1
	is "$(sh_in 'ping -c 1 -W 20 127.0.0.1 >/dev/null && echo up' --net-none)" up
}

@test "overlay options that a host could change are off" {
	out=$(sh_in 'grep " / / " /proc/self/mountinfo; mv /data/sub /data/moved && ls /data/moved; chown 1:1 /data/file; mv /data /elsewhere 2>&1 | head -1')
	has "$out" "inner"
	case $out in *redirect_dir=on* | *metacopy=on* | *index=on* | *nfs_export=on*) return 1 ;; esac
	has "$out" volatile
	# complete copies: a renamed directory with its files, a file with its bytes
	if [ -e "$dir/upper/data/moved" ]; then
		is "$(cat "$dir/upper/data/moved/inner")" inside
		is "$(md5sum <"$dir/upper/data/file")" "$(md5sum <"$top/base/data/file")"
	else
		is "$(cat "$dir/upper/elsewhere/moved/inner")" inside
	fi
}

@test "a store that lies on an overlay gets plain directories" {
	need_root "mounts"
	mkdir -p "$dir/l/store/base" "$dir/u" "$dir/w" "$dir/m"
	cp -r "$top/base/." "$dir/l/store/base"
	out=$(unshare -m sh -c '
		mount -t overlay o -o "lowerdir=$1/l,upperdir=$1/u,workdir=$1/w" "$1/m" || exit
		"$2" probe "$1/m/store" | grep ^overlayfs
		"$2" run --dir "$1/m/store" --lower "$1/m/store/base" -- /bin/sh -c "echo ran; echo x >/made"' sh "$dir" "$bin/sandbox-tool")
	case $out in
	"overlayfs        ok"*) ;; # a kernel that allows it
	*)
		has "$out" "-> plain directories"
		has "$out" "changes:"
		has "$out" " made"
		;;
	esac
	has "$out" ran
}

@test "a redirect in a layer is not followed" {
	need_root "trusted attributes"
	mkdir -p "$dir/l1/secret" "$dir/l2/dir"
	echo hidden >"$dir/l1/secret/file"
	python3 -c 'import os,sys; os.setxattr(sys.argv[1], "trusted.overlay.redirect", b"/secret")' "$dir/l2/dir"
	is "$("$bin/sandbox-tool" run --dir "$dir" --lower "$top/base" --lower "$dir/l1" --lower "$dir/l2" -- /bin/ls /dir)" ""
}

@test "499 layers work, 500 are a clear error" {
	set --
	for i in $(seq 498); do
		mkdir -p "$dir/layers/a-long-name-for-a-layer-directory-$i"
		set -- "$@" --lower "$dir/layers/a-long-name-for-a-layer-directory-$i"
	done
	is "$(box "$@" -- /bin/echo works)" works
	run box "$@" --lower "$dir/layers" -- /bin/echo works
	has "$output" "500 layers: the kernel's overlayfs takes at most 499"
}

@test "limits above what is allowed are cut down, with a warning" {
	out=$(sh_in 'ulimit -n; ulimit -c' --result --ulimit 7:2000000:2000000 --ulimit 4:0:0)
	has "$out" "exit=0"
	limit=$(echo "$out" | head -1)
	[ "$limit" = 2000000 ] || has "$out" "ulimit 7 is limited to $limit"
	is "$(echo "$out" | sed -n 2p)" 0
}

@test "without a control group all is measured all the same" {
	out=$(sh_in 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; /bin/sandbox-probe eat 30' --result --cgroup none)
	peak=$(echo "$out" | sed -n 's/.*peak=\([0-9]*\).*/\1/p')
	[ "$peak" -gt 30000000 ]
	has "$out" "exit=0"
}

@test "a control group is made for the step and removed" {
	need_root "control groups"
	"$bin/sandbox-tool" probe "$dir" | grep -q '^cgroup *ok' || skip "$("$bin/sandbox-tool" probe "$dir" | grep ^cgroup)"
	out=$(sh_in '/bin/sandbox-probe eat 50; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done' --result)
	[ "$(echo "$out" | sed -n 's/.*peak=\([0-9]*\).*/\1/p')" -gt 50000000 ]
	[ "$(echo "$out" | sed -n 's/.*cpu=\([0-9]*\).*/\1/p')" -gt 5 ]
}

@test "the control group is gone afterwards, also when the helper is killed" {
	need_root "control groups"
	[ -d /sys/fs/cgroup/memory ] || skip "looks at version 1 only"
	group=cairn-test-$$
	mkdir /sys/fs/cgroup/memory/$group /sys/fs/cgroup/cpuacct/$group
	local kill last
	for kill in true 'kill -9 $(pgrep -P $tool)'; do
		[ "$kill" = true ] && last=2 || last=600 # it is still there when it is killed
		(
			for c in memory cpuacct; do echo $BASHPID >/sys/fs/cgroup/$c/$group/cgroup.procs; done
			exec "$bin/sandbox-tool" run --dir "$dir" --lower "$top/base" -- /bin/sleep $last
		) 3>&- 2>/dev/null &
		tool=$!
		wait_for eval 'find /sys/fs/cgroup/memory/$group -mindepth 1 -type d -name "cairn-*" | grep -q .'
		eval "$kill"
		wait $tool || true
		is "$(find /sys/fs/cgroup/memory/$group /sys/fs/cgroup/cpuacct/$group -mindepth 1 -type d)" ""
	done
	rmdir /sys/fs/cgroup/memory/$group /sys/fs/cgroup/cpuacct/$group
}

@test "out of memory is told apart, also when a grandchild is killed" {
	need_root "control groups"
	"$bin/sandbox-tool" probe "$dir" | grep -q '^cgroup *ok' || skip "$("$bin/sandbox-tool" probe "$dir" | grep ^cgroup)"
	out=$(sh_in '/bin/sandbox-probe eat 200; exit 2' --result --memory 30000000 || true)
	has "$out" "exit=2 signal=0 oom=1"
	out=$(sh_in 'exit 2' --result --memory 30000000 || true)
	has "$out" "exit=2 signal=0 oom=0"
}

@test "kill stops the command and all it started" {
	out=$(sh_in "sleep $nap & sleep $nap; true" --result --kill-after 3000 || true)
	has "$out" "exit=137 signal=9 oom=0 killed=1"
	naps 0
}

@test "kill -9 of cairn ends the step, also one that became another user" {
	for user in 0:0 1000:1000; do
		start_box --user $user -- /bin/sh -c "trap '' HUP TERM INT; sleep $nap & sleep $nap; true"
		naps 2
		kill -9 $tool
		naps 0
	done
}

@test "kill -9 of the helper ends the step" {
	start_box -- /bin/sh -c "sleep $nap; true"
	naps 1
	parent() { ps -o ppid= -p "$1" | tr -d ' '; }
	helper=$(parent "$(parent "$(pgrep -f "^sleep $nap")")")
	has "$(tr '\0' ' ' <"/proc/$helper/cmdline")" --sandbox-helper
	kill -9 "$helper"
	naps 0
	wait $tool || true
	has "$(cat "$dir/out")" "the helper was killed by signal 9"
}

@test "40 at once, each asleep for a second, do not wait for one another" {
	ms=$(box --count 40 -- /bin/sleep 1 | sed -n 's/elapsed=//p')
	echo "$ms ms" # hardly more than 1000; a busy machine takes longer, one after the other 40000
	[ "$ms" -lt 40000 ]
}

@test "older kernels: each new system call may be missing" {
	need_root "the filter would need no_new_privs"
	mkdir -p "$dir/src/below"
	for call in openat2 fsopen mount_setattr close_range pidfd_open clone3 open_tree move_mount statx; do
			out=$(sh_in 'echo ok; /bin/sandbox-probe fds; cat /etc/resolv.conf; (echo x >/src/f) 2>/dev/null || echo ro' \
			--deny $call --file /etc/resolv.conf:conf --bind "$dir/src::/src:ro:rec" --net-none)
		is "$call $out" "$call $(printf 'ok\nconfro')"
	done
}

@test "a read-only recursive bind covers the mounts below, also without mount_setattr" {
	need_root "mounts"
	mkdir -p "$dir/src/with space"
	for call in personality mount_setattr; do
			out=$(unshare -m sh -c 'mount -t tmpfs x "$1/src/with space" && shift && exec "$@"' sh "$dir" \
			"$bin/sandbox-tool" run --dir "$dir" --lower "$top/base" --deny $call --bind "$dir/src::/src:ro:rec" \
			-- /bin/sh -c '(echo x >"/src/with space/f") 2>/dev/null || echo ro; (echo x >/src/f) 2>/dev/null || echo ro')
		is "$call $out" "$call $(printf 'ro\nro')"
	done
}

@test "plain directories: the same, and no mount point is left" {
	out=$(sh_in 'ls -d /a/b/c /data/new; cat /etc/resolv.conf; echo x >/data/made; rm /data/file; touch /a/b/left' \
		--driver plain --tmpfs /a/b/c --tmpfs /data/new --file /etc/resolv.conf:conf)
	has "$out" conf
	out=$(echo "$out" | sed -n 's/.*changes://p')
	for path in data data/made data/file a a/b a/b/left; do
		has "$out " " $path "
	done
	case $out in *new* | *a/b/c* | *resolv* | *proc*) echo "$out"; return 1 ;; esac
	out=$(sh_in true --driver plain --tmpfs /a/b/c --tmpfs /data/new --file /etc/resolv.conf:conf)
	# directories whose time of change moved are for the layer's writer to drop
	for path in ${out#changes:}; do
		[ -d "$top/base/$path" ]
	done
	is "$(wc -l <"$top/base/data/file")" 1000
}

@test "plain directories: a step cannot change the store's files" {
	before=$(cd "$top/base" && find . -type f | sort | xargs sha256sum | sha256sum)
	sh_in 'for f in /data/file /etc/passwd /bin/sandbox-probe; do echo x >>$f; chmod 777 $f; done' --driver plain
	is "$(cd "$top/base" && find . -type f | sort | xargs sha256sum | sha256sum)" "$before"
	is "$(stat -c %a "$top/base/data/file")" 644
}

@test "probe: every line says what was found, and every lack what happens instead" {
	out=$("$bin/sandbox-tool" probe "$dir")
	is "$(echo "$out" | wc -l)" 14
	is "$(echo "$out" | grep -E '^.{17}(degraded|broken)' | grep -vc -- '->' || true)" 0
	is "$(find "$dir" -mindepth 1)" ""
}

@test "a user's command runs as root of a namespace that has his subordinate ids" {
	[ "$(id -u)" != 0 ] || skip "runs as a user"
	grep -q "^$(id -un):" /etc/subuid || skip "this user has no subordinate ids"
	out=$(sh_in 'cat /proc/self/uid_map; touch /own /other; chown 1000:1000 /other')
	is "$(echo "$out" | wc -l)" 2
	is "$(stat -c %u "$dir/upper/own")" "$(id -u)"
	[ "$(stat -c %u "$dir/upper/other")" -gt 65536 ]
}

@test "signals to the outer process reach the inner one" {
	[ "$(id -u)" != 0 ] || skip "runs as a user"
	start_box -- /bin/sh -c "sleep $nap; true"
	naps 1
	kill -TERM $tool
	run wait $tool
	naps 0
}
