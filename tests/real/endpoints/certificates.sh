#!/usr/bin/env bash
# Makes the certificates of the endpoints in a folder: NAME.pem holds a certificate and its key, and trusted.pem what
# an operator names as trusted.
# usage: certificates.sh FOLDER
set -euo pipefail
cd "$1"
names='subjectAltName=DNS:localhost,IP:127.0.0.1'
leaf="$names\nbasicConstraints=CA:FALSE"

key() { # NAME ALGORITHM ...: a key
    openssl genpkey -quiet -out "$1.key" -algorithm "${@:2}" 2>/dev/null || openssl genpkey -out "$1.key" -algorithm "${@:2}" 2>/dev/null
}
signed() { # NAME AUTHORITY EXTENSIONS OPTIONS ...: a certificate by an authority for the key of that name
    openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
    printf "%b\n" "$3" >"$1.ext"
    openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -extfile "$1.ext" -out "$1.crt" "${@:4}" 2>/dev/null
    cat "$1.crt" "$1.key" >"$1.pem"
}
by_itself() { # NAME OPTIONS ...: one that is signed by itself
    openssl req -x509 -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.crt" "${@:2}"
    cat "$1.crt" "$1.key" >"$1.pem"
}

key authority EC -pkeyopt ec_paramgen_curve:P-256
by_itself authority
key stranger EC -pkeyopt ec_paramgen_curve:P-256
by_itself stranger
for bits in 1024 2048 4096; do key "rsa$bits" RSA -pkeyopt "rsa_keygen_bits:$bits"; done
for curve in 256 384 521; do key "p$curve" EC -pkeyopt "ec_paramgen_curve:P-$curve"; done
key ed25519 ED25519
for name in rsa1024 rsa2048 rsa4096 p256 p384 p521 ed25519; do signed "$name" authority "$leaf" -days 30; done
for name in sha1 expired other_name unknown self_ca self_leaf version1 named_leaf; do cp rsa2048.key "$name.key"; done
signed sha1 authority "$leaf" -days 30 -sha1
signed expired authority "$leaf" -days -1 2>/dev/null || signed expired authority "$leaf" -not_before 20200101000000Z -not_after 20200102000000Z
signed other_name authority 'subjectAltName=DNS:elsewhere.example' -days 30
signed unknown stranger "$leaf" -days 30
signed named_leaf stranger "$leaf" -days 30
by_itself self_ca -addext "$names"
by_itself self_leaf -addext "$names" -addext basicConstraints=critical,CA:FALSE
openssl req -new -key version1.key -subj /CN=localhost -out version1.csr
openssl x509 -req -in version1.csr -signkey version1.key -days 30 -out version1.crt 2>/dev/null
cat version1.crt version1.key >version1.pem
cat authority.crt self_ca.crt self_leaf.crt version1.crt named_leaf.crt >trusted.pem
