#!/usr/bin/env bash
# The image and the compose file, by a real dockerd of its own. As no image need be pulled, base images are
# made of Debian's packages and of what the other tests installed; the compose file then finds
# images of the names that it asks for. Takes root; installs docker.io, docker-compose and debootstrap
# where missing.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || exec sudo --preserve-env "$0" "$@"
version=${LSHOOKD_TEST_LABEL_STUDIO:-1.23.2}
cache=$(realpath "${LSHOOKD_TEST_CACHE:-.cache}")
say() { printf '\033[1m==>\033[0m %s\n' "$*"; }

tests/testbed/setup.sh "$version"
for program in dockerd:docker.io docker-compose:docker-compose debootstrap:debootstrap iptables:iptables; do
    command -v "${program%%:*}" >/dev/null || {
        say "installing Debian's ${program##*:}"
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${program##*:}" >/dev/null
    }
done

base=$cache/docker-base
if [ ! -e "$base/complete" ]; then
    say "making a Debian in $base (two minutes)"
    rm -rf "$base"
    mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
        sed -n 's/^URIs: *//p; s/^deb \([^ ]*\) .*/\1/p' | head -1 || true)
    debootstrap --variant=minbase --include=ca-certificates,curl,gcc,libc6-dev,postgresql bookworm "$base" \
        "${mirror:-http://deb.debian.org/debian}" >"$cache/debootstrap.log" || { tail -5 "$cache/debootstrap.log"; exit 1; }
    # Where crates come from by a certificate that only this machine knows.
    cp /etc/ssl/certs/ca-certificates.crt "$base/etc/ssl/certs/"
    touch "$base/complete"
fi

ground=$(mktemp --directory /var/tmp/lshookd-image-XXXXXX)
export DOCKER_HOST=unix://$ground/docker.sock DOCKER_BUILDKIT=0
# Creating a container copies its image here, which takes longer than a minute.
export COMPOSE_HTTP_TIMEOUT=900 DOCKER_CLIENT_TIMEOUT=900
dockerd --storage-driver vfs --data-root "$ground/data" --exec-root "$ground/exec" --pidfile "$ground/pid" \
    --host "$DOCKER_HOST" >"$ground/log" 2>&1 &
daemon=$!
compose() {
    docker-compose --project-name lshookdimage --project-directory . --file "$ground/compose.yaml" \
        --file "$ground/receiver.yaml" "$@"
}
clean_up() {
    [ ! -e "$ground/receiver.yaml" ] || compose down --volumes >/dev/null 2>&1 || true
    kill "$daemon" 2>/dev/null || true
    wait "$daemon" 2>/dev/null || true
    umount "$ground"/exec/netns/* 2>/dev/null || true
    rm -rf "$ground"
}
trap clean_up EXIT
for _ in $(seq 60); do docker info >/dev/null 2>&1 && break || sleep 1; done
docker info >/dev/null || { tail "$ground/log"; exit 1; }

say "base images"
tar --create --directory "$base" . | docker import - debian-base >/dev/null
mkdir "$ground/rust"
sysroot=$(rustc --print sysroot)
cp --archive "$sysroot/bin" "$sysroot/lib" "$ground/rust/"
echo 'FROM debian-base
COPY . /usr/local/' >"$ground/rust/Dockerfile"
docker build --quiet --tag debian-rust "$ground/rust" >/dev/null
rm -rf "$ground/rust"

say "building the image (some minutes)"
docker build --network host --build-arg BUILDER=debian-rust --tag lshookd . >"$ground/build.log" 2>&1 ||
    { tail -20 "$ground/build.log"; exit 1; }
docker images --format '    {{.Repository}} {{.Size}}' lshookd
[ "$(docker inspect --format '{{.Config.User}}' lshookd)" = 65532:65532 ]

say "the demonstration, by the image"
cat >"$ground/lshookd" <<'end'
#!/usr/bin/env bash
# The binary's place is taken by a container of the image, with the same environment.
exec docker run --rm --network host --env-file <(env | grep -E '^(LSHOOKD|POSTGRE|WEBHOOK|SSRF|USE_DEFAULT|USER_ADD)') lshookd "$@"
end
chmod +x "$ground/lshookd"
cargo build --quiet --example demo
LSHOOKD=$ground/lshookd LSHOOKD_TEST_LABEL_STUDIO=$version target/debug/examples/demo

say "the compose file, with a PostgreSQL and a Label Studio made here under the names that it asks for"
python=$(realpath "$cache/label-studio-$version/bin/python")
prefix=$(dirname "$(dirname "$python")")
mkdir -p "$ground/postgres" "$ground/studio$prefix" "$ground/studio$cache"
cat >"$ground/postgres/start" <<'end'
#!/bin/sh
set -e
bin=$(echo /usr/lib/postgresql/*/bin)
data=/var/lib/postgresql/data/cluster
as_postgres() { su postgres -c "$*"; }
if [ ! -e $data ]; then
    chown postgres /var/lib/postgresql/data
    as_postgres $bin/initdb --pgdata=$data >/dev/null
    echo "host all all all scram-sha-256" >>$data/pg_hba.conf
    as_postgres $bin/pg_ctl --pgdata=$data --wait start
    as_postgres "psql --command \"create role $POSTGRES_USER superuser login password '$POSTGRES_PASSWORD'\""
    as_postgres createdb --owner $POSTGRES_USER $POSTGRES_DB
    as_postgres $bin/pg_ctl --pgdata=$data --wait stop
fi
exec su postgres -c "exec $bin/postgres -D $data -c listen_addresses='*'"
end
printf 'FROM debian-base\nCOPY start /\nCMD ["sh", "/start"]\n' >"$ground/postgres/Dockerfile"
docker build --quiet --tag postgres:17 "$ground/postgres" >/dev/null
cp --archive "$prefix/." "$ground/studio$prefix/"
cp --archive "$cache/label-studio-$version" "$ground/studio$cache/"
legacy=$(grep --quiet enable-legacy-api-token "$cache/label-studio-$version"/lib/*/site-packages/label_studio/core/argparser.py &&
    echo ', "--enable-legacy-api-token"' || true)
token=0123456789abcdef0123456789abcdef01234567
cat >"$ground/studio/Dockerfile" <<end
FROM debian-base
COPY . /
ENV LABEL_STUDIO_BASE_DATA_DIR=/label-studio/data HOME=/label-studio/data LATEST_VERSION_CHECK=false COLLECT_ANALYTICS=false SENTRY_DSN= FRONTEND_SENTRY_DSN=
CMD ["$cache/label-studio-$version/bin/label-studio", "start", "--no-browser", "--internal-host", "0.0.0.0", "--port", "8080", "--username", "a@example.com", "--password", "operator-password", "--user-token", "$token"$legacy]
end
docker build --quiet --tag heartexlabs/label-studio:latest "$ground/studio" >/dev/null
rm -rf "$ground/studio"
# Free ports, and an endpoint on the network of the containers.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
studio_port=$(free_port) page_port=$(free_port)
sed -e "s/127.0.0.1:8080:8080/127.0.0.1:$studio_port:8080/; s/127.0.0.1:9187:9187/127.0.0.1:$page_port:9187/" compose.yaml >"$ground/compose.yaml"
cat >"$ground/receiver.yaml" <<end
services:
  receiver:
    image: heartexlabs/label-studio:latest
    command: [sh, -c, "mkdir /opt/test && exec $python /receiver.py 0.0.0.0"]
    volumes: ["$PWD/tests/package/receiver.py:/receiver.py:ro"]
  lshookd:
    environment: {LSHOOKD_ALLOW: receiver}
end
compose up --detach >"$ground/compose.log" 2>&1 || { tail -20 "$ground/compose.log"; compose logs --tail 20; exit 1; }
studio() { curl --fail --silent --show-error --header "Authorization: Token $token" --header 'Content-Type: application/json' "$@"; }
project=$(studio --data '{"title": "Birds"}' "http://127.0.0.1:$studio_port/api/projects/" | python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
compose run --rm lshookd webhook create http://receiver:9000/ --project "$project" >/dev/null
studio --data '[{"text": "owl"}]' "http://127.0.0.1:$studio_port/api/projects/$project/import" >/dev/null
for _ in $(seq 60); do
    compose exec -T receiver cat /opt/test/received 2>/dev/null | grep TASKS_CREATED >/dev/null && break || sleep 1
done
compose exec -T receiver grep "lshookd TASKS_CREATED" /opt/test/received
curl --fail --silent --user any:change-me "http://127.0.0.1:$page_port/metrics" | grep lshookd >/dev/null
[ "$(curl --silent --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:$page_port/")" = 401 ]
compose run --rm lshookd check
say "the image and the compose file do what they say"
