# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# bash completion for gpuvchanctl.

_gpuvchanctl_cards() {
    "$1" pci list --all 2>/dev/null | grep -o '^[0-9a-f]\{4\}:[0-9a-f:.]*'
}

_gpuvchanctl() {
    local program=$1 cur prev words word at

    COMPREPLY=()
    # Bash splits words at ':' and '=', which addresses and options have.
    cur=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$cur"
    case $cur in *' ') words+=("") ;; esac
    at=$((${#words[@]} - 1))
    cur=${words[at]}
    prev=${words[at - 1]}
    case $cur in
    --*=*)
        prev=${cur%%=*}
        cur=${cur#*=}
        ;;
    esac
    case ${words[1]:-} in
    doctor) word="--host --guest --help" ;;
    pci)
        word="list assign release --help"
        case ${words[2]:-} in
        list) [ "$at" -eq 2 ] || word="--all --help" ;;
        assign) [ "$at" -eq 2 ] || word="--domain= --permissive --config= --help $(_gpuvchanctl_cards "$program")" ;;
        release) [ "$at" -eq 2 ] || word="--help $(_gpuvchanctl_cards "$program")" ;;
        esac
        ;;
    renew) word="all --help $(pgrep -x gpuvchan-worker 2>/dev/null)" ;;
    help) word="doctor pci renew" ;;
    esac
    [ "$at" -gt 1 ] || word="doctor pci renew help --help --version"
    case $prev in
    -c | --config)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    -d | --domain)
        word=$(xl list 2>/dev/null | awk 'NR > 1 && $2 > 0 { print $1 }')
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
    case ${COMPREPLY[0]} in *=) compopt -o nospace ;; esac
    # Of an address, readline replaces what is behind the last colon.
    case $cur in
    *:*)
        for at in "${!COMPREPLY[@]}"; do
            COMPREPLY[at]=${COMPREPLY[at]#"${cur%:*}":}
        done
        ;;
    esac
}

complete -F _gpuvchanctl gpuvchanctl
