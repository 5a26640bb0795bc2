# The image of all stages: the one binary, and what it is linked with. No shell, no package, no user but its own.
#
#   docker build -t sealog:0.1.0 .
#   docker run --rm sealog:0.1.0 --help
#
# docker-compose.yml runs the stages from it.

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package sealog
# The root of the second image. glibc looks names up by itself since 2.34, so that the libraries which the binary names
# are all it loads.
RUN set -eu; \
    install -D --strip target/release/sealog /root-of-it/usr/local/bin/sealog; \
    for library in $(ldd target/release/sealog | grep -o '/[^ ]*'); do install -D "$library" "/root-of-it$library"; done; \
    install -D -m 644 /etc/ssl/certs/ca-certificates.crt /root-of-it/etc/ssl/certs/ca-certificates.crt; \
    echo 'sealog:x:65532:65532:sealog:/:/sbin/nologin' >/root-of-it/etc/passwd; \
    echo 'sealog:x:65532:' >/root-of-it/etc/group; \
    # Whoever it runs as makes folders of its own here, which nobody else can read.
    install -d -m 1777 /root-of-it/var/lib/sealog

FROM scratch
COPY --from=build /root-of-it/ /
USER 65532:65532
WORKDIR /var/lib/sealog
ENV SEALOG_DATA_DIR=/var/lib/sealog
# No HEALTHCHECK: a stage that cannot go on ends and says why, and whether it keeps up is what its /metrics tell.
ENTRYPOINT ["/usr/local/bin/sealog"]
CMD ["--help"]
