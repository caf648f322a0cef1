#!/usr/bin/env bats
# Builds that are killed, stopped, starved, crowded, and stores that are damaged: the store
# stays whole, the next build is right, the message is clear.
#
# CAIRN_KILLS is how many builds are killed (50), CAIRN_SEED what the moments are drawn from.
# Nothing here depends on how long something takes: every moment is a right one to be killed.
load common

setup() {
	setup_suite_dirs
	[ "$BATS_TEST_NUMBER" = 0 ] || import_base
}

teardown() {
	end_syncs "$BATS_TEST_TMPDIR"
	[ -z "${MOUNTED:-}" ] || umount -l "$MOUNTED" 2>/dev/null || true
	chmod -R u+w "$BATS_TEST_TMPDIR" 2>/dev/null || true
	remove_stores
}

store_is_whole() {
	run "$SANDBOX_BIN/store-check" "$CAIRN_HOME"
	echo "$output"
	[ "$status" -eq 0 ]
}

# Every path of an image with type, mode, owner, link, size and content: what must not differ.
contents() { # IMAGE
	"$CAIRN" run "$1" sh -c '
		cd /
		find . -xdev ! -path "./proc/*" ! -path "./dev/*" ! -path "./sys/*" | sort >/tmp/names
		while read -r f; do
			stat -c "%n %F %a %u:%g %h" "$f"
			[ ! -L "$f" ] || readlink "$f"
			[ -L "$f" ] || [ ! -f "$f" ] || [ "$f" = ./tmp/names ] || sha256sum "$f"
		done </tmp/names' | grep -v -E '^\./(etc/(hosts|resolv.conf|hostname)|tmp/names|proc|sys|dev)( |$)'
}

# No cairn works in the store, not even the one that syncs it in the background.
store_is_idle() {
	! env -u CAIRN_HOME grep -qsxz "CAIRN_HOME=$CAIRN_HOME" /proc/[0-9]*/environ
}

new_store() {
	wait_for store_is_idle
	chmod -R u+rwx "$CAIRN_HOME" 2>/dev/null || true
	rm -rf "$CAIRN_HOME"
	import_base
}

no_process_says() { # WORD of its command line
	! pgrep -f -- "$1"
}

# A build with everything in it; TAG is in every command, so that its processes can be told.
kill_dockerfile() { # TAG
	cat >"$CTX/Dockerfile" <<-EOF
	FROM base AS a
	RUN echo $1 >/a && mkdir /d && for i in 1 2 3 4 5 6 7 8 9; do echo \$i >/d/\$i; done
	RUN rm -rf /d && mkdir /d && dd if=/dev/zero of=/d/zero bs=64k count=32 2>/dev/null
	FROM base AS b
	COPY many /many
	RUN sleep 0.02; : $1; chmod -R 700 /many && ln /many/1 /many/hard
	FROM a
	COPY --from=b /many /many
	WORKDIR /w/x
	RUN cat /many/1 >y; : $1; rm /a
	CMD ["cat", "y"]
	EOF
}

@test "kill -9 at any moment: the store is whole, nothing survives, the next build is right" {
	local n=${CAIRN_KILLS:-50} seed=${CAIRN_SEED:-$(((RANDOM << 15) | RANDOM))} i pid killed=0
	echo "CAIRN_SEED=$seed CAIRN_KILLS=$n"
	RANDOM=$((seed % 32768))
	mkdir "$CTX/many"
	for i in $(seq 40); do echo "file $i" >"$CTX/many/$i"; done

	# An undisturbed build in a store of its own says how long one takes and what is right.
	local tag=undisturbed-$$-$seed start span
	kill_dockerfile "$tag"
	start=$(date +%s%N)
	"$CAIRN" build --progress=plain -t good "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1
	span=$((($(date +%s%N) - start) / 1000000 + 20))
	contents good >"$BATS_TEST_TMPDIR/good"
	[ -s "$BATS_TEST_TMPDIR/good" ]

	# Until n were hit; one that was faster than its killer makes the next one come earlier.
	for ((i = 0; killed < n && i < 8 * n; i++)); do
		tag=victim-$$-$seed-$i
		kill_dockerfile "$tag"
		local after=$((RANDOM % span))
		setsid "$CAIRN" build --progress=plain -t "t$i" "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
		pid=$!
		sleep "$((after / 1000)).$(printf %03d $((after % 1000)))"
		# Every second time only the main process.
		local victim=$pid
		[ $((i % 2)) = 1 ] || victim=-$pid
		if kill -9 -- "$victim" 2>/dev/null; then
			killed=$((killed + 1))
			span=$((span * 21 / 20 + 1))
		else
			span=$((span * 3 / 4 + 1))
		fi
		wait "$pid" || true
		wait_for no_process_says "$tag"
		if [ $((i % 5)) = 4 ]; then
			store_is_whole || {
				echo "after $after ms, CAIRN_SEED=$seed, round $i"
				false
			}
			"$CAIRN" build --progress=plain -t "t$i" "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1 || {
				cat "$BATS_TEST_TMPDIR/log"
				echo "after $after ms, CAIRN_SEED=$seed, round $i"
				false
			}
			contents "t$i" >"$BATS_TEST_TMPDIR/now"
			diff "$BATS_TEST_TMPDIR/good" "$BATS_TEST_TMPDIR/now"
		fi
	done
	echo "$killed killed in $i rounds"
	[ "$killed" -ge "$n" ]
	store_is_whole

	# What the dead left behind goes when the next one makes something.
	build_ok -t last <<-EOF
	FROM base
	RUN echo last-$seed >/last
	EOF
	wait_for store_is_idle
	find "$CAIRN_HOME/tmp" -mindepth 1 -maxdepth 1 >"$BATS_TEST_TMPDIR/left"
	cat "$BATS_TEST_TMPDIR/left"
	[ "$(wc -l <"$BATS_TEST_TMPDIR/left")" -le 1 ]
	for mount in $(cut -d' ' -f5 /proc/self/mountinfo); do
		[[ $mount != "$CAIRN_HOME"* ]]
	done
}

@test "the outer process is killed while the namespace is made: the inner one ends too" {
	[ "$(id -u)" != 0 ] || skip "runs as a user"
	mkdir "$BATS_TEST_TMPDIR/bin"
	printf '#!/bin/sh\nkill -9 $PPID\nexec sleep 0.1\n' >"$BATS_TEST_TMPDIR/bin/newuidmap"
	chmod +x "$BATS_TEST_TMPDIR/bin/newuidmap"
	printf 'FROM base\nRUN true\n' >"$CTX/Dockerfile"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH run "$CAIRN" build -t "killed-$$" "$CTX"
	[ "$status" -eq 137 ]
	wait_for no_process_says "killed-$$"
}

@test "SIGINT and SIGTERM: exit code 75, finished steps are kept, nothing survives" {
	local sig pid code
	for sig in INT TERM; do
		cat >"$CTX/Dockerfile" <<-EOF
		FROM base
		RUN echo finished-$sig >/one
		RUN echo waiting-$sig; exec sleep 987$$
		EOF
		# A shell lets its background jobs ignore SIGINT; env gives it back.
		env --default-signal=INT "$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
		pid=$!
		wait_for grep -qE "^#[0-9]+ [0-9.]+ waiting-$sig" "$BATS_TEST_TMPDIR/log"
		kill "-$sig" "$pid"
		code=0
		wait "$pid" || code=$?
		cat "$BATS_TEST_TMPDIR/log"
		[ "$code" -eq 75 ]
		wait_for no_process_says "987$$"
		store_is_whole
		build_ok <<-EOF
		FROM base
		RUN echo finished-$sig >/one
		EOF
		[[ $output == *CACHED* ]]
	done
}

@test "a terminal's ^C reaches cairn and its step alike" {
	cat >"$CTX/Dockerfile" <<-EOF
	FROM base
	RUN echo finished >/one
	RUN echo waiting; sleep 986$$; echo not reached
	EOF
	# A group of its own, as a terminal gives it.
	setsid env --default-signal=INT "$CAIRN" build --progress=plain "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
	local pid=$! code=0
	wait_for grep -qE "^#[0-9]+ [0-9.]+ waiting" "$BATS_TEST_TMPDIR/log"
	kill -INT -- "-$pid"
	wait "$pid" || code=$?
	cat "$BATS_TEST_TMPDIR/log"
	[ "$code" -eq 75 ]
	wait_for no_process_says "986$$"
	store_is_whole
}

small_disk() { # SIZE
	[ "$(id -u)" = 0 ] || skip "needs root, to mount a small disk"
	mkdir -p "$CAIRN_HOME-small"
	mount -t tmpfs -o "size=$1,mode=700" none "$CAIRN_HOME-small" || skip "mount is not allowed here"
	MOUNTED=$CAIRN_HOME-small
	export CAIRN_HOME=$MOUNTED/home
	import_base
}

@test "a full disk: a clear message, nothing half-written, and after freeing all is right" {
	small_disk 24m
	local df what
	for what in "RUN dd if=/dev/zero of=/big bs=1M count=64" "COPY big /big"; do
		dd if=/dev/zero of="$CTX/big" bs=1M count=30 status=none
		dd if=/dev/zero of="$MOUNTED/ballast" bs=1M count=4 status=none
		df=$(printf 'FROM base\nRUN echo kept >/kept\n%s\n' "$what")
		build_fails <<<"$df"
		echo "$output"
		[[ $output == *"pace left on device"* || $output == *"disk is full"* ]]
		# 6: the command itself met the full disk
		[ "$status" -eq 12 ] || [ "$status" -eq 6 ]
		rm "$MOUNTED/ballast"
		store_is_whole
		build_ok -t after <<-'EOF'
		FROM base
		RUN echo kept >/kept
		RUN echo fits >/fits
		EOF
		[ "$("$CAIRN" run after cat /kept /fits)" = "kept
fits" ]
	done
	store_is_whole
}

@test "a disk filled to any degree: every build works or says that the disk is full" {
	small_disk 16m
	local kb wrong=0
	for kb in 12 30 60 100 200 400; do
		rm -f "$MOUNTED/ballast"
		# fill everything, then give back kb KiB
		dd if=/dev/zero of="$MOUNTED/ballast" bs=1M status=none 2>/dev/null || true
		truncate -s "-${kb}K" "$MOUNTED/ballast"
		run build -t "t$kb" <<-EOF
		FROM base
		RUN echo $kb >/f; for i in 1 2 3 4 5 6 7 8 9; do mkdir -p /d/\$i; echo \$i >/d/\$i/f; done
		WORKDIR /x/y
		EOF
		echo "$kb: $status $output"
		[ "$status" -eq 0 ] || [[ $output == *"pace left on device"* || $output == *"disk is full"* ]]
		rm -f "$MOUNTED/ballast"
		store_is_whole
		run "$CAIRN" build -t "t$kb" "$CTX"
		[ "$status" -eq 0 ]
		[ "$("$CAIRN" run "t$kb" cat /f /d/9/f)" = "$kb
9" ]
	done
}

@test "a store that cannot be written: hits are used, the rest is one clear error" {
	local df
	df=$(printf 'FROM base\nRUN echo here >/f\n')
	build_ok -t known <<<"$df"
	wait_for store_is_idle
	if [ "$(id -u)" = 0 ]; then
		mount --bind "$CAIRN_HOME" "$CAIRN_HOME" || skip "mount is not allowed here"
		MOUNTED=$CAIRN_HOME
		mount -o remount,bind,ro "$CAIRN_HOME"
	else
		chmod a-w "$CAIRN_HOME" "$CAIRN_HOME"/* "$CAIRN_HOME/db.sqlite"*
	fi
	run build <<<"$df"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *CACHED* ]]
	# Root of a user namespace may write whatever its owner owns.
	[ "$(id -u)" = 0 ] || skip "the hits were used; as a user no mode forbids the namespace to write"
	run build <<<"$df
RUN echo new"
	echo "$output"
	[ "$status" -eq 9 ]
	[[ $output == *"read-only"* || $output == *"ermission"* || $output == *"may not write"* ]]
	run "$CAIRN" images
	[ "$status" -eq 0 ]
	[[ $output == *known* ]]
}

# --- damage -----------------------------------------------------------------

# A store with one build in it; the Dockerfile is in $df.
damaged_store() {
	df=$(printf 'FROM base\nCOPY f /f\nRUN cat /f >/g\n')
	echo content >"$CTX/f"
	build_ok -t img --iidfile "$BATS_TEST_TMPDIR/id" <<<"$df"
	wait_for store_is_idle
	sqlite "PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null
}

sqlite() { # SQL
	python3 - "$CAIRN_HOME/db.sqlite" "$1" <<-'EOF'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	for row in db.execute(sys.argv[2]):
	    print(*[c.hex() if isinstance(c, bytes) else c for c in row])
	db.commit()
	EOF
}

# After damage: this build works, or fails with the exit code for damage and one clear line; if it
# failed, the next one works. The image is right in any case.
recovers() {
	run build -t img <<<"$df"
	echo "first: $status $output"
	[ "$status" -eq 0 ] || {
		[ "$status" -eq 8 ] || [ "$status" -eq 4 ]
		run build -t img <<<"$df"
		echo "second: $status $output"
		[ "$status" -eq 0 ]
	}
	run "$CAIRN" run img cat /f /g
	echo "$output"
	[ "$output" = "content
content" ]
}

# And where damage is not to be survived: one clear line that names the thing, exit code 8.
refuses() { # WORD...
	local word
	run build -t img <<<"$df"
	echo "$status $output"
	[ "$status" -eq 8 ]
	for word; do
		[[ $output == *"$word"* ]]
	done
}

names_of() { # KIND: 1 blob, 2 index, 3 directory
	sqlite "SELECT name FROM object WHERE kind = $1"
}

@test "a newer version of the store is refused, and named" {
	damaged_store
	echo "cairn store 99" >"$CAIRN_HOME/version"
	refuses "99" "newer"
	printf 'garbage\0\377' >"$CAIRN_HOME/version"
	refuses version
	: >"$CAIRN_HOME/version"
	refuses version
}

@test "a newer version of the database is refused, and named" {
	damaged_store
	sqlite "PRAGMA user_version = 99"
	refuses "newer"
}

@test "a damaged database is an error, whatever is damaged" {
	local how size
	damaged_store
	cp "$CAIRN_HOME/db.sqlite" "$BATS_TEST_TMPDIR/db"
	size=$(stat -c %s "$BATS_TEST_TMPDIR/db")
	for how in header empty half zeros text; do
		rm -f "$CAIRN_HOME"/db.sqlite*
		cp "$BATS_TEST_TMPDIR/db" "$CAIRN_HOME/db.sqlite"
		case $how in
		header) printf 'XXXXXXXXXXXXXXXX' | dd of="$CAIRN_HOME/db.sqlite" conv=notrunc status=none ;;
		half) truncate -s $((size / 2 + 100)) "$CAIRN_HOME/db.sqlite" ;;
		zeros) dd if=/dev/zero of="$CAIRN_HOME/db.sqlite" bs=4096 seek=1 count=$((size / 4096 - 1)) conv=notrunc status=none ;;
		text) echo "this is no database" >"$CAIRN_HOME/db.sqlite" ;;
		empty) continue ;;
		esac
		run build -t img <<<"$df"
		echo "$how: $status $output"
		[ "$status" -eq 8 ] || { [ "$status" -eq 0 ] && [ "$("$CAIRN" run img cat /f /g)" = "content
content" ]; }
		[ "$status" -eq 0 ] || [[ $output == *"store"* ]]
	done
}

@test "records that are damaged or newer are a miss" {
	local sql
	for sql in \
		"UPDATE record SET payload = replace(CAST(payload AS TEXT), '\"version\":1', '\"version\":99')" \
		"UPDATE record SET payload = substr(payload, 1, length(payload) / 2)" \
		"UPDATE record SET payload = x'00ff00'" \
		"UPDATE record SET payload = ''" \
		"UPDATE record SET payload = replace(CAST(payload AS TEXT), 'layers', 'loyers')"; do
		new_store
		damaged_store
		sqlite "$sql"
		run build -t img <<<"$df"
		echo "$sql: $output"
		[ "$status" -eq 0 ]
		[ "$("$CAIRN" run img cat /f /g)" = "content
content" ]
		# and is repaired by it: the record is good again
		run build -t img <<<"$df"
		[ "$status" -eq 0 ]
		[[ $output != *"it is ignored"* && $output == *"3 cached"* ]]
	done
}

@test "indexes that are damaged, cut, newer or gone: the layers are made again" {
	local how name
	for how in gone empty cut flip newer; do
		new_store
		damaged_store
		echo "== $how"
		# those of the build; base cannot be made again
		for name in $(sqlite "SELECT name FROM object WHERE kind = 2 ORDER BY id" | tail -n +2); do
			name=$CAIRN_HOME/indexes/$name
			chmod u+w "$name"
			case $how in
			gone) rm "$name" ;;
			empty) : >"$name" ;;
			cut) truncate -s -1 "$name" ;;
			flip) printf '\125' | dd of="$name" bs=1 seek=70 conv=notrunc status=none ;;
			newer) printf '\143' | dd of="$name" bs=1 seek=8 conv=notrunc status=none ;;
			esac
		done
		df="$df
RUN cat /g >/h" # reads the tree
		recovers
	done
}

@test "directories of layers that are gone: the layers are made again" {
	local name
	damaged_store
	for name in $(sqlite "SELECT name FROM object WHERE kind = 3 ORDER BY id" | tail -n +2); do
		rm -rf "$CAIRN_HOME/layers/$name"
	done
	df="$df
RUN cat /g >/h"
	recovers
}

@test "a base whose files are gone says what to do" {
	local name
	damaged_store
	name=$(sqlite "SELECT name FROM object WHERE kind = 3 ORDER BY id" | head -1)
	chmod -R u+w "$CAIRN_HOME/layers/$name" || true
	rm -rf "$CAIRN_HOME/layers/$name" || mv "$CAIRN_HOME/layers/$name" "$BATS_TEST_TMPDIR/away"
	run build <<<"$df
RUN echo more"
	echo "$output"
	[ "$status" -ne 0 ]
	[ "$status" -ne 70 ]
	[[ $output == *base* ]]
	import_base
	run build -t img <<<"$df
RUN echo more"
	echo "$output"
	[ "$status" -eq 0 ]
	[ "$("$CAIRN" run img cat /g)" = content ]
}

@test "a damaged image config is an error or is made again, never believed" {
	local name
	damaged_store
	for name in $(names_of 1); do
		chmod u+w "$CAIRN_HOME/blobs/$name"
		sed -i 's/"/!/' "$CAIRN_HOME/blobs/$name"
	done
	run "$CAIRN" inspect img
	echo "$output"
	[ "$status" -eq 8 ] || [ "$status" -eq 4 ]
	import_base
	recovers
}

# --- more than one at once ----------------------------------------------------

@test "eight builds of the same thing at once: one result, every step ran once" {
	local i pids=() df
	df=$(cat <<-'EOF'
	FROM base AS a
	RUN echo ran-a; head -c 20 /dev/urandom | od >/a
	FROM base AS b
	RUN echo ran-b; head -c 20 /dev/urandom | od >/b
	FROM a
	COPY --from=b /b /b
	RUN echo ran-c; cat /a /b >/c
	EOF
	)
	echo "$df" >"$CTX/Dockerfile"
	for i in 1 2 3 4 5 6 7 8; do
		"$CAIRN" build --progress=plain --iidfile "$BATS_TEST_TMPDIR/id$i" -t "same$((i % 3))" "$CTX" >"$BATS_TEST_TMPDIR/log$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || {
			cat "$BATS_TEST_TMPDIR"/log*
			false
		}
	done
	for i in 2 3 4 5 6 7 8; do
		cmp "$BATS_TEST_TMPDIR/id1" "$BATS_TEST_TMPDIR/id$i"
	done
	for i in a b c; do
		[ "$(cat "$BATS_TEST_TMPDIR"/log? | grep -cE "^#[0-9]+ [0-9.]+ ran-$i")" = 1 ]
	done
	store_is_whole
}

@test "eight different builds at once in one store: the common step ran once, all are right" {
	local i pids=()
	for i in 1 2 3 4 5 6 7 8; do
		mkdir "$CTX/$i"
		echo "own $i" >"$CTX/$i/f"
		cat >"$CTX/$i/Dockerfile" <<-EOF
		FROM base
		RUN echo ran-common; head -c 20 /dev/urandom | od >/common
		COPY f /f
		RUN cat /common /f >/both
		EOF
		"$CAIRN" build --progress=plain -t "diff$i" "$CTX/$i" >"$BATS_TEST_TMPDIR/log$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || {
			cat "$BATS_TEST_TMPDIR"/log*
			false
		}
	done
	[ "$(cat "$BATS_TEST_TMPDIR"/log? | grep -cE "^#[0-9]+ [0-9.]+ ran-common")" = 1 ]
	local common
	common=$("$CAIRN" run diff1 cat /common)
	for i in 1 2 3 4 5 6 7 8; do
		[ "$("$CAIRN" run "diff$i" cat /both)" = "$common
own $i" ]
	done
	store_is_whole
}

@test "locked cache mounts: two processes are never in it together; shared ones are" {
	local i pids=()
	for i in 1 2; do
		mkdir "$CTX/$i"
		cat >"$CTX/$i/Dockerfile" <<-EOF
		FROM base
		RUN --mount=type=cache,id=lock,sharing=locked,target=/c --mount=type=cache,id=lock2,sharing=locked,target=/c2 \
		    mkdir /c/in /c2/in && sleep 0.3 && echo $i >>/c/log && rmdir /c/in /c2/in
		EOF
	done
	# the other way round: no deadlock
	sed -i 's/id=lock,/id=x,/; s/id=lock2,/id=lock,/; s/id=x,/id=lock2,/' "$CTX/2/Dockerfile"
	for i in 1 2; do
		"$CAIRN" build --progress=plain "$CTX/$i" >"$BATS_TEST_TMPDIR/log$i" 2>&1 3>&- &
		pids+=($!)
	done
	for i in "${pids[@]}"; do
		wait "$i" || {
			cat "$BATS_TEST_TMPDIR"/log*
			false
		}
	done
	for i in 1 2; do
		cat >"$CTX/$i/Dockerfile" <<-EOF
		FROM base
		RUN --mount=type=cache,id=meet,target=/c touch /c/$i; \
		    for i in \$(seq 600); do [ -e /c/$((3 - i)) ] && exit 0; sleep 0.1; done; exit 1
		EOF
		"$CAIRN" build --progress=plain "$CTX/$i" >"$BATS_TEST_TMPDIR/log$i" 2>&1 3>&- &
		pids[i]=$!
	done
	wait "${pids[1]}"
	wait "${pids[2]}"
}

# --- a context that changes, an odd home ------------------------------------

# The step before the one that reads the file says that it runs, and waits for leave.
change_while_building() { # INSTRUCTION COMMAND...
	local copy=$1 pid code=0
	shift
	cat >"$CTX/Dockerfile" <<-EOF
	FROM base
	RUN --mount=type=cache,id=gate,target=/gate touch /gate/waits; \
	    for i in \$(seq 1200); do [ -e /gate/go ] && exit 0; sleep 0.05; done; exit 1
	$copy
	EOF
	printf 'Dockerfile\n' >"$CTX/.dockerignore"
	"$CAIRN" build --progress=plain -t changed "$CTX" >"$BATS_TEST_TMPDIR/log" 2>&1 3>&- &
	pid=$!
	wait_for eval 'ls "$CAIRN_HOME"/mounts/*/waits'
	"$@"
	touch "$(dirname "$(ls "$CAIRN_HOME"/mounts/*/waits)")/go"
	wait "$pid" || code=$?
	cat "$BATS_TEST_TMPDIR/log"
	echo "exit code $code"
	changed_code=$code
}

build_again() {
	run "$CAIRN" build --progress=plain -t again "$CTX"
	echo "$output"
	[ "$status" -eq 0 ]
}

rewrite() { # FILE COMMAND: same size, same times
	local old
	old=$(stat -c @%.Y "$1")
	eval "$2"
	touch -d "$old" "$1"
}

@test "a file of the context that changes while the build runs is never cached wrongly" {
	echo aaaa >"$CTX/f"
	change_while_building "COPY f /f" rewrite "$CTX/f" "echo bbbb >'$CTX/f'"
	# either an error, or the new content under its own key; never aaaa's key with bbbb
	[ "$changed_code" -eq 0 ] || [[ $(<"$BATS_TEST_TMPDIR/log") == *"changed"* ]]
	echo aaaa >"$CTX/f"
	build_again
	[ "$("$CAIRN" run again cat /f)" = aaaa ]
	echo bbbb >"$CTX/f"
	build_again
	[ "$("$CAIRN" run again cat /f)" = bbbb ]
}

@test "an archive that changes while the build runs is never cached wrongly" {
	mkdir "$BATS_TEST_TMPDIR/a"
	echo aaaa >"$BATS_TEST_TMPDIR/a/f"
	tar -C "$BATS_TEST_TMPDIR/a" -cf "$BATS_TEST_TMPDIR/a.tar" f
	echo bbbb >"$BATS_TEST_TMPDIR/a/f"
	tar -C "$BATS_TEST_TMPDIR/a" -cf "$BATS_TEST_TMPDIR/b.tar" f
	cp "$BATS_TEST_TMPDIR/a.tar" "$CTX/x.tar"
	change_while_building "ADD x.tar /x/" cp "$BATS_TEST_TMPDIR/b.tar" "$CTX/x.tar"
	[ "$changed_code" -eq 0 ] || [[ $(<"$BATS_TEST_TMPDIR/log") == *"changed"* ]]
	cp "$BATS_TEST_TMPDIR/a.tar" "$CTX/x.tar"
	build_again
	[ "$("$CAIRN" run again cat /x/f)" = aaaa ]
}

@test "a file of the context that vanishes, or becomes a link out of it, is an error" {
	echo aaaa >"$CTX/f"
	change_while_building "COPY f /f" rm "$CTX/f"
	[ "$changed_code" -ne 0 ]
	[ "$changed_code" -ne 70 ]
	[[ $(<"$BATS_TEST_TMPDIR/log") == *"'f'"* || $(<"$BATS_TEST_TMPDIR/log") == *"f:"* ]]
	mkdir "$CTX/d" "$BATS_TEST_TMPDIR/outside"
	echo aaaa >"$CTX/d/f"
	echo s3cr >"$BATS_TEST_TMPDIR/outside/f"
	new_store
	change_while_building "COPY d /d" eval "rm -r '$CTX/d'; ln -s '$BATS_TEST_TMPDIR/outside' '$CTX/d'"
	[ "$changed_code" -ne 0 ]
	[[ $(<"$BATS_TEST_TMPDIR/log") != *s3cr* ]]
}

@test "an odd umask and a setgid home with a default ACL do not reach the image" {
	local plain=$BATS_TEST_TMPDIR/plain odd=$BATS_TEST_TMPDIR/odd df
	df=$(cat <<-'EOF'
	FROM base
	COPY d /d
	WORKDIR /w/x
	RUN mkdir /made && echo x >/made/f && rm -rf /var && mkdir /var
	USER app
	RUN ls / >/tmp/seen
	EOF
	)
	mkdir -m 755 "$CTX/d"
	echo f >"$CTX/d/f"
	chmod 644 "$CTX/d/f"
	mkdir "$plain" "$odd"
	chmod 2777 "$odd"
	if command -v setfacl >/dev/null; then
		setfacl -d -m u:12345:rwx,g:54321:rwx,o::rwx "$odd"
	fi
	CAIRN_HOME=$plain/home
	import_base
	build_ok -t x <<<"$df"
	contents x >"$BATS_TEST_TMPDIR/1"
	umask 077
	CAIRN_HOME=$odd/home
	import_base
	build_ok -t x <<<"$df"
	umask 022
	contents x >"$BATS_TEST_TMPDIR/2"
	diff "$BATS_TEST_TMPDIR/1" "$BATS_TEST_TMPDIR/2"
	run "$CAIRN" run x stat -c %a / /made
	[ "$output" = "755
755" ]
}
