# SPDX-License-Identifier: Apache-2.0
# The server's image, called listener as in the commands that users know:
#   docker run -d --name listener -p 27019:4443 --net aloha IMAGE
# Without arguments it listens on port 4443 of all addresses and finds the database at mongobase:27017.
FROM debian:trixie-slim AS build
COPY scripts/install-deps.sh /source/scripts/
RUN /source/scripts/install-deps.sh build
COPY . /source
RUN make -C /source -s BUILD=/build /build/wattribute-server /build/wattribute \
	&& strip /build/wattribute-server /build/wattribute

FROM debian:trixie-slim
COPY --from=build /build/wattribute-server /usr/local/sbin/
COPY --from=build /build/wattribute /usr/local/bin/
COPY scripts/install-deps.sh /tmp/
RUN /tmp/install-deps.sh tls run /usr/local/sbin/wattribute-server /usr/local/bin/wattribute && rm -rf /tmp/install-deps.sh /var/lib/apt/lists/* /var/cache/apt/* \
	&& useradd --system --no-create-home --shell /usr/sbin/nologin wattribute \
	&& install -d -o wattribute -g wattribute /var/lib/wattribute
USER wattribute
WORKDIR /var/lib/wattribute
ENV WATTRIBUTE_INPUT=mongodb://mongobase:27017 WATTRIBUTE_LISTEN=0.0.0.0:4443
EXPOSE 4443
STOPSIGNAL SIGTERM
# With --web-config (TLS) or another port: --health-cmd, or --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
	CMD ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/4443 && printf 'GET /healthz HTTP/1.0\\r\\nHost: 127.0.0.1\\r\\n\\r\\n' >&3 && grep -q ' 200 ' <&3"]
ENTRYPOINT ["/usr/local/sbin/wattribute-server"]
