# Shared by tests/run.sh and examples/fashion_mnist/run.sh, which set `root` to the top of the tree.

# What Debian 12 needs, in one place; docs/dependencies.md says what for. PACKAGE:PROGRAM is content with the program
# from wherever it comes.
linseed_packages="
  g++:g++ cmake:cmake ninja-build:ninja ccache:ccache
  libxtensor-dev libxtensor-blas-dev libopenblas-serial-dev libfmt-dev zlib1g-dev
  doctest-dev libcli11-dev nlohmann-json3-dev
  dataset-fashion-mnist"

say() {
  printf '== %s\n' "$*" >&2
}

fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# Prints the packages that are not there.
missing_packages() {
  installed=" $(dpkg-query --show --showformat '${db:Status-Status}:${Package} ' 2>/dev/null || true)"
  for entry in $linseed_packages; do
    package=${entry%%:*}
    case $entry in
      *:*) if command -v "${entry#*:}" >/dev/null 2>&1; then continue; fi ;;
    esac
    case $installed in
      *" installed:$package "*) ;;
      *) printf '%s ' "$package" ;;
    esac
  done
}

# Installs what is missing, or fails and says what to install.
require_packages() {
  if ! command -v dpkg-query >/dev/null 2>&1; then
    say "Not a Debian system: packages are not checked. docs/dependencies.md names what is needed."
    return
  fi
  missing=$(missing_packages)
  if [ -z "$missing" ]; then return; fi

  if [ "$(id -u)" -eq 0 ]; then
    as_root="env"
  elif command -v sudo >/dev/null 2>&1; then
    as_root="sudo env"
  else
    fail "these Debian packages are missing, and only root can install them: $missing
  as root: apt-get install $missing"
  fi
  say "Installing Debian packages: $missing"
  $as_root DEBIAN_FRONTEND=noninteractive apt-get update >&2 || say "The package lists could not be updated; trying without."
  # shellcheck disable=SC2086  # one argument per package
  $as_root DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing >&2 ||
    fail "these Debian packages could not be installed (see above): $missing"
  missing=$(missing_packages)
  if [ -n "$missing" ]; then fail "apt-get ended well, but these packages are still missing: $missing"; fi
}

# build PRESET [TARGET...]: configures build/PRESET once and builds the targets, or everything.
build() {
  preset=$1
  shift
  if [ ! -f "$root/build/$preset/build.ninja" ]; then
    say "Configuring build/$preset"
    (cd "$root" && cmake --preset "$preset") >&2 || fail "the configuration of build/$preset failed (see above)"
  fi
  say "Building ${*:-everything} in build/$preset"
  if [ $# -gt 0 ]; then set -- --target "$@"; fi
  cmake --build "$root/build/$preset" "$@" >&2 || fail "the build in build/$preset failed (see above)"
}
