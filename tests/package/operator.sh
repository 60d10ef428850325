#!/usr/bin/env bash
# What an operator does, inside the booted machine; ends with 1 at the first thing that is not as
# the documentation says. usage: operator.sh LABEL_STUDIO
set -euo pipefail
studio=$1
say() { printf '    %s\n' "$*"; }
die() {
    echo "NOT as documented: $*" >&2
    journalctl --unit lshookd --no-pager --lines 40 >&2 || true
    exit 1
}
eventually() {
    local what=$1
    shift
    for _ in $(seq 120); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.5
    done
    die "$what"
}
received() { [ "$(grep --count "$1" /opt/test/received)" -ge "$2" ]; }
lshookd() { /usr/bin/lshookd "$@"; }

say "an existing Label Studio, with a webhook"
ip link set lo up
systemctl start postgresql
eventually "PostgreSQL is up" runuser -u postgres -- psql --command "select 1"
runuser -u postgres -- psql --quiet --command "create role labelstudio login password 'st\$u;d&i|o'"
runuser -u postgres -- createdb --owner labelstudio labelstudio
cat >/opt/test/studio.environment <<'end'
DJANGO_DB=default
POSTGRE_HOST=127.0.0.1
POSTGRE_PORT=5432
POSTGRE_NAME=labelstudio
POSTGRE_USER=labelstudio
POSTGRE_PASSWORD=st$u;d&i|o
SSRF_PROTECTION_ENABLED=false
LABEL_STUDIO_BASE_DATA_DIR=/opt/test/data
LATEST_VERSION_CHECK=false
COLLECT_ANALYTICS=false
SENTRY_DSN=
FRONTEND_SENTRY_DSN=
end
# Newer versions refuse plain tokens unless told not to.
legacy=$(grep --quiet enable-legacy-api-token "$studio"/lib/*/site-packages/label_studio/core/argparser.py && echo --enable-legacy-api-token || true)
systemd-run --quiet --unit receiver python3 /opt/test/receiver.py
systemd-run --quiet --unit label-studio --property EnvironmentFile=/opt/test/studio.environment \
    --setenv HOME=/opt/test "$studio/bin/label-studio" start --no-browser --internal-host 127.0.0.1 --port 8080 \
    --username operator@example.com --password operator-password --user-token 0123456789abcdef0123456789abcdef01234567 $legacy
cat >/opt/test/api.py <<'end'
import json, sys, urllib.request
method, path, body = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
request = urllib.request.Request(f"http://127.0.0.1:8080{path}", method=method, data=body and body.encode())
request.add_header("Authorization", "Token 0123456789abcdef0123456789abcdef01234567")
request.add_header("Content-Type", "application/json")
print(json.load(urllib.request.urlopen(request)).get("id", ""))
end
api() { python3 /opt/test/api.py "$@"; }
eventually "Label Studio is up" api GET /api/projects
project=$(api POST /api/projects '{"title": "Birds", "label_config": "<View><Text name=\"t\" value=\"$text\"/><Choices name=\"c\" toName=\"t\"><Choice value=\"owl\"/></Choices></View>"}')
api POST /api/webhooks/ "{\"url\": \"http://127.0.0.1:9000/hook\", \"project\": $project}" >/dev/null
task=$(api POST /api/tasks/ "{\"project\": $project, \"data\": {\"text\": \"tuwit\"}}")
annotate() { api POST "/api/tasks/$task/annotations/" '{"result": [], "lead_time": 1}' >/dev/null; }

say "the package is installed and told where the database is"
apt-get install -y -qq /opt/test/lshookd.deb >/dev/null 2>&1 || dpkg -i /opt/test/lshookd.deb >/dev/null
[ "$(systemctl is-active lshookd || true)" = inactive ] || die "it runs before it is told where the database is"
systemctl is-enabled --quiet lshookd || die "the unit is not enabled"
[ "$(stat --format %a%G /etc/lshookd/environment)" = 640lshookd ] || die "the environment can be read by others"
grep -v "^POSTGRE_PASSWORD\|^LABEL_STUDIO\|^DJANGO" /opt/test/studio.environment >/etc/lshookd/environment
echo 'POSTGRE_PASSWORD=st$u;d&i|o' >>/etc/lshookd/environment
# The daemon reads it as its own user.
echo 'webhook_batch_size = 4321' >>/etc/lshookd/lshookd.toml
for page in lshookd lshookd-webhook-adopt; do [ -e "/usr/share/man/man1/$page.1.gz" ] || die "no man page $page"; done
[ -e /usr/share/bash-completion/completions/lshookd ] || die "no completions"
/usr/bin/lshookd install >/dev/null

say "the password as a credential of systemd's"
sed -i /POSTGRE_PASSWORD/d /etc/lshookd/environment
install -m 600 /dev/null /etc/lshookd/postgre_password
echo 'st$u;d&i|o' >/etc/lshookd/postgre_password
mkdir -p /etc/systemd/system/lshookd.service.d
cat >/etc/systemd/system/lshookd.service.d/password.conf <<'end'
[Service]
LoadCredential=postgre_password:/etc/lshookd/postgre_password
Environment=POSTGRE_PASSWORD_FILE=%d/postgre_password
end
systemctl daemon-reload
systemctl start lshookd || die "it does not start"
lshookd() { POSTGRE_PASSWORD_FILE=/etc/lshookd/postgre_password /usr/bin/lshookd "$@"; }
said=$(runuser -u lshookd -- /usr/bin/lshookd run --postgre-port 1 2>&1 || true)
grep -q "cannot connect" <<<"$said" || die "the daemon's user cannot read its settings: $said"
[ "$(systemctl show lshookd --property=StatusText --value)" != "" ] || die "systemd is not told how it goes"
exposure=$(systemd-analyze security lshookd --no-pager | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p')
say "exposure by systemd-analyze security: $exposure"
[ "${exposure%%.*}" -lt 2 ] || die "exposure $exposure"

say "adopted, labeled"
lshookd check --json >/opt/test/check || die "check: $(cat /opt/test/check)"
grep -q '"delivered-twice"' /opt/test/check || die "check does not say that both deliver"
lshookd webhook adopt --all >/dev/null
: >/opt/test/received
annotate
eventually "the annotation is delivered" received "lshookd ANNOTATION_CREATED" 1
sleep 1
grep -q label-studio /opt/test/received && die "Label Studio delivers as well"
lshookd check --strict >/opt/test/check || die "check --strict: $(cat /opt/test/check)"
python3 - <<'end' || die "the console does not show it"
import urllib.request
page = urllib.request.urlopen("http://127.0.0.1:9187/").read().decode()
assert "127.0.0.1:9000/" in page and ">delivering<" in page
metrics = urllib.request.urlopen("http://127.0.0.1:9187/metrics").read().decode()
assert 'lshookd_attempts_total{outcome="delivered"} 1' in metrics, metrics
end

say "the endpoint breaks, and is fixed"
touch /opt/test/broken
annotate
lanes_failing() { lshookd status --json | grep '"lanes_failing":1' >/dev/null; }
eventually "status says that it fails" lanes_failing
lshookd check | grep 500 >/dev/null || die "check does not say that it fails"
# As after a day: the next attempt is hours away, unless somebody asks for it.
runuser -u postgres -- psql --quiet labelstudio --command "update lshookd.lane set due_at = now() + interval '12 hours' where due_at < 'infinity'"
rm /opt/test/broken
lshookd delivery retry --state pending >/dev/null
eventually "it is delivered after all" received "lshookd ANNOTATION_CREATED" 2
lshookd delivery replay --action ANNOTATION_CREATED >/dev/null
eventually "both are sent again" received "lshookd ANNOTATION_CREATED" 4

say "killed, reloaded, upgraded"
systemctl kill --signal KILL lshookd
annotate
eventually "systemd starts it again" received "lshookd ANNOTATION_CREATED" 5
echo LSHOOKD_SETTLE=80ms >>/etc/lshookd/environment
before=$(systemctl show lshookd --property=MainPID --value)
systemctl reload lshookd
[ "$(systemctl show lshookd --property=MainPID --value)" = "$before" ] || die "reloading starts it anew"
systemctl stop postgresql
sleep 3
systemctl start postgresql
annotate
eventually "it goes on when PostgreSQL is back" received "lshookd ANNOTATION_CREATED" 6
dpkg-deb --raw-extract /opt/test/lshookd.deb /opt/test/newer
sed -i 's/^Version: .*/&~/; s/^\(Version: \).*/\199.0/' /opt/test/newer/DEBIAN/control
dpkg-deb --build /opt/test/newer /opt/test/newer.deb >/dev/null
dpkg -i /opt/test/newer.deb >/dev/null 2>&1 || die "the upgrade fails"
[ "$(systemctl is-active lshookd)" = active ] || die "it does not run after the upgrade"
[ "$(systemctl show lshookd --property=MainPID --value)" != "$before" ] || die "the upgrade leaves the old one running"
annotate
eventually "the newer one delivers" received "lshookd ANNOTATION_CREATED" 7

say "PostgreSQL demands TLS"
for end in crt key; do : >/etc/postgresql/15/main/server.$end; done
openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
    -keyout /etc/postgresql/15/main/server.key -out /etc/postgresql/15/main/server.crt 2>/dev/null
chown postgres /etc/postgresql/15/main/server.*
chmod 600 /etc/postgresql/15/main/server.key
cp /etc/postgresql/15/main/server.crt /etc/lshookd/postgresql.crt
chmod 644 /etc/lshookd/postgresql.crt
for setting in "ssl_cert_file = '/etc/postgresql/15/main/server.crt'" "ssl_key_file = '/etc/postgresql/15/main/server.key'" "ssl = on"; do
    runuser -u postgres -- psql --quiet --command "alter system set $setting"
done
sed -i 's/^host\b/hostssl/' /etc/postgresql/15/main/pg_hba.conf
systemctl restart postgresql
sed -i 's/^POSTGRE_HOST=.*/POSTGRE_HOST=localhost/' /etc/lshookd/environment
echo POSTGRE_SSL_MODE=verify-full >>/etc/lshookd/environment
said=$(lshookd check 2>&1 || true)
tr -s '[:space:]' ' ' <<<"$said" | grep -q "name that very certificate in the setting sslrootcert" || die "check does not say whom to trust: $said"
echo POSTGRE_SSLROOTCERT=/etc/lshookd/postgresql.crt >>/etc/lshookd/environment
systemctl restart lshookd
annotate
eventually "it is delivered over TLS" received "lshookd ANNOTATION_CREATED" 8

say "roles of its own, made by somebody who is no superuser"
runuser -u postgres -- psql --quiet labelstudio <<'end'
create role keeper login createrole password 'keeper';
grant pg_read_all_stats to keeper with admin option;
grant labelstudio to keeper;
alter database labelstudio owner to keeper;
alter schema public owner to pg_database_owner;
end
lshookd install --print-roles >/opt/test/roles.sql
as_keeper() { PGPASSWORD=keeper psql --quiet --set ON_ERROR_STOP=1 --host localhost --username keeper labelstudio "$@"; }
as_keeper --file /opt/test/roles.sql >/dev/null || die "the roles cannot be made"
as_keeper --command "alter role lshookd_owner password 'owner'" --command "alter role lshookd password 'd&mon'"
echo 'd&mon' >/etc/lshookd/postgre_password
echo POSTGRE_USER=lshookd >>/etc/lshookd/environment
echo owner >/opt/test/owner_password
chmod 600 /opt/test/owner_password
lshookd() { POSTGRE_USER=lshookd_owner POSTGRE_PASSWORD_FILE=/opt/test/owner_password /usr/bin/lshookd "$@"; }
lshookd install >/dev/null
systemctl restart lshookd
annotate
eventually "it is delivered by a role of few rights" received "lshookd ANNOTATION_CREATED" 9
lshookd check >/opt/test/check || die "check: $(cat /opt/test/check)"

say "removed, purged"
lshookd uninstall --yes | grep "Label Studio delivers webhook" >/dev/null || die "uninstall does not give the webhook back"
: >/opt/test/received
annotate
eventually "Label Studio delivers again" received "label-studio ANNOTATION_CREATED" 1
dpkg --remove lshookd >/dev/null 2>&1
[ "$(systemctl is-active lshookd || true)" != active ] || die "it runs on after its removal"
[ -e /etc/lshookd/environment ] || die "removing takes the settings"
rm -f /etc/lshookd/postgre_password /etc/lshookd/postgresql.crt
dpkg --purge lshookd >/dev/null 2>&1
[ ! -e /etc/lshookd ] || die "purging leaves $(ls /etc/lshookd)"
