# syntax=docker/dockerfile:1

# The image holds one static binary, the certificates to talk to Slack and
# Microsoft, and an empty directory for its state. There is no shell in it.
#
#   docker build -t revoke-session --build-arg VERSION=$(git describe --always --dirty) .
#   docker run --env-file .env -p 127.0.0.1:8080:8080 -v revoke-session:/var/lib/revoke-session revoke-session

ARG GO_VERSION=1.26

FROM golang:${GO_VERSION} AS build
WORKDIR /src

# Dependencies first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download && go mod verify

COPY . .
# The same flags as `make build`: two builds of one commit give the same bytes.
ARG VERSION=unknown
RUN CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags="-s -w -buildid= -X main.release=${VERSION}" -o /out/bot ./cmd/bot \
 && install -d -m 0700 /out/state

FROM gcr.io/distroless/static-debian12:nonroot
LABEL org.opencontainers.image.title="Revoke Session" \
      org.opencontainers.image.description="Ends a Microsoft 365 user's sessions from Slack, with a second administrator's confirmation." \
      org.opencontainers.image.source="https://github.com/revoke-session/revoke-session" \
      org.opencontainers.image.licenses="Apache-2.0"

COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /out/bot /bot
COPY --from=build --chown=65532:65532 /out/state /var/lib/revoke-session

# The embedded store (revoke-session.db) lives here, unless REDIS_URL is set. A
# request must survive the container: keep this on a volume, and give it to one
# container only (the file lock refuses a second one).
ENV STATE_DIRECTORY=/var/lib/revoke-session
VOLUME /var/lib/revoke-session

USER 65532:65532
EXPOSE 8080

# No HEALTHCHECK: there is no shell and no curl to run one with. The orchestrator
# asks GET /healthz (is the process alive?) and GET /readyz (are the store and the
# Slack token usable?) over HTTP.
ENTRYPOINT ["/bot"]
CMD ["serve"]
