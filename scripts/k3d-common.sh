# shellcheck shell=bash disable=SC2034
# What the k3d scripts share; sourced by them. Names, network and ports are those of the deployment guide.

IMAGE=peat-mesh-node:latest
RELEASE=peat-mesh
CHART=deploy/helm/peat-mesh
NETWORK=peat-federation

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

need() {
  local tool missing=()
  for tool in "$@"; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  [ ${#missing[@]} -eq 0 ] || fail "install these first: ${missing[*]}"
}

say() {
  printf '\n== %s\n' "$*"
}

has_cluster() {
  k3d cluster get "$1" >/dev/null 2>&1
}

# A cluster that exists is started and used again; flags of its creation are those of its first time.
ensure_cluster() {
  local name=$1
  shift
  if has_cluster "$name"; then
    say "cluster $name exists: starting it"
    k3d cluster start "$name"
  else
    say "creating cluster $name"
    k3d cluster create "$name" "$@"
  fi
}

build_image() {
  say "building $IMAGE"
  docker build -t "$IMAGE" -f deploy/Dockerfile .
}

import_image() {
  say "importing $IMAGE into $1"
  k3d image import "$IMAGE" -c "$1"
}

# A secret that is not given is made; it is never part of a command line, which others can read.
new_secret() {
  openssl rand -base64 32
}

# deploy CLUSTER SECRET [helm flags...]: an empty secret keeps that of the installed release.
deploy() {
  local cluster=$1 secret=$2
  shift 2
  say "deploying into $cluster"
  local values=""
  [ -z "$secret" ] || values="formationSecret: \"$secret\""
  helm upgrade --install "$RELEASE" "$CHART" --kube-context "k3d-$cluster" --values - "$@" <<<"$values"
}

is_deployed() {
  helm status "$RELEASE" --kube-context "k3d-$1" >/dev/null 2>&1
}

# rolled_out CLUSTER STATEFULSET...
rolled_out() {
  local cluster=$1 name
  shift
  for name in "$@"; do
    kubectl --context "k3d-$cluster" rollout status "statefulset/$name" --timeout=120s
  done
}

# The address that other clusters of the network have for this one.
server_address() {
  local address
  address=$(docker inspect "k3d-$1-server-0" \
    --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}')
  [ -n "$address" ] || fail "k3d-$1-server-0 has no address; is the cluster running?"
  echo "$address"
}
