# SPDX-License-Identifier: MIT
# bash completion for gpuvchan-host and gpuvchan-run. The options are those that --help prints.

_gpuvchan_options() {
    "$1" --help 2>/dev/null | grep -o -- '--[a-z][a-z-]*=\?' | sort -u
}

_gpuvchan() {
    local program=$1 cur=$2 prev=$3 word

    COMPREPLY=()
    # Bash splits words at '='.
    if [ "$cur" = "=" ]; then
        cur=
    elif [ "$prev" = "=" ]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $prev in
    --plugins | --dump-plugin)
        word=$("$program" --list-plugins 2>/dev/null | cut -d ' ' -f 1)
        mapfile -t COMPREPLY < <(compgen -W "$word" -- "$cur")
        return
        ;;
    --user)
        mapfile -t COMPREPLY < <(compgen -u -- "$cur")
        return
        ;;
    --group | --socket-group)
        mapfile -t COMPREPLY < <(compgen -g -- "$cur")
        return
        ;;
    --plugin-dir | --state-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    --allow-domains)
        word=$(xl list 2>/dev/null | awk 'NR > 1 && $2 > 0 { print $1 }')
        mapfile -t COMPREPLY < <(compgen -W "all $word" -- "$cur")
        return
        ;;
    --log)
        mapfile -t COMPREPLY < <(compgen -W "auto stderr syslog null" -- "$cur")
        return
        ;;
    --log-level)
        mapfile -t COMPREPLY < <(compgen -W "error warning info debug" -- "$cur")
        return
        ;;
    esac
    case $cur in
    -*)
        mapfile -t COMPREPLY < <(compgen -W "$(_gpuvchan_options "$program")" -- "$cur")
        case ${COMPREPLY[0]} in *=) compopt -o nospace ;; esac
        ;;
    *)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        [ "${program##*/}" != gpuvchan-run ] || mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$cur")
        ;;
    esac
}

complete -o filenames -F _gpuvchan gpuvchan-host gpuvchan-run
