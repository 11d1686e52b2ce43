# SPDX-License-Identifier: Apache-2.0
# A notebook server with what notebooks/ needs:
#   docker run -d -v "$(pwd)/notebooks":/home/jovyan/work --name notebook -p 8888:8888 IMAGE
#   docker logs notebook      shows the address with its token
FROM debian:trixie-slim
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
	jupyter-notebook python3-ipykernel python3-matplotlib python3-pandas python3-pymongo \
	&& rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
	&& useradd --create-home --shell /bin/bash jovyan
COPY notebooks /home/jovyan/work
USER jovyan
WORKDIR /home/jovyan/work
EXPOSE 8888
CMD ["jupyter-notebook", "--ip=0.0.0.0", "--port=8888", "--no-browser"]
