# SPDX-License-Identifier: Apache-2.0
# Servers that speak MongoDB's wire protocol, to be sourced after tap.sh (mongod itself is in no package registry):
#   ferretdb   FerretDB 1.24 on SQLite, built with Go: authentication and TLS; no TTL; slow above 2,000 documents
#   mjs        mongo-java-server in memory, built with Maven: takes more load; takes a TTL index and never expires
# Both are built once into $WATTRIBUTE_CACHE and used again.
#
#   mongo_wire_build KIND                      0, or 1 with the reason in $mongo_wire_why
#   need_mongo_wire KIND                       the same, or skips the whole script
#   mongo_wire_start KIND PORT DIR [ARGS...]   waits until it answers; ends with the script; $mongo_wire_pid
#   mongo_wire_stop                            ends the last one started

CACHE=${WATTRIBUTE_CACHE:-$HOME/.cache/wattribute}
FERRETDB_VERSION=v1.24.0
MJS_VERSION=1.47.0
mongo_wire_why=
mongo_wire_pid=

mongo_wire_place() {
	case $1 in
	ferretdb) echo "$CACHE/ferretdb-$FERRETDB_VERSION" ;;
	mjs) echo "$CACHE/mongo-java-server-$MJS_VERSION" ;;
	esac
}

# Its version file is made by its own build and is not in the module, so `go install` cannot build it.
mongo_wire_make_ferretdb() {
	mongo_wire_source=$(GOFLAGS= go mod download -json "github.com/FerretDB/FerretDB@$FERRETDB_VERSION" |
		sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p')
	[ -d "$mongo_wire_source" ] || return 1
	mkdir "$1/source" && cp -r "$mongo_wire_source/." "$1/source" && chmod -R u+w "$1/source" || return 1
	echo "$FERRETDB_VERSION" >"$1/source/build/version/version.txt"
	(cd "$1/source" && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=mod nice go build -trimpath -buildvcs=false \
		-ldflags='-s -w' -tags ferretdb_no_postgresql -o ../ferretdb ./cmd/ferretdb) || return 1
	rm -rf "$1/source"
}

mongo_wire_make_mjs() {
	cat >"$1/pom.xml" <<-END
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		<modelVersion>4.0.0</modelVersion>
		<groupId>wattribute</groupId><artifactId>wire</artifactId><version>1</version>
		<dependencies><dependency>
		<groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server</artifactId><version>$MJS_VERSION</version>
		</dependency></dependencies>
		</project>
	END
	cat >"$1/Wire.java" <<-'END'
		import de.bwaldvogel.mongo.MongoServer;
		import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
		public class Wire {
			public static void main(String[] arguments) throws Exception {
				MongoServer server = new MongoServer(new MemoryBackend());
				server.bind(arguments[0], Integer.parseInt(arguments[1]));
				Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
				Thread.currentThread().join();
			}
		}
	END
	(cd "$1" && nice mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
		-DoutputDirectory=lib && javac -cp 'lib/*' Wire.java)
}

mongo_wire_needs() {
	case $1 in
	ferretdb) mongo_wire_programs="go" ;;
	mjs) mongo_wire_programs="java javac mvn" ;;
	*) mongo_wire_programs= mongo_wire_why="no such kind of server: $1" && return 1 ;;
	esac
	for mongo_wire_program in $mongo_wire_programs; do
		command -v "$mongo_wire_program" >/dev/null && continue
		mongo_wire_why="needs '$mongo_wire_program' to build a MongoDB-compatible server ($1)"
		return 1
	done
}

mongo_wire_build() {
	mongo_wire_built=$(mongo_wire_place "$1")
	[ -e "$mongo_wire_built/done" ] && return 0
	mongo_wire_needs "$1" || return 1
	mkdir -p "$CACHE"
	(
		flock 9
		[ -e "$mongo_wire_built/done" ] && exit 0
		rm -rf "$mongo_wire_built" && mkdir "$mongo_wire_built" || exit 1
		"mongo_wire_make_$1" "$mongo_wire_built" >"$mongo_wire_built/log" 2>&1 && touch "$mongo_wire_built/done"
	) 9>"$mongo_wire_built.lock" && return 0
	mongo_wire_why="$1 could not be built: $(tail -n 1 "$mongo_wire_built/log" 2>/dev/null)"
	return 1
}

need_mongo_wire() { mongo_wire_build "$1" || skip_all "$mongo_wire_why"; }

mongo_wire_start() {
	mongo_wire_kind=$1 mongo_wire_port=$2 mongo_wire_dir=$3
	mongo_wire_built=$(mongo_wire_place "$1")
	shift 3
	mkdir -p "$mongo_wire_dir/data"
	if [ "$mongo_wire_kind" = ferretdb ]; then
		DO_NOT_TRACK=1 "$mongo_wire_built/ferretdb" --handler=sqlite --sqlite-url="file:$mongo_wire_dir/data/" \
			--state-dir="$mongo_wire_dir" --debug-addr=- --telemetry=disable --log-level=warn \
			"${@:---listen-addr=127.0.0.1:$mongo_wire_port}" >"$mongo_wire_dir/log" 2>&1 &
	else
		java -cp "$mongo_wire_built/lib/*:$mongo_wire_built" Wire "${1:-127.0.0.1}" "$mongo_wire_port" \
			>"$mongo_wire_dir/log" 2>&1 &
	fi
	mongo_wire_pid=$!
	on_exit "stop_process $mongo_wire_pid"
	wait_for 30 tap_port_used "$mongo_wire_port" && return 0
	note "$mongo_wire_kind does not listen: $(tail -n 3 "$mongo_wire_dir/log")"
	return 1
}

mongo_wire_stop() {
	[ -z "$mongo_wire_pid" ] || stop_process "$mongo_wire_pid"
	mongo_wire_pid=
}
