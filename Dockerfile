# lshookd alone: the binary, the libraries that it is linked to, certificates. No shell, no package
# manager, not root.
#
#   docker build -t lshookd .
#
# BUILDER may be any image of Debian's with a Rust toolchain and ca-certificates.
ARG BUILDER=rust:1-bookworm

FROM ${BUILDER} AS builder
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package lshookd
RUN mkdir -p /image/usr/bin /image/etc/ssl/certs /image/tmp \
    && cp target/release/lshookd /image/usr/bin/ \
    && ldd target/release/lshookd | grep -o '/[^ ]*' | sort -u | xargs -I{} cp --parents --dereference {} /image \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
    && echo 'lshookd:x:65532:65532::/:/nonexistent' >/image/etc/passwd

FROM scratch
COPY --from=builder /image /
USER 65532:65532
EXPOSE 9187
ENTRYPOINT ["/usr/bin/lshookd"]
CMD ["run"]
