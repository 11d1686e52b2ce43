# SPDX-License-Identifier: Apache-2.0
# The sensor's image, built from this source tree (docker build -f docker/sensor.Dockerfile .).
# It takes the sensor's options as the container's arguments:
#   docker run --privileged --name smartwatts-sensor -td -v /sys:/sys \
#     -v /var/lib/docker/containers:/var/lib/docker/containers:ro IMAGE -n NAME -U mongodb:HOST:PORT ...
FROM debian:trixie-slim AS build
COPY scripts/install-deps.sh /source/scripts/
RUN /source/scripts/install-deps.sh build
COPY . /source
RUN make -C /source -s BUILD=/build /build/wattribute-sensor && strip /build/wattribute-sensor

FROM debian:trixie-slim
COPY --from=build /build/wattribute-sensor /usr/local/sbin/
COPY scripts/install-deps.sh /tmp/
RUN /tmp/install-deps.sh run /usr/local/sbin/wattribute-sensor && rm -rf /tmp/install-deps.sh /var/lib/apt/lists/* /var/cache/apt/* \
	&& useradd --system --no-create-home --shell /usr/sbin/nologin wattribute \
	&& install -d -o wattribute -g wattribute /var/lib/wattribute
VOLUME /var/lib/wattribute
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/sbin/wattribute-sensor"]
