# Sourced by tests/run and samples/run: installs what is missing (Debian 12), configures and builds.
# Needs bash with `set -euo pipefail`. Sets kiln_root and kiln_build.

kiln_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
kiln_build="$kiln_root/build"
kiln_packages=(g++ cmake ninja-build ccache llvm-19-dev libclang-19-dev libclang-cpp19-dev
    libsleef-dev libtbb-dev libfmt-dev catch2 libpng-dev libmpfr-dev pkg-config dpkg-dev python3)

kiln_say() { printf '== %s\n' "$*"; }

kiln_fail() {
    printf 'kiln: %s\n' "$@" >&2
    exit 1
}

kiln_missing_packages() {
    local package
    for package in "${kiln_packages[@]}"; do
        if [[ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
            printf '%s\n' "$package"
        fi
    done
}

# True where every named package can be installed from the package lists at hand.
kiln_have_candidates() {
    local package
    for package in "$@"; do
        LC_ALL=C apt-cache policy "$package" 2>/dev/null | grep -q 'Candidate: [^(]' || return 1
    done
}

# On a system without dpkg the packages have other names; ask for the tools and leave the libraries
# to CMake, which names what it does not find.
kiln_check_tools() {
    local tool missing=()
    for tool in cmake ninja python3 c++; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if ((${#missing[@]})); then
        kiln_fail "missing: ${missing[*]}" \
            "this is no Debian system (no dpkg-query), so they cannot be installed from here"
    fi
}

kiln_install() {
    if ! command -v dpkg-query >/dev/null; then
        kiln_check_tools
        return
    fi
    local missing
    mapfile -t missing < <(kiln_missing_packages)
    ((${#missing[@]})) || return 0

    local as_root=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null ||
            kiln_fail "missing packages: ${missing[*]}" "not root, and there is no sudo to install them"
        if [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; then
            kiln_fail "missing packages: ${missing[*]}" "sudo asks for a password, and no terminal is there"
        fi
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null ||
        kiln_fail "missing packages: ${missing[*]}" "there is no apt-get to install them"

    kiln_say "installing: ${missing[*]}"
    local install=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive
        apt-get install -y --no-install-recommends "${missing[@]}")
    local log
    log="$(mktemp)"
    if ! kiln_have_candidates "${missing[@]}" || ! "${install[@]}" >"$log" 2>&1; then
        kiln_say "refreshing the package lists"
        "${as_root[@]}" apt-get update -qq ||
            kiln_say "apt-get update failed; trying with the lists at hand"
        if ! "${install[@]}" >"$log" 2>&1; then
            tail -n 20 "$log" >&2
            rm -f "$log"
            mapfile -t missing < <(kiln_missing_packages)
            kiln_fail "missing packages: ${missing[*]}" "apt-get install failed (see above)"
        fi
    fi
    rm -f "$log"
}

# kiln_configure [OPTION...]: of CMake, where the build is new.
kiln_configure() {
    if [[ ! -f "$kiln_build/CMakeCache.txt" || ! -f "$kiln_build/build.ninja" ]]; then
        kiln_say "configuring $kiln_build"
        cmake -S "$kiln_root" -B "$kiln_build" -G Ninja "$@"
    fi
}

# kiln_sanitize SANITIZER: the build in build-asan/ of "address" (and of undefined behaviour), or in build-tsan/ of
# "thread", and how its programs report.
kiln_sanitize() {
    local of_compiler="$1"
    [[ "$of_compiler" == address ]] && of_compiler=address,undefined
    kiln_build="$kiln_root/build-${1:0:1}san"
    # Tests ask for more memory than there is, and expect an error.
    export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
    export TSAN_OPTIONS="allocator_may_return_null=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
    export UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
    kiln_configure "-DKILN_SANITIZE=$of_compiler" -DKILN_BUILD_SAMPLES=OFF
}

# kiln_make [TARGET...]: builds the targets, all of them by default, with progress.
kiln_make() {
    kiln_say "building ${*:-everything}"
    local args=()
    if (($#)); then
        args=(--target "$@")
    fi
    cmake --build "$kiln_build" --parallel "$(nproc)" "${args[@]}"
}

# Whether NVRTC is where kiln looks for it.
kiln_has_nvrtc() {
    [[ -z "${KILN_LIBNVRTC:-}" ]] || return 0
    ! ldconfig -p 2>/dev/null | grep -q 'libnvrtc\.so' || return 0
    local folder
    for folder in ${CUDA_HOME:+"$CUDA_HOME"/lib{64,}} ${CUDA_PATH:+"$CUDA_PATH"/lib{64,}} /usr/local/cuda/lib64; do
        ! compgen -G "$folder/libnvrtc.so*" >/dev/null || return 0
    done
    return 1
}

kiln_nvrtc_in() {
    find "$1" -name 'libnvrtc.so.1?' 2>/dev/null || true
}

# Where no CUDA toolkit is, NVRTC comes from Python's packages into the build folder: tests compile CUDA
# text by it, for which no GPU is needed. Without a network they are skipped, and this says so.
kiln_nvrtc() {
    kiln_has_nvrtc && return 0
    local folder="$kiln_build/nvrtc" library log
    library="$(kiln_nvrtc_in "$folder")"
    if [[ -z "$library" ]]; then
        kiln_say "installing NVRTC into $folder"
        log="$(timeout 180 python3 -m pip install --quiet --disable-pip-version-check --no-deps --retries 0 --timeout 5 \
            --target "$folder" 'nvidia-cuda-nvrtc==13.*' 2>&1)" || true
        library="$(kiln_nvrtc_in "$folder")"
        if [[ -z "$library" ]]; then
            kiln_say "skipped: NVRTC cannot be installed, and no test compiles CUDA text: ${log##*$'\n'}"
            return 0
        fi
    fi
    export KILN_LIBNVRTC="$library"
}
