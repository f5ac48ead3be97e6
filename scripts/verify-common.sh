# shellcheck shell=bash disable=SC2034
# What the verify scripts share; sourced by them. They need kubectl and a context, and nothing of how the cluster
# came to be. Questions to a node are asked by the node's own executable, since its image has no shell and no curl.

NAMESPACE=default
RELEASE=peat-mesh
REPLICAS=3
# Seconds that one thing may take; a slow machine needs more.
PATIENCE=120

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# usage FLAGS: ends the script.
usage() {
  echo "usage: $0 $* [--namespace NAMESPACE] [--release NAME] [--replicas N] [--patience SECONDS]" >&2
  exit 64
}

# option NAME VALUE: those that all scripts have; fails for others.
option() {
  [ -n "${2:-}" ] || return 1
  case "$1 $2" in
  --replicas\ *[!0-9]* | --replicas\ 0* | --patience\ *[!0-9]* | --patience\ 0*) return 1 ;;
  esac
  case "$1" in
  --namespace) NAMESPACE=$2 ;;
  --release) RELEASE=$2 ;;
  --replicas) REPLICAS=$2 ;;
  --patience) PATIENCE=$2 ;;
  *) return 1 ;;
  esac
}

# within_patience WHAT COMMAND...: asks once a second until it succeeds.
within_patience() {
  local what=$1 end=$((SECONDS + PATIENCE))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || fail "waited $PATIENCE s in vain for $what"
    sleep 1
  done
}

# at CONTEXT kubectl-arguments...
at() {
  local context=$1
  shift
  kubectl --context "$context" --namespace "$NAMESPACE" "$@"
}

# node CONTEXT POD peat-mesh-node-arguments...
node() {
  local context=$1 pod=$2
  shift 2
  at "$context" exec "$pod" -c peat-mesh -- peat-mesh-node "$@"
}

# log_has AT_LEAST PATTERN CONTEXT POD: the whole log is read, so that kubectl's end is its own.
log_has() {
  local count
  count=$(at "$3" logs "$4" -c peat-mesh | grep -c -- "$2" || true)
  [ "$count" -ge "$1" ]
}

is_ready() {
  [ "$(at "$1" get pod "$2" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null)" = True ]
}

# Deletes a pod and waits until another one of its name is ready.
replace_pod() {
  local context=$1 pod=$2 before
  before=$(at "$context" get pod "$pod" -o 'jsonpath={.metadata.uid}')
  at "$context" delete pod "$pod" >/dev/null
  within_patience "another pod $pod" is_another "$context" "$pod" "$before"
  within_patience "$pod to be ready" is_ready "$context" "$pod"
}

is_another() {
  local uid
  uid=$(at "$1" get pod "$2" -o 'jsonpath={.metadata.uid}' 2>/dev/null) || return 1
  [ -n "$uid" ] && [ "$uid" != "$3" ]
}
