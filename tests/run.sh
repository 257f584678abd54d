#!/bin/sh
# Runs all tests. They compare with a real Redis: where redis-server is missing, it is installed from
# Debian's packages first. Arguments go to cargo test: tests/run.sh --test differential
set -eu
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! command -v redis-server >/dev/null || ! command -v redis-cli >/dev/null; then
    echo "tests/run.sh: installing redis-server and redis-tools"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends redis-server redis-tools
    # The package starts a server at the usual port; the tests start their own.
    as_root service redis-server stop >/dev/null 2>&1 || true
fi
case $(redis-server --version) in
    *v=[7-9].*) ;;
    *)
        echo "tests/run.sh: Redis 7 or later is needed, here is $(redis-server --version)" >&2
        exit 1
        ;;
esac

# The quick profile: optimised, since some tests move a million keys, with debug assertions.
# Without arguments the models of hand-made synchronisation are checked as well (src/locks/models.rs).
# What fails does not keep what comes later from running.
status=0
if [ $# = 0 ]; then
    cargo test --locked --profile quick --features model --lib locks::models || status=$?
fi
cargo test --locked --profile quick --no-fail-fast "$@" || status=$?
exit $status
