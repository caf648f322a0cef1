# Servers of the tests: each on a free port of loopback, which it chooses itself, so that no two ever want the same.
#
# SERVER_DIR is where configurations, logs and data go; who sources this file sets it. Every start_* returns when its
# server listens. What they set is that of the one started last:
#	SERVER      its process; stop_server ends it, stop_servers ends all
#	SERVER_LOG  what it printed
#	PORT        where it listens

NOBODY=127.0.0.1:1 # an address where nobody listens
SERVERS=()
SERVER_SOURCES=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# Try a command every 50 ms; only what hangs waits to the end, three minutes: a busy machine may need one.
wait_for() { # COMMAND...
	local i
	for ((i = 0; i < 3600; i++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	echo "waited in vain for: $*"
	return 1
}

start_server() { # LOG COMMAND...
	SERVER_LOG=$1
	shift
	"$@" >>"$SERVER_LOG" 2>&1 3>&- &
	SERVER=$!
	SERVERS+=("$SERVER")
	wait_for server_listens || return
	[ -n "$PORT" ] || {
		echo "$1 ended:"
		cat "$SERVER_LOG"
		return 1
	}
}

# Does the server listen, or will it never?
server_listens() {
	PORT=$(port_of "$SERVER")
	[ -n "$PORT" ] || ! kill -0 "$SERVER"
}

# The port that a process listens on, from its sockets and the kernel's table of them.
port_of() { # PID
	local hex
	hex=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n' |
		awk 'NR == FNR { mine[$1]; next } $4 == "0A" && $10 in mine { sub(/.*:/, "", $2); print $2; exit }' \
			- /proc/net/tcp)
	[ -z "$hex" ] || echo $((16#$hex))
}

stop_server() { # [PID]
	kill -9 "${1:-$SERVER}" 2>/dev/null || true
	wait "${1:-$SERVER}" 2>/dev/null || true
}

stop_servers() {
	local pid
	for pid in "${SERVERS[@]}"; do
		stop_server "$pid"
	done
	SERVERS=()
}

# Stop a server and keep its port: nobody answers there, and nobody else gets it before it is started again. A port
# that is only bound is refused to all but those who bind it with SO_REUSEADDR, as servers do.
take_away() { # [PID [HOST:PORT]]: the registry
	local pid=${1:-$REGISTRY} address=${2:-$REG} log
	log=$SERVER_DIR/kept-${#SERVERS[@]}
	python3 -c '
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
print("ready", flush=True)
while True:
    try:
        s.bind(("127.0.0.1", int(sys.argv[1])))
        break
    except OSError:
        time.sleep(0.001)
print("kept", flush=True)
time.sleep(3600)' "${address##*:}" >"$log" 2>&1 3>&- &
	SERVERS+=("$!")
	wait_for grep -q ready "$log" || return
	stop_server "$pid"
	wait_for grep -q kept "$log"
}

# Debian's docker-registry. REG is its address, DATA its storage, REGISTRY its process, REGISTRY_CONFIG its file,
# REGISTRY_LOG has a line for each request.
start_registry() { # [NAME [MORE-CONFIGURATION [MORE-HTTP]]]
	local name=${1:-registry}
	REGISTRY_CONFIG=$SERVER_DIR/$name.yml
	DATA=$SERVER_DIR/$name.data
	cat >"$REGISTRY_CONFIG" <<-END
	version: 0.1
	log: {level: error}
	storage: {filesystem: {rootdirectory: $DATA}, delete: {enabled: true}}
	http: {addr: "127.0.0.1:0"${3-}}
	${2-}
	END
	run_registry
}

# The one that was taken away once more, with what its storage now holds, where it was.
restart_registry() {
	sed -i "s/\"127.0.0.1:0\"/\"$REG\"/" "$REGISTRY_CONFIG"
	run_registry
}

run_registry() {
	start_server "${REGISTRY_CONFIG%.yml}.log" docker-registry serve "$REGISTRY_CONFIG" || return
	REGISTRY=$SERVER REGISTRY_LOG=$SERVER_LOG REG=127.0.0.1:$PORT
}

# A proxy in front of $REG, which leads through it afterwards; PROXY_LOG has its requests.
start_proxy() { # OPTION-OF-SLOW_PROXY...
	PROXY_LOG=$SERVER_DIR/proxy-${#SERVERS[@]}.log
	: >"$PROXY_LOG"
	start_server "$PROXY_LOG.err" python3 "$SERVER_SOURCES/slow_proxy.py" "${REG#*:}" "$PROXY_LOG" "$@" || return
	REG=127.0.0.1:$PORT
}

# What S3 server is here: moto, s3rver (which looks at no signature and knows no conditions), or none.
s3_kind() {
	if python3 -c 'import importlib.util as u, sys; sys.exit(not (u.find_spec("moto") and u.find_spec("flask")))' 2>/dev/null; then
		echo moto
	elif command -v s3rver >/dev/null; then
		echo s3rver
	fi
}

# An S3 server with a bucket called "bucket" and, where it is moto, $SEED_COUNT entries below "seed/"; S3 is its address.
start_s3() {
	case $(s3_kind) in
	moto)
		SEED_COUNT=${SEED_COUNT-0} start_server "$SERVER_DIR/s3.log" \
			python3 "$SERVER_SOURCES/../conformance/s3_server.py" 0 bucket
		;;
	s3rver)
		start_server "$SERVER_DIR/s3.log" \
			s3rver -d "$SERVER_DIR/s3" -a 127.0.0.1 -p 0 --configure-bucket bucket
		;;
	*)
		echo "no S3 server here: neither Python's moto (with its server) nor npm's s3rver is installed"
		return 1
		;;
	esac || return
	S3=127.0.0.1:$PORT
}

# A registry that wants tokens, and who gives them; TOKENS lists the scopes that were asked for.
start_token_registry() { # OPTION-OF-TOKEN_SERVER...
	TOKENS=$SERVER_DIR/tokens
	: >"$TOKENS"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=issuer -keyout "$SERVER_DIR/key.pem" \
		-out "$SERVER_DIR/cert.pem" 2>/dev/null || return
	start_server "$SERVER_DIR/token.log" \
		python3 "$SERVER_SOURCES/token_server.py" "$SERVER_DIR/key.pem" "$SERVER_DIR/cert.pem" "$TOKENS" "$@" || return
	start_registry tokens "auth: {token: {realm: \"http://127.0.0.1:$PORT/\", service: registry, issuer: issuer, rootcertbundle: $SERVER_DIR/cert.pem}}"
}
