# shellcheck shell=sh disable=SC2034
# What the two scripts that make repositories share; sourced by them.

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# Reads --key ID DIR PACKAGE...: sets KEY, and how many words are before the packages.
read_arguments() {
  KEY='' WORDS=1
  while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h)
      usage
      exit 0
      ;;
    --key)
      [ $# -gt 1 ] || fail "--key needs the id of a key that gpg has"
      KEY=$2 WORDS=$((WORDS + 2))
      shift 2
      ;;
    -*) fail "unknown: $1; --help tells what there is" ;;
    *) break ;;
    esac
  done
  if [ $# -eq 0 ] || [ -z "$KEY" ]; then
    usage >&2
    exit 64
  fi
  DIR=$1
}

need() {
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || fail "install $tool first"
  done
}

# A package of a name that is there already must be the same: who has it would be told another checksum.
add_packages() {
  folder=$1
  shift
  mkdir -p "$folder"
  for package in "$@"; do
    [ -f "$package" ] || fail "there is no $package"
    place=$folder/$(basename "$package")
    if [ -e "$place" ]; then
      same_package "$package" "$place" ||
        fail "$(basename "$package") is there already with other contents; a change needs a version of its own"
    else
      cp "$package" "$place.new"
      mv "$place.new" "$place"
    fi
  done
}

export_key() {
  gpg --batch --yes --armor --output "$1" --export "$KEY"
  [ -s "$1" ] || fail "gpg has no key $KEY"
}
