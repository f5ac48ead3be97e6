#!/bin/sh
# Installs, upgrades and removes peat-sidecar on Linux:
#
#   curl -fsSL https://github.com/defenseunicorns/peat-sidecar/releases/latest/download/install.sh | sh
#   sh install.sh --from DIR           in a closed network, from a folder with the files of a release
#   sh install.sh uninstall [--purge]
#
# As a deb or an rpm where the system has packages of that kind, else as plain files. Nothing is changed before the
# list of checksums has a good signature by the key below, and the file its checksum. sh install.sh --help tells more.

# All of it is one group, down to the last line: a shell reads it whole before it does anything, so that half of a
# script that was cut off on its way does nothing.
{

# A mirror is given by --base-url, or once for all here.
BASE_URL=https://github.com/defenseunicorns/peat-sidecar/releases/latest/download

# The public key of releases, put in when one is made; the file peat-sidecar.pub.
RELEASE_KEY=''

usage() {
    cat <<'USAGE'
usage: sh install.sh [install] [OPTION]...
       sh install.sh uninstall [--purge] [--dry-run]

Installs or upgrades peat-sidecar; a second run changes nothing.

  --from DIR          take the files of a release from a folder, and nothing from a network
  --base-url URL      take them from another server; a folder of it holds the files of one release
  --key FILE          the public key that the release must be signed by (peat-sidecar.pub)
  --format FORMAT     deb, rpm or plain, in place of what this system has
  --setup             then make a formation secret, unless there is one, and start the service
  --secret-file FILE  then take the formation secret from a file, and start the service
  --no-service        don't enable or start the service; one that runs is restarted all the same
  --allow-downgrade   also install what is older than what is there
  --dry-run           fetch and verify, and print what would be done
  --purge             uninstall: with data, settings and secret

Root is needed to change something, not to look; others are helped by sudo or doas.
Exit status: 0 done, 1 not done, 64 wrong usage. Whatever fails before the word "Installing" has changed nothing.
USAGE
}

say() {
    printf '%s\n' "$*"
}

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

misused() {
    printf 'install.sh: %s\n' "$*" >&2
    echo "sh install.sh --help tells what there is" >&2
    exit 64
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# ---- command line

read_arguments() {
    action=install from='' base_url=$BASE_URL key_file='' format='' setup=no secret_file=''
    service=yes dry_run=no purge=no downgrade=no
    case "${1-}" in
    install | uninstall)
        action=$1
        shift
        ;;
    esac
    while [ $# -gt 0 ]; do
        case "$1" in
        --from | --base-url | --key | --format | --secret-file)
            [ -n "${2-}" ] || misused "$1 needs a value"
            set_option "$1" "$2"
            shift
            ;;
        --from=?* | --base-url=?* | --key=?* | --format=?* | --secret-file=?*)
            set_option "${1%%=*}" "${1#*=}"
            ;;
        --setup) setup=yes ;;
        --no-service) service=no ;;
        --allow-downgrade) downgrade=yes ;;
        --dry-run) dry_run=yes ;;
        --purge) purge=yes ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) misused "unknown: $1" ;;
        esac
        shift
    done
    case "$format" in
    '' | deb | rpm | plain) ;;
    *) misused "--format is deb, rpm or plain, not $format" ;;
    esac
    [ "$purge" = no ] || [ "$action" = uninstall ] || misused "--purge belongs to uninstall"
}

set_option() {
    case "$1" in
    --from) from=$2 ;;
    --base-url) base_url=${2%/} ;;
    --key) key_file=$2 ;;
    --format) format=$2 ;;
    --secret-file)
        # The script itself may come by standard input.
        [ "$2" != - ] || misused "--secret-file takes a file; or run peat-sidecar setup --secret-file - afterwards"
        secret_file=$2
        ;;
    esac
}

# ---- what this machine is

look_around() {
    # Where users have other folders than root.
    PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
    [ "$(uname -s)" = Linux ] || die "this is $(uname -s); peat-sidecar is for Linux"
    case "$(uname -m)" in
    x86_64 | amd64) deb_arch=amd64 rpm_arch=x86_64 target=linux-x64 ;;
    aarch64 | arm64) deb_arch=arm64 rpm_arch=aarch64 target=linux-arm64 ;;
    *) die "there is no peat-sidecar for $(uname -m), only for x86_64 and aarch64" ;;
    esac
    if [ -d /run/systemd/system ]; then
        init=systemd
    elif [ -d /run/openrc ] || { has openrc && ! has systemctl; }; then
        init=openrc
    elif has systemctl; then
        # An image that is built, or a root that is prepared: it may be booted later.
        init=systemd-offline
    else
        init=none
    fi
    manifest=/usr/lib/peat-sidecar/manifest
    [ -n "$format" ] || format=$(usual_format)
}

usual_format() {
    # shellcheck source=/dev/null
    ids=$(. /etc/os-release 2>/dev/null && echo " ${ID-} ${ID_LIKE-} ") || ids=''
    case "$ids" in
    *" debian "* | *" ubuntu "*)
        # The package has a unit for systemd, and none for others.
        if has dpkg && [ "$init" != openrc ]; then echo deb; else echo plain; fi
        ;;
    *" fedora "* | *" rhel "* | *" centos "* | *" suse "* | *" opensuse "*)
        if has rpm && [ "$init" != openrc ]; then echo rpm; else echo plain; fi
        ;;
    *) echo plain ;;
    esac
}

# Sets how root's commands are run. A dry run has none.
find_root() {
    elevate=''
    if [ "$(id -u)" -eq 0 ] || [ "$dry_run" = yes ]; then
        return
    elif has sudo; then
        elevate=sudo
    elif has doas; then
        elevate=doas
    else
        die "this needs root: run it as root, or install sudo"
    fi
}

# A command that changes the system.
act() {
    if [ "$dry_run" = yes ]; then
        say "would run: $*"
    else
        $elevate "$@" </dev/null
    fi
}

# A look at what only root may see.
see() {
    $elevate "$@" </dev/null >/dev/null 2>&1
}

make_workshop() {
    umask 022
    workshop=$(mktemp -d "${TMPDIR:-/tmp}/peat-sidecar.XXXXXX") || die "no temporary folder could be made"
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # apt reads the package as a user of its own. Others can't write there.
    chmod 755 "$workshop"
    : >"$workshop/placed"
}

# Also after half a placing: what has its name already is whole.
# shellcheck disable=SC2317  # The trap calls it.
clean_up() {
    status=$?
    trap - EXIT
    if [ "$dry_run" = no ] && [ -s "$workshop/placed" ]; then
        while read -r path <&3; do
            $elevate rm -f "$path.peat-new" </dev/null || true
        done 3<"$workshop/placed"
        remove_folders
    fi
    [ "${masked-no}" = no ] || $elevate systemctl --quiet --runtime unmask peat-sidecar.service || true
    rm -rf "$workshop"
    exit "$status"
}

# ---- fetching and verifying

fetch() {
    fetched=$workshop/$1
    if [ -n "$from" ]; then
        [ -f "$from/$1" ] || die "$from has no file $1"
        # A copy of our own: nobody changes it between looking and using.
        cp "$from/$1" "$fetched" || die "can't read $from/$1"
    elif has curl; then
        redirects='=http,https'
        case "$base_url" in https://*) redirects='=https' ;; esac
        curl --fail --silent --show-error --location --max-redirs 8 \
            --proto '=http,https' --proto-redir "$redirects" --max-filesize 1000000000 \
            --connect-timeout 30 --speed-limit 100 --speed-time 60 --retry 2 \
            --output "$fetched" "$base_url/$1" </dev/null || die "can't fetch $base_url/$1"
    elif has wget; then
        # That of busybox knows no limits, or falls over them.
        limits=''
        case "$(wget --version 2>/dev/null || true)" in 'GNU Wget'*) limits='-t 2 -T 60' ;; esac
        # shellcheck disable=SC2086  # Several words, or none.
        wget -q $limits -O "$fetched" "$base_url/$1" </dev/null || die "can't fetch $base_url/$1"
    else
        die "needs curl or wget, or a folder with the files (--from DIR)"
    fi
}

release_key() {
    if [ -n "$key_file" ]; then
        [ -r "$key_file" ] || die "can't read the key $key_file"
        cat "$key_file"
    elif [ -n "$RELEASE_KEY" ]; then
        printf '%s\n' "$RELEASE_KEY"
    else
        die "this copy of install.sh has no key of releases in it; give one by --key FILE"
    fi
}

# The armoured part, for programs that want bytes.
pgp_bytes() {
    sed -n '/^-----BEGIN PGP PUBLIC/,/^-----END PGP/p' "$1" | sed -e '/^-/d' -e '/^$/d' -e '/^=/d' | base64 -d
}

# One of the programs that judge an Ed25519 signature decides, and its verdict is final.
verify_signature() {
    key=$workshop/key
    release_key >"$key" || exit 1
    sums=$workshop/SHA256SUMS
    case "$(openssl version 2>/dev/null || true)" in
    "OpenSSL "[3-9].*)
        judge=openssl
        fetch SHA256SUMS.sig
        openssl pkeyutl -verify -rawin -pubin -inkey "$key" -in "$sums" -sigfile "$fetched" \
            >"$workshop/verdict" 2>&1 || bad_signature
        say "The signature is good (openssl)."
        return
        ;;
    esac
    if has ssh-keygen; then
        judge=ssh-keygen
        fetch SHA256SUMS.sshsig
        sed -n 's/^ssh-ed25519 /release &/p' "$key" >"$workshop/signers"
        ssh-keygen -Y verify -f "$workshop/signers" -I release -n file -s "$fetched" \
            <"$sums" >"$workshop/verdict" 2>&1 || bad_signature
    elif has gpgv; then
        judge=gpgv
        fetch SHA256SUMS.asc
        pgp_bytes "$key" >"$workshop/keyring.gpg"
        # Machines without a clock that keeps time are served too.
        gpgv --homedir "$workshop" --ignore-time-conflict --keyring "$workshop/keyring.gpg" \
            "$fetched" "$sums" >"$workshop/verdict" 2>&1 || bad_signature
    elif has sqv; then
        judge=sqv
        fetch SHA256SUMS.asc
        sqv --keyring "$key" "$fetched" "$sums" >"$workshop/verdict" 2>&1 || bad_signature
    else
        die "no program here can judge the signature; install one: openssl 3, ssh-keygen, gpgv or sqv"
    fi
    say "The signature is good ($judge)."
}

bad_signature() {
    sed 's/^/  /' "$workshop/verdict" >&2
    die "SHA256SUMS is not signed by the key of releases ($judge); nothing was changed"
}

# Sets file, its hash and version: what the signed list has for this machine.
choose_file() {
    file=''
    while read -r listed name <&3; do
        case "$format:$name" in
        deb:peat-sidecar_*_"$deb_arch".deb) ;;
        rpm:peat-sidecar-*."$rpm_arch".rpm) ;;
        plain:peat-sidecar-*-"$target"-system.tar.gz) ;;
        *) continue ;;
        esac
        case "$name" in */*) die "SHA256SUMS has a path in it: $name" ;; esac
        [ -z "$file" ] || die "SHA256SUMS has more than one file for this machine: $file, $name"
        file=$name hash=$listed
    done 3<"$workshop/SHA256SUMS"
    [ -n "$file" ] || die "this release has no $format for $(uname -m)"
    version=${file#peat-sidecar?}
    version=${version%_"$deb_arch".deb}
    version=${version%."$rpm_arch".rpm}
    version=${version%-"$target"-system.tar.gz}
}

hash_of() {
    sha256sum "$1" | { read -r sum _ && echo "$sum"; }
}

fetch_file() {
    say "Fetching $file"
    fetch "$file"
    [ "$(hash_of "$fetched")" = "$hash" ] ||
        die "$file is damaged: its checksum is not the one that was signed; nothing was changed"
}

# ---- packages

deb_version() {
    # shellcheck disable=SC2016  # For dpkg-query to fill in.
    state=$(dpkg-query -W -f '${db:Status-Abbrev}${Version}' peat-sidecar 2>/dev/null) || state=''
    case "$state" in ii*) echo "${state#ii }" ;; esac
}

rpm_version() {
    # It also says on standard output that there is none.
    if rpm -q peat-sidecar >/dev/null 2>&1; then rpm -q --qf '%{VERSION}-%{RELEASE}' peat-sidecar; fi
}

# What is there, or nothing.
version_here() {
    case "$format" in
    deb) deb_version ;;
    rpm) rpm_version ;;
    plain) noted version ;;
    esac
}

# This version is there, and its files are as they were. Documents may be missing: some images have none.
is_whole() {
    case "$format" in
    deb) [ "$(deb_version)" = "$version" ] && ! dpkg --verify peat-sidecar | grep -Eq ' /usr/(bin|lib)/' ;;
    rpm) [ "$(rpm_version)" = "$version" ] && ! rpm -V peat-sidecar | grep -Eq ' /usr/(bin|lib)/' ;;
    plain) is_plain_whole ;;
    esac
}

refuse_other_kind() {
    if [ "$format" != plain ] && [ -e "$manifest" ]; then
        die "peat-sidecar is here as plain files; first: sh install.sh uninstall (settings and data stay)"
    fi
    if [ "$format" = plain ]; then
        if has dpkg-query && [ -n "$(deb_version)" ]; then
            die "peat-sidecar is here as a deb; upgrade it as one, or remove it first"
        elif has rpm && rpm -q peat-sidecar >/dev/null 2>&1; then
            die "peat-sidecar is here as an rpm; upgrade it as one, or remove it first"
        fi
    fi
}

install_deb() {
    has dpkg || die "this system has no dpkg"
    # Of a package that is new its own script would start the service; one in this state is left alone.
    if [ "$service" = no ] && [ "$is_new" = yes ] && [ "$init" = systemd ]; then
        masked=$([ "$dry_run" = yes ] && echo no || echo yes)
        act systemctl --quiet --runtime mask peat-sidecar.service
    fi
    if has apt-get; then
        act env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            --reinstall --allow-downgrades -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confold "$workshop/$file"
    else
        act env DEBIAN_FRONTEND=noninteractive dpkg --force-confold -i "$workshop/$file"
    fi
    if [ "$service" = no ] && [ "$is_new" = yes ] && [ "$init" != none ]; then
        [ "$init" != systemd ] || act systemctl --quiet --runtime unmask peat-sidecar.service
        masked=no
        act systemctl --quiet disable peat-sidecar.service
    fi
}

install_rpm() {
    has rpm || die "this system has no rpm"
    [ ! -e /run/ostree-booted ] ||
        die "this system is an image: add $file to it by rpm-ostree install, or take --format plain where /usr can be written"
    # The same version again: its files were damaged.
    verb=install
    [ "$here" != "$version" ] || verb=reinstall
    if has dnf; then
        act dnf -y -q "$verb" "$workshop/$file"
    elif has yum; then
        act yum -y -q "$verb" "$workshop/$file"
    elif has zypper; then
        act zypper --non-interactive --quiet install --force --allow-unsigned-rpm "$workshop/$file"
    else
        act rpm --upgrade --replacepkgs --oldpackage "$workshop/$file"
    fi
    # Presets usually leave a new service disabled; who runs this wants it.
    if [ "$service" = yes ] && [ "$is_new" = yes ] && [ "$init" != none ]; then
        act systemctl --quiet enable peat-sidecar.service
    fi
}

# ---- plain files

check_library() {
    libc=$(getconf GNU_LIBC_VERSION 2>/dev/null || true)
    case "$libc" in
    'glibc '*) ;;
    *) die "peat-sidecar needs the C library glibc 2.34 or later; this system has another one" ;;
    esac
    minor=${libc#glibc 2.}
    minor=${minor%%.*}
    [ "$minor" -ge 34 ] 2>/dev/null || die "peat-sidecar needs glibc 2.34 or later; this system has ${libc#glibc }"
}

# The manifest's entry of a path: its hash, `link`, or nothing.
noted() {
    [ -r "$manifest" ] || return 0
    while read -r kind sum path <&4; do
        if [ "$path" = "$1" ]; then
            echo "$sum"
            break
        fi
    done 4<"$manifest"
}

is_plain_whole() {
    [ "$(noted archive)" = "$hash" ] || return 1
    while read -r kind sum path <&3; do
        case "$kind" in
        file) [ -f "$path" ] && [ "$(hash_of "$path")" = "$sum" ] || return 1 ;;
        link) [ -L "$path" ] || return 1 ;;
        esac
    done 3<"$manifest"
}

# Of the archive's files those that this machine has use for.
is_wanted() {
    case "$1" in
    etc/init.d/*) [ "$init" = openrc ] ;;
    usr/lib/systemd/* | usr/lib/sysusers.d/* | usr/lib/tmpfiles.d/*)
        [ "$init" = systemd ] || [ "$init" = systemd-offline ]
        ;;
    *) true ;;
    esac
}

is_settings() {
    [ "$1" = /etc/default/peat-sidecar ] || [ "$1" = /etc/peat-sidecar/config.yaml ]
}

make_folder() {
    if [ -z "$1" ] || [ -d "$1" ] || grep -qx "folder - $1" "$workshop/manifest"; then return; fi
    make_folder "${1%/*}"
    echo "folder - $1" >>"$workshop/manifest"
    case "$1" in
    /etc/peat-sidecar) act install -d -m 750 -g peat-sidecar "$1" ;;
    *) act install -d -m 755 "$1" ;;
    esac
}

make_user() {
    if grep -q '^peat-sidecar:' /etc/passwd && grep -q '^peat-sidecar:' /etc/group; then
        return
    elif has systemd-sysusers; then
        act systemd-sysusers "$tree/usr/lib/sysusers.d/peat-sidecar.conf"
    elif has useradd; then
        shell=/usr/sbin/nologin
        [ -x "$shell" ] || shell=/sbin/nologin
        act useradd --system --user-group --no-create-home --home-dir /var/lib/peat-sidecar \
            --comment "Peat Sidecar" --shell "$shell" peat-sidecar
    else
        die "there is no useradd; make a system user and group peat-sidecar first"
    fi
}

install_plain() {
    check_library
    tree=$workshop/tree
    mkdir "$tree"
    gzip -dc "$workshop/$file" | tar -xf - -C "$tree" || die "$file could not be unpacked"
    tree=$tree/${file%.tar.gz}
    (cd "$tree" && find . -type f -o -type l) | sed 's|^\./||' | sort >"$workshop/files"
    refuse_foreign
    make_user
    printf 'archive %s archive\nversion %s version\n' "$hash" "$version" >"$workshop/manifest"
    # First beside their places, then all into them: a full disk is noticed before. The manifest goes before the others:
    # whatever happens then, the next run knows what is ours.
    echo "$manifest" >"$workshop/placed"
    while read -r path <&3; do
        ! is_wanted "$path" || put_beside "$path"
    done 3<"$workshop/files"
    if [ -r "$manifest" ]; then
        # Folders of the first time stay noted.
        grep '^folder ' "$manifest" >>"$workshop/manifest" || true
    fi
    act install -m 644 "$workshop/manifest" "$manifest.peat-new"
    [ ! -r "$manifest" ] || cp "$manifest" "$workshop/before"
    while read -r path <&3; do
        act mv -f "$path.peat-new" "$path"
    done 3<"$workshop/placed"
    : >"$workshop/placed"
    remove_forsaken
    act install -d -m 700 -o peat-sidecar -g peat-sidecar /var/lib/peat-sidecar
}

# What somebody else has put there is theirs.
refuse_foreign() {
    while read -r path <&3; do
        if ! is_wanted "$path" || is_settings "/$path"; then continue; fi
        if { [ -e "/$path" ] || [ -L "/$path" ]; } && [ -z "$(noted "/$path")" ]; then
            die "/$path is there and not from this script; nothing was changed"
        fi
    done 3<"$workshop/files"
}

put_beside() {
    source=$tree/$1 place=/$1
    make_folder "${place%/*}"
    if [ -L "$source" ]; then
        echo "link - $place" >>"$workshop/manifest"
        echo "$place" >>"$workshop/placed"
        act ln -sf "$(readlink "$source")" "$place.peat-new"
        return
    fi
    sum=$(hash_of "$source")
    if is_settings "$place"; then
        before=$(noted "$place")
        # Only root sees what is in there.
        if see test -e "$place" && { [ -z "$before" ] || [ "$($elevate sha256sum "$place" | cut -c 1-64)" != "$before" ]; }; then
            say "$place is kept as it is."
            echo "settings ${before:--} $place" >>"$workshop/manifest"
            return
        fi
        echo "settings $sum $place" >>"$workshop/manifest"
        echo "$place" >>"$workshop/placed"
        act install -m 640 -g peat-sidecar "$source" "$place.peat-new"
        return
    fi
    mode=644
    [ ! -x "$source" ] || mode=755
    echo "file $sum $place" >>"$workshop/manifest"
    echo "$place" >>"$workshop/placed"
    act install -m "$mode" "$source" "$place.peat-new"
}

# Files that the version before had and this one has not.
remove_forsaken() {
    [ -r "$workshop/before" ] || return 0
    cut -d ' ' -f 3 "$workshop/manifest" >"$workshop/now"
    while read -r kind sum path <&3; do
        case "$kind" in
        file | link) grep -qxF "$path" "$workshop/now" || act rm -f "$path" ;;
        esac
    done 3<"$workshop/before"
}

# ---- the service

has_secret() {
    for path in /etc/credstore/peat-formation-secret /etc/peat-sidecar/peat-formation-secret; do
        ! see test -e "$path" || return 0
    done
    see grep -Eqs '^[[:space:]]*(PEAT_FORMATION_SECRET|PEAT_NODE_SHARED_KEY)(_FILE)?=.' /etc/default/peat-sidecar ||
        see grep -Eqs '^formationSecret(File)?:' /etc/peat-sidecar/config.yaml
}

give_secret() {
    no_start=''
    [ "$service" = yes ] || no_start=--no-start
    if [ -n "$secret_file" ]; then
        act /usr/bin/peat-sidecar setup --secret-file "$secret_file" $no_start
    elif [ "$setup" = yes ]; then
        act /usr/bin/peat-sidecar setup $no_start
    fi
}

serve_plain() {
    case "$init" in
    systemd)
        act systemctl daemon-reload
        act systemd-tmpfiles --create peat-sidecar.conf
        ;;
    esac
    [ "$service" = yes ] && [ "$is_new" = yes ] || return 0
    case "$init" in
    systemd | systemd-offline) act systemctl --quiet enable peat-sidecar.service ;;
    openrc) act rc-update --quiet add peat-sidecar default ;;
    esac
}

start_service() {
    case "$init" in
    systemd)
        if [ "$is_new" = no ]; then
            # Packages do that themselves.
            [ "$format" != plain ] || act systemctl try-restart peat-sidecar.service
        elif [ "$service" = yes ] && has_secret; then
            act systemctl start peat-sidecar.service
        fi
        ;;
    openrc) start_openrc ;;
    esac
}

start_openrc() {
    # Where it was not booted there is nothing to start.
    [ -e /run/openrc/softlevel ] || return 0
    if rc-service --quiet peat-sidecar status >/dev/null 2>&1; then
        [ "$is_changed" = no ] || act rc-service peat-sidecar restart
    elif [ "$service" = yes ] && { [ "$is_new" = yes ] || [ "$setup" = yes ] || [ -n "$secret_file" ]; }; then
        ! has_secret || act rc-service peat-sidecar start
    fi
}

tell_what_is_next() {
    [ "$dry_run" = no ] || return 0
    say "peat-sidecar $version is installed ($format)."
    if ! has_secret; then
        say "It has no formation secret yet; make or take one, and start, with: peat-sidecar setup"
    fi
    case "$init" in
    openrc) say "The service is OpenRC's: rc-service peat-sidecar start" ;;
    none) say "No service manager was found: run /usr/bin/peat-sidecar as the user peat-sidecar." ;;
    esac
}

# ---- actions

install_all() {
    find_root
    if [ -n "$secret_file" ] && [ "$dry_run" = no ]; then
        see test -r "$secret_file" || die "can't read the secret file $secret_file"
    fi
    make_workshop
    fetch SHA256SUMS
    verify_signature
    choose_file
    refuse_other_kind
    here=$(version_here)
    is_new=yes
    [ -z "$here" ] || is_new=no
    if [ "$is_new" = no ] && [ "$here" != "$version" ] && [ "$downgrade" = no ] &&
        [ "$(printf '%s\n%s\n' "$here" "$version" | sort -V | tail -n 1)" = "$here" ]; then
        die "$version is older than $here, which is installed; --allow-downgrade installs it all the same"
    fi
    is_changed=yes
    if is_whole; then
        say "peat-sidecar $version is installed already ($format)."
        is_changed=no
        give_secret
        # systemd's is started by setup itself.
        [ "$init" != openrc ] || start_openrc
        return
    fi
    fetch_file
    say "Installing $file"
    case "$format" in
    deb) install_deb ;;
    rpm) install_rpm ;;
    plain)
        install_plain
        serve_plain
        ;;
    esac
    give_secret
    start_service
    tell_what_is_next
}

remove_data() {
    say "Removing data, settings and secret"
    act rm -f /etc/credstore/peat-formation-secret /etc/peat-sidecar/peat-formation-secret \
        /etc/default/peat-sidecar /etc/default/peat-sidecar.rpmsave \
        /etc/peat-sidecar/config.yaml /etc/peat-sidecar/config.yaml.rpmsave
    # systemd makes it by itself where it knows of it.
    if [ ! -e /usr/lib/tmpfiles.d/credstore.conf ]; then
        act rmdir /etc/credstore 2>/dev/null || true
    fi
    act rm -f /var/log/peat-sidecar.log
    act rm -rf --one-file-system /var/lib/peat-sidecar /var/cache/peat-sidecar /run/peat-sidecar
    act rmdir /etc/peat-sidecar 2>/dev/null || true
}

uninstall_all() {
    find_root
    make_workshop
    if [ -e "$manifest" ]; then
        uninstall_plain
    elif has dpkg-query && dpkg-query -W peat-sidecar >/dev/null 2>&1; then
        uninstall_deb
        return
    elif has rpm && rpm -q peat-sidecar >/dev/null 2>&1; then
        if has dnf; then act dnf -y -q remove peat-sidecar; else act rpm --erase peat-sidecar; fi
        [ "$purge" = no ] || remove_data
    elif [ "$purge" = yes ] && [ -e /var/lib/peat-sidecar ]; then
        remove_data
    else
        say "peat-sidecar is not installed."
        return
    fi
    [ "$dry_run" = yes ] || say "peat-sidecar is removed."
}

uninstall_deb() {
    verb=remove
    [ "$purge" = no ] || verb=purge
    if [ "$verb" = remove ] && [ -z "$(deb_version)" ]; then
        say "peat-sidecar is removed already; its settings and data are there (--purge)."
    elif has apt-get; then
        act env DEBIAN_FRONTEND=noninteractive apt-get "$verb" -y -q peat-sidecar
    else
        act dpkg "--$verb" peat-sidecar
    fi
}

# Those that the manifest notes, deepest first; what is not empty is somebody's.
remove_folders() {
    grep '^folder ' "$workshop/manifest" | sort -r | while read -r _ _ path; do
        act rmdir "$path" 2>/dev/null || true
    done
}

uninstall_plain() {
    case "$init" in
    systemd) act systemctl --quiet disable --now peat-sidecar.service || true ;;
    systemd-offline) act systemctl --quiet disable peat-sidecar.service || true ;;
    openrc)
        if [ -e /run/openrc/softlevel ] && rc-service --quiet peat-sidecar status >/dev/null 2>&1; then
            act rc-service peat-sidecar stop
        fi
        ! see test -e /etc/runlevels/default/peat-sidecar || act rc-update --quiet delete peat-sidecar default
        ;;
    esac
    cp "$manifest" "$workshop/manifest"
    while read -r kind _ path <&3; do
        case "$kind" in
        file | link) act rm -f "$path" ;;
        esac
    done 3<"$workshop/manifest"
    act rm -f "$manifest" /run/peat-sidecar.sock
    [ "$purge" = no ] || remove_data
    remove_folders
    [ "$init" != systemd ] || act systemctl daemon-reload
}

main() {
    set -eu
    read_arguments "$@"
    look_around
    case "$action" in
    install) install_all ;;
    uninstall) uninstall_all ;;
    esac
}

main "$@"
exit
}
