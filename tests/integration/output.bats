#!/usr/bin/env bats
# Where a build's result goes: archives, tars, folders; and that the same image gives the same bytes.
load common

setup() {
	setup_suite_dirs
	import_base
	OUT=$BATS_TEST_TMPDIR/out
	mkdir "$OUT"
}

teardown() {
	if mountpoint -q "$BATS_TEST_TMPDIR/small" 2>/dev/null; then
		umount "$BATS_TEST_TMPDIR/small"
	fi
	stop_servers
	remove_stores
}

need() { # PROGRAM
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# An image with everything that a file system has: links, modes, owners, times, removed files.
dockerfile() {
	cat <<-'END'
	FROM base
	COPY --chown=1000:50 a.txt /data/a.txt
	RUN ln /data/a.txt /data/b.txt && ln -s a.txt /data/link && mkdir -m 2750 /data/dir && \
	    echo tool >/data/dir/tool && chmod 4755 /data/dir/tool && chown 1000 /data/dir && mkfifo /data/pipe && \
	    touch -d '2001-02-03 04:05:06' /data/dir && echo gone >/data/gone && \
	    name=$(printf '%0120d' 7) && echo long >/data/$name && echo "ü" >"/data/ü x"
	RUN rm /data/gone /bin/yes && echo new >/data/new
	WORKDIR /srv/dir
	ENV A=1
	CMD ["cat", "/data/a.txt"]
	END
}

build_all() { # OPTION...
	[ -e "$CTX/a.txt" ] || echo hello >"$CTX/a.txt"
	build_ok "$@" < <(dockerfile)
}

ids_of() { # FILE: the image id in a --metadata-file
	jq -r '."containerimage.config.digest"' "$1"
}

@test "an OCI archive is what other programs expect" {
	need skopeo
	build_all -t one -t localhost:5000/two:2 --metadata-file "$OUT/m.json" \
		-o "type=oci,dest=$OUT/zstd.tar,compression=zstd" -o "type=oci,dest=$OUT/gzip.tar" \
		-o "type=oci,dest=$OUT/plain.tar,compression=uncompressed"
	for f in zstd gzip plain; do
		skopeo copy -q "oci-archive:$OUT/$f.tar:latest" "dir:$OUT/$f"
		[ "$(jq -r .config.digest "$OUT/$f/manifest.json")" = "$(ids_of "$OUT/m.json")" ]
		[ "$(tar -xOf "$OUT/$f.tar" index.json | jq -r '.manifests[].annotations["io.containerd.image.name"]')" \
			= $'docker.io/library/one:latest\nlocalhost:5000/two:2' ]
	done
	jq -e '.layers[] | select(.mediaType != "application/vnd.oci.image.layer.v1.tar+zstd") | halt_error(1)' \
		"$OUT/zstd/manifest.json" || [ $? -eq 4 ]
	[ "$(jq -r '.layers[0].mediaType' "$OUT/gzip/manifest.json")" = application/vnd.oci.image.layer.v1.tar+gzip ]
	[ "$(jq -r '.layers[0].mediaType' "$OUT/plain/manifest.json")" = application/vnd.oci.image.layer.v1.tar ]
	[ "$(sha256sum <"$OUT/zstd/manifest.json" | cut -c1-64)" = \
		"$(jq -r '."containerimage.digest"' "$OUT/m.json" | cut -c8-)" ]
	# Every blob has its digest, and the uncompressed layers are the config's.
	mkdir "$OUT/x"
	tar -C "$OUT/x" -xf "$OUT/zstd.tar"
	(cd "$OUT/x/blobs/sha256" && for b in *; do echo "$b  $b"; done | sha256sum -c --quiet)
	local layers
	layers=$(jq -r '.layers[].digest' "$OUT/zstd/manifest.json" | cut -c8- |
		while read -r d; do echo "sha256:$(zstd -dcq <"$OUT/x/blobs/sha256/$d" | sha256sum | cut -c1-64)"; done)
	[ "$layers" = "$(skopeo inspect --config "oci-archive:$OUT/zstd.tar:latest" | jq -r '.rootfs.diff_ids[]')" ]
}

@test "an OCI layout in a folder; other images in it stay" {
	need skopeo
	build_all -t one -o "type=oci,dest=$OUT/layout,tar=false"
	build_ok -t two -o "type=oci,dest=$OUT/layout,tar=false" <<<$'FROM base\nCMD two'
	build_ok -t one -o "type=oci,dest=$OUT/layout,tar=false" <<<$'FROM base\nCMD one'
	[ "$(jq '.manifests | length' "$OUT/layout/index.json")" = 2 ]
	[ "$(jq -r '.manifests[].annotations["io.containerd.image.name"]' "$OUT/layout/index.json" | sort)" = \
		$'docker.io/library/one:latest\ndocker.io/library/two:latest' ]
	find "$OUT/layout" -name '.cairn*' | { ! grep .; }
	build_fails -o "type=oci,dest=$CTX/Dockerfile,tar=false" <<<$'FROM base'
	[[ $output == *"is not a folder"* ]]
}

@test "a docker archive has what docker load reads" {
	need skopeo
	build_all -t one -t two:2 --metadata-file "$OUT/m.json" -o "type=docker,dest=$OUT/d.tar" \
		-o "type=docker,dest=$OUT/z.tar,compression=gzip"
	for f in d z; do
		tar -xOf "$OUT/$f.tar" manifest.json >"$OUT/list"
		[ "$(jq -c '.[0].RepoTags' "$OUT/list")" = '["one:latest","two:2"]' ]
		[ "blobs/sha256/$(ids_of "$OUT/m.json" | cut -c8-)" = "$(jq -r '.[0].Config' "$OUT/list")" ]
		skopeo copy -q "docker-archive:$OUT/$f.tar:two:2" "dir:$OUT/dir-$f"
		skopeo copy -q "docker-archive:$OUT/$f.tar:one:latest" "oci:$OUT/oci-$f:x"
		[ "$(jq -r .config.digest "$OUT/dir-$f/manifest.json")" = "$(ids_of "$OUT/m.json")" ]
	done
}

# Docker of this machine, or the one that bench/peers has started.
find_docker() {
	local peers=$BATS_TEST_DIRNAME/../../bench/peers
	if docker info >/dev/null 2>&1; then
		DOCKER=docker
	elif [ "$(id -u)" = 0 ] && [ -x "$peers" ] && "$peers" status >/dev/null 2>&1; then
		DOCKER="$peers exec docker"
	else
		skip "no docker daemon answers"
	fi
}

@test "docker loads and runs it" {
	find_docker
	build_all -t cairn-test-load -o "type=docker,dest=$OUT/d.tar" -o "type=docker,dest=$OUT/z.tar,compression=gzip" \
		-o "type=oci,dest=$OUT/o.tar"
	for f in d z o; do
		$DOCKER load -q <"$OUT/$f.tar"
		[ "$($DOCKER run --rm --network none cairn-test-load)" = hello ]
		$DOCKER rmi -f cairn-test-load
	done
}

# Lines "MODE OWNER DATE TIME PATH" of a tar, but for links; folders without their slash.
list_tar() { # FILE
	TZ=UTC tar --full-time --numeric-owner --quoting-style=literal -tvf "$1" |
		sed -nE 's/^([-dp]\S+) +(\S+) +\S+ +(\S+) +(\S+) (.*[^/])\/?$/\1 \2 \3 \4 \5/p' | sort -k5
}

@test "a tar holds what a container sees: owners, modes, times, links" {
	build_all -t one -o "type=tar,dest=$OUT/a.tar"
	list_tar "$OUT/a.tar" | grep -vE ' (dev|proc|sys|etc)(/|$)' >"$OUT/tar.list"
	"$CAIRN" run one find / -xdev \( -type f -o -type d -o -type p \) -exec stat -c '%A %u/%g %y %n' '{}' \; |
		sed -E 's/\.[0-9]+ \+0000 \// /' | grep -vE ' (dev|proc|sys|etc)?(/.*)?$' | sort -k5 >"$OUT/run.list"
	# A second name of a file is a link in the tar and a file in the container.
	grep -v ' data/b.txt$' "$OUT/run.list" | diff "$OUT/tar.list" -
	tar -tvf "$OUT/a.tar" data/b.txt | grep 'link to data/a.txt$'
	tar -tvf "$OUT/a.tar" data/link | grep -- '-> a.txt$'
	grep -E '^-rw-r--r-- 1000/50 .* data/a.txt$' "$OUT/tar.list"
	grep -E '^drwxr-s--- 1000/0 2001-02-03 04:05:06 data/dir$' "$OUT/tar.list"
	grep -E '^-rwsr-xr-x .* data/dir/tool$' "$OUT/tar.list"
	! grep -E 'gone|bin/yes|\.wh\.' "$OUT/tar.list"
	[ "$(tar -xOf "$OUT/a.tar" data/new)" = new ]
	# The tar of an image imported from that tar is the same tar.
	"$CAIRN" import "$OUT/a.tar" again
	build_ok -o "type=tar,dest=$OUT/b.tar" <<<'FROM again'
	cmp "$OUT/a.tar" "$OUT/b.tar"
}

@test "file capabilities reach tar and layers" {
	need setcap
	need_root
	mkdir -p "$OUT/root/bin"
	cp /bin/busybox "$OUT/root/bin/ping"
	setcap cap_net_raw+ep "$OUT/root/bin/ping" || skip "this file system has no capabilities"
	tar --xattrs --xattrs-include='*' -C "$OUT/root" -cf "$OUT/root.tar" .
	"$CAIRN" import "$OUT/root.tar" caps
	echo 1 >"$CTX/f"
	build_ok -o "type=tar,dest=$OUT/a.tar" -o "type=local,dest=$OUT/local" \
		-o "type=oci,dest=$OUT/o,tar=false,compression=uncompressed" <<-'END'
	FROM caps
	COPY f /f
	END
	grep -aq SCHILY.xattr.security.capability "$OUT/a.tar"
	[[ $(getcap "$OUT/local/bin/ping") == *cap_net_raw* ]]
	cat "$OUT"/o/blobs/sha256/* | grep -aq SCHILY.xattr.security.capability
}

@test "a folder gets the files of the image, as the caller's" {
	build_all -o "type=tar,dest=$OUT/a.tar" -o "$OUT/folder"
	list_tar "$OUT/a.tar" | sed -E 's/ [0-9]+\/[0-9]+ / /' >"$OUT/tar.list"
	(cd "$OUT/folder" && find . -mindepth 1 \( -type f -o -type d -o -type p \) -printf '%M %TY-%Tm-%Td %TH:%TM:%TS %P\n') |
		TZ=UTC sed -E 's/\.0+ / /' | grep -v ' data/b.txt$' | sort -k4 >"$OUT/folder.list"
	sort -k4 "$OUT/tar.list" | diff - "$OUT/folder.list"
	[ "$(stat -c %i "$OUT/folder/data/a.txt")" = "$(stat -c %i "$OUT/folder/data/b.txt")" ]
	[ "$(readlink "$OUT/folder/data/link")" = a.txt ]
	[ "$(cat "$OUT/folder/data/a.txt")" = hello ]
	find "$OUT/folder" ! -uid "$(id -u)" | { ! grep .; }
	find "$OUT" -name '.cairn*' | { ! grep .; }
}

@test "a folder that exists is merged into, and no link in it is followed" {
	mkdir -p "$OUT/folder/data" "$OUT/outside" "$OUT/target"
	echo mine >"$OUT/folder/mine"
	echo mine >"$OUT/outside/new"
	ln -s "$OUT/outside" "$OUT/folder/etc"
	ln -s "$OUT/outside/new" "$OUT/folder/data/new"
	echo old >"$OUT/folder/data/a.txt"
	build_all -o "$OUT/folder"
	[ "$(cat "$OUT/folder/mine")" = mine ]
	[ "$(cat "$OUT/outside/new")" = mine ]
	[ "$(ls "$OUT/outside")" = new ]
	[ ! -L "$OUT/folder/etc" ]
	[ -f "$OUT/folder/etc/passwd" ]
	[ ! -L "$OUT/folder/data/new" ]
	[ "$(cat "$OUT/folder/data/new")" = new ]
	[ "$(cat "$OUT/folder/data/a.txt")" = hello ]
	rm -rf "$OUT/folder/data/a.txt"
	mkdir "$OUT/folder/data/a.txt"
	build_fails -o "$OUT/folder" < <(dockerfile)
	[[ $output == *"data/a.txt' is a folder, and a file in the image"* ]]
	find "$OUT" -name '.cairn*' | { ! grep .; }
}

@test "standard output takes an archive, and a terminal does not" {
	echo hello >"$CTX/a.txt"
	dockerfile >"$CTX/Dockerfile"
	"$CAIRN" build -q -o - "$CTX" >"$OUT/a.tar"
	[ "$(tar -xOf "$OUT/a.tar" data/a.txt)" = hello ]
	"$CAIRN" build -q -o type=tar "$CTX" | cmp - "$OUT/a.tar"
	"$CAIRN" build -q -o type=oci,dest=- "$CTX" | tar -tf - | grep -x index.json
	"$CAIRN" build -q -o type=tar,dest=- "$CTX" | head -c 1000 >/dev/null || true
	command -v script >/dev/null || return 0
	run script -qec "'$CAIRN' build -o - '$CTX'" /dev/null
	[[ $output == *"not written to a terminal"* ]]
	[ "$status" -ne 0 ]
}

@test "a file that exists is replaced, through a link; a pipe is written to" {
	build_all -o "type=tar,dest=$OUT/a.tar"
	echo old >"$OUT/b.tar"
	ln -s b.tar "$OUT/link.tar"
	build_all -o "type=tar,dest=$OUT/link.tar"
	[ -L "$OUT/link.tar" ]
	cmp "$OUT/a.tar" "$OUT/b.tar"
	mkfifo "$OUT/pipe"
	cat "$OUT/pipe" >"$OUT/c.tar" &
	build_all -o "type=tar,dest=$OUT/pipe"
	wait
	cmp "$OUT/a.tar" "$OUT/c.tar"
	(umask 027 && build_all -o "type=tar,dest=$OUT/d.tar")
	[ "$(stat -c %a "$OUT/d.tar")" = 640 ]
}

@test "an output that cannot be written is refused before anything is built" {
	mkdir "$OUT/folder"
	local line="RUN echo it-ran"
	while IFS='|' read -r option text; do
		build_fails $option <<<$'FROM base\n'"$line"
		[[ $output == *"$text"* && $output != *" it-ran"* ]] || {
			echo "$option: $output"
			return 1
		}
	done <<-END
	-o type=tar,dest=$OUT/no/a.tar|the folder '$OUT/no' does not exist
	-o type=oci,dest=$OUT/folder|is a folder
	-o type=local,dest=$CTX/Dockerfile|is not a folder
	-o type=tar,dest=- -o type=oci,dest=-|only one output can go to standard output
	-o type=oci,dest=$OUT/a,compression=gzip,compression-level=13|gzip has levels 1 to 12
	-o type=oci,dest=$OUT/a,compression=zstd,compression-level=20|zstd has levels 1 to 19
	-o type=oci,dest=$OUT/a,compression=lzma|compression
	-o type=oci,dest=$OUT/a,name=UPPER|--output name
	--build-arg SOURCE_DATE_EPOCH=yesterday -o type=oci,dest=$OUT/a|SOURCE_DATE_EPOCH
	END
	[ -z "$(ls -A "$OUT/folder")" ]
	[ "$(ls "$OUT")" = folder ]
}

@test "a full disk leaves nothing behind" {
	need_root
	mkdir "$BATS_TEST_TMPDIR/small"
	mount -t tmpfs -o size=1m tmpfs "$BATS_TEST_TMPDIR/small" || skip "cannot mount a tmpfs"
	head -c 3000000 /dev/urandom >"$CTX/big"
	for option in type=oci,dest=a type=oci,dest=a,tar=false type=docker,dest=a type=tar,dest=a type=local,dest=a; do
		build_fails -o "${option/dest=a/dest=$BATS_TEST_TMPDIR/small/a}" <<<$'FROM scratch\nCOPY big /'
		[[ $output == *"No space left on device"* ]]
		[ -z "$(ls -A "$BATS_TEST_TMPDIR/small")" ]
	done
	mkdir "$BATS_TEST_TMPDIR/small/a"
	build_fails -o "type=local,dest=$BATS_TEST_TMPDIR/small/a" <<<$'FROM scratch\nCOPY big /'
	[ -z "$(ls -A "$BATS_TEST_TMPDIR/small/a")" ]
}

# Build in a store, a folder and at a time of its own.
build_elsewhere() { # N
	local dir=$BATS_TEST_TMPDIR/place-$1
	mkdir -p "$dir" "$OUT/$1"
	CAIRN_HOME=$BATS_TEST_TMPDIR/home-$1
	"$CAIRN" import "$BATS_FILE_TMPDIR/base.tar" base >/dev/null
	CTX=$dir
	echo hello >"$dir/a.txt"
	touch -d "2026-01-0$1" "$dir/a.txt"
	build_all -t one --iidfile "$OUT/$1/iid" --metadata-file "$OUT/$1/m.json" \
		-o "type=oci,dest=$OUT/$1/zstd,compression=zstd" -o "type=oci,dest=$OUT/$1/gzip" \
		-o "type=docker,dest=$OUT/$1/docker" -o "type=tar,dest=$OUT/$1/tar"
}

@test "SOURCE_DATE_EPOCH: two stores, places and times give the same bytes" {
	export SOURCE_DATE_EPOCH=1750000000
	build_elsewhere 1
	sleep 1.1
	build_elsewhere 2
	for f in iid zstd gzip docker tar; do
		cmp "$OUT/1/$f" "$OUT/2/$f"
	done
	[ "$(jq -r '."containerimage.digest"' "$OUT/1/m.json")" = "$(jq -r '."containerimage.digest"' "$OUT/2/m.json")" ]
	# Times: none later, old ones stay, the image's is the epoch.
	TZ=UTC tar --full-time -tvf "$OUT/1/tar" data/dir | grep '2001-02-03 04:05:06'
	TZ=UTC tar --full-time -tvf "$OUT/1/tar" data/new | grep '2025-06-15 15:06:40'
	tar -xOf "$OUT/1/docker" "blobs/sha256/$(cut -c8- "$OUT/1/iid")" >"$OUT/config"
	[ "$(jq -r .created "$OUT/config")" = 2025-06-15T15:06:40Z ]
	[ "$(jq -r '.history[].created' "$OUT/config" | sort -u)" = 2025-06-15T15:06:40Z ]
}

@test "SOURCE_DATE_EPOCH: it is not in the keys, and the image is the clamped one" {
	build_all --iidfile "$OUT/now"
	build_all --build-arg SOURCE_DATE_EPOCH=1750000000 -t one --iidfile "$OUT/then"
	[[ $output != *"] RUN"*DONE* ]]
	! cmp "$OUT/now" "$OUT/then"
	SOURCE_DATE_EPOCH=1750000000 build_all -t one --iidfile "$OUT/env"
	cmp "$OUT/then" "$OUT/env"
	[ "$(image_id one)" = "$(cat "$OUT/then")" ]
	SOURCE_DATE_EPOCH= build_all --iidfile "$OUT/empty"
	cmp "$OUT/now" "$OUT/empty"
}

@test "SOURCE_DATE_EPOCH: its images run, and are built upon" {
	SOURCE_DATE_EPOCH=1750000000 build_all -t one
	[ "$("$CAIRN" run one)" = hello ]
	[ "$("$CAIRN" run one stat -c '%Y %h %u' /data/a.txt)" = "1750000000 2 1000" ]
	build_ok -t two -o "type=tar,dest=$OUT/two.tar" -o "type=oci,dest=$OUT/two.oci" <<-'END'
	FROM one
	RUN cat /data/a.txt >/copy && rm /data/b.txt
	END
	[ "$("$CAIRN" run two cat /copy)" = hello ]
	TZ=UTC tar --full-time -tvf "$OUT/two.tar" data/new | grep '2025-06-15 15:06:40'
	! tar -tf "$OUT/two.tar" | grep -x data/b.txt
}

@test "layers are compressed once, and a damaged blob is noticed" {
	build_all -o "type=oci,dest=$OUT/a.tar,compression=zstd"
	local blobs
	blobs=$(cd "$CAIRN_HOME/blobs" && stat -c '%n %Y %s' -- *)
	build_all -o "type=oci,dest=$OUT/b.tar,compression=zstd"
	cmp "$OUT/a.tar" "$OUT/b.tar"
	[ "$blobs" = "$(cd "$CAIRN_HOME/blobs" && stat -c '%n %Y %s' -- *)" ]
	local big
	big=$(cd "$CAIRN_HOME/blobs" && ls -S | head -1)
	printf 'X' | dd of="$CAIRN_HOME/blobs/$big" bs=1 seek=1000 conv=notrunc status=none
	build_fails -o "type=oci,dest=$OUT/c.tar,compression=zstd" < <(dockerfile)
	[[ $output == *"was damaged and has been removed"* ]]
	[ ! -e "$OUT/c.tar" ]
	build_all -o "type=oci,dest=$OUT/c.tar,compression=zstd"
	cmp "$OUT/a.tar" "$OUT/c.tar"
}

@test "changed files of a layer in the store never reach an archive" {
	build_all -t one
	local file
	file=$(find "$CAIRN_HOME/layers" -path '*/data/new' -type f)
	chmod u+w "$file"
	echo bad >"$file"
	build_fails -o "type=docker,dest=$OUT/a.tar" < <(dockerfile)
	[[ $output == *"data/new"* || $output == *"store were changed"* ]]
	[ ! -e "$OUT/a.tar" ]
}

@test "--metadata-file says what was made" {
	build_all -t one -t two:2 --metadata-file "$OUT/m.json" --iidfile "$OUT/iid" -o "type=oci,dest=$OUT/a.tar"
	[ "$(ids_of "$OUT/m.json")" = "$(cat "$OUT/iid")" ]
	[ "$(jq -r '."image.name"' "$OUT/m.json")" = docker.io/library/one:latest,docker.io/library/two:2 ]
	[ "$(jq -r '."containerimage.descriptor".digest' "$OUT/m.json")" = "$(jq -r '."containerimage.digest"' "$OUT/m.json")" ]
	[ "$(jq -r '."containerimage.descriptor".annotations["config.digest"]' "$OUT/m.json")" = "$(cat "$OUT/iid")" ]
	[ "$(jq -r '.cairn | "\(.steps) \(.cached) \(.seconds >= 0)"' "$OUT/m.json")" = "5 1 true" ]
	build_all --metadata-file "$OUT/m.json"
	[ "$(jq -r '.cairn.cached' "$OUT/m.json")" = 5 ]
	[ "$(jq 'has("containerimage.digest") or has("image.name")' "$OUT/m.json")" = false ]
}

@test "an image without layers, and one with the same layer twice" {
	need skopeo
	build_ok -t empty -o "type=oci,dest=$OUT/a.tar" -o "type=tar,dest=$OUT/b.tar" -o "$OUT/folder" <<<$'FROM scratch\nCMD x'
	skopeo inspect "oci-archive:$OUT/a.tar" | jq -e '.Layers | length == 0'
	[ -z "$(tar -tf "$OUT/b.tar")" ]
	[ -z "$(ls -A "$OUT/folder")" ]
	build_ok -t twice -o "type=oci,dest=$OUT/c.tar" <<<$'FROM base\nRUN true\nRUN true'
	skopeo copy -q "oci-archive:$OUT/c.tar" "dir:$OUT/dir"
	[ "$(tar -tf "$OUT/c.tar" | sort | uniq -d)" = "" ]
}

put_blob() { # FILE: into the layout, printing digest and size
	local d
	d=$(sha256sum <"$1" | cut -c1-64)
	cp "$1" "$OUT/foreign/blobs/sha256/$d"
	printf '"digest":"sha256:%s","size":%s' "$d" "$(stat -c %s "$1")"
}

# An image whose layer GNU tar made: cairn's form of the same files is another one.
make_foreign() {
	mkdir -p "$OUT/foreign/blobs/sha256"
	gzip -dcf "$BATS_FILE_TMPDIR/base.tar" >"$OUT/layer.tar"
	gzip -1 -k "$OUT/layer.tar"
	printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$(sha256sum <"$OUT/layer.tar" | cut -c1-64)" >"$OUT/config.json"
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json",%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip",%s}]}' \
		"$(put_blob "$OUT/config.json")" "$(put_blob "$OUT/layer.tar.gz")" >"$OUT/manifest.json"
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",%s,"annotations":{"org.opencontainers.image.ref.name":"1"}}]}' \
		"$(put_blob "$OUT/manifest.json")" >"$OUT/foreign/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$OUT/foreign/oci-layout"
}

@test "a layer made elsewhere goes out as it came in, or not at all" {
	need skopeo
	need docker-registry
	need curl
	[ "$(uname -m)" = x86_64 ] || skip "the image is for amd64"
	start_registry
	make_foreign
	skopeo copy -q --dest-tls-verify=false "oci:$OUT/foreign:1" "docker://$REG/foreign:1"
	local df=$'FROM '$REG$'/foreign:1\nRUN echo x >/x'
	local layer
	layer=sha256:$(sha256sum <"$OUT/layer.tar.gz" | cut -c1-64)
	build_ok -o "type=oci,dest=$OUT/a.tar,compression=zstd" -o "type=docker,dest=$OUT/d.tar" <<<"$df"
	stop_server
	skopeo copy -q "oci-archive:$OUT/a.tar" "dir:$OUT/dir"
	[ "$(jq -r '.layers[0] | .digest + " " + .mediaType' "$OUT/dir/manifest.json")" = \
		"$layer application/vnd.oci.image.layer.v1.tar+gzip" ]
	skopeo copy -q "docker-archive:$OUT/d.tar" "dir:$OUT/dir2"
	# Its bytes are gone: the same files would be another layer.
	local file
	for file in "$CAIRN_HOME"/blobs/*; do
		cmp -s "$file" "$OUT/layer.tar.gz" && rm -f "$file"
	done
	build_fails -o "type=docker,dest=$OUT/e.tar" <<<"$df"
	[[ $output == *"was made elsewhere and its original bytes are gone"* ]]
	[ ! -e "$OUT/e.tar" ]
	build_ok -o "type=tar,dest=$OUT/f.tar" <<<"$df"
	[ "$(tar -xOf "$OUT/f.tar" x)" = x ]
}
