#!/usr/bin/env bash
# Prints the home of a Java that Spark can run on: the one that is installed, or Debian's, unpacked into a folder (the
# argument; about 200 MB). Nothing is installed.
set -euo pipefail
TREE=$(realpath -m "$1")

if command -v java >/dev/null; then
    dirname "$(dirname "$(realpath "$(command -v java)")")"
    exit
fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
    { echo "test-distributed needs Java 17 or newer for Spark, or Debian's apt-get and dpkg to fetch it" >&2; exit 1; }
if [ "$(cat "$TREE/.unpacked" 2>/dev/null || true)" != "$TREE" ]; then
    rm -rf "$TREE"; mkdir -p "$TREE"/{lists/partial,cache/archives/partial,deb}
    apt=(-qq -o "Dir::State::Lists=$TREE/lists" -o "Dir::Cache=$TREE/cache" -o APT::Sandbox::User=)
    apt-get "${apt[@]}" update >&2
    package=$(apt-cache "${apt[@]}" depends default-jre-headless | sed -n 's/^ *Depends: \(openjdk-.*-jre-headless\)$/\1/p' | head -1)
    (cd "$TREE/deb" && apt-get "${apt[@]}" download "$package" >&2)
    for deb in "$TREE"/deb/*.deb; do dpkg -x "$deb" "$TREE"; done
    rm -rf "$TREE"/{deb,lists,cache}
    # What lies in /etc once it is installed is reached by symbolic links.
    find "$TREE/usr/lib/jvm" -type l -lname '/etc/*' | while read -r link; do
        ln -sfn "$TREE$(readlink "$link")" "$link"
    done
    echo "$TREE" >"$TREE/.unpacked"
fi
java=$(realpath "$TREE"/usr/lib/jvm/*/bin/java | head -1)
dirname "$(dirname "$java")"
